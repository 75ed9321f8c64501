/* pool: how many workers each pool has, and which.
 *
 *   wanted = workers_min, raised by DEMAND up to workers_max, lowered when one was idle for 10 s
 *   too few  -> start, at the pace of the pool's restart delay
 *   too many -> retire: the gateway lets go of the link, then STOP, then it is gone */
#ifndef WEIR_DATAPLANE_SUPERVISOR_POOL_H
#define WEIR_DATAPLANE_SUPERVISOR_POOL_H

#include "dataplane/supervisor/supervisor.h"

/* By key or id; NULL if there is none. */
struct weir_pool *weir_pool_find(struct weir_supervisor *supervisor, uint64_t key);
struct weir_worker *weir_worker_find(struct weir_supervisor *supervisor, uint64_t id);

/* Workers of a pool that are not on their way out. */
uint32_t weir_pool_workers(const struct weir_supervisor *supervisor, uint64_t key);

/* Calls of a pool wait (WEIR_CONTROL_DEMAND): raise its wanted workers, at most once per 10 ms, not while
 * one that was wanted is still starting, and not where all that its workers lack is CPU time. */
void weir_pool_demand(struct weir_supervisor *supervisor, const struct weir_control *control, uint64_t now_ns);

/* Start missing workers, retire superfluous ones, move retiring ones on. */
void weir_pool_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
