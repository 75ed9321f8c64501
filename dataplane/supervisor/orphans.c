#include "dataplane/supervisor/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum {
	STAT_BYTES_MAX = 1024,
	CHILDREN_MAX = 4096, /* looked at in one go; the rest next time */
};

bool weir_orphan_stat_parse(const char *text, struct weir_orphan_stat *out_stat)
{
	const char *const name_end = strrchr(text, ')'); /* a name may hold brackets itself */
	struct weir_orphan_stat stat;

	if (name_end == NULL ||
	    sscanf(name_end + 1,
		   " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &stat.state,
		   &stat.parent, &stat.group, &stat.start) != 4)
		return false;
	*out_stat = stat;
	return true;
}

static bool stat_read(pid_t pid, struct weir_orphan_stat *out_stat)
{
	char path[64];
	char text[STAT_BYTES_MAX];
	ssize_t bytes = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	bytes = read(fd, text, sizeof(text) - 1);
	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	return weir_orphan_stat_parse(text, out_stat);
}

/* A zombie leads nobody: its call is over. */
static bool group_is_led(pid_t group)
{
	struct weir_orphan_stat leader;

	return stat_read(group, &leader) && leader.state != 'Z' && leader.state != 'X';
}

static bool orphan_kill(pid_t keeper, pid_t pid)
{
	struct weir_orphan_stat before;
	struct weir_orphan_stat after;

	if (!stat_read(pid, &before) || before.parent != keeper || before.state == 'Z' ||
	    group_is_led(before.group))
		return false;
	WEIR_CLEANUP(weir_fd_close) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Looked at again: now the number is held, it is still the same process. */
	if (pidfd == -1 || !stat_read(pid, &after) || after.parent != keeper || after.start != before.start)
		return false;
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

static bool is_known(pid_t pid, const pid_t *known, size_t known_count)
{
	for (size_t i = 0; i < known_count; i++) {
		if (known[i] == pid)
			return true;
	}
	return false;
}

size_t weir_orphans_kill(pid_t keeper, const pid_t *known, size_t known_count)
{
	char path[64];
	size_t killed = 0;
	int pid = 0;
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	for (int i = 0; i < CHILDREN_MAX && fscanf(file, "%d", &pid) == 1; i++) {
		if (!is_known(pid, known, known_count) && orphan_kill(keeper, pid))
			killed++;
	}
	(void)fclose(file);
	return killed;
}
