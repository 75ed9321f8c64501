/* limits: what a worker may use, and who sees to it.
 *
 *   memory      what its runtime needs itself, its links and /tmp (both are memory)
 *               + its spec's memory; without a spec, that of the largest function of its pool; exec: of four
 *                 such programs at once
 *               + a little for each further function: what it keeps between its calls
 *   processes   a number for its runtime; threads count
 *   CPU time    its spec's; without a spec, setting worker_cpu_millicores; 0 = no limit
 * The functions of one worker share its limit, since they share its process. Where a runtime can tell
 * its functions apart it stops one at its own memory before (runtimes.h's languages with a heap).
 *
 *   control groups (cgroup.h)     what goes beyond is ended: 502 "out of memory", a new worker
 *   without, resource limits      allocating fails: the function fails or crashes; private memory only
 * What is missing is said on the board and in the log. A worker keeps what it was given; it gets more
 * when a function of its pool grows. Nobody asks whether the machine has what specs add up to.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_LIMITS_H
#define WEIR_DATAPLANE_SUPERVISOR_LIMITS_H

#include "dataplane/supervisor/supervisor.h"

/* Find what this machine has for limits. 0, or -EPERM with the reason in `problem`: --sandbox required,
 * and no control groups for memory or processes. */
int weir_limits_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* What a worker of this pool may use. */
void weir_limits_of(const struct weir_supervisor *supervisor, const struct weir_pool *pool,
		    struct weir_cgroup_limits *out_limits);

/* Before a worker is started: its group, which *plan leads it into; weir_cgroup_born(plan) after.
 * 0 or -errno. */
int weir_limits_prepare(struct weir_supervisor *supervisor, struct weir_worker *worker, const struct weir_pool *pool,
			struct weir_sandbox_plan *plan);

/* It has been started: resource limits, where groups are missing. */
void weir_limits_started(const struct weir_supervisor *supervisor, const struct weir_worker *worker);

/* It ended. Its group stays for a moment: others still read why. */
void weir_limits_ended(struct weir_supervisor *supervisor, const struct weir_worker *worker);

/* Limits of workers whose pools changed; groups that nobody needs any more. */
void weir_limits_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Log what there is, once. */
void weir_limits_say(const struct weir_supervisor *supervisor);

#endif
