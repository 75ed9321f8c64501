#include "dataplane/port/port_call.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/port/port_private.h"
#include "dataplane/shm/head_check.h"

enum {
	ROWS_FIRST = 4,  /* most answers have fewer fields; each costs 8 bytes whether used or not */
	METHOD_HEAD = 1, /* enum weir_http_method */
};
static_assert((int)WEIR_PORT_CALL_HEAD_BYTES_MAX <= (int)WEIR_CHUNK_SMALL_BYTES,
	      "a head fits any chunk");

static const struct weir_message message_none = {.chunk = WEIR_CHUNK_NONE,
						 .grant = WEIR_CHUNK_NONE};

/* Remember a chunk to fill. */
static bool grant_add(struct weir_port_call *call, uint32_t chunk)
{
	size_t bytes = 0;

	if (call->grant_count == WEIR_PORT_CALL_QUEUE ||
	    weir_segment_chunk(call->pair->shm, chunk, &bytes) == NULL)
		return false;
	call->grant[call->grant_count++] = chunk;
	return true;
}

static bool piece_add(struct weir_port_call *call, const struct weir_message *message)
{
	size_t size = 0;
	const uint8_t *data = NULL;

	if ((message->flags & WEIR_MESSAGE_FLAG_END) != 0)
		call->is_body_complete = true;
	if (message->chunk == WEIR_CHUNK_NONE)
		return message->bytes == 0;
	data = weir_segment_chunk(call->pair->shm, message->chunk, &size);
	if (data == NULL || message->bytes > size || call->piece_count == WEIR_PORT_CALL_QUEUE)
		return false;
	call->piece[call->piece_count++] = (struct weir_port_piece){
		.data = data, .bytes = message->bytes, .chunk = message->chunk};
	return true;
}

int weir_port_call_start(struct weir_port_call *call, const struct weir_message *head)
{
	size_t size = 0;
	uint8_t *const data = weir_segment_chunk(call->pair->shm, head->chunk, &size);

	call->head = NULL;
	call->is_cancelled = false;
	call->is_head_sent = false;
	call->is_body_complete = (head->flags & WEIR_MESSAGE_FLAG_END) != 0;
	call->refused = 0;
	call->is_body_asked = false;
	call->is_sealed = false;
	call->piece_count = 0;
	call->grant_count = 0;
	call->out = NULL;
	call->body_bytes = 0;
	call->length = WEIR_HEAD_LENGTH_UNKNOWN;
	call->status = 200;
	call->head_out = NULL;
	call->row_count_max = 0;
	call->field_count = 0;
	call->text_bytes = 0;
	call->run_units = UINT32_MAX;
	if (head->grant != WEIR_CHUNK_NONE && !grant_add(call, head->grant))
		return -EBADMSG;
	if (data == NULL || head->bytes > size || head->head_bytes > head->bytes)
		return -EBADMSG;
	if (weir_head_check_request(data, head->head_bytes) != 0)
		return -EBADMSG;
	call->head = (const struct weir_request_head *)(const void *)
		data; /* chunks start on pages */
	if (head->bytes > head->head_bytes)
		call->piece[call->piece_count++] =
			(struct weir_port_piece){.data = data + head->head_bytes,
						 .bytes = head->bytes - head->head_bytes,
						 .chunk = WEIR_CHUNK_NONE};
	return 0;
}

bool weir_port_call_take(struct weir_port_call *call, const struct weir_message *message)
{
	switch (message->kind) {
	case WEIR_MESSAGE_DATA:
		return !call->is_body_complete && piece_add(call, message);
	case WEIR_MESSAGE_CREDIT:
		return grant_add(call, message->grant);
	case WEIR_MESSAGE_CANCEL:
		call->is_cancelled = true;
		return true;
	default:
		return false;
	}
}

