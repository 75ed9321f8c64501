#include "dataplane/gateway/nested.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/answer.h"
#include "dataplane/gateway/body.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/input.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/head_check.h"

/* ---- the table ---- */

int weir_nested_open(struct weir_shard *shard)
{
	shard->nested = weir_shard_reserve(WEIR_GATEWAY_NESTED_MAX * sizeof(*shard->nested));
	return shard->nested ? 0 : -ENOMEM;
}

struct weir_connection *weir_nested_of_timer(struct weir_shard *shard, const struct weir_timer *timer)
{
	const char *at = (const char *)timer;
	const char *first = (const char *)shard->nested;

	if (at < first || at >= (const char *)(shard->nested + WEIR_GATEWAY_NESTED_MAX))
		return NULL;
	return &shard->nested[(size_t)(at - first) / sizeof(*shard->nested)].connection;
}

static struct weir_nested *take_entry(struct weir_shard *shard)
{
	struct weir_nested *nested = shard->nested_free;

	if (nested)
		shard->nested_free = nested->next;
	else if (shard->nested_fresh < WEIR_GATEWAY_NESTED_MAX)
		nested = &shard->nested[shard->nested_fresh++];
	else
		return NULL;
	*nested = (struct weir_nested){
		/* Whatever the request has is here before it starts. */
		.connection = {.fd = -1, .special = WEIR_CONNECTION_NESTED, .input_ended = true},
		.chunk = WEIR_CHUNK_NONE,
	};
	shard->nested_count++;
	weir_shard_count(shard, WEIR_METRIC_nested_in_use, 1);
	return nested;
}

/* Drop what is left of a request. */
static void forget_request(struct weir_shard *shard, struct weir_nested *nested)
{
	weir_block_give(&shard->blocks, nested->head);
	weir_block_give(&shard->blocks, nested->reason);
	weir_block_give_chain(&shard->blocks, nested->connection.in_first);
	nested->head = NULL;
	nested->reason = NULL;
	nested->connection.in_first = NULL;
	nested->connection.in_last = NULL;
	nested->body_bytes = 0;
	nested->put = false;
	nested->failure = WEIR_HTTP_OK;
}

static void give_entry(struct weir_shard *shard, struct weir_nested *nested)
{
	WEIR_ASSERT(!nested->running && !nested->connection.in_flush);
	weir_timer_disarm(&shard->wheel, &nested->connection.timer);
	forget_request(shard, nested);
	nested->next = shard->nested_free;
	shard->nested_free = nested;
	shard->nested_count--;
	weir_shard_count(shard, WEIR_METRIC_nested_in_use, -1);
}

static struct weir_shard_call *parent_of(const struct weir_nested *nested)
{
	return &nested->parent_link->call[nested->parent_call];
}

static void join_parent(struct weir_shard *shard, struct weir_nested *nested,
			struct weir_shard_link *link, uint16_t index)
{
	struct weir_shard_call *call = &link->call[index];

	nested->parent_link = link;
	nested->parent_call = index;
	nested->parent = call->exchange->activation;
	nested->connection.depth = (uint8_t)(call->exchange->connection->depth + 1);
	nested->next = call->nested > 0 ? &shard->nested[call->nested - 1] : NULL;
	call->nested = (uint32_t)(nested - shard->nested) + 1;
}

static struct weir_nested *find_slot(const struct weir_shard *shard, const struct weir_shard_call *call,
				     uint32_t slot)
{
	struct weir_nested *nested = call->nested > 0 ? &shard->nested[call->nested - 1] : NULL;

	while (nested && (nested->one_way || nested->slot != slot))
		nested = nested->next; /* at most WEIR_NESTED_SLOTS + WEIR_NESTED_CALLS_MAX of them */
	return nested;
}

/* A call that awaits this one, or no longer does, keeps its room meanwhile: others may have to know. */
static void tell_room(struct weir_shard *shard, const struct weir_nested *nested)
{
	struct weir_shard_link *link = nested->parent_link;

	if (link && link->call[nested->parent_call].has_room)
		weir_room_await(link, nested->parent_call, weir_nested_is_awaiting(shard, link, nested->parent_call));
}

