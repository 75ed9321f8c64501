/* http_request: the head of one HTTP/1 request, from bytes to checked fields. No I/O, no allocation.
 *
 *   bytes of the connection          struct weir_http_parser
 *   |GET /a?b HTTP/1.1\r\n....|  ->  method, slices (offset, length) into those bytes, framing
 *
 * llhttp does the lexing (strict build, no lenient flag), but for the usual head that is there whole,
 * which http_head_scan.h reads with the same outcome; this module adds what llhttp leaves to its
 * caller: version, allowed methods, one Host, absolute-form against Host, no obs-fold, framing
 * conflicts (RFC 9112 sections 3.2, 5.2, 6.1, 6.3), limits.
 * Accepted beyond the grammar: " < > \ ^ ` { | } in a target, which clients do send; to us they are
 * ordinary bytes. The outcome never depends on how the bytes were cut into reads.
 * Slices are offsets from the head's first byte, so the head may be moved between two calls.
 * Owns: nothing; the caller keeps the bytes. Threads: one at a time per parser. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_REQUEST_H
#define WEIR_DATAPLANE_HTTP_HTTP_REQUEST_H

#include <llhttp.h>

#include "dataplane/base/span.h"
#include "dataplane/http/http_failure.h"

enum {
	WEIR_HTTP_HEADERS_MAX = 100,
	WEIR_HTTP_HEAD_BYTES_MAX = 65535, /* slices are 16 bits wide */
};

/* The methods that routes can name. Everything else is answered 501. */
enum weir_http_method {
	WEIR_HTTP_GET,
	WEIR_HTTP_HEAD,
	WEIR_HTTP_POST,
	WEIR_HTTP_PUT,
	WEIR_HTTP_DELETE,
	WEIR_HTTP_PATCH,
	WEIR_HTTP_OPTIONS,
	WEIR_HTTP_METHOD_COUNT,
};

enum weir_http_body {
	WEIR_HTTP_BODY_NONE,    /* no Content-Length, or 0 */
	WEIR_HTTP_BODY_LENGTH,  /* content_length > 0 bytes follow the head */
	WEIR_HTTP_BODY_CHUNKED, /* decode with http_chunked.h */
};

struct weir_http_slice {
	uint16_t offset; /* from the head's first byte */
	uint16_t bytes;
};

struct weir_http_header {
	struct weir_http_slice name;
	struct weir_http_slice value; /* surrounding white space removed */
};

struct weir_http_limits {
	uint32_t target_bytes_max;
	uint32_t head_bytes_max; /* at most WEIR_HTTP_HEAD_BYTES_MAX */
	uint32_t headers_max;    /* at most WEIR_HTTP_HEADERS_MAX */
	uint64_t body_bytes_max;
};

struct weir_http_parser {
	/* Valid once the head is complete. */
	enum weir_http_method method;
	enum weir_http_body body;
	bool keep_alive;      /* the connection may serve another request after this one */
	bool expect_continue; /* Expect: 100-continue on HTTP/1.1 with a body to come */
	uint8_t minor;        /* 0 or 1, of HTTP/1.x */
	uint8_t resource_fields; /* how many fields ask for resources: gateway/ask.h reads them */
	uint8_t authorization_fields; /* how many there are: http_credential.h reads them */
	uint16_t header_count;
	uint64_t content_length;
	uint32_t head_bytes;              /* the body starts here */
	struct weir_http_slice target;    /* as sent */
	struct weir_http_slice path;      /* undecoded; of absolute-form the part after the authority */
	struct weir_http_slice query;     /* without '?'; empty if none */
	struct weir_http_slice authority; /* Host, or the absolute-form's authority; empty on 1.0 */
	struct weir_http_header headers[WEIR_HTTP_HEADERS_MAX];
	/* Valid after WEIR_HTTP_PARSE_FAILED, and so is `method`: GET unless another one was read. */
	enum weir_http_failure failure;

	/* Private. */
	llhttp_t llhttp; /* initialised when it is first needed; after chunked heads always */
	struct weir_http_limits limits;
	const char *base;
	uint32_t consumed_bytes;
	uint8_t flags;
};

enum weir_http_parse {
	WEIR_HTTP_PARSE_MORE,   /* call again with more bytes */
	WEIR_HTTP_PARSE_HEAD,   /* complete */
	WEIR_HTTP_PARSE_FAILED, /* see parser->failure; close after answering */
};

/* Start on a new request. `limits` is copied. */
void weir_http_parser_reset(struct weir_http_parser *parser, const struct weir_http_limits *limits);

/* Go on: `data[0 .. bytes-1]` holds all bytes since the head's first one, old and new (empty lines
 * before the request line included). Only new bytes are looked at. Never reads beyond `bytes`. */
enum weir_http_parse weir_http_parser_execute(struct weir_http_parser *parser, const char *data,
					      size_t bytes);

/* The bytes of a slice, given the head's first byte. */
static inline struct weir_span weir_http_slice_span(const char *head, struct weir_http_slice slice)
{
	return (struct weir_span){.data = head + slice.offset, .bytes = slice.bytes};
}

/* "GET" and so on. */
struct weir_span weir_http_method_name(enum weir_http_method method);

/* Parse a method name (upper case): 0 and *out_method, or -EINVAL. */
int weir_http_method_parse(struct weir_span name, enum weir_http_method *out_method);

#endif
