#include "dataplane/http/http_head_scan.h"

#include <assert.h>

#include "dataplane/http/http_char.h"
#include "dataplane/http/http_scan.h"

enum {
	HEAD_BYTES_MIN = sizeof("GET / HTTP/1.0\r\n\r\n") - 1,
	VERSION_BYTES = sizeof(" HTTP/1.1\r\n") - 1,
	LENGTH_DIGITS_MAX = 19, /* more may not fit 64 bits */
};

static_assert((int)HEAD_BYTES_MIN >= (int)WEIR_HTTP_SCAN_BYTES, "a scan needs a block");

/* A slice of `data`, which has 65,535 bytes at most. */
static inline struct weir_http_slice slice(size_t start, size_t end)
{
	return (struct weir_http_slice){.offset = (uint16_t)start,
					.bytes = (uint16_t)(end - start)};
}

static inline bool is_blank(char byte)
{
	/* Most bytes are neither, nor below: one comparison. */
	return (unsigned char)byte <= ' ' && (byte == ' ' || byte == '\t');
}

/* The method at the head's start: its bytes with the space behind it, or 0 if it is none of ours. */
static inline size_t method_scan(const char *data, enum weir_http_method *out_method)
{
	if (memcmp(data, "GET ", 4) == 0) {
		*out_method = WEIR_HTTP_GET;
		return 4;
	}
	if (memcmp(data, "POST ", 5) == 0) {
		*out_method = WEIR_HTTP_POST;
		return 5;
	}
	if (memcmp(data, "PUT ", 4) == 0) {
		*out_method = WEIR_HTTP_PUT;
		return 4;
	}
	if (memcmp(data, "HEAD ", 5) == 0) {
		*out_method = WEIR_HTTP_HEAD;
		return 5;
	}
	if (memcmp(data, "DELETE ", 7) == 0) {
		*out_method = WEIR_HTTP_DELETE;
		return 7;
	}
	if (memcmp(data, "PATCH ", 6) == 0) {
		*out_method = WEIR_HTTP_PATCH;
		return 6;
	}
	if (memcmp(data, "OPTIONS ", 8) == 0) {
		*out_method = WEIR_HTTP_OPTIONS;
		return 8;
	}
	return 0;
}

/* What llhttp reads out of a length must be what http_head_check reads: plain digits. */
static bool length_is_plain(struct weir_span value)
{
	if (value.bytes == 0 || value.bytes > LENGTH_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < value.bytes; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
	}
	return true;
}

/* The one field at `at`, which does not start with CR. Returns where the next line starts, or 0. */
static inline size_t field_scan(const char *data, size_t at, size_t end,
				struct weir_http_header *out_header)
{
	const size_t name = at;

	at = weir_http_scan(data, at, end, weir_http_scan_word_mask);
	while (at < end && weir_http_char_is(data[at], WEIR_HTTP_CHAR_TOKEN))
		at++;
	if (at == name || at == end || data[at] != ':')
		return 0;
	out_header->name = slice(name, at);
	at++;
	if (at < end && data[at] == ' ')
		at++; /* one is usual */
	while (at < end && is_blank(data[at]))
		at++;
	const size_t value = at;

	at = weir_http_scan(data, at, end, weir_http_scan_value_mask);
	if (end - at < 2 || memcmp(data + at, "\r\n", 2) != 0)
		return 0;
	size_t value_end = at;

	while (value_end > value && is_blank(data[value_end - 1]))
		value_end--;
	out_header->value = slice(value, value_end);
	return at + 2;
}

/* Fields that llhttp reads as well. `after` is where the line after the field starts. */
static inline bool field_is_usual(const char *data, const struct weir_http_header *header,
				  size_t after, uint32_t *inout_lengths)
{
	const struct weir_span name = weir_http_slice_span(data, header->name);
	const struct weir_span value = weir_http_slice_span(data, header->value);

	if (name.bytes == sizeof("transfer-encoding") - 1)
		return !weir_span_equal_word(name, WEIR_SPAN("transfer-encoding"));
	if (weir_span_equal_word(name, WEIR_SPAN("content-length"))) {
		(*inout_lengths)++;
		return *inout_lengths == 1 && length_is_plain(value) &&
		       header->value.offset + value.bytes + 2 == after;
	}
	return true;
}

/* The fields at `at` and the empty line behind them. Returns where the head ends, or 0. */
static inline size_t fields_scan(struct weir_http_parser *parser, const char *data, size_t at,
				 size_t end, uint16_t *out_count)
{
	uint32_t lengths = 0;
	uint32_t count = 0;

	while (end - at >= 2 && data[at] != '\r') {
		if (count == parser->limits.headers_max)
			return 0;
		struct weir_http_header *header = &parser->headers[count++];

		at = field_scan(data, at, end, header);
		if (at == 0 || !field_is_usual(data, header, at, &lengths))
			return 0;
	}
	if (end - at < 2 || memcmp(data + at, "\r\n", 2) != 0)
		return 0;
	*out_count = (uint16_t)count;
	return at + 2;
}

bool weir_http_head_scan(struct weir_http_parser *parser, const char *data, size_t bytes)
{
	enum weir_http_method method;
	uint16_t header_count;

	if (bytes < HEAD_BYTES_MIN)
		return false;
	const size_t target = method_scan(data, &method);

	if (target == 0 || data[target] != '/')
		return false;
	const size_t path_end = weir_http_scan(data, target, bytes, weir_http_scan_path_mask);
	size_t target_end = path_end;

	/* A query may have question marks of its own. */
	while (target_end < bytes && data[target_end] == '?')
		target_end =
			weir_http_scan(data, target_end + 1, bytes, weir_http_scan_path_mask);
	if (target_end - target > parser->limits.target_bytes_max ||
	    bytes - target_end < VERSION_BYTES ||
	    memcmp(data + target_end, " HTTP/1.", 8) != 0 ||
	    memcmp(data + target_end + 9, "\r\n", 2) != 0)
		return false;
	const unsigned minor = (unsigned)(unsigned char)data[target_end + 8] - '0';

	if (minor > 1)
		return false;
	const size_t head_end =
		fields_scan(parser, data, target_end + VERSION_BYTES, bytes, &header_count);

	if (head_end == 0)
		return false;
	parser->method = method;
	parser->minor = (uint8_t)minor;
	parser->header_count = header_count;
	parser->head_bytes = (uint32_t)head_end;
	parser->target = slice(target, target_end);
	parser->path = slice(target, path_end);
	if (target_end > path_end)
		parser->query = slice(path_end + 1, target_end);
	return true;
}
