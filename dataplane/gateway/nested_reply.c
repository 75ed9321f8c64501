#include "dataplane/gateway/nested.h"

#include "dataplane/gateway/answer.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/http/http_response.h"
#include "dataplane/shm/head_check.h"

enum { BODY_BYTES_MAX = 1024 };

/* The answer's place: the slot's chunk and how much of it is written. */
struct reply {
	uint8_t *data;
	size_t room;
	size_t bytes;
	size_t head_bytes;
};

static struct reply reply_of(const struct weir_nested *nested)
{
	struct reply reply = {0};

	reply.data = weir_segment_chunk(nested->parent_link->pair, nested->chunk, &reply.room);
	return reply;
}

static void reply_send(struct weir_shard *shard, struct weir_nested *nested, const struct reply *reply,
		       uint8_t flags)
{
	weir_nested_send(shard, nested, WEIR_NESTED_REPLY,
			 (struct weir_message){.flags = flags,
					       .bytes = (uint32_t)reply->bytes,
					       .head_bytes = (uint32_t)reply->head_bytes});
}

static void put(struct reply *reply, const void *data, size_t bytes)
{
	memcpy(reply->data + reply->bytes, data, bytes);
	reply->bytes += bytes;
}

static void put_activation(struct reply *reply, struct weir_id activation)
{
	const struct weir_nested_reply prefix = {.activation_high = activation.high,
						 .activation_low = activation.low};

	put(reply, &prefix, sizeof(prefix));
}

/* A whole answer of the gateway's own: a status and a JSON text. */
static void reply_json(struct weir_shard *shard, struct weir_nested *nested, struct weir_id activation,
		       uint16_t status, struct weir_span body)
{
	static const char name[] = "content-type", value[] = "application/json";
	const struct weir_head_field field = {
		.name = {.offset = sizeof(struct weir_response_head) + sizeof(field),
			 .bytes = sizeof(name) - 1},
		.value = {.offset = sizeof(struct weir_response_head) + sizeof(field) + sizeof(name) - 1,
			  .bytes = sizeof(value) - 1},
	};
	const struct weir_response_head head = {
		.bytes = (uint32_t)(sizeof(head) + sizeof(field) + sizeof(name) + sizeof(value) - 2),
		.status = status,
		.field_count = 1,
		.content_length = body.bytes,
	};
	struct reply reply = reply_of(nested);

	put_activation(&reply, activation);
	put(&reply, &head, sizeof(head));
	put(&reply, &field, sizeof(field));
	put(&reply, name, sizeof(name) - 1);
	put(&reply, value, sizeof(value) - 1);
	reply.head_bytes = reply.bytes;
	put(&reply, body.data, body.bytes);
	weir_nested_end_exchange(shard, nested);
	reply_send(shard, nested, &reply, WEIR_MESSAGE_FLAG_END);
}

void weir_nested_reply_failure(struct weir_shard *shard, struct weir_nested *nested,
			       enum weir_http_failure failure, struct weir_span detail)
{
	const struct weir_id none = {0};
	const struct weir_id activation = nested->running ? nested->exchange.activation : none;
	char text[512] = {0}, activation_text[33] = {0}, body[BODY_BYTES_MAX];
	size_t bytes;

	if (detail.bytes > 0)
		memcpy(text, detail.data, detail.bytes < sizeof(text) - 1 ? detail.bytes : sizeof(text) - 1);
	weir_id_format(nested->running ? activation : nested->parent, activation_text);
	bytes = weir_http_failure_body(failure, text, activation_text, body, sizeof(body));
	if (!nested->running)
		weir_shard_count(shard, WEIR_METRIC_calls_nested_refused, 1);
	nested->exchange.stages.status = weir_http_failure_row(failure)->status;
	nested->exchange.stages.answer_bytes = bytes;
	reply_json(shard, nested, activation, weir_http_failure_row(failure)->status,
		   (struct weir_span){.data = body, .bytes = bytes});
}

void weir_nested_reply_accepted(struct weir_shard *shard, struct weir_nested *nested,
				struct weir_id activation)
{
	static const char before[] = "{\"activation\":\"";
	char body[sizeof(before) + 34];

	memcpy(body, before, sizeof(before) - 1);
	weir_id_format(activation, body + sizeof(before) - 1);
	memcpy(body + sizeof(before) - 1 + 32, "\"}", 2);
	reply_json(shard, nested, activation, 202,
		   (struct weir_span){.data = body, .bytes = sizeof(before) - 1 + 34});
}

/* How long the body will be, from the head and what came with it. False: they contradict. */
static bool find_length(struct weir_nested *nested, const struct weir_response_head *head)
{
	const struct weir_message *message = &nested->exchange.head_message;

	nested->bodyless = weir_http_response_bodyless(head->status, nested->exchange.head_request);
	nested->reply_left = head->content_length;
	if (nested->bodyless)
		nested->reply_left = WEIR_HEAD_LENGTH_UNKNOWN;
	else if (message->flags & WEIR_MESSAGE_FLAG_END)
		return head->content_length == WEIR_HEAD_LENGTH_UNKNOWN ||
		       head->content_length == message->bytes - message->head_bytes;
	return true;
}

