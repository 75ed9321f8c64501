#include "dataplane/worker/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"

static const uint64_t often_ns = WEIR_NS_PER_MS; /* a line that comes later than this is sent at once */

static struct {
	pthread_mutex_t lock;
	int socket_fd;
	int bell_fd;
	_Atomic bool is_asleep; /* who flushes */
	_Atomic bool is_dirty;
	uint64_t dropped;
	uint64_t sent_ns;
	uint64_t unsaid; /* dropped lines that no line tells of */
	struct weir_id activation;
	const char *function; /* compared only */
	struct weir_output_message message;
	struct weir_output_message notice; /* the same call's, with the line that tells */
} outlet = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket_fd = -1, .bell_fd = -1};

int weir_outlet_open(int *out_bell_fd)
{
	outlet.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (outlet.bell_fd == -1)
		return -errno;
	*out_bell_fd = outlet.bell_fd;
	return 0;
}

int weir_outlet_connect(int socket_fd)
{
	const int flags = fcntl(socket_fd, F_GETFL);

	if (flags == -1 || fcntl(socket_fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	outlet.socket_fd = socket_fd;
	return 0;
}

void weir_outlet_lock(void)
{
	(void)pthread_mutex_lock(&outlet.lock); /* cannot fail: a plain mutex, never locked twice */
}

void weir_outlet_unlock(void)
{
	(void)pthread_mutex_unlock(&outlet.lock);
}

bool weir_outlet_is_dirty(void)
{
	return atomic_load_explicit(&outlet.is_dirty, memory_order_relaxed);
}

bool weir_outlet_sleep(void)
{
	/* ORDER outlet_sleep seq_cst: either a printer sees that he sleeps, or he sees its line. */
	atomic_store_explicit(&outlet.is_asleep, true, memory_order_seq_cst);
	if (!atomic_load_explicit(&outlet.is_dirty, memory_order_seq_cst))
		return true;
	weir_outlet_awake();
	return false;
}

void weir_outlet_awake(void)
{
	atomic_store_explicit(&outlet.is_asleep, false, memory_order_relaxed);
}

/* A line waits: wake who flushes, if he sleeps. */
static void waiting_tell(void)
{
	const uint64_t one = 1;

	/* ORDER outlet_sleep seq_cst: see weir_outlet_sleep(). */
	atomic_store_explicit(&outlet.is_dirty, true, memory_order_seq_cst);
	if (outlet.bell_fd != -1 &&
	    atomic_load_explicit(&outlet.is_asleep, memory_order_seq_cst))
		(void)!write(outlet.bell_fd, &one, sizeof(one)); /* full: it was rung often enough */
}

static struct weir_span name_of(const char *function)
{
	const char *const slash = strchr(function, '/');

	return weir_span_of(slash != NULL ? slash + 1 : function);
}

/* False: the socket is full, or nobody is there. */
static bool message_send(struct weir_output_message *message)
{
	weir_output_dropped(message, outlet.dropped);
	return write(outlet.socket_fd, message->data, message->bytes) >= 0;
}

/* A message could not be sent: the call's next line, once there is room, says how much is missing. */
static void lines_lost(void)
{
	const uint16_t entries = weir_output_entries(&outlet.message);
	struct weir_output_reader reader;

	outlet.dropped += entries;
	outlet.unsaid += entries;
	if (weir_output_read(outlet.message.data, outlet.message.bytes, &reader) == 0)
		weir_output_begin(&outlet.notice, reader.activation, reader.name);
}

static void loss_say(void)
{
	struct weir_output_message notice;
	char text[120];
	const int bytes = snprintf(
		text, sizeof(text),
		"%llu lines of this call and earlier ones were dropped: more was printed than was taken",
		(unsigned long long)outlet.unsaid);

	notice.bytes = outlet.notice.bytes;
	memcpy(notice.data, outlet.notice.data, outlet.notice.bytes);
	(void)weir_output_append(&notice, weir_clock_wall_ns(), WEIR_OUTPUT_WARN,
				 (struct weir_span){.data = text, .bytes = (size_t)bytes}); /* fits */
	if (message_send(&notice))
		outlet.unsaid = 0;
}

void weir_outlet_flush(void)
{
	if (!weir_outlet_is_dirty())
		return;
	if (outlet.unsaid != 0)
		loss_say();
	if (weir_output_entries(&outlet.message) != 0 && !message_send(&outlet.message))
		lines_lost();
	outlet.message.bytes = 0;
	outlet.function = NULL;
	outlet.sent_ns = weir_clock_now_ns();
	/* While something is unsaid, it is tried again. */
	atomic_store_explicit(&outlet.is_dirty, outlet.unsaid != 0, memory_order_relaxed);
}

/* Nobody collects: the line is an event of Weir's own log. */
static void line_log(const char *function, struct weir_id activation, enum weir_output_stream stream,
		     struct weir_span text)
{
	static const char *const streams[WEIR_OUTPUT_STREAMS] = {"stdout", "stderr", "debug",
								 "info",   "warn",   "error", "answer"};
	char id[32];

	weir_id_format(activation, id);
	weir_log(WEIR_LOG_INFO, "function", "name=%s activation=%.32s stream=%s text=%.*s", function, id,
		 streams[stream], (int)text.bytes, text.data);
}

static bool is_same_call(const char *function, struct weir_id activation)
{
	return outlet.function == function && outlet.activation.high == activation.high &&
	       outlet.activation.low == activation.low;
}

void weir_outlet_line(const char *function, struct weir_id activation,
		      enum weir_output_stream stream, struct weir_span text)
{
	const uint64_t time_ns = weir_clock_wall_ns();

	if (outlet.socket_fd == -1) {
		line_log(function, activation, stream, text);
		return;
	}
	if (outlet.message.bytes != 0 && !is_same_call(function, activation))
		weir_outlet_flush();
	if (outlet.message.bytes == 0 ||
	    !weir_output_append(&outlet.message, time_ns, stream, text)) {
		weir_outlet_flush();
		weir_output_begin(&outlet.message, activation, name_of(function));
		outlet.function = function;
		outlet.activation = activation;
		(void)weir_output_append(&outlet.message, time_ns, stream,
					 text); /* the first one fits */
	}
	atomic_store_explicit(&outlet.is_dirty, true, memory_order_relaxed);
	if (weir_clock_now_ns() - outlet.sent_ns >= often_ns)
		weir_outlet_flush();
	else
		waiting_tell();
}

void weir_outlet_rescue(const char *function, struct weir_id activation,
			enum weir_output_stream stream, struct weir_span text)
{
	static struct weir_output_message last;

	if (outlet.socket_fd == -1)
		return;
	if (weir_output_entries(&outlet.message) != 0)
		(void)message_send(&outlet.message); /* full: that is that */
	outlet.message.bytes = 0;
	if (function == NULL || text.bytes == 0)
		return;
	if (text.bytes > WEIR_OUTPUT_TEXT_BYTES_MAX)
		text.bytes = WEIR_OUTPUT_TEXT_BYTES_MAX;
	weir_output_begin(&last, activation, name_of(function));
	(void)weir_output_append(&last, weir_clock_wall_ns(), stream, text);
	(void)message_send(&last);
}
