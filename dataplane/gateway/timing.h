/* timing: what a request's stages took, told to who asks: a request through the Unix socket with the
 * field x-weir-timing finds it again in its answer, errors too:
 *
 *   x-weir-timing: wait=0.012 worker=0.345 cold=0     milliseconds
 *
 *   head parsed --wait--> bound to a worker --worker--> the answer's head is written
 *
 * cold=1: no worker of the pool was there when it came, so one had to be started. From elsewhere the
 * field means nothing. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_TIMING_H
#define WEIR_DATAPLANE_GATEWAY_TIMING_H

#include "dataplane/gateway/exchange.h"
#include "dataplane/http/http_request.h"
#include "dataplane/http/http_response.h"

enum { WEIR_TIMING_BYTES_MAX = 96 };

/* Begin, if the request asks for it; `head` is what the parser's slices lie in. */
void weir_timing_begin(struct weir_exchange *exchange, const struct weir_http_parser *parser,
		       const char *head);

/* The field of the answer, over text[]. False: nobody asked. */
bool weir_timing_field(const struct weir_exchange *exchange, char text[WEIR_TIMING_BYTES_MAX],
		       struct weir_http_field *out_field);

/* The answer begins of an exchange that had to wait for a worker's start: count it, and report the first of
 * each worker. */
void weir_timing_cold(struct weir_shard *shard, struct weir_shard_link *link, const struct weir_exchange *exchange);

#endif
