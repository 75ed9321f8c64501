#include "dataplane/sandbox/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

static int signals_default(void)
{
	sigset_t none;

	for (int number = 1; number < SIGRTMAX; number++)
		(void)signal(number, SIG_DFL); /* some numbers are none, or cannot change */
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : -errno;
}

static int descriptors_arrange(int fd3)
{
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null == -1 || dup2(null, STDIN_FILENO) == -1)
		return -errno;
	if (fd3 != 3)
		return dup2(fd3, 3) == 3 ? 0 : -errno;
	return fcntl(3, F_SETFD, 0) == 0 ? 0 : -errno;
}

/* A thread that puts only itself somewhere needs no lock of the kernel's for whole processes (10 ms). */
static int groups_enter(const struct weir_sandbox_plan *plan)
{
	for (size_t i = 0; i < sizeof(plan->tasks_fd) / sizeof(plan->tasks_fd[0]); i++) {
		if (plan->tasks_fd[i] != 0 && write(plan->tasks_fd[i], "0", 1) != 1)
			return -errno;
	}
	return 0;
}

/* In the child: returns only where it failed. */
static int child_run(const struct weir_sandbox_plan *plan, const char *path, char *const *argv, int fd3)
{
	int result = groups_enter(plan);

	if (result == 0)
		result = weir_sandbox_born(plan);
	if (result == 0)
		result = signals_default();
	if (result == 0)
		result = descriptors_arrange(fd3);
	if (result == 0 && setpgid(0, 0) != 0)
		result = -errno;
	if (result != 0)
		return result;
	(void)execve(path, argv, environ);
	return -errno;
}

int weir_sandbox_start(const struct weir_sandbox_plan *plan, const char *path, char *const *argv, int fd3,
		       pid_t *out_pid, int *out_pidfd)
{
	int failure[2];
	int result = 0;
	int pidfd = -1;
	pid_t pid = 0;

	if (pipe2(failure, O_CLOEXEC) != 0)
		return -errno;
	if (failure[1] == 3) { /* the child needs that number for something else */
		const int moved = fcntl(3, F_DUPFD_CLOEXEC, 4);

		weir_fd_close(&failure[1]);
		failure[1] = moved;
	}
	pid = weir_sandbox_fork(plan, &pidfd);
	if (pid == 0) {
		result = child_run(plan, path, argv, fd3);
		_exit(write(failure[1], &result, sizeof(result)) == (ssize_t)sizeof(result) ? 126 : 125);
	}
	weir_fd_close(&failure[1]);
	if (pid < 0)
		result = pid;
	else if (read(failure[0], &result, sizeof(result)) != (ssize_t)sizeof(result))
		result = 0; /* exec closed it */
	weir_fd_close(&failure[0]);
	if (pid > 0 && result != 0) {
		(void)waitpid(pid, NULL, 0);
		weir_fd_close(&pidfd);
	}
	if (result != 0)
		return result;
	*out_pid = pid;
	*out_pidfd = pidfd;
	return 0;
}
