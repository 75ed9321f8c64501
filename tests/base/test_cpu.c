#include <errno.h>
#include <sched.h>

#include "dataplane/base/cpu.h"
#include "tests/base/base_test.h"

static void list_holds_exactly_the_cpus_of_the_affinity_mask_ascending(void **state)
{
	uint16_t cpus[WEIR_CPU_MAX];
	cpu_set_t mask;
	int count = 0;

	(void)state;
	CPU_ZERO(&mask);
	assert_int_equal(sched_getaffinity(0, sizeof(mask), &mask), 0);
	count = weir_cpu_list(cpus, WEIR_CPU_MAX);
	assert_int_equal(count, CPU_COUNT(&mask));
	for (int i = 0; i < count; i++) {
		assert_true(CPU_ISSET(cpus[i], &mask));
		if (i > 0)
			assert_true(cpus[i] > cpus[i - 1]);
	}
}

static void list_writes_no_more_than_max(void **state)
{
	uint16_t cpus[2] = {7777, 7777};

	(void)state;
	assert_int_equal(weir_cpu_list(cpus, 0), 0);
	assert_int_equal(cpus[0], 7777);
	assert_int_equal(weir_cpu_list(cpus, 1), 1);
	assert_int_equal(cpus[1], 7777);
}

static void cpu_lists_are_numbers_and_ranges(void **state)
{
	static const char *const wrong[] = {"", ",", "1,", ",1", "a", "2-1", "1-", "-1", "1,1", "0-3,2", "1024", "1 2", "\n"};
	uint16_t cpus[8];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(weir_cpu_list_parse(wrong[i], cpus, 8), -EINVAL);
	assert_int_equal(weir_cpu_list_parse("5,0-2", cpus, 8), 4);
	assert_int_equal(cpus[0], 5);
	assert_int_equal(cpus[3], 2);
	assert_int_equal(weir_cpu_list_parse("0-7\n", cpus, 8), 8);
	assert_int_equal(weir_cpu_list_parse("0-8", cpus, 8), -EINVAL);
}

static void bind_all_leaves_those_of_the_mask_and_refuses_none(void **state)
{
	uint16_t cpus[WEIR_CPU_MAX];
	uint16_t left[WEIR_CPU_MAX];
	const uint16_t absent = 8000;
	const int count = weir_cpu_list(cpus, WEIR_CPU_MAX);

	(void)state;
	assert_true(count >= 1);
	assert_int_equal(weir_cpu_bind_all(cpus, (size_t)count), 0);
	assert_int_equal(weir_cpu_list(left, WEIR_CPU_MAX), count);
	assert_memory_equal(left, cpus, (size_t)count * sizeof(cpus[0]));
	assert_int_equal(weir_cpu_bind_all(&absent, 1), -EINVAL);
	assert_int_equal(weir_cpu_bind_all(NULL, 0), -EINVAL);
}

static void bind_leaves_one_cpu_in_the_mask_and_refuses_one_that_is_not_there(void **state)
{
	uint16_t cpus[WEIR_CPU_MAX];
	uint16_t first = 0;

	(void)state;
	assert_true(weir_cpu_list(cpus, WEIR_CPU_MAX) >= 1);
	first = cpus[0];
	assert_int_equal(weir_cpu_bind(first), 0);
	assert_int_equal(weir_cpu_list(cpus, WEIR_CPU_MAX), 1);
	assert_int_equal(cpus[0], first);
	assert_true(weir_cpu_bind(8000) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_holds_exactly_the_cpus_of_the_affinity_mask_ascending),
		cmocka_unit_test(list_writes_no_more_than_max),
		cmocka_unit_test(cpu_lists_are_numbers_and_ranges),
		cmocka_unit_test(bind_all_leaves_those_of_the_mask_and_refuses_none),
		cmocka_unit_test(
			bind_leaves_one_cpu_in_the_mask_and_refuses_one_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
