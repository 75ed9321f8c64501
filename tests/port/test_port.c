/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/port/port.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/head_check.h"
#include "dataplane/shm/shard_board.h"

enum {
	SHARDS = 2,
	REQUEST = 0,
	GRANT = 1
}; /* chunks: request in the first, answer in the second */

/* Both ends of one link in one process. */
struct fixture {
	struct weir_port port;
	struct weir_port_link *link;
	struct weir_segment segment; /* the shards' mapping */
	struct weir_shard_board *board;
	struct weir_ring_tx tx[SHARDS];
	struct weir_ring_rx rx[SHARDS];
	int segment_fd;
	int board_fd;
	int event_fd[SHARDS];
	uint64_t sequence;
	uint32_t woken;
	struct weir_port_call *woken_call;
};

static void wake(void *context, struct weir_port_call *call)
{
	struct fixture *const fixture = context;

	fixture->woken++;
	fixture->woken_call = call;
}

static struct weir_port_link *link_make(struct fixture *fixture, uint64_t link_id)
{
	struct weir_port_link *link = NULL;
	int segment_fd = -1;
	int fds[SHARDS];

	assert_int_equal(weir_segment_create(link_id, 1, SHARDS, &segment_fd), 0);
	for (size_t i = 0; i < SHARDS; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(
		weir_port_link_create(segment_fd, fixture->board_fd, fds, SHARDS, &link), 0);
	weir_fd_close(&segment_fd);
	return link;
}

static int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));
	int fds[SHARDS];

	assert_non_null(fixture);
	assert_int_equal(weir_segment_create(9, 1, SHARDS, &fixture->segment_fd), 0);
	assert_int_equal(weir_segment_attach(fixture->segment_fd, &fixture->segment), 0);
	assert_int_equal(weir_shard_board_create(&fixture->board_fd, &fixture->board), 0);
	for (size_t i = 0; i < SHARDS; i++) {
		fixture->event_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fds[i] = dup(fixture->event_fd[i]);
		weir_ring_tx_open(&fixture->tx[i], &fixture->segment.pair[i].to_worker);
		weir_ring_rx_open(&fixture->rx[i], &fixture->segment.pair[i].to_shard);
	}
	assert_int_equal(weir_port_link_create(fixture->segment_fd, fixture->board_fd, fds,
					       SHARDS, &fixture->link),
			 0);
	weir_port_open(&fixture->port, 4, wake, fixture);
	assert_int_equal(weir_port_link_add(&fixture->port, fixture->link), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *const fixture = *state;

	weir_port_link_destroy(fixture->link);
	weir_segment_detach(&fixture->segment);
	weir_shard_board_detach(fixture->board);
	weir_fd_close(&fixture->segment_fd);
	weir_fd_close(&fixture->board_fd);
	weir_fd_close_all(fixture->event_fd, SHARDS);
	free(fixture);
	return 0;
}

/* ---- the shard's side ---- */

static uint8_t *chunk_of(struct fixture *fixture, uint32_t shard, uint32_t ref)
{
	size_t bytes = 0;
	uint8_t *const data = weir_segment_chunk(&fixture->segment.pair[shard], ref, &bytes);

	assert_non_null(data);
	return data;
}

static void push(struct fixture *fixture, uint32_t shard, struct weir_message message)
{
	assert_true(weir_ring_push(&fixture->tx[shard], &message, 0));
	(void)weir_ring_publish(&fixture->tx[shard]);
}

/* Queue call record `index` with a minimal head and `body` behind it; returns its HEAD. */
static struct weir_message call_queue(struct fixture *fixture, uint32_t shard, uint16_t index,
				      const char *body)
{
	const struct weir_request_head head = {.bytes = sizeof(head), .minor = 1};
	uint8_t *const data = chunk_of(fixture, shard, REQUEST);
	struct weir_link_call *const record = &fixture->segment.pair[shard].call[index];
	const struct weir_message message = {
		.kind = WEIR_MESSAGE_HEAD,
		.flags = WEIR_MESSAGE_FLAG_END,
		.call = index,
		.chunk = REQUEST,
		.sequence = ++fixture->sequence,
		.bytes = (uint32_t)(sizeof(head) + strlen(body)),
		.head_bytes = sizeof(head),
		.grant = GRANT,
	};

	memcpy(data, &head, sizeof(head));
	memcpy(data + sizeof(head), body, strlen(body));
	record->deadline_ns = 123;
	record->activation_high = 4;
	record->activation_low = 5;
	record->function_id = 6;
	record->generation = 7;
	weir_call_queue(record, message.sequence);
	return message;
}

