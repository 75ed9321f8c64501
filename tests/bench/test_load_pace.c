#include "tests/bench/bench_test.h"

#include "bench/load_pace.h"

#define START_NS UINT64_C(5000000000)

static struct weir_load_pace pace;

static void the_first_is_due_at_the_start_and_the_next_a_step_later(void **state)
{
	(void)state;
	weir_load_pace_start(&pace, 1000, START_NS);
	assert_false(weir_load_pace_due(&pace, START_NS - 1));
	assert_true(weir_load_pace_due(&pace, START_NS));
	assert_int_equal(weir_load_pace_take(&pace), START_NS);
	assert_false(weir_load_pace_due(&pace, START_NS + WEIR_NS_PER_MS - 1));
	assert_true(weir_load_pace_due(&pace, START_NS + WEIR_NS_PER_MS));
}

/* A schedule that moved with the sender would forget the time that requests waited. */
static void a_late_sender_does_not_move_the_schedule(void **state)
{
	(void)state;
	weir_load_pace_start(&pace, 1000, START_NS);
	for (uint64_t i = 0; i < 500; i++) {
		assert_true(weir_load_pace_due(&pace, START_NS + WEIR_NS_PER_SECOND));
		assert_int_equal(weir_load_pace_take(&pace), START_NS + i * WEIR_NS_PER_MS);
	}
}

static void a_rate_that_does_not_divide_a_second_does_not_drift(void **state)
{
	(void)state;
	static const uint32_t rates[] = {1, 3, 7, 97, 123457, 999983, 10000000};

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		weir_load_pace_start(&pace, rates[r], START_NS);
		for (uint64_t i = 0; i < 3 * (uint64_t)rates[r]; i++)
			assert_in_range(weir_load_pace_take(&pace),
					START_NS + i * WEIR_NS_PER_SECOND / rates[r],
					START_NS + i * WEIR_NS_PER_SECOND / rates[r] + 1);
		assert_int_equal(weir_load_pace_take(&pace), START_NS + 3 * WEIR_NS_PER_SECOND);
	}
}

static void what_waits_is_what_was_due_and_not_taken(void **state)
{
	(void)state;
	weir_load_pace_start(&pace, 1000, START_NS);
	assert_int_equal(weir_load_pace_waiting(&pace, START_NS - 1), 0);
	assert_int_equal(weir_load_pace_waiting(&pace, START_NS), 1);
	assert_int_equal(weir_load_pace_waiting(&pace, START_NS + 10 * WEIR_NS_PER_MS), 11);
	(void)weir_load_pace_take(&pace); /* its time is not what this test is about */
	assert_int_equal(weir_load_pace_waiting(&pace, START_NS + 10 * WEIR_NS_PER_MS), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_due_at_the_start_and_the_next_a_step_later),
		cmocka_unit_test(a_late_sender_does_not_move_the_schedule),
		cmocka_unit_test(a_rate_that_does_not_divide_a_second_does_not_drift),
		cmocka_unit_test(what_waits_is_what_was_due_and_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
