/* invoke: runs one accepted call in its function: the hooks of host.h.
 * Owns: nothing; the state of a call lies on the stack of its thread. Threads: the baton's holder. */
#ifndef WEIR_DATAPLANE_WORKER_INVOKE_H
#define WEIR_DATAPLANE_WORKER_INVOKE_H

#include "dataplane/worker/functions.h"
#include "dataplane/worker/host.h"
#include "dataplane/worker/watch.h"

/* How long a call waits for the snapshot that routed it. */
#define WEIR_INVOKE_SNAPSHOT_WAIT_NS UINT64_C(2000000000)

enum {
	WEIR_INVOKE_SHORT_NS = 2000, /* calls up to this may share a reading of the clock, */
	WEIR_INVOKE_STRETCH = 8,     /* as many as this */
};

/* Reading the clock costs as much as a third of a short call. So the end of a call is the start of
 * the next one, and calls of one function that is known to be short share one reading:
 *   mark_ns | call | call | call | reading: each took a third; the next mark
 * A time that is used between two readings is so up to WEIR_INVOKE_STRETCH short calls old. */
struct weir_invoke {
	struct weir_functions functions;
	struct weir_watch watch; /* where the runtime can interrupt */
	uint64_t service_ns;     /* moving average over all calls */
	uint64_t load_logged_ns; /* last line about a function that could not be loaded */
	uint64_t mark_ns; /* last reading, if calls followed it without a pause; 0 = none */
	struct weir_function *mark_function; /* whose mark_calls calls ended since */
	uint32_t mark_calls;
	uint64_t
		unpublished_ns; /* when the oldest answer that waits for publication was made; 0 = none */
};

/* Zeroed memory: open the runtime and what watches its calls. 0 or -errno. Before the host. */
int weir_invoke_open(struct weir_invoke *invoke);

/* The hooks, for weir_host_create() with a struct weir_invoke as context. */
extern const struct weir_host_hooks weir_invoke_hooks;

#endif
