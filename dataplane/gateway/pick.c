#include "dataplane/gateway/pick.h"

#include "dataplane/gateway/shard.h"

enum {
	PICK_CANDIDATES_MAX = 16, /* workers compared at a time */
	PARKED_RESERVE_PART = 4, /* of the places for calls that wait, one in so many is kept for calls that
				  * such calls wait for */
};

/* How many calls the link has in flight, over all shards: the worker's word for those that started,
 * ours for those that have not. */
static uint32_t in_flight_estimate(const struct weir_shard_link *link)
{
	const uint64_t finished =
		atomic_load_explicit(&link->header->finished, memory_order_relaxed);
	const uint64_t accepted =
		atomic_load_explicit(&link->header->accepted, memory_order_relaxed);
	const uint64_t started = accepted - finished; /* wraps if the worker lies: capped below */

	if (started > WEIR_PAIR_CALLS * WEIR_SHARDS_MAX || started < link->in_flight)
		return link->in_flight;
	return (uint32_t)started;
}

/* Did a worker that lost its queue move since? Another shard's calls may be what it is stuck on, so
 * its own counts decide; or it was only late, and has read the recalled calls off its ring. */
static bool still_stalled(struct weir_shard_link *link)
{
	if (link->stalled &&
	    (atomic_load_explicit(&link->header->accepted, memory_order_relaxed) !=
		     link->watched_accepted ||
	     atomic_load_explicit(&link->header->finished, memory_order_relaxed) !=
		     link->watched_finished ||
	     atomic_load_explicit(&link->to_worker.shm->head, memory_order_relaxed) !=
		     link->watched_head))
		link->stalled = false;
	return link->stalled;
}

/* Do as many of its calls wait as may? It starts nothing then. */
static bool is_parked_full(const struct weir_shard_link *link)
{
	return atomic_load_explicit(&link->header->parked, memory_order_relaxed) >=
	       atomic_load_explicit(&link->header->parked_max, memory_order_relaxed);
}

/* Reads the worker's lines: for the worker that got the last call at most once a turn, see keep(). */
static struct weir_schedule_candidate candidate_of(const struct weir_shard *shard,
						   struct weir_shard_link *link)
{
	struct weir_link_header *header = link->header;
	const uint32_t parked = atomic_load_explicit(&header->parked, memory_order_relaxed);
	uint32_t parked_max = atomic_load_explicit(&header->parked_max, memory_order_relaxed);
	const uint64_t service_ns = atomic_load_explicit(&header->service_ns, memory_order_relaxed);

	parked_max -= parked_max / PARKED_RESERVE_PART;
	return (struct weir_schedule_candidate){
		.in_flight = in_flight_estimate(link),
		.in_flight_limit = weir_schedule_ahead_max(service_ns),
		.parked = parked,
		.service_ns = service_ns,
		.usable = !link->dead && !link->draining && !link->condemned && !still_stalled(link) &&
			  !link->exclusive && !link->set_aside && link->free_call_count > 0 && parked < parked_max,
		.home = link->worker_id % shard->shard_count == shard->index,
	};
}

/* The worker that got the last call of the pool, if it may get another. What its lines said when it
 * was picked holds for the turn; its own calls are counted here. */
static struct weir_shard_link *keep(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link = pool->last;

	if (!link)
		return NULL;
	if (pool->last_ns != shard->now_ns) {
		pool->last_seen = candidate_of(shard, link);
		pool->last_ns = shard->now_ns;
	}
	if (link->free_call_count == 0 || link->dead || link->draining || link->stalled ||
	    link->condemned || link->exclusive || link->set_aside ||
	    !weir_schedule_keeps(&pool->last_seen))
		return NULL;
	pool->last_seen.in_flight++;
	return link;
}

/* The best of `count` workers of the pool from `first` on, or NULL if none of them has room. */
static struct weir_shard_link *pick_among(struct weir_shard *shard, struct weir_shard_pool *pool,
					  uint32_t first, uint32_t count)
{
	struct weir_schedule_candidate candidate[PICK_CANDIDATES_MAX];
	struct weir_shard_link *link;
	int index;

	for (uint32_t i = 0; i < count; i++)
		candidate[i] = candidate_of(shard, pool->link[(first + i) % pool->link_count]);
	index = weir_schedule_pick(&weir_schedule_least_in_flight, candidate, count, pool->rotation);
	if (index < 0)
		return NULL;
	link = pool->link[(first + (uint32_t)index) % pool->link_count];
	pool->last = candidate[index].home ? link : NULL; /* others' workers are for a pinch */
	pool->last_seen = candidate[index];
	pool->last_seen.in_flight++;
	pool->last_ns = shard->now_ns;
	return link;
}

