/* scores: what a shard makes of the measured loads of its workers, and shows of it.
 *
 *   load board (abi/load.h) --every WEIR_SCHEDULE_SAMPLE_NS--> averages of each link --> its load price
 *   its home workers: a row each on the board (abi/board.h); the last picks: a ring there
 *
 * Without a load board, or a slot in it, the terms are 0 and calls in flight decide alone. Shards share
 * out the board's rows evenly; a worker beyond its shard's part is scored and not shown.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_SCORES_H
#define WEIR_DATAPLANE_GATEWAY_SCORES_H

#include "dataplane/abi/board.h"
#include "dataplane/gateway/link.h"

/* Take this shard's part of the board, which an earlier gateway may have filled. `board` may be NULL
 * (tests): nothing is shown then. */
void weir_scores_open(struct weir_shard *shard, struct weir_board *board);

/* The link was opened; leaves. */
void weir_scores_enter(struct weir_shard *shard, struct weir_shard_link *link);
void weir_scores_leave(struct weir_shard *shard, struct weir_shard_link *link);

/* Read what is measured of the workers of the pool, as of shard->now_ns. */
void weir_scores_measure(struct weir_shard *shard, struct weir_shard_pool *pool);

/* Show a worker of this shard as the candidate it is now. */
void weir_scores_show(struct weir_shard *shard, const struct weir_shard_link *link,
		      const struct weir_schedule_candidate *candidate);

/* Note a pick at this price. */
static inline void weir_scores_picked(struct weir_board_picks *picks, uint64_t now_ns,
				      const struct weir_shard_link *link, int16_t price)
{
	struct weir_board_pick *pick;
	uint64_t count;

	if (!picks)
		return;
	count = atomic_load_explicit(&picks->count, memory_order_relaxed); /* ours alone */
	pick = &picks->pick[count % WEIR_BOARD_PICKS];
	atomic_store_explicit(&pick->at_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&pick->worker_id, link->worker_id, memory_order_relaxed);
	atomic_store_explicit(&pick->price, (uint64_t)price, memory_order_relaxed);
	atomic_store_explicit(&picks->count, count + 1, memory_order_relaxed);
}

#endif
