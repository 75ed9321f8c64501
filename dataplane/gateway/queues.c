#include "dataplane/gateway/queues.h"

void weir_queues_open(struct weir_shard *shard, struct weir_board *board)
{
	const uint32_t part = WEIR_BOARD_QUEUES_MAX / shard->shard_count;

	if (!board)
		return;
	shard->queues = &board->queue[shard->index * part];
	shard->queue_count = part;
	for (uint32_t i = 0; i < part; i++)
		atomic_store_explicit(&shard->queues[i].waiting, 0, memory_order_relaxed);
}

static struct weir_board_queue *take_row(const struct weir_shard *shard)
{
	for (uint32_t i = 0; i < shard->queue_count; i++) {
		if (atomic_load_explicit(&shard->queues[i].waiting, memory_order_relaxed) == 0)
			return &shard->queues[i];
	}
	return NULL;
}

void weir_queues_show(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	if (!pool->queue) {
		if (pool->waiting_count > 0)
			pool->queue = take_row(shard);
		if (!pool->queue)
			return;
		atomic_store_explicit(&pool->queue->pool_key, pool->key, memory_order_relaxed);
	}
	atomic_store_explicit(&pool->queue->waiting, pool->waiting_count, memory_order_relaxed);
	if (pool->waiting_count == 0)
		pool->queue = NULL;
}
