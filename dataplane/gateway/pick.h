/* pick: which worker of a pool gets a call. Reads what workers write of themselves (abi/link.h) and
 * decides with schedule/. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_PICK_H
#define WEIR_DATAPLANE_GATEWAY_PICK_H

#include "dataplane/gateway/exchange.h"

/* For a client's call: a worker that has room, or NULL. */
struct weir_shard_link *weir_pick(struct weir_shard *shard, struct weir_shard_pool *pool);

/* The same for a call that a function waits for: see nested.h. */
__attribute__((noinline)) struct weir_shard_link *
weir_pick_nested(struct weir_shard *shard, struct weir_shard_pool *pool,
		 const struct weir_exchange *exchange);

/* The one of the two that fits the exchange. */
struct weir_shard_link *weir_pick_for(struct weir_shard *shard, struct weir_shard_pool *pool,
				      const struct weir_exchange *exchange);

/* For a call that must run alone. */
struct weir_shard_link *weir_pick_alone(struct weir_shard *shard, struct weir_shard_pool *pool);

/* Is every worker that the pool may have full of calls that wait? */
__attribute__((noinline)) bool weir_pick_is_full(const struct weir_shard_pool *pool);

#endif
