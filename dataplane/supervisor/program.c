#include "dataplane/supervisor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Which descriptor the child gets as which. Those given are 3 or more, and so that none is closed
 * before it is copied: a place comes after the descriptors that lie below it. */
struct place {
	int fd;
	int as;
};

/* What the child does between its birth and its program. 0 or -errno. */
static int start_prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
			 const struct place *places, size_t count, bool own_session)
{
	const short flags = (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
				    (own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP));
	sigset_t all;
	sigset_t none;
	int result = 0;

	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	(void)sigdelset(&all, SIGKILL);
	(void)sigdelset(&all, SIGSTOP);
	result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (size_t i = 0; result == 0 && i < count; i++) /* clears CLOEXEC where equal */
		result = posix_spawn_file_actions_adddup2(actions, places[i].fd, places[i].as);
	if (result == 0)
		result = posix_spawnattr_setflags(attributes, flags);
	if (result == 0)
		result = posix_spawnattr_setpgroup(attributes, 0);
	if (result == 0)
		result = posix_spawnattr_setsigdefault(attributes, &all);
	if (result == 0)
		result = posix_spawnattr_setsigmask(attributes, &none);
	return -result;
}

static int start(const char *path, char *const *argv, const struct place *places, size_t count,
		 bool own_session, pid_t *out_pid, int *out_pidfd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = 0;
	int result = -posix_spawn_file_actions_init(&actions);
	long pidfd = -1;

	if (result != 0)
		return result;
	result = -posix_spawnattr_init(&attributes);
	if (result != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return result;
	}
	result = start_prepare(&actions, &attributes, places, count, own_session);
	if (result == 0)
		result = -posix_spawn(&pid, path, &actions, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (result != 0)
		return result;
	/* The child can't be reaped before we wait for it, so its number is still its own. */
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd == -1) {
		result = -errno;
		(void)kill(pid, SIGKILL); /* without a pidfd nobody could watch it */
		(void)waitpid(pid, NULL, 0);
		return result;
	}
	*out_pid = pid;
	*out_pidfd = (int)pidfd;
	return 0;
}

int weir_program_start(const char *path, char *const *argv, int fd3, bool own_session, pid_t *out_pid,
		       int *out_pidfd)
{
	const struct place place = {.fd = fd3, .as = 3};

	return start(path, argv, &place, 1, own_session, out_pid, out_pidfd);
}

int weir_program_start_build(const char *path, char *const *argv, const int fds[3], pid_t *out_pid,
			     int *out_pidfd)
{
	/* Far above first: 3 and 4 may be among those given. */
	enum { HIGH = 600 };
	const struct place places[] = {{fds[0], HIGH}, {fds[1], HIGH + 1}, {fds[2], HIGH + 2},
				       {HIGH, 3},	{HIGH + 1, 4},	   {HIGH + 2, STDOUT_FILENO},
				       {HIGH + 2, STDERR_FILENO}};

	return start(path, argv, places, sizeof(places) / sizeof(places[0]), false, out_pid, out_pidfd);
}

unsigned long weir_program_descriptors_raise(void)
{
	struct rlimit limit = {.rlim_cur = 0};

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return (unsigned long)limit.rlim_cur;
}
