#include "tests/worker/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/control.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/head_check.h"
#include "dataplane/shm/shard_board.h"
#include "tests/worker/rig_snapshot.h"

enum { WINDOW = 2 }; /* body chunks, and grants, in the worker's hands */

/* ---- process and control ---- */

static void worker_exec(const char *runtime, int socket_fd, int stderr_fd)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/weir-worker-%s", RIG_BIN, runtime);
	if (dup2(stderr_fd, STDERR_FILENO) == -1)
		_exit(127);
	if (socket_fd == WEIR_CONTROL_FD)
		(void)fcntl(socket_fd, F_SETFD, 0);
	else if (dup2(socket_fd, WEIR_CONTROL_FD) == -1)
		_exit(127);
	(void)execl(path, path, (char *)NULL);
	_exit(127);
}

void rig_start(struct rig *rig, const char *runtime)
{
	int sockets[2];
	struct weir_control start = {.kind = WEIR_CONTROL_WORKER_START};

	memset(rig, 0, sizeof(*rig));
	rig->stderr_fd = memfd_create("worker-stderr", MFD_CLOEXEC);
	assert_true(rig->stderr_fd != -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	rig->pid = fork();
	assert_true(rig->pid != -1);
	if (rig->pid == 0)
		worker_exec(runtime, sockets[1], rig->stderr_fd);
	(void)close(sockets[1]);
	rig->socket_fd = sockets[0];
	assert_int_equal(fcntl(rig->socket_fd, F_SETFL, O_NONBLOCK), 0);
	rig->pid_fd = (int)syscall(SYS_pidfd_open, rig->pid, 0);
	assert_true(rig->pid_fd != -1);
	start.worker_start.worker_id = 7;
	start.worker_start.pool_key = 70;
	memcpy(start.worker_start.space, "default", sizeof("default"));
	assert_int_equal(weir_control_send(rig->socket_fd, &start, NULL, 0), 0);
}

void rig_configure_send(struct rig *rig, const struct rig_function *functions, size_t count)
{
	struct weir_control control = {.kind = WEIR_CONTROL_SNAPSHOT};
	int fd = rig_snapshot_build(functions, count, ++rig->generation);

	control.snapshot.generation = rig->generation;
	assert_int_equal(weir_control_send(rig->socket_fd, &control, &fd, 1), 0);
	weir_fd_close(&fd);
}

static bool is_acked(void *argument)
{
	const struct rig *const rig = argument;

	return rig->generation_acked == rig->generation;
}

void rig_configure(struct rig *rig, const struct rig_function *functions, size_t count)
{
	rig_configure_send(rig, functions, count);
	rig_wait(rig, is_acked, rig, "SNAPSHOT_ACK");
}

struct rig_link *rig_link_open(struct rig *rig, uint32_t shard_count)
{
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_OPEN};
	struct rig_link *link = NULL;
	int fds[2 + RIG_SHARDS_MAX];

	for (size_t i = 0; i < RIG_LINKS_MAX && link == NULL; i++)
		link = rig->link[i].is_open ? NULL : &rig->link[i];
	assert_non_null(link);
	memset(link, 0, sizeof(*link));
	link->rig = rig;
	link->is_open = true;
	link->link_id = ++rig->link_id;
	link->shard_count = shard_count;
	assert_int_equal(weir_segment_create(link->link_id, 7, shard_count, &link->segment_fd),
			 0);
	assert_int_equal(weir_segment_attach(link->segment_fd, &link->segment), 0);
	assert_int_equal(weir_shard_board_create(&link->board_fd, &link->board), 0);
	fds[0] = link->segment_fd;
	fds[1] = link->board_fd;
	for (uint32_t i = 0; i < shard_count; i++) {
		struct rig_pair *const pair = &link->pair[i];

		pair->link = link;
		pair->shard = i;
		weir_ring_tx_open(&pair->tx, &link->segment.pair[i].to_worker);
		weir_ring_rx_open(&pair->rx, &link->segment.pair[i].to_shard);
		weir_chunk_arena_open(&pair->arena);
		link->event_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fds[2 + i] = link->event_fd[i];
	}
	control.link_open.link_id = link->link_id;
	control.link_open.worker_id = 7;
	control.link_open.shard_count = shard_count;
	assert_int_equal(weir_control_send(rig->socket_fd, &control, fds, 2 + shard_count), 0);
	return link;
}

