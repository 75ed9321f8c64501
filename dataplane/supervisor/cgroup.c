#include "dataplane/supervisor/cgroup.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/supervisor/cgroup_files.h"

enum {
	PERIOD_US = 100000,
	US_PER_MILLICORE = PERIOD_US / 1000,
	MILLICORES_MIN = 10, /* the kernel takes no less than 1 ms of a period */
};

static bool has(const struct weir_cgroups *groups, unsigned kind)
{
	return groups->tree[kind].path[0] != '\0';
}

static void worker_path(const struct weir_cgroups *groups, unsigned kind, uint64_t id,
			char out_path[WEIR_CGROUP_PATH_BYTES])
{
	(void)snprintf(out_path, WEIR_CGROUP_PATH_BYTES, "%s/w%llu", groups->tree[kind].path,
		       (unsigned long long)id);
}

/* v1's cpu trees cost every switch of their processes something, so they are made where they are needed. */
static bool is_wanted(const struct weir_cgroups *groups, unsigned kind, const struct weir_cgroup_limits *limits)
{
	if (!has(groups, kind))
		return false;
	return kind != WEIR_CGROUP_CPU || limits->cpu_millicores != 0 || limits->cpu_apart != 0;
}

static int memory_write(const char *group, bool is_unified, uint64_t bytes)
{
	char text[32] = "max";
	int result = 0;

	if (bytes != 0 || !is_unified)
		(void)snprintf(text, sizeof(text), "%lld", bytes == 0 ? -1 : (long long)bytes);
	if (is_unified) {
		(void)weir_cgroup_write(group, "memory.swap.max", bytes == 0 ? "max" : "0"); /* or no swap */
		return weir_cgroup_write(group, "memory.max", text);
	}
	/* With swap it must never be less than without: this order for more, the other one for less. */
	(void)weir_cgroup_write(group, "memory.memsw.limit_in_bytes", text);
	result = weir_cgroup_write(group, "memory.limit_in_bytes", text);
	(void)weir_cgroup_write(group, "memory.memsw.limit_in_bytes", text); /* or swap is not counted */
	return result;
}

static int processes_write(const char *group, uint32_t processes)
{
	char text[16] = "max";

	if (processes != 0)
		(void)snprintf(text, sizeof(text), "%u", processes);
	return weir_cgroup_write(group, "pids.max", text);
}

static int cpu_write(const char *group, bool is_unified, uint32_t millicores)
{
	char text[48];
	int result = 0;

	if (millicores != 0 && millicores < MILLICORES_MIN)
		millicores = MILLICORES_MIN;
	if (is_unified && millicores == 0)
		return weir_cgroup_write(group, "cpu.max", "max");
	if (is_unified)
		(void)snprintf(text, sizeof(text), "%u %d", millicores * US_PER_MILLICORE, PERIOD_US);
	else
		(void)snprintf(text, sizeof(text), "%lld",
			       millicores == 0 ? -1LL : (long long)millicores * US_PER_MILLICORE);
	result = weir_cgroup_write(group, is_unified ? "cpu.max" : "cpu.cfs_quota_us", text);
	/* v1 refuses more than the group above has, which is then the bound. */
	if (result == -EINVAL && !is_unified)
		result = weir_cgroup_write(group, "cpu.cfs_quota_us", "-1");
	return result;
}

static int limit_write(const struct weir_cgroups *groups, unsigned kind, const char *group,
		       const struct weir_cgroup_limits *limits)
{
	const bool is_unified = groups->tree[kind].is_unified;

	if (kind == WEIR_CGROUP_MEMORY)
		return memory_write(group, is_unified, limits->memory_bytes);
	if (kind == WEIR_CGROUP_PROCESSES)
		return processes_write(group, limits->processes);
	return cpu_write(group, is_unified, limits->cpu_millicores);
}

/* What a child writes itself into: v1, a file of each tree; v2, the group itself. */
static int entry_open(const struct weir_cgroups *groups, unsigned kind, const char *group,
		      struct weir_sandbox_plan *plan)
{
	char path[WEIR_CGROUP_PATH_BYTES + 8];
	int *const place = groups->tree[kind].is_unified ? &plan->group_fd : &plan->tasks_fd[kind];

	if (*place != 0)
		return 0; /* the one v2 group of all */
	(void)snprintf(path, sizeof(path), "%s/tasks", group);
	*place = groups->tree[kind].is_unified ? open(group, O_PATH | O_DIRECTORY | O_CLOEXEC)
					       : open(path, O_WRONLY | O_CLOEXEC);
	if (*place != -1)
		return 0;
	*place = 0;
	return -errno;
}

static void worker_remove(const struct weir_cgroups *groups, uint64_t id)
{
	char path[WEIR_CGROUP_PATH_BYTES];

	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		if (!has(groups, kind))
			continue;
		worker_path(groups, kind, id, path);
		(void)weir_cgroup_unmake(path); /* or the next sweep does */
	}
}

int weir_cgroup_create(const struct weir_cgroups *groups, uint64_t id, const struct weir_cgroup_limits *limits,
		       struct weir_sandbox_plan *plan)
{
	static_assert(sizeof(plan->tasks_fd) / sizeof(plan->tasks_fd[0]) == WEIR_CGROUP_KINDS, "one for each");
	int result = 0;

	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS && result == 0; kind++) {
		char path[WEIR_CGROUP_PATH_BYTES];

		if (!is_wanted(groups, kind, limits))
			continue;
		worker_path(groups, kind, id, path);
		result = weir_cgroup_make(path);
		if (result == 0)
			result = limit_write(groups, kind, path, limits);
		if (result == 0)
			result = entry_open(groups, kind, path, plan);
	}
	if (result != 0) {
		weir_cgroup_born(plan);
		worker_remove(groups, id);
	}
	return result;
}

