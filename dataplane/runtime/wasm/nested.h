/* nested: one function calls another and waits for its answer; both ABIs that can do so share this.
 * Owns: nothing; the answer is the call's until nested_free(). Threads: the call's; waits. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_NESTED_H
#define WEIR_DATAPLANE_RUNTIME_WASM_NESTED_H

#include <errno.h>

#include "dataplane/runtime/runtime.h"

#define WEIR_WASM_POST 2

/* Call `target` and wait. 0 and *out_answer, or what nested_start() and nested_answer() return. */
static inline int weir_wasm_nested(struct weir_runtime_call *call,
				   const struct weir_runtime_target *target,
				   struct weir_runtime_answer *out_answer)
{
	uint32_t nested = 0;
	const int result = call->ops->nested_start(call, target, &nested);

	return result != 0 ? result : weir_runtime_nested_wait(call, nested, out_answer);
}

#endif