void weir_nested_end_exchange(struct weir_shard *shard, struct weir_nested *nested)
{
	if (nested->running) {
		nested->running = false;
		weir_exchange_clear(shard, &nested->exchange);
		tell_room(shard, nested);
	}
	nested->connection.exchanges = (struct weir_exchange_list){0};
	nested->connection.streaming = NULL;
	nested->reply_begun = false;
	forget_request(shard, nested);
}

/* ---- the worker's messages ---- */

void weir_nested_send(struct weir_shard *shard, struct weir_nested *nested, enum weir_nested_op op,
		      struct weir_message message)
{
	struct weir_shard_link *link = nested->parent_link;
	const bool last = (message.flags & WEIR_MESSAGE_FLAG_END) != 0;

	message.kind = WEIR_MESSAGE_CALL;
	message.call = nested->parent_call;
	message.sequence = parent_of(nested)->sequence;
	message.code = weir_nested_code(nested->slot, op);
	message.chunk = op == WEIR_NESTED_REPLY ? nested->chunk : WEIR_CHUNK_NONE;
	message.grant = op == WEIR_NESTED_CHUNK ? nested->chunk : WEIR_CHUNK_NONE;
	weir_link_chunk_lend(link, nested->chunk);
	nested->state = op == WEIR_NESTED_REPLY && !last ? WEIR_NESTED_READING : WEIR_NESTED_WRITING;
	(void)weir_link_push(shard, link, &message, 0); /* full: the link is condemned */
}

static void refuse(struct weir_shard *shard, struct weir_shard_link *link,
		   const struct weir_message *message, uint32_t slot)
{
	weir_shard_count(shard, WEIR_METRIC_calls_nested_refused, 1);
	(void)weir_link_push(shard, link, /* full: the link is condemned */
			     &(struct weir_message){.kind = WEIR_MESSAGE_CALL,
						    .call = message->call,
						    .sequence = message->sequence,
						    .chunk = WEIR_CHUNK_NONE,
						    .grant = WEIR_CHUNK_NONE,
						    .code = weir_nested_code(slot, WEIR_NESTED_REFUSED)},
			     0);
}

/* A large chunk while most are free, for answers of others need them too; else a small one. */
static uint32_t take_chunk(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call)
{
	uint32_t chunk = WEIR_CHUNK_NONE;

	if (link->arena.used_large < WEIR_PAIR_CHUNKS_LARGE - 2 * WEIR_GATEWAY_INPUT_LARGE_RESERVE &&
	    link->arena.call_large[call] < WEIR_CALL_CHUNKS_MAX - WEIR_GATEWAY_WINDOW)
		chunk = weir_link_chunk_take(shard, link, call, WEIR_CHUNK_LARGE_BYTES);
	return chunk != WEIR_CHUNK_NONE ? chunk : weir_link_chunk_take(shard, link, call, 1);
}

static bool take_open(struct weir_shard *shard, struct weir_shard_link *link,
		      const struct weir_message *message, uint32_t slot)
{
	struct weir_nested *nested;
	uint32_t chunk;

	if (message->chunk != WEIR_CHUNK_NONE)
		return false;
	chunk = take_chunk(shard, link, message->call);
	nested = chunk != WEIR_CHUNK_NONE ? take_entry(shard) : NULL;
	if (!nested) {
		if (chunk != WEIR_CHUNK_NONE)
			weir_link_chunk_give(shard, link, message->call, chunk);
		refuse(shard, link, message, slot);
		return true;
	}
	nested->connection.special |= WEIR_CONNECTION_AWAITED;
	nested->slot = (uint8_t)slot;
	nested->chunk = chunk;
	join_parent(shard, nested, link, message->call);
	weir_nested_send(shard, nested, WEIR_NESTED_CHUNK, (struct weir_message){0});
	return true;
}

/* What the head asks for; if the function can't have that, why. */
static enum weir_http_failure read_ask(struct weir_shard *shard, struct weir_nested *nested,
				       const struct weir_request_head *head,
				       const struct weir_snapshot_function *function)
{
	char reason[WEIR_ASK_REASON_BYTES];
	const enum weir_http_failure failure =
		weir_nested_head_ask(head, &shard->config->snapshot, function, &nested->ask, reason);

	if (failure != WEIR_HTTP_OK)
		nested->reason = weir_block_take_copy(&shard->blocks, weir_span_of(reason));
	return failure;
}

