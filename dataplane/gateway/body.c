#include "dataplane/gateway/body.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/input.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/http/http_chunked.h"

static struct weir_shard_call *call_of(const struct weir_exchange *exchange)
{
	return &exchange->link->call[exchange->call];
}

/* A chunk for body bytes; NONE if the window is full or too few are left for answers. */
static uint32_t take_chunk(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_shard_link *link = exchange->link;

	uint32_t chunk;

	if (call_of(exchange)->body_out >= WEIR_GATEWAY_WINDOW)
		return WEIR_CHUNK_NONE; /* the worker's CREDIT brings us back */
	if (link->arena.used_large >= WEIR_PAIR_CHUNKS_LARGE - WEIR_GATEWAY_INPUT_LARGE_RESERVE) {
		link->starved = true;
		return WEIR_CHUNK_NONE;
	}
	chunk = weir_link_chunk_take(shard, link, exchange->call, WEIR_CHUNK_LARGE_BYTES);
	if (chunk == WEIR_CHUNK_NONE)
		link->starved = true;
	return chunk;
}

/* Send body bytes to the worker; `chunk` may be NONE with 0 bytes at the end. */
static void push_data(struct weir_shard *shard, struct weir_exchange *exchange, uint32_t chunk,
		      uint32_t bytes, bool end)
{
	struct weir_message message = {.kind = WEIR_MESSAGE_DATA,
				       .flags = end ? WEIR_MESSAGE_FLAG_END : 0,
				       .call = exchange->call,
				       .sequence = call_of(exchange)->sequence,
				       .chunk = chunk,
				       .bytes = bytes,
				       .grant = WEIR_CHUNK_NONE};

	if (chunk != WEIR_CHUNK_NONE) {
		weir_link_chunk_lend(exchange->link, chunk);
		call_of(exchange)->body_out++;
	}
	(void)weir_link_push(shard, exchange->link, &message, 0); /* full: the link is condemned */
}

/* The whole body was handed over: the connection reads its next request. */
static void finish_body(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;

	exchange->body_ended = true;
	connection->streaming = NULL;
	connection->phase = WEIR_PHASE_IDLE;
	connection->phase_deadline_ns = 0;
	connection->need_bytes = 0;
	weir_connection_receive_start(shard, connection);
	weir_connection_mark(shard, connection);
}

/* Copy bytes that came with the head. False if nothing could be moved now. */
static bool move_early(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;
	uint32_t chunk = take_chunk(shard, exchange);
	size_t room, moved = 0;
	uint8_t *out;

	if (chunk == WEIR_CHUNK_NONE)
		return false;
	out = weir_segment_chunk(exchange->link->pair, chunk, &room);
	while (connection->in_first && moved < room && exchange->body_left > 0) {
		struct weir_block *block = connection->in_first;
		size_t bytes = weir_block_used(block);

		if (bytes > room - moved)
			bytes = room - moved;
		if (bytes > exchange->body_left)
			bytes = (size_t)exchange->body_left;
		memcpy(out + moved, block->data + block->start, bytes);
		moved += bytes;
		exchange->body_left -= bytes;
		weir_input_consume(shard, connection, (uint32_t)bytes);
	}
	push_data(shard, exchange, chunk, (uint32_t)moved, exchange->body_left == 0);
	return true;
}

/* Decode chunked bytes that are here. False if nothing could be moved now, or on failure. */
static bool move_chunked(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;
	struct weir_http_chunked *decoder = (void *)exchange->decoder->data;
	struct weir_block *block = connection->in_first;
	enum weir_http_chunked_state state;
	size_t room, consumed, bytes = weir_block_used(block), produced;
	const uint32_t chunk = take_chunk(shard, exchange);
	uint8_t *out;

	if (chunk == WEIR_CHUNK_NONE)
		return false;
	out = weir_segment_chunk(exchange->link->pair, chunk, &room);
	if (bytes > room)
		bytes = room;
	state = weir_http_chunked_decode(decoder, block->data + block->start, bytes, (char *)out,
					 &consumed, &produced);
	weir_input_consume(shard, connection, (uint32_t)consumed);
	if (state == WEIR_HTTP_CHUNKED_FAILED) {
		weir_link_chunk_give(shard, exchange->link, exchange->call, chunk);
		weir_exchange_fail(shard, exchange, decoder->failure, (struct weir_span){0});
		return false;
	}
	if (state == WEIR_HTTP_CHUNKED_DONE)
		exchange->body_left = 0;
	weir_activation_received(exchange, produced);
	if (produced > 0) {
		push_data(shard, exchange, chunk, (uint32_t)produced, state == WEIR_HTTP_CHUNKED_DONE);
		return true;
	}
	weir_link_chunk_give(shard, exchange->link, exchange->call, chunk);
	if (state == WEIR_HTTP_CHUNKED_DONE)
		push_data(shard, exchange, WEIR_CHUNK_NONE, 0, true);
	return true;
}