/* Copy the head of the answer that waits, check the copy. False if it is garbage. */
static bool begin(struct weir_shard *shard, struct weir_nested *nested, struct reply *reply)
{
	struct weir_exchange *exchange = &nested->exchange;
	const struct weir_message message = exchange->head_message;
	const struct weir_response_head *head = (const void *)shard->scratch;
	size_t chunk_bytes;

	memcpy(shard->scratch, weir_segment_chunk(exchange->link->pair, message.chunk, &chunk_bytes),
	       message.head_bytes);
	if (weir_head_check_response(shard->scratch, message.head_bytes) != 0 ||
	    head->bytes != message.head_bytes || !find_length(nested, head))
		return false;
	if (sizeof(struct weir_nested_reply) + message.head_bytes >= reply->room)
		return false; /* the chunk is a small one, and no port writes such heads */
	put_activation(reply, exchange->activation);
	put(reply, head, message.head_bytes);
	reply->head_bytes = reply->bytes;
	exchange->head_waiting = false;
	exchange->head_written = true;
	exchange->stages.status = head->status;
	nested->reply_begun = true;
	for (uint8_t i = exchange->piece_count; i > 0; i--)
		exchange->piece[i] = exchange->piece[i - 1];
	exchange->piece[0] = (struct weir_piece){.chunk = message.chunk,
						 .start = message.head_bytes,
						 .bytes = message.bytes - message.head_bytes};
	exchange->piece_count++;
	return true;
}

/* Copy of the pieces what fits. False: more than was announced. */
static bool copy_pieces(struct weir_shard *shard, struct weir_nested *nested, struct reply *reply)
{
	struct weir_exchange *exchange = &nested->exchange;

	while (exchange->piece_count > 0) {
		struct weir_piece *piece = &exchange->piece[0];
		size_t bytes = nested->bodyless ? 0 : piece->bytes, chunk_bytes;

		if (bytes > reply->room - reply->bytes)
			bytes = reply->room - reply->bytes;
		if (nested->reply_left != WEIR_HEAD_LENGTH_UNKNOWN) {
			if (piece->bytes > nested->reply_left)
				return false;
			nested->reply_left -= bytes;
		}
		if (bytes > 0)
			put(reply,
			    weir_segment_chunk(exchange->link->pair, piece->chunk, &chunk_bytes) +
				    piece->start,
			    bytes);
		exchange->stages.answer_bytes += bytes;
		piece->start += (uint32_t)bytes;
		piece->bytes -= (uint32_t)bytes;
		if (piece->bytes > 0 && !nested->bodyless)
			return true;
		weir_answer_piece_drop(shard, exchange);
	}
	return true;
}

static void reply_broken(struct weir_shard *shard, struct weir_nested *nested)
{
	const struct reply nothing = {0};

	nested->broken = false;
	nested->exchange.stages.is_cut = true;
	weir_nested_end_exchange(shard, nested);
	reply_send(shard, nested, &nothing, WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_BROKEN);
}

static void reply_failed(struct weir_shard *shard, struct weir_nested *nested)
{
	weir_nested_reply_failure(shard, nested, (enum weir_http_failure)nested->exchange.failure,
				  weir_block_span(nested->exchange.detail));
}

void weir_nested_reply(struct weir_shard *shard, struct weir_nested *nested)
{
	struct weir_exchange *exchange = &nested->exchange;
	struct reply reply;
	bool whole;

	if (nested->state != WEIR_NESTED_RUNNING || !nested->parent_link)
		return; /* the parent has not read what it has */
	if (nested->broken) {
		reply_broken(shard, nested);
		return;
	}
	reply = reply_of(nested);
	if (exchange->failure == WEIR_HTTP_OK && exchange->head_waiting && !begin(shard, nested, &reply))
		weir_exchange_fail(shard, exchange, WEIR_HTTP_FUNCTION_GARBAGE, (struct weir_span){0});
	if (exchange->failure != WEIR_HTTP_OK) {
		reply_failed(shard, nested);
		return;
	}
	if (!nested->reply_begun)
		return;
	whole = copy_pieces(shard, nested, &reply);
	if (whole && exchange->answer_ended && exchange->piece_count == 0) {
		if (nested->reply_left == 0 || nested->reply_left == WEIR_HEAD_LENGTH_UNKNOWN) {
			weir_nested_end_exchange(shard, nested);
			reply_send(shard, nested, &reply, WEIR_MESSAGE_FLAG_END);
			return;
		}
		whole = false;
	}
	if (!whole)
		reply_broken(shard, nested);
	else if (reply.bytes > 0)
		reply_send(shard, nested, &reply, 0);
}
