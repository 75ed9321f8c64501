#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/base/numa_memory.h"
#include "tests/base/base_test.h"

/* Where the kernel refuses all of it there is nothing to be tried. */
static void needs_memory_policies(void)
{
	if (weir_numa_memory_check() != 0)
		skip();
}

static void pages_that_were_bound_lie_there_and_others_are_not_there_yet(void **state)
{
	static struct weir_numa numa;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = NULL;
	void *pages[2];
	int nodes[2] = {-1, -1};
	uint16_t number = 0;

	(void)state;
	needs_memory_policies();
	(void)weir_numa_read(WEIR_NUMA_ROOT, &numa); /* where nothing is told, node 0 it is */
	weir_numa_memory_allow(&numa);
	number = weir_numa_memory_number(&numa, numa.node_count - 1);
	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(weir_numa_bind(memory, 2 * page, number), 0);
	memory[0] = 1;
	pages[0] = memory;
	pages[1] = memory + page;
	assert_int_equal(weir_numa_where(pages, 2, nodes), 0);
	assert_int_equal(nodes[0], number);
	assert_int_equal(nodes[1], -ENOENT);
	assert_int_equal(munmap(memory, 2 * page), 0);
}

static void a_node_that_is_not_there_is_refused(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = NULL;

	(void)state;
	needs_memory_policies();
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(weir_numa_bind(memory, page, 1000), -EINVAL);
	assert_int_equal(weir_numa_bind((char *)memory + 1, page, 0), -EINVAL);
	assert_int_equal(weir_numa_prefer(1000), -EINVAL);
	assert_int_equal(munmap(memory, page), 0);
}

static void a_preference_can_be_taken_back(void **state)
{
	static struct weir_numa numa;

	(void)state;
	needs_memory_policies();
	(void)weir_numa_read(WEIR_NUMA_ROOT, &numa); /* as above */
	weir_numa_memory_allow(&numa);
	assert_int_equal(weir_numa_prefer(weir_numa_memory_number(&numa, 0)), 0);
	assert_int_equal(weir_numa_prefer_own(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_were_bound_lie_there_and_others_are_not_there_yet),
		cmocka_unit_test(a_node_that_is_not_there_is_refused),
		cmocka_unit_test(a_preference_can_be_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
