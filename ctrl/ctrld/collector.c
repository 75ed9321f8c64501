#include "ctrl/ctrld/collector.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/output.h"

enum {
	GATHER_MS = 10,        /* a round waits for more lines, unless somebody asked for them */
	QUIET_MS = 5000,       /* without lines: then what is too old is looked for */
	MESSAGES_MAX = 64,     /* of one socket, then the others come first */
	ROUND_MESSAGES = 2048, /* then what is there is committed */
	EVENTS_MAX = 64,
	TRIMS_MAX = 100,
	WAKE = WEIR_COLLECTOR_SOCKETS_MAX, /* epoll's word for the eventfd */
};

static const uint64_t late_ns_max = 86400 * WEIR_NS_PER_SECOND; /* an older time is no time */

struct output {
	uint64_t worker_id; /* 0 = free place */
	int fd;
	bool is_ended;
	uint64_t dropped; /* the worker's last word */
	char space[64];
};

struct weir_collector {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	pthread_t thread;
	int epoll_fd;
	int wake_fd; /* to the thread */
	int gone_fd; /* from it */

	pthread_mutex_t lock; /* for what both threads touch: */
	struct output output[WEIR_COLLECTOR_SOCKETS_MAX];
	uint64_t gone[WEIR_COLLECTOR_SOCKETS_MAX]; /* worker ids */
	size_t gone_count;
	uint64_t bytes_max;
	uint64_t keep_s;
	struct weir_collector_status status;
	uint64_t asked;    /* the highest mark given out */
	uint64_t started;  /* rounds */
	uint64_t finished;
	bool is_stopping;

	/* The thread's own. */
	struct weir_log_store *store;
	bool is_begun;    /* a transaction */
	uint64_t dropped; /* in this round */
	uint64_t lines;   /* in this transaction */
	uint8_t message[WEIR_OUTPUT_MESSAGE_BYTES_MAX + 1];
};

static void wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* full: it was woken often enough */
}

static void silence(int fd)
{
	uint64_t count = 0;

	(void)!read(fd, &count, sizeof(count)); /* EAGAIN: it was silent */
}

/* ---- the thread: the store ---- */

/* Trouble, said once and shown as long as it lasts; NULL ends it. */
static void problem_set(struct weir_collector *collector, const char *sentence)
{
	char *const text = collector->status.problem;
	const size_t max = sizeof(collector->status.problem);
	char fresh[sizeof(collector->status.problem)] = "";

	if (sentence != NULL)
		(void)snprintf(fresh, sizeof(fresh), "%s", sentence); /* cut is fine */
	(void)pthread_mutex_lock(&collector->lock);
	if (strcmp(text, fresh) != 0) {
		weir_log(sentence != NULL ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
			 sentence != NULL ? "what functions print is not kept"
					  : "what functions print is kept again",
			 "%s", fresh);
		(void)snprintf(text, max, "%s", fresh);
	}
	(void)pthread_mutex_unlock(&collector->lock);
}

/* The store failed: what this transaction had is lost. */
static void store_failed(struct weir_collector *collector, int code,
			 const struct weir_store_error *error)
{
	problem_set(collector, error->text);
	collector->dropped += collector->lines;
	collector->lines = 0;
	collector->is_begun = false;
	if (code == -EBADMSG) { /* damaged: the next opening puts it aside */
		weir_log_store_close(collector->store);
		collector->store = NULL;
	}
}

/* A transaction is open: true. */
static bool store_begin(struct weir_collector *collector)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (collector->is_begun)
		return true;
	if (collector->store == NULL)
		code = weir_log_store_open(collector->data, &collector->store, &error);
	if (code == 0)
		code = weir_log_store_begin(collector->store, &error);
	collector->is_begun = code == 0;
	if (code != 0)
		store_failed(collector, code, &error);
	return code == 0;
}

static void line_add(struct weir_collector *collector, const struct weir_log_line *line)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!store_begin(collector)) {
		collector->dropped++;
		return;
	}
	collector->lines++;
	code = weir_log_store_add(collector->store, line, &error);
	if (code != 0)
		store_failed(collector, code, &error);
}

