/* queues: how many requests wait for workers of each pool, for the supervisor to see (abi/board.h): it
 * decides how many workers a pool has. A row is a pool's while something waits there. Threads: the owning
 * shard; what a dead gateway left is cleared by the next one. */
#ifndef WEIR_DATAPLANE_GATEWAY_QUEUES_H
#define WEIR_DATAPLANE_GATEWAY_QUEUES_H

#include "dataplane/gateway/shard.h"

/* Take this shard's part of the board; NULL = there is none. */
void weir_queues_open(struct weir_shard *shard, struct weir_board *board);

/* The pool's number of waiting requests changed. */
void weir_queues_show(struct weir_shard *shard, struct weir_shard_pool *pool);

#endif
