/* exec_leftovers: what programs leave behind that is in no group of theirs any more (setsid).
 *
 * Where this process is the first of its pid namespace, such a process becomes its child when those
 * above it have ended. A child that is no call's program is a leftover: it is ended when the next call
 * ends; with whatever else there is when no program runs at all; at once, and as deep as it goes, when
 * the call that ended had to be killed. If there are many, they and the programs of other calls are stopped for that
 * moment: one signal to all of a pid namespace is atomic against fork (Linux, copy_process), so nothing is born any
 * more, and whoever ends them does not have to wait for a CPU behind them. Where it is not the first of a pid namespace, nothing is known:
 * the supervisor finds leftovers (supervisor/orphans.h).
 * Threads: the one with the baton. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_LEFTOVERS_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_LEFTOVERS_H

#include <stdbool.h>
#include <sys/types.h>

/* A call's program was started; it is about to be killed and waited for; it was, or it ended by itself. */
void weir_exec_leftovers_started(pid_t pid);
void weir_exec_leftovers_hold(void);
void weir_exec_leftovers_reaped(pid_t pid, bool was_killed);

#endif
