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

enum { CANDIDATES_MAX = 32, ROUNDS = 20000 };

static const struct weir_schedule_policy *const policy = &weir_schedule_least_in_flight;

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

static void random_candidates(struct weir_id_source *source,
			      struct weir_schedule_candidate *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (struct weir_schedule_candidate){
			.in_flight = below(source, 6),
			.in_flight_limit = below(source, 5),
			.parked = below(source, 3),
			.usable = below(source, 4) != 0,
			.home = below(source, 2) != 0,
		};
}

static void nobody_to_pick_from_is_minus_one(void **state)
{
	const struct weir_schedule_candidate full = {
		.in_flight = 4, .in_flight_limit = 4, .usable = true};
	const struct weir_schedule_candidate away = {.in_flight_limit = 4, .usable = false};

	(void)state;
	assert_int_equal(weir_schedule_pick(policy, NULL, 0, 7), -1);
	assert_int_equal(weir_schedule_pick(policy, &full, 1, 7), -1);
	assert_int_equal(weir_schedule_pick(policy, &away, 1, 7), -1);
}

static void the_least_loaded_wins_wherever_it_stands_and_whoever_is_home(void **state)
{
	(void)state;
	for (size_t place = 0; place < 5; place++) {
		struct weir_schedule_candidate workers[5];

		for (size_t i = 0; i < 5; i++)
			workers[i] = (struct weir_schedule_candidate){.in_flight = 3,
								      .in_flight_limit = 16,
								      .usable = true,
								      .home = true};
		workers[place].in_flight = 2;
		workers[place].home = false;
		for (uint32_t rotation = 0; rotation < 10; rotation++)
			assert_int_equal(weir_schedule_pick(policy, workers, 5, rotation),
					 place);
	}
}

static void ties_go_home_first(void **state)
{
	struct weir_schedule_candidate workers[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		workers[i] =
			(struct weir_schedule_candidate){.in_flight_limit = 16, .usable = true};
	workers[2].home = true;
	for (uint32_t rotation = 0; rotation < 10; rotation++)
		assert_int_equal(weir_schedule_pick(policy, workers, 4, rotation), 2);
}

static void parked_calls_take_no_room_but_count_as_load(void **state)
{
	struct weir_schedule_candidate workers[2] = {
		{.in_flight = 5, .parked = 4, .in_flight_limit = 2, .usable = true},
		{.in_flight = 6, .parked = 6, .in_flight_limit = 2, .usable = true},
	};

	(void)state;
	assert_int_equal(weir_schedule_pick(policy, workers, 2, 1), 0);
	workers[0].parked = 3;
	assert_int_equal(weir_schedule_pick(policy, workers, 2, 1), 1);
	workers[1].parked = 9; /* read at another moment than in_flight: no underflow */
	assert_int_equal(weir_schedule_ahead(&workers[1]), 0);
	workers[1].in_flight_limit = 0;
	assert_int_equal(weir_schedule_pick(policy, workers, 2, 1), -1);
}

static bool beats(const struct weir_schedule_candidate *a,
		  const struct weir_schedule_candidate *b)
{
	return a->in_flight < b->in_flight ||
	       (a->in_flight == b->in_flight && a->home && !b->home);
}

static void a_pick_has_room_and_nobody_with_room_is_better(void **state)
{
	struct weir_id_source source = random_source();

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct weir_schedule_candidate workers[CANDIDATES_MAX];
		const size_t count = below(&source, CANDIDATES_MAX + 1);
		bool room = false;

		random_candidates(&source, workers, count);
		const int picked =
			weir_schedule_pick(policy, workers, count, below(&source, UINT32_MAX));

		for (size_t i = 0; i < count; i++) {
			if (!weir_schedule_has_room(&workers[i]))
				continue;
			room = true;
			assert_true(picked >= 0 && (size_t)picked < count);
			assert_false(beats(&workers[i], &workers[picked]));
		}
		assert_int_equal(picked >= 0, room);
		if (picked >= 0) {
			assert_true(workers[picked].usable);
			assert_true(weir_schedule_ahead(&workers[picked]) <
				    workers[picked].in_flight_limit);
		}
	}
}

static void equal_workers_share_evenly_whoever_stands_between_them(void **state)
{
	struct weir_schedule_candidate workers[7];
	uint32_t picks[7] = {0};

	(void)state;
	for (size_t i = 0; i < 7; i++)
		workers[i] =
			(struct weir_schedule_candidate){.in_flight_limit = 16, .usable = true};
	workers[1].usable = false;
	workers[2].usable = false;
	workers[5].in_flight = 16;
	for (uint32_t rotation = 0; rotation < 4 * 250; rotation++) {
		const int picked = weir_schedule_pick(policy, workers, 7, rotation);

		assert_in_range(picked, 0, 6);
		picks[picked]++;
	}
	assert_int_equal(picks[0], 250);
	assert_int_equal(picks[1] + picks[2] + picks[5], 0);
	assert_int_equal(picks[3], 250);
	assert_int_equal(picks[4], 250);
	assert_int_equal(picks[6], 250);
}

static void a_burst_spreads_without_waiting_for_anybody(void **state)
{
	struct weir_id_source source = random_source();

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct weir_schedule_candidate workers[CANDIDATES_MAX];
		const size_t count = 1 + below(&source, CANDIDATES_MAX);
		const uint32_t limit = 1 + below(&source, 20);
		uint32_t rotation = below(&source, UINT32_MAX);

		for (size_t i = 0; i < count; i++)
			workers[i] = (struct weir_schedule_candidate){
				.in_flight_limit = limit,
				.usable = true,
				.home = below(&source, 2) != 0};
		for (size_t call = 0; call < count * limit; call++) {
			const int picked =
				weir_schedule_pick(policy, workers, count, rotation++);

			assert_true(picked >= 0);
			/* Nobody gets a second call before everybody has the first, and so on. */
			assert_int_equal(workers[picked].in_flight, call / count);
			workers[picked].in_flight++;
		}
		assert_int_equal(weir_schedule_pick(policy, workers, count, rotation), -1);
	}
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

static void policies_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(weir_schedule_policy_find("least-in-flight"),
			 &weir_schedule_least_in_flight);
	assert_null(weir_schedule_policy_find("least"));
	assert_null(weir_schedule_policy_find(""));
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
		cmocka_unit_test(a_pick_has_room_and_nobody_with_room_is_better),
		cmocka_unit_test(equal_workers_share_evenly_whoever_stands_between_them),
		cmocka_unit_test(a_burst_spreads_without_waiting_for_anybody),
		cmocka_unit_test(calls_ahead_cost_at_most_the_wait_that_is_allowed),
		cmocka_unit_test(a_pool_grows_by_one_while_calls_wait_and_stays_in_its_bounds),
		cmocka_unit_test(policies_are_found_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
