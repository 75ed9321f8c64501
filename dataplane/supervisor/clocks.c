#include "dataplane/supervisor/clocks.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum {
	TEXT_BYTES = 2048,
	STAT_MINOR_FAULTS = 10, /* fields of /proc/PID/stat, counted from 1 (proc(5)) */
	STAT_CHILDREN_MINOR_FAULTS = 11,
	STAT_MAJOR_FAULTS = 12,
	STAT_CHILDREN_MAJOR_FAULTS = 13,
	STAT_CHILDREN_USER = 16,
	STAT_CHILDREN_SYSTEM = 17,
	STAT_BLOCK_DELAY = 42,
	STAT_FIRST_AFTER_NAME = 3,
};

/* A small file as text; empty if it cannot be read. */
static void file_read(const char *path, char text[TEXT_BYTES])
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t got = fd == -1 ? -1 : read(fd, text, TEXT_BYTES - 1);

	text[got > 0 ? got : 0] = '\0';
}

static void proc_read(pid_t pid, const char *name, char text[TEXT_BYTES])
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file_read(path, text);
}

uint64_t weir_clocks_cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock = 0;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

uint64_t weir_clocks_rss_bytes(pid_t pid)
{
	char text[TEXT_BYTES];
	const char *second = NULL;

	proc_read(pid, "statm", text);
	second = strchr(text, ' ');
	return second == NULL ? 0 : strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The field of /proc/PID/stat; the name before field 3 may hold anything. */
static uint64_t stat_field(const char *text, int field)
{
	const char *at = strrchr(text, ')');

	for (int i = STAT_FIRST_AFTER_NAME - 1; at != NULL && i < field; i++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

static uint64_t ticks_ns(uint64_t ticks)
{
	return ticks * (WEIR_NS_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* The number after "name:" in a file of such lines. */
static uint64_t named(const char *text, const char *name)
{
	const char *const at = strstr(text, name);

	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* A process and those that it started, as they are found. */
struct family {
	pid_t pid[WEIR_CLOCKS_PROCESSES_MAX];
	int count;
};

static void children_add(struct family *family, const char *text)
{
	char *end = NULL;

	for (long pid = strtol(text, &end, 10); pid > 0; pid = strtol(text, &end, 10)) {
		if (family->count == WEIR_CLOCKS_PROCESSES_MAX)
			return;
		family->pid[family->count++] = (pid_t)pid;
		text = end;
	}
}

static void thread_add(pid_t pid, const char *thread, struct family *family, uint64_t *counts)
{
	char path[96];
	char text[TEXT_BYTES];
	const char *second = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, thread);
	file_read(path, text);
	second = strchr(text, ' ');
	counts[WEIR_LOAD_RUN_QUEUE_NS] += second == NULL ? 0 : strtoull(second, NULL, 10);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, thread);
	file_read(path, text);
	counts[WEIR_LOAD_SWITCHES_VOLUNTARY] += named(text, "\nvoluntary_ctxt_switches:");
	counts[WEIR_LOAD_SWITCHES_INVOLUNTARY] += named(text, "\nnonvoluntary_ctxt_switches:");
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, thread);
	file_read(path, text);
	children_add(family, text);
}

static void threads_add(pid_t pid, struct family *family, uint64_t *counts)
{
	char path[64];
	const struct dirent *entry = NULL;
	DIR *tasks = NULL;
	int threads = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks != NULL && threads < WEIR_CLOCKS_THREADS_MAX && (entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		thread_add(pid, entry->d_name, family, counts);
		threads++;
	}
	if (tasks != NULL)
		(void)closedir(tasks);
}

static void process_add(pid_t pid, uint64_t *counts)
{
	char text[TEXT_BYTES];

	proc_read(pid, "stat", text);
	counts[WEIR_LOAD_ON_CPU_NS] +=
		weir_clocks_cpu_ns(pid) +
		ticks_ns(stat_field(text, STAT_CHILDREN_USER) + stat_field(text, STAT_CHILDREN_SYSTEM));
	counts[WEIR_LOAD_FAULTS_MINOR] +=
		stat_field(text, STAT_MINOR_FAULTS) + stat_field(text, STAT_CHILDREN_MINOR_FAULTS);
	counts[WEIR_LOAD_FAULTS_MAJOR] +=
		stat_field(text, STAT_MAJOR_FAULTS) + stat_field(text, STAT_CHILDREN_MAJOR_FAULTS);
	counts[WEIR_LOAD_IO_WAIT_NS] += ticks_ns(stat_field(text, STAT_BLOCK_DELAY));
	proc_read(pid, "io", text);
	counts[WEIR_LOAD_READ_BYTES] += named(text, "rchar:");
	counts[WEIR_LOAD_WRITE_BYTES] += named(text, "wchar:");
	counts[WEIR_LOAD_DISK_READ_BYTES] += named(text, "\nread_bytes:");
	counts[WEIR_LOAD_DISK_WRITE_BYTES] += named(text, "\nwrite_bytes:");
}

int weir_clocks_read(pid_t pid, uint64_t out_counts[WEIR_LOAD_COUNT])
{
	struct family family = {.pid = {pid}, .count = 1};

	memset(out_counts, 0, WEIR_LOAD_COUNT * sizeof(*out_counts));
	for (int i = 0; i < family.count; i++) {
		process_add(family.pid[i], out_counts);
		threads_add(family.pid[i], &family, out_counts);
	}
	return family.count - 1;
}
