/* ask: what a request says that it needs of the worker that runs it, in two fields of its head:
 *
 *   x-weir-cpu-millicores: 500     1,000 = one CPU's time
 *   x-weir-memory-mb: 128
 *
 * Whole numbers of up to nine digits, each field once; 0, or no field: any worker will do. A request that
 * asks gets a worker of the function's smallest spec that holds it, with room for it beside what the other
 * calls there asked for (schedule/fit.h); the others never wait for it. Pure; the caller has the memory. */
#ifndef WEIR_DATAPLANE_GATEWAY_ASK_H
#define WEIR_DATAPLANE_GATEWAY_ASK_H

#include "dataplane/http/http_request.h"
#include "dataplane/schedule/fit.h"
#include "dataplane/shm/snapshot.h"

enum { WEIR_ASK_REASON_BYTES = 512 };

/* What the head asks for: WEIR_HTTP_OK and *out_ask, which one of the function's specs holds. Else WEIR_HTTP_BAD_RESOURCES or WEIR_HTTP_NO_SPEC with a sentence in reason[]. For a head
 * with resource fields only; `head` is what the parser's slices lie in. */
enum weir_http_failure weir_ask_read(const struct weir_http_parser *parser, const char *head,
				     const struct weir_snapshot *snapshot,
				     const struct weir_snapshot_function *function,
				     struct weir_schedule_resources *out_ask, char reason[WEIR_ASK_REASON_BYTES]);

#endif