/* A large pool is looked at in parts, each pick beginning elsewhere: the best of sixteen is nearly
 * the best of all, and a pick does not read the lines of hundreds of workers. */
struct weir_shard_link *weir_pick(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link = keep(shard, pool);

	pool->rotation++;
	for (uint32_t seen = 0; seen < pool->link_count && !link; seen += PICK_CANDIDATES_MAX) {
		const uint32_t left = pool->link_count - seen;
		const uint32_t first =
			pool->link_count > PICK_CANDIDATES_MAX
				? (pool->rotation * PICK_CANDIDATES_MAX + seen) % pool->link_count
				: 0;

		link = pick_among(shard, pool, first, left < PICK_CANDIDATES_MAX ? left : PICK_CANDIDATES_MAX);
	}
	return link;
}

/* May a call that a function waits for be given to this worker? The worker that runs the function
 * stands still for it, so its call does not count; being set aside or kept free does not either. */
static bool takes_nested(struct weir_shard *shard, struct weir_shard_link *link,
			 const struct weir_exchange *exchange, uint32_t *out_in_flight)
{
	struct weir_schedule_candidate candidate = candidate_of(shard, link);

	candidate.usable = !link->dead && !link->draining && !link->condemned && !link->stalled &&
			   !link->exclusive && link->free_call_count > 0 && !is_parked_full(link);
	if (weir_nested_of(exchange->connection)->parent_link == link)
		candidate.in_flight_limit++;
	*out_in_flight = candidate.in_flight;
	return weir_schedule_has_room(&candidate);
}

struct weir_shard_link *weir_pick_nested(struct weir_shard *shard, struct weir_shard_pool *pool,
					   const struct weir_exchange *exchange)
{
	struct weir_shard_link *best = NULL;
	uint32_t best_in_flight = UINT32_MAX, in_flight = 0;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		if (!takes_nested(shard, pool->link[i], exchange, &in_flight) || in_flight >= best_in_flight)
			continue;
		best = pool->link[i];
		best_in_flight = in_flight;
	}
	return best;
}

struct weir_shard_link *weir_pick_for(struct weir_shard *shard, struct weir_shard_pool *pool,
					const struct weir_exchange *exchange)
{
	return weir_nested_is_awaited(exchange) ? weir_pick_nested(shard, pool, exchange) : weir_pick(shard, pool);
}

/* A worker for a call that must run alone. One is set aside and drained for it; suspects get at most
 * half of the pool, and never the last worker that others can use. */
struct weir_shard_link *weir_pick_alone(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *best = NULL;
	uint32_t usable_count = 0, suspect_count = 0, best_in_flight = UINT32_MAX;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct weir_shard_link *link = pool->link[i];
		const struct weir_schedule_candidate candidate = candidate_of(shard, link);

		suspect_count += link->exclusive || link->set_aside;
		if (link->set_aside && !link->exclusive && link->in_flight == 0)
			return link;
		if (!candidate.usable)
			continue;
		usable_count++;
		if (candidate.in_flight < best_in_flight) {
			best = link;
			best_in_flight = candidate.in_flight;
		}
	}
	pool->suspects_starve = usable_count + suspect_count < 2;
	if (pool->workers_max > 1 && (usable_count < 2 || 2 * suspect_count >= pool->link_count))
		return NULL;
	if (!best)
		return NULL;
	best->set_aside = true;
	return best->in_flight == 0 ? best : NULL;
}

/* Is every worker that the pool may have full of calls that wait? Another call that one of those waits
 * for must not wait for a place then, for perhaps none gets free before it has run. */
bool weir_pick_is_full(const struct weir_shard_pool *pool)
{
	if (pool->link_count == 0 || pool->link_count < pool->workers_max)
		return false;
	for (uint32_t i = 0; i < pool->link_count; i++) {
		/* A worker that was only just started has not said how many calls may wait there. */
		if (!is_parked_full(pool->link[i]) ||
		    atomic_load_explicit(&pool->link[i]->header->parked_max, memory_order_relaxed) == 0)
			return false;
	}
	return true;
}

