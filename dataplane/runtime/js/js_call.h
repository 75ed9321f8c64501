/* js_call: one call, or one load, of a function at work in an instance: what host functions know of it.
 *
 *   run() -> jobs -> pending? -> answers of other functions, timers, else it never ends -> ... -> answer
 *
 * Owns: the last nested answer. Threads: the call's; waits. */
#ifndef WEIR_DATAPLANE_RUNTIME_JS_JS_CALL_H
#define WEIR_DATAPLANE_RUNTIME_JS_JS_CALL_H

#include "dataplane/runtime/js/js_engine.h"

enum {
	WEIR_JS_AWAITED_MAX = 4, /* answers: what nested_start() allows at once */
	WEIR_JS_SAID_BYTES = 4096,
};

/* What a file printed as it was loaded, by enum weir_runtime_stream; no more than fits. The call that is its
 * first prints it. */
struct weir_js_said {
	uint32_t bytes[2];
	char text[2][WEIR_JS_SAID_BYTES];
};

/* A function as it is loaded. */
struct weir_js_function {
	struct weir_wasm_layer *layer;
	uint32_t pages_limit;
	char *path;       /* of its file; the folder around it is where its modules are */
	struct weir_js_said *said; /* NULL = nothing, or it was printed */
	const char *file;          /* the last part of the path */
	char *name;       /* namespace/name */
};

struct weir_js_call {
	struct weir_wasm_run run; /* first: an instance's user is one */
	const struct weir_js_function *function;
	struct weir_wasm_instance *_Atomic inside; /* for the interrupt */
	struct weir_js_said *said; /* of a load */
	uint64_t until_ns; /* of a load, which has no deadline; 0 = none */
	uint32_t awaited[WEIR_JS_AWAITED_MAX];
	uint32_t awaited_count;
	int32_t unhandled; /* promises that were rejected and not asked for */
	int result;
	char *reason; /* WEIR_RUNTIME_REASON_BYTES */
	const struct weir_span *text; /* load()'s arguments */
};

static inline struct weir_js_call *weir_js_call_of(const struct weir_wasm_instance *instance)
{
	return (struct weir_js_call *)instance->user;
}

/* Run a call of its function in an instance that is bound to it. 0, or -errno and abort_reason. */
int weir_js_call_run(struct weir_js_call *call, struct weir_wasm_instance *instance);

/* Load the function in an instance that is bound to none: 0, or -errno and the reason. `text` is four
 * values: file, handler, name, variables. */
int weir_js_call_load(struct weir_js_call *call, struct weir_wasm_instance *instance,
		      const struct weir_span text[4]);

#endif
