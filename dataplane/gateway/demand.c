#include "dataplane/gateway/demand.h"

#include "dataplane/base/clock.h"
#include "dataplane/gateway/admit.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/shard.h"

enum {
	INTERVAL_MS = 5, /* the supervisor is told at most this often per pool */
	WAIT_MS = 10,    /* a queue that lasted this long may need another worker, */
	QUEUE_MS = 2,    /* namely if the functions' own time is what it waits for, */
	PATIENCE_MS = 100, /* or whatever the reason, after this long */
};

/* Does a call wait whose callers stand still until it has run, and only another worker can run it? */
static bool is_stood_still_for(const struct weir_exchange *first)
{
	return first && weir_nested_is_awaited(first) && weir_pick_is_full(first);
}

/* None of the workers that there are will ever run what waits. */
static bool is_urgent(const struct weir_shard_pool *pool)
{
	return pool->link_count == 0 || pool->suspects_starve || (pool->askers.first && pool->lacks_room) ||
	       is_stood_still_for(pool->waiting.first) || is_stood_still_for(pool->askers.first);
}

static uint64_t first_waited_ns(const struct weir_shard *shard, const struct weir_exchange_list *list)
{
	return list->first ? shard->now_ns - list->first->waiting_since_ns : 0;
}

/* Would another worker help? A short queue in front of busy ones is no reason. (One in front of workers
 * that are short of CPU only is none either: the supervisor sees that.) */
static bool needs_worker(const struct weir_shard *shard, const struct weir_shard_pool *pool)
{
	const uint64_t waiting_ns = first_waited_ns(shard, &pool->waiting);
	const uint64_t asking_ns = first_waited_ns(shard, &pool->askers);
	const uint64_t waited_ns = waiting_ns > asking_ns ? waiting_ns : asking_ns;

	if (waited_ns < WAIT_MS * WEIR_NS_PER_MS)
		return false;
	if (waited_ns >= PATIENCE_MS * WEIR_NS_PER_MS ||
	    weir_admit_queue_ns(pool) >= QUEUE_MS * WEIR_NS_PER_MS)
		return true;
	for (uint32_t i = 0; i < pool->link_count; i++) { /* one that is stuck does not count */
		if (pool->link[i]->stalled || pool->link[i]->exclusive || pool->link[i]->condemned ||
		    weir_room_is_overdue(pool->link[i]->room))
			return true;
	}
	return false;
}

void weir_demand(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	const bool urgent = is_urgent(pool);

	if (shard->now_ns - pool->demand_sent_ns < INTERVAL_MS * WEIR_NS_PER_MS)
		return;
	if (!urgent && !needs_worker(shard, pool))
		return;
	pool->demand_sent_ns = shard->now_ns;
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_DEMAND,
						     .value = pool->key,
						     .count = pool->waiting_count,
						     .urgent = urgent});
}
