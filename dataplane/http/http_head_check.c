#include "dataplane/http/http_head_check.h"

#include "dataplane/http/http_char.h"
#include "dataplane/http/http_scan.h"

/* What the fields of one head say about its connection and framing. */
struct head_fields {
	struct weir_http_slice host;
	struct weir_http_slice length;
	uint8_t host_count; /* there are WEIR_HTTP_HEADERS_MAX fields at most */
	uint8_t length_count;
	uint8_t coding_count;
	bool chunked;          /* the last coding is `chunked` */
	bool coding_unknown;   /* some other coding is named */
	bool coding_malformed; /* no list of codings, or `chunked` twice or not last */
	bool close;
	bool keep_alive;
	bool expect_continue;
	bool expect_other;
};

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static struct weir_span trim(struct weir_span text)
{
	while (text.bytes > 0 && is_blank(text.data[0])) {
		text.data++;
		text.bytes--;
	}
	while (text.bytes > 0 && is_blank(text.data[text.bytes - 1]))
		text.bytes--;
	return text;
}

/* Cut `text` at its first `mark`: *out_before is what stands before it, *out_after what follows.
 * False (and all of it in *out_before) if there is none. */
static bool split(struct weir_span text, char mark, struct weir_span *out_before,
		  struct weir_span *out_after)
{
	const char *at = text.bytes > 0 ? memchr(text.data, mark, text.bytes) : NULL;

	*out_before = text;
	*out_after = (struct weir_span){.data = text.data + text.bytes, .bytes = 0};
	if (at == NULL)
		return false;
	out_before->bytes = (size_t)(at - text.data);
	*out_after =
		(struct weir_span){.data = at + 1, .bytes = text.bytes - out_before->bytes - 1};
	return true;
}

/* True if nothing but CRLF pairs stands before the request line (RFC 9112 section 2.2), its parts
 * are one space apart, and line and head end in CRLF. */
static bool line_is_strict(const struct weir_http_parser *parser, const char *head)
{
	const struct weir_span method = weir_http_method_name(parser->method);
	const size_t target = parser->target.offset;
	const size_t version = target + parser->target.bytes;

	if (target < method.bytes + 1 || version + 13 > parser->head_bytes)
		return false;
	const size_t start = target - 1 - method.bytes;
	if (start % 2 != 0 || head[target - 1] != ' ' ||
	    memcmp(head + start, method.data, method.bytes) != 0)
		return false;
	for (size_t i = 0; i < start; i += 2) {
		if (head[i] != '\r' || head[i + 1] != '\n')
			return false;
	}
	return memcmp(head + version, " HTTP/1.", 8) == 0 &&
	       head[version + 8] == '0' + parser->minor &&
	       memcmp(head + version + 9, "\r\n", 2) == 0 &&
	       memcmp(head + parser->head_bytes - 4, "\r\n\r\n", 4) == 0;
}

/* Trim the value; false if the name is empty, or the value starts on a later line than the name.
 * The head is known to end in CRLF, which stops the walk over blanks. */
static bool header_tidy(const char *head, struct weir_http_header *header)
{
	size_t at = (size_t)header->name.offset + header->name.bytes;

	if (header->name.bytes == 0 || head[at] != ':')
		return false;
	at++;
	while (is_blank(head[at]))
		at++;
	if (header->value.bytes == 0) {
		/* llhttp reports an empty value where the next line starts. */
		const bool next_line = at + 2 == header->value.offset && head[at] == '\r' &&
				       head[at + 1] == '\n';

		if (!next_line && at != header->value.offset)
			return false;
		header->value.offset = (uint16_t)at;
		return true;
	}
	if (at != header->value.offset)
		return false;
	while (is_blank(head[header->value.offset + header->value.bytes - 1]))
		header->value.bytes--;
	return true;
}

