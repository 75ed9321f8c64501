#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane/base/numa.h"
#include "tests/base/base_test.h"

/* A directory like the kernel's, with the nodes of a test. */
struct tree {
	char root[64];
	struct weir_numa numa;
};

static void file_write(const struct tree *tree, const char *name, const char *text)
{
	char path[128];
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int tree_open(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	assert_non_null(tree);
	(void)snprintf(tree->root, sizeof(tree->root), "/tmp/it-weir-numa-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	*state = tree;
	return 0;
}

static int tree_close(void **state)
{
	struct tree *tree = *state;
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf %s", tree->root);
	assert_int_equal(system(command), 0); /* NOLINT(concurrency-mt-unsafe,cert-env33-c): one thread, our own path */
	free(tree);
	return 0;
}

static void node_write(const struct tree *tree, unsigned number, const char *cpus, unsigned long memory_kib,
		       const char *distance)
{
	char name[96];
	char text[128];

	(void)snprintf(name, sizeof(name), "%s/node%u", tree->root, number);
	assert_int_equal(mkdir(name, 0700), 0);
	(void)snprintf(name, sizeof(name), "node%u/cpulist", number);
	(void)snprintf(text, sizeof(text), "%s\n", cpus);
	file_write(tree, name, text);
	(void)snprintf(name, sizeof(name), "node%u/distance", number);
	(void)snprintf(text, sizeof(text), "%s\n", distance);
	file_write(tree, name, text);
	(void)snprintf(name, sizeof(name), "node%u/meminfo", number);
	(void)snprintf(text, sizeof(text), "Node %u MemTotal: %15lu kB\nNode %u MemFree: 1 kB\n", number, memory_kib, number);
	file_write(tree, name, text);
}

static void nodes_have_the_cpus_memory_and_distances_that_the_kernel_tells(void **state)
{
	struct tree *tree = *state;
	struct weir_numa *numa = &tree->numa;

	file_write(tree, "online", "0-1\n");
	node_write(tree, 0, "0-1,4", 1024, "10 21");
	node_write(tree, 1, "2-3", 2048, "21 10");
	assert_int_equal(weir_numa_read(tree->root, numa), 0);
	assert_int_equal(numa->node_count, 2);
	assert_int_equal(numa->node[0].cpu_count, 3);
	assert_int_equal(numa->node[1].cpu_count, 2);
	assert_string_equal(numa->node[0].cpus, "0-1,4");
	assert_int_equal(numa->node_of_cpu[4], 0);
	assert_int_equal(numa->node_of_cpu[3], 1);
	assert_int_equal(numa->node[1].memory_bytes, 2048 * 1024);
	assert_int_equal(numa->node[0].distance[1], 21);
	assert_int_equal(numa->node[1].distance[1], WEIR_NUMA_DISTANCE_SELF);
	assert_int_equal(numa->node[1].memory_index, 1);
}

static void numbers_of_nodes_may_have_gaps(void **state)
{
	struct tree *tree = *state;

	file_write(tree, "online", "0,2,8\n");
	node_write(tree, 0, "0", 1, "10 20 40");
	node_write(tree, 2, "1", 1, "20 10 40");
	node_write(tree, 8, "2", 1, "40 40 10");
	assert_int_equal(weir_numa_read(tree->root, &tree->numa), 0);
	assert_int_equal(tree->numa.node_count, 3);
	assert_int_equal(tree->numa.node[2].number, 8);
	assert_int_equal(tree->numa.node_of_cpu[2], 2);
	assert_int_equal(weir_numa_memory_number(&tree->numa, 2), 8);
}

static void who_has_no_memory_uses_the_nearest_that_has(void **state)
{
	struct tree *tree = *state;
	struct weir_numa *numa = &tree->numa;

	file_write(tree, "online", "0-3\n");
	node_write(tree, 0, "0", 8, "10 20 30 12");
	node_write(tree, 1, "1", 0, "20 10 15 17"); /* CPUs only */
	node_write(tree, 2, "2", 8, "30 15 10 12");
	node_write(tree, 3, "", 64, "12 17 12 10"); /* memory only */
	assert_int_equal(weir_numa_read(tree->root, numa), 0);
	assert_int_equal(numa->node[3].cpu_count, 0);
	assert_int_equal(numa->node[1].memory_index, 2);
	assert_int_equal(numa->node[0].memory_index, 0);
	weir_numa_memory_forbid(numa, 2);
	assert_int_equal(numa->node[1].memory_index, 3);
	assert_int_equal(numa->node[2].memory_index, 3);
	weir_numa_memory_forbid(numa, 0);
	weir_numa_memory_forbid(numa, 3); /* the last: it stays */
	assert_int_equal(numa->node[0].memory_index, 3);
	assert_int_equal(numa->node[3].memory_bytes, 64 * 1024);
}

static void what_cannot_be_read_is_one_node_with_everything(void **state)
{
	struct tree *tree = *state;
	struct weir_numa *numa = &tree->numa;

	assert_int_equal(weir_numa_read("/nowhere", numa), -ENOENT);
	assert_int_equal(numa->node_count, 1);
	file_write(tree, "online", "0-1\n");
	node_write(tree, 0, "0", 1, "10 20");
	assert_int_equal(weir_numa_read(tree->root, numa), -ENOENT); /* of node 1 there is nothing */
	node_write(tree, 1, "x", 1, "20 10");
	assert_int_equal(weir_numa_read(tree->root, numa), -EBADMSG);
	file_write(tree, "node1/cpulist", "1\n");
	file_write(tree, "node1/distance", "20\n");
	assert_int_equal(weir_numa_read(tree->root, numa), -EBADMSG);
	file_write(tree, "node1/distance", "20 9\n");
	assert_int_equal(weir_numa_read(tree->root, numa), -EBADMSG);
	file_write(tree, "online", "all\n");
	assert_int_equal(weir_numa_read(tree->root, numa), -EBADMSG);
	assert_int_equal(numa->node_count, 1);
	assert_int_equal(numa->node[0].memory_index, 0);
	assert_int_equal(numa->node[0].distance[0], WEIR_NUMA_DISTANCE_SELF);
	assert_int_equal(numa->node_of_cpu[5], 0);
}

static void this_machine_can_be_read_and_every_cpu_of_ours_is_on_one_of_its_nodes(void **state)
{
	struct tree *tree = *state;
	uint16_t cpus[WEIR_CPU_MAX];
	const int count = weir_cpu_list(cpus, WEIR_CPU_MAX);
	const int result = weir_numa_read(WEIR_NUMA_ROOT, &tree->numa);

	assert_true(result == 0 || result == -ENOENT);
	assert_true(tree->numa.node_count >= 1);
	for (int i = 0; i < count; i++)
		assert_true(tree->numa.node_of_cpu[cpus[i]] < tree->numa.node_count);
}

int main(void)
{
#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, tree_open, tree_close)
	const struct CMUnitTest tests[] = {
		TREE_TEST(nodes_have_the_cpus_memory_and_distances_that_the_kernel_tells),
		TREE_TEST(numbers_of_nodes_may_have_gaps),
		TREE_TEST(who_has_no_memory_uses_the_nearest_that_has),
		TREE_TEST(what_cannot_be_read_is_one_node_with_everything),
		TREE_TEST(this_machine_can_be_read_and_every_cpu_of_ours_is_on_one_of_its_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
