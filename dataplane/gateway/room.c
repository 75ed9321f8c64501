#include "dataplane/gateway/room.h"

#include "dataplane/base/assert.h"
#include "dataplane/gateway/queues.h"
#include "dataplane/gateway/shard.h"

bool weir_room_take(struct weir_shard *shard, struct weir_shard_link *link, const struct weir_exchange *exchange)
{
	const struct weir_schedule_resources *capacity = &link->pool->capacity;
	const uint64_t takes = weir_schedule_takes(capacity, &exchange->ask);
	uint64_t used = atomic_load_explicit(&link->room->used, memory_order_relaxed);

	do { /* it fails only where another shard's succeeded */
		if (!weir_schedule_fits(capacity, used, takes))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&link->room->used, &used, used + takes, memory_order_relaxed,
							memory_order_relaxed));
	link->room_taken[exchange->call] = takes;
	link->call[exchange->call].has_room = true;
	link->room_part[exchange->call] = weir_queues_part(link->pool, exchange);
	link->pool->asked += link->room_part[exchange->call];
	weir_queues_show(shard, link->pool);
	return true;
}

void weir_room_give(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call)
{
	WEIR_ASSERT(!link->call[call].awaits); /* what it awaited ended with it: nested.h */
	(void)atomic_fetch_sub_explicit(&link->room->used, link->room_taken[call], memory_order_relaxed);
	link->pool->asked -= link->room_part[call];
	weir_queues_show(shard, link->pool);
}

void weir_room_await(struct weir_shard_link *link, uint16_t call, bool awaits)
{
	WEIR_DEBUG_ASSERT(link->call[call].has_room);
	if (link->call[call].awaits == awaits)
		return;
	link->call[call].awaits = awaits;
	if (awaits)
		(void)atomic_fetch_add_explicit(&link->room->awaiting, link->room_taken[call], memory_order_relaxed);
	else
		(void)atomic_fetch_sub_explicit(&link->room->awaiting, link->room_taken[call], memory_order_relaxed);
}
