#include "dataplane/gateway/exchange.h"

#include "dataplane/base/assert.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/nested.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/call.h"

struct weir_exchange *weir_exchange_create(struct weir_shard *shard, struct weir_connection *connection)
{
	struct weir_exchange *exchange = shard->exchanges_free;

	if (exchange)
		shard->exchanges_free = exchange->next;
	else if (shard->exchanges_fresh < shard->exchanges_limit)
		exchange = &shard->exchanges[shard->exchanges_fresh++];
	else
		return NULL;
	memset(exchange, 0, offsetof(struct weir_exchange, head_message));
	exchange->connection = connection;
	exchange->activation = weir_id_next(&shard->id_source);
	*(connection->exchanges.last ? &connection->exchanges.last->next
				     : &connection->exchanges.first) = exchange;
	connection->exchanges.last = exchange;
	connection->exchange_count++;
	return exchange;
}

static void leave_connection(struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;
	struct weir_exchange *before = NULL;

	if (connection->exchanges.first == exchange) {
		connection->exchanges.first = exchange->next;
	} else {
		before = connection->exchanges.first;
		while (before->next != exchange) /* at most pipeline_max of them */
			before = before->next;
		before->next = exchange->next;
	}
	if (connection->exchanges.last == exchange)
		connection->exchanges.last = before;
	connection->exchange_count--;
	if (connection->streaming == exchange)
		connection->streaming = NULL;
}

void weir_exchange_clear(struct weir_shard *shard, struct weir_exchange *exchange)
{
	const bool is_whole = weir_activation_is_whole(exchange);

	weir_dispatch_forget(shard, exchange);
	weir_link_call_abandon(shard, exchange);
	weir_activation_leave(shard, exchange, is_whole);
	weir_block_give(&shard->blocks, exchange->request);
	weir_block_give(&shard->blocks, exchange->detail);
	weir_block_give(&shard->blocks, exchange->decoder);
}

void weir_exchange_destroy(struct weir_shard *shard, struct weir_exchange *exchange)
{
	weir_exchange_clear(shard, exchange);
	leave_connection(exchange);
	exchange->next = shard->exchanges_free;
	shard->exchanges_free = exchange;
}

void weir_exchange_fail(struct weir_shard *shard, struct weir_exchange *exchange,
			enum weir_http_failure failure, struct weir_span detail)
{
	struct weir_connection *connection = exchange->connection;

	WEIR_ASSERT(failure != WEIR_HTTP_OK);
	if (exchange->failure != WEIR_HTTP_OK)
		return;
	weir_dispatch_forget(shard, exchange);
	if (exchange->head_written) { /* too late for a clean error */
		weir_connection_abort(shard, connection);
		return;
	}
	exchange->failure = (uint8_t)failure;
	if (detail.bytes > 0) /* without memory the general sentence serves */
		exchange->detail = weir_block_take_copy(&shard->blocks, detail);
	if (exchange->stream && !exchange->body_ended)
		exchange->refused_body = true;
	weir_link_call_abandon(shard, exchange);
	weir_block_give(&shard->blocks, exchange->request);
	exchange->request = NULL;
	exchange->head_waiting = false;
	weir_connection_mark(shard, connection);
}

void weir_exchange_expire(struct weir_shard *shard, struct weir_exchange *exchange)
{
	enum weir_http_failure failure = WEIR_HTTP_QUEUE_TIMEOUT;

	weir_shard_count(shard, WEIR_METRIC_calls_timed_out, 1);
	if (exchange->link) {
		uint64_t sequence;
		const bool started = exchange->link->call[exchange->call].started ||
				     weir_call_peek(&exchange->link->pair->call[exchange->call],
						    &sequence) == WEIR_CALL_RUNNING;

		if (exchange->stream && exchange->connection->body_receiving) {
			failure = WEIR_HTTP_BODY_TIMEOUT; /* the client was slow, not the function */
		} else if (started) {
			failure = WEIR_HTTP_FUNCTION_TIMEOUT;
			if (!weir_nested_is_awaiting(shard, exchange->link, exchange->call))
				weir_dispatch_suspect(shard, exchange);
		}
	}
	weir_exchange_fail(shard, exchange, failure, (struct weir_span){0});
}
