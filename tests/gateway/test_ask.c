/* What requests ask for: read from their heads, and given room for at workers that the test makes up. */
/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/gateway/ask.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/queues.h"
#include "dataplane/gateway/shard.h"

enum { WORKERS = 3 };

/* Heads */

static const struct weir_snapshot_spec specs[] = {
	{.cpu_millicores = 500, .memory_mb = 64},
	{.cpu_millicores = 2000, .memory_mb = 1024},
};
static const struct weir_snapshot_function function = {.spec_count = 2, .name = {.offset = 0, .bytes = 5}};
static const struct weir_snapshot snapshot = {.specs = specs, .strings = "hello"};

struct reading {
	enum weir_http_failure failure;
	struct weir_schedule_resources ask;
	char reason[WEIR_ASK_REASON_BYTES];
};

/* The same fields as a function's head has them. */
static struct reading read_nested_head(const struct weir_http_parser *parser, const char *text)
{
	union {
		struct weir_request_head head;
		char bytes[4096];
	} nested = {.head = {.field_count = parser->header_count}};
	struct weir_head_field *row = (void *)(&nested.head + 1);
	const size_t text_at = sizeof(nested.head) + parser->header_count * sizeof(*row);
	struct reading reading = {.ask = {7, 7}};

	assert_true(text_at + parser->head_bytes < sizeof(nested));
	memcpy(nested.bytes + text_at, text, parser->head_bytes);
	for (uint16_t i = 0; i < parser->header_count; i++) {
		const struct weir_http_slice name = parser->headers[i].name, value = parser->headers[i].value;

		row[i].name = (struct weir_head_slice){(uint16_t)(text_at + name.offset), name.bytes};
		row[i].value = (struct weir_head_slice){(uint16_t)(text_at + value.offset), value.bytes};
	}
	reading.failure =
		weir_nested_head_ask(&nested.head, &snapshot, &function, &reading.ask, reading.reason);
	if (reading.failure != WEIR_HTTP_OK)
		assert_int_equal(reading.ask.cpu_millicores, 7); /* untouched */
	return reading;
}

static struct reading read_head(const char *fields, uint8_t fields_expected)
{
	static const struct weir_http_limits limits = {
		.target_bytes_max = 1024, .head_bytes_max = 4096, .headers_max = 100, .body_bytes_max = 1024};
	struct reading reading = {0}, nested;
	struct weir_http_parser parser;
	struct weir_ask ask = {0};
	char head[2048];

