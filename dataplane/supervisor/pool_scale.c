#include "dataplane/supervisor/pool_scale.h"

#include "dataplane/base/clock.h"
#include "dataplane/supervisor/board.h"
#include "dataplane/supervisor/pool.h"

static const uint64_t note_ns = WEIR_NS_PER_SECOND;

static uint64_t step_ns(const struct weir_pool *pool)
{
	return pool->scale.step_ms * WEIR_NS_PER_MS;
}

void weir_pool_scale_configure(struct weir_pool *pool, const struct weir_autoscale_rule *rule)
{
	if (rule->samples != pool->scale.samples)
		pool->window = (struct weir_autoscale_window){.count = 0};
	if (pool->window.count == 0)
		pool->target = UINT32_MAX;
	if (rule->step_ms != pool->scale.step_ms)
		pool->step_at_ns = 0;
	pool->scale = *rule;
}

/* Workers' lines are theirs to write: nothing in them counts for more than it could be. */
static double worker_demand(const struct weir_board_process *counts, bool one_task)
{
	const uint64_t started = counts->accepted - counts->finished;
	const uint64_t in_flight = started < WEIR_PAIR_CALLS ? started : 0;
	const uint64_t parked = counts->parked < in_flight ? counts->parked : in_flight;
	const uint32_t parked_max = counts->parked_max == 0 || counts->parked_max > WEIR_PAIR_CALLS ? 1 : counts->parked_max;

	if (one_task)
		return in_flight > 0 ? 1.0 : 0.0;
	return (in_flight > parked ? 1.0 : 0.0) + (double)parked / (double)parked_max;
}

/* What all shards show of a pool. */
struct queued {
	uint64_t waiting; /* without those that ask */
	double asked;     /* workers that those take up, running ones included */
};

/* What a gateway that is gone left on the board says nothing. */
static struct queued queued_of(const struct weir_supervisor *supervisor, uint64_t key)
{
	struct queued sum = {0};

	if (supervisor->gateway.state != WEIR_PROCESS_READY)
		return sum;
	for (size_t i = 0; i < WEIR_BOARD_QUEUES_MAX; i++) {
		const struct weir_board_queue *const queue = &supervisor->board->queue[i];
		const uint64_t waiting = atomic_load_explicit(&queue->waiting, memory_order_relaxed);
		const uint64_t asking = atomic_load_explicit(&queue->asking, memory_order_relaxed);
		const uint64_t asked = atomic_load_explicit(&queue->asked, memory_order_relaxed);

		if ((waiting == 0 && asked == 0) ||
		    atomic_load_explicit(&queue->pool_key, memory_order_relaxed) != key)
			continue;
		sum.waiting += waiting > asking ? waiting - asking : 0; /* not read at one moment */
		sum.asked += (double)asked / WEIR_BOARD_ASKED_ONE;
	}
	return sum;
}

/* Workers that the pool's requests take up now; those that are leaving have some, too. */
static double demand_of(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns)
{
	const struct queued queued = queued_of(supervisor, pool->key);
	uint64_t service_ns = 0;
	uint32_t ahead;
	double demand = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];
		struct weir_board_process counts = {0};

		if (worker->pool_key != pool->key || worker->process.pid == 0)
			continue;
		weir_board_worker_counts(supervisor, worker, &counts);
		demand += worker_demand(&counts, pool->one_task);
		if (counts.service_ns > service_ns)
			service_ns = counts.service_ns;
		if (worker->busy_ns > pool->used_ns)
			pool->used_ns = worker->busy_ns;
		if (counts.accepted != worker->accepted_seen)
			pool->used_ns = now_ns;
	}
	if (demand < queued.asked)
		demand = queued.asked;
	if (demand > 0 || queued.waiting > 0)
		pool->used_ns = now_ns;
	ahead = pool->one_task ? 1 : weir_schedule_ahead_max(service_ns);
	return demand + (double)queued.waiting / (double)ahead;
}

/* A worker more is of use unless all that the others lack is CPU time. */
static bool would_help(struct weir_supervisor *supervisor, const struct weir_pool *pool, uint64_t now_ns)
{
	const struct weir_schedule_use use = weir_pool_use(supervisor, pool->key, WEIR_POOL_ASKER_STEP, now_ns);

	return use.span_ns == 0 || weir_pool_has_quota(supervisor, pool) || !weir_schedule_lacks_cpu(&use);
}

static uint64_t window_ns(const struct weir_pool *pool)
{
	return step_ns(pool) * pool->scale.samples;
}

static void step(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns)
{
	/* Each step begins a new span; one in which a load began or the machine paused says little, so two have to agree. */
	const bool helped = pool->would_help;
	uint32_t target = 0;

	pool->would_help = would_help(supervisor, pool, now_ns);
	pool->demand = demand_of(supervisor, pool, now_ns);
	pool->target = UINT32_MAX;
	weir_autoscale_take(&pool->window, &pool->scale, pool->demand);
	if (!weir_autoscale_target(&pool->window, &pool->scale, pool->workers_min, pool->workers_max, &target))
		return;
	target = pool->target = weir_autoscale_keeps(target, now_ns - pool->used_ns < window_ns(pool), pool->workers_max);
	target = weir_autoscale_bound(target, pool->wanted, &pool->scale, pool->demand);
	if (target == pool->wanted || (target > pool->wanted && !(pool->would_help && helped)) ||
	    (target < pool->wanted && now_ns - pool->raised_ns < window_ns(pool)))
		return;
	pool->wanted = target;
	supervisor->rows_changed = true;
}

void weir_pool_scale_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	if (now_ns - supervisor->noted_ns >= note_ns) {
		weir_pool_busy_note(supervisor, now_ns);
		supervisor->noted_ns = now_ns;
	}
	for (size_t i = 0; i < supervisor->pool_count; i++) {
		struct weir_pool *const pool = &supervisor->pool[i];

		if (pool->functions == 0)
			continue;
		if (pool->step_at_ns == 0)
			pool->step_at_ns = now_ns + step_ns(pool);
		if (pool->step_at_ns <= now_ns) {
			step(supervisor, pool, now_ns);
			pool->step_at_ns = now_ns + step_ns(pool);
		}
		weir_supervisor_due(supervisor, pool->step_at_ns);
	}
}
