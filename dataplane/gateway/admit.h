/* admit: may a call wait for a worker, or is it better refused at once?
 *
 *   function's queue full ---------------------------------> 429 queue_full
 *   its deadline would pass in the queue ------------------> 503 no_worker
 *   the pool's queue stands, and the wait would be long ---> 503 overloaded
 *   a function waits for it, and no place can get free,
 *   or not the room that it asks for ----------------------> 503 no_worker
 *
 * A queue is good: it holds a burst until the workers have done it. One that has not been empty for
 * STANDING_SECONDS holds no burst, it only makes every answer late by its own length; from then on it
 * is kept as short as the setting queue_wait_ms says (the idea of CoDel, RFC 8289: judge a queue by
 * how long it stands, not by how long it is), and with it the time in which the pool recovers when
 * the load goes. Calls that take long may wait for a few of their kind all the same. While the shard
 * itself did not run, nothing could leave its queues: that time is nobody's load and does not count.
 * How long a call would wait is what waits before it, times the time between two calls that left the
 * queue, as counted while it is not empty: that holds however many workers share a CPU and whatever
 * other shards give them. Until enough have left, it is estimated from what the workers say of their
 * calls' time; without workers nothing is known, and the queue's bounds and the deadline alone count.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_ADMIT_H
#define WEIR_DATAPLANE_GATEWAY_ADMIT_H

#include "dataplane/gateway/exchange.h"
#include "dataplane/gateway/link.h"
#include "dataplane/gateway/shard.h"

/* WEIR_HTTP_OK if the exchange, whose pool has no room for it now, may wait there; else why not (counted). */
enum weir_http_failure weir_admit(struct weir_shard *shard, const struct weir_exchange *exchange, uint32_t queue_max);

/* All workers that the pool may have are full of calls that wait, or have given the room that this awaited one
 * asks for to calls that await others: it must not wait for a place, for perhaps none gets free before it
 * has run. True for one call at a time: then its caller goes on and gives what it has to the others. */
bool weir_admit_is_stuck(struct weir_shard *shard, const struct weir_exchange *exchange);

/* A call is about to join the queue. */
static inline void weir_admit_joined(const struct weir_shard *shard, struct weir_shard_pool *pool)
{
	if (pool->waiting_count > 0)
		return;
	pool->queue_began_ns = shard->now_ns;
	pool->drain = (struct weir_shard_drain){.since_ns = shard->now_ns};
}

/* A call left the queue for a worker. */
static inline void weir_admit_left(struct weir_shard_pool *pool)
{
	pool->drain.left++;
}

/* How long the functions of the pool will run for what waits now, shared by its workers; 0 without. */
uint64_t weir_admit_queue_ns(const struct weir_shard_pool *pool);

#endif
