/* A shard's pool over a load board that the test fills: what is measured reaches the picks, and is
 * shown on the board. Time is what the test says it is. */
/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "dataplane/base/fd.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/scores.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/load.h"

enum { WORKERS = 3, MS = 1000000, LIMIT = 16 };

struct scene {
	struct weir_shard *shard;
	struct weir_shard_pool *pool;
	struct weir_shard_link *link[WORKERS];
	struct weir_room room[WORKERS];
	struct weir_link_header *header[WORKERS];
	struct weir_load_board *load;
	int load_fd;
	struct weir_board *board;
	uint64_t cpu_ns[WORKERS];
};

static struct weir_shard_link *link_new(struct scene *scene, uint32_t place)
{
	struct weir_shard_link *link = weir_shard_allocate(sizeof(*link));

	scene->header[place] = weir_shard_allocate(sizeof(struct weir_link_header));
	assert_non_null(link);
	assert_non_null(scene->header[place]);
	atomic_store(&scene->header[place]->parked_max, 64);
	link->header = scene->header[place];
	link->room = &scene->room[place];
	link->worker_id = place + 1;
	link->free_call_count = WEIR_PAIR_CALLS;
	link->home = true;
	link->pool = scene->pool;
	weir_pick_enter(scene->pool, link);
	weir_scores_enter(scene->shard, link);
	return link;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	scene->shard = weir_shard_allocate(sizeof(*scene->shard));
	scene->pool = weir_shard_allocate(sizeof(*scene->pool));
	scene->board = aligned_alloc(_Alignof(struct weir_board), sizeof(*scene->board));
	assert_non_null(scene->shard);
	assert_non_null(scene->pool);
	assert_non_null(scene->board);
	memset(scene->board, 0xff, sizeof(*scene->board)); /* what an earlier gateway left */
	scene->shard->shard_count = 1;
	scene->shard->now_ns = 5000 * (uint64_t)MS;
	scene->shard->pool[0] = scene->pool;
	scene->shard->pool_count = 1;
	assert_int_equal(weir_load_create(&scene->load_fd, &scene->load), 0);
	scene->shard->load = scene->load;
	weir_scores_open(scene->shard, scene->board);
	weir_pick_open(scene->pool, 7);
	for (uint32_t i = 0; i < WORKERS; i++)
		scene->link[i] = link_new(scene, i);
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
	weir_load_detach(scene->load);
	weir_fd_close(&scene->load_fd);
	free(scene->board);
	free(scene->pool);
	free(scene->shard);
	free(scene);
	return 0;
}

/* Give the workers slots on the load board. */
static void measured(struct scene *scene)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		assert_true(weir_load_claim(scene->load, i + 1, 0, scene->shard->now_ns) >= 0);
}

/* 20 ms pass, in which worker i ran for percent[i] of them. */
static void pass(struct scene *scene, const uint32_t percent[WORKERS])
{
	scene->shard->now_ns += 20 * (uint64_t)MS;
	for (uint32_t i = 0; i < WORKERS && percent; i++) {
		uint64_t counts[WEIR_LOAD_COUNT] = {0};
		const int slot = weir_load_find(scene->load, i + 1);

		scene->cpu_ns[i] += percent[i] * (uint64_t)MS / 5;
		counts[WEIR_LOAD_ON_CPU_NS] = scene->cpu_ns[i];
		assert_true(slot >= 0);
		weir_load_publish(scene->load, (uint32_t)slot, counts, 32 << 20, scene->shard->now_ns);
	}
	weir_pick_turn(scene->shard);
}

/* A call begins; its worker. */
static uint32_t call_begin(struct scene *scene)
{
	struct weir_shard_link *link = weir_pick(scene->shard, scene->pool);

	assert_non_null(link);
	link->in_flight++;
	return (uint32_t)link->worker_id - 1;
}

static void call_end(struct scene *scene, uint32_t worker)
{
	scene->link[worker]->in_flight--;
	weir_pick_finished(scene->link[worker]);
}

static void a_loaded_worker_is_passed_by_until_the_others_have_calls(void **state)
{
	static const uint32_t percent[WORKERS] = {0, 100, 0};
	struct scene *scene = *state;
	uint32_t got[WORKERS] = {0};

	measured(scene);
	for (int i = 0; i < 10; i++)
		pass(scene, percent);
	for (int i = 0; i < 30; i++)
		call_end(scene, call_begin(scene)); /* one at a time */
	for (int i = 0; i < 14; i++)
		got[call_begin(scene)]++;
	assert_int_equal(scene->link[1]->in_flight, got[1]);
	assert_true(got[1] == 0 && got[0] == 7 && got[2] == 7); /* its load is worth 8 of 16 calls */
	for (int i = 0; i < 7; i++)
		got[call_begin(scene)]++;
	assert_true(got[1] >= 2);
}

