#include "dataplane/http/http_chunked.h"

#include "dataplane/base/assert.h"
#include "dataplane/http/http_char.h"

/* The trailer section is walked here and not by llhttp, which accepts a bare LF as its end and
 * folded lines in it. */
enum trailer_state {
	TRAILER_NOT_YET,
	TRAILER_LINE, /* at the begin of a line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,     /* the CR of a field is read */
	TRAILER_END_LF, /* the CR of the empty line is read */
	TRAILER_END,
	TRAILER_BAD,
};

/* Found from its llhttp member, so that a decoder may move between two calls. */
static struct weir_http_chunked *chunked_of(llhttp_t *llhttp)
{
	return (struct weir_http_chunked *)(void *)((char *)llhttp -
						    offsetof(struct weir_http_chunked, llhttp));
}

/* Count the framing up to `at`. False once there is too much of it: the limits only tighten between
 * two pieces of payload, so that it suffices to look before each piece and at the end. */
static bool framing_count(struct weir_http_chunked *chunked, const char *at)
{
	const uint64_t bytes = (uint64_t)(at - chunked->mark);

	chunked->mark = at;
	chunked->framing_bytes += bytes;
	if (bytes > WEIR_HTTP_CHUNK_LINE_BYTES_MAX - chunked->line_bytes)
		return false;
	chunked->line_bytes += (uint32_t)bytes;
	return chunked->framing_bytes <=
	       WEIR_HTTP_CHUNK_FRAMING_BYTES_MAX +
		       WEIR_HTTP_CHUNK_FRAMING_PER_BYTE * chunked->body_bytes;
}

static int on_chunk_header(llhttp_t *llhttp)
{
	struct weir_http_chunked *chunked = chunked_of(llhttp);

	if (llhttp->content_length == 0)
		return HPE_PAUSED; /* the last chunk: the trailer section follows */
	if (llhttp->content_length > chunked->body_bytes_max - chunked->body_bytes) {
		chunked->failure = WEIR_HTTP_BODY_TOO_LARGE;
		return -1;
	}
	return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct weir_http_chunked *chunked = chunked_of(llhttp);

	if (!framing_count(chunked, at)) {
		chunked->failure = WEIR_HTTP_BAD_CHUNK;
		return -1;
	}
	if (bytes == 0)
		return 0;
	memmove(chunked->out + chunked->out_bytes, at, bytes); /* may be the same memory */
	chunked->out_bytes += bytes;
	chunked->body_bytes += bytes;
	chunked->line_bytes = 0;
	chunked->mark = at + bytes;
	return 0;
}

static const llhttp_settings_t chunked_settings = {
	.on_chunk_header = on_chunk_header,
	.on_body = on_body,
};

void weir_http_chunked_start(struct weir_http_chunked *chunked,
			     const struct weir_http_parser *parser)
{
	WEIR_ASSERT(parser->body == WEIR_HTTP_BODY_CHUNKED);
	WEIR_ASSERT(parser->head_bytes > 0);
	*chunked = (struct weir_http_chunked){
		.llhttp = parser->llhttp,
		.body_bytes_max = parser->limits.body_bytes_max,
	};
	llhttp_resume(&chunked->llhttp);
	chunked->llhttp.upgrade = 0; /* Upgrade is ignored: the body is a body */
	chunked->llhttp.settings = (void *)(uintptr_t)&chunked_settings;
}