static struct weir_message call_send(struct fixture *fixture, uint16_t index, const char *body)
{
	const struct weir_message message = call_queue(fixture, 0, index, body);

	push(fixture, 0, message);
	return message;
}

/* A started call. */
static struct weir_port_call *call_start(struct fixture *fixture, const char *body)
{
	struct weir_port_call *call = NULL;
	int result = -EAGAIN;

	(void)call_send(fixture, 3, body);
	while (result == -EAGAIN) /* the end of a turn */
		result = weir_port_next(&fixture->port, true, &call);
	assert_int_equal(result, 1);
	return call;
}

/* A started call whose body comes later. */
static struct weir_port_call *call_start_streamed(struct fixture *fixture)
{
	struct weir_message message = call_queue(fixture, 0, 3, "");
	struct weir_port_call *call = NULL;

	message.flags = 0;
	push(fixture, 0, message);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	return call;
}

static struct weir_message answer_pop(struct fixture *fixture)
{
	struct weir_message message = {0};

	weir_port_publish(&fixture->port);
	assert_int_equal(weir_ring_pop(&fixture->rx[0], &message), 1);
	weir_ring_release(&fixture->rx[0]);
	return message;
}

static void no_answer(struct fixture *fixture)
{
	struct weir_message message = {0};

	weir_port_publish(&fixture->port);
	assert_int_equal(weir_ring_pop(&fixture->rx[0], &message), 0);
}

static void deliver(struct fixture *fixture, const struct weir_port_call *call, uint8_t kind,
		    uint32_t chunk, uint32_t grant, uint32_t bytes, uint8_t flags)
{
	struct weir_port_call *other = NULL;
	int result = -EAGAIN;

	push(fixture, 0,
	     (struct weir_message){.kind = kind,
				   .flags = flags,
				   .call = call->index,
				   .sequence = call->sequence,
				   .chunk = chunk,
				   .grant = grant,
				   .bytes = bytes});
	while (result == -EAGAIN)
		result = weir_port_next(&fixture->port, true, &other);
	assert_int_equal(result, 0);
}

static void write_text(struct weir_port_call *call, const char *text)
{
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_true(room >= strlen(text));
	memcpy(place, text, strlen(text));
	assert_int_equal(weir_port_call_commit(call, strlen(text)), 0);
}

/* ---- links ---- */

static void a_link_that_does_not_fit_is_refused_and_keeps_nothing(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_link *link = NULL;
	int fds[SHARDS] = {-1, -1};

	assert_int_equal(
		weir_port_link_create(fixture->segment_fd, fixture->board_fd, fds, 1, &link),
		-EBADMSG);
	assert_int_equal(
		weir_port_link_create(fixture->board_fd, fixture->board_fd, fds, SHARDS, &link),
		-EBADMSG);
	assert_int_equal(weir_port_link_create(fixture->segment_fd, fixture->segment_fd, fds,
					       SHARDS, &link),
			 -EBADMSG);
	assert_null(link);
}

static void links_are_limited_named_once_and_taken_when_closed_and_idle(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_link *links[WEIR_PORT_LINKS_MAX];
	struct weir_port_link *taken = NULL;
	struct weir_port_link *extra = link_make(fixture, 9);

	assert_int_equal(weir_port_link_add(&fixture->port, extra), -EEXIST);
	weir_port_link_destroy(extra);
	for (size_t i = 1; i < WEIR_PORT_LINKS_MAX; i++) {
		links[i] = link_make(fixture, 10 + i);
		assert_int_equal(weir_port_link_add(&fixture->port, links[i]), 0);
	}
	extra = link_make(fixture, 99);
	assert_int_equal(weir_port_link_add(&fixture->port, extra), -ENOSPC);
	weir_port_link_destroy(extra);
	assert_int_equal(weir_port_link_close(&fixture->port, 98), -ENOENT);
	assert_int_equal(weir_port_link_take(&fixture->port, 98, &taken), -ENOENT);
	assert_int_equal(weir_port_link_take(&fixture->port, 11, &taken), -EBUSY);
	for (size_t i = 1; i < WEIR_PORT_LINKS_MAX; i++) {
		assert_int_equal(weir_port_link_close(&fixture->port, 10 + i), 0);
		assert_int_equal(weir_port_link_take(&fixture->port, 10 + i, &taken), 0);
		assert_ptr_equal(taken, links[i]);
		weir_port_link_destroy(taken);
	}
}

