#include "dataplane/supervisor/process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static const uint64_t delay_ns_min = 10 * WEIR_NS_PER_MS;
static const uint64_t delay_ns_max = WEIR_NS_PER_SECOND;
static const uint64_t delay_ns_max_ready = 100 * WEIR_NS_PER_MS;

void weir_restart_note(struct weir_restart *restart, uint64_t started_ns, uint64_t now_ns, bool was_ready)
{
	const uint64_t max_ns = was_ready ? delay_ns_max_ready : delay_ns_max;

	restart->restarts++;
	if (now_ns - started_ns > WEIR_NS_PER_SECOND) {
		restart->delay_ns = 0;
		restart->next_ns = now_ns;
		return;
	}
	restart->delay_ns = restart->delay_ns == 0 ? delay_ns_min : restart->delay_ns * 2;
	if (restart->delay_ns > max_ns)
		restart->delay_ns = max_ns;
	restart->next_ns = now_ns + restart->delay_ns;
}

void weir_process_clear(struct weir_process *process)
{
	const enum weir_process_kind kind = process->kind;

	memset(process, 0, sizeof(*process));
	process->kind = kind;
	process->state = WEIR_PROCESS_BACKOFF;
	process->pidfd = -1;
	process->control_fd = -1;
}

void weir_process_kill(struct weir_process *process)
{
	if (process->pidfd == -1 || process->killed)
		return;
	/* Fails only where it is dead already. */
	(void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
	process->killed = true;
}

void weir_process_reap(struct weir_process *process, char out_how[64])
{
	siginfo_t info = {.si_code = 0};

	(void)snprintf(out_how, 64, "status=unknown");
	if (process->child) {
		/* Its own process group first, while the number can't belong to anybody else: a program
		 * that a worker ran must not outlive it. */
		if (process->kind == WEIR_PROCESS_WORKER)
			(void)kill(-process->pid, SIGKILL);
		if (waitid((idtype_t)P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) == 0 &&
		    info.si_pid == process->pid)
			(void)snprintf(out_how, 64, "%s=%d", info.si_code == CLD_EXITED ? "status" : "signal",
				       info.si_status);
	}
	weir_fd_close(&process->pidfd);
	weir_fd_close(&process->control_fd);
}
