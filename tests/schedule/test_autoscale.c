/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/schedule/autoscale.h"

static const struct weir_autoscale_rule seed_rule = {.step_ms = 5000, .samples = 12, .threshold = 800};

/* Target after `samples` times the same demand; UINT32_MAX where there is none yet. */
static uint32_t target_of(const struct weir_autoscale_rule *rule, uint32_t samples, double demand, uint32_t min,
			  uint32_t max)
{
	struct weir_autoscale_window window = {.count = 0};
	uint32_t target = UINT32_MAX;

	for (uint32_t i = 0; i < samples; i++)
		weir_autoscale_take(&window, rule, demand);
	(void)weir_autoscale_target(&window, rule, min, max, &target); /* or it stays */
	return target;
}

static void the_defaults_are_those_of_the_source(void **state)
{
	const struct weir_autoscale_rule rule = WEIR_AUTOSCALE_RULE_DEFAULT;

	(void)state;
	assert_memory_equal(&rule, &seed_rule, sizeof(rule));
}

static void demand_is_the_larger_part_of_the_spec(void **state)
{
	const struct weir_schedule_resources spec = {1024, 2048};

	(void)state;
	assert_true(weir_autoscale_demand(spec, (struct weir_schedule_resources){0, 0}) == 0.0);
	assert_true(weir_autoscale_demand(spec, (struct weir_schedule_resources){512, 0}) == 0.5);
	assert_true(weir_autoscale_demand(spec, (struct weir_schedule_resources){256, 1024}) == 0.5);
	assert_true(weir_autoscale_demand(spec, (struct weir_schedule_resources){1024, 1}) == 1.0);
	assert_true(weir_autoscale_demand(spec, (struct weir_schedule_resources){2048, 2048}) == 2.0); /* the largest spec */
	assert_true(weir_autoscale_demand((struct weir_schedule_resources){0, 2048}, (struct weir_schedule_resources){512, 1024}) == 0.5);
}

static void nothing_is_said_before_the_window_is_full(void **state)
{
	(void)state;
	for (uint32_t samples = 0; samples < 12; samples++)
		assert_int_equal(target_of(&seed_rule, samples, 4, 0, 100), UINT32_MAX);
	assert_int_equal(target_of(&seed_rule, 12, 4, 0, 100), 5);
}

/* sum / (12 * 0.8), halves away from zero, then between the bounds. A demand of 2 yields a little less than
 * 2.5 in doubles, in the source as here. */
