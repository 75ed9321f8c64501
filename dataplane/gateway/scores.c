#include "dataplane/gateway/scores.h"

#include "dataplane/base/clock.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/load.h"

static_assert((int)WEIR_BOARD_TERM_ONE == (int)WEIR_SCHEDULE_UNIT, "terms are shown as they are");
static_assert((int)WEIR_BOARD_SCORE_ONE == WEIR_SCHEDULE_PRICE_ONE / 2, "and so is the score");

enum {
	FIND_EVERY = 64, /* measurings between two searches for a worker that has no slot */
	RSS_SECONDS = 10, /* older samples of it are none */
};

void weir_scores_open(struct weir_shard *shard, struct weir_board *board)
{
	const uint32_t part = WEIR_BOARD_SCORES_MAX / shard->shard_count;

	if (!board)
		return;
	shard->scores = &board->score[shard->index * part];
	shard->score_count = part;
	shard->picks = &board->picks[shard->index];
	for (uint32_t i = 0; i < part; i++)
		atomic_store_explicit(&shard->scores[i].worker_id, 0, memory_order_relaxed);
	atomic_store_explicit(&shard->picks->count, 0, memory_order_relaxed);
}

void weir_scores_enter(struct weir_shard *shard, struct weir_shard_link *link)
{
	link->load_slot = -1;
	link->load_unseen = FIND_EVERY;
	if (!link->home)
		return;
	for (uint32_t i = 0; i < shard->score_count && !link->score; i++) {
		if (atomic_load_explicit(&shard->scores[i].worker_id, memory_order_relaxed) == 0)
			link->score = &shard->scores[i];
	}
	if (link->score)
		atomic_store_explicit(&link->score->worker_id, link->worker_id, memory_order_relaxed);
}

void weir_scores_leave(struct weir_shard *shard, struct weir_shard_link *link)
{
	(void)shard;
	if (link->score)
		atomic_store_explicit(&link->score->worker_id, 0, memory_order_relaxed);
	link->score = NULL;
}

/* The board's sample, if it has one of this worker. */
static bool read_sample(const struct weir_shard *shard, struct weir_shard_link *link,
			struct weir_schedule_sample *out)
{
	struct weir_load_sample sample;

	if (link->load_slot < 0) {
		if (++link->load_unseen < FIND_EVERY)
			return false;
		link->load_unseen = 0;
		link->load_slot = weir_load_find(shard->load, link->worker_id);
	}
	if (link->load_slot < 0 ||
	    !weir_load_read(shard->load, (uint32_t)link->load_slot, link->worker_id, shard->now_ns, &sample))
		return false;
	link->load_source = sample.source;
	*out = (struct weir_schedule_sample){
		.at_ns = sample.at_ns,
		.cpu_ns = sample.count[WEIR_LOAD_ON_CPU_NS],
		.wait_ns = sample.count[WEIR_LOAD_RUN_QUEUE_NS],
		.block_ns = sample.count[WEIR_LOAD_IO_WAIT_NS],
		.io_bytes = sample.count[WEIR_LOAD_DISK_READ_BYTES] + sample.count[WEIR_LOAD_DISK_WRITE_BYTES],
		/* Nobody may sample it any more, while probes go on: unknown then, as for one that just began. */
		.memory_bytes = shard->now_ns < sample.rss_at_ns + RSS_SECONDS * WEIR_NS_PER_SECOND ? sample.rss_bytes : 0,
	};
	return true;
}

/* What was measured of it, if that is not too old, and how far away it is. */
static struct weir_schedule_terms terms_of(const struct weir_shard *shard, const struct weir_shard_link *link)
{
	struct weir_schedule_terms terms = weir_schedule_load_terms(&link->load, shard->now_ns);

	terms.remote = (uint32_t)WEIR_SCHEDULE_UNIT * link->remote / UINT8_MAX;
	return terms;
}

static void measure(const struct weir_shard *shard, const struct weir_shard_pool *pool, struct weir_shard_link *link)
{
	const struct weir_schedule_capacity capacity = {.cpu_millicores = pool->capacity.cpu_millicores,
							.memory_bytes = (uint64_t)pool->capacity.memory_mb << 20,
							.period_ns = pool->policy->sample_ns};
	struct weir_schedule_sample sample;
	struct weir_schedule_terms terms;

	if (shard->load && shard->now_ns - link->load.last.at_ns >= pool->policy->sample_ns &&
	    read_sample(shard, link, &sample)) {
		if (pool->policy->runs_only)
			sample.wait_ns = sample.block_ns = 0;
		weir_schedule_load_take(&link->load, &sample, &capacity, pool->weights.ema);
	}
	terms = terms_of(shard, link);
	link->load_price = weir_schedule_terms_price(&terms, &pool->weights);
}

void weir_scores_measure(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	for (uint32_t i = 0; i < pool->link_count; i++)
		measure(shard, pool, pool->link[i]);
}

void weir_scores_show(struct weir_shard *shard, const struct weir_shard_link *link,
		      const struct weir_schedule_candidate *candidate)
{
	const struct weir_schedule_terms terms = terms_of(shard, link);
	const struct weir_shard_pool *pool = link->pool;
	struct weir_board_score *row = link->score;
	uint64_t change;

	if (!row)
		return;
	change = atomic_load_explicit(&row->change, memory_order_relaxed) | 1;
	atomic_store_explicit(&row->change, change, memory_order_relaxed);
	/* ORDER board_score_begin release: no field may change before readers can see that it might. */
	atomic_thread_fence(memory_order_release);
	row->at_ns = shard->now_ns;
	row->sampled_ns = link->load.last.at_ns;
	row->picks = link->sequence;
	row->cpu = terms.cpu;
	row->memory = terms.memory;
	row->io = terms.io;
	row->remote = terms.remote;
	row->in_flight = candidate->in_flight;
	row->in_flight_limit = candidate->in_flight_limit;
	row->parked = candidate->parked;
	row->parked_limit = candidate->parked_limit;
	row->score = weir_schedule_policy(WEIR_POLICY_SCORE)->cost(candidate, &pool->weights);
	row->has_room = weir_schedule_has_room(candidate);
	row->source = link->load_source;
	row->policy = pool->policy_number;
	row->weights = pool->weights;
	/* ORDER board_score release: the row is whole again. */
	atomic_store_explicit(&row->change, change + 1, memory_order_release);
}
