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

#include "dataplane/base/id.h"
#include "dataplane/schedule/schedule.h"

enum { CANDIDATES_MAX = 70, ROUNDS = 20000 };

static const struct weir_weights weights = WEIR_WEIGHTS_DEFAULT;

/* The seed of this run: WEIR_SEED in the environment repeats another's. */
static struct weir_id_source random_source(void)
{
	const char *wanted = getenv("WEIR_SEED");
	struct weir_id_source source;

	assert_int_equal(weir_id_source_open(&source), 0);
	uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 0) : weir_id_next(&source).low;

	print_message("WEIR_SEED=%llu\n", (unsigned long long)seed);
	source = (struct weir_id_source){.state = {seed, 1, 2, 3}};
	return source;
}

static uint32_t below(struct weir_id_source *source, uint32_t limit)
{
	return (uint32_t)(weir_id_next(source).low % limit);
}

/* A board of workers whose prices are all as of now. */
static int pick(uint32_t number, const struct weir_schedule_candidate *workers, size_t count,
		struct weir_schedule_turn *turn)
{
	const struct weir_schedule_policy *policy = weir_schedule_policy(number);
	int16_t price[CANDIDATES_MAX];

	assert_non_null(policy);
	assert_in_range(count, 0, CANDIDATES_MAX);
	for (size_t i = 0; i < count; i++)
		price[i] = weir_schedule_price(policy, &workers[i], &weights);
	return policy->choose(price, count, turn);
}

static struct weir_schedule_candidate idle_worker(void)
{
	return (struct weir_schedule_candidate){
		.in_flight_limit = 16, .parked_limit = 64, .usable = true, .home = true};
}

static void random_candidates(struct weir_id_source *source,
			      struct weir_schedule_candidate *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (struct weir_schedule_candidate){
			.in_flight = below(source, 6),
			.in_flight_limit = below(source, 5),
			.parked = below(source, 3),
			.parked_limit = below(source, 4),
			.load_price = below(source, 2 * WEIR_SCHEDULE_UNIT),
			.usable = below(source, 4) != 0,
			.too_small = below(source, 4) == 0,
			.one_task = below(source, 8) == 0,
			.home = below(source, 2) != 0,
		};
}

static void nobody_to_pick_from_is_minus_one(void **state)
{
	struct weir_schedule_candidate full = idle_worker();
	struct weir_schedule_turn turn = {0};
	struct weir_schedule_candidate away = idle_worker();

	(void)state;
	full.in_flight = full.in_flight_limit;
	away.usable = false;
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++) {
		assert_int_equal(pick(policy, NULL, 0, &turn), -1);
		assert_int_equal(pick(policy, &full, 1, &turn), -1);
		assert_int_equal(pick(policy, &away, 1, &turn), -1);
	}
}

static void the_least_loaded_wins_wherever_it_stands_and_whoever_is_home(void **state)
{
	static const uint32_t both[] = {WEIR_POLICY_LEAST_IN_FLIGHT, WEIR_POLICY_SCORE};
	struct weir_schedule_turn turn = {0};

	(void)state;
	for (size_t place = 0; place < 37; place++) {
		struct weir_schedule_candidate workers[37];

		for (size_t i = 0; i < 37; i++) {
			workers[i] = idle_worker();
			workers[i].in_flight = 3;
		}
		workers[place].in_flight = 2;
		workers[place].home = false;
		for (uint32_t round = 0; round < 10; round++)
			assert_int_equal(pick(both[round % 2], workers, 37, &turn), place);
	}
}

static void ties_go_home_first(void **state)
{
	struct weir_schedule_candidate workers[4];
	struct weir_schedule_turn turn = {0};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		workers[i] = idle_worker();
		workers[i].home = i == 2;
	}
	for (uint32_t round = 0; round < 50; round++)
		assert_int_equal(pick(round % WEIR_POLICY_COUNT, workers, 4, &turn), 2);
	workers[2].usable = false; /* then others will do */
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++)
		assert_true(pick(policy, workers, 4, &turn) >= 0);
}

static void parked_calls_take_no_room_but_count_as_load(void **state)
{
	struct weir_schedule_turn turn = {0};
	struct weir_schedule_candidate workers[2] = {
		{.in_flight = 5, .parked = 4, .in_flight_limit = 2, .usable = true},
		{.in_flight = 6, .parked = 6, .in_flight_limit = 2, .usable = true},
	};

	(void)state;
	assert_int_equal(pick(WEIR_POLICY_LEAST_IN_FLIGHT, workers, 2, &turn), 0);
	workers[0].parked = 3;
	assert_int_equal(pick(WEIR_POLICY_LEAST_IN_FLIGHT, workers, 2, &turn), 1);
	workers[1].parked = 9; /* read at another moment than in_flight: no underflow */
	assert_int_equal(weir_schedule_ahead(&workers[1]), 0);
	workers[1].in_flight_limit = 0;
	assert_int_equal(pick(WEIR_POLICY_LEAST_IN_FLIGHT, workers, 2, &turn), -1);
}