void rig_link_close(struct rig_link *link)
{
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_CLOSE};

	control.link.link_id = link->link_id;
	control.link.worker_id = 7;
	assert_int_equal(weir_control_send(link->rig->socket_fd, &control, NULL, 0), 0);
}

static void link_free(struct rig_link *link)
{
	if (!link->is_open)
		return;
	for (uint32_t i = 0; i < link->shard_count; i++) {
		for (size_t k = 0; k < WEIR_PAIR_CALLS; k++)
			free(link->pair[i].call[k].answer);
		weir_fd_close(&link->event_fd[i]);
	}
	weir_segment_detach(&link->segment);
	weir_shard_board_detach(link->board);
	weir_fd_close(&link->segment_fd);
	weir_fd_close(&link->board_fd);
	link->is_open = false;
}

static void control_take(struct rig *rig, const struct weir_control *control)
{
	if (control->kind == WEIR_CONTROL_READY) {
		assert_false(rig->is_ready);
		rig->is_ready = true;
	} else if (control->kind == WEIR_CONTROL_SNAPSHOT_ACK) {
		assert_true(control->snapshot_ack.generation > rig->generation_acked);
		rig->generation_acked = control->snapshot_ack.generation;
	} else if (control->kind == WEIR_CONTROL_LINK_GONE) {
		for (size_t i = 0; i < RIG_LINKS_MAX; i++)
			if (rig->link[i].is_open &&
			    rig->link[i].link_id == control->link.link_id)
				rig->link[i].is_gone = true;
	} else {
		fail_msg("the worker sent a control message of kind %u", control->kind);
	}
}

static void control_drain(struct rig *rig)
{
	struct weir_control control;
	struct weir_control_fds fds;

	while (weir_control_receive(rig->socket_fd, &control, &fds) == 1) {
		assert_int_equal(fds.count, 0);
		control_take(rig, &control);
	}
}

/* ---- calls to the worker ---- */

static void push(struct rig_call *call, struct weir_message message)
{
	message.call = call->index;
	message.sequence = call->sequence;
	assert_true(weir_ring_push(&call->pair->tx, &message, 0));
}

void rig_publish(struct rig_link *link, uint32_t shard)
{
	(void)weir_ring_publish(&link->pair[shard].tx);
	(void)weir_bell_ring(&link->segment.header->worker_bell);
}

static void publish(struct rig_call *call)
{
	rig_publish(call->pair->link, call->pair->shard);
}

static struct weir_head_slice text_add(uint8_t *head, size_t *bytes, const char *text)
{
	const struct weir_head_slice slice = {
		.offset = (uint16_t)*bytes,
		.bytes = (uint16_t)(text != NULL ? strlen(text) : 0)};

	if (text != NULL)
		memcpy(head + *bytes, text, slice.bytes);
	*bytes += slice.bytes;
	return slice;
}

/* Encode the request's head at `out` (8-aligned); returns its bytes. */
static size_t head_write(uint8_t *out, const struct rig_request *request)
{
	struct weir_request_head *const head = (void *)out;
	struct weir_head_field *const rows = (void *)(head + 1);
	size_t bytes = 0;

	memset(head, 0, sizeof(*head));
	head->method = request->method;
	head->minor = 1;
	head->field_count = request->field_name != NULL;
	head->param_count = request->param_name != NULL;
	head->content_length =
		request->is_length_unknown ? WEIR_HEAD_LENGTH_UNKNOWN : request->body_bytes;
	bytes = sizeof(*head) + sizeof(*rows) * (size_t)(head->field_count + head->param_count);
	if (request->field_name != NULL) {
		rows[0].name = text_add(out, &bytes, request->field_name);
		rows[0].value = text_add(out, &bytes, request->field_value);
	}
	if (request->param_name != NULL) {
		rows[head->field_count].name = text_add(out, &bytes, request->param_name);
		rows[head->field_count].value = text_add(out, &bytes, request->param_value);
	}
	head->path = text_add(out, &bytes, request->path != NULL ? request->path : "/");
	head->query = text_add(out, &bytes, request->query);
	head->authority = text_add(out, &bytes, "example.test");
	head->target = text_add(out, &bytes, request->path != NULL ? request->path : "/");
	head->peer = text_add(out, &bytes, "127.0.0.1");
	head->pattern = text_add(out, &bytes, "/pattern");
	head->bytes = (uint32_t)bytes;
	return bytes;
}

