/* port_fixture: a port with one link of two shards, and the shards' ends of it: what the tests of calls
 * and those of answers share. Threads: one. */
#ifndef WEIR_TESTS_PORT_PORT_FIXTURE_H
#define WEIR_TESTS_PORT_PORT_FIXTURE_H

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

static inline void wake(void *context, struct weir_port_call *call)
{
	struct fixture *const fixture = context;

	fixture->woken++;
	fixture->woken_call = call;
}

static inline struct weir_port_link *link_make(struct fixture *fixture, uint64_t link_id)
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

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline uint8_t *chunk_of(struct fixture *fixture, uint32_t shard, uint32_t ref)
{
	size_t bytes = 0;
	uint8_t *const data = weir_segment_chunk(&fixture->segment.pair[shard], ref, &bytes);

	assert_non_null(data);
	return data;
}

static inline void push(struct fixture *fixture, uint32_t shard, struct weir_message message)
{
	assert_true(weir_ring_push(&fixture->tx[shard], &message, 0));
	(void)weir_ring_publish(&fixture->tx[shard]);
}

/* Queue call record `index` with a minimal head and `body` behind it; returns its HEAD. */
static inline struct weir_message call_queue(struct fixture *fixture, uint32_t shard,
					     uint16_t index, const char *body)
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

static inline struct weir_message call_send(struct fixture *fixture, uint16_t index,
					    const char *body)
{
	const struct weir_message message = call_queue(fixture, 0, index, body);

	push(fixture, 0, message);
	return message;
}

/* A started call. */
static inline struct weir_port_call *call_start(struct fixture *fixture, const char *body)
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
static inline struct weir_port_call *call_start_streamed(struct fixture *fixture)
{
	struct weir_message message = call_queue(fixture, 0, 3, "");
	struct weir_port_call *call = NULL;

	message.flags = 0;
	push(fixture, 0, message);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	return call;
}

static inline struct weir_message answer_pop(struct fixture *fixture)
{
	struct weir_message message = {0};

	weir_port_publish(&fixture->port);
	assert_int_equal(weir_ring_pop(&fixture->rx[0], &message), 1);
	weir_ring_release(&fixture->rx[0]);
	return message;
}

static inline void no_answer(struct fixture *fixture)
{
	struct weir_message message = {0};

	weir_port_publish(&fixture->port);
	assert_int_equal(weir_ring_pop(&fixture->rx[0], &message), 0);
}

static inline void deliver(struct fixture *fixture, const struct weir_port_call *call,
			   uint8_t kind, uint32_t chunk, uint32_t grant, uint32_t bytes,
			   uint8_t flags)
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

static inline void write_text(struct weir_port_call *call, const char *text)
{
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_true(room >= strlen(text));
	memcpy(place, text, strlen(text));
	assert_int_equal(weir_port_call_commit(call, strlen(text)), 0);
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
