/* pool_scale: a pool's size follows its load (schedule/autoscale.h).
 *
 *   every step of a pool      its workers' lines (abi/link.h), queues of all shards (abi/board.h)
 *     demand = calls that run                1 worker each: one runs at a time
 *            + calls that wait for client,
 *              child or another function     1 / as many as the worker may have of them
 *            + requests that wait            1 / as many as a worker is given ahead
 *              (with `one_task` each of them 1)
 *     --> window --> target --> wanted       growth only where another worker would not just share the
 *                                            CPU time of those that there are
 * So a request counts as the part of a worker that it takes, where pixels-spike has only what it asks for.
 * Those that ask for CPU or memory, running and waiting, count as what they ask for instead, where that is more.
 * After DEMAND raised a pool (pool.h) nothing is taken away for a window: only then the mean is of the time
 * since. A pool that did something within its window keeps a worker, whatever is rounded; without, and with
 * workers_min 0, it ends with none, and the next request wakes it (pool.h, DEMAND).
 * Windows are the supervisor's own: a new one begins anew, and shrinks nothing before its first is full.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_POOL_SCALE_H
#define WEIR_DATAPLANE_SUPERVISOR_POOL_SCALE_H

#include "dataplane/supervisor/supervisor.h"

/* The snapshot's rule for the pool: another number of samples than before begins a new window. */
void weir_pool_scale_configure(struct weir_pool *pool, const struct weir_autoscale_rule *rule);

/* Look at the pools whose step is over. */
void weir_pool_scale_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
