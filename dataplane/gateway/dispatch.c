#include "dataplane/gateway/dispatch.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/abi/head.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/admit.h"
#include "dataplane/gateway/demand.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/queues.h"
#include "dataplane/gateway/rehouse.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/call.h"

enum {
	SUSPECT_SECONDS = 10,
	ASKER_PATIENCE_MS = 1000, /* then a worker is kept for a call that asks for much */
	REBINDS_MAX = 8,        /* a call before which so many workers died is given up */
	ANSWER_BYTES_WEIGHT = 8, /* moving average over about this many answers */
};

/* Where the bytes of a request stand while it is bound: the head as encoded, the body where it was
 * received, so that it is copied once. */
struct request_bytes {
	struct weir_span head;
	struct weir_span body;
};

static uint32_t request_size(const struct request_bytes *request)
{
	return (uint32_t)(request->head.bytes + request->body.bytes);
}

static void request_copy(const struct request_bytes *request, void *out)
{
	memcpy(out, request->head.data, request->head.bytes);
	if (request->body.bytes > 0)
		memcpy((char *)out + request->head.bytes, request->body.data, request->body.bytes);
}

static uint64_t request_hash(const struct request_bytes *request)
{
	const uint64_t head_hash = XXH3_64bits(request->head.data, request->head.bytes);

	return request->body.bytes == 0
		       ? head_hash
		       : XXH3_64bits_withSeed(request->body.data, request->body.bytes, head_hash);
}

/* Give an empty pool's place to another; NULL if every pool has workers or waiting requests. */
static struct weir_shard_pool *reuse_pool(struct weir_shard *shard, uint64_t key)
{
	for (uint32_t i = 0; i < shard->pool_count; i++) {
		struct weir_shard_pool *pool = shard->pool[i];

		if (pool->link_count > 0 || pool->waiting_count > 0 || pool->asked > 0)
			continue;
		weir_pick_open(pool, key);
		return pool;
	}
	return NULL;
}

struct weir_shard_pool *weir_dispatch_pool(struct weir_shard *shard, uint64_t key)
{
	struct weir_shard_pool *pool;

	for (uint32_t i = 0; i < shard->pool_count; i++) {
		if (shard->pool[i]->key == key)
			return shard->pool[i];
	}
	if (shard->pool_count == WEIR_GATEWAY_POOLS_MAX)
		return reuse_pool(shard, key);
	pool = weir_shard_allocate(sizeof(*pool)); /* once per pool, not per request */
	if (!pool)
		return NULL;
	weir_pick_open(pool, key);
	shard->pool[shard->pool_count++] = pool;
	return pool;
}

/* The states lie side by side, in the order in which functions were first called, so that a thousand of
 * them need few pages; the table of cells only says where. */
static struct weir_function_state *function_state(struct weir_shard *shard, uint64_t id)
{
	const uint64_t cell = (id * UINT64_C(0x9e3779b97f4a7c15)) >> 48; /* Fibonacci hashing */

	static_assert(WEIR_GATEWAY_FUNCTIONS_MAX == 1 << 16, "the shift above yields 16 bits");
	for (uint32_t probe = 0; probe < 64; probe++) {
		uint16_t *place = &shard->function_cell[(cell + probe) & (WEIR_GATEWAY_FUNCTIONS_MAX - 1)];

		if (*place == 0) {
			if (shard->function_count == WEIR_GATEWAY_FUNCTIONS_MAX - 1)
				break;
			*place = ++shard->function_count;
			shard->functions[*place].id = id;
		}
		if (shard->functions[*place].id == id)
			return &shard->functions[*place];
	}
	/* The neighbourhood is full of functions that were here once: share a state, which is no
	 * more than a shared queue bound. */
	return &shard->functions[0];
}

/* The pool of a call. Most go where the function's last one went; there may be thousands. */
static inline struct weir_shard_pool *pool_of(struct weir_shard *shard, struct weir_function_state *function, uint64_t key)
{
	if (!function->pool || function->pool->key != key) /* its place may have been given to another */
		function->pool = weir_dispatch_pool(shard, key);
	return function->pool;
}

/* How large a chunk the answer starts in: what the function's answers need, but a small one for a
 * request that others of its connection stand before; those behind could hold all large ones. */
static size_t first_grant_bytes(const struct weir_exchange *exchange)
{
	return exchange == exchange->connection->exchanges.first ? exchange->function->answer_bytes : 1;
}

/* Of a pool whose workers have one task, they see to that themselves: another shard may have bound a call to
 * the same worker a moment ago. Calls that functions wait for are let in (pick.c). */
