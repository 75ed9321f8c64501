/* http_chunked: decodes a chunked request body by copying (RFC 9112 section 7.1), over llhttp.
 * Trailer fields are checked and dropped, at most WEIR_HTTP_TRAILER_BYTES_MAX of them; the bytes
 * spent on framing (extensions, tiny chunks) are limited against the payload, so that a client
 * can't buy much work with few bytes. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_CHUNKED_H
#define WEIR_DATAPLANE_HTTP_HTTP_CHUNKED_H

#include "dataplane/http/http_request.h"

enum {
	WEIR_HTTP_TRAILER_BYTES_MAX = 8192,
	WEIR_HTTP_CHUNK_LINE_BYTES_MAX = 4096, /* framing between two bytes of payload */
	/* Framing may have this many bytes, and so many more for each byte of payload. */
	WEIR_HTTP_CHUNK_FRAMING_BYTES_MAX = 16384,
	WEIR_HTTP_CHUNK_FRAMING_PER_BYTE = 8,
};

struct weir_http_chunked {
	llhttp_t llhttp;
	uint64_t body_bytes;     /* decoded so far */
	uint64_t body_bytes_max; /* more fails with WEIR_HTTP_BODY_TOO_LARGE */
	uint64_t framing_bytes;
	enum weir_http_failure failure; /* valid after WEIR_HTTP_CHUNKED_FAILED */
	char *out;                      /* private */
	size_t out_bytes;               /* private */
	bool done;                      /* private */
	uint8_t trailer_state;          /* private; 0 before the last chunk's line is complete */
	uint32_t line_bytes;            /* private: framing since the last byte of payload */
	uint32_t trailer_bytes;         /* private */
	const char *mark;               /* private: framing before it is counted */
};

enum weir_http_chunked_state {
	WEIR_HTTP_CHUNKED_MORE,
	WEIR_HTTP_CHUNKED_DONE,
	WEIR_HTTP_CHUNKED_FAILED,
};

/* Start on the body of the head that `parser` just completed with WEIR_HTTP_BODY_CHUNKED; its
 * state is copied, so `parser` may be reset afterwards. body_bytes_max is that of its limits. */
void weir_http_chunked_start(struct weir_http_chunked *chunked, const struct weir_http_parser *parser);

/* Decode data[0..bytes-1] to `out`, which has room for `bytes` (may be the same memory: decoding in
 * place is allowed). *out_consumed: input used (less than `bytes` only with DONE: the rest is the
 * next request); *out_bytes: payload written. After DONE or FAILED nothing more is consumed. The
 * failure is WEIR_HTTP_BAD_CHUNK or WEIR_HTTP_BODY_TOO_LARGE, and does not depend on how the input
 * was cut into calls; payload decoded before it may have been written. */
enum weir_http_chunked_state weir_http_chunked_decode(struct weir_http_chunked *chunked,
						      const char *data, size_t bytes, char *out,
						      size_t *out_consumed, size_t *out_bytes);

#endif
