#include "dataplane/http/http_request.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/http/http_char.h"
#include "dataplane/http/http_head_check.h"
#include "dataplane/http/http_head_scan.h"

/* A failure must not depend on how the bytes were cut into reads. Therefore a callback fails only
 * where a certain byte decides it; what it finds elsewhere is flagged, and judged when llhttp has
 * accepted the whole head. */
enum parser_flag {
	FLAG_IN_NAME = 1,   /* the last piece was one of a field name */
	FLAG_MALFORMED = 2, /* a value goes on in the next line (obs-fold) */
	FLAG_TOO_MANY = 4,  /* more fields than allowed; those beyond are not kept */
};

static const struct weir_span method_names[WEIR_HTTP_METHOD_COUNT] = {
	[WEIR_HTTP_GET] = {"GET", 3},         [WEIR_HTTP_HEAD] = {"HEAD", 4},
	[WEIR_HTTP_POST] = {"POST", 4},       [WEIR_HTTP_PUT] = {"PUT", 3},
	[WEIR_HTTP_DELETE] = {"DELETE", 6},   [WEIR_HTTP_PATCH] = {"PATCH", 5},
	[WEIR_HTTP_OPTIONS] = {"OPTIONS", 7},
};

/* The parser is found from its llhttp member, not from a pointer kept in it, so that it may move. */
static struct weir_http_parser *parser_of(llhttp_t *llhttp)
{
	return (struct weir_http_parser *)(void *)((char *)llhttp -
						   offsetof(struct weir_http_parser, llhttp));
}

static int callback_fail(struct weir_http_parser *parser, enum weir_http_failure failure)
{
	parser->failure = failure;
	return -1;
}

static int on_method_complete(llhttp_t *llhttp)
{
	struct weir_http_parser *parser = parser_of(llhttp);

	switch (llhttp->method) {
	case HTTP_GET:
		parser->method = WEIR_HTTP_GET;
		return 0;
	case HTTP_HEAD:
		parser->method = WEIR_HTTP_HEAD;
		return 0;
	case HTTP_POST:
		parser->method = WEIR_HTTP_POST;
		return 0;
	case HTTP_PUT:
		parser->method = WEIR_HTTP_PUT;
		return 0;
	case HTTP_DELETE:
		parser->method = WEIR_HTTP_DELETE;
		return 0;
	case HTTP_PATCH:
		parser->method = WEIR_HTTP_PATCH;
		return 0;
	case HTTP_OPTIONS:
		parser->method = WEIR_HTTP_OPTIONS;
		return 0;
	case HTTP_PRI:
		return 0; /* HTTP/2 with prior knowledge: its version is what is wrong */
	default:
		return callback_fail(parser, WEIR_HTTP_METHOD_UNKNOWN);
	}
}

static int on_url(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct weir_http_parser *parser = parser_of(llhttp);

	if (parser->target.offset == 0)
		parser->target.offset = (uint16_t)(at - parser->base);
	parser->target.bytes = (uint16_t)(parser->target.bytes + bytes);
	if (parser->target.bytes > parser->limits.target_bytes_max)
		return callback_fail(parser, WEIR_HTTP_TARGET_TOO_LONG);
	return 0;
}

/* llhttp reads "GET /" without a version as HTTP/0.9. */
static int on_url_complete(llhttp_t *llhttp)
{
	if (llhttp->http_minor == 9)
		return callback_fail(parser_of(llhttp), WEIR_HTTP_VERSION);
	return 0;
}

static int on_version_complete(llhttp_t *llhttp)
{
	struct weir_http_parser *parser = parser_of(llhttp);

	if (llhttp->http_major != 1 || llhttp->http_minor > 1)
		return callback_fail(parser, WEIR_HTTP_VERSION);
	parser->minor = llhttp->http_minor;
	return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct weir_http_parser *parser = parser_of(llhttp);

	if (!(parser->flags & FLAG_IN_NAME)) {
		parser->flags |= FLAG_IN_NAME;
		if (parser->header_count == parser->limits.headers_max) {
			parser->flags |= FLAG_TOO_MANY;
			return 0;
		}
		parser->headers[parser->header_count++] = (struct weir_http_header){
			.name = {.offset = (uint16_t)(at - parser->base),
				 .bytes = (uint16_t)bytes}};
	} else if (!(parser->flags & FLAG_TOO_MANY)) {
		struct weir_http_slice *name = &parser->headers[parser->header_count - 1].name;

		name->bytes = (uint16_t)(name->bytes + bytes);
	}
	return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct weir_http_parser *parser = parser_of(llhttp);
	const size_t offset = (size_t)(at - parser->base);

	parser->flags = (uint8_t)(parser->flags & ~FLAG_IN_NAME);
	if (parser->flags & FLAG_TOO_MANY)
		return 0;
	WEIR_DEBUG_ASSERT(parser->header_count > 0);
	struct weir_http_slice *value = &parser->headers[parser->header_count - 1].value;
	if (value->offset == 0)
		*value = (struct weir_http_slice){.offset = (uint16_t)offset,
						  .bytes = (uint16_t)bytes};
	else if ((size_t)value->offset + value->bytes == offset)
		value->bytes = (uint16_t)(value->bytes + bytes);
	else
		parser->flags |= FLAG_MALFORMED;
	return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
	(void)llhttp; /* the caller sees the pause */
	return HPE_PAUSED;
}