static uint8_t head_flags(const struct weir_exchange *exchange)
{
	const bool alone = exchange->pool->one_task && !weir_nested_is_awaited(exchange);

	return (uint8_t)((exchange->stream ? 0 : WEIR_MESSAGE_FLAG_END) | (alone ? WEIR_MESSAGE_FLAG_ALONE : 0));
}

/* Give the request to the link. False if it has no room after all; nothing is changed then. */
static bool bind_call(struct weir_shard *shard, struct weir_shard_link *link,
		      struct weir_exchange *exchange, const struct request_bytes *request)
{
	const int call = weir_link_call_take(shard, link, exchange);
	struct weir_link_call *record;
	struct weir_message message;
	size_t chunk_bytes;

	if (call < 0)
		return false;
	exchange->call = (uint16_t)call;
	if (weir_schedule_asks(&exchange->ask) && !weir_room_take(shard, link, exchange))
		goto no_room;
	message = (struct weir_message){
		.kind = WEIR_MESSAGE_HEAD,
		.flags = head_flags(exchange),
		.call = exchange->call,
		.sequence = link->call[call].sequence,
		.bytes = request_size(request),
		.head_bytes = (uint32_t)request->head.bytes,
	};
	message.chunk = weir_link_chunk_take(shard, link, exchange->call, message.bytes);
	message.grant = weir_link_chunk_take(shard, link, exchange->call, first_grant_bytes(exchange));
	if (message.grant == WEIR_CHUNK_NONE) /* no large one: the answer starts in a small one */
		message.grant = weir_link_chunk_take(shard, link, exchange->call, 1);
	if (message.chunk == WEIR_CHUNK_NONE || message.grant == WEIR_CHUNK_NONE)
		goto no_room;
	request_copy(request, weir_segment_chunk(link->pair, message.chunk, &chunk_bytes));
	record = &link->pair->call[call];
	record->deadline_ns = exchange->deadline_ns;
	record->activation_high = exchange->activation.high;
	record->activation_low = exchange->activation.low;
	record->function_id = exchange->function_id;
	record->generation = exchange->generation;
	weir_call_queue(record, message.sequence);
	if (!weir_link_push(shard, link, &message, WEIR_RING_CELLS_RESERVED))
		goto no_room;
	weir_link_chunk_lend(link, message.chunk);
	weir_link_chunk_lend(link, message.grant);
	link->call[call].granted = 1;
	link->call[call].request_chunk = (uint16_t)message.chunk;
	link->queued++;
	shard->bound_in_batch++;
	exchange->link = link;
	weir_activation_bound(shard, link, exchange);
	if (exchange->began_ns != 0)
		exchange->bound_ns = weir_clock_now_ns();
	exchange->request_bytes = message.bytes;
	exchange->request_head_bytes = message.head_bytes;
	exchange->request_hash = request_hash(request);
	if (exchange->suspect)
		link->exclusive = exchange;
	weir_shard_count(shard, WEIR_METRIC_calls_bound, 1);
	if (link->remote > 0)
		weir_shard_count(shard, WEIR_METRIC_calls_remote, 1);
	weir_timer_arm(&shard->wheel, &link->timer, shard->now_ns + 5 * WEIR_NS_PER_MS);
	return true;
no_room:
	exchange->pool->last = NULL; /* it lacks chunks, which its lines do not tell: look at others */
	link->call[call].exchange = NULL;
	link->call[call].finished = true;
	weir_link_call_settle(shard, link, (uint16_t)call);
	return false;
}

/* Nobody waits to run alone any more: workers that were set aside serve all again. */
static void end_set_aside(struct weir_shard_pool *pool)
{
	for (uint32_t i = 0; i < pool->link_count; i++)
		pool->link[i]->set_aside = false;
	pool->suspects_starve = false;
}

static struct weir_exchange_list *room_of(struct weir_exchange *exchange)
{
	if (exchange->suspect)
		return &exchange->pool->suspects;
	return weir_schedule_asks(&exchange->ask) ? &exchange->pool->askers : &exchange->pool->waiting;
}

static void asking_add(struct weir_exchange *exchange, int32_t change)
{
	struct weir_shard_pool *pool = exchange->pool;

	pool->asker_count += (uint32_t)change;
	if (change > 0)
		exchange->ask_part = weir_queues_part(pool, exchange);
	pool->asked += (uint64_t)((int64_t)exchange->ask_part * change);
}

