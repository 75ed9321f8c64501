#include "dataplane/gateway/rehouse.h"

#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/shard.h"

/* Which pool runs its calls by the newest configuration? Perhaps another than when it came: its function was
 * deployed with other specs. WEIR_HTTP_OK and *out_pool, which knows its workers' capacity, or why there is none. */
static enum weir_http_failure pool_of_now(struct weir_shard *shard, const struct weir_exchange *exchange,
					  struct weir_shard_pool **out_pool)
{
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	const struct weir_snapshot_function *function = weir_snapshot_function_find(snapshot, exchange->function_id);
	const struct weir_snapshot_spec *spec = NULL;
	const struct weir_snapshot_pool *row = NULL;
	int place;

	if (!function || function->runtime == WEIR_RUNTIME_MISSING)
		return function ? WEIR_HTTP_RUNTIME_MISSING : WEIR_HTTP_NO_ROUTE;
	place = weir_schedule_match(snapshot->specs + function->spec_first, function->spec_count, &exchange->ask);
	if (place < 0) /* as if it came now, though its pool may be there under the same name */
		return WEIR_HTTP_NO_SPEC;
	spec = weir_snapshot_spec_find(snapshot, function, exchange->pool->key);
	row = &snapshot->pools[spec ? spec->pool : snapshot->specs[function->spec_first + (uint32_t)place].pool];
	*out_pool = spec ? exchange->pool : weir_dispatch_pool(shard, row->key);
	if (!*out_pool)
		return WEIR_HTTP_NO_MEMORY;
	if ((*out_pool)->config_count != shard->config_count)
		weir_pick_configure(shard, *out_pool, row);
	return WEIR_HTTP_OK;
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