static void store_commit(struct weir_collector *collector)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!collector->is_begun && (collector->dropped == 0 || !store_begin(collector)))
		return;
	code = weir_log_store_commit(collector->store, collector->dropped, &error);
	if (code != 0) {
		store_failed(collector, code, &error);
		return;
	}
	collector->is_begun = false;
	collector->lines = 0;
	collector->dropped = 0;
	problem_set(collector, NULL);
}

static void store_trim(struct weir_collector *collector)
{
	struct weir_store_error error = {{0}};
	uint64_t bytes_max = 0;
	uint64_t keep_ns = 0;
	uint64_t now_ns = weir_clock_wall_ns();
	int code = 1;

	(void)pthread_mutex_lock(&collector->lock);
	bytes_max = collector->bytes_max;
	keep_ns = collector->keep_s * WEIR_NS_PER_SECOND;
	(void)pthread_mutex_unlock(&collector->lock);
	for (int i = 0; i < TRIMS_MAX && code == 1 && collector->store != NULL; i++)
		code = weir_log_store_trim(collector->store, bytes_max,
					   now_ns > keep_ns ? now_ns - keep_ns : 0, &error);
	if (code < 0)
		store_failed(collector, code, &error);
}

/* ---- the thread: the sockets ---- */

/* "namespace/name" without what would steer a terminal or cut a text short. */
static size_t function_name(const struct output *output, struct weir_span name, char *out,
			    size_t max)
{
	const int bytes = snprintf(out, max, "%s/", output->space); /* short */
	size_t used = (size_t)bytes;

	for (size_t i = 0; i < name.bytes && used < max; i++) {
		const unsigned char byte = (unsigned char)name.data[i];

		out[used++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
	}
	return used;
}

/* One message, of `bytes` bytes. */
static void message_take(struct weir_collector *collector, struct output *output, size_t bytes)
{
	const uint64_t now_ns = weir_clock_wall_ns();
	char function[sizeof(output->space) + WEIR_OUTPUT_NAME_BYTES_MAX + 2];
	struct weir_output_reader reader;
	struct weir_output_line line;

	if (weir_output_read(collector->message, bytes, &reader) != 0) {
		(void)pthread_mutex_lock(&collector->lock);
		collector->status.refused++;
		(void)pthread_mutex_unlock(&collector->lock);
		return;
	}
	if (reader.dropped > output->dropped) {
		collector->dropped += reader.dropped - output->dropped;
		output->dropped = reader.dropped;
	}
	const size_t function_bytes =
		function_name(output, reader.name, function, sizeof(function));

	while (weir_output_next(&reader, &line)) {
		const bool is_possible =
			line.time_ns <= now_ns && now_ns - line.time_ns < late_ns_max;
		const struct weir_log_line record = {
			.time_ns = is_possible ? line.time_ns : now_ns,
			.received_ns = now_ns,
			.activation_high = reader.activation.high,
			.activation_low = reader.activation.low,
			.stream = (uint8_t)line.stream,
			.function = {.data = function, .bytes = function_bytes},
			.text = line.text,
		};

		line_add(collector, &record);
	}
}

/* Up to MESSAGES_MAX messages of one socket. Returns how many. */
static int socket_take(struct weir_collector *collector, struct output *output)
{
	int count = 0;

	for (; count < MESSAGES_MAX; count++) {
		const ssize_t bytes = recv(output->fd, collector->message,
					   sizeof(collector->message), MSG_DONTWAIT | MSG_TRUNC);

		if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (bytes <= 0) {
			output->is_ended = true;
			break;
		}
		message_take(collector, output,
			     bytes > WEIR_OUTPUT_MESSAGE_BYTES_MAX ? 0 : (size_t)bytes);
	}
	return count;
}

/* What is in the sockets, up to ROUND_MESSAGES. True: there may be more. */
static bool sockets_take(struct weir_collector *collector)
{
	struct epoll_event events[EVENTS_MAX];
	int total = 0;
	int taken = 1;

	while (taken > 0 && total < ROUND_MESSAGES) {
		const int count = epoll_wait(collector->epoll_fd, events, EVENTS_MAX, 0);

		taken = 0;
		for (int i = 0; i < count; i++) {
			struct output *const output = &collector->output[events[i].data.u32];

			if (events[i].data.u32 == WAKE || output->is_ended)
				continue;
			taken += socket_take(collector, output);
		}
		total += taken;
	}
	return taken > 0;
}

/* Sockets that were read to their end: close them, and tell. */
static void sockets_end(struct weir_collector *collector)
{
	bool is_any = false;

	(void)pthread_mutex_lock(&collector->lock);
	for (size_t i = 0; i < WEIR_COLLECTOR_SOCKETS_MAX; i++) {
		struct output *const output = &collector->output[i];

		if (output->worker_id == 0 || !output->is_ended ||
		    collector->gone_count == WEIR_COLLECTOR_SOCKETS_MAX)
			continue;
		(void)epoll_ctl(collector->epoll_fd, EPOLL_CTL_DEL, output->fd,
				NULL); /* others hold copies: closing is not enough */
		collector->gone[collector->gone_count++] = output->worker_id;
		weir_fd_close(&output->fd);
		memset(output, 0, sizeof(*output));
		output->fd = -1;
		is_any = true;
	}
	(void)pthread_mutex_unlock(&collector->lock);
	if (is_any)
		wake(collector->gone_fd);
}

/* ---- the thread ---- */

/* Wait for lines or for who asks for them. True: stop. */
static bool round_wait(struct weir_collector *collector)
{
	struct pollfd polled[2] = {{.fd = collector->epoll_fd, .events = POLLIN},
				   {.fd = collector->wake_fd, .events = POLLIN}};
	bool is_stopping = false;
	bool is_asked = false;

	(void)poll(polled, 1, QUIET_MS); /* EINTR: a round more */
	(void)pthread_mutex_lock(&collector->lock);
	is_asked = collector->is_stopping || collector->asked > collector->started;
	(void)pthread_mutex_unlock(&collector->lock);
	if (!is_asked)
		(void)poll(polled + 1, 1, GATHER_MS);
	silence(collector->wake_fd);
	(void)pthread_mutex_lock(&collector->lock);
	collector->started++;
	is_stopping = collector->is_stopping;
	(void)pthread_mutex_unlock(&collector->lock);
	return is_stopping;
}

static void *thread_main(void *argument)
{
	struct weir_collector *const collector = argument;
	bool is_stopping = false;

	/* Open, so that what is kept can be told and grows old; a failure is a problem, tried again. */
	if (store_begin(collector))
		store_commit(collector);
	while (!is_stopping) {
		bool is_more = true;

		is_stopping = round_wait(collector);
		for (int i = 0; i < TRIMS_MAX && is_more; i++) {
			is_more = sockets_take(collector);
			store_commit(collector);
			store_trim(collector);
		}
		sockets_end(collector);
		(void)pthread_mutex_lock(&collector->lock);
		if (collector->store != NULL)
			collector->status.totals = weir_log_store_totals(collector->store);
		collector->finished = collector->started;
		(void)pthread_mutex_unlock(&collector->lock);
	}
	weir_log_store_close(collector->store);
	return NULL;
}

/* ---- the main thread ---- */

static int thread_start(struct weir_collector *collector)
{
	sigset_t all;
	sigset_t before;
	int error = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
	error = pthread_create(&collector->thread, NULL, thread_main, collector);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static int collector_open(struct weir_collector *collector)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = WAKE};

	collector->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	collector->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	collector->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (collector->epoll_fd == -1 || collector->wake_fd == -1 || collector->gone_fd == -1 ||
	    epoll_ctl(collector->epoll_fd, EPOLL_CTL_ADD, collector->wake_fd, &event) != 0)
		return -errno;
	return thread_start(collector);
}