static const llhttp_settings_t request_settings = {
	.on_method_complete = on_method_complete,
	.on_url = on_url,
	.on_url_complete = on_url_complete,
	.on_version_complete = on_version_complete,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

void weir_http_parser_reset(struct weir_http_parser *parser,
			    const struct weir_http_limits *limits)
{
	WEIR_ASSERT(limits->head_bytes_max <= WEIR_HTTP_HEAD_BYTES_MAX);
	WEIR_ASSERT(limits->headers_max <= WEIR_HTTP_HEADERS_MAX);
	parser->limits = *limits;
	parser->method = WEIR_HTTP_GET;
	parser->body = WEIR_HTTP_BODY_NONE;
	parser->keep_alive = false;
	parser->expect_continue = false;
	parser->minor = 0;
	parser->resource_fields = 0;
	parser->authorization_fields = 0;
	parser->header_count = 0;
	parser->content_length = 0;
	parser->head_bytes = 0;
	parser->target = (struct weir_http_slice){0};
	parser->path = (struct weir_http_slice){0};
	parser->query = (struct weir_http_slice){0};
	parser->authority = (struct weir_http_slice){0};
	parser->failure = WEIR_HTTP_OK;
	parser->base = NULL;
	parser->consumed_bytes = 0;
	parser->flags = 0;
}

/* The request line's first byte: behind the empty lines that llhttp skips. */
static size_t line_start(const char *data, size_t bytes)
{
	size_t start = 0;

	while (start < bytes && (data[start] == '\r' || data[start] == '\n'))
		start++;
	return start;
}

/* llhttp stopped within the method, at `error`: a token that is no method it knows, or no token. */
static enum weir_http_failure method_failure(const char *data, size_t error, size_t bytes)
{
	const size_t start = line_start(data, bytes);

	if (error >= bytes || error < start)
		return WEIR_HTTP_BAD_REQUEST;
	const struct weir_span word = {.data = data + start, .bytes = error - start};
	if (!weir_http_char_all(word, WEIR_HTTP_CHAR_TOKEN))
		return WEIR_HTTP_BAD_REQUEST;
	if (weir_http_char_is(data[error], WEIR_HTTP_CHAR_TOKEN) ||
	    (data[error] == ' ' && word.bytes > 0))
		return WEIR_HTTP_METHOD_UNKNOWN;
	return WEIR_HTTP_BAD_REQUEST;
}

/* Where the line's word after next begins: the target (skip 1) or the version (skip 2). */
static size_t word_start(const char *data, size_t bytes, unsigned skip)
{
	size_t at = line_start(data, bytes);

	for (unsigned i = 0; i < skip; i++) {
		while (at < bytes && data[at] != ' ')
			at++;
		while (at < bytes && data[at] == ' ')
			at++;
	}
	return at;
}

/* True if the line ends behind its target, a path. llhttp notices with the byte after, for which a
 * client of HTTP/0.9 would wait in vain. Other forms of target, unknown to it, may wait. */
static bool line_is_http09(const struct weir_http_parser *parser, const char *data,
			   size_t bytes)
{
	const size_t at = (size_t)parser->target.offset + parser->target.bytes;

	if (parser->llhttp.http_major != 0 || parser->target.offset == 0 || at >= bytes ||
	    data[parser->target.offset] != '/')
		return false;
	return data[at] == '\n' || (data[at] == '\r' && at + 1 < bytes && data[at + 1] == '\n');
}

/* llhttp found a byte in the target that can't be there. One that the limit would not have let
 * through is not to blame: reads of other sizes would have ended at the limit. */
static enum weir_http_failure target_failure(const struct weir_http_parser *parser,
					     const char *data, size_t error, size_t bytes)
{
	if (line_is_http09(parser, data, bytes))
		return WEIR_HTTP_VERSION;
	const size_t start = word_start(data, bytes, 1);

	if (error > start && error - start > parser->limits.target_bytes_max)
		return WEIR_HTTP_TARGET_TOO_LONG;
	return WEIR_HTTP_BAD_REQUEST;
}

/* A well-formed version that is not ours is 505, anything else is no version. */
static enum weir_http_failure version_failure(const char *data, size_t bytes)
{
	const size_t at = word_start(data, bytes, 2);

	if (at + 8 > bytes || memcmp(data + at, "HTTP/", 5) != 0)
		return WEIR_HTTP_BAD_REQUEST;
	const char major = data[at + 5];
	const char minor = data[at + 7];
	if (major < '0' || major > '9' || data[at + 6] != '.' || minor < '0' || minor > '9')
		return WEIR_HTTP_BAD_REQUEST;
	if (major == '1' && minor <= '1')
		return WEIR_HTTP_BAD_REQUEST; /* the version is fine, what follows it is not */
	return WEIR_HTTP_VERSION;
}

static enum weir_http_failure llhttp_failure(const struct weir_http_parser *parser,
					     const char *data, size_t bytes)
{
	const char *position = llhttp_get_error_pos(&parser->llhttp);
	const size_t error = position != NULL ? (size_t)(position - data) : bytes;

	switch ((int)llhttp_get_errno(&parser->llhttp)) {
	case HPE_INVALID_METHOD:
		return method_failure(data, error, bytes);
	case HPE_INVALID_URL:
		return target_failure(parser, data, error, bytes);
	case HPE_INVALID_VERSION:
		return version_failure(data, bytes);
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		return WEIR_HTTP_BAD_FRAMING;
	default:
		return WEIR_HTTP_BAD_REQUEST;
	}
}

static enum weir_http_parse parser_fail(struct weir_http_parser *parser,
					enum weir_http_failure failure)
{
	parser->failure = failure;
	return WEIR_HTTP_PARSE_FAILED;
}

/* A head whose lines are known to be sound, of llhttp's state `coding`. */
static enum weir_http_parse parser_finish(struct weir_http_parser *parser, const char *data,
					  struct weir_http_slice absolute, unsigned coding)
{
	const enum weir_http_failure failure =
		weir_http_head_check(parser, data, absolute, coding);

	return failure == WEIR_HTTP_OK ? WEIR_HTTP_PARSE_HEAD : parser_fail(parser, failure);
}

/* llhttp has reached the end of the head's fields. */
static enum weir_http_parse parser_complete(struct weir_http_parser *parser, const char *data)
{
	struct weir_http_slice absolute;

	parser->head_bytes = (uint32_t)(llhttp_get_error_pos(&parser->llhttp) - data);
	if (parser->flags & FLAG_TOO_MANY)
		return parser_fail(parser, WEIR_HTTP_HEAD_TOO_LARGE);
	if (parser->flags & FLAG_MALFORMED || !weir_http_head_tidy(parser, data, &absolute))
		return parser_fail(parser, WEIR_HTTP_BAD_REQUEST);
	return parser_finish(parser, data, absolute, parser->llhttp.flags);
}

enum weir_http_parse weir_http_parser_execute(struct weir_http_parser *parser, const char *data,
					      size_t bytes)
{
	const size_t end =
		bytes < parser->limits.head_bytes_max ? bytes : parser->limits.head_bytes_max;

	if (parser->failure != WEIR_HTTP_OK)
		return WEIR_HTTP_PARSE_FAILED;
	if (parser->head_bytes > 0)
		return WEIR_HTTP_PARSE_HEAD;
	if (end <= parser->consumed_bytes)
		return WEIR_HTTP_PARSE_MORE;

	if (parser->consumed_bytes == 0) {
		if (weir_http_head_scan(parser, data, end))
			return parser_finish(parser, data, (struct weir_http_slice){0}, 0);
		llhttp_init(&parser->llhttp, HTTP_REQUEST, &request_settings);
	}
	/* Between two calls llhttp keeps no pointer into the bytes: an open span is restarted at what it
	 * is given next, so the pieces of a name or value stay contiguous wherever the head lies now. */
	parser->base = data;
	const llhttp_errno_t error = llhttp_execute(
		&parser->llhttp, data + parser->consumed_bytes, end - parser->consumed_bytes);
	parser->consumed_bytes = (uint32_t)end;
	if (error == HPE_OK) {
		if (line_is_http09(parser, data, end))
			return parser_fail(parser, WEIR_HTTP_VERSION);
		if (end == parser->limits.head_bytes_max)
			return parser_fail(parser, WEIR_HTTP_HEAD_TOO_LARGE);
		return WEIR_HTTP_PARSE_MORE;
	}
	if (parser->failure != WEIR_HTTP_OK)
		return WEIR_HTTP_PARSE_FAILED;
	if (error != HPE_PAUSED)
		return parser_fail(parser, llhttp_failure(parser, data, end));

	return parser_complete(parser, data);
}

struct weir_span weir_http_method_name(enum weir_http_method method)
{
	WEIR_ASSERT(method < WEIR_HTTP_METHOD_COUNT);
	return method_names[method];
}

int weir_http_method_parse(struct weir_span name, enum weir_http_method *out_method)
{
	for (unsigned i = 0; i < WEIR_HTTP_METHOD_COUNT; i++) {
		if (weir_span_equal(name, method_names[i])) {
			*out_method = (enum weir_http_method)i;
			return 0;
		}
	}
	return -EINVAL;
}