static void closing_cancels_what_runs_and_leaves_what_waits_to_its_shard(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	const struct weir_message waiting = call_send(fixture, 4, "");
	struct weir_port_link *taken = NULL;
	struct weir_port_call *other = NULL;

	assert_int_equal(weir_port_next(&fixture->port, false, &other), -EAGAIN);
	assert_true(weir_port_has_backlog(&fixture->port));
	assert_int_equal(weir_port_link_close(&fixture->port, 9), 0);
	assert_ptr_equal(fixture->woken_call, call);
	assert_true(call->is_cancelled);
	assert_false(weir_port_has_backlog(&fixture->port));
	assert_int_equal(weir_port_next(&fixture->port, true, &other), 0);
	assert_true(weir_call_recall(&fixture->segment.pair[0].call[4], waiting.sequence));
	assert_int_equal(weir_port_link_take(&fixture->port, 9, &taken), -EBUSY);
	assert_true(weir_port_call_finish(call));
	assert_int_equal(weir_port_link_take(&fixture->port, 9, &taken), 0);
	assert_ptr_equal(taken, fixture->link);
	assert_int_equal(answer_pop(fixture).code, WEIR_ABORT_CANCELLED); /* still told */
}

static void a_ring_whose_index_lies_closes_its_link(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = NULL;

	atomic_store(&fixture->segment.pair[1].to_worker.tail, WEIR_RING_CELLS + 1);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), -EBADMSG);
	assert_true(fixture->link->is_closing);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 0);
}

/* ---- taking calls ---- */

static void a_call_carries_what_its_record_says(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "abc");
	struct weir_span piece = {0};

	assert_int_equal(call->deadline_ns, 123);
	assert_int_equal(call->activation_high, 4);
	assert_int_equal(call->activation_low, 5);
	assert_int_equal(call->function_id, 6);
	assert_int_equal(call->generation, 7);
	assert_null(call->context);
	assert_true(call->is_body_complete);
	assert_int_equal(weir_port_call_body_peek(call, &piece), 1);
	assert_int_equal(piece.bytes, 3);
	assert_memory_equal(piece.data, "abc", 3);
	weir_port_call_body_consume(call, 2);
	assert_int_equal(weir_port_call_body_peek(call, &piece), 1);
	assert_int_equal(piece.bytes, 1);
	weir_port_call_body_consume(call, 1);
	assert_int_equal(weir_port_call_body_peek(call, &piece), 0);
	no_answer(fixture); /* the request's own chunk is not given back before the end */
}

static void a_stale_head_is_dropped_and_the_newer_one_of_its_record_starts(void **state)
{
	struct fixture *const fixture = *state;
	const struct weir_message stale = call_send(fixture, 3, "old");
	struct weir_port_call *call = NULL;
	struct weir_message newer = {0};

	assert_int_equal(weir_port_next(&fixture->port, false, &call), -EAGAIN);
	assert_true(weir_call_recall(&fixture->segment.pair[0].call[3], stale.sequence));
	newer = call_send(fixture, 3, "new");
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	assert_int_equal(call->sequence, newer.sequence);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), -EAGAIN);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 0);
	assert_int_equal(fixture->port.call_count, 1);
}

static void waiting_heads_start_in_their_order(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = NULL;

	for (uint16_t i = 0; i < 5; i++)
		(void)call_send(fixture, (uint16_t)(20 - i), "");
	while (weir_port_next(&fixture->port, false, &call) == -EAGAIN)
		;
	for (uint16_t i = 0; i < 5; i++) {
		int result = weir_port_next(&fixture->port, true, &call);

		if (result == -EAGAIN)
			result = weir_port_next(&fixture->port, true, &call);
		assert_int_equal(result, 1);
		assert_int_equal(call->index, 20 - i);
	}
}

static void pairs_take_turns_of_bounded_length(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = NULL;
	uint32_t started[SHARDS] = {0};

	for (uint16_t i = 0; i < 100; i++)
		push(fixture, 0, call_queue(fixture, 0, i, ""));
	push(fixture, 1, call_queue(fixture, 1, 0, ""));
	while (started[1] == 0) {
		const int result = weir_port_next(&fixture->port, true, &call);

		assert_true(result == 1 || result == -EAGAIN);
		if (result != 1)
			continue;
		started[call->pair->shard]++;
		assert_true(weir_port_call_finish(call));
	}
	assert_true(started[0] <= WEIR_PORT_BATCH);
}