/* Drop the first piece and give its chunk back. */
static void piece_drop(struct weir_port_call *call)
{
	const uint32_t chunk = call->piece[0].chunk;

	call->piece_count--;
	for (size_t i = 0; i < call->piece_count; i++)
		call->piece[i] = call->piece[i + 1];
	if (chunk != WEIR_CHUNK_NONE) {
		struct weir_message credit = message_none;

		credit.kind = WEIR_MESSAGE_CREDIT;
		credit.chunk = chunk;
		/* A full ring is counted by push; the shard then has its chunk back at the end. */
		(void)weir_port_push(call, credit);
	}
}

int weir_port_call_body_peek(struct weir_port_call *call, struct weir_span *out_piece)
{
	if (call->is_cancelled)
		return -ECANCELED;
	while (call->piece_count != 0 && call->piece[0].bytes == 0)
		piece_drop(call);
	if (call->piece_count != 0) {
		*out_piece = (struct weir_span){.data = (const char *)call->piece[0].data,
						.bytes = call->piece[0].bytes};
		return 1;
	}
	if (call->is_body_complete)
		return 0;
	if (!call->is_body_asked) {
		struct weir_message credit = message_none;

		credit.kind = WEIR_MESSAGE_CREDIT;
		call->is_body_asked = weir_port_push(call, credit);
	}
	return -EAGAIN;
}

void weir_port_call_body_consume(struct weir_port_call *call, size_t bytes)
{
	if (bytes == 0)
		return;
	WEIR_ASSERT(call->piece_count != 0 && bytes <= call->piece[0].bytes);
	call->piece[0].data += bytes;
	call->piece[0].bytes -= (uint32_t)bytes;
	if (call->piece[0].bytes == 0)
		piece_drop(call);
}

int weir_port_call_status(struct weir_port_call *call, uint32_t status)
{
	if (call->is_cancelled)
		return -ECANCELED;
	if (call->is_sealed)
		return -EALREADY;
	if (status < 200 || status > 599) {
		call->refused++;
		return -EINVAL;
	}
	call->status = (uint16_t)status;
	return 0;
}

/* Is a byte a part of a token (RFC 9110 section 5.6.2)? */
#define WORD(c) [c] = true
static const bool token_byte[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	WORD('!'),
	WORD('#'),
	WORD('$'),
	WORD('%'),
	WORD('&'),
	WORD('\''),
	WORD('*'),
	WORD('+'),
	WORD('-'),
	WORD('.'),
	WORD('^'),
	WORD('_'),
	WORD('`'),
	WORD('|'),
	WORD('~'),
};
#undef WORD

static bool is_token(struct weir_span text)
{
	bool is_clean = true;
	size_t i = 0;

	for (; i + 4 <= text.bytes;
	     i += 4) /* no branch but the loop's: two instructions a byte */
		is_clean &= token_byte[(uint8_t)text.data[i]] &
			    token_byte[(uint8_t)text.data[i + 1]] &
			    token_byte[(uint8_t)text.data[i + 2]] &
			    token_byte[(uint8_t)text.data[i + 3]];
	for (; i < text.bytes; i++)
		is_clean &= token_byte[(uint8_t)text.data[i]];
	return is_clean && text.bytes != 0;
}