/* Copy the head of the first PUT, check the copy, find the function. False if it is a lie. */
static bool take_head(struct weir_shard *shard, struct weir_nested *nested, const uint8_t *chunk,
		      uint32_t head_bytes)
{
	const struct weir_shard_call *call = parent_of(nested);
	const struct weir_request_head *head = (const void *)shard->scratch;
	const struct weir_snapshot_function *function = NULL;
	enum weir_http_failure uncounted = WEIR_HTTP_OK;

	memcpy(shard->scratch, chunk, head_bytes);
	if (weir_head_check_request(shard->scratch, head_bytes) != 0 || head->bytes != head_bytes)
		return false;
	nested->failure = (uint8_t)weir_nested_head_resolve(shard, head, call->function_id, &function);
	uncounted = weir_nested_head_count(shard, nested, head, function);
	if (uncounted == WEIR_HTTP_CALL_FAN_OUT || nested->failure == WEIR_HTTP_OK)
		nested->failure = (uint8_t)uncounted;
	if (nested->failure == WEIR_HTTP_OK)
		nested->failure = (uint8_t)read_ask(shard, nested, head, function);
	else if (nested->failure == WEIR_HTTP_RUNTIME_MISSING)
		nested->reason = weir_block_take_copy(
			&shard->blocks, weir_snapshot_span(&shard->config->snapshot, function->reason));
	if (nested->failure != WEIR_HTTP_OK)
		return true;
	nested->function_id = function->id;
	nested->caller_id = call->function_id;
	nested->exchange.head_request = head->method == WEIR_HTTP_HEAD;
	nested->head = weir_block_take(&shard->blocks, WEIR_NESTED_ENCODED_BYTES_MAX);
	if (!nested->head) {
		nested->failure = WEIR_HTTP_NO_MEMORY;
		return true;
	}
	nested->head->end = (uint32_t)weir_nested_head_encode(head, nested->parent, nested->connection.depth,
							      nested->head->data);
	return true;
}

static void take_body(struct weir_shard *shard, struct weir_nested *nested, const uint8_t *data,
		      uint32_t bytes)
{
	if (nested->failure != WEIR_HTTP_OK)
		return;
	nested->body_bytes += bytes;
	if (nested->body_bytes > WEIR_NESTED_BODY_BYTES_MAX)
		nested->failure = WEIR_HTTP_CALL_BODY;
	else if (!weir_input_keep(shard, &nested->connection, (const char *)data, bytes))
		nested->failure = WEIR_HTTP_NO_MEMORY;
}

static void start(struct weir_shard *shard, struct weir_nested *nested, uint64_t deadline_ns);

static struct weir_id call_id(struct weir_shard *shard, const struct weir_nested *nested)
{
	const bool is_chosen = nested->chosen.high != 0 || nested->chosen.low != 0;

	return is_chosen ? nested->chosen : weir_id_next(&shard->id_source);
}

/* The request is whole, its call may run when the parent has finished. */
static void queue_one_way(struct weir_shard *shard, struct weir_nested *slot)
{
	struct weir_nested *nested = take_entry(shard);
	struct weir_id activation;

	if (!nested) {
		weir_nested_reply_failure(shard, slot, WEIR_HTTP_CALLS_FULL, (struct weir_span){0});
		return;
	}
	activation = call_id(shard, slot);
	nested->one_way = true;
	nested->exchange.activation = activation;
	nested->exchange.head_request = slot->exchange.head_request;
	nested->function_id = slot->function_id;
	nested->head = slot->head;
	nested->ask = slot->ask;
	nested->body_bytes = slot->body_bytes;
	nested->connection.in_first = slot->connection.in_first;
	nested->connection.in_last = slot->connection.in_last;
	slot->head = NULL;
	slot->connection.in_first = NULL;
	slot->connection.in_last = NULL;
	join_parent(shard, nested, slot->parent_link, slot->parent_call);
	nested->connection.depth = slot->connection.depth;
	weir_shard_count(shard, WEIR_METRIC_calls_one_way, 1);
	weir_nested_reply_accepted(shard, slot, activation);
}