	(void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\nX-Weir-Timing: 1\r\n%s\r\n", fields);
	weir_http_parser_reset(&parser, &limits);
	assert_int_equal(weir_http_parser_execute(&parser, head, strlen(head)), WEIR_HTTP_PARSE_HEAD);
	assert_int_equal(parser.resource_fields, fields_expected);
	for (uint16_t i = 0; i < parser.header_count && reading.failure == WEIR_HTTP_OK; i++)
		reading.failure = weir_ask_field(&ask, weir_http_slice_span(head, parser.headers[i].name),
						 weir_http_slice_span(head, parser.headers[i].value), reading.reason);
	if (reading.failure == WEIR_HTTP_OK)
		reading.failure = weir_ask_match(&ask, &snapshot, &function, reading.reason);
	reading.ask = ask.resources;
	nested = read_nested_head(&parser, head);
	assert_int_equal(nested.failure, reading.failure);
	assert_string_equal(nested.reason, reading.reason);
	if (nested.failure == WEIR_HTTP_OK)
		assert_memory_equal(&nested.ask, &reading.ask, sizeof(nested.ask));
	return reading;
}

static void a_head_asks_for_one_resource_or_both(void **state)
{
	struct reading reading = read_head("X-WEIR-CPU-MILLICORES:\t501 \r\nx-weir-memory-mb: 64\r\n", 2);

	(void)state;
	assert_int_equal(reading.failure, WEIR_HTTP_OK);
	assert_int_equal(reading.ask.cpu_millicores, 501);
	assert_int_equal(reading.ask.memory_mb, 64);
	reading = read_head("x-weir-memory-mb: 064\r\n", 1);
	assert_int_equal(reading.failure, WEIR_HTTP_OK);
	assert_int_equal(reading.ask.cpu_millicores, 0);
	assert_int_equal(reading.ask.memory_mb, 64);
	reading = read_head("x-weir-cpu-millicores: 0\r\n", 1);
	assert_int_equal(reading.failure, WEIR_HTTP_OK);
	assert_false(weir_schedule_asks(&reading.ask));
	assert_int_equal(read_head("", 0).failure, WEIR_HTTP_OK);
	assert_int_equal(read_head("x-weir-memory-kb: 5\r\nx-weir-cpu-millisecond: 5\r\n", 0).failure, WEIR_HTTP_OK);
}

static void a_malformed_ask_is_refused_with_what_would_be_right(void **state)
{
	static const char *const values[] = {"", "x", "-1", "+1", "1.5", "500m", "1 2", "0x10", "1000000000",
					     "99999999999999999999999999999999999999999999999999"};
	char fields[160];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		(void)snprintf(fields, sizeof(fields), "x-weir-cpu-millicores: %s\r\n", values[i]);
		const struct reading reading = read_head(fields, 1);

		assert_int_equal(reading.failure, WEIR_HTTP_BAD_RESOURCES);
		assert_non_null(strstr(reading.reason, "x-weir-cpu-millicores is '"));
		assert_non_null(strstr(reading.reason, "a whole number of millicores (1,000 = one CPU's time)"));
		(void)snprintf(fields, sizeof(fields), "x-weir-memory-mb: %s\r\n", values[i]);
		assert_non_null(strstr(read_head(fields, 1).reason, "a whole number of MB"));
	}
	assert_int_equal(read_head("x-weir-memory-mb: 5\r\nX-Weir-Memory-MB: 5\r\n", 2).failure, WEIR_HTTP_BAD_RESOURCES);
}

static void what_no_spec_holds_is_refused_with_those_that_there_are(void **state)
{
	const struct reading reading = read_head("x-weir-cpu-millicores: 2001\r\nx-weir-memory-mb: 12\r\n", 2);

	(void)state;
	assert_int_equal(reading.failure, WEIR_HTTP_NO_SPEC);
	assert_string_equal(reading.reason,
			    "No spec of 'hello' holds the 2001 millicores and 12 MB that the request asks for; the "
			    "workers of its specs have, smallest first: 500 millicores and 64 MB, 2000 and 1024. Ask for "
			    "less, or deploy it with a larger --spec");
	assert_int_equal(read_head("x-weir-memory-mb: 1025\r\n", 1).failure, WEIR_HTTP_NO_SPEC);
}

/* Workers */

struct scene {
	struct weir_shard *shard;
	struct weir_shard_pool *pool;
	struct weir_connection client;
	struct weir_nested nested; /* its exchange is a call that a function waits for */
	struct weir_exchange exchange;
	struct weir_shard_link *link[WORKERS];
	struct weir_link_header *header[WORKERS];
	struct weir_board_picks *picks;
	struct weir_room room[WORKERS];
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct weir_snapshot_pool row = {.key = 7, .workers_max = WORKERS, .weights = WEIR_WEIGHTS_DEFAULT,
					       .cpu_millicores = 1000, .memory_bytes = UINT64_C(256) << 20};

