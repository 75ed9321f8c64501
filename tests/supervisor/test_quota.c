#include "dataplane/supervisor/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A hierarchy of two groups under a top, made of plain files. */
static struct weir_cgroup_place place;

static int place_open(void **state)
{
	char path[PATH_MAX + 8];

	(void)state;
	(void)snprintf(place.top, sizeof(place.top), "/tmp/it-weir-quota-XXXXXX");
	assert_non_null(mkdtemp(place.top));
	(void)snprintf(place.path, sizeof(place.path), "%.200s/a", place.top);
	assert_int_equal(mkdir(place.path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%.200s/a/b", place.top);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(place.path, sizeof(place.path), "%.300s", path);
	return 0;
}

static int place_close(void **state)
{
	char command[PATH_MAX + 16];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %.200s", place.top);
	return system(command); /* NOLINT(concurrency-mt-unsafe,cert-env33-c): one thread, our own path */
}

static void file_write(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%.200s/%s", place.top, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void the_least_of_all_groups_above_counts_rounded_up(void **state)
{
	(void)state;
	place.is_unified = true;
	assert_int_equal(weir_quota_cpus(&place), 0); /* no files at all */
	file_write("a/b/cpu.max", "max 100000\n");
	assert_int_equal(weir_quota_cpus(&place), 0);
	file_write("a/cpu.max", "150000 100000\n");
	assert_int_equal(weir_quota_cpus(&place), 2);
	file_write("a/b/cpu.max", "100000 100000\n");
	assert_int_equal(weir_quota_cpus(&place), 1);
	file_write("a/b/cpu.max", "400000 100000\n");
	assert_int_equal(weir_quota_cpus(&place), 2);
	file_write("a/cpu.max", "nonsense\n");
	assert_int_equal(weir_quota_cpus(&place), 4);
}

static void version_1_has_two_files(void **state)
{
	(void)state;
	place.is_unified = false;
	file_write("a/b/cpu.cfs_period_us", "100000\n");
	file_write("a/b/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(weir_quota_cpus(&place), 0);
	file_write("a/b/cpu.cfs_quota_us", "250000\n");
	assert_int_equal(weir_quota_cpus(&place), 3);
	file_write("cpu.cfs_period_us", "50000\n");
	file_write("cpu.cfs_quota_us", "50000\n");
	assert_int_equal(weir_quota_cpus(&place), 1);
}

static void without_control_groups_there_is_no_limit(void **state)
{
	const struct weir_cgroup_place nowhere = {.is_unified = true};

	(void)state;
	assert_int_equal(weir_quota_cpus(&nowhere), 0);
}

static void memory_is_the_least_of_all_groups_above(void **state)
{
	(void)state;
	place.is_unified = true;
	assert_int_equal(weir_quota_memory(&place), 0); /* no files at all */
	file_write("a/b/memory.max", "max\n");
	assert_int_equal(weir_quota_memory(&place), 0);
	file_write("a/memory.max", "1073741824\n");
	assert_int_equal(weir_quota_memory(&place), 1073741824);
	file_write("a/b/memory.max", "536870912\n");
	assert_int_equal(weir_quota_memory(&place), 536870912);
	place.is_unified = false;
	file_write("a/b/memory.limit_in_bytes", "9223372036854771712\n"); /* what v1 has for none */
	assert_int_equal(weir_quota_memory(&place), 0);
	file_write("a/memory.limit_in_bytes", "268435456\n");
	assert_int_equal(weir_quota_memory(&place), 268435456);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_least_of_all_groups_above_counts_rounded_up, place_open, place_close),
		cmocka_unit_test_setup_teardown(version_1_has_two_files, place_open, place_close),
		cmocka_unit_test_setup_teardown(memory_is_the_least_of_all_groups_above, place_open, place_close),
		cmocka_unit_test(without_control_groups_there_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
