#include "ctrl/ctrld/collector.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/ctrld/rounds.h"
#include "ctrl/model/builtin.h"
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

static_assert((int)WEIR_LOG_STREAM_ANSWER == (int)WEIR_OUTPUT_ANSWER, "one number");

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
	int epoll_fd;
	int gone_fd; /* from the thread */
	struct weir_rounds rounds;

	/* Locked. */
	struct output output[WEIR_COLLECTOR_SOCKETS_MAX];
	uint64_t gone[WEIR_COLLECTOR_SOCKETS_MAX]; /* worker ids */
	size_t gone_count;
	uint64_t bytes_max;
	uint64_t keep_s;
	struct weir_collector_status status;

	/* The thread's own. */
	struct weir_log_store *store;
	bool is_begun;    /* a transaction */
	uint64_t dropped; /* in this round */
	uint64_t lines;   /* in this transaction */
	uint8_t message[WEIR_OUTPUT_MESSAGE_BYTES_MAX + 1];
};

/* ---- the thread: the store ---- */

/* Trouble, said once and shown as long as it lasts; NULL ends it. */
static void problem_set(struct weir_collector *collector, const char *sentence)
{
	char *const text = collector->status.problem;
	const size_t max = sizeof(collector->status.problem);
	char fresh[sizeof(collector->status.problem)] = "";

	if (sentence != NULL)
		(void)snprintf(fresh, sizeof(fresh), "%s", sentence); /* cut is fine */
	weir_rounds_lock(&collector->rounds);
	if (strcmp(text, fresh) != 0) {
		weir_log(sentence != NULL ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
			 sentence != NULL ? "what functions print is not kept"
					  : "what functions print is kept again",
			 "%s", fresh);
		(void)snprintf(text, max, "%s", fresh);
	}
	weir_rounds_unlock(&collector->rounds);
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

	weir_rounds_lock(&collector->rounds);
	bytes_max = collector->bytes_max;
	keep_ns = collector->keep_s * WEIR_NS_PER_SECOND;
	weir_rounds_unlock(&collector->rounds);
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

/* Is it sound, and has it only what this worker may send? */
static bool message_read(const struct weir_collector *collector, const struct output *output, size_t bytes,
			 struct weir_output_reader *out_reader)
{
	struct weir_output_reader walk;
	struct weir_output_line line;

	if (weir_output_read(collector->message, bytes, out_reader) != 0)
		return false;
	walk = *out_reader;
	while (weir_output_next(&walk, &line)) {
		if (line.stream == WEIR_OUTPUT_ANSWER && strcmp(output->space, WEIR_BUILTIN_SPACE) != 0)
			return false;
	}
	return true;
}

/* One message, of `bytes` bytes. */
static void message_take(struct weir_collector *collector, struct output *output, size_t bytes)
{
	const uint64_t now_ns = weir_clock_wall_ns();
	char function[sizeof(output->space) + WEIR_OUTPUT_NAME_BYTES_MAX + 2];
	struct weir_output_reader reader;
	struct weir_output_line line;

	if (!message_read(collector, output, bytes, &reader)) {
		weir_rounds_lock(&collector->rounds);
		collector->status.refused++;
		weir_rounds_unlock(&collector->rounds);
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

	weir_rounds_lock(&collector->rounds);
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
	weir_rounds_unlock(&collector->rounds);
	if (is_any)
		weir_rounds_ring(collector->gone_fd);
}

/* ---- the thread ---- */

/* Wait for lines or for who asks for them, and begin. */
static enum weir_round round_begin(struct weir_collector *collector)
{
	struct pollfd polled[2] = {{.fd = collector->epoll_fd, .events = POLLIN},
				   {.fd = collector->rounds.wake_fd, .events = POLLIN}};
	enum weir_round round = WEIR_ROUND_PLAIN;

	(void)poll(polled, 1, QUIET_MS); /* EINTR: a round more */
	if (!weir_rounds_is_asked(&collector->rounds))
		(void)poll(polled + 1, 1, GATHER_MS);
	weir_rounds_silence(collector->rounds.wake_fd);
	weir_rounds_lock(&collector->rounds);
	round = weir_rounds_begin(&collector->rounds);
	weir_rounds_unlock(&collector->rounds);
	return round;
}

static void *thread_main(void *argument)
{
	struct weir_collector *const collector = argument;
	enum weir_round round = WEIR_ROUND_PLAIN;

	/* Open, so that what is kept can be told and grows old; a failure is a problem, tried again. */
	if (store_begin(collector))
		store_commit(collector);
	while (round != WEIR_ROUND_LAST) {
		bool is_more = true;

		round = round_begin(collector);
		for (int i = 0; i < TRIMS_MAX && is_more; i++) {
			is_more = sockets_take(collector);
			store_commit(collector);
			store_trim(collector);
		}
		sockets_end(collector);
		weir_rounds_lock(&collector->rounds);
		if (collector->store != NULL)
			collector->status.totals = weir_log_store_totals(collector->store);
		weir_rounds_end(&collector->rounds);
		weir_rounds_unlock(&collector->rounds);
	}
	weir_log_store_close(collector->store);
	return NULL;
}

/* ---- the main thread ---- */

static int collector_open(struct weir_collector *collector)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = WAKE};

	collector->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	collector->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (collector->epoll_fd == -1 || collector->gone_fd == -1 ||
	    epoll_ctl(collector->epoll_fd, EPOLL_CTL_ADD, collector->rounds.wake_fd, &event) != 0)
		return -errno;
	return weir_rounds_start(&collector->rounds, thread_main, collector);
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
	collector->epoll_fd = collector->gone_fd = -1;
	code = weir_rounds_open(&collector->rounds);
	if (code == 0)
		code = collector_open(collector);
	if (code != 0) {
		weir_rounds_close(&collector->rounds);
		weir_fd_close(&collector->epoll_fd);
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
	weir_rounds_stop(&collector->rounds);
	for (size_t i = 0; i < WEIR_COLLECTOR_SOCKETS_MAX; i++)
		weir_fd_close(&collector->output[i].fd);
	weir_fd_close(&collector->epoll_fd);
	weir_fd_close(&collector->gone_fd);
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

	weir_rounds_lock(&collector->rounds);
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
	weir_rounds_unlock(&collector->rounds);
	weir_fd_close(&socket_fd);
}

int weir_collector_fd(const struct weir_collector *collector)
{
	return collector->gone_fd;
}

uint64_t weir_collector_gone(struct weir_collector *collector)
{
	uint64_t worker_id = 0;

	weir_rounds_lock(&collector->rounds);
	if (collector->gone_count > 0)
		worker_id = collector->gone[--collector->gone_count];
	else
		weir_rounds_silence(collector->gone_fd);
	weir_rounds_unlock(&collector->rounds);
	return worker_id;
}

void weir_collector_limits(struct weir_collector *collector, uint64_t bytes_max, uint64_t keep_s)
{
	weir_rounds_lock(&collector->rounds);
	collector->bytes_max = bytes_max;
	collector->keep_s = keep_s;
	collector->status.bytes_max = bytes_max;
	weir_rounds_unlock(&collector->rounds);
	weir_rounds_wake(&collector->rounds);
}

uint64_t weir_collector_mark(struct weir_collector *collector)
{
	return weir_rounds_mark(&collector->rounds);
}

bool weir_collector_reached(struct weir_collector *collector, uint64_t mark)
{
	return weir_rounds_reached(&collector->rounds, mark);
}

void weir_collector_status_get(struct weir_collector *collector,
			       struct weir_collector_status *out_status)
{
	weir_rounds_lock(&collector->rounds);
	*out_status = collector->status;
	weir_rounds_unlock(&collector->rounds);
}
