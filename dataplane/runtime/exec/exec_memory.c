#include "dataplane/runtime/exec/exec_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { TEXT_BYTES_MAX = 2048 };

/* A file of /proc/PID, cut where it does not fit. */
static bool file_read(pid_t pid, const char *name, char out_text[TEXT_BYTES_MAX])
{
	char path[64];
	ssize_t bytes = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	bytes = read(fd, out_text, TEXT_BYTES_MAX - 1);
	if (bytes <= 0)
		return false;
	out_text[bytes] = '\0';
	return true;
}

uint64_t weir_exec_memory_line(const char *text, const char *name)
{
	const size_t bytes = strlen(name);

	while (text != NULL && *text != '\0') {
		if (strncmp(text, name, bytes) == 0)
			return strtoull(text + bytes, NULL, 10) * 1024;
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return 0;
}

/* Resident, and not of files or shared memory; what it shares with its parent since fork is both's. */
static uint64_t cheap_bytes(pid_t pid)
{
	char text[TEXT_BYTES_MAX];
	unsigned long long resident = 0;
	unsigned long long shared = 0;

	if (!file_read(pid, "statm", text) || sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 ||
	    resident < shared)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Each shared page counts as its part. A program that may not be looked into has nothing. */
static uint64_t exact_bytes(pid_t pid)
{
	char text[TEXT_BYTES_MAX];

	return file_read(pid, "smaps_rollup", text) ? weir_exec_memory_line(text, "Pss_Anon:") : 0;
}

static uint64_t group_bytes(pid_t group, uint64_t (*bytes_of)(pid_t pid))
{
	DIR *const directory = getpid() == 1 ? opendir("/proc") : NULL;
	const struct dirent *found = NULL;
	uint64_t bytes = 0;

	if (directory == NULL)
		return bytes_of(group);
	while ((found = readdir(directory)) != NULL) {
		const pid_t pid = (pid_t)strtol(found->d_name, NULL, 10);

		if (pid > 1 && getpgid(pid) == group)
			bytes += bytes_of(pid);
	}
	(void)closedir(directory);
	return bytes;
}

bool weir_exec_memory_is_beyond(pid_t group, uint64_t bytes_max)
{
	return group_bytes(group, cheap_bytes) > bytes_max && group_bytes(group, exact_bytes) > bytes_max;
}