static void connection_add(struct head_fields *fields, struct weir_span value)
{
	struct weir_span option;
	bool more = true;

	while (more) {
		more = split(value, ',', &option, &value);
		option = trim(option);
		if (weir_span_equal_word(option, WEIR_SPAN("close")))
			fields->close = true;
		else if (weir_span_equal_word(option, WEIR_SPAN("keep-alive")))
			fields->keep_alive = true;
	}
}

/* Several Transfer-Encoding fields are one list (RFC 9110 section 5.3). Empty elements are refused:
 * peers disagree on them, and no client sends them. */
static void coding_add(struct head_fields *fields, struct weir_span value)
{
	struct weir_span coding;
	bool more = true;

	fields->coding_count++;
	while (more) {
		struct weir_span name;
		struct weir_span parameters;

		more = split(value, ',', &coding, &value);
		const bool has_parameters = split(trim(coding), ';', &name, &parameters);
		name = trim(name);
		const bool chunked = weir_span_equal_word(name, WEIR_SPAN("chunked"));

		if (fields->chunked || !weir_http_char_is_token(name) ||
		    (chunked && has_parameters))
			fields->coding_malformed = true;
		else if (chunked)
			fields->chunked = true;
		else
			fields->coding_unknown = true;
	}
}

/* Apart: hardly any request has one. */
static __attribute__((noinline, cold)) void resource_note(struct weir_http_parser *parser, struct weir_span name)
{
	if (weir_span_equal_word(name, WEIR_SPAN("x-weir-memory-mb")) ||
	    weir_span_equal_word(name, WEIR_SPAN("x-weir-cpu-millicores")))
		parser->resource_fields++;
}

static void field_add(struct weir_http_parser *parser, struct head_fields *fields, const char *head,
		      const struct weir_http_header *header)
{
	const struct weir_span name = weir_http_slice_span(head, header->name);
	const struct weir_span value = weir_http_slice_span(head, header->value);

	switch (name.bytes) {
	case 4:
		if (weir_span_equal_word(name, WEIR_SPAN("host"))) {
			fields->host = header->value;
			fields->host_count++;
		}
		break;
	case 6:
		if (weir_span_equal_word(name, WEIR_SPAN("expect"))) {
			if (weir_span_equal_word(value, WEIR_SPAN("100-continue")))
				fields->expect_continue = true;
			else
				fields->expect_other = true;
		}
		break;
	case 10:
		if (weir_span_equal_word(name, WEIR_SPAN("connection")))
			connection_add(fields, value);
		break;
	case 13:
		if (weir_span_equal_word(name, WEIR_SPAN("authorization")))
			parser->authorization_fields++;
		break;
	case 14:
		if (weir_span_equal_word(name, WEIR_SPAN("content-length"))) {
			fields->length = header->value;
			fields->length_count++;
		}
		break;
	case 17:
		if (weir_span_equal_word(name, WEIR_SPAN("transfer-encoding")))
			coding_add(fields, value);
		break;
	case 16:
	case 21:
		resource_note(parser, name);
		break;
	default:
		break;
	}
}

/* [ ":" [ port ] ] up to `end`, behind which no digit stands. */
static inline bool port_is_valid(const char *at, const char *end)
{
	uint32_t number = 0;
	uint32_t digit;

	if (at == end)
		return true;
	if (*at != ':' || end - at > 6)
		return false;
	while ((digit = (uint32_t)(unsigned char)*++at - '0') <= 9)
		number = number * 10 + digit;
	return at == end && number <= UINT16_MAX;
}

static __attribute__((noinline)) bool literal_address_is_valid(const char *at, const char *end)
{
	const char *const start = ++at;

	while (weir_http_char_is(*at, WEIR_HTTP_CHAR_HEX) || *at == ':' || *at == '.')
		at++;
	return at < end && *at == ']' && at - start >= 2 && port_is_valid(at + 1, end);
}

/* uri-host [ ":" port ] with a host, without user information and percent escapes. Behind an
 * authority in a head stands a byte that ends each walk: white space, '/' or '?'. A head is long enough
 * for a scan: its request line alone has 16 bytes and more. */