/* It joins (1) or leaves (-1) its room. */
static void waiting_add(struct weir_shard *shard, struct weir_exchange *exchange, int32_t change)
{
	exchange->waiting = change > 0;
	exchange->pool->waiting_count += (uint32_t)change;
	if (room_of(exchange) == &exchange->pool->askers)
		asking_add(exchange, change);
	weir_queues_show(shard, exchange->pool);
	exchange->function->waiting += (uint32_t)change;
	shard->waiting_count += (uint32_t)change;
	weir_shard_count(shard, WEIR_METRIC_calls_waiting, change);
}

static void wait_in_line(struct weir_shard *shard, struct weir_exchange *exchange, bool first)
{
	const bool awaited = weir_nested_is_awaited(exchange);
	struct weir_exchange_list *list;

	if (!awaited)
		exchange->suspect = exchange->function->suspect_until_ns > shard->now_ns;
	list = room_of(exchange);
	exchange->wait_next = awaited || first ? list->first : NULL;
	/* Awaited calls stand before all others: somebody who holds a place waits for them. */
	while (!awaited && exchange->wait_next && weir_nested_is_awaited(exchange->wait_next))
		exchange->wait_next = exchange->wait_next->wait_next;
	exchange->wait_prev = exchange->wait_next ? exchange->wait_next->wait_prev : list->last;
	*(exchange->wait_next ? &exchange->wait_next->wait_prev : &list->last) = exchange;
	*(exchange->wait_prev ? &exchange->wait_prev->wait_next : &list->first) = exchange;
	if (exchange->pool->link_count == 0 && exchange->cold_since_ns == 0)
		exchange->cold_since_ns = shard->now_ns;
	exchange->waiting_since_ns = shard->now_ns;
	weir_admit_joined(shard, exchange->pool);
	waiting_add(shard, exchange, 1);
	weir_demand(shard, exchange->pool);
}

void weir_dispatch_wait(struct weir_shard *shard, struct weir_exchange *exchange)
{
	wait_in_line(shard, exchange, false);
}

void weir_dispatch_leave(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_exchange_list *list = room_of(exchange);

	*(exchange->wait_next ? &exchange->wait_next->wait_prev : &list->last) = exchange->wait_prev;
	*(exchange->wait_prev ? &exchange->wait_prev->wait_next : &list->first) = exchange->wait_next;
	exchange->wait_next = NULL;
	exchange->wait_prev = NULL;
	waiting_add(shard, exchange, -1);
	if (exchange->suspect && !exchange->pool->suspects.first)
		end_set_aside(exchange->pool);
}

/* Queue a request whose bytes are still elsewhere. */
static void submit_waiting(struct weir_shard *shard, struct weir_exchange *exchange,
			   const struct request_bytes *request, uint32_t queue_max)
{
	const enum weir_http_failure refusal = weir_admit(shard, exchange, queue_max);

	if (refusal != WEIR_HTTP_OK) {
		weir_exchange_fail(shard, exchange, refusal, (struct weir_span){0});
		return;
	}
	exchange->request = weir_block_take(&shard->blocks, request_size(request));
	if (!exchange->request) {
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_MEMORY, (struct weir_span){0});
		return;
	}
	request_copy(request, exchange->request->data);
	exchange->request->end = request_size(request);
	exchange->request_bytes = exchange->request->end;
	exchange->request_head_bytes = (uint32_t)request->head.bytes;
	wait_in_line(shard, exchange, false);
}

/* What a call is to its pool. One that asks may be awaited, too. */
enum manner { MANNER_PLAIN, MANNER_ASKING, MANNER_AWAITED };

/* For a call that was not queued: none passes by others, but for one that asks, if they ask for more. */
static inline struct weir_shard_link *pick_at_once(struct weir_shard *shard, struct weir_exchange *exchange,
						   enum manner manner)
{
	if (manner == MANNER_AWAITED)
		return weir_pick_nested(exchange->pool, exchange);
	if (manner == MANNER_PLAIN || !weir_nested_is_awaited(exchange))
		exchange->suspect = exchange->function->suspect_until_ns > shard->now_ns;
	if (exchange->suspect)
		return NULL;
	if (manner == MANNER_ASKING)
		return weir_pick_fullest(shard, exchange->pool, exchange);
	return exchange->pool->waiting.first ? NULL : weir_pick(shard, exchange->pool);
}

/* Bind or queue an encoded request. */
static inline void submit_request(struct weir_shard *shard, struct weir_exchange *exchange,
				  const struct weir_snapshot_function *function,
				  const struct weir_snapshot_pool *pool_row, struct request_bytes request,
				  enum manner manner)
{
	struct weir_shard_link *link = NULL;