static void without_a_measurement_calls_in_flight_decide_alone(void **state)
{
	struct scene *scene = *state;
	uint32_t got[WORKERS] = {0};

	pass(scene, NULL);
	for (int i = 0; i < 3 * WORKERS; i++)
		got[call_begin(scene)]++;
	for (uint32_t i = 0; i < WORKERS; i++)
		assert_int_equal(got[i], 3);
	assert_int_equal(scene->link[0]->load_price, 0);
	scene->shard->load = NULL; /* no board at all */
	pass(scene, NULL);
	assert_int_equal(scene->link[0]->load_price, 0);
}

static void what_is_no_longer_measured_counts_as_nothing(void **state)
{
	static const uint32_t percent[WORKERS] = {100, 0, 0};
	struct scene *scene = *state;

	measured(scene);
	for (int i = 0; i < 10; i++)
		pass(scene, percent);
	assert_true(scene->link[0]->load_price > WEIR_SCHEDULE_UNIT * 2 / 5);
	for (int i = 0; i < 51; i++)
		pass(scene, NULL); /* nobody fills the board */
	assert_int_equal(scene->link[0]->load_price, 0);
	weir_load_release(scene->load, (uint32_t)weir_load_find(scene->load, 1));
	pass(scene, NULL);
	assert_int_equal(scene->link[0]->load_price, 0);
}

static void what_was_sampled_after_the_turn_began_counts(void **state)
{
	static const uint64_t counts[WEIR_LOAD_COUNT] = {0};
	struct scene *scene = *state;

	measured(scene);
	scene->shard->now_ns += 20 * (uint64_t)MS;
	for (uint32_t i = 0; i < WORKERS; i++)
		weir_load_publish(scene->load, (uint32_t)weir_load_find(scene->load, i + 1), counts, 256 << 20,
				  scene->shard->now_ns + 1);
	weir_pick_turn(scene->shard);
	assert_true(scene->link[0]->load.memory > 0);
}

static void short_calls_leave_a_worker_that_got_loaded(void **state)
{
	static const uint32_t idle[WORKERS] = {0, 0, 0};
	struct scene *scene = *state;
	uint32_t percent[WORKERS] = {0, 0, 0};
	uint32_t first, next;

	for (uint32_t i = 0; i < WORKERS; i++)
		atomic_store(&scene->header[i]->service_ns, 1000);
	measured(scene);
	pass(scene, idle);
	first = call_begin(scene);
	call_end(scene, first);
	for (int i = 0; i < 5; i++) {
		pass(scene, idle);
		next = call_begin(scene);
		call_end(scene, next);
		assert_int_equal(next, first); /* they stay */
	}
	percent[first] = 60;
	for (int i = 0; i < 10; i++)
		pass(scene, percent);
	assert_int_not_equal(call_begin(scene), first);
}

static void each_worker_has_a_row_that_says_how_it_stands(void **state)
{
	static const uint32_t percent[WORKERS] = {0, 50, 0};
	struct scene *scene = *state;
	const struct weir_board_score *row = scene->link[1]->score;
	const struct weir_board_picks *picks = &scene->board->picks[0];

	measured(scene);
	for (int i = 0; i < 40; i++)
		pass(scene, percent);
	(void)call_begin(scene);
	pass(scene, percent);
	assert_int_equal(row->worker_id, 2);
	assert_int_equal(row->change & 1, 0);
	assert_int_equal(row->at_ns, scene->shard->now_ns);
	assert_int_equal(row->sampled_ns, scene->shard->now_ns);
	assert_in_range(row->cpu, WEIR_BOARD_TERM_ONE * 49 / 100, WEIR_BOARD_TERM_ONE * 51 / 100);
	assert_in_range(row->memory, WEIR_BOARD_TERM_ONE * 6 / 100, WEIR_BOARD_TERM_ONE * 7 / 100); /* 32 of 512 MB */
	assert_in_range(row->score, WEIR_BOARD_SCORE_ONE * 26 / 100, WEIR_BOARD_SCORE_ONE * 28 / 100);
	assert_int_equal(row->in_flight_limit, LIMIT);
	assert_int_equal(row->policy, WEIR_POLICY_SCORE);
	assert_int_equal(row->has_room, 1);
	assert_int_equal(picks->count, 1);
	assert_in_range(picks->pick[0].worker_id, 1, 3);
	assert_int_not_equal(picks->pick[0].worker_id, 2);
	for (uint32_t i = WORKERS; i < WEIR_BOARD_SCORES_MAX; i++)
		assert_int_equal(scene->board->score[i].worker_id, 0); /* an earlier gateway's are gone */
	weir_scores_leave(scene->shard, scene->link[1]);
	assert_int_equal(row->worker_id, 0);
}