static void the_score_counts_calls_as_parts_of_the_room_there_is(void **state)
{
	struct weir_schedule_turn turn = {0};
	struct weir_schedule_candidate workers[2] = {idle_worker(), idle_worker()};

	(void)state;
	workers[0].in_flight = 10;
	workers[0].in_flight_limit = 200; /* short calls: ten of them are no load */
	workers[1].in_flight = 1;
	workers[1].in_flight_limit = 4;
	assert_int_equal(pick(WEIR_POLICY_SCORE, workers, 2, &turn), 0);
	assert_int_equal(pick(WEIR_POLICY_LEAST_IN_FLIGHT, workers, 2, &turn), 1);
	workers[0].in_flight = workers[0].parked = 20; /* of 64 */
	assert_int_equal(pick(WEIR_POLICY_SCORE, workers, 2, &turn), 1);
	workers[1].load_price = WEIR_SCHEDULE_UNIT / 4;
	assert_int_equal(pick(WEIR_POLICY_SCORE, workers, 2, &turn), 0);
	assert_int_equal(pick(WEIR_POLICY_LEAST_IN_FLIGHT, workers, 2, &turn), 1);
}

static void the_largest_values_do_not_run_over(void **state)
{
	const struct weir_weights largest = {.alpha = WEIR_WEIGHT_MAX, .beta = WEIR_WEIGHT_MAX,
					     .gamma = WEIR_WEIGHT_MAX, .delta = WEIR_WEIGHT_MAX,
					     .epsilon = WEIR_WEIGHT_MAX, .ema = WEIR_WEIGHT_EMA_MAX};
	const struct weir_schedule_terms full = {.cpu = WEIR_SCHEDULE_UNIT, .memory = WEIR_SCHEDULE_UNIT,
						 .io = WEIR_SCHEDULE_UNIT, .remote = WEIR_SCHEDULE_UNIT};
	struct weir_schedule_candidate worker = {.in_flight = UINT32_MAX, .parked = UINT32_MAX,
						 .parked_limit = 1, .in_flight_limit = 1, .usable = true};

	(void)state;
	worker.load_price = weir_schedule_terms_price(&full, &largest);
	assert_int_equal(worker.load_price, 40 * WEIR_SCHEDULE_UNIT);
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++)
		assert_in_range(weir_schedule_price(weir_schedule_policy(policy), &worker, &largest), 0,
				WEIR_SCHEDULE_PRICE_FULL - 1);
}

static bool may_get_a_call(const struct weir_schedule_candidate *worker)
{
	return worker->usable && !worker->too_small && weir_schedule_ahead(worker) < worker->in_flight_limit &&
	       (!worker->one_task || worker->in_flight == 0);
}

static void no_policy_picks_a_dead_draining_or_too_small_worker(void **state)
{
	struct weir_id_source source = random_source();
	struct weir_schedule_turn turn = {.random = 7};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct weir_schedule_candidate workers[CANDIDATES_MAX];
		const size_t count = below(&source, CANDIDATES_MAX + 1);
		const uint32_t policy = below(&source, WEIR_POLICY_COUNT);
		bool room = false;

		random_candidates(&source, workers, count);
		turn.next = below(&source, CANDIDATES_MAX + 1);
		const int picked = pick(policy, workers, count, &turn);

		for (size_t i = 0; i < count; i++)
			room = room || may_get_a_call(&workers[i]);
		assert_int_equal(picked >= 0, room);
		if (picked >= 0) {
			assert_true((size_t)picked < count);
			assert_true(may_get_a_call(&workers[picked]));
		}
	}
}

static void the_two_that_compare_pick_nobody_while_another_is_cheaper(void **state)
{
	static const uint32_t both[] = {WEIR_POLICY_LEAST_IN_FLIGHT, WEIR_POLICY_SCORE};
	struct weir_id_source source = random_source();
	struct weir_schedule_turn turn = {0};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct weir_schedule_candidate workers[CANDIDATES_MAX];
		const size_t count = 1 + below(&source, CANDIDATES_MAX);
		const struct weir_schedule_policy *policy = weir_schedule_policy(both[round % 2]);

		random_candidates(&source, workers, count);
		const int picked = pick(both[round % 2], workers, count, &turn);

		for (size_t i = 0; picked >= 0 && i < count; i++) {
			const uint32_t cost = policy->cost(&workers[i], &weights);
			const uint32_t picked_cost = policy->cost(&workers[picked], &weights);

			if (may_get_a_call(&workers[i]))
				assert_true(picked_cost < cost ||
					    (picked_cost == cost && workers[picked].home >= workers[i].home));
		}
	}
}