static struct rig_call *call_take(struct rig_pair *pair)
{
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++) {
		struct rig_call *const call = &pair->call[i];

		if (call->is_used)
			continue;
		free(call->answer);
		memset(call, 0, sizeof(*call));
		call->pair = pair;
		call->index = i;
		call->is_used = true;
		return call;
	}
	fail_msg("no call record is free");
	return NULL;
}

struct rig_call *rig_call_push(struct rig_link *link, uint32_t shard, uint64_t function_id,
			       const struct rig_request *request)
{
	struct rig_pair *const pair = &link->pair[shard];
	struct weir_link_pair *const shm = &link->segment.pair[shard];
	struct rig_call *const call = call_take(pair);
	struct weir_link_call *const record = &shm->call[call->index];
	const uint64_t timeout_ms =
		request->timeout_ms != 0 ? request->timeout_ms : RIG_WAIT_MS;
	struct weir_message head = {.kind = WEIR_MESSAGE_HEAD};
	size_t size = 0;
	uint8_t *data = NULL;

	call->request = *request;
	call->sequence = ++link->rig->sequence;
	record->deadline_ns = weir_clock_now_ns() + timeout_ms * WEIR_NS_PER_MS;
	record->activation_high = UINT64_C(0x0123456789abcdef);
	record->activation_low = call->sequence;
	record->function_id = function_id;
	record->generation =
		request->generation != 0 ? request->generation : link->rig->generation;
	head.chunk = weir_chunk_take(&pair->arena, call->index,
				     request->is_streamed || request->body_bytes < 3000
					     ? WEIR_CHUNK_SMALL_BYTES
					     : WEIR_CHUNK_LARGE_BYTES);
	head.grant = weir_chunk_take(&pair->arena, call->index, 1);
	assert_true(head.chunk != WEIR_CHUNK_NONE && head.grant != WEIR_CHUNK_NONE);
	data = weir_segment_chunk(shm, head.chunk, &size);
	head.head_bytes = (uint32_t)head_write(data, request);
	assert_int_equal(weir_head_check_request(data, head.head_bytes), 0);
	head.bytes = head.head_bytes;
	if (!request->is_streamed) {
		assert_true(head.head_bytes + request->body_bytes <= size);
		if (request->body_bytes != 0)
			memcpy(data + head.head_bytes, request->body, request->body_bytes);
		head.bytes += (uint32_t)request->body_bytes;
		head.flags = WEIR_MESSAGE_FLAG_END;
		call->is_body_ended = true;
	}
	call->grants_out = 1;
	weir_call_queue(record, call->sequence);
	push(call, head);
	return call;
}

struct rig_call *rig_call(struct rig_link *link, uint32_t shard, uint64_t function_id,
			  const struct rig_request *request)
{
	struct rig_call *const call = rig_call_push(link, shard, function_id, request);

	rig_publish(link, shard);
	return call;
}

void rig_cancel(struct rig_call *call)
{
	push(call, (struct weir_message){.kind = WEIR_MESSAGE_CANCEL,
					 .chunk = WEIR_CHUNK_NONE,
					 .grant = WEIR_CHUNK_NONE});
	publish(call);
}

bool rig_recall(struct rig_call *call)
{
	struct weir_link_call *const record =
		&call->pair->link->segment.pair[call->pair->shard].call[call->index];

	if (!weir_call_recall(record, call->sequence))
		return false;
	(void)weir_chunk_give_all(&call->pair->arena, call->index);
	/* The record stays RECALLED until it is queued again, as a shard may do. */
	call->is_used = false;
	return true;
}

