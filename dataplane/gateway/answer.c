#include "dataplane/gateway/answer.h"

#include "dataplane/abi/head.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/body.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/error_answer.h"
#include "dataplane/gateway/nested.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/gateway/timing.h"
#include "dataplane/http/http_response.h"
#include "dataplane/shm/head_check.h"

enum { ABORT_TEXT_BYTES_MAX = 200 };

static const char LAST_CHUNK[] = "0\r\n\r\n";

/* Push a grant to the worker so that the answer can go on; marks the link if none is free. Most
 * answers are whole with their first message, and need none. */
static void grant_more(struct weir_shard *shard, struct weir_shard_link *link, uint16_t index)
{
	struct weir_shard_call *call = &link->call[index];
	struct weir_exchange *exchange = call->exchange;

	if (call->finished)
		return;

	/* Only the first exchange of a connection can send: chunks for others could be all there are. */
	while (exchange && exchange == exchange->connection->exchanges.first && !call->finished &&
	       call->answered_head && !link->dead &&
	       call->granted + exchange->piece_count < WEIR_GATEWAY_WINDOW) {
		const uint32_t chunk =
			weir_link_chunk_take(shard, link, index, WEIR_CHUNK_LARGE_BYTES);

		if (chunk == WEIR_CHUNK_NONE) {
			link->starved = true;
			return;
		}
		weir_link_chunk_lend(link, chunk);
		call->granted++;
		if (!weir_link_push(shard, link,
				    &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
							   .call = index,
							   .sequence = call->sequence,
							   .chunk = WEIR_CHUNK_NONE,
							   .grant = chunk},
				    0))
			return;
	}
}

void weir_answer_feed(struct weir_shard *shard, struct weir_shard_link *link)
{
	link->starved = false;
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS && !link->starved; i++) {
		const struct weir_exchange *exchange = link->call[i].exchange;

		if (link->call[i].sequence == 0 || !exchange)
			continue;
		grant_more(shard, link, i);
		if (exchange->stream && exchange->body_wanted && !exchange->body_ended)
			weir_connection_mark(shard, exchange->connection);
	}
}

/* The worker is done with this call. */
static void finish_call(struct weir_shard *shard, struct weir_shard_link *link, const struct weir_message *message)
{
	const uint16_t index = message->call;
	struct weir_shard_call *call = &link->call[index];

	call->finished = true;
	if (call->nested > 0)
		weir_nested_parent_ended(shard, link, index, call->exchange && message->kind != WEIR_MESSAGE_ABORT);
	if (call->exchange) {
		weir_activation_returned(shard, link, call->exchange, message);
		if (link->exclusive == call->exchange)
			link->exclusive = NULL;
		weir_connection_mark(shard, call->exchange->connection);
	}
	weir_link_call_settle(shard, link, index);
}

/* Fail the exchange with the worker's own words, if they are any. */
static void abort_exchange(struct weir_shard *shard, struct weir_shard_link *link,
			   struct weir_exchange *exchange, const struct weir_message *message)
{
	static const enum weir_http_failure failure_of[] = {
		[WEIR_ABORT_FAILED] = WEIR_HTTP_FUNCTION_FAILED,
		[WEIR_ABORT_GARBAGE] = WEIR_HTTP_FUNCTION_GARBAGE,
		[WEIR_ABORT_LOAD] = WEIR_HTTP_FUNCTION_LOAD,
		[WEIR_ABORT_TIMEOUT] = WEIR_HTTP_FUNCTION_TIMEOUT,
		[WEIR_ABORT_CANCELLED] = WEIR_HTTP_FUNCTION_FAILED,
		[WEIR_ABORT_UNKNOWN] = WEIR_HTTP_NO_WORKER,
	};
	struct weir_span text = {0};
	size_t chunk_bytes;