static void equal_workers_share_evenly_whoever_stands_between_them(void **state)
{
	static const uint32_t three[] = {WEIR_POLICY_SCORE, WEIR_POLICY_LEAST_IN_FLIGHT, WEIR_POLICY_ROUND_ROBIN};

	(void)state;
	for (size_t policy = 0; policy < 3; policy++) {
		struct weir_schedule_candidate workers[7];
		struct weir_schedule_turn turn = {0};
		uint32_t picks[7] = {0};

		for (size_t i = 0; i < 7; i++)
			workers[i] = idle_worker();
		workers[1].usable = false;
		workers[2].too_small = true;
		workers[5].in_flight = 16;
		for (uint32_t round = 0; round < 4 * 250; round++) {
			const int picked = pick(three[policy], workers, 7, &turn);

			assert_in_range(picked, 0, 6);
			picks[picked]++;
		}
		assert_int_equal(picks[1] + picks[2] + picks[5], 0);
		assert_int_equal(picks[0], 250);
		assert_int_equal(picks[3], 250);
		assert_int_equal(picks[4], 250);
		assert_int_equal(picks[6], 250);
	}
}

static void chance_shares_nearly_evenly(void **state)
{
	static const uint32_t both[] = {WEIR_POLICY_RANDOM, WEIR_POLICY_TWO_CHOICES};
	struct weir_id_source source = random_source();

	(void)state;
	for (size_t policy = 0; policy < 2; policy++) {
		struct weir_schedule_turn turn = {.random = weir_id_next(&source).low};
		struct weir_schedule_candidate workers[6];
		uint32_t picks[6] = {0};

		for (size_t i = 0; i < 6; i++)
			workers[i] = idle_worker();
		workers[3].usable = false;
		for (uint32_t round = 0; round < 10000; round++)
			picks[pick(both[policy], workers, 6, &turn)]++;
		for (size_t i = 0; i < 6; i++) /* ten standard deviations each way */
			assert_in_range(picks[i], i == 3 ? 0 : 1600, i == 3 ? 0 : 2400);
	}
}

static void of_two_choices_the_more_loaded_one_never_wins(void **state)
{
	struct weir_schedule_candidate workers[2] = {idle_worker(), idle_worker()};
	struct weir_schedule_turn turn = {.random = 99};

	(void)state;
	workers[0].in_flight = 1;
	for (uint32_t round = 0; round < 1000; round++)
		assert_int_equal(pick(WEIR_POLICY_TWO_CHOICES, workers, 2, &turn), 1);
}

/* What the comparison is about. */
static void the_forerunners_policy_sends_a_burst_to_one_worker(void **state)
{
	struct weir_schedule_candidate workers[3] = {idle_worker(), idle_worker(), idle_worker()};
	struct weir_schedule_turn turn = {0};

	(void)state;
	workers[0].load_price = WEIR_SCHEDULE_UNIT / 10;
	for (uint32_t call = 0; call < workers[1].in_flight_limit; call++) {
		assert_int_equal(pick(WEIR_POLICY_C_SEED, workers, 3, &turn), 1);
		workers[1].in_flight++;
	}
	assert_int_equal(pick(WEIR_POLICY_C_SEED, workers, 3, &turn), 2); /* full is full */
}

static void a_burst_spreads_without_waiting_for_anybody(void **state)
{
	static const uint32_t both[] = {WEIR_POLICY_LEAST_IN_FLIGHT, WEIR_POLICY_SCORE};
	struct weir_id_source source = random_source();

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct weir_schedule_candidate workers[CANDIDATES_MAX];
		const size_t count = 1 + below(&source, CANDIDATES_MAX);
		const uint32_t limit = 1 + below(&source, 20);
		struct weir_schedule_turn turn = {.next = below(&source, CANDIDATES_MAX)};

		for (size_t i = 0; i < count; i++)
			workers[i] = (struct weir_schedule_candidate){
				.in_flight_limit = limit,
				.usable = true,
				.load_price = 1000, /* the last sample saw them alike */
				.home = below(&source, 2) != 0};
		for (size_t call = 0; call < count * limit; call++) {
			const int picked = pick(both[round % 2], workers, count, &turn);

			assert_true(picked >= 0);
			/* Nobody gets a second call before everybody has the first, and so on. */
			assert_int_equal(workers[picked].in_flight, call / count);
			workers[picked].in_flight++;
		}
		assert_int_equal(pick(both[round % 2], workers, count, &turn), -1);
	}
}