static bool take_put(struct weir_shard *shard, struct weir_nested *nested,
		     const struct weir_message *message)
{
	struct weir_shard_link *link = nested->parent_link;
	struct weir_exchange *parent = parent_of(nested)->exchange;
	size_t room;
	const uint8_t *chunk = weir_segment_chunk(link->pair, nested->chunk, &room);

	if (nested->state != WEIR_NESTED_WRITING || message->chunk != nested->chunk ||
	    message->bytes > room || message->head_bytes > message->bytes ||
	    message->head_bytes > WEIR_NESTED_HEAD_BYTES_MAX || nested->put != (message->head_bytes == 0))
		return false;
	if (!nested->put && !take_head(shard, nested, chunk, message->head_bytes))
		return false;
	nested->put = true;
	take_body(shard, nested, chunk + message->head_bytes, message->bytes - message->head_bytes);
	nested->state = WEIR_NESTED_RUNNING;
	if (!(message->flags & WEIR_MESSAGE_FLAG_END)) {
		weir_nested_send(shard, nested, WEIR_NESTED_CHUNK, (struct weir_message){0});
		return true;
	}
	if (link->exclusive == parent)
		link->exclusive = NULL; /* it answers to us: no longer a suspect that may hang */
	if (nested->failure != WEIR_HTTP_OK)
		weir_nested_reply_failure(shard, nested, (enum weir_http_failure)nested->failure,
					  weir_block_span(nested->reason));
	else if (message->flags & WEIR_NESTED_FLAG_ONE_WAY)
		queue_one_way(shard, nested);
	else
		start(shard, nested, parent->deadline_ns);
	return true;
}

static bool take_more(struct weir_shard *shard, struct weir_nested *nested,
		      const struct weir_message *message)
{
	if (nested->state != WEIR_NESTED_READING || message->chunk != nested->chunk)
		return false;
	nested->state = WEIR_NESTED_RUNNING;
	weir_connection_mark(shard, &nested->connection);
	return true;
}

/* The answer is not wanted. If a part of it is on its way the worker takes that for the end. */
static bool take_drop(struct weir_shard *shard, struct weir_nested *nested,
		      const struct weir_message *message)
{
	if (message->chunk != WEIR_CHUNK_NONE)
		return false;
	if (nested->state == WEIR_NESTED_WRITING)
		return !nested->put; /* it crossed the end of the answer */
	weir_nested_end_exchange(shard, nested);
	nested->broken = false;
	if (nested->state == WEIR_NESTED_RUNNING)
		weir_nested_send(shard, nested, WEIR_NESTED_REPLY,
				 (struct weir_message){.flags = WEIR_MESSAGE_FLAG_END |
								WEIR_NESTED_FLAG_BROKEN});
	nested->state = WEIR_NESTED_WRITING;
	return true;
}

bool weir_nested_message(struct weir_shard *shard, struct weir_shard_link *link,
			 const struct weir_message *message)
{
	const struct weir_shard_call *call = &link->call[message->call];
	const uint32_t slot = weir_nested_slot(message->code);
	struct weir_nested *nested;

	if (slot >= WEIR_NESTED_SLOTS)
		return false;
	if (message->chunk != WEIR_CHUNK_NONE &&
	    !weir_link_chunk_return(link, message->call, message->chunk))
		return false;
	if (!call->exchange)
		return true; /* it is cancelled, and has not read that yet */
	nested = find_slot(shard, call, slot);
	if (weir_nested_op(message->code) == WEIR_NESTED_OPEN)
		return !nested && take_open(shard, link, message, slot);
	if (!nested)
		return false;
	switch (weir_nested_op(message->code)) {
	case WEIR_NESTED_PUT:
		return take_put(shard, nested, message);
	case WEIR_NESTED_MORE:
		return take_more(shard, nested, message);
	case WEIR_NESTED_DROP:
		return take_drop(shard, nested, message);
	default:
		return false;
	}
}