static void no_more_calls_start_than_there_are_places(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *calls[WEIR_PORT_CALLS_MAX] = {NULL};
	struct weir_port_call *call = NULL;
	size_t count = 0;
	int result = -EAGAIN;

	for (uint16_t i = 0; i < WEIR_PORT_CALLS_MAX + 5; i++)
		(void)call_send(fixture, i, "");
	while (result != 0) {
		result = weir_port_next(&fixture->port, true, &call);
		if (result == 1)
			calls[count++] = call;
	}
	assert_int_equal(count, WEIR_PORT_CALLS_MAX);
	assert_true(weir_port_has_backlog(&fixture->port));
	assert_true(weir_port_call_finish(calls[7]));
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	assert_ptr_equal(call, calls[7]);
}

static void damaged_heads_are_aborted_and_nonsense_is_dropped(void **state)
{
	static const struct {
		uint32_t chunk;
		uint32_t bytes;
		uint32_t head_bytes;
		uint32_t grant;
	} cases[] = {
		{100000, 56, 56, GRANT},          /* no such chunk */
		{WEIR_CHUNK_NONE, 56, 56, GRANT}, /* none */
		{REQUEST, 5000, 56, GRANT},       /* longer than its chunk */
		{REQUEST, 56, 57, GRANT},         /* head longer than all */
		{REQUEST, 56, 55, GRANT},         /* head shorter than a head */
		{REQUEST, 56, 56,
		 WEIR_PAIR_CHUNKS_SMALL + WEIR_PAIR_CHUNKS_LARGE}, /* no such grant */
	};
	struct fixture *const fixture = *state;
	struct weir_port_call *call = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_message message = call_queue(fixture, 0, (uint16_t)i, "");

		message.chunk = cases[i].chunk;
		message.bytes = cases[i].bytes;
		message.head_bytes = cases[i].head_bytes;
		message.grant = cases[i].grant;
		push(fixture, 0, message);
		assert_int_equal(weir_port_next(&fixture->port, true, &call), -EAGAIN);
		message = answer_pop(fixture);
		assert_int_equal(message.kind, WEIR_MESSAGE_ABORT);
		assert_int_equal(message.code, WEIR_ABORT_FAILED);
		assert_int_equal(message.call, i);
	}
	assert_int_equal(fixture->port.refused, sizeof(cases) / sizeof(cases[0]));
	push(fixture, 0,
	     (struct weir_message){.kind = WEIR_MESSAGE_HEAD, .call = WEIR_PAIR_CALLS});
	push(fixture, 0,
	     (struct weir_message){.kind = 200, .call = 9}); /* of no running call */
	assert_int_equal(weir_port_next(&fixture->port, true, &call), -EAGAIN);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 0);
	no_answer(fixture);
}

static void messages_of_an_ended_call_are_dropped(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_port_call earlier = *call; /* the record's use before this one */

	earlier.sequence--;
	deliver(fixture, &earlier, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_false(call->is_cancelled);
	assert_int_equal(fixture->woken, 0);
	assert_true(weir_port_call_finish(call));
	deliver(fixture, call, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_int_equal(fixture->woken, 0);
}

/* ---- body ---- */

static void a_body_is_asked_for_once_and_its_chunks_go_back(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start_streamed(fixture);
	struct weir_span piece = {0};
	struct weir_message message = {0};

	assert_int_equal(weir_port_call_body_peek(call, &piece), -EAGAIN);
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_CREDIT);
	assert_int_equal(message.chunk, WEIR_CHUNK_NONE);
	assert_int_equal(message.sequence, call->sequence);
	assert_int_equal(weir_port_call_body_peek(call, &piece), -EAGAIN);
	no_answer(fixture);
	memcpy(chunk_of(fixture, 0, 2), "hello", 5);
	deliver(fixture, call, WEIR_MESSAGE_DATA, 2, WEIR_CHUNK_NONE, 5, 0);
	assert_int_equal(fixture->woken, 1);
	assert_int_equal(weir_port_call_body_peek(call, &piece), 1);
	assert_memory_equal(piece.data, "hello", 5);
	weir_port_call_body_consume(call, 5);
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_CREDIT);
	assert_int_equal(message.chunk, 2);
	deliver(fixture, call, WEIR_MESSAGE_DATA, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0,
		WEIR_MESSAGE_FLAG_END);
	assert_int_equal(weir_port_call_body_peek(call, &piece), 0);
}