/* Between two samples nobody learns what the burst does to the load: the calls themselves must tell.
 * A worker seen at half of its CPU gets its first call before an idle one is full. */
static void a_burst_reaches_a_loaded_worker_before_the_idle_ones_are_full(void **state)
{
	const struct weir_schedule_terms half = {.cpu = WEIR_SCHEDULE_UNIT / 2};
	struct weir_schedule_candidate workers[3] = {idle_worker(), idle_worker(), idle_worker()};
	struct weir_schedule_turn turn = {0};

	(void)state;
	workers[1].load_price = weir_schedule_terms_price(&half, &weights);
	for (uint32_t call = 0; call < 14; call++)
		workers[pick(WEIR_POLICY_SCORE, workers, 3, &turn)].in_flight++;
	assert_int_equal(workers[0].in_flight, 6);
	assert_int_equal(workers[1].in_flight, 2); /* 4 of 16 calls are what its load is worth */
	assert_int_equal(workers[2].in_flight, 6);
}

static void one_task_at_a_time_means_none_else_not_even_a_parked_one(void **state)
{
	struct weir_schedule_candidate workers[2] = {idle_worker(), idle_worker()};
	struct weir_schedule_turn turn = {0};

	(void)state;
	workers[0].one_task = workers[1].one_task = true;
	workers[0].in_flight = workers[0].parked = 1;
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++)
		assert_int_equal(pick(policy, workers, 2, &turn), 1);
	workers[1].in_flight = 1;
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++)
		assert_int_equal(pick(policy, workers, 2, &turn), -1);
}

static void calls_ahead_cost_at_most_the_wait_that_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(weir_schedule_ahead_max(0), WEIR_SCHEDULE_AHEAD_UNKNOWN);
	assert_int_equal(weir_schedule_ahead_max(1), 256);
	assert_int_equal(weir_schedule_ahead_max(781), 256);
	assert_int_equal(weir_schedule_ahead_max(1000), 200);
	assert_int_equal(weir_schedule_ahead_max(100000), 2);
	assert_int_equal(weir_schedule_ahead_max(100001), 1);
	assert_int_equal(weir_schedule_ahead_max(200001), 1);
	assert_int_equal(weir_schedule_ahead_max(UINT64_MAX), 1);
}

static void only_workers_with_short_calls_and_no_cpu_lack_cpu(void **state)
{
	const uint64_t ms = 1000000;
	/* Two workers for 20 ms: 10 ms on a CPU each, the rest in its queue; 400 calls. */
	const struct weir_schedule_use full = {
		.span_ns = 40 * ms, .on_cpu_ns = 20 * ms, .run_queue_ns = 19 * ms, .finished = 400};
	struct weir_schedule_use use = full;

	(void)state;
	assert_true(weir_schedule_lacks_cpu(&full));
	use.on_cpu_ns = 39 * ms; /* each has a CPU of its own */
	use.run_queue_ns = 1 * ms;
	assert_false(weir_schedule_lacks_cpu(&use));
	use = full;
	use.on_cpu_ns = 5 * ms; /* they sleep most of the time */
	use.run_queue_ns = 5 * ms;
	assert_false(weir_schedule_lacks_cpu(&use));
	use.busy_ns = 18 * ms; /* and have no calls meanwhile: the gateway waits for the same CPU */
	assert_true(weir_schedule_lacks_cpu(&use));
	use.busy_ns = 90 * ms; /* within their calls */
	assert_false(weir_schedule_lacks_cpu(&use));
	use = full;
	use.finished = 3; /* 13 ms each: short ones need a turn beside them */
	assert_false(weir_schedule_lacks_cpu(&use));
	use.finished = 0;
	assert_false(weir_schedule_lacks_cpu(&use));
	assert_false(weir_schedule_lacks_cpu(&(struct weir_schedule_use){0}));
}