	if (message->chunk != WEIR_CHUNK_NONE) {
		const uint8_t *chunk = weir_segment_chunk(link->pair, message->chunk, &chunk_bytes);
		const size_t bytes = message->bytes < ABORT_TEXT_BYTES_MAX ? message->bytes
									   : ABORT_TEXT_BYTES_MAX;

		memcpy(shard->scratch, chunk, bytes); /* copied before anybody reads it */
		text = (struct weir_span){.data = shard->scratch, .bytes = bytes};
	}
	weir_exchange_fail(shard, exchange,
			   message->code >= WEIR_ABORT_FAILED && message->code <= WEIR_ABORT_UNKNOWN
				   ? failure_of[message->code]
				   : WEIR_HTTP_FUNCTION_FAILED,
			   text);
}

/* HEAD or DATA: the chunk came back with a part of the answer. */
static bool take_part(struct weir_shard *shard, struct weir_shard_link *link,
		      const struct weir_message *message)
{
	struct weir_shard_call *call = &link->call[message->call];
	struct weir_exchange *exchange = call->exchange;
	const bool is_head = message->kind == WEIR_MESSAGE_HEAD;
	const bool has_chunk = message->chunk != WEIR_CHUNK_NONE;
	size_t chunk_bytes = 0;

	if (is_head == call->answered_head || (is_head && !has_chunk))
		return false;
	if (has_chunk) {
		if (call->granted == 0 || !weir_link_chunk_return(link, message->call, message->chunk))
			return false;
		call->granted--;
		(void)weir_segment_chunk(link->pair, message->chunk, &chunk_bytes);
	}
	if (message->bytes > chunk_bytes || message->head_bytes > message->bytes ||
	    (is_head && (message->head_bytes < sizeof(struct weir_response_head) ||
			 message->head_bytes > WEIR_HEAD_RESPONSE_BYTES_MAX)) ||
	    (!is_head && message->head_bytes != 0))
		return false;
	call->answered_head = true;
	if (!exchange) {
		if (has_chunk)
			weir_link_chunk_give(shard, link, message->call, message->chunk);
		return true;
	}
	if (message->flags & WEIR_MESSAGE_FLAG_END)
		exchange->answer_ended = true;
	if (is_head) {
		weir_dispatch_answered(exchange, message->bytes);
		exchange->head_message = *message;
		exchange->head_waiting = true;
		if (exchange->cold_since_ns != 0)
			weir_timing_cold(shard, link, exchange);
	} else if (has_chunk) {
		if (exchange->piece_count == WEIR_CALL_CHUNKS_MAX)
			return false;
		exchange->piece[exchange->piece_count++] =
			(struct weir_piece){.chunk = message->chunk, .bytes = message->bytes};
	}
	weir_connection_mark(shard, exchange->connection);
	return true;
}

/* CREDIT: "send me the body", or a body chunk that it is done with. */
static bool take_credit(struct weir_shard *shard, struct weir_shard_link *link,
			const struct weir_message *message)
{
	struct weir_shard_call *call = &link->call[message->call];

	if (message->chunk != WEIR_CHUNK_NONE) {
		if (call->body_out == 0 ||
		    !weir_link_chunk_return(link, message->call, message->chunk))
			return false;
		call->body_out--;
		weir_link_chunk_give(shard, link, message->call, message->chunk);
	}
	if (!call->exchange)
		return true;
	if (!call->exchange->stream)
		return false;
	call->exchange->body_wanted = true;
	weir_connection_mark(shard, call->exchange->connection);
	return true;
}

