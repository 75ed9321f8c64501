/* http_response: writes response heads and chunk framing. Nothing here sends.
 * The gateway writes every head itself: a function supplies status and fields, which pass
 * weir_http_field_check() first; framing and connection fields are ours alone. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_RESPONSE_H
#define WEIR_DATAPLANE_HTTP_HTTP_RESPONSE_H

#include "dataplane/base/span.h"

#define WEIR_HTTP_LENGTH_UNKNOWN UINT64_MAX

enum {
	WEIR_HTTP_RESPONSE_FIELDS_MAX = 64,
	WEIR_HTTP_CHUNK_PREFIX_MAX = 18, /* 16 hex digits and CRLF */
};

struct weir_http_field {
	struct weir_span name;
	struct weir_span value;
};

struct weir_http_response_head {
	uint16_t status;         /* 200 .. 599 */
	uint8_t minor;           /* of the request's HTTP/1.x */
	bool keep_alive;         /* false adds "Connection: close" (true adds keep-alive on 1.0) */
	uint64_t content_length; /* or WEIR_HTTP_LENGTH_UNKNOWN: chunked on 1.1, until close on 1.0.
				  * Not written for 204 and 304 (RFC 9110 section 8.6). */
	const char *activation;  /* 32 hex digits for x-openwhisk-activation-id, or NULL */
	const char *date;        /* 29 bytes, IMF-fixdate, or NULL for none */
	const struct weir_http_field *fields;
	size_t field_count;
};

/* What to do with a field that a function set. */
enum weir_http_field_verdict {
	WEIR_HTTP_FIELD_KEEP,
	WEIR_HTTP_FIELD_DROP,   /* framing or hop-by-hop: Connection, Content-Length, Transfer-Encoding,
				 * Keep-Alive, TE, Trailer, Upgrade, Proxy-Connection, Date,
				 * x-openwhisk-activation-id */
	WEIR_HTTP_FIELD_REFUSE, /* not a token, or a value with CR, LF, NUL or other controls */
};

/* Judge one field of a function's answer. Any thread; neither blocks nor allocates. */
enum weir_http_field_verdict weir_http_field_check(struct weir_span name, struct weir_span value);

/* Write the head, ending in the empty line. Returns its bytes, or 0 if `max` is too small. */
size_t weir_http_response_head_write(const struct weir_http_response_head *head, char *out, size_t max);

/* True if a response of this status to this method has no body (HEAD, 204, 304; RFC 9112 6.3). */
bool weir_http_response_bodyless(unsigned status, bool request_was_head);

/* "1a2b\r\n" before `bytes` (> 0) of payload; returns its bytes. After the payload comes "\r\n";
 * the body ends with "0\r\n\r\n". */
size_t weir_http_chunk_prefix(uint64_t bytes, char out[WEIR_HTTP_CHUNK_PREFIX_MAX]);

/* Format seconds since the epoch as IMF-fixdate, 29 bytes, no NUL (RFC 9110 section 5.6.7). Times
 * before 1970 and after 9999 are written as the nearest that fits. */
void weir_http_date_format(int64_t epoch_seconds, char out[29]);

#endif
