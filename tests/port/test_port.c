#include "tests/port/port_fixture.h"

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

/* The next call that starts, or NULL: what there is may not. */
static struct weir_port_call *next_call(struct fixture *fixture)
{
	struct weir_port_call *call = NULL;
	int result = -EAGAIN;

	while (result == -EAGAIN) /* the end of a turn */
		result = weir_port_next(&fixture->port, true, &call);
	return result == 1 ? call : NULL;
}

static void a_call_to_be_run_alone_waits_for_others_whichever_shard_sent_it(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *first = NULL, *call = NULL;

	for (uint16_t i = 0; i < 4; i++) {
		struct weir_message message = call_queue(fixture, i % SHARDS, (uint16_t)(10 + i), "");

		if (i < 3) /* the last one is a call that one of the others waits for */
			message.flags |= WEIR_MESSAGE_FLAG_ALONE;
		push(fixture, i % SHARDS, message);
	}
	first = next_call(fixture);
	assert_non_null(first);
	call = next_call(fixture); /* passes the one before it in its ring */
	assert_non_null(call);
	assert_int_equal(call->index, 13);
	assert_null(next_call(fixture));
	assert_false(weir_port_has_backlog(&fixture->port));
	assert_true(weir_port_call_finish(first));
	assert_null(next_call(fixture));
	assert_true(weir_port_call_finish(call));
	for (uint32_t left = 2; left > 0; left--) {
		assert_true(weir_port_has_backlog(&fixture->port));
		call = next_call(fixture);
		assert_non_null(call);
		assert_null(next_call(fixture));
		assert_int_equal(fixture->port.call_count, 1);
		assert_true(weir_port_call_finish(call));
	}
	assert_false(weir_port_has_backlog(&fixture->port));
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
		PORT_TEST(a_call_to_be_run_alone_waits_for_others_whichever_shard_sent_it),
		PORT_TEST(pairs_take_turns_of_bounded_length),
		PORT_TEST(no_more_calls_start_than_there_are_places),
		PORT_TEST(damaged_heads_are_aborted_and_nonsense_is_dropped),
		PORT_TEST(messages_of_an_ended_call_are_dropped),
		PORT_TEST(a_body_is_asked_for_once_and_its_chunks_go_back),
		PORT_TEST(data_and_grants_that_make_no_sense_are_refused),
		PORT_TEST(cancel_stops_every_operation_but_the_last),
		PORT_TEST(a_sleeping_shard_is_rung_once_for_a_batch),
		PORT_TEST(the_line_counts_and_shares_the_places_to_park_between_links),
		PORT_TEST(every_link_has_a_bell_to_sleep_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