static void targets_of_the_source(void **state)
{
	const struct {
		double demand; /* of each of twelve samples */
		uint32_t min, max, target;
	} table[] = {
		{0, 0, 8, 0},    {0, 1, 8, 1},      {0.39, 0, 8, 0}, {0.41, 0, 8, 1}, {0.8, 0, 8, 1},
		{1, 0, 8, 1},    {1.19, 0, 8, 1},   {1.21, 0, 8, 2}, {2, 0, 8, 2},    {4, 0, 8, 5},
		{6.4, 0, 8, 8},  {64, 0, 8, 8},     {64, 0, 80, 80}, {64, 0, 81, 80}, {1, 3, 8, 3},
		{8, 3, 5, 5},    {8, 5, 3, 3},      {1e12, 0, UINT32_MAX, UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(target_of(&seed_rule, 12, table[i].demand, table[i].min, table[i].max), table[i].target);
}

static void halves_round_away_from_zero_as_go_does(void **state)
{
	const struct weir_autoscale_rule whole = {.step_ms = 5000, .samples = 2, .threshold = 1000};

	(void)state;
	assert_int_equal(target_of(&whole, 2, 0.5, 0, 9), 1);
	assert_int_equal(target_of(&whole, 2, 1.5, 0, 9), 2);
	assert_int_equal(target_of(&whole, 2, 2.5, 0, 9), 3); /* to even it would be 2 */
}

/* A minute of four requests at a time, then silence: what is left of the window counts. Half of it is 24 /
 * (12 * 0.8) again. */
static void silence_lets_the_target_fall_step_by_step(void **state)
{
	static const uint32_t expected[] = {5, 5, 4, 4, 3, 3, 2, 2, 2, 1, 1, 0, 0};
	struct weir_autoscale_window window = {.count = 0};
	uint32_t target = 0;

	(void)state;
	for (int i = 0; i < 12; i++)
		weir_autoscale_take(&window, &seed_rule, 4);
	for (size_t step = 0; step < sizeof(expected) / sizeof(expected[0]); step++) {
		assert_true(weir_autoscale_target(&window, &seed_rule, 0, 8, &target));
		assert_int_equal(target, expected[step]);
		weir_autoscale_take(&window, &seed_rule, 0);
	}
}

static void growth_is_for_load_that_is_still_there(void **state)
{
	(void)state;
	assert_int_equal(weir_autoscale_bound(13, 3, &seed_rule, 0.4), 3); /* it is over */
	assert_int_equal(weir_autoscale_bound(13, 3, &seed_rule, 4), 5);
	assert_int_equal(weir_autoscale_bound(13, 3, &seed_rule, 10.4), 13);
	assert_int_equal(weir_autoscale_bound(13, 3, &seed_rule, 1e12), 13);
	assert_int_equal(weir_autoscale_bound(3, 3, &seed_rule, 9), 3);
	assert_int_equal(weir_autoscale_bound(1, 3, &seed_rule, 0), 1); /* what falls is not held */
	assert_int_equal(weir_autoscale_bound(1, 0, &seed_rule, 0), 0);
}

static void a_pool_in_use_keeps_one_worker(void **state)
{
	(void)state;
	assert_int_equal(weir_autoscale_keeps(0, false, 8), 0);
	assert_int_equal(weir_autoscale_keeps(0, true, 8), 1);
	assert_int_equal(weir_autoscale_keeps(0, true, 0), 0);
	assert_int_equal(weir_autoscale_keeps(3, true, 8), 3);
}

/* Properties, on random numbers */

static uint32_t below(uint32_t limit)
{
	return (uint32_t)(random() % limit);
}

/* Whatever was sampled: within the bounds, as a slow and plain sum over the last samples says, and never
 * less for more demand. */
static void the_target_is_that_of_the_last_samples_and_grows_with_them(void **state)
{
	(void)state;
	for (int run = 0; run < 3000; run++) {
		const struct weir_autoscale_rule rule = {.step_ms = 5000,
							 .samples = (uint16_t)(1 + below(WEIR_AUTOSCALE_SAMPLES_MAX)),
							 .threshold = (uint16_t)(1 + below(WEIR_AUTOSCALE_THRESHOLD_MAX))};
		const uint32_t taken = rule.samples + below(200);
		const uint32_t min = below(10), max = min + below(40);
		struct weir_autoscale_window window = {.count = 0}, more = {.count = 0};
		double demand[WEIR_AUTOSCALE_SAMPLES_MAX + 200], sum = 0;
		uint32_t target = 0, target_of_more = 0;

		for (uint32_t i = 0; i < taken; i++) {
			demand[i] = below(4) == 0 ? 0 : below(20000) / 1000.0;
			weir_autoscale_take(&window, &rule, demand[i]);
			weir_autoscale_take(&more, &rule, demand[i] + below(2000) / 1000.0);
		}
		for (uint32_t i = taken - rule.samples; i < taken; i++)
			sum += demand[i];
		assert_true(weir_autoscale_target(&window, &rule, min, max, &target));
		assert_true(weir_autoscale_target(&more, &rule, min, max, &target_of_more));
		const double plain = round(sum / (rule.samples * (rule.threshold / 1000.0)));

		assert_true(target >= min && target <= max && target_of_more >= target);
		assert_int_equal(target, plain < min ? min : plain > max ? max : (uint32_t)plain);
	}
}

int main(void)
{
	const unsigned seed = (unsigned)time(NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_source),
		cmocka_unit_test(demand_is_the_larger_part_of_the_spec),
		cmocka_unit_test(nothing_is_said_before_the_window_is_full),
		cmocka_unit_test(targets_of_the_source),
		cmocka_unit_test(halves_round_away_from_zero_as_go_does),
		cmocka_unit_test(silence_lets_the_target_fall_step_by_step),
		cmocka_unit_test(growth_is_for_load_that_is_still_there),
		cmocka_unit_test(a_pool_in_use_keeps_one_worker),
		cmocka_unit_test(the_target_is_that_of_the_last_samples_and_grows_with_them),
	};

	print_message("seed %u\n", seed);
	srandom(seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
