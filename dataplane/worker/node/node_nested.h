/* node_nested: calls that a function makes to others (abi/nested.h), without waiting in place.
 *
 *   start --> request: head and body in memory of the worker --room--> slot's chunk, part by part
 *             answer: gathered (worker/nested.h) --whole--> JavaScript
 *
 * Owns: requests that are not sent yet, and what is gathered. Threads: JavaScript's.
 * Peer death: the parent's call is cancelled, and all of it freed. */
#ifndef WEIR_DATAPLANE_WORKER_NODE_NODE_NESTED_H
#define WEIR_DATAPLANE_WORKER_NODE_NODE_NESTED_H

#include "dataplane/worker/nested.h"
#include "dataplane/worker/node/node_host.h"

/* Make a call for `slot`'s: 0 and *out_nested, -EBUSY (four are awaited already), -EINVAL, -E2BIG,
 * -EMSGSIZE (as weir_runtime_call_ops.nested_start), -ENOMEM. The answer comes by
 * weir_node_nested_answered(), not before this returned. */
int weir_node_nested_start(struct weir_node_slot *slot, const struct weir_runtime_target *target,
			   uint32_t *out_nested);

/* Something came for that call. */
void weir_node_nested_events(struct weir_node_slot *slot);

/* The parent's call is over: free everything. NULL is accepted. */
void weir_node_nested_end(struct weir_node_nested *nested);

/* In node_js.c: hand it to JavaScript. `result` 0, or why there is no answer. */
void weir_node_nested_answered(struct weir_node_slot *slot, uint32_t nested, int result,
			       const struct weir_runtime_answer *answer);

#endif
