#include "dataplane/gateway/rehouse.h"

#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/shard.h"

/* Which pool runs its calls by the newest configuration? Perhaps another than when it came: its function was
 * deployed with other specs. WEIR_HTTP_OK and *out_pool, or why there is none. */
static enum weir_http_failure pool_of_now(struct weir_shard *shard, const struct weir_exchange *exchange,
					  struct weir_shard_pool **out_pool)
{
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	const struct weir_snapshot_function *function = weir_snapshot_function_find(snapshot, exchange->function_id);
	int spec;

	if (!function || function->runtime == WEIR_RUNTIME_MISSING)
		return function ? WEIR_HTTP_RUNTIME_MISSING : WEIR_HTTP_NO_ROUTE;
	spec = weir_schedule_match(snapshot->specs + function->spec_first, function->spec_count, &exchange->ask);
	if (spec < 0) /* as if it came now, though its pool may be there under the same name */
		return WEIR_HTTP_NO_SPEC;
	if (weir_snapshot_spec_find(snapshot, function, exchange->pool->key)) {
		*out_pool = exchange->pool;
		return WEIR_HTTP_OK;
	}
	*out_pool = weir_dispatch_pool(
		shard, snapshot->pools[snapshot->specs[function->spec_first + (uint32_t)spec].pool].key);
	return *out_pool ? WEIR_HTTP_OK : WEIR_HTTP_NO_MEMORY;
}

static void rehouse(struct weir_shard *shard, const struct weir_exchange_list *list)
{
	struct weir_exchange *exchange = list->first;
	struct weir_exchange *next;

	for (; exchange; exchange = next) {
		struct weir_shard_pool *pool = NULL;
		const enum weir_http_failure failure = pool_of_now(shard, exchange, &pool);

		next = exchange->wait_next;
		if (failure != WEIR_HTTP_OK) {
			weir_exchange_fail(shard, exchange, failure, (struct weir_span){0});
		} else if (pool != exchange->pool) {
			weir_dispatch_forget(shard, exchange);
			exchange->pool = pool;
			weir_dispatch_wait(shard, exchange);
		}
	}
}

void weir_rehouse_pool(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	pool->rehoused_count = shard->config_count;
	rehouse(shard, &pool->waiting);
	rehouse(shard, &pool->askers);
	rehouse(shard, &pool->suspects);
}
