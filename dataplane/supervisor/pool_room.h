/* pool_room: what the instance's workers may take together. Nothing is refused when functions are added:
 * their pools' bounds say what they may want, and here is decided, start by start, what there is.
 *
 *   workers_max              processes, those that are leaving included
 *   shared_memory_bytes_max  of links, each worker one
 *   resident_bytes_max       memory in use, as measured; a worker that was just started has reserved what
 *                            those of its pool use at most, or RESERVE_FIRST of pool_room.c before that is
 *                            known, until it is measured
 * A start that finds no room lets the pool that was used longest ago give up a worker that is idle.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_POOL_ROOM_H
#define WEIR_DATAPLANE_SUPERVISOR_POOL_ROOM_H

#include "dataplane/supervisor/supervisor.h"

/* Is there room for one more worker of the pool, and its link? */
bool weir_pool_room(struct weir_supervisor *supervisor, const struct weir_pool *pool);

/* There is none: make some, if an idle worker of another pool can go, and say so once in a while. */
void weir_pool_room_make(struct weir_supervisor *supervisor, const struct weir_pool *pool, uint64_t now_ns);

#endif
