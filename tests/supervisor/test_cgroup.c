/* Where control groups lie, on machines of every kind; and making and removing them, where that can be
 * had. What they do to workers is tested with a whole instance (tests/integration/test_cgroups.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/memory_events.h"
#include "dataplane/supervisor/cgroup.h"

static struct weir_cgroup_place place[WEIR_CGROUP_KINDS];

static void legacy_trees_are_found_each(void **state)
{
	(void)state;
	weir_cgroup_layout_parse("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
				 "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
				 "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
				 "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
				 "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
				 "8:pids:/\n4:memory:/api/37b\n3:cpuset:/\n2:cpu,cpuacct:/\n0::/\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "/sys/fs/cgroup/memory/api/37b");
	assert_string_equal(place[WEIR_CGROUP_MEMORY].top, "/sys/fs/cgroup/memory");
	assert_false(place[WEIR_CGROUP_MEMORY].is_unified);
	assert_string_equal(place[WEIR_CGROUP_CPU].path, "/sys/fs/cgroup/cpu,cpuacct");
	assert_false(place[WEIR_CGROUP_CPU].is_unified);
	/* Named, but mounted nowhere: perhaps the other hierarchy has it; its files tell. */
	assert_string_equal(place[WEIR_CGROUP_PROCESSES].path, "/sys/fs/cgroup/unified");
	assert_true(place[WEIR_CGROUP_PROCESSES].is_unified);
}

static void the_unified_tree_serves_all(void **state)
{
	(void)state;
	weir_cgroup_layout_parse("26 23 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
				 "0::/user.slice/user-1000.slice/user@1000.service/weir.scope\n", place);
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		assert_string_equal(place[kind].path,
				    "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/weir.scope");
		assert_true(place[kind].is_unified);
	}
}

