/* nested: calls that a function makes to others, as its runtime sees them, over port_nested.h.
 *
 *   target --start--> slot: head and body into its chunk, part by part
 *   slot --answer--> gathered in memory of the worker, checked, handed to the runtime
 *
 * Owns: what is gathered, and answers until they are freed or the function returns.
 * Threads: the baton's holder. Peer death: -ECANCELED. */
#ifndef WEIR_DATAPLANE_WORKER_NESTED_H
#define WEIR_DATAPLANE_WORKER_NESTED_H

#include "dataplane/abi/nested.h"
#include "dataplane/port/port_call.h"
#include "dataplane/runtime/runtime.h"

/* One answer: this, the response head, the body. */
struct weir_nested_answer {
	struct weir_nested_answer *next; /* of those that the runtime has */
	uint64_t activation_high;
	uint64_t activation_low;
	size_t head_bytes; /* 0 = not here yet */
	size_t bytes;      /* of `data` that are used */
	size_t capacity;
	_Alignas(8) uint8_t data[];
};

/* The nested calls of one call; zeroed = none. */
struct weir_nested {
	bool is_used[WEIR_NESTED_SLOTS];
	struct weir_nested_answer *gathering[WEIR_NESTED_SLOTS];
	struct weir_nested_answer *answers;
};

/* The operations of struct weir_runtime_call_ops, for the call `port_call` of `base`. */
int weir_nested_start(struct weir_nested *nested, struct weir_runtime_call *base,
		      struct weir_port_call *port_call, const struct weir_runtime_target *target,
		      uint32_t *out_slot);
int weir_nested_answer(struct weir_nested *nested, struct weir_port_call *port_call, uint32_t slot,
		       struct weir_runtime_answer *out_answer);
void weir_nested_drop(struct weir_nested *nested, struct weir_port_call *port_call, uint32_t slot);
void weir_nested_answer_free(struct weir_nested *nested, struct weir_runtime_answer *answer);

/* The bytes of the target's request head, at most WEIR_NESTED_HEAD_BYTES_MAX of which can be sent; and
 * write it to `out`, which has room for them. Both return the bytes. */
size_t weir_nested_head_bytes(const struct weir_runtime_target *target);
size_t weir_nested_head_encode(const struct weir_runtime_target *target, uint8_t *out);

/* The function returned: free everything. */
void weir_nested_end(struct weir_nested *nested);

#endif