	assert_non_null(scene);
	scene->shard = weir_shard_allocate(sizeof(*scene->shard));
	scene->pool = weir_shard_allocate(sizeof(*scene->pool));
	scene->picks = weir_shard_allocate(sizeof(*scene->picks));
	assert_true(scene->shard && scene->pool && scene->picks);
	scene->shard->shard_count = 1;
	scene->shard->now_ns = 5000000000;
	scene->shard->picks = scene->picks;
	scene->exchange.connection = &scene->client;
	scene->exchange.pool = scene->pool;
	scene->nested.connection.special = WEIR_CONNECTION_NESTED | WEIR_CONNECTION_AWAITED;
	scene->nested.exchange.connection = &scene->nested.connection;
	scene->nested.exchange.pool = scene->pool;
	weir_pick_open(scene->pool, 7);
	for (uint32_t i = 0; i < WORKERS; i++) {
		scene->link[i] = weir_shard_allocate(sizeof(*scene->link[i]));
		scene->header[i] = weir_shard_allocate(sizeof(*scene->header[i]));
		assert_true(scene->link[i] && scene->header[i]);
		atomic_store(&scene->header[i]->parked_max, 64);
		scene->link[i]->header = scene->header[i];
		scene->link[i]->worker_id = i + 1;
		scene->link[i]->free_call_count = WEIR_PAIR_CALLS;
		scene->link[i]->home = true;
		scene->link[i]->pool = scene->pool;
		scene->link[i]->room = &scene->room[i];
		weir_pick_enter(scene->pool, scene->link[i]);
	}
	weir_pick_configure(scene->shard, scene->pool, &row);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	for (uint32_t i = 0; i < WORKERS; i++) {
		free(scene->link[i]);
		free(scene->header[i]);
	}
	free(scene->picks);
	free(scene->pool);
	free(scene->shard);
	free(scene);
	return 0;
}

/* The worker that a call with this ask gets, its room taken; -1: none has room. */
static int place(struct scene *scene, uint32_t cpu_millicores, uint32_t memory_mb)
{
	struct weir_shard_link *link;

	scene->exchange.ask = (struct weir_schedule_resources){cpu_millicores, memory_mb};
	link = weir_pick_fullest(scene->shard, scene->pool, &scene->exchange);
	if (!link)
		return -1;
	assert_true(weir_room_take(scene->shard, link, &scene->exchange));
	return (int)link->worker_id - 1;
}

static void calls_that_ask_are_packed_and_the_next_worker_is_opened_when_one_is_full(void **state)
{
	struct scene *scene = *state;
	const int first = place(scene, 400, 64);

	assert_int_equal(place(scene, 400, 64), first);
	const int second = place(scene, 400, 64);

	assert_int_not_equal(second, first);
	assert_int_equal(place(scene, 200, 64), first); /* the fullest that has room */
	assert_int_equal(place(scene, 200, 64), second); /* the first has all its CPU time given away */
	assert_int_equal(place(scene, 200, 160), 3 - first - second); /* memory counts, too */
	assert_int_equal(place(scene, 900, 0), -1);
	assert_true(scene->pool->lacks_room);
}

static void room_that_comes_back_is_given_away_again(void **state)
{
	struct scene *scene = *state;
	const int first = place(scene, 1000, 0);

	(void)place(scene, 1000, 0);
	(void)place(scene, 1000, 0);
	assert_int_equal(place(scene, 1, 0), -1);
	atomic_fetch_sub(&scene->room[first].used, scene->link[first]->room_taken[0]);
	assert_int_equal(place(scene, 1000, 0), first);
}

static void a_worker_that_takes_nothing_now_lacks_no_room(void **state)
{
	struct scene *scene = *state;

	for (uint32_t i = 0; i < WORKERS; i++)
		scene->link[i]->set_aside = true;
	assert_int_equal(place(scene, 100, 0), -1);
	assert_false(scene->pool->lacks_room); /* another worker would not be asked for at once */
}

static void what_calls_ask_for_is_shown_as_parts_of_a_worker(void **state)
{
	struct scene *scene = *state;
	struct weir_board *board = weir_shard_allocate(sizeof(*board));
	struct weir_board_queue *queue;

	assert_non_null(board);
	queue = &board->queue[0];
	atomic_store(&queue->asked, 1); /* of a gateway that is gone */
	weir_queues_open(scene->shard, board);
	assert_int_equal(atomic_load(&queue->asked), 0);
	(void)place(scene, 400, 64);
	scene->exchange.call = 1;
	(void)place(scene, 100, 128); /* memory is its larger part */
	assert_int_equal(atomic_load(&queue->pool_key), 7);
	assert_int_equal(atomic_load(&queue->asked), 900000);
	assert_int_equal(atomic_load(&queue->waiting), 0);
	scene->pool->asked = 0;
	weir_queues_show(scene->shard, scene->pool);
	assert_int_equal(atomic_load(&queue->asked), 0);
	assert_null(scene->pool->queue);
	free(board);
}