static inline bool authority_is_valid(const struct weir_http_parser *parser, const char *head,
				      struct weir_http_slice authority)
{
	const char *const start = head + authority.offset;
	const char *const end = start + authority.bytes;

	if (*start == '[')
		return literal_address_is_valid(start, end);
	const char *at = head + weir_http_scan(head, authority.offset, parser->head_bytes,
					       weir_http_scan_word_mask);

	while (weir_http_char_is(*at, WEIR_HTTP_CHAR_HOST))
		at++;
	return at != start && port_is_valid(at, end);
}

/* Split "http://authority/path?query" or "/path?query" or "*" into parser->path and ->query; the
 * authority of the first form goes to *out_authority. */
static bool target_split(struct weir_http_parser *parser, const char *head,
			 struct weir_http_slice *out_authority)
{
	const struct weir_span target = weir_http_slice_span(head, parser->target);
	struct weir_span rest = target;
	struct weir_span path;
	struct weir_span query;

	*out_authority = (struct weir_http_slice){0};
	if (memchr(target.data, '#', target.bytes) != NULL)
		return false;
	if (target.data[0] == '*') {
		parser->path = parser->target;
		parser->query = (struct weir_http_slice){0};
		return target.bytes == 1 && parser->method == WEIR_HTTP_OPTIONS;
	}
	if (target.data[0] != '/') {
		const size_t scheme =
			target.bytes > 8 && strncasecmp(target.data, "https://", 8) == 0 ? 8
											 : 7;

		if (target.bytes <= 7 ||
		    (scheme == 7 && strncasecmp(target.data, "http://", 7) != 0))
			return false;
		size_t authority = 0;
		while (scheme + authority < target.bytes &&
		       target.data[scheme + authority] != '/' &&
		       target.data[scheme + authority] != '?')
			authority++;
		*out_authority = (struct weir_http_slice){
			.offset = (uint16_t)(parser->target.offset + scheme),
			.bytes = (uint16_t)authority};
		rest.data += scheme + authority;
		rest.bytes -= scheme + authority;
	}
	const bool has_query = split(rest, '?', &path, &query);
	/* An absolute-form without a path means "/" (RFC 9110 section 4.2.3): the scheme has one to show. */
	parser->path = (struct weir_http_slice){.offset = (uint16_t)(path.data - head),
						.bytes = (uint16_t)path.bytes};
	if (path.bytes == 0)
		parser->path = (struct weir_http_slice){
			.offset = (uint16_t)(out_authority->offset - 1), .bytes = 1};
	parser->query = (struct weir_http_slice){0};
	if (has_query)
		parser->query =
			(struct weir_http_slice){.offset = (uint16_t)(query.data - head),
						 .bytes = (uint16_t)query.bytes};
	return true;
}

/* One Host on HTTP/1.1, at most one on 1.0; an absolute-form's authority must say the same. */
static enum weir_http_failure host_check(struct weir_http_parser *parser, const char *head,
					 const struct head_fields *fields,
					 struct weir_http_slice absolute)
{
	const struct weir_span host = weir_http_slice_span(head, fields->host);
	const struct weir_span authority = weir_http_slice_span(head, absolute);

	if (fields->host_count > 1 || (fields->host_count == 0 && parser->minor == 1))
		return WEIR_HTTP_BAD_HOST;
	if (fields->host_count == 1 && !authority_is_valid(parser, head, fields->host))
		return WEIR_HTTP_BAD_HOST;
	parser->authority = fields->host_count == 1 ? fields->host : absolute;
	if (absolute.offset == 0)
		return WEIR_HTTP_OK;
	if (!authority_is_valid(parser, head, absolute))
		return WEIR_HTTP_BAD_REQUEST;
	if (fields->host_count == 1 && !weir_span_equal_nocase(host, authority))
		return WEIR_HTTP_BAD_HOST;
	return WEIR_HTTP_OK;
}