bool weir_answer_message(struct weir_shard *shard, struct weir_shard_link *link,
			 const struct weir_message *message)
{
	struct weir_shard_call *call;
	bool last = message->flags & WEIR_MESSAGE_FLAG_END;

	if (message->call >= WEIR_PAIR_CALLS)
		return false;
	call = &link->call[message->call];
	if (call->sequence == 0 || call->sequence != message->sequence || call->finished)
		return false;
	if (!call->started) {
		call->started = true;
		link->queued--;
	}
	switch (message->kind) {
	case WEIR_MESSAGE_HEAD:
	case WEIR_MESSAGE_DATA:
		if (!take_part(shard, link, message))
			return false;
		break;
	case WEIR_MESSAGE_CREDIT:
		return take_credit(shard, link, message);
	case WEIR_MESSAGE_CALL:
		return weir_nested_message(shard, link, message);
	case WEIR_MESSAGE_END:
		if (!call->answered_head)
			return false;
		if (call->exchange)
			call->exchange->answer_ended = true;
		last = true;
		break;
	case WEIR_MESSAGE_ABORT:
		if (message->chunk != WEIR_CHUNK_NONE &&
		    !weir_link_chunk_return(link, message->call, message->chunk))
			return false;
		call->finished = true;
		if (call->exchange) {
			weir_activation_returned(shard, link, call->exchange, message);
			abort_exchange(shard, link, call->exchange, message);
		}
		last = true;
		break;
	default:
		return false;
	}
	if (last)
		finish_call(shard, link, message);
	else
		grant_more(shard, link, message->call);
	return true;
}

/* Check the fields of a copied head and list those that go to the client. -1 if one is refused. */
static int collect_fields(const char *head, struct weir_http_field *out)
{
	const struct weir_response_head *response = (const void *)head;
	const struct weir_head_field *field = (const void *)(head + sizeof(*response));
	int count = 0;

	for (uint16_t i = 0; i < response->field_count; i++) {
		const struct weir_http_field candidate = {
			.name = {.data = head + field[i].name.offset, .bytes = field[i].name.bytes},
			.value = {.data = head + field[i].value.offset, .bytes = field[i].value.bytes},
		};

		switch (weir_http_field_check(candidate.name, candidate.value)) {
		case WEIR_HTTP_FIELD_KEEP:
			out[count++] = candidate;
			break;
		case WEIR_HTTP_FIELD_DROP:
			break;
		case WEIR_HTTP_FIELD_REFUSE:
			return -1;
		}
	}
	return count;
}

/* How the body will be framed for this client. False: the worker contradicts itself. */
static bool choose_framing(struct weir_exchange *exchange, const struct weir_response_head *response,
			   uint64_t *out_length)
{
	const struct weir_message *message = &exchange->head_message;

	*out_length = response->content_length;
	if (message->flags & WEIR_MESSAGE_FLAG_END) {
		const uint64_t bytes = message->bytes - message->head_bytes;

		if (*out_length != WEIR_HEAD_LENGTH_UNKNOWN && *out_length != bytes &&
		    !exchange->head_request)
			return false;
		if (*out_length == WEIR_HEAD_LENGTH_UNKNOWN)
			*out_length = bytes;
	}
	if (weir_http_response_bodyless(response->status, exchange->head_request))
		exchange->framing = WEIR_FRAMING_NONE;
	else if (*out_length != WEIR_HEAD_LENGTH_UNKNOWN)
		exchange->framing = WEIR_FRAMING_LENGTH;
	else if (exchange->minor == 1)
		exchange->framing = WEIR_FRAMING_CHUNKED;
	else
		exchange->framing = WEIR_FRAMING_CLOSE;
	exchange->answer_left = *out_length;
	if (exchange->minor == 0 && *out_length == WEIR_HEAD_LENGTH_UNKNOWN)
		exchange->keep_alive = false; /* the close is the end; HEAD says the same */
	return true;
}

/* Write the response head for the HEAD message that waits. False: garbage, or no memory. */
static enum weir_http_failure write_head(struct weir_shard *shard, struct weir_exchange *exchange)
{
	const struct weir_message message = exchange->head_message;
	struct weir_http_field fields[WEIR_HEAD_RESPONSE_FIELDS_MAX];
	char timing[WEIR_TIMING_BYTES_MAX];
	const struct weir_response_head *response = (const void *)shard->scratch;
	struct weir_http_response_head head;
	size_t chunk_bytes;
	char activation[33] = {0};
	const uint8_t *chunk = weir_segment_chunk(exchange->link->pair, message.chunk, &chunk_bytes);
	int field_count;

