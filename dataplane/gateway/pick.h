/* pick: which worker of a pool gets a call. Reads what workers write of themselves (abi/link.h) and
 * decides with schedule/.
 *
 *                             near               far
 *   price[] of the pool   | 8 | 3 | full | 3 || 9 | 2 |   what each link cost when it was looked at last
 *     choose a place -> look at that worker now -> as cheap as believed: it is the one
 *                                               -> dearer: note that, choose again, a few times
 *   nobody has room: look at all.   A finished call makes its worker cheaper.
 *   All are looked at every WEIR_SCHEDULE_SAMPLE_NS.
 *
 * Near are the workers on this shard's NUMA node, which is all of them on most machines. The others are
 * chosen among only when no near one has room.
 * So a pick reads the lines of one worker or a few, not of hundreds; short calls stay on the worker
 * of the last one and read none. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_PICK_H
#define WEIR_DATAPLANE_GATEWAY_PICK_H

#include "dataplane/gateway/exchange.h"
#include "dataplane/gateway/link.h"
#include "dataplane/shm/snapshot.h"

/* Make an empty pool of `key`, with the policy and weights that nobody set otherwise. */
void weir_pick_open(struct weir_shard_pool *pool, uint64_t key);

/* Its row in a new configuration says how to choose, and how many workers there may be. */
void weir_pick_configure(const struct weir_shard *shard, struct weir_shard_pool *pool,
			 const struct weir_snapshot_pool *row);

/* The link joins the pool, which has a place for it; leaves it. */
void weir_pick_enter(struct weir_shard_pool *pool, struct weir_shard_link *link);
void weir_pick_leave(struct weir_shard_pool *pool, const struct weir_shard_link *link);

/* Once a turn: look at all workers where it is time. */
void weir_pick_turn(struct weir_shard *shard);

/* A call of the link ended: it costs a step less. Too little is found out when it is looked at. */
static inline void weir_pick_finished(const struct weir_shard_link *link)
{
	int16_t *price = &link->pool->price[link->place];
	const int less = *price - link->price_step;

	if (link->pool->link_count > 1)
		*price = *price < WEIR_SCHEDULE_PRICE_FULL && less > 0 ? (int16_t)less : link->price_seen;
}

/* For a client's call: a worker that has room, or NULL. */
struct weir_shard_link *weir_pick(struct weir_shard *shard, struct weir_shard_pool *pool);

/* The same for a call that a function waits for: see nested.h. */
__attribute__((noinline)) struct weir_shard_link *
weir_pick_nested(struct weir_shard_pool *pool, const struct weir_exchange *exchange);

/* For one that asks for resources, whoever waits for it: of the near workers that have room for that the
 * fullest, else of the far ones, or NULL; then pool->lacks_room is set if only more workers could help. */
__attribute__((noinline, cold)) struct weir_shard_link *
weir_pick_fullest(struct weir_shard *shard, struct weir_shard_pool *pool, const struct weir_exchange *exchange);

/* Keep the emptiest worker of the pool, where it has several, for the first of the calls that ask: the others
 * pass it by, but for those that functions wait for. */
void weir_pick_keep(struct weir_shard_pool *pool);

/* The one of the two that fits an exchange that asks for nothing. */
struct weir_shard_link *weir_pick_for(struct weir_shard *shard, struct weir_shard_pool *pool,
				      const struct weir_exchange *exchange);

/* For a call that must run alone. */
struct weir_shard_link *weir_pick_alone(struct weir_shard_pool *pool);

/* Can no worker that its pool has take the awaited exchange before a call there that waits for something
 * ends? Each is full of such calls, or shut, or those that await others have the room it asks for. */
__attribute__((noinline)) bool weir_pick_is_full(const struct weir_exchange *exchange);

#endif
