/* http_failure: every way in which Weir itself answers with an error, in one table.
 * http_error_map.c alone turns a failure into status, code word, part and sentence; nothing else
 * chooses an error status. Body: {"error":"...","code":"...","part":"...","activation":"..."},
 * except no_route, whose body is exactly {"error":"Function not found"} (the C seed's contract). */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_FAILURE_H
#define WEIR_DATAPLANE_HTTP_HTTP_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_http_failure {
	WEIR_HTTP_OK,
	/* part "http": the request itself */
	WEIR_HTTP_BAD_REQUEST,          /* 400 the line or a field is malformed */
	WEIR_HTTP_BAD_HOST,             /* 400 Host missing, repeated or invalid */
	WEIR_HTTP_BAD_PATH,             /* 400 bad escape, NUL, climbs above the root */
	WEIR_HTTP_BAD_FRAMING,          /* 400 conflicting or malformed length or coding */
	WEIR_HTTP_BAD_CHUNK,            /* 400 chunked body malformed */
	WEIR_HTTP_BAD_RESOURCES,        /* 400 x-weir-cpu-millicores or x-weir-memory-mb malformed or repeated */
	WEIR_HTTP_HEAD_TIMEOUT,         /* 408 */
	WEIR_HTTP_BODY_TIMEOUT,         /* 408 */
	WEIR_HTTP_LENGTH_REQUIRED,      /* 411 */
	WEIR_HTTP_BODY_TOO_LARGE,       /* 413 */
	WEIR_HTTP_TARGET_TOO_LONG,      /* 414 */
	WEIR_HTTP_EXPECTATION,          /* 417 Expect other than 100-continue */
	WEIR_HTTP_HEAD_TOO_LARGE,       /* 431 */
	WEIR_HTTP_METHOD_UNKNOWN,       /* 501 */
	WEIR_HTTP_CODING_UNKNOWN,       /* 501 transfer coding other than chunked */
	WEIR_HTTP_VERSION,              /* 505 */
	/* part "route" */
	WEIR_HTTP_NO_ROUTE,             /* 404 */
	WEIR_HTTP_METHOD_NOT_ALLOWED,   /* 405 with Allow */
	WEIR_HTTP_RUNTIME_MISSING,      /* 501 the function's runtime is not there */
	WEIR_HTTP_CALL_MALFORMED,       /* 400 a function called another with a malformed request */
	WEIR_HTTP_CALL_FOREIGN,         /* 403 ... one of another namespace */
	WEIR_HTTP_CALL_UNKNOWN,         /* 404 ... one that is not there */
	WEIR_HTTP_CALL_BODY,            /* 413 ... with too large a body */
	WEIR_HTTP_CALL_FAN_OUT,         /* 429 ... once too often */
	WEIR_HTTP_CALL_DEPTH,           /* 508 ... too deep in a chain of such calls */
	/* part "queue" */
	WEIR_HTTP_QUEUE_FULL,           /* 429 with Retry-After */
	WEIR_HTTP_OVERLOADED,           /* 503 with Retry-After: the queue stands */
	WEIR_HTTP_CONNECTIONS_FULL,     /* 503 with Retry-After */
	WEIR_HTTP_CALLS_FULL,           /* 503 calls between functions */
	WEIR_HTTP_NO_WORKER,            /* 503 with Retry-After */
	WEIR_HTTP_NO_SPEC,              /* 503 no spec of the function holds what the request asks for */
	WEIR_HTTP_NO_MEMORY,            /* 503 with Retry-After: shard's buffers are used up */
	WEIR_HTTP_QUEUE_TIMEOUT,        /* 504 the deadline passed before a worker was free */
	WEIR_HTTP_SHUTTING_DOWN,        /* 503 with Retry-After */
	/* part "worker" */
	WEIR_HTTP_OUT_OF_MEMORY,        /* 502 the worker died for want of memory while it ran the call */
	WEIR_HTTP_WORKER_DIED,          /* 502 the worker died while it ran the call */
	WEIR_HTTP_FUNCTION_FAILED,      /* 502 the function reported an internal failure */
	WEIR_HTTP_FUNCTION_GARBAGE,     /* 502 its answer is malformed */
	WEIR_HTTP_FUNCTION_LOAD,        /* 502 its code could not be loaded */
	WEIR_HTTP_FUNCTION_TIMEOUT,     /* 504 */
	/* New ones come last: records of calls keep the numbers. Part "access" */
	WEIR_HTTP_UNAUTHORIZED,         /* 401 with WWW-Authenticate: a key is needed, or the one sent is none */
	WEIR_HTTP_FORBIDDEN,            /* 403 the key is of another namespace, or its role too small */
	WEIR_HTTP_FAILURE_COUNT,
};

struct weir_http_failure_row {
	uint16_t status;
	const char *code;     /* "bad_request" */
	const char *part;     /* "http", "route", "access", "queue" or "worker" */
	const char *sentence; /* what, and what to do */
	bool retry_after;     /* send Retry-After: 1 */
	bool close;           /* the stream can no longer be trusted */
};

/* The row of a failure (not WEIR_HTTP_OK). Static storage. */
const struct weir_http_failure_row *weir_http_failure_row(enum weir_http_failure failure);

/* Write the JSON body of a failure to out (at most `max` bytes), `detail` (may be empty) replacing
 * the row's sentence, `activation` 32 hex digits or NULL. Escapes as JSON needs. Returns bytes;
 * a text that does not fit is shortened inside its string. `max` at least 256. */
size_t weir_http_failure_body(enum weir_http_failure failure, const char *detail,
			      const char *activation, char *out, size_t max);

/* "OK", "Not Found": the reason phrase of a status, "" if unknown (RFC 9110 section 15). */
const char *weir_http_reason(unsigned status);

#endif
