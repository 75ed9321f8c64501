/* queues: how many requests wait for workers of each pool, and what those that ask for resources take up, for
 * the supervisor to see (abi/board.h): it decides how many workers a pool has. A row is a pool's while
 * there is something to show. Threads: the owning shard; what a dead gateway left is cleared by the next. */
#ifndef WEIR_DATAPLANE_GATEWAY_QUEUES_H
#define WEIR_DATAPLANE_GATEWAY_QUEUES_H

#include "dataplane/gateway/shard.h"

/* Take this shard's part of the board; NULL = there is none. */
void weir_queues_open(struct weir_shard *shard, struct weir_board *board);

/* What is waiting or asked for of the pool changed. */
void weir_queues_show(struct weir_shard *shard, struct weir_shard_pool *pool);

/* The part of a worker of the pool that an exchange asks for, in WEIR_BOARD_ASKED_ONE. */
uint32_t weir_queues_part(const struct weir_shard_pool *pool, const struct weir_exchange *exchange);

#endif
