/* start: the supervisor's end of a sandbox: giving birth to a worker in one. */
#ifndef WEIR_DATAPLANE_SANDBOX_START_H
#define WEIR_DATAPLANE_SANDBOX_START_H

#include <sys/types.h>

#include "dataplane/sandbox/sandbox.h"

/* Start `path` with `argv` in the plan's namespaces: /dev/null as input, `fd3` as descriptor 3, default
 * signals, a process group of its own, nothing else open. Waits until it runs. 0, *out_pid and
 * *out_pidfd (the caller's), or -errno. */
int weir_sandbox_start(const struct weir_sandbox_plan *plan, const char *path, char *const *argv, int fd3,
		       pid_t *out_pid, int *out_pidfd);

#endif