/* RFC 9110 section 5.5: visible characters, space, tab, and bytes of other encodings. */
static bool are_value_bytes(const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		const uint8_t c = (uint8_t)data[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_field_value(struct weir_span text)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t i = 0;

	/* Eight bytes at once: is one below 0x20, or 0x7f? A tab is, so look again one by one. */
	for (; i + sizeof(uint64_t) <= text.bytes; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		uint64_t deleted = 0;

		memcpy(&word, text.data + i, sizeof(word));
		deleted = word ^ ones * 0x7f;
		if ((((word - ones * 0x20) & ~word) | ((deleted - ones) & ~deleted)) &
			    ones * 0x80 &&
		    !are_value_bytes(text.data + i, sizeof(word)))
			return false;
	}
	return are_value_bytes(text.data + i, text.bytes - i);
}

/* Copy; most names, values and small bodies have 8 to 32 bytes, for which a call of memcpy() is most of
 * the cost: two halves that may overlap instead. */
static void bytes_copy(uint8_t *to, const void *from, size_t bytes)
{
	const uint8_t *const source = from;

	if (bytes >= 8 && bytes <= 16) {
		uint64_t first = 0;
		uint64_t last = 0;

		memcpy(&first, source, sizeof(first));
		memcpy(&last, source + bytes - sizeof(last), sizeof(last));
		memcpy(to, &first, sizeof(first));
		memcpy(to + bytes - sizeof(last), &last, sizeof(last));
	} else if (bytes > 16 && bytes <= 32) {
		unsigned __int128 first = 0;
		unsigned __int128 last = 0;

		memcpy(&first, source, sizeof(first));
		memcpy(&last, source + bytes - sizeof(last), sizeof(last));
		memcpy(to, &first, sizeof(first));
		memcpy(to + bytes - sizeof(last), &last, sizeof(last));
	} else if (bytes != 0) {
		memcpy(to, source, bytes);
	}
}

/* Take the next grant as the chunk to fill. */
static bool out_open(struct weir_port_call *call)
{
	size_t size = 0;

	if (call->grant_count == 0)
		return false;
	call->out_chunk = call->grant[0];
	call->grant_count--;
	for (size_t i = 0; i < call->grant_count; i++)
		call->grant[i] = call->grant[i + 1];
	call->out = weir_segment_chunk(call->pair->shm, call->out_chunk,
				       &size); /* checked by grant_add */
	call->out_size = (uint32_t)size;
	call->out_bytes = 0;
	return true;
}

/* ---- the answer's head ----
 *
 *   head_out  | weir_response_head | rows: field_count of row_count_max | text ...
 *
 * It is written where it will be sent from, with some rows to spare, so that sealing moves nothing.
 * Nothing of it is read back but offsets that go to the shard again, which checks its own copy. */

static size_t text_first(const struct weir_port_call *call)
{
	return sizeof(struct weir_response_head) +
	       call->row_count_max * sizeof(struct weir_head_field);
}

static struct weir_head_field *row_at(const struct weir_port_call *call, size_t i)
{
	/* Chunks start on pages, and `spare` is aligned. */
	return (struct weir_head_field *)(void *)(call->head_out +
						  sizeof(struct weir_response_head)) +
	       i;
}

/* Make room for exactly `count` rows: move the text. It fits. */
static void rows_resize(struct weir_port_call *call, size_t count)
{
	const size_t before = text_first(call);
	size_t after = 0;

	call->row_count_max = (uint16_t)count;
	if (call->field_count == 0)
		return;
	after = text_first(call);
	memmove(call->head_out + after, call->head_out + before, call->text_bytes);
	for (size_t i = 0; i < call->field_count; i++) {
		struct weir_head_field *const row = row_at(call, i);

		row->name.offset = (uint16_t)(row->name.offset + after - before);
		row->value.offset = (uint16_t)(row->value.offset + after - before);
	}
}

static bool rows_fit(size_t count, size_t text_bytes)
{
	return sizeof(struct weir_response_head) + count * sizeof(struct weir_head_field) +
		       text_bytes <=
	       WEIR_PORT_CALL_HEAD_BYTES_MAX;
}

/* Room for one more row and for `more` more bytes of text, with or without rows to spare. */
static bool head_reserve(struct weir_port_call *call, size_t more)
{
	const size_t text_bytes = call->text_bytes + more;
	size_t wanted = call->row_count_max;

	if (call->head_out == NULL)
		call->head_out = call->out != NULL || out_open(call) ? call->out : call->spare;
	if (call->field_count == wanted)
		wanted = wanted == 0 ? ROWS_FIRST : WEIR_HEAD_RESPONSE_FIELDS_MAX;
	if (!rows_fit(wanted, text_bytes))
		wanted = call->field_count + 1U;
	if (!rows_fit(wanted, text_bytes))
		return false;
	if (wanted != call->row_count_max)
		rows_resize(call, wanted);
	return true;
}

static struct weir_head_slice text_add(struct weir_port_call *call, struct weir_span text)
{
	const struct weir_head_slice slice = {
		.offset = (uint16_t)(text_first(call) + call->text_bytes),
		.bytes = (uint16_t)text.bytes,
	};

	bytes_copy(call->head_out + slice.offset, text.data, text.bytes);
	call->text_bytes = (uint16_t)(call->text_bytes + text.bytes);
	return slice;
}

int weir_port_call_field(struct weir_port_call *call, struct weir_span name,
			 struct weir_span value)
{
	struct weir_head_field field;

	if (call->is_cancelled)
		return -ECANCELED;
	if (call->is_sealed)
		return -EALREADY;
	if (!is_token(name) || !is_field_value(value)) {
		call->refused++;
		return -EINVAL;
	}
	if (call->field_count == WEIR_HEAD_RESPONSE_FIELDS_MAX ||
	    name.bytes > WEIR_PORT_CALL_HEAD_BYTES_MAX ||
	    value.bytes > WEIR_PORT_CALL_HEAD_BYTES_MAX ||
	    !head_reserve(call, name.bytes + value.bytes))
		return -ENOSPC;
	field.name = text_add(call, name);
	field.value = text_add(call, value);
	*row_at(call, call->field_count) = field;
	call->field_count++;
	return 0;
}

int weir_port_call_length(struct weir_port_call *call, uint64_t bytes)
{
	if (call->is_cancelled)
		return -ECANCELED;
	if (call->is_head_sent)
		return -EALREADY;
	if (bytes == WEIR_HEAD_LENGTH_UNKNOWN || bytes < call->body_bytes) {
		call->refused++;
		return -EINVAL;
	}
	call->length = bytes;
	return 0;
}

/* The head is complete, in the first chunk. Its struct is filled in when it is sent. */
static int head_seal(struct weir_port_call *call)
{
	if (call->out == NULL && !out_open(call))
		return -EAGAIN;
	call->head_bytes = (uint32_t)(text_first(call) + call->text_bytes);
	if (call->head_out == call->spare)
		memcpy(call->out, call->spare, call->head_bytes);
	call->out_bytes = call->head_bytes;
	call->is_sealed = true;
	return 0;
}

/* Send the chunk being filled as HEAD or DATA. */
static int out_send(struct weir_port_call *call, bool is_last)
{
	struct weir_message message = message_none;

	message.kind = WEIR_MESSAGE_DATA;
	message.flags = is_last ? WEIR_MESSAGE_FLAG_END : 0;
	message.grant = is_last ? call->run_units : WEIR_CHUNK_NONE;
	message.chunk = call->out_chunk;
	message.bytes = call->out_bytes;
	if (!call->is_head_sent) {
		const struct weir_response_head head = {
			.bytes = call->head_bytes,
			.status = call->status,
			.field_count = call->field_count,
			.content_length = is_last && call->length == WEIR_HEAD_LENGTH_UNKNOWN
						  ? call->body_bytes
						  : call->length,
		};

		memcpy(call->out, &head, sizeof(head));
		message.kind = WEIR_MESSAGE_HEAD;
		message.head_bytes = call->head_bytes;
	}
	if (!weir_port_push(call, message))
		return -EBADMSG;
	call->is_head_sent = true;
	call->out = NULL;
	return 0;
}

/* Make sure that the chunk being filled has room for at least one byte of body. */
static int room_open(struct weir_port_call *call)
{
	int result = 0;

	if (call->is_cancelled)
		return -ECANCELED;
	if (call->status == 204 || call->status == 304)
		return -EINVAL;
	if (!call->is_sealed) {
		result = head_seal(call);
		if (result != 0)
			return result;
	}
	if (call->out != NULL && call->out_bytes == call->out_size) {
		result = out_send(call, false);
		if (result != 0)
			return result;
		weir_port_publish(call->port);
	}
	if (call->out == NULL && !out_open(call))
		return -EAGAIN;
	return 0;
}

static bool is_announced(const struct weir_port_call *call, size_t bytes)
{
	return call->length == WEIR_HEAD_LENGTH_UNKNOWN ||
	       bytes <= call->length - call->body_bytes;
}

static void body_add(struct weir_port_call *call, size_t bytes)
{
	call->out_bytes += (uint32_t)bytes;
	call->body_bytes += bytes;
}

int weir_port_call_room(struct weir_port_call *call, uint8_t **out_data, size_t *out_bytes)
{
	const int result = room_open(call);

	if (result != 0)
		return result;
	*out_data = call->out + call->out_bytes;
	*out_bytes = call->out_size - call->out_bytes;
	return 0;
}

int weir_port_call_commit(struct weir_port_call *call, size_t bytes)
{
	if (call->is_cancelled)
		return -ECANCELED;
	if (bytes == 0)
		return 0;
	if (!call->is_sealed || call->out == NULL || bytes > call->out_size - call->out_bytes)
		return -EINVAL;
	if (!is_announced(call, bytes))
		return -EMSGSIZE;
	body_add(call, bytes);
	return 0;
}

int weir_port_call_append(struct weir_port_call *call, const void *data, size_t bytes,
			  size_t *out_bytes)
{
	const int result = room_open(call);

	if (result != 0)
		return result;
	if (bytes > call->out_size - call->out_bytes)
		bytes = call->out_size - call->out_bytes;
	if (!is_announced(call, bytes))
		return -EMSGSIZE;
	bytes_copy(call->out + call->out_bytes, data, bytes);
	body_add(call, bytes);
	*out_bytes = bytes;
	return 0;
}

int weir_port_call_flush(struct weir_port_call *call)
{
	int result = 0;

	if (call->is_cancelled)
		return -ECANCELED;
	if (!call->is_sealed) {
		result = head_seal(call);
		if (result != 0)
			return result;
	}
	if (call->out != NULL && (!call->is_head_sent || call->out_bytes != 0)) {
		result = out_send(call, false);
		if (result != 0)
			return result;
	}
	weir_port_publish(call->port);
	return 0;
}

/* To HEAD one may announce the length that GET would have, and give nothing. */
static bool is_length_kept(const struct weir_port_call *call)
{
	return call->length == WEIR_HEAD_LENGTH_UNKNOWN || call->length == call->body_bytes ||
	       (call->body_bytes == 0 && call->head->method == METHOD_HEAD);
}

bool weir_port_call_finish(struct weir_port_call *call)
{
	if (call->is_cancelled) {
		weir_port_call_abort(call, WEIR_ABORT_CANCELLED, (struct weir_span){0});
		return true; /* nobody reads it any more */
	}
	if (!is_length_kept(call)) {
		weir_port_call_abort(call, WEIR_ABORT_GARBAGE,
				     WEIR_SPAN("the function's answer is shorter than it announced"));
		return false;
	}
	if (!call->is_sealed && head_seal(call) != 0) {
		weir_port_call_abort(call, WEIR_ABORT_FAILED,
				     WEIR_SPAN("the gateway granted no memory for the answer"));
		return false;
	}
	if (call->out != NULL && (!call->is_head_sent || call->out_bytes != 0)) {
		(void)out_send(call, true); /* a full ring is counted; its shard is beyond help */
	} else {
		struct weir_message end = message_none;

		end.kind = WEIR_MESSAGE_END;
		end.flags = WEIR_MESSAGE_FLAG_END;
		end.grant = call->run_units;
		(void)weir_port_push(call, end); /* as above */
	}
	weir_port_release(call);
	return true;
}

void weir_port_call_abort(struct weir_port_call *call, enum weir_abort code,
			  struct weir_span text)
{
	struct weir_message message = message_none;

	message.kind = WEIR_MESSAGE_ABORT;
	message.flags = WEIR_MESSAGE_FLAG_END;
	message.grant = call->run_units;
	message.code = (uint32_t)code;
	if (text.bytes > WEIR_PORT_CALL_REASON_BYTES_MAX)
		text.bytes = WEIR_PORT_CALL_REASON_BYTES_MAX;
	/* The chunk being filled, or any grant: nothing else of it will be sent. */
	if (text.bytes != 0 && (call->out != NULL || out_open(call))) {
		memcpy(call->out, text.data, text.bytes);
		message.chunk = call->out_chunk;
		message.bytes = (uint32_t)text.bytes;
	}
	(void)weir_port_push(call, message); /* a full ring is counted; its shard is beyond help */
	weir_port_release(call);
}
