/* encode: from a parsed and routed request to the head that a worker reads (abi/head.h).
 * Pure; the caller has the memory. */
#ifndef WEIR_DATAPLANE_GATEWAY_ENCODE_H
#define WEIR_DATAPLANE_GATEWAY_ENCODE_H

#include "dataplane/gateway/caller.h"
#include "dataplane/http/http_request.h"
#include "dataplane/route/route.h"

struct weir_encode_input {
	const struct weir_http_parser *parser;
	const char *head;          /* the bytes that were parsed */
	struct weir_span path;     /* normalised */
	struct weir_span peer;
	struct weir_caller caller;
	const struct weir_snapshot *snapshot;
	const struct weir_route_match *match;
	uint64_t content_length;   /* WEIR_HEAD_LENGTH_UNKNOWN for a body still chunked */
};

/* Bytes that weir_encode_request() will write: exact. */
size_t weir_encode_bytes(const struct weir_encode_input *input);

/* Write the head to `out`, which has room for weir_encode_bytes(). Returns its bytes; 0 if the head
 * outgrows WEIR_HEAD_REQUEST_BYTES_MAX (then nothing was written). */
size_t weir_encode_request(const struct weir_encode_input *input, char *out);

#endif