void weir_cgroup_born(struct weir_sandbox_plan *plan)
{
	int *const fds[] = {&plan->group_fd, &plan->tasks_fd[0], &plan->tasks_fd[1], &plan->tasks_fd[2]};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] != 0)
			weir_fd_close(fds[i]);
		*fds[i] = 0;
	}
}

/* A worker that was born without a cpu group gets one: its processes move. */
static int worker_join(const struct weir_cgroups *groups, unsigned kind, uint64_t id, const char *path)
{
	char from[WEIR_CGROUP_PATH_BYTES];
	unsigned other = 0;

	if (access(path, F_OK) == 0)
		return 0;
	while (other < WEIR_CGROUP_KINDS && (other == kind || !has(groups, other)))
		other++;
	if (other == WEIR_CGROUP_KINDS)
		return -ESRCH; /* no list of its processes */
	worker_path(groups, other, id, from);
	if (weir_cgroup_make(path) != 0)
		return -errno;
	return weir_cgroup_move(from, path);
}

int weir_cgroup_limit(const struct weir_cgroups *groups, uint64_t id, const struct weir_cgroup_limits *limits)
{
	int result = 0;

	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		char path[WEIR_CGROUP_PATH_BYTES];
		int written = 0;

		if (!has(groups, kind))
			continue;
		worker_path(groups, kind, id, path);
		if (is_wanted(groups, kind, limits))
			written = worker_join(groups, kind, id, path);
		else if (access(path, F_OK) != 0)
			continue;
		if (written == 0)
			written = limit_write(groups, kind, path, limits);
		if (result == 0)
			result = written;
	}
	return result;
}

int weir_cgroup_events(const struct weir_cgroups *groups, uint64_t id)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	char file[WEIR_CGROUP_PATH_BYTES + 32];

	if (!has(groups, WEIR_CGROUP_MEMORY))
		return -1;
	worker_path(groups, WEIR_CGROUP_MEMORY, id, path);
	(void)snprintf(file, sizeof(file), "%s/%s", path,
		       groups->tree[WEIR_CGROUP_MEMORY].is_unified ? "memory.events" : "memory.oom_control");
	return open(file, O_RDONLY | O_CLOEXEC);
}

/* The number behind `word` and a blank at the beginning of a line of the file in the worker's group; 0:
 * it has none. Without `word` the number that the file is. */
static uint64_t count_read(const struct weir_cgroups *groups, unsigned kind, uint64_t id, const char *name,
			   const char *word)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	char file[WEIR_CGROUP_PATH_BYTES + 32];
	char text[4096] = "\n"; /* so that the first line begins as the others do */
	char line[32];
	const char *at = text + 1;

	if (!has(groups, kind))
		return 0;
	worker_path(groups, kind, id, path);
	(void)snprintf(file, sizeof(file), "%s/%s", path, name); /* fits */
	if (weir_cgroup_read(file, text + 1, sizeof(text) - 1) != 0)
		return 0;
	if (word != NULL) {
		(void)snprintf(line, sizeof(line), "\n%s ", word); /* fits: names of ours */
		at = strstr(text, line);
		at = at == NULL ? "" : at + strlen(line);
	}
	return strtoull(at, NULL, 10);
}

void weir_cgroup_count(const struct weir_cgroups *groups, uint64_t id, struct weir_cgroup_counts *out_counts)
{
	const bool is_unified = groups->tree[WEIR_CGROUP_MEMORY].is_unified;
	/* v2 counts CPU time in every group, whatever controllers it has. */
	const unsigned cpu = is_unified ? WEIR_CGROUP_MEMORY : WEIR_CGROUP_CPU;

	out_counts->cpu_ns = groups->tree[cpu].is_unified
				     ? count_read(groups, cpu, id, "cpu.stat", "usage_usec") * 1000
				     : count_read(groups, cpu, id, "cpuacct.usage", NULL);
	out_counts->faults = count_read(groups, WEIR_CGROUP_MEMORY, id, "memory.stat", "pgfault");
	out_counts->faults_major = count_read(groups, WEIR_CGROUP_MEMORY, id, "memory.stat", "pgmajfault");
}

uint64_t weir_cgroup_memory(const struct weir_cgroups *groups, uint64_t id)
{
	const bool is_unified = groups->tree[WEIR_CGROUP_MEMORY].is_unified;

	return count_read(groups, WEIR_CGROUP_MEMORY, id, "memory.stat", is_unified ? "anon" : "rss");
}

/* "w123": 123; else 0. */
static uint64_t worker_id(const char *name)
{
	char *end = NULL;
	uint64_t id = 0;

	if (name[0] != 'w' || name[1] < '0' || name[1] > '9')
		return 0;
	id = strtoull(name + 1, &end, 10);
	return *end == '\0' ? id : 0;
}

size_t weir_cgroups_sweep(const struct weir_cgroups *groups, bool (*is_kept)(void *context, uint64_t id),
			  void *context)
{
	size_t left = 0;

	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		DIR *const directory = has(groups, kind) ? opendir(groups->tree[kind].path) : NULL;
		const struct dirent *found = NULL;

		while (directory != NULL && (found = readdir(directory)) != NULL) {
			char path[WEIR_CGROUP_PATH_BYTES];
			const uint64_t id = worker_id(found->d_name);

			if (id == 0 || is_kept(context, id))
				continue;
			worker_path(groups, kind, id, path);
			left += weir_cgroup_unmake(path) == -EBUSY;
		}
		if (directory != NULL)
			(void)closedir(directory);
	}
	return left;
}