static void another_policy_takes_effect_with_its_row(void **state)
{
	struct scene *scene = *state;
	struct weir_snapshot_pool row = {.key = 7, .policy = WEIR_POLICY_ROUND_ROBIN, .workers_max = 3,
					 .weights = WEIR_WEIGHTS_DEFAULT};

	pass(scene, NULL);
	scene->link[0]->in_flight = 5;
	scene->shard->config_count++;
	weir_pick_configure(scene->shard, scene->pool, &row);
	for (uint32_t i = 0; i < 2 * WORKERS; i++)
		assert_int_equal(call_begin(scene), i % WORKERS);
	row.policy = WEIR_POLICY_LEAST_IN_FLIGHT;
	row.flags = WEIR_SNAPSHOT_POOL_ONE_TASK;
	weir_pick_configure(scene->shard, scene->pool, &row);
	assert_null(weir_pick(scene->shard, scene->pool)); /* all have one */
	scene->link[2]->in_flight = 0;
	assert_int_equal(call_begin(scene), 2); /* seen, although nobody said that its calls ended */
	assert_null(weir_pick(scene->shard, scene->pool));
}

static void links_come_and_go_with_their_prices(void **state)
{
	struct scene *scene = *state;

	pass(scene, NULL);
	scene->link[2]->in_flight = 9;
	pass(scene, NULL);
	weir_pick_leave(scene->pool, scene->link[0]);
	assert_int_equal(scene->pool->link_count, 2);
	assert_ptr_equal(scene->pool->link[0], scene->link[2]);
	assert_int_equal(scene->link[2]->place, 0);
	assert_true(scene->pool->price[0] > scene->pool->price[1]);
	assert_int_equal(call_begin(scene), 1);
	weir_pick_enter(scene->pool, scene->link[0]);
	assert_int_equal(call_begin(scene), 0);
}

/* The worker is on a node so far away, and this shard is not its home. */
static void put_away(struct scene *scene, uint32_t worker, uint8_t remote)
{
	struct weir_shard_link *link = scene->link[worker];

	weir_pick_leave(scene->pool, link);
	link->remote = remote;
	link->home = remote == 0;
	weir_pick_enter(scene->pool, link);
}

static void a_call_leaves_its_node_only_when_no_worker_there_has_room(void **state)
{
	static const uint32_t percent[WORKERS] = {100, 0, 100}; /* only the remote one is idle */
	struct scene *scene = *state;
	struct weir_snapshot_pool row = {.key = 7, .workers_max = 3, .weights = WEIR_WEIGHTS_DEFAULT};

	measured(scene);
	put_away(scene, 1, 255);
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++) {
		row.policy = (uint16_t)policy;
		weir_pick_configure(scene->shard, scene->pool, &row);
		for (int i = 0; i < 5; i++)
			pass(scene, percent);
		for (int i = 0; i < 2 * LIMIT; i++)
			assert_int_not_equal(call_begin(scene), 1);
		for (int i = 0; i < LIMIT; i++)
			assert_int_equal(call_begin(scene), 1);
		assert_null(weir_pick(scene->shard, scene->pool));
		call_end(scene, 2);
		assert_int_equal(call_begin(scene), 2); /* room at home again */
		for (uint32_t i = 0; i < WORKERS; i++) {
			while (scene->link[i]->in_flight > 0)
				call_end(scene, i);
		}
	}
}

static void of_other_nodes_the_nearest_gets_it(void **state)
{
	struct scene *scene = *state;

	put_away(scene, 0, 255);
	put_away(scene, 1, 100);
	put_away(scene, 2, 255);
	pass(scene, NULL);
	assert_int_equal(scene->pool->near_count, 0);
	assert_int_equal(call_begin(scene), 1);
	/* epsilon .2 of which 155/255 more are as much as 1.9 of 16 calls */
	assert_int_equal(call_begin(scene), 1);
	assert_int_not_equal(call_begin(scene), 1);
}

static void near_workers_stand_first_however_they_come_and_go(void **state)
{
	struct scene *scene = *state;
	const struct weir_shard_pool *pool = scene->pool;
	uint32_t random = 1;

	for (int i = 0; i < 500; i++) {
		random = random * 1664525 + 1013904223;
		put_away(scene, (random >> 8) % WORKERS, (random >> 24) % 2 * 255);
		assert_int_equal(pool->link_count, WORKERS);
		for (uint32_t place = 0; place < WORKERS; place++) {
			assert_int_equal(pool->link[place]->place, place);
			assert_int_equal(pool->link[place]->remote == 0, place < pool->near_count);
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_loaded_worker_is_passed_by_until_the_others_have_calls),
		TEST(without_a_measurement_calls_in_flight_decide_alone),
		TEST(what_is_no_longer_measured_counts_as_nothing),
		TEST(what_was_sampled_after_the_turn_began_counts),
		TEST(short_calls_leave_a_worker_that_got_loaded),
		TEST(each_worker_has_a_row_that_says_how_it_stands),
		TEST(another_policy_takes_effect_with_its_row),
		TEST(links_come_and_go_with_their_prices),
		TEST(a_call_leaves_its_node_only_when_no_worker_there_has_room),
		TEST(of_other_nodes_the_nearest_gets_it),
		TEST(near_workers_stand_first_however_they_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