static void a_container_sees_its_part_of_the_tree(void **state)
{
	static const char part[] = "9 8 0:23 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

	(void)state;
	weir_cgroup_layout_parse(part, "4:memory:/docker/ab/x\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "/sys/fs/cgroup/memory/x");
	weir_cgroup_layout_parse(part, "4:memory:/docker/ab\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "/sys/fs/cgroup/memory");
	weir_cgroup_layout_parse(part, "4:memory:/elsewhere\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "");
}

static void what_cannot_be_seen_is_nowhere(void **state)
{
	char groups[PATH_MAX + 16] = "0::/";

	(void)state;
	weir_cgroup_layout_parse("", "", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "");
	weir_cgroup_layout_parse("26 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/../other\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "");
	weir_cgroup_layout_parse("26 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "nonsense\n0\n", place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, "");
	weir_cgroup_layout_parse("26 23\n\n - cgroup2\n", "0::/a\n", place); /* lines that are cut */
	memset(groups + 4, 'x', PATH_MAX - 8);
	weir_cgroup_layout_parse("26 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", groups, place);
	assert_string_equal(place[WEIR_CGROUP_MEMORY].path, ""); /* no room for what is appended */
}

static void both_kinds_of_counts_are_read(void **state)
{
	(void)state;
	assert_int_equal(weir_memory_events_parse("oom_kill_disable 1\nunder_oom 0\noom_kill 3\n"), 3);
	assert_int_equal(weir_memory_events_parse("low 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 5\n"), 1);
	assert_int_equal(weir_memory_events_parse("oom_kill_disable 0\nunder_oom 0\n"), 0);
	assert_int_equal(weir_memory_events_parse(""), 0);
	assert_int_equal(weir_memory_events_kills(-1), 0);
}

/* Write a file of the worker 7's group in a tree that is only a folder. */
static void file_write(const char *tree, const char *name, const char *text)
{
	char path[256];
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/w7", tree);
	(void)mkdir(path, 0700); /* or it is there */
	(void)snprintf(path, sizeof(path), "%s/w7/%s", tree, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void tree_remove(const char *tree)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -rf %s", tree);
	assert_int_equal(system(command), 0);
}

static void a_group_tells_what_its_processes_used(void **state)
{
	char tree[] = "/tmp/it-weir-XXXXXX";
	struct weir_cgroups unified = {0}, legacy = {0};
	struct weir_cgroup_counts counts;

	(void)state;
	assert_non_null(mkdtemp(tree));
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		unified.tree[kind].is_unified = true;
		(void)snprintf(unified.tree[kind].path, sizeof(unified.tree[kind].path), "%s", tree);
		(void)snprintf(legacy.tree[kind].path, sizeof(legacy.tree[kind].path), "%s", tree);
	}
	weir_cgroup_count(&unified, 7, &counts);
	assert_int_equal(counts.cpu_ns + counts.faults + counts.faults_major, 0);
	file_write(tree, "cpu.stat", "usage_usec 1234567\nuser_usec 9\nsystem_usec 8\n");
	file_write(tree, "cpuacct.usage", "98765\n");
	file_write(tree, "memory.stat", "cache 5\nworkingset_pgfault 3\npgfault 70\npgmajfault 2\n");
	weir_cgroup_count(&unified, 7, &counts);
	assert_int_equal(counts.cpu_ns, UINT64_C(1234567000));
	assert_int_equal(counts.faults, 70);
	assert_int_equal(counts.faults_major, 2);
	weir_cgroup_count(&legacy, 7, &counts);
	assert_int_equal(counts.cpu_ns, 98765);
	weir_cgroup_count(&unified, 8, &counts);
	assert_int_equal(counts.cpu_ns + counts.faults + counts.faults_major, 0);
	weir_cgroup_count(&(struct weir_cgroups){0}, 7, &counts);
	assert_int_equal(counts.cpu_ns + counts.faults + counts.faults_major, 0);
	tree_remove(tree);
}

/* ---- on this machine ---- */

static char data[] = "/tmp/it-weir-XXXXXX";
static struct weir_cgroups groups;

static bool is_seven(void *context, uint64_t id)
{
	(void)context;
	return id == 7;
}

static bool is_there(unsigned kind, uint64_t id)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/w%llu", groups.tree[kind].path, (unsigned long long)id);
	return access(path, F_OK) == 0;
}

static void groups_come_and_go(void **state)
{
	const struct weir_cgroup_limits limits = {.memory_bytes = 64 << 20, .processes = 10, .cpu_apart = 1};
	struct weir_cgroup_limits more = {.memory_bytes = 128 << 20, .processes = 20, .cpu_millicores = 500};
	struct weir_sandbox_plan plan = {.layers = 0};
	char lacks[512];
	char run[sizeof(data) + 8];
	int events = -1;

	(void)state;
	assert_non_null(mkdtemp(data));
	(void)snprintf(run, sizeof(run), "%s/run", data);
	assert_int_equal(mkdir(run, 0700), 0);
	weir_cgroups_open(data, true, &groups, lacks, sizeof(lacks));
	assert_true((groups.tree[WEIR_CGROUP_MEMORY].path[0] == '\0') == (strstr(lacks, "worker's memory") != NULL));
	if (lacks[0] != '\0') {
		weir_cgroups_close(data);
		print_message("%s", lacks);
		skip();
	}
	for (uint64_t id = 7; id <= 9; id++) {
		assert_int_equal(weir_cgroup_create(&groups, id, &limits, &plan), 0);
		assert_true(plan.group_fd != 0 || plan.tasks_fd[0] != 0);
		weir_cgroup_born(&plan);
		assert_int_equal(plan.group_fd, 0);
		for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++)
			assert_true(is_there(kind, id));
	}
	assert_int_equal(weir_cgroup_limit(&groups, 7, &more), 0);
	more.cpu_millicores = 1; /* the least that there is */
	assert_int_equal(weir_cgroup_limit(&groups, 7, &more), 0);
	more.cpu_millicores = 0;
	assert_int_equal(weir_cgroup_limit(&groups, 7, &more), 0);
	events = weir_cgroup_events(&groups, 7);
	assert_int_not_equal(events, -1);
	assert_int_equal(weir_memory_events_kills(events), 0);
	assert_int_equal(close(events), 0);
	assert_int_equal(weir_cgroup_events(&groups, 10), -1);
	assert_int_equal(weir_cgroups_sweep(&groups, is_seven, NULL), 0);
	assert_true(is_there(WEIR_CGROUP_MEMORY, 7));
	assert_false(is_there(WEIR_CGROUP_MEMORY, 8));
	weir_cgroups_close(data);
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++)
		assert_int_not_equal(access(groups.tree[kind].path, F_OK), 0);
	weir_cgroups_close(data); /* nothing is named any more */
	(void)rmdir(run);
	(void)rmdir(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legacy_trees_are_found_each),
		cmocka_unit_test(the_unified_tree_serves_all),
		cmocka_unit_test(a_container_sees_its_part_of_the_tree),
		cmocka_unit_test(what_cannot_be_seen_is_nowhere),
		cmocka_unit_test(both_kinds_of_counts_are_read),
		cmocka_unit_test(a_group_tells_what_its_processes_used),
		cmocka_unit_test(groups_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
