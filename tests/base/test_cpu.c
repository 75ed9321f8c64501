#include <sched.h>

#include "dataplane/base/cpu.h"
#include "tests/base/base_test.h"

static void list_holds_exactly_the_cpus_of_the_affinity_mask_ascending(void **state)
{
	struct weir_cpu cpus[WEIR_CPU_MAX];
	cpu_set_t mask;
	int count = 0;

	(void)state;
	CPU_ZERO(&mask);
	assert_int_equal(sched_getaffinity(0, sizeof(mask), &mask), 0);
	count = weir_cpu_list(cpus, WEIR_CPU_MAX);
	assert_int_equal(count, CPU_COUNT(&mask));
	for (int i = 0; i < count; i++) {
		assert_true(CPU_ISSET(cpus[i].number, &mask));
		if (i > 0)
			assert_true(cpus[i].number > cpus[i - 1].number);
	}
}

static void list_writes_no_more_than_max(void **state)
{
	struct weir_cpu cpus[2] = {{.number = 7777}, {.number = 7777}};

	(void)state;
	assert_int_equal(weir_cpu_list(cpus, 0), 0);
	assert_int_equal(cpus[0].number, 7777);
	assert_int_equal(weir_cpu_list(cpus, 1), 1);
	assert_int_equal(cpus[1].number, 7777);
}

static void bind_leaves_one_cpu_in_the_mask_and_refuses_one_that_is_not_there(void **state)
{
	struct weir_cpu cpus[WEIR_CPU_MAX];
	uint16_t first = 0;

	(void)state;
	assert_true(weir_cpu_list(cpus, WEIR_CPU_MAX) >= 1);
	first = cpus[0].number;
	assert_int_equal(weir_cpu_bind(first), 0);
	assert_int_equal(weir_cpu_list(cpus, WEIR_CPU_MAX), 1);
	assert_int_equal(cpus[0].number, first);
	assert_true(weir_cpu_bind(8000) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_holds_exactly_the_cpus_of_the_affinity_mask_ascending),
		cmocka_unit_test(list_writes_no_more_than_max),
		cmocka_unit_test(
			bind_leaves_one_cpu_in_the_mask_and_refuses_one_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