static void grant_push(struct rig_call *call)
{
	const uint32_t chunk =
		weir_chunk_take(&call->pair->arena, call->index, WEIR_CHUNK_LARGE_BYTES);

	assert_true(chunk != WEIR_CHUNK_NONE);
	call->grants_out++;
	push(call, (struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
					 .chunk = WEIR_CHUNK_NONE,
					 .grant = chunk});
}

void rig_grant(struct rig_call *call)
{
	call->request.is_grant_withheld = false;
	grant_push(call);
	publish(call);
}

/* Send body pieces while the window allows. */
static void body_push(struct rig_call *call)
{
	const struct rig_request *const request = &call->request;

	while (call->is_asked && !request->is_body_withheld && !call->is_body_ended &&
	       call->body_out < WINDOW) {
		struct weir_message data = {.kind = WEIR_MESSAGE_DATA,
					    .chunk = WEIR_CHUNK_NONE,
					    .grant = WEIR_CHUNK_NONE};
		const size_t rest = request->body_bytes - call->body_sent;
		size_t size = 0;
		uint8_t *place = NULL;

		if (rest == 0) {
			data.flags = WEIR_MESSAGE_FLAG_END;
		} else {
			data.chunk = weir_chunk_take(&call->pair->arena, call->index,
						     WEIR_CHUNK_LARGE_BYTES);
			assert_true(data.chunk != WEIR_CHUNK_NONE);
			place = weir_segment_chunk(
				&call->pair->link->segment.pair[call->pair->shard], data.chunk,
				&size);
			data.bytes = (uint32_t)(rest < size ? rest : size);
			memcpy(place, (const uint8_t *)request->body + call->body_sent,
			       data.bytes);
			call->body_sent += data.bytes;
			call->body_out++;
			/* Sometimes the last piece says so, sometimes an empty message does. */
			if (data.bytes == rest && call->sequence % 2 == 0)
				data.flags = WEIR_MESSAGE_FLAG_END;
		}
		call->is_body_ended = (data.flags & WEIR_MESSAGE_FLAG_END) != 0;
		push(call, data);
	}
}

void rig_body_go_on(struct rig_call *call)
{
	call->request.is_body_withheld = false;
	body_push(call);
	publish(call);
}

/* ---- messages from the worker ---- */

static void answer_append(struct rig_call *call, const uint8_t *data, size_t bytes)
{
	call->answer = realloc(call->answer, call->answer_bytes + bytes + 1);
	assert_non_null(call->answer);
	if (bytes != 0)
		memcpy(call->answer + call->answer_bytes, data, bytes);
	call->answer_bytes += bytes;
	call->answer[call->answer_bytes] = '\0';
	call->parts++;
}

static void head_take(struct rig_call *call, const uint8_t *data,
		      const struct weir_message *message)
{
	struct weir_response_head head;
	size_t used = 0;

	assert_false(call->is_head_seen);
	assert_true(message->head_bytes <= message->bytes);
	assert_int_equal(weir_head_check_response(data, message->head_bytes), 0);
	memcpy(&head, data, sizeof(head));
	assert_int_equal(head.bytes, message->head_bytes);
	call->is_head_seen = true;
	call->status = head.status;
	call->content_length = head.content_length;
	for (size_t i = 0; i < head.field_count; i++) {
		struct weir_head_field field;
		int written = 0;

		memcpy(&field, data + sizeof(head) + i * sizeof(field), sizeof(field));
		written = snprintf(call->fields + used, sizeof(call->fields) - used,
				   "%.*s: %.*s\n", field.name.bytes,
				   (const char *)data + field.name.offset, field.value.bytes,
				   (const char *)data + field.value.offset);
		assert_true(written > 0 && (size_t)written < sizeof(call->fields) - used);
		used += (size_t)written;
	}
	answer_append(call, data + message->head_bytes, message->bytes - message->head_bytes);
}

static void abort_take(struct rig_call *call, const uint8_t *data,
		       const struct weir_message *message)
{
	assert_true(message->code >= WEIR_ABORT_FAILED && message->code <= WEIR_ABORT_UNKNOWN);
	assert_true(message->bytes <= 200);
	call->abort_code = message->code;
	if (data != NULL)
		memcpy(call->abort_text, data, message->bytes);
	call->is_done = true;
}