static void data_and_grants_that_make_no_sense_are_refused(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start_streamed(fixture);

	deliver(fixture, call, WEIR_MESSAGE_DATA, 99999, WEIR_CHUNK_NONE, 1, 0);
	deliver(fixture, call, WEIR_MESSAGE_DATA, 2, WEIR_CHUNK_NONE,
		WEIR_CHUNK_SMALL_BYTES + 1, 0);
	deliver(fixture, call, WEIR_MESSAGE_DATA, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 1, 0);
	deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, 99999, 0, 0);
	deliver(fixture, call, WEIR_MESSAGE_END, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_int_equal(fixture->port.refused, 5);
	assert_int_equal(fixture->woken, 0);
	for (uint32_t i = 0; i < WEIR_PORT_CALL_QUEUE + 1U; i++)
		deliver(fixture, call, WEIR_MESSAGE_DATA, 10 + i, WEIR_CHUNK_NONE, 1, 0);
	assert_int_equal(fixture->port.refused, 6); /* one more than there is place for */
	deliver(fixture, call, WEIR_MESSAGE_DATA, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0,
		WEIR_MESSAGE_FLAG_END);
	deliver(fixture, call, WEIR_MESSAGE_DATA, 20, WEIR_CHUNK_NONE, 1, 0);
	assert_int_equal(fixture->port.refused, 7); /* after the end */
}

static void cancel_stops_every_operation_but_the_last(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "abc");
	struct weir_span piece = {0};
	uint8_t *place = NULL;
	size_t room = 0;

	deliver(fixture, call, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_ptr_equal(fixture->woken_call, call);
	assert_int_equal(weir_port_call_body_peek(call, &piece), -ECANCELED);
	assert_int_equal(weir_port_call_status(call, 200), -ECANCELED);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("b")),
			 -ECANCELED);
	assert_int_equal(weir_port_call_length(call, 1), -ECANCELED);
	assert_int_equal(weir_port_call_room(call, &place, &room), -ECANCELED);
	assert_int_equal(weir_port_call_commit(call, 0), -ECANCELED);
	assert_int_equal(weir_port_call_flush(call), -ECANCELED);
	assert_true(weir_port_call_finish(call));
	assert_int_equal(answer_pop(fixture).code, WEIR_ABORT_CANCELLED);
}

/* ---- answer ---- */

static void status_and_fields_are_checked_and_then_sealed(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");

	assert_int_equal(weir_port_call_status(call, 199), -EINVAL);
	assert_int_equal(weir_port_call_status(call, 600), -EINVAL);
	assert_int_equal(weir_port_call_status(call, 404), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN(""), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a b"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a\0"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a:"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\r\ny: z")),
			 -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\0")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\x7f")),
			 -EINVAL);
	assert_int_equal(call->refused, 9);
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("X-Tab!"), WEIR_SPAN("x\ty \xc3\xa9")), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("x-empty"), WEIR_SPAN("")), 0);
	write_text(call, "body");
	assert_int_equal(weir_port_call_status(call, 200), -EALREADY);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("b")), -EALREADY);
	assert_int_equal(weir_port_call_length(call, 3), -EINVAL);
	assert_int_equal(weir_port_call_length(call, 4), 0); /* not sent yet */
	assert_int_equal(weir_port_call_flush(call), 0);
	assert_int_equal(weir_port_call_length(call, 4), -EALREADY);
	assert_true(weir_port_call_finish(call));
}

static void a_head_has_at_most_4_kib_and_64_fields(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = call_start(fixture, "");
	char value[4096];
	const size_t left =
		4096 - sizeof(struct weir_response_head) - sizeof(struct weir_head_field) - 1;
	struct weir_message message = {0};

	memset(value, 'v', sizeof(value));
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("a"), (struct weir_span){value, left + 1}),
		-ENOSPC);
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("a"), (struct weir_span){value, left}), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("b"), WEIR_SPAN("")), -ENOSPC);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.head_bytes, 4096);
	assert_int_equal(weir_head_check_response(chunk_of(fixture, 0, GRANT), 4096), 0);
	call = call_start(fixture, "");
	for (int i = 0; i < WEIR_HEAD_RESPONSE_FIELDS_MAX; i++)
		assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), WEIR_SPAN("v")), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), WEIR_SPAN("v")), -ENOSPC);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(
		weir_head_check_response(chunk_of(fixture, 0, GRANT), message.head_bytes), 0);
}

