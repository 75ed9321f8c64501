#include "dataplane/supervisor/cgroup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

int weir_cgroup_read(const char *path, char *out_text, size_t bytes)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd == -1)
		return -errno;
	while (used < bytes - 1) {
		const ssize_t got = read(fd, out_text + used, bytes - 1 - used);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	out_text[used] = '\0';
	return 0;
}

int weir_cgroup_write(const char *group, const char *name, const char *text)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	const size_t bytes = strlen(text);

	(void)snprintf(path, sizeof(path), "%s/%s", group, name);
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	return write(fd, text, bytes) == (ssize_t)bytes ? 0 : -errno;
}

bool weir_cgroup_lists(const char *group, const char *name, const char *word)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	char text[512];
	char *rest = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", group, name);
	if (weir_cgroup_read(path, text, sizeof(text)) != 0)
		return false;
	for (const char *found = strtok_r(text, " \n", &rest); found != NULL; found = strtok_r(NULL, " \n", &rest))
		if (strcmp(found, word) == 0)
			return true;
	return false;
}

int weir_cgroup_make(const char *group)
{
	return mkdir(group, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Each process of a group. A list that the kernel changes meanwhile: the caller looks again. */
static int members_each(const char *group, int (*visit)(pid_t pid, const char *to), const char *to)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	int pid = 0;
	int result = 0;
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	while (fscanf(file, "%d", &pid) == 1) {
		const int visited = pid == 0 ? -ESRCH : visit(pid, to); /* 0: in a pid namespace above ours */

		if (result == 0)
			result = visited;
	}
	(void)fclose(file);
	return result;
}

static int member_kill(pid_t pid, const char *to)
{
	(void)to;
	if (pid == getpid() || pid == getppid())
		return 0;
	return kill(pid, SIGKILL) == 0 ? 0 : -errno;
}

static int member_move(pid_t pid, const char *to)
{
	char text[16];
	int result = 0;

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	result = weir_cgroup_write(to, "cgroup.procs", text);
	return result == -ESRCH ? 0 : result; /* it ended meanwhile */
}

int weir_cgroup_unmake(const char *group)
{
	int error = rmdir(group) == 0 ? 0 : errno;

	if (error == EBUSY) {
		(void)members_each(group, member_kill, NULL); /* whoever is left shows as EBUSY */
		error = rmdir(group) == 0 ? 0 : errno;
	}
	return error == ENOENT ? 0 : -error;
}

int weir_cgroup_move(const char *from, const char *to)
{
	return members_each(from, member_move, to);
}
