/* pool: how many workers each pool has, and which.
 *
 *   wanted = workers_min .. workers_max
 *     raised  at once by DEMAND, where calls wait that no worker has room for, and by pool_scale.c
 *     lowered by pool_scale.c, which counts what the pool's workers do
 *   too few  -> start, at the pace of the pool's restart delay, where the instance has room (pool_room.c)
 *   too many -> retire: the gateway lets go of the link when its calls are done, then STOP, then it is gone */
#ifndef WEIR_DATAPLANE_SUPERVISOR_POOL_H
#define WEIR_DATAPLANE_SUPERVISOR_POOL_H

#include "dataplane/supervisor/supervisor.h"

/* By key or id; NULL if there is none. */
struct weir_pool *weir_pool_find(struct weir_supervisor *supervisor, uint64_t key);
struct weir_worker *weir_worker_find(struct weir_supervisor *supervisor, uint64_t id);

/* Does it run, and is it not on its way out? */
bool weir_worker_is_staying(const struct weir_worker *worker);

/* Workers of a pool that are staying. */
uint32_t weir_pool_workers(const struct weir_supervisor *supervisor, uint64_t key);

/* Note which workers have done something since the last look: their busy_ns. */
void weir_pool_busy_note(struct weir_supervisor *supervisor, uint64_t now_ns);

/* The staying worker of a pool that has been idle for longest, if it has been for `least_ns`; else NULL. */
struct weir_worker *weir_pool_idlest(struct weir_supervisor *supervisor, uint64_t key, uint64_t now_ns,
				     uint64_t least_ns);

/* Let a worker finish what it has, then end it. `reason` is for the log. */
void weir_pool_retire(struct weir_supervisor *supervisor, struct weir_worker *worker, const char *reason);

/* True where each of its workers has a CPU quota of its own, and this machine has CPUs for one more: what they
 * lack is then their quota's, and another worker brings its own. */
bool weir_pool_has_quota(const struct weir_supervisor *supervisor, const struct weir_pool *pool);

/* What the staying workers of the pool did since the same asker last asked. */
struct weir_schedule_use weir_pool_use(struct weir_supervisor *supervisor, uint64_t key, enum weir_pool_asker asker,
				       uint64_t now_ns);

/* Its process is ready, `took_ns` after it was started. */
void weir_pool_started(struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t took_ns);

/* A call that had waited for a worker's start was answered (WEIR_CONTROL_COLD_START): the first of each counts. */
void weir_pool_cold(struct weir_supervisor *supervisor, const struct weir_control *control);

/* Calls of a pool wait (WEIR_CONTROL_DEMAND): raise its wanted workers, at most once per 10 ms, not while
 * one that was wanted is still starting, and not where all that its workers lack is CPU time. */
void weir_pool_demand(struct weir_supervisor *supervisor, const struct weir_control *control, uint64_t now_ns);

/* Start missing workers, retire superfluous ones, move retiring ones on. */
void weir_pool_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
