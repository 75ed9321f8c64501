#include "dataplane/gateway/admit.h"

#include "dataplane/base/clock.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/shard.h"

enum {
	REFUSE_INTERVAL_MS = 5, /* one refusal may free the place that the others wait for */
	STANDING_SECONDS = 1,
	DRAIN_WINDOW_MS = 50,  /* the drain is judged over at least so long, */
	DRAIN_WINDOW_CALLS = 8, /* and so many calls */
	WAIT_CALLS_MAX = 10, /* so many calls' time may be waited for, however long they take */
};

/* Running time of a call, over the workers of the pool. 0: no workers, or not known. */
static uint64_t service_ns(const struct weir_shard_pool *pool)
{
	uint64_t sum_ns = 0;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		const uint64_t one = atomic_load_explicit(&pool->link[i]->header->service_ns,
							  memory_order_relaxed);

		/* More than an hour is a worker's lie. */
		sum_ns += one < WEIR_NS_PER_SECOND * 3600 ? one : WEIR_NS_PER_SECOND * 3600;
	}
	return pool->link_count == 0 ? 0 : sum_ns / pool->link_count;
}

/* How long the workers will run for so many calls. */
static uint64_t calls_ns(const struct weir_shard_pool *pool, uint32_t calls)
{
	return pool->link_count == 0 ? 0 : calls * service_ns(pool) / pool->link_count;
}

uint64_t weir_admit_queue_ns(const struct weir_shard_pool *pool)
{
	return calls_ns(pool, pool->waiting_count);
}

/* How long this call would wait in the queue if it joined now. One that asks for nothing passes by those
 * that do. */
static uint64_t wait_ns_of(const struct weir_shard *shard, const struct weir_exchange *exchange)
{
	struct weir_shard_pool *pool = exchange->pool;
	struct weir_shard_drain *drain = &pool->drain;
	const uint32_t ahead =
		pool->waiting_count - (weir_schedule_asks(&exchange->ask) ? 0 : pool->asker_count);
	const uint64_t counted_ns = shard->now_ns - drain->since_ns;

	if (drain->left >= DRAIN_WINDOW_CALLS && counted_ns >= DRAIN_WINDOW_MS * WEIR_NS_PER_MS) {
		const uint64_t seen_ns = counted_ns / drain->left;
		const uint64_t distance_ns = drain->distance_ns == 0 ? seen_ns : (drain->distance_ns + seen_ns) / 2;

		*drain = (struct weir_shard_drain){
			.since_ns = shard->now_ns,
			.distance_ns = distance_ns < UINT32_MAX ? (uint32_t)distance_ns : UINT32_MAX,
		};
	}
	return drain->distance_ns == 0 ? calls_ns(pool, ahead) : (uint64_t)ahead * drain->distance_ns;
}

bool weir_admit_is_stuck(struct weir_shard *shard, const struct weir_exchange *exchange)
{
	struct weir_shard_pool *pool = exchange->pool;

	if (pool->link_count < pool->workers_max ||
	    shard->now_ns - pool->refused_ns < REFUSE_INTERVAL_MS * WEIR_NS_PER_MS || !weir_pick_is_full(exchange))
		return false;
	pool->refused_ns = shard->now_ns;
	return true;
}

/* Has the queue stood, and would a call in it wait longer than is worth while? */
static bool is_overloaded(const struct weir_shard *shard, const struct weir_shard_pool *pool, uint64_t wait_ns)
{
	const uint64_t wait_max_ns = shard->config->settings->queue_wait_ms * WEIR_NS_PER_MS;
	const uint64_t since_ns =
		pool->queue_began_ns > shard->stood_still_ns ? pool->queue_began_ns : shard->stood_still_ns;

	return wait_max_ns > 0 && wait_ns > wait_max_ns && pool->waiting_count > 0 &&
	       shard->now_ns - since_ns > STANDING_SECONDS * WEIR_NS_PER_SECOND &&
	       wait_ns > WAIT_CALLS_MAX * service_ns(pool);
}

enum weir_http_failure weir_admit(struct weir_shard *shard, const struct weir_exchange *exchange, uint32_t queue_max)
{
	struct weir_shard_pool *pool = exchange->pool;
	uint64_t wait_ns;

	if (exchange->function->waiting >= queue_max) {
		weir_shard_count(shard, WEIR_METRIC_queue_full, 1);
		return WEIR_HTTP_QUEUE_FULL;
	}
	if (weir_nested_is_awaited(exchange)) /* it stands before all others */
		return weir_admit_is_stuck(shard, exchange) ? WEIR_HTTP_NO_WORKER : WEIR_HTTP_OK;
	wait_ns = wait_ns_of(shard, exchange);
	if (shard->now_ns + wait_ns > exchange->deadline_ns) /* refusing now beats a late 504 */
		return WEIR_HTTP_NO_WORKER;
	if (is_overloaded(shard, pool, wait_ns)) {
		weir_shard_count(shard, WEIR_METRIC_overloaded, 1);
		return WEIR_HTTP_OVERLOADED;
	}
	return WEIR_HTTP_OK;
}