	memcpy(shard->scratch, chunk, message.head_bytes); /* copy once, then check the copy */
	if (weir_head_check_response(shard->scratch, message.head_bytes) != 0 ||
	    response->bytes != message.head_bytes)
		return WEIR_HTTP_FUNCTION_GARBAGE;
	field_count = collect_fields(shard->scratch, fields);
	weir_id_format(exchange->activation, activation);
	if (exchange->stream && !exchange->body_ended && exchange->answer_ended)
		exchange->refused_body = true; /* nobody will read it */
	if (exchange->refused_body || shard->stopping)
		exchange->keep_alive = false;
	if (field_count < 0 || !choose_framing(exchange, response, &head.content_length))
		return WEIR_HTTP_FUNCTION_GARBAGE;
	if (field_count < WEIR_HEAD_RESPONSE_FIELDS_MAX &&
	    weir_timing_field(exchange, timing, &fields[field_count]))
		field_count++;
	head.status = response->status;
	head.minor = exchange->minor;
	head.keep_alive = exchange->keep_alive;
	head.activation = activation;
	head.date = weir_shard_date(shard);
	head.fields = fields;
	head.field_count = (size_t)field_count;
	return weir_error_answer_write_head(shard, exchange, &head) ? WEIR_HTTP_OK
								    : WEIR_HTTP_NO_MEMORY;
}

/* Copy a small piece into the output with its framing. */
static bool copy_piece(struct weir_shard *shard, struct weir_exchange *exchange,
		       const struct weir_piece *piece)
{
	struct weir_connection *connection = exchange->connection;
	char *out = weir_output_reserve(shard, connection, piece->bytes + WEIR_HTTP_CHUNK_PREFIX_MAX + 2);
	size_t at = 0, chunk_bytes;

	if (!out)
		return false;
	if (exchange->framing == WEIR_FRAMING_CHUNKED)
		at = weir_http_chunk_prefix(piece->bytes, out);
	memcpy(out + at, weir_segment_chunk(exchange->link->pair, piece->chunk, &chunk_bytes) + piece->start,
	       piece->bytes);
	at += piece->bytes;
	if (exchange->framing == WEIR_FRAMING_CHUNKED) {
		memcpy(out + at, "\r\n", 2);
		at += 2;
	}
	weir_output_commit(connection, at);
	return true;
}

/* Give the first piece's chunk back and grant a new one if the worker goes on. */
static void drop_piece(struct weir_shard *shard, struct weir_exchange *exchange)
{
	/* What a finished call still holds it gives back at once, as soon as its last piece is copied;
	 * pieces that are sent from their chunks may take long. */
	if (exchange->piece_ready || !exchange->link->call[exchange->call].finished)
		weir_link_chunk_give(shard, exchange->link, exchange->call, exchange->piece[0].chunk);
	exchange->piece_count--;
	for (uint8_t i = 0; i < exchange->piece_count; i++)
		exchange->piece[i] = exchange->piece[i + 1];
	exchange->piece_ready = false;
	grant_more(shard, exchange->link, exchange->call);
}

void weir_answer_piece_sent(struct weir_shard *shard, struct weir_exchange *exchange, uint32_t bytes)
{
	struct weir_piece *piece = &exchange->piece[0];

	WEIR_ASSERT(exchange->piece_count > 0 && bytes <= piece->bytes);
	piece->start += bytes;
	piece->bytes -= bytes;
	if (piece->bytes > 0)
		return;
	drop_piece(shard, exchange);
	if (exchange->framing == WEIR_FRAMING_CHUNKED &&
	    !weir_output_append(shard, exchange->connection, "\r\n", 2))
		weir_connection_abort(shard, exchange->connection);
}

enum piece_outcome { PIECE_DONE, PIECE_LATER, PIECE_CUT };