/* ---- the call's life ---- */

static bool is_streamed(const struct weir_nested *nested)
{
	const struct weir_block *block = nested->connection.in_first;

	return block && (block->next || nested->body_bytes > WEIR_GATEWAY_BODY_SMALL_MAX);
}

/* Hand a whole request to dispatch, as if a client had sent it. */
static void start(struct weir_shard *shard, struct weir_nested *nested, uint64_t deadline_ns)
{
	struct weir_connection *connection = &nested->connection;
	struct weir_exchange *exchange = &nested->exchange;
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	const struct weir_snapshot_function *function =
		weir_snapshot_function_find(snapshot, nested->function_id);
	const struct weir_id activation = nested->one_way ? exchange->activation : call_id(shard, nested);
	const bool head_request = exchange->head_request;
	struct weir_span body = {0};

	memset(exchange, 0, offsetof(struct weir_exchange, head_message));
	exchange->connection = connection;
	exchange->activation = activation;
	exchange->head_request = head_request;
	exchange->minor = 1;
	connection->exchanges = (struct weir_exchange_list){.first = exchange, .last = exchange};
	nested->running = true;
	weir_shard_count(shard, WEIR_METRIC_calls_nested, 1);
	exchange->function_id = nested->function_id;
	exchange->stages.arrived_ns = shard->now_ns;
	if (!function || function->runtime == WEIR_RUNTIME_MISSING) { /* a one-way call's, meanwhile */
		weir_exchange_fail(shard, exchange, WEIR_HTTP_CALL_UNKNOWN, (struct weir_span){0});
		return;
	}
	exchange->ask = nested->ask;
	exchange->generation = snapshot->header->generation;
	weir_activation_begin(shard, exchange, function, 0);
	exchange->stages.request_bytes = nested->body_bytes;
	exchange->deadline_ns = shard->now_ns + function->timeout_ns;
	if (exchange->deadline_ns > deadline_ns)
		exchange->deadline_ns = deadline_ns;
	weir_connection_watch(shard, connection, exchange->deadline_ns);
	weir_nested_head_length(nested->head->data, nested->body_bytes);
	if (is_streamed(nested)) {
		exchange->stream = true;
		exchange->body_left = nested->body_bytes;
		connection->streaming = exchange;
	} else if (connection->in_first) {
		body = (struct weir_span){.data = connection->in_first->data, .bytes = nested->body_bytes};
	}
	tell_room(shard, nested);
	weir_dispatch_submit_head(shard, exchange, function,
				  (struct weir_span){.data = nested->head->data,
						     .bytes = nested->head->end},
				  body);
	weir_block_give(&shard->blocks, nested->head);
	nested->head = NULL;
	if (!exchange->stream)
		forget_request(shard, nested);
}

bool weir_nested_is_awaiting(const struct weir_shard *shard, const struct weir_shard_link *link,
			     uint16_t call)
{
	const uint32_t first = link->call[call].nested;
	const struct weir_nested *nested = first > 0 ? &shard->nested[first - 1] : NULL;

	while (nested && !(nested->running && !nested->one_way))
		nested = nested->next; /* bounded as in find_slot() */
	return nested != NULL;
}

void weir_nested_parent_ended(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			      bool well)
{
	struct weir_nested *nested = &shard->nested[link->call[call].nested - 1], *next;

	if (link->call[call].has_room)
		weir_room_await(link, call, false);
	/* The work is for the turn's end: here others stand up the stack, and calls of calls of these
	 * would make it a recursion. The newest is marked first, so that the oldest starts first. */
	for (; nested; nested = next) {
		next = nested->next;
		nested->next = NULL;
		nested->parent_link = NULL;
		nested->task = nested->one_way && well ? WEIR_NESTED_TASK_START : WEIR_NESTED_TASK_END;
		if (nested->one_way && !well) {
			weir_shard_count(shard, WEIR_METRIC_calls_one_way_failed, 1);
			weir_activation_dropped(shard, nested);
		}
		weir_connection_mark(shard, &nested->connection);
	}
	link->call[call].nested = 0;
}