static void credit_take(struct rig_call *call, const struct weir_message *message)
{
	if (message->chunk == WEIR_CHUNK_NONE) {
		assert_false(call->is_asked);
		assert_true(call->request.is_streamed);
		call->is_asked = true;
	} else {
		assert_true(call->body_out != 0);
		call->body_out--;
		assert_true(weir_chunk_give(&call->pair->arena, call->index, message->chunk));
	}
	body_push(call);
}

static void payload_take(struct rig_call *call, const uint8_t *data,
			 const struct weir_message *message)
{
	if (message->kind == WEIR_MESSAGE_HEAD) {
		assert_non_null(data);
		head_take(call, data, message);
	} else {
		assert_true(call->is_head_seen);
		answer_append(call, data, message->bytes);
	}
	if (data != NULL) {
		call->grants_out--;
		assert_true(weir_chunk_give(&call->pair->arena, call->index, message->chunk));
	}
	if ((message->flags & WEIR_MESSAGE_FLAG_END) != 0) {
		call->is_done = true;
		return;
	}
	while (!call->request.is_grant_withheld && call->grants_out < WINDOW)
		grant_push(call);
}

static void message_take(struct rig_pair *pair, const struct weir_message *message)
{
	struct weir_link_pair *const shm = &pair->link->segment.pair[pair->shard];
	struct rig_call *call = NULL;
	const uint8_t *data = NULL;
	size_t size = 0;

	assert_true(message->call < WEIR_PAIR_CALLS);
	call = &pair->call[message->call];
	assert_true(call->is_used && !call->is_done);
	assert_true(call->sequence == message->sequence);
	assert_int_equal(weir_call_peek(&shm->call[message->call], &(uint64_t){0}),
			 WEIR_CALL_RUNNING);
	if (message->chunk != WEIR_CHUNK_NONE) {
		assert_true(weir_chunk_is_held(&pair->arena, call->index, message->chunk));
		data = weir_segment_chunk(shm, message->chunk, &size);
	}
	assert_true(message->kind == WEIR_MESSAGE_CREDIT || message->bytes <= size);
	switch (message->kind) {
	case WEIR_MESSAGE_HEAD:
	case WEIR_MESSAGE_DATA:
		payload_take(call, data, message);
		break;
	case WEIR_MESSAGE_END:
		assert_true(call->is_head_seen);
		call->is_done = true;
		break;
	case WEIR_MESSAGE_ABORT:
		abort_take(call, data, message);
		break;
	case WEIR_MESSAGE_CREDIT:
		credit_take(call, message);
		break;
	default:
		fail_msg("the worker sent a message of kind %u", message->kind);
	}
	if (call->is_done) {
		(void)weir_chunk_give_all(&pair->arena, call->index);
		weir_call_release(&shm->call[call->index], call->sequence);
	}
}

static bool pairs_drain(struct rig *rig)
{
	bool is_worked = false;

	for (size_t i = 0; i < RIG_LINKS_MAX; i++) {
		struct rig_link *const link = &rig->link[i];

		for (uint32_t k = 0; link->is_open && k < link->shard_count; k++) {
			struct weir_message message;
			int result = weir_ring_pop(&link->pair[k].rx, &message);

			while (result == 1) {
				is_worked = true;
				message_take(&link->pair[k], &message);
				result = weir_ring_pop(&link->pair[k].rx, &message);
			}
			assert_int_equal(result, 0);
			weir_ring_release(&link->pair[k].rx);
			rig_publish(link, k);
		}
	}
	return is_worked;
}