/* Receive into a chunk, or, chunked, into a block that is decoded later. */
static void start_receive(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;
	struct io_uring_sqe *sqe;
	uint8_t *into;
	size_t bytes;

	if (exchange->chunked) {
		connection->body_block = weir_block_take(&shard->blocks, WEIR_CHUNK_LARGE_BYTES);
		if (!connection->body_block) {
			weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_MEMORY, (struct weir_span){0});
			return;
		}
		into = (uint8_t *)connection->body_block->data;
		bytes = WEIR_CHUNK_LARGE_BYTES;
	} else {
		const uint32_t chunk = take_chunk(shard, exchange);

		if (chunk == WEIR_CHUNK_NONE)
			return;
		connection->body_chunk = chunk;
		connection->body_link = exchange->link;
		connection->body_call = exchange->call;
		call_of(exchange)->operations++;
		into = weir_segment_chunk(exchange->link->pair, chunk, &bytes);
		if (bytes > exchange->body_left)
			bytes = (size_t)exchange->body_left;
	}
	sqe = weir_shard_sqe(shard);
	io_uring_prep_recv(sqe, connection->fd, into, bytes, 0);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_RECEIVE_BODY, connection->index));
	connection->body_receiving = true;
	connection->operations++;
	connection->phase_deadline_ns =
		shard->now_ns + shard->config->settings->body_idle_ms * WEIR_NS_PER_MS;
	weir_connection_watch(shard, connection, connection->phase_deadline_ns);
}

static void send_continue(struct weir_shard *shard, struct weir_exchange *exchange)
{
	exchange->expect_continue = false;
	if (exchange->connection->in_first || exchange->head_written)
		return; /* the client did not wait for it, or has its answer already */
	if (!weir_output_continue(shard, exchange->connection))
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_MEMORY, (struct weir_span){0});
}

void weir_body_continue(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;

	if (!exchange->link || connection->streaming != exchange)
		return;
	if (exchange->expect_continue)
		send_continue(shard, exchange);
	while (exchange->failure == WEIR_HTTP_OK && exchange->body_left > 0 && connection->in_first) {
		if (!(exchange->chunked ? move_chunked(shard, exchange) : move_early(shard, exchange)))
			return;
	}
	if (exchange->failure != WEIR_HTTP_OK)
		return;
	if (exchange->body_left == 0) {
		finish_body(shard, exchange);
		return;
	}
	if (connection->input_ended) {
		weir_connection_abort(shard, connection); /* the rest will never come */
		return;
	}
	if (!connection->receiving && !connection->body_receiving)
		start_receive(shard, exchange);
}

void weir_body_received(struct weir_shard *shard, struct weir_connection *connection, int result)
{
	struct weir_exchange *exchange = connection->streaming;
	struct weir_shard_link *link = connection->body_link;
	struct weir_block *block = connection->body_block;

	connection->body_receiving = false;
	if (connection->phase == WEIR_PHASE_STREAM)
		connection->phase_deadline_ns = 0;
	connection->body_block = NULL;
	connection->body_link = NULL;
	if (result > 0)
		weir_shard_count(shard, WEIR_METRIC_bytes_in, result);
	if (link)
		link->call[connection->body_call].operations--;
	if (link && exchange && exchange->link == link && result > 0) {
		exchange->body_left -= (uint32_t)result;
		push_data(shard, exchange, connection->body_chunk, (uint32_t)result,
			  exchange->body_left == 0);
	} else if (link) {
		weir_link_chunk_give(shard, link, connection->body_call, connection->body_chunk);
		weir_link_call_settle(shard, link, connection->body_call);
	}
	if (block && result > 0) {
		block->end = (uint32_t)result;
		weir_input_append_block(connection, block);
	} else {
		weir_block_give(&shard->blocks, block);
	}
	if (result == 0)
		connection->input_ended = true;
	if (result < 0 && result != -EAGAIN && result != -EINTR)
		weir_connection_abort(shard, connection);
	else
		weir_connection_mark(shard, connection);
	weir_connection_operation_done(shard, connection);
}