int weir_collector_create(const char *data, struct weir_collector **out_collector)
{
	struct weir_collector *const collector = calloc(1, sizeof(*collector));
	int code = 0;

	if (collector == NULL)
		return -ENOMEM;
	(void)snprintf(collector->data, sizeof(collector->data), "%s", data); /* fits: checked */
	for (size_t i = 0; i < WEIR_COLLECTOR_SOCKETS_MAX; i++)
		collector->output[i].fd = -1;
	collector->bytes_max = UINT64_MAX;
	collector->keep_s = UINT32_MAX;
	(void)pthread_mutex_init(&collector->lock, NULL); /* cannot fail without attributes */
	code = collector_open(collector);
	if (code != 0) {
		weir_fd_close(&collector->epoll_fd);
		weir_fd_close(&collector->wake_fd);
		weir_fd_close(&collector->gone_fd);
		free(collector);
		return code;
	}
	*out_collector = collector;
	return 0;
}

void weir_collector_destroy(struct weir_collector *collector)
{
	if (collector == NULL)
		return;
	(void)pthread_mutex_lock(&collector->lock);
	collector->is_stopping = true;
	(void)pthread_mutex_unlock(&collector->lock);
	wake(collector->wake_fd);
	(void)pthread_join(collector->thread, NULL);
	for (size_t i = 0; i < WEIR_COLLECTOR_SOCKETS_MAX; i++)
		weir_fd_close(&collector->output[i].fd);
	weir_fd_close(&collector->epoll_fd);
	weir_fd_close(&collector->wake_fd);
	weir_fd_close(&collector->gone_fd);
	(void)pthread_mutex_destroy(&collector->lock);
	free(collector);
}