static bool length_parse(struct weir_span text, uint64_t *out_length)
{
	uint64_t length = 0;

	if (text.bytes == 0)
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		const char digit = text.data[i];

		if (digit < '0' || digit > '9' ||
		    __builtin_mul_overflow(length, 10u, &length) ||
		    __builtin_add_overflow(length, (uint64_t)(digit - '0'), &length))
			return false;
	}
	*out_length = length;
	return true;
}

/* How the body is delimited (RFC 9112 section 6.3), refusing whatever two readers could read in
 * two ways. */
static enum weir_http_failure framing_check(struct weir_http_parser *parser, const char *head,
					    const struct head_fields *fields, unsigned coding)
{
	parser->body = WEIR_HTTP_BODY_NONE;
	parser->content_length = 0;
	if (fields->coding_count > 0) {
		if (parser->minor == 0 || fields->length_count > 0 || fields->coding_malformed)
			return WEIR_HTTP_BAD_FRAMING;
		if (fields->coding_unknown)
			return WEIR_HTTP_CODING_UNKNOWN;
		/* The chunked decoder goes on from llhttp's state, so both must have read the same. */
		if ((coding & F_CHUNKED) == 0)
			return WEIR_HTTP_BAD_FRAMING;
		parser->body = WEIR_HTTP_BODY_CHUNKED;
		return WEIR_HTTP_OK;
	}
	if ((coding & (F_CHUNKED | F_TRANSFER_ENCODING)) != 0 || fields->length_count > 1)
		return WEIR_HTTP_BAD_FRAMING;
	if (fields->length_count == 0)
		return WEIR_HTTP_OK;
	if (!length_parse(weir_http_slice_span(head, fields->length), &parser->content_length))
		return WEIR_HTTP_BAD_FRAMING;
	if (parser->content_length > parser->limits.body_bytes_max)
		return WEIR_HTTP_BODY_TOO_LARGE;
	if (parser->content_length > 0)
		parser->body = WEIR_HTTP_BODY_LENGTH;
	return WEIR_HTTP_OK;
}

/* RFC 9110 section 10.1.1. A 1.0 client's 100-continue is ignored, as it must be. A 1.1 client that
 * waits for 100 (Continue) announces content, yet without a length it can't send any: 411. */
static enum weir_http_failure expect_check(struct weir_http_parser *parser,
					   const struct head_fields *fields)
{
	if (fields->expect_other)
		return WEIR_HTTP_EXPECTATION;
	if (!fields->expect_continue || parser->minor == 0)
		return WEIR_HTTP_OK;
	if (fields->length_count == 0 && fields->coding_count == 0)
		return WEIR_HTTP_LENGTH_REQUIRED;
	parser->expect_continue = parser->body != WEIR_HTTP_BODY_NONE;
	return WEIR_HTTP_OK;
}

bool weir_http_head_tidy(struct weir_http_parser *parser, const char *head,
			 struct weir_http_slice *out_absolute)
{
	if (!line_is_strict(parser, head))
		return false;
	for (size_t i = 0; i < parser->header_count; i++) {
		if (!header_tidy(head, &parser->headers[i]))
			return false;
	}
	return target_split(parser, head, out_absolute);
}

enum weir_http_failure weir_http_head_check(struct weir_http_parser *parser, const char *head,
					    struct weir_http_slice absolute, unsigned coding)
{
	struct head_fields fields = {0};

	for (size_t i = 0; i < parser->header_count; i++)
		field_add(parser, &fields, head, &parser->headers[i]);
	enum weir_http_failure failure = host_check(parser, head, &fields, absolute);
	if (failure == WEIR_HTTP_OK)
		failure = framing_check(parser, head, &fields, coding);
	if (failure == WEIR_HTTP_OK)
		failure = expect_check(parser, &fields);
	parser->keep_alive = !fields.close && (parser->minor == 1 || fields.keep_alive);
	return failure;
}
