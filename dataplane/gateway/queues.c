#include "dataplane/gateway/queues.h"

#include "dataplane/schedule/autoscale.h"

void weir_queues_open(struct weir_shard *shard, struct weir_board *board)
{
	const uint32_t part = WEIR_BOARD_QUEUES_MAX / shard->shard_count;

	if (!board)
		return;
	shard->queues = &board->queue[shard->index * part];
	shard->queue_count = part;
	for (uint32_t i = 0; i < part; i++) {
		atomic_store_explicit(&shard->queues[i].waiting, 0, memory_order_relaxed);
		atomic_store_explicit(&shard->queues[i].asking, 0, memory_order_relaxed);
		atomic_store_explicit(&shard->queues[i].asked, 0, memory_order_relaxed);
	}
}

static struct weir_board_queue *take_row(const struct weir_shard *shard)
{
	for (uint32_t i = 0; i < shard->queue_count; i++) {
		struct weir_board_queue *queue = &shard->queues[i];

		if (atomic_load_explicit(&queue->waiting, memory_order_relaxed) == 0 &&
		    atomic_load_explicit(&queue->asked, memory_order_relaxed) == 0)
			return queue;
	}
	return NULL;
}

void weir_queues_show(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	const bool is_any = pool->waiting_count > 0 || pool->asked > 0;

	if (!pool->queue) {
		if (is_any)
			pool->queue = take_row(shard);
		if (!pool->queue)
			return;
		atomic_store_explicit(&pool->queue->pool_key, pool->key, memory_order_relaxed);
	}
	atomic_store_explicit(&pool->queue->waiting, pool->waiting_count, memory_order_relaxed);
	atomic_store_explicit(&pool->queue->asking, pool->asker_count, memory_order_relaxed);
	atomic_store_explicit(&pool->queue->asked, pool->asked, memory_order_relaxed);
	if (!is_any)
		pool->queue = NULL;
}

uint32_t weir_queues_part(const struct weir_shard_pool *pool, const struct weir_exchange *exchange)
{
	const double part = weir_autoscale_demand(pool->capacity, exchange->ask);

	return part < 1 ? (uint32_t)(part * WEIR_BOARD_ASKED_ONE) : WEIR_BOARD_ASKED_ONE;
}