	exchange->function = function_state(shard, function->id);
	exchange->pool = pool_of(shard, exchange->function, pool_row->key);
	if (!exchange->pool || request.head.bytes == 0 || request_size(&request) > WEIR_CHUNK_LARGE_BYTES) {
		weir_exchange_fail(shard, exchange,
				   exchange->pool ? WEIR_HTTP_HEAD_TOO_LARGE : WEIR_HTTP_NO_MEMORY,
				   (struct weir_span){0});
		return;
	}
	if (exchange->pool->config_count != shard->config_count)
		weir_pick_configure(shard, exchange->pool, pool_row);
	link = pick_at_once(shard, exchange, manner);
	if (!link || !bind_call(shard, link, exchange, &request))
		submit_waiting(shard, exchange, &request, function->queue_max);
}

/* Apart: hardly any request asks. */
static __attribute__((noinline, cold)) void submit_asking(struct weir_shard *shard, struct weir_exchange *exchange,
							  const struct weir_snapshot *snapshot,
							  const struct weir_snapshot_function *function,
							  struct request_bytes request)
{
	const struct weir_snapshot_spec *specs = snapshot->specs + function->spec_first;
	const int spec = weir_schedule_match(specs, function->spec_count, &exchange->ask);

	if (spec < 0) { /* ask.h looked, but a nested call may start by a newer configuration */
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_SPEC, (struct weir_span){0});
		return;
	}
	submit_request(shard, exchange, function, &snapshot->pools[specs[spec].pool], request, MANNER_ASKING);
}

void weir_dispatch_submit(struct weir_shard *shard, struct weir_exchange *exchange,
			  struct weir_encode_input *input, struct weir_span body)
{
	const struct weir_snapshot_function *function = input->match->function;
	const struct request_bytes request = {
		.head = {.data = shard->scratch, .bytes = weir_encode_request(input, shard->scratch)},
		.body = body,
	};

	if (weir_schedule_asks(&exchange->ask))
		submit_asking(shard, exchange, input->snapshot, function, request);
	else
		submit_request(shard, exchange, function, &input->snapshot->pools[function->pool], request,
			       MANNER_PLAIN);
}

void weir_dispatch_submit_head(struct weir_shard *shard, struct weir_exchange *exchange,
			       const struct weir_snapshot_function *function, struct weir_span head,
			       struct weir_span body)
{
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	const struct request_bytes request = {.head = head, .body = body};

	if (weir_schedule_asks(&exchange->ask))
		submit_asking(shard, exchange, snapshot, function, request);
	else
		submit_request(shard, exchange, function, &snapshot->pools[function->pool], request,
			       weir_nested_is_awaited(exchange) ? MANNER_AWAITED : MANNER_PLAIN);
}

/* The bytes of a request that waits in its block. */
static struct request_bytes waiting_bytes(const struct weir_exchange *exchange)
{
	const char *data = exchange->request->data;

	return (struct request_bytes){
		.head = {.data = data, .bytes = exchange->request_head_bytes},
		.body = {.data = data + exchange->request_head_bytes,
			 .bytes = exchange->request_bytes - exchange->request_head_bytes},
	};
}

void weir_dispatch_again(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_shard_link *link = exchange->link;
	size_t chunk_bytes;
	const uint8_t *chunk =
		weir_segment_chunk(link->pair, link->call[exchange->call].request_chunk, &chunk_bytes);
	struct weir_block *block = weir_block_take(&shard->blocks, exchange->request_bytes);
	struct request_bytes request;

	WEIR_ASSERT(link->call[exchange->call].finished);
	if (!block) {
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_MEMORY, (struct weir_span){0});
		return;
	}
	memcpy(block->data, chunk, exchange->request_bytes);
	block->end = exchange->request_bytes;
	exchange->request = block;
	weir_link_call_abandon(shard, exchange);
	weir_activation_unbound(exchange);
	/* The old worker could write to those bytes: they must still be what we gave it. */
	request = waiting_bytes(exchange);
	if (request_hash(&request) != exchange->request_hash) {
		weir_exchange_fail(shard, exchange, WEIR_HTTP_WORKER_DIED, (struct weir_span){0});
		return;
	}
	if (link->dead && ++exchange->rebinds > REBINDS_MAX) {
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_WORKER, (struct weir_span){0});
		return;
	}
	weir_shard_count(shard, WEIR_METRIC_calls_rebound, 1);
	exchange->pool->rehoused_count = shard->config_count - 1; /* it may have been bound before a change */
	wait_in_line(shard, exchange, true);
}

void weir_dispatch_suspect(struct weir_shard *shard, struct weir_exchange *exchange)
{
	exchange->function->suspect_until_ns = shard->now_ns + SUSPECT_SECONDS * WEIR_NS_PER_SECOND;
}