static void room_that_another_shard_took_in_between_is_not_given_twice(void **state)
{
	struct scene *scene = *state;

	scene->exchange.ask = (struct weir_schedule_resources){600, 0};
	atomic_store(&scene->room[0].used, UINT64_C(500) << 32);
	assert_false(weir_room_take(scene->shard, scene->link[0], &scene->exchange));
	assert_int_equal(atomic_load(&scene->room[0].used), UINT64_C(500) << 32);
	assert_false(scene->link[0]->call[0].has_room);
}

static void a_fuller_worker_of_another_node_waits_until_none_here_has_room(void **state)
{
	struct scene *scene = *state;

	weir_pick_leave(scene->pool, scene->link[0]);
	scene->link[0]->remote = 100;
	weir_pick_enter(scene->pool, scene->link[0]);
	atomic_store(&scene->room[0].used, UINT64_C(900) << 32);
	assert_int_not_equal(place(scene, 100, 0), 0);
	atomic_store(&scene->room[1].used, UINT64_C(1000) << 32);
	atomic_store(&scene->room[2].used, UINT64_C(1000) << 32);
	assert_int_equal(place(scene, 100, 0), 0);
	assert_int_equal(place(scene, 100, 0), -1);
}

/* One that asks for much is passed by, but not for ever. */
static void the_emptiest_of_several_workers_is_kept_for_who_asked_first(void **state)
{
	struct scene *scene = *state;
	struct weir_exchange first = {.connection = &scene->client, .ask = {1000, 0}};

	atomic_store(&scene->room[0].used, UINT64_C(500) << 32);
	atomic_store(&scene->room[1].used, UINT64_C(300) << 32);
	atomic_store(&scene->room[2].used, UINT64_C(400) << 32);
	scene->pool->askers.first = &first;
	weir_pick_keep(scene->pool);
	assert_ptr_equal(scene->pool->kept, scene->link[1]);
	assert_null(weir_pick_fullest(scene->shard, scene->pool, &first)); /* not empty yet */
	assert_int_equal(place(scene, 500, 0), 0);
	assert_int_equal(place(scene, 500, 0), 2);
	assert_int_equal(place(scene, 500, 0), -1); /* it would fit the one that is kept */
	atomic_store(&scene->room[1].used, 0);
	assert_ptr_equal(weir_pick_fullest(scene->shard, scene->pool, &first), scene->link[1]);
	weir_pick_leave(scene->pool, scene->link[1]);
	assert_null(scene->pool->kept);
	weir_pick_leave(scene->pool, scene->link[2]);
	weir_pick_keep(scene->pool);
	assert_null(scene->pool->kept); /* never the only one: the others would stand still */
}

/* The worker that an awaited call with this ask may get; -1: none has room. */
static int place_awaited(struct scene *scene, uint32_t cpu_millicores)
{
	const struct weir_shard_link *link;

	scene->nested.exchange.ask = (struct weir_schedule_resources){cpu_millicores, 0};
	link = weir_pick_fullest(scene->shard, scene->pool, &scene->nested.exchange);
	return link ? (int)link->worker_id - 1 : -1;
}