/* Sleep as the shards do: only the eventfds and the control socket wake. */
static void sleep_once(struct rig *rig, int ms)
{
	struct pollfd fds[2 + RIG_LINKS_MAX * RIG_SHARDS_MAX];
	nfds_t count = 0;
	bool is_empty = true;
	uint64_t rung = 0;

	fds[count++] = (struct pollfd){.fd = rig->socket_fd, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = rig->pid_fd, .events = POLLIN};
	for (size_t i = 0; i < RIG_LINKS_MAX; i++) {
		struct rig_link *const link = &rig->link[i];

		for (uint32_t k = 0; link->is_open && k < link->shard_count; k++) {
			weir_shard_sleep_begin(&link->board->shard[k]);
			is_empty = is_empty && weir_ring_is_empty(&link->pair[k].rx);
			fds[count++] =
				(struct pollfd){.fd = link->event_fd[k], .events = POLLIN};
		}
	}
	if (is_empty)
		(void)poll(fds, count, ms);
	for (size_t i = 0; i < RIG_LINKS_MAX; i++) {
		struct rig_link *const link = &rig->link[i];

		for (uint32_t k = 0; link->is_open && k < link->shard_count; k++) {
			weir_shard_sleep_end(&link->board->shard[k]);
			(void)!read(link->event_fd[k], &rung, sizeof(rung));
		}
	}
}

void rig_turn(struct rig *rig, int ms)
{
	if (!pairs_drain(rig))
		sleep_once(rig, ms);
	(void)pairs_drain(rig);
	control_drain(rig);
}

void rig_wait(struct rig *rig, bool (*condition)(void *argument), void *argument,
	      const char *what)
{
	const uint64_t end_ns = weir_clock_now_ns() + RIG_WAIT_MS * WEIR_NS_PER_MS;

	while (!condition(argument)) {
		if (weir_clock_now_ns() > end_ns) {
			char *const text = rig_stderr(rig);

			fail_msg("waited in vain for %s; the worker said:\n%s", what, text);
		}
		rig_turn(rig, 100);
	}
}

static bool is_done(void *argument)
{
	const struct rig_call *const call = argument;

	return call->is_done;
}

void rig_wait_done(struct rig_call *call)
{
	rig_wait(call->pair->link->rig, is_done, call, "a call's last message");
}

void rig_call_free(struct rig_call *call)
{
	assert_true(call->is_done);
	free(call->answer);
	call->answer = NULL;
	call->is_used = false;
}

struct rig_call *rig_invoke(struct rig_link *link, uint64_t function_id,
			    const struct rig_request *request)
{
	struct rig_call *const call = rig_call(link, 0, function_id, request);

	rig_wait_done(call);
	return call;
}

int rig_wait_exit(struct rig *rig)
{
	struct pollfd fd = {.fd = rig->pid_fd, .events = POLLIN};
	int status = 0;

	assert_int_equal(poll(&fd, 1, RIG_WAIT_MS), 1);
	assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
	rig->pid = 0;
	return status;
}

/* A sanitizer's report in the worker is a failure of the test that caused it. */
static void stderr_check(struct rig *rig)
{
	char *const text = rig_stderr(rig);

	if (strstr(text, "Sanitizer") != NULL || strstr(text, "runtime error:") != NULL)
		fail_msg("the worker said:\n%s", text);
	free(text);
}

void rig_stop(struct rig *rig)
{
	const struct weir_control stop = {.kind = WEIR_CONTROL_STOP};

	if (rig->pid != 0) {
		assert_int_equal(weir_control_send(rig->socket_fd, &stop, NULL, 0), 0);
		assert_int_equal(rig_wait_exit(rig), 0);
	}
	for (size_t i = 0; i < RIG_LINKS_MAX; i++)
		link_free(&rig->link[i]);
	weir_fd_close(&rig->pid_fd);
	weir_fd_close(&rig->socket_fd);
	stderr_check(rig);
	weir_fd_close(&rig->stderr_fd);
}

char *rig_stderr(struct rig *rig)
{
	enum { TEXT_BYTES_MAX = 1 << 20 };
	char *const text = calloc(1, TEXT_BYTES_MAX + 1);

	assert_non_null(text);
	assert_true(pread(rig->stderr_fd, text, TEXT_BYTES_MAX, 0) >= 0);
	return text;
}

void rig_assert_answer(const struct rig_call *call, uint32_t status, const char *body)
{
	assert_true(call->is_done);
	if (call->abort_code != 0)
		fail_msg("aborted with code %u: %s", call->abort_code, call->abort_text);
	assert_int_equal(call->status, status);
	assert_string_equal((const char *)call->answer, body);
	if (call->content_length != WEIR_HEAD_LENGTH_UNKNOWN)
		assert_int_equal(call->content_length, call->answer_bytes);
}