static bool bind_waiting(struct weir_shard *shard, struct weir_shard_link *link,
			 struct weir_exchange *exchange)
{
	const struct request_bytes request = waiting_bytes(exchange);

	if (!bind_call(shard, link, exchange, &request))
		return false;
	weir_dispatch_forget(shard, exchange);
	weir_admit_left(exchange->pool);
	weir_block_give(&shard->blocks, exchange->request);
	exchange->request = NULL;
	return true;
}

/* Is a worker kept for it now? */
static bool may_keep(const struct weir_shard *shard, const struct weir_exchange *exchange)
{
	return exchange == exchange->pool->askers.first &&
	       (weir_nested_is_awaited(exchange) ||
		shard->now_ns - exchange->waiting_since_ns > ASKER_PATIENCE_MS * WEIR_NS_PER_MS);
}

/* Calls that ask for resources, those that functions wait for or the others, in their order. One that finds
 * no room holds back only those that ask for as much or more; so it may be passed by for long, and a
 * worker is kept for the first of all: after a second, or at once where a function waits for it. */
static void bind_askers(struct weir_shard *shard, struct weir_shard_pool *pool, bool awaited)
{
	struct weir_schedule_resources refused = {.cpu_millicores = UINT32_MAX, .memory_mb = UINT32_MAX};
	struct weir_exchange *exchange = pool->askers.first;
	struct weir_exchange *next;

	for (; exchange; exchange = next) {
		next = exchange->wait_next;
		if (weir_nested_is_awaited(exchange) != awaited)
			continue;
		if (weir_schedule_is_less(&exchange->ask, &refused)) {
			struct weir_shard_link *link = weir_pick_fullest(shard, pool, exchange);

			if (link && bind_waiting(shard, link, exchange))
				continue;
			refused = exchange->ask;
			if (may_keep(shard, exchange))
				weir_pick_keep(pool);
		}
		if (awaited && weir_admit_is_stuck(shard, exchange))
			weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_WORKER, (struct weir_span){0});
	}
}

static void bind_plain(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link;

	while (pool->waiting.first && (link = weir_pick_for(shard, pool, pool->waiting.first)) != NULL) {
		if (!bind_waiting(shard, link, pool->waiting.first))
			break;
	}
	/* Awaited calls stand first. */
	if (pool->waiting.first && weir_nested_is_awaited(pool->waiting.first) &&
	    weir_admit_is_stuck(shard, pool->waiting.first))
		weir_exchange_fail(shard, pool->waiting.first, WEIR_HTTP_NO_WORKER, (struct weir_span){0});
}

static void bind_suspects(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link;

	while (pool->suspects.first && (link = weir_pick_alone(pool)) != NULL) {
		if (!bind_waiting(shard, link, pool->suspects.first))
			break;
		link->set_aside = false; /* it is exclusive now */
	}
}

static void bind_pool(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	if (pool->rehoused_count != shard->config_count)
		weir_rehouse_pool(shard, pool);
	pool->lacks_room = false;
	pool->kept = NULL;
	bind_askers(shard, pool, true);
	bind_plain(shard, pool);
	bind_askers(shard, pool, false);
	bind_suspects(shard, pool);
	if (pool->waiting_count > 0)
		weir_demand(shard, pool);
}

void weir_dispatch_waiting(struct weir_shard *shard)
{
	for (uint32_t i = 0; i < shard->pool_count && shard->waiting_count > 0; i++) {
		if (shard->pool[i]->waiting_count > 0)
			bind_pool(shard, shard->pool[i]);
	}
}

void weir_dispatch_fail_all(struct weir_shard *shard, enum weir_http_failure failure)
{
	for (uint32_t i = 0; i < shard->pool_count; i++) {
		struct weir_shard_pool *pool = shard->pool[i];

		while (pool->waiting.first)
			weir_exchange_fail(shard, pool->waiting.first, failure, (struct weir_span){0});
		while (pool->askers.first)
			weir_exchange_fail(shard, pool->askers.first, failure, (struct weir_span){0});
		while (pool->suspects.first)
			weir_exchange_fail(shard, pool->suspects.first, failure, (struct weir_span){0});
	}
}

void weir_dispatch_answered(struct weir_exchange *exchange, uint32_t bytes)
{
	uint32_t *average = &exchange->function->answer_bytes;

	if (bytes > *average) /* grow at once: one large answer shows what the function can do */
		*average = bytes > WEIR_CHUNK_LARGE_BYTES ? WEIR_CHUNK_LARGE_BYTES : bytes;
	else
		*average -= (*average - bytes) / ANSWER_BYTES_WEIGHT;
}