static void a_pool_grows_by_one_while_calls_wait_and_stays_in_its_bounds(void **state)
{
	(void)state;
	assert_int_equal(weir_schedule_workers_wanted(0, 0, 0, 8), 0);
	assert_int_equal(weir_schedule_workers_wanted(0, 1, 0, 8), 1);
	assert_int_equal(weir_schedule_workers_wanted(3, 900, 0, 8), 4);
	assert_int_equal(weir_schedule_workers_wanted(3, 0, 0, 8), 3);
	assert_int_equal(weir_schedule_workers_wanted(8, 900, 0, 8), 8);
	assert_int_equal(weir_schedule_workers_wanted(0, 0, 2, 8), 2);
	assert_int_equal(weir_schedule_workers_wanted(0, 5, 2, 8), 2);
	assert_int_equal(weir_schedule_workers_wanted(9, 0, 2, 8), 8);
	assert_int_equal(weir_schedule_workers_wanted(1, 5, 4, 2), 2);
	assert_int_equal(weir_schedule_workers_wanted(UINT32_MAX, 5, 0, UINT32_MAX),
			 UINT32_MAX);
}

static void every_number_of_a_policy_has_a_name_and_a_row(void **state)
{
	(void)state;
	for (uint32_t policy = 0; policy < WEIR_POLICY_COUNT; policy++) {
		assert_non_null(weir_policy_name(policy));
		assert_non_null(weir_schedule_policy(policy)->cost);
		assert_non_null(weir_schedule_policy(policy)->choose);
	}
	assert_null(weir_policy_name(WEIR_POLICY_COUNT));
	assert_null(weir_schedule_policy(WEIR_POLICY_COUNT));
}

static void short_calls_stay_until_the_batch_is_worth_a_wake(void **state)
{
	struct weir_schedule_candidate worker = {
		.in_flight_limit = WEIR_SCHEDULE_AHEAD_MAX, .service_ns = 1000, .usable = true};
	uint32_t kept = 0;

	(void)state;
	while (weir_schedule_keeps(&worker)) {
		worker.in_flight++;
		kept++;
	}
	assert_int_equal(kept, WEIR_SCHEDULE_BATCH_NS_MAX / 1000);
}

static void only_known_short_calls_with_room_stay(void **state)
{
	const struct weir_schedule_candidate fit = {.in_flight_limit = 4, .service_ns = 100, .usable = true};
	struct weir_schedule_candidate worker = fit;

	(void)state;
	assert_true(weir_schedule_keeps(&worker));
	worker.service_ns = 0; /* unknown */
	assert_false(weir_schedule_keeps(&worker));
	worker.service_ns = WEIR_SCHEDULE_BATCH_NS_MAX + 1;
	assert_false(weir_schedule_keeps(&worker));
	worker.service_ns = UINT64_MAX; /* a worker's lie */
	assert_false(weir_schedule_keeps(&worker));
	worker = fit;
	worker.usable = false;
	assert_false(weir_schedule_keeps(&worker));
	worker = fit;
	worker.in_flight = 4;
	assert_false(weir_schedule_keeps(&worker));
	worker.parked = 4; /* they delay nobody */
	assert_true(weir_schedule_keeps(&worker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_calls_stay_until_the_batch_is_worth_a_wake),
		cmocka_unit_test(only_known_short_calls_with_room_stay),
		cmocka_unit_test(nobody_to_pick_from_is_minus_one),
		cmocka_unit_test(the_least_loaded_wins_wherever_it_stands_and_whoever_is_home),
		cmocka_unit_test(ties_go_home_first),
		cmocka_unit_test(parked_calls_take_no_room_but_count_as_load),
		cmocka_unit_test(the_score_counts_calls_as_parts_of_the_room_there_is),
		cmocka_unit_test(the_largest_values_do_not_run_over),
		cmocka_unit_test(no_policy_picks_a_dead_draining_or_too_small_worker),
		cmocka_unit_test(the_two_that_compare_pick_nobody_while_another_is_cheaper),
		cmocka_unit_test(equal_workers_share_evenly_whoever_stands_between_them),
		cmocka_unit_test(chance_shares_nearly_evenly),
		cmocka_unit_test(of_two_choices_the_more_loaded_one_never_wins),
		cmocka_unit_test(the_forerunners_policy_sends_a_burst_to_one_worker),
		cmocka_unit_test(a_burst_spreads_without_waiting_for_anybody),
		cmocka_unit_test(a_burst_reaches_a_loaded_worker_before_the_idle_ones_are_full),
		cmocka_unit_test(one_task_at_a_time_means_none_else_not_even_a_parked_one),
		cmocka_unit_test(calls_ahead_cost_at_most_the_wait_that_is_allowed),
		cmocka_unit_test(a_pool_grows_by_one_while_calls_wait_and_stays_in_its_bounds),
		cmocka_unit_test(every_number_of_a_policy_has_a_name_and_a_row),
		cmocka_unit_test(only_workers_with_short_calls_and_no_cpu_lack_cpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