/* Every byte at every place of a field: what RFC 9110 allows passes, nothing else does. */
static void each_byte_of_a_field_is_checked(void **state)
{
	struct fixture *const fixture = *state;
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (int c = 0; c < 256; c++) {
		const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				     (c >= 'A' && c <= 'Z') ||
				     (c != 0 && strchr(others, c) != NULL);
		const bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
		struct weir_port_call *const call = call_start(fixture, "");

		for (size_t at = 0; at < 21; at++) {
			char text[21];
			const struct weir_span span = {text, sizeof(text)};

			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			assert_int_equal(weir_port_call_field(call, span, WEIR_SPAN("v")),
					 is_word ? 0 : -EINVAL);
			assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), span),
					 is_value ? 0 : -EINVAL);
		}
		weir_port_call_abort(call, WEIR_ABORT_FAILED, (struct weir_span){0});
		(void)answer_pop(fixture);
	}
}

enum { FIELD_COUNTS = WEIR_HEAD_RESPONSE_FIELDS_MAX + 1 };

static struct weir_span sample(char *out, size_t bytes, char first)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (char)(first + (char)(i % 20));
	return (struct weir_span){out, bytes};
}

/* Set `count` fields of many lengths. */
static void fields_set(struct weir_port_call *call, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[40];
		char value[40];

		assert_int_equal(weir_port_call_field(call, sample(name, 1 + i % 20, 'a'),
						      sample(value, i % 25, 'A')),
				 0);
	}
}

/* The answer's head in GRANT has those fields, and `body` stands behind it. */
static void fields_check(struct fixture *fixture, struct weir_message message, size_t count,
			 const char *body)
{
	const uint8_t *const data = chunk_of(fixture, 0, GRANT);
	struct weir_response_head head;

	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(weir_head_check_response(data, message.head_bytes), 0);
	memcpy(&head, data, sizeof(head));
	assert_int_equal(head.field_count, count);
	for (size_t i = 0; i < count; i++) {
		struct weir_head_field field;
		char text[40];

		memcpy(&field, data + sizeof(head) + i * sizeof(field), sizeof(field));
		assert_int_equal(field.name.bytes, 1 + i % 20);
		assert_memory_equal(data + field.name.offset,
				    sample(text, 1 + i % 20, 'a').data, 1 + i % 20);
		assert_int_equal(field.value.bytes, i % 25);
		assert_memory_equal(data + field.value.offset, sample(text, i % 25, 'A').data,
				    i % 25);
	}
	assert_int_equal(message.bytes, message.head_bytes + strlen(body));
	assert_memory_equal(data + message.head_bytes, body, strlen(body));
}

static void fields_keep_their_bytes_however_many_follow(void **state)
{
	struct fixture *const fixture = *state;

	for (size_t count = 0; count < FIELD_COUNTS; count++) {
		struct weir_port_call *const call = call_start(fixture, "");

		fields_set(call, count);
		write_text(call, "the body");
		assert_true(weir_port_call_finish(call));
		fields_check(fixture, answer_pop(fixture), count, "the body");
	}
}

static void fields_may_be_set_before_there_is_a_grant(void **state)
{
	struct fixture *const fixture = *state;

	for (size_t count = 1; count < FIELD_COUNTS; count += 5) {
		struct weir_message message = call_queue(fixture, 0, 3, "");
		struct weir_port_call *call = NULL;

		message.grant = WEIR_CHUNK_NONE;
		push(fixture, 0, message);
		assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
		fields_set(call, count);
		assert_int_equal(weir_port_call_flush(call), -EAGAIN);
		deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, GRANT, 0, 0);
		write_text(call, "late");
		assert_true(weir_port_call_finish(call));
		fields_check(fixture, answer_pop(fixture), count, "late");
	}
}

static void appending_takes_what_fits_and_was_announced(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	static char text[5000];
	struct weir_message message = {0};
	size_t taken = 0;

	memset(text, 't', sizeof(text));
	assert_int_equal(weir_port_call_length(call, 4500), 0);
	assert_int_equal(weir_port_call_append(call, text, sizeof(text), &taken), 0);
	assert_int_equal(taken, 4096 - sizeof(struct weir_response_head));
	assert_int_equal(weir_port_call_append(call, text, 1, &taken), -EAGAIN); /* no grant */
	message = answer_pop(fixture);
	assert_int_equal(message.bytes, 4096);
	assert_memory_equal(chunk_of(fixture, 0, GRANT) + message.head_bytes, text,
			    4096 - message.head_bytes);
	deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, WEIR_PAIR_CHUNKS_SMALL, 0,
		0);
	assert_int_equal(weir_port_call_append(call, text, 4500 - 4080 + 1, &taken), -EMSGSIZE);
	assert_int_equal(weir_port_call_append(call, text, 4500 - 4080, &taken), 0);
	assert_int_equal(taken, 4500 - 4080);
	deliver(fixture, call, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_int_equal(weir_port_call_append(call, text, 1, &taken), -ECANCELED);
	assert_true(weir_port_call_finish(call));
}