static enum trailer_state trailer_next(enum trailer_state state, char byte)
{
	switch (state) {
	case TRAILER_LINE:
		if (byte == '\r')
			return TRAILER_END_LF;
		return weir_http_char_is(byte, WEIR_HTTP_CHAR_TOKEN) ? TRAILER_NAME
								     : TRAILER_BAD;
	case TRAILER_NAME:
		if (byte == ':')
			return TRAILER_VALUE;
		return weir_http_char_is(byte, WEIR_HTTP_CHAR_TOKEN) ? TRAILER_NAME
								     : TRAILER_BAD;
	case TRAILER_VALUE:
		if (byte == '\r')
			return TRAILER_LF;
		return weir_http_char_is(byte, WEIR_HTTP_CHAR_VALUE) ? TRAILER_VALUE
								     : TRAILER_BAD;
	case TRAILER_LF:
		return byte == '\n' ? TRAILER_LINE : TRAILER_BAD;
	case TRAILER_END_LF:
		return byte == '\n' ? TRAILER_END : TRAILER_BAD;
	case TRAILER_NOT_YET:
	case TRAILER_END:
	case TRAILER_BAD:
		break;
	}
	return TRAILER_BAD;
}

static enum weir_http_chunked_state chunked_fail(struct weir_http_chunked *chunked,
						 enum weir_http_failure failure)
{
	chunked->failure = failure;
	return WEIR_HTTP_CHUNKED_FAILED;
}

/* Read trailer bytes from data[*inout_at] on. */
static enum weir_http_chunked_state trailer_read(struct weir_http_chunked *chunked,
						 const char *data, size_t bytes,
						 size_t *inout_at)
{
	enum trailer_state state = chunked->trailer_state;

	while (*inout_at < bytes && state != TRAILER_END) {
		if (chunked->trailer_bytes == WEIR_HTTP_TRAILER_BYTES_MAX)
			return chunked_fail(chunked, WEIR_HTTP_BAD_CHUNK);
		state = trailer_next(state, data[*inout_at]);
		if (state == TRAILER_BAD)
			return chunked_fail(chunked, WEIR_HTTP_BAD_CHUNK);
		(*inout_at)++;
		chunked->trailer_bytes++;
		chunked->framing_bytes++;
	}
	chunked->trailer_state = (uint8_t)state;
	chunked->done = state == TRAILER_END;
	return chunked->done ? WEIR_HTTP_CHUNKED_DONE : WEIR_HTTP_CHUNKED_MORE;
}

/* Read chunks until the last one's line, which starts the trailer, or the end of data. */
static enum weir_http_chunked_state chunks_read(struct weir_http_chunked *chunked,
						const char *data, size_t bytes, size_t *out_at)
{
	const llhttp_errno_t error = llhttp_execute(&chunked->llhttp, data, bytes);
	const char *end =
		error == HPE_OK ? data + bytes : llhttp_get_error_pos(&chunked->llhttp);

	*out_at = (size_t)(end - data);
	if (!framing_count(chunked, end))
		return chunked_fail(chunked, WEIR_HTTP_BAD_CHUNK);
	if (error == HPE_OK)
		return WEIR_HTTP_CHUNKED_MORE;
	if (error != HPE_PAUSED)
		return chunked_fail(chunked, chunked->failure != WEIR_HTTP_OK
						     ? chunked->failure
						     : WEIR_HTTP_BAD_CHUNK);
	chunked->trailer_state = TRAILER_LINE;
	return WEIR_HTTP_CHUNKED_MORE;
}

enum weir_http_chunked_state weir_http_chunked_decode(struct weir_http_chunked *chunked,
						      const char *data, size_t bytes, char *out,
						      size_t *out_consumed, size_t *out_bytes)
{
	enum weir_http_chunked_state state = WEIR_HTTP_CHUNKED_MORE;
	size_t at = 0;

	chunked->out = out;
	chunked->out_bytes = 0;
	chunked->mark = data;
	if (chunked->failure != WEIR_HTTP_OK)
		state = WEIR_HTTP_CHUNKED_FAILED;
	else if (chunked->done)
		state = WEIR_HTTP_CHUNKED_DONE;
	else if (chunked->trailer_state == TRAILER_NOT_YET)
		state = chunks_read(chunked, data, bytes, &at);
	if (state == WEIR_HTTP_CHUNKED_MORE && chunked->trailer_state != TRAILER_NOT_YET)
		state = trailer_read(chunked, data, bytes, &at);
	*out_consumed = at;
	*out_bytes = chunked->out_bytes;
	return state;
}
