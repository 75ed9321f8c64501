#include "dataplane/runtime/exec/exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/exec/exec_leftovers.h"

/* What the child needs between vfork and execve; it runs in our memory until then. */
struct start {
	const struct weir_exec_program *program;
	int in_fd;
	int out_fd;
	int error_fd;
	pid_t parent;
	_Atomic int error; /* written by the child: its memory is ours */
};

/* In the child. Only system calls: other threads' locks may be held for ever here. */
static void child_run(struct start *start)
{
	static const int ignored[] = {SIGINT, SIGPIPE};
	sigset_t none;

	/* A process group of its own, and death with the thread that started it. */
	if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		goto fail;
	if (getppid() != start->parent) {
		errno = ESRCH; /* it died before the call above */
		goto fail;
	}
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_DFL); /* execve resets only what is caught */
	if (dup2(start->in_fd, STDIN_FILENO) == -1 ||
	    dup2(start->out_fd, STDOUT_FILENO) == -1 ||
	    dup2(start->error_fd, STDERR_FILENO) == -1 ||
	    dup2(start->program->call_fd, WEIR_EXEC_CALL_FD) == -1 ||
	    fcntl(WEIR_EXEC_CALL_FD, F_SETFD, 0) != 0) /* it may have been that one all along */
		goto fail;
	/* Everything else is opened with CLOEXEC; this also catches what a library forgot. */
	(void)syscall(SYS_close_range, 3U, WEIR_EXEC_CALL_FD - 1U, CLOSE_RANGE_CLOEXEC);
	(void)syscall(SYS_close_range, WEIR_EXEC_CALL_FD + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
	if (chdir(start->program->directory) != 0)
		goto fail;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(start->program->argv[0], start->program->argv,
		     start->program->environment);
fail:
	atomic_store_explicit(&start->error, errno, memory_order_relaxed);
	_exit(127);
}

/* Fork and run. Kept apart from its caller, whose locals the child must not share. */
static __attribute__((noinline)) pid_t child_fork(struct start *start)
{
	/* Not fork(): copying the page tables of a worker costs more than the whole call. */
	const pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (pid == 0)
		child_run(start);
	return pid;
}

static int child_spawn(struct weir_exec_child *child, struct start *start)
{
	sigset_t all;
	sigset_t before;
	int error = 0;

	/* No handler of ours may run in the child. */
	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	WEIR_ASSERT(error == 0);
	child->pid = child_fork(start);
	error = child->pid == -1 ? errno
				 : atomic_load_explicit(&start->error, memory_order_relaxed);
	(void)pthread_sigmask(SIG_SETMASK, &before,
			      NULL); /* cannot fail with these arguments */
	if (child->pid == -1)
		child->pid = 0;
	else
		weir_exec_leftovers_started(child->pid);
	return -error;
}

int weir_exec_child_start(struct weir_exec_child *child,
			  const struct weir_exec_program *program)
{
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};
	int error[2] = {-1, -1};
	struct start start = {.program = program, .parent = getpid()};
	int result = 0;

	*child = (struct weir_exec_child){
		.pid_fd = -1, .in_fd = -1, .out_fd = -1, .error_fd = -1};
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
	    pipe2(error, O_CLOEXEC) != 0)
		result = -errno;
	child->in_fd = in[1];
	child->out_fd = out[0];
	child->error_fd = error[0];
	start.in_fd = in[0];
	start.out_fd = out[1];
	start.error_fd = error[1];
	/* Our ends only: the child's are blocking, as programs expect. */
	if (result == 0 && (fcntl(in[1], F_SETFL, O_NONBLOCK) != 0 ||
			    fcntl(out[0], F_SETFL, O_NONBLOCK) != 0 ||
			    fcntl(error[0], F_SETFL, O_NONBLOCK) != 0))
		result = -errno;
	if (result == 0)
		result = child_spawn(child, &start);
	weir_fd_close(&in[0]);
	weir_fd_close(&out[1]);
	weir_fd_close(&error[1]);
	if (result == 0) {
		child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
		if (child->pid_fd == -1)
			result = -errno;
	}
	if (result != 0)
		weir_exec_child_close(child);
	return result;
}

void weir_exec_child_kill(const struct weir_exec_child *child)
{
	if (child->pid == 0)
		return;
	(void)kill(-child->pid, SIGKILL); /* not reaped, so the number is still its group's */
	(void)kill(child->pid, SIGKILL);  /* it may have gone to another group */
}

void weir_exec_child_reap(struct weir_exec_child *child)
{
	siginfo_t info = {.si_pid = 0};
	int status = 0;
	pid_t reaped = 0;

	if (child->pid == 0)
		return;
	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		weir_exec_leftovers_hold();
	weir_exec_child_kill(child);
	do
		reaped = waitpid(child->pid, &status, 0);
	while (reaped == -1 && errno == EINTR);
	WEIR_ASSERT(reaped == child->pid); /* nobody else waits for children */
	weir_exec_leftovers_reaped(child->pid, WIFSIGNALED(status));
	child->pid = 0;
	child->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void weir_exec_child_close(struct weir_exec_child *child)
{
	weir_exec_child_reap(child);
	weir_fd_close(&child->in_fd);
	weir_fd_close(&child->out_fd);
	weir_fd_close(&child->error_fd);
	weir_fd_close(&child->pid_fd);
}