static void a_full_chunk_is_sent_only_when_more_follows(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(room, 4096 - sizeof(struct weir_response_head));
	assert_int_equal(weir_port_call_commit(call, room + 1), -EINVAL);
	memset(place, 'a', room);
	assert_int_equal(weir_port_call_commit(call, room), 0);
	no_answer(fixture);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EAGAIN); /* no grant */
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(message.flags, 0);
	assert_int_equal(message.chunk, GRANT);
	assert_int_equal(message.bytes, 4096);
	assert_int_equal(weir_port_call_commit(call, 1), -EINVAL);
	deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, WEIR_PAIR_CHUNKS_SMALL, 0,
		0);
	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(room, WEIR_CHUNK_LARGE_BYTES);
	assert_int_equal(weir_port_call_commit(call, 10), 0);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_DATA);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(message.bytes, 10);
	no_answer(fixture);
}

static void a_flushed_answer_ends_with_an_empty_message(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};

	assert_int_equal(weir_port_call_flush(call), 0); /* the head alone */
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(message.bytes, message.head_bytes);
	assert_int_equal(weir_port_call_flush(call), 0); /* nothing to send */
	no_answer(fixture);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_END);
	assert_int_equal(message.chunk, WEIR_CHUNK_NONE);
	assert_int_equal(fixture->port.call_count, 0);
}

static void a_wrong_length_is_refused_or_costs_the_call(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = call_start(fixture, "");
	struct weir_message message = {0};
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_length(call, WEIR_HEAD_LENGTH_UNKNOWN), -EINVAL);
	assert_int_equal(weir_port_call_length(call, 3), 0);
	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(weir_port_call_commit(call, 4), -EMSGSIZE);
	assert_int_equal(weir_port_call_commit(call, 2), 0);
	assert_int_equal(weir_port_call_commit(call, 2), -EMSGSIZE);
	assert_false(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_ABORT);
	assert_int_equal(message.code, WEIR_ABORT_GARBAGE);
	assert_int_equal(message.chunk, GRANT);
	assert_memory_equal(chunk_of(fixture, 0, GRANT), "the function's answer", 21);
}

static void answers_without_body_take_none(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};
	struct weir_response_head head;
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_status(call, 204), 0);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EINVAL);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	memcpy(&head, chunk_of(fixture, 0, message.chunk), sizeof(head));
	assert_int_equal(head.status, 204);
	assert_int_equal(head.content_length, 0);
	assert_int_equal(message.bytes, sizeof(head));
}

static void without_any_grant_the_call_can_only_wait_or_fail(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_message message = call_queue(fixture, 0, 3, "");
	struct weir_port_call *call = NULL;
	uint8_t *place = NULL;
	size_t room = 0;

	message.grant = WEIR_CHUNK_NONE;
	push(fixture, 0, message);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EAGAIN);
	assert_int_equal(weir_port_call_flush(call), -EAGAIN);
	assert_false(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.code, WEIR_ABORT_FAILED);
	assert_int_equal(message.chunk, WEIR_CHUNK_NONE); /* nowhere to put a text */
}

static void abort_texts_are_cut_at_200_bytes(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	char text[300];
	struct weir_message message = {0};

	memset(text, 't', sizeof(text));
	weir_port_call_abort(call, WEIR_ABORT_LOAD, (struct weir_span){text, sizeof(text)});
	message = answer_pop(fixture);
	assert_int_equal(message.code, WEIR_ABORT_LOAD);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(message.bytes, 200);
	assert_memory_equal(chunk_of(fixture, 0, message.chunk), text, 200);
}

/* ---- bells and lines ---- */

static void a_sleeping_shard_is_rung_once_for_a_batch(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = NULL;
	uint64_t rung = 0;

	weir_shard_sleep_begin(&fixture->board->shard[0]);
	for (uint16_t i = 0; i < 3; i++) {
		(void)call_send(fixture, i, "");
		while (weir_port_next(&fixture->port, true, &call) != 1)
			;
		assert_true(weir_port_call_finish(call));
	}
	assert_true(weir_port_is_dirty(&fixture->port));
	assert_int_equal(read(fixture->event_fd[0], &rung, sizeof(rung)), -1);
	weir_port_publish(&fixture->port);
	weir_port_publish(&fixture->port);
	assert_false(weir_port_is_dirty(&fixture->port));
	assert_int_equal(read(fixture->event_fd[0], &rung, sizeof(rung)), sizeof(rung));
	assert_int_equal(rung, 1);
	assert_int_equal(read(fixture->event_fd[1], &rung, sizeof(rung)), -1);
}