/* A line for a one-way call that failed, but not one for each of a storm of them. */
static void log_failure(struct weir_shard *shard, const struct weir_nested *nested, unsigned status,
			const char *code)
{
	char activation[33] = {0}, parent[33] = {0};

	weir_shard_count(shard, WEIR_METRIC_calls_one_way_failed, 1);
	if (shard->now_ns - shard->one_way_logged_ns < WEIR_NS_PER_SECOND) {
		shard->one_way_unlogged++;
		return;
	}
	weir_id_format(nested->exchange.activation, activation);
	weir_id_format(nested->parent, parent);
	weir_log(WEIR_LOG_WARN, "one-way call failed",
		 "function_id=%lu activation=%s parent=%s status=%u code=%s unlogged=%lu",
		 (unsigned long)nested->function_id, activation, parent, status, code,
		 (unsigned long)shard->one_way_unlogged);
	shard->one_way_logged_ns = shard->now_ns;
	shard->one_way_unlogged = 0;
}

/* Bring a one-way call on: nobody reads its answer. True if it has ended. */
static bool finish_one_way(struct weir_shard *shard, struct weir_nested *nested)
{
	struct weir_exchange *exchange = &nested->exchange;
	size_t room;

	if (exchange->failure != WEIR_HTTP_OK) {
		const struct weir_http_failure_row *row =
			weir_http_failure_row((enum weir_http_failure)exchange->failure);

		log_failure(shard, nested, row->status, row->code);
		exchange->stages.status = row->status;
		return true;
	}
	if (exchange->head_waiting) {
		const struct weir_message *message = &exchange->head_message;
		struct weir_response_head head;

		memcpy(&head, weir_segment_chunk(exchange->link->pair, message->chunk, &room), sizeof(head));
		if (head.status >= 200 && head.status < 600) /* the worker's word */
			exchange->stages.status = (uint16_t)head.status;
		if (head.status >= 500)
			log_failure(shard, nested, head.status, "answer");
		exchange->head_waiting = false;
		weir_link_chunk_give(shard, exchange->link, exchange->call, message->chunk);
	}
	while (exchange->piece_count > 0)
		weir_answer_piece_drop(shard, exchange);
	return exchange->answer_ended;
}

static void turn_running(struct weir_shard *shard, struct weir_nested *nested)
{
	struct weir_exchange *exchange = &nested->exchange;

	weir_answer_continue(shard, exchange);
	if (!nested->running)
		return; /* cut */
	if (!nested->one_way) {
		weir_nested_reply(shard, nested);
	} else if (finish_one_way(shard, nested)) {
		nested->task = WEIR_NESTED_TASK_END;
		weir_connection_mark(shard, &nested->connection);
	}
}

void weir_nested_turn(struct weir_shard *shard, struct weir_connection *connection)
{
	struct weir_nested *nested = weir_nested_of(connection);

	switch ((enum weir_nested_task)nested->task) {
	case WEIR_NESTED_TASK_START:
		nested->task = WEIR_NESTED_TASK_NONE;
		if (shard->stopping) {
			weir_activation_dropped(shard, nested);
			nested->task = WEIR_NESTED_TASK_END;
			weir_connection_mark(shard, connection);
			return;
		}
		start(shard, nested, UINT64_MAX);
		weir_connection_mark(shard, connection);
		return;
	case WEIR_NESTED_TASK_END:
		weir_nested_end_exchange(shard, nested);
		give_entry(shard, nested);
		return;
	case WEIR_NESTED_TASK_NONE:
		break;
	}
	if (nested->running)
		turn_running(shard, nested);
	else if (nested->broken && nested->state == WEIR_NESTED_RUNNING)
		weir_nested_reply(shard, nested);
}

void weir_nested_cut(struct weir_shard *shard, struct weir_connection *connection)
{
	struct weir_nested *nested = weir_nested_of(connection);

	if (!nested->running)
		return;
	weir_nested_end_exchange(shard, nested);
	if (nested->one_way) {
		log_failure(shard, nested, 502, "broken");
		nested->task = WEIR_NESTED_TASK_END;
	}
	nested->broken = true; /* told when the chunk is here */
	weir_connection_mark(shard, connection);
}