/* Move the first piece on: dropped, copied, or made ready to be sent from its chunk. */
static enum piece_outcome move_piece(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_connection *connection = exchange->connection;
	struct weir_piece *piece = &exchange->piece[0];
	char prefix[WEIR_HTTP_CHUNK_PREFIX_MAX];

	if (exchange->piece_ready)
		return PIECE_LATER;
	if (exchange->framing == WEIR_FRAMING_NONE || piece->bytes == 0) {
		drop_piece(shard, exchange);
		return PIECE_DONE;
	}
	if (exchange->framing == WEIR_FRAMING_LENGTH) {
		if (piece->bytes > exchange->answer_left)
			return PIECE_CUT;
	}
	if (piece->bytes <= WEIR_GATEWAY_COPY_MAX) {
		if (connection->out_bytes > WEIR_GATEWAY_OUT_BYTES_MAX)
			return PIECE_LATER;
		if (copy_piece(shard, exchange, piece)) {
			exchange->answer_left -= piece->bytes;
			exchange->stages.answer_bytes += piece->bytes;
			drop_piece(shard, exchange);
			return PIECE_DONE;
		}
		/* No block is left: it goes from its chunk, as large ones do. */
	}
	if (exchange->framing == WEIR_FRAMING_CHUNKED &&
	    !weir_output_append(shard, connection, prefix, weir_http_chunk_prefix(piece->bytes, prefix)))
		return PIECE_CUT;
	exchange->answer_left -= piece->bytes;
	exchange->stages.answer_bytes += piece->bytes;
	exchange->piece_ready = true;
	return PIECE_LATER;
}

/* Begin the answer whose HEAD message waits, or fail the exchange. */
static void start_answer(struct weir_shard *shard, struct weir_exchange *exchange)
{
	const struct weir_message message = exchange->head_message;
	const enum weir_http_failure failure = write_head(shard, exchange);

	if (failure != WEIR_HTTP_OK) {
		weir_exchange_fail(shard, exchange, failure, (struct weir_span){0});
		return;
	}
	exchange->head_waiting = false;
	exchange->head_written = true;
	exchange->expect_continue = false; /* an interim answer after the answer would be garbage */
	/* What follows the head in its chunk is the first piece. */
	for (uint8_t i = exchange->piece_count; i > 0; i--)
		exchange->piece[i] = exchange->piece[i - 1];
	exchange->piece[0] = (struct weir_piece){.chunk = message.chunk,
						 .start = message.head_bytes,
						 .bytes = message.bytes - message.head_bytes};
	exchange->piece_count++;
}

void weir_answer_piece_drop(struct weir_shard *shard, struct weir_exchange *exchange)
{
	drop_piece(shard, exchange);
}

void weir_answer_continue(struct weir_shard *shard, struct weir_exchange *exchange)
{
	if (exchange->failure == WEIR_HTTP_OK && exchange->link)
		grant_more(shard, exchange->link, exchange->call); /* it may have become the first */
	if (exchange->stream && exchange->body_wanted && !exchange->body_ended)
		weir_body_continue(shard, exchange);
}

bool weir_answer_progress(struct weir_shard *shard, struct weir_exchange *exchange)
{
	const struct weir_connection *connection = exchange->connection;

	weir_answer_continue(shard, exchange);
	if (connection->closing)
		return false; /* aborted: the exchange is gone */
	if (exchange->failure == WEIR_HTTP_OK && exchange->head_waiting)
		start_answer(shard, exchange);
	if (exchange->failure != WEIR_HTTP_OK)
		return weir_error_answer_write(shard, exchange);
	while (exchange->piece_count > 0 && exchange->head_written) {
		const enum piece_outcome outcome = move_piece(shard, exchange);

		if (outcome == PIECE_LATER)
			return false;
		if (outcome == PIECE_CUT) {
			weir_connection_abort(shard, exchange->connection);
			return false;
		}
	}
	if (!exchange->head_written || !exchange->answer_ended)
		return false;
	if (exchange->framing == WEIR_FRAMING_LENGTH && exchange->answer_left > 0) {
		weir_connection_abort(shard, exchange->connection);
		return false;
	}
	return exchange->framing != WEIR_FRAMING_CHUNKED ||
	       weir_output_append(shard, exchange->connection, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
}