/* A free place for a worker that is not known yet; NULL otherwise. Locked. */
static struct output *place_find(struct weir_collector *collector, uint64_t worker_id)
{
	struct output *found = NULL;

	for (size_t i = 0; i < WEIR_COLLECTOR_SOCKETS_MAX; i++) {
		if (collector->output[i].worker_id == worker_id)
			return NULL;
		if (found == NULL && collector->output[i].worker_id == 0)
			found = &collector->output[i];
	}
	return found;
}

void weir_collector_add(struct weir_collector *collector, uint64_t worker_id, const char *space,
			int socket_fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct output *output = NULL;

	(void)pthread_mutex_lock(&collector->lock);
	output = worker_id != 0 ? place_find(collector, worker_id) : NULL;
	if (output != NULL) {
		event.data.u32 = (uint32_t)(output - collector->output);
		output->worker_id = worker_id;
		output->fd = socket_fd;
		(void)snprintf(output->space, sizeof(output->space), "%s", space); /* fits */
		if (epoll_ctl(collector->epoll_fd, EPOLL_CTL_ADD, socket_fd, &event) == 0)
			socket_fd = -1;
		else
			*output = (struct output){.fd = -1};
	}
	(void)pthread_mutex_unlock(&collector->lock);
	weir_fd_close(&socket_fd);
}

int weir_collector_fd(const struct weir_collector *collector)
{
	return collector->gone_fd;
}

uint64_t weir_collector_gone(struct weir_collector *collector)
{
	uint64_t worker_id = 0;

	(void)pthread_mutex_lock(&collector->lock);
	if (collector->gone_count > 0)
		worker_id = collector->gone[--collector->gone_count];
	else
		silence(collector->gone_fd);
	(void)pthread_mutex_unlock(&collector->lock);
	return worker_id;
}

void weir_collector_limits(struct weir_collector *collector, uint64_t bytes_max, uint64_t keep_s)
{
	(void)pthread_mutex_lock(&collector->lock);
	collector->bytes_max = bytes_max;
	collector->keep_s = keep_s;
	collector->status.bytes_max = bytes_max;
	(void)pthread_mutex_unlock(&collector->lock);
	wake(collector->wake_fd);
}

uint64_t weir_collector_mark(struct weir_collector *collector)
{
	uint64_t mark = 0;

	(void)pthread_mutex_lock(&collector->lock);
	mark = collector->started + 1;
	collector->asked = mark;
	(void)pthread_mutex_unlock(&collector->lock);
	wake(collector->wake_fd);
	return mark;
}

bool weir_collector_reached(struct weir_collector *collector, uint64_t mark)
{
	bool is_reached = false;

	(void)pthread_mutex_lock(&collector->lock);
	is_reached = collector->finished >= mark;
	(void)pthread_mutex_unlock(&collector->lock);
	return is_reached;
}

void weir_collector_status_get(struct weir_collector *collector,
			       struct weir_collector_status *out_status)
{
	(void)pthread_mutex_lock(&collector->lock);
	*out_status = collector->status;
	(void)pthread_mutex_unlock(&collector->lock);
}