static void an_awaited_call_gets_the_fullest_worker_and_places_that_others_leave_free(void **state)
{
	struct scene *scene = *state;

	for (uint32_t i = 0; i < WORKERS; i++)
		atomic_store(&scene->header[i]->parked, 48); /* of 64: the rest is not for clients */
	atomic_store(&scene->room[0].used, UINT64_C(300) << 32);
	atomic_store(&scene->room[1].used, UINT64_C(600) << 32);
	atomic_store(&scene->room[2].used, UINT64_C(500) << 32);
	assert_int_equal(place(scene, 100, 0), -1);
	assert_int_equal(place_awaited(scene, 400), 1);
	assert_int_equal(place_awaited(scene, 500), 2);
	assert_int_equal(place_awaited(scene, 600), 0);
	scene->pool->kept = scene->link[0]; /* for a client's call that asked first */
	assert_int_equal(place_awaited(scene, 600), 0);
	assert_int_equal(place_awaited(scene, 701), -1);
	assert_true(scene->pool->lacks_room);
	atomic_store(&scene->header[1]->parked, 64);
	assert_int_equal(place_awaited(scene, 400), 2);
	atomic_store(&scene->header[2]->parked_max, WEIR_LINK_PARKED_MAX_SHUT);
	assert_int_equal(place_awaited(scene, 400), 0);
	assert_true(scene->pool->has_shut);
}

/* Takes the room of worker `index` for the call record of the same number. */
static void hold(struct scene *scene, int index, uint32_t cpu_millicores)
{
	scene->exchange.ask = (struct weir_schedule_resources){cpu_millicores, 0};
	scene->exchange.call = (uint16_t)index;
	assert_true(weir_room_take(scene->shard, scene->link[index], &scene->exchange));
}

static bool is_full(struct scene *scene, uint32_t cpu_millicores)
{
	scene->nested.exchange.ask = (struct weir_schedule_resources){cpu_millicores, 0};
	return weir_pick_is_full(&scene->nested.exchange);
}

static void room_gets_free_by_itself_unless_calls_that_await_have_it(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < WORKERS; i++) {
		hold(scene, i, 600);
		assert_false(is_full(scene, 500));
		weir_room_await(scene->link[i], (uint16_t)i, true);
		weir_room_await(scene->link[i], (uint16_t)i, true); /* it counts once */
		assert_int_equal(atomic_load(&scene->room[i].awaiting), UINT64_C(600) << 32);
	}
	assert_true(is_full(scene, 500));
	assert_false(is_full(scene, 400));
	assert_false(is_full(scene, 0)); /* for who asks for nothing there is room anywhere, */
	atomic_store(&scene->header[0]->parked, 64);
	assert_false(is_full(scene, 400));
	for (int i = 1; i < WORKERS; i++)
		atomic_store(&scene->header[i]->parked, 64);
	assert_true(is_full(scene, 0)); /* but perhaps no place */
	for (int i = 1; i < WORKERS; i++)
		atomic_store(&scene->header[i]->parked, 0);
	assert_true(is_full(scene, 500)); /* of the one no place, of the others no room */
	weir_room_await(scene->link[1], 1, false);
	weir_room_await(scene->link[1], 1, false);
	assert_int_equal(atomic_load(&scene->room[1].awaiting), 0);
	assert_false(is_full(scene, 500));
	weir_room_give(scene->shard, scene->link[1], 1);
	assert_int_equal(atomic_load(&scene->room[1].used), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_asks_for_one_resource_or_both),
		cmocka_unit_test(a_malformed_ask_is_refused_with_what_would_be_right),
		cmocka_unit_test(what_no_spec_holds_is_refused_with_those_that_there_are),
		cmocka_unit_test_setup_teardown(
			calls_that_ask_are_packed_and_the_next_worker_is_opened_when_one_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(room_that_comes_back_is_given_away_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_that_takes_nothing_now_lacks_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(room_that_another_shard_took_in_between_is_not_given_twice, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_fuller_worker_of_another_node_waits_until_none_here_has_room, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_calls_ask_for_is_shown_as_parts_of_a_worker, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_emptiest_of_several_workers_is_kept_for_who_asked_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_awaited_call_gets_the_fullest_worker_and_places_that_others_leave_free,
						setup, teardown),
		cmocka_unit_test_setup_teardown(room_gets_free_by_itself_unless_calls_that_await_have_it, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