static void the_line_counts_and_shares_the_places_to_park_between_links(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_link_header *const line = fixture->segment.header;
	struct weir_port_link *const other = link_make(fixture, 10);
	struct weir_port_link *taken = NULL;
	struct weir_port_call *const call = call_start(fixture, "");

	assert_int_equal(weir_port_link_add(&fixture->port, other), 0);
	weir_port_service(&fixture->port, 77);
	assert_int_equal(atomic_load(&line->service_ns), 77);
	assert_int_equal(atomic_load(&line->accepted), 1);
	weir_port_park(&fixture->port, call);
	assert_int_equal(atomic_load(&line->parked), 1);
	assert_int_equal(atomic_load(&line->parked_max), 4);
	assert_int_equal(atomic_load(&other->segment.header->parked), 0);
	assert_int_equal(atomic_load(&other->segment.header->parked_max), 3);
	weir_port_unpark(&fixture->port, call);
	assert_int_equal(atomic_load(&other->segment.header->parked_max), 4);
	assert_int_equal(atomic_load(&line->finished), 0);
	assert_true(weir_port_call_finish(call));
	assert_int_equal(atomic_load(&line->finished), 1);
	assert_int_equal(weir_port_link_close(&fixture->port, 10), 0);
	assert_int_equal(weir_port_link_take(&fixture->port, 10, &taken), 0);
	weir_port_link_destroy(taken);
}

static void every_link_has_a_bell_to_sleep_on(void **state)
{
	struct fixture *const fixture = *state;
	_Atomic uint32_t *bells[WEIR_PORT_BELLS_MAX] = {NULL};

	assert_int_equal(weir_port_bells(&fixture->port, bells), 1);
	assert_true(weir_port_is_empty(&fixture->port));
	weir_bell_announce(bells[0]);
	assert_int_equal(atomic_load(&fixture->segment.header->worker_bell), 1);
	(void)call_send(fixture, 0, "");
	assert_false(weir_port_is_empty(&fixture->port));
	assert_true(weir_bell_ring(&fixture->segment.header->worker_bell));
	assert_int_equal(atomic_load(bells[0]), 0);
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORT_TEST(a_link_that_does_not_fit_is_refused_and_keeps_nothing),
		PORT_TEST(links_are_limited_named_once_and_taken_when_closed_and_idle),
		PORT_TEST(closing_cancels_what_runs_and_leaves_what_waits_to_its_shard),
		PORT_TEST(a_ring_whose_index_lies_closes_its_link),
		PORT_TEST(a_call_carries_what_its_record_says),
		PORT_TEST(a_stale_head_is_dropped_and_the_newer_one_of_its_record_starts),
		PORT_TEST(waiting_heads_start_in_their_order),
		PORT_TEST(pairs_take_turns_of_bounded_length),
		PORT_TEST(no_more_calls_start_than_there_are_places),
		PORT_TEST(damaged_heads_are_aborted_and_nonsense_is_dropped),
		PORT_TEST(messages_of_an_ended_call_are_dropped),
		PORT_TEST(a_body_is_asked_for_once_and_its_chunks_go_back),
		PORT_TEST(data_and_grants_that_make_no_sense_are_refused),
		PORT_TEST(cancel_stops_every_operation_but_the_last),
		PORT_TEST(status_and_fields_are_checked_and_then_sealed),
		PORT_TEST(a_head_has_at_most_4_kib_and_64_fields),
		PORT_TEST(each_byte_of_a_field_is_checked),
		PORT_TEST(fields_keep_their_bytes_however_many_follow),
		PORT_TEST(fields_may_be_set_before_there_is_a_grant),
		PORT_TEST(appending_takes_what_fits_and_was_announced),
		PORT_TEST(a_full_chunk_is_sent_only_when_more_follows),
		PORT_TEST(a_flushed_answer_ends_with_an_empty_message),
		PORT_TEST(a_wrong_length_is_refused_or_costs_the_call),
		PORT_TEST(answers_without_body_take_none),
		PORT_TEST(without_any_grant_the_call_can_only_wait_or_fail),
		PORT_TEST(abort_texts_are_cut_at_200_bytes),
		PORT_TEST(a_sleeping_shard_is_rung_once_for_a_batch),
		PORT_TEST(the_line_counts_and_shares_the_places_to_park_between_links),
		PORT_TEST(every_link_has_a_bell_to_sleep_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
