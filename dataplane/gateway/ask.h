/* ask: what a request says that it needs of the worker that runs it, in two fields of its head:
 *
 *   x-weir-cpu-millicores: 500     1,000 = one CPU's time
 *   x-weir-memory-mb: 128
 *
 *   client's head (http) ---.                          .-> the function's smallest spec that holds it
 *                           >-- field by field: ask -->
 *   function's head (abi) --'                          `-> 400 or 503, and a sentence
 *
 * Whole numbers of up to nine digits, each field once; 0, or no field: any worker will do. A request that
 * asks gets a worker of the function's smallest spec that holds it, with room for it beside what the other
 * calls there asked for (schedule/fit.h); the others never wait for it. Clients may ask, and functions of
 * those that they call. Pure; the caller has the memory. */
#ifndef WEIR_DATAPLANE_GATEWAY_ASK_H
#define WEIR_DATAPLANE_GATEWAY_ASK_H

#include "dataplane/base/span.h"
#include "dataplane/http/http_failure.h"
#include "dataplane/schedule/fit.h"
#include "dataplane/shm/snapshot.h"

enum { WEIR_ASK_REASON_BYTES = 512 };

/* The fields. */
enum weir_ask_axis { WEIR_ASK_CPU, WEIR_ASK_MEMORY, WEIR_ASK_AXES };

/* What a head asks for, as far as it is read; zeros to begin with. */
struct weir_ask {
	struct weir_schedule_resources resources;
	bool seen[WEIR_ASK_AXES];
};

/* Read one field of the head; most mean nothing here. WEIR_HTTP_OK, or WEIR_HTTP_BAD_RESOURCES with a sentence
 * in reason[]. */
enum weir_http_failure weir_ask_field(struct weir_ask *ask, struct weir_span name, struct weir_span value,
				      char reason[WEIR_ASK_REASON_BYTES]);

/* Does one of the function's specs hold it? WEIR_HTTP_OK, or WEIR_HTTP_NO_SPEC with a sentence in reason[]. */
enum weir_http_failure weir_ask_match(const struct weir_ask *ask, const struct weir_snapshot *snapshot,
				      const struct weir_snapshot_function *function,
				      char reason[WEIR_ASK_REASON_BYTES]);

#endif
