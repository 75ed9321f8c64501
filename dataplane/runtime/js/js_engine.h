/* js_engine: QuickJS in a worker: the built module, a base that has everything that is not a function's own
 * (the language, std.js, request.js, load.js), and a few instances that functions take turns in.
 *
 *   base memory (one memfd)  <- layer of function A (js_load)      an instance is bound to a function's layer
 *                            <- layer of function B                while it runs its calls, and stays so
 *   instances: idle [x->A] [y->B] ..., as many more as calls wait  until another function needs it more
 *
 * So a function that nobody calls costs its layer, and one that is called finds an instance as it left it, or
 * pays for the binding (some 20 us). After a few calls in a row an instance settles: then only what calls write
 * is put back after each.
 * Owns: all of it, as long as the process lives. Threads: the worker's baton holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_JS_JS_ENGINE_H
#define WEIR_DATAPLANE_RUNTIME_JS_JS_ENGINE_H

#include "dataplane/runtime/js/js_vm.h"
#include "dataplane/runtime/wasm/run.h"

/* What QuickJS may import (js_host.c). */
extern const struct weir_wasm_imports weir_js_imports;

/* Functions of the base, by their names in weir.api. */
#define WEIR_JS_API(X)  \
	X(run)          \
	X(called)       \
	X(tick)         \
	X(take)         \
	X(fields)       \
	X(reject)       \
	X(unhandled)    \
	X(normalize)    \
	X(source)       \
	X(load)         \
	X(warm)         \
	X(warmed)

/* What request.js writes: `out`. */
struct weir_js_out {
	int32_t state; /* enum weir_js_state */
	int32_t status;
	int32_t type; /* enum weir_js_type */
	int32_t body; /* enum weir_js_body */
	int32_t has_fields;
	int32_t reserved[3];
};

enum weir_js_state { WEIR_JS_PENDING, WEIR_JS_DONE, WEIR_JS_FAILED };
enum weir_js_type { WEIR_JS_TYPE_NONE, WEIR_JS_TYPE_TEXT, WEIR_JS_TYPE_JSON, WEIR_JS_TYPE_BYTES };
enum weir_js_body { WEIR_JS_BODY_NONE, WEIR_JS_BODY_TEXT, WEIR_JS_BODY_BYTES };

struct weir_js_api {
#define WEIR_JS_API_MEMBER(name) uint64_t name;
	WEIR_JS_API(WEIR_JS_API_MEMBER)
#undef WEIR_JS_API_MEMBER
	uint32_t out; /* address of struct weir_js_out */
};
extern struct weir_js_api weir_js_api;

/* An instance to run a function in. */
struct weir_js_place {
	struct weir_wasm_instance wasm; /* first */
	struct weir_js_place *next;
	const struct weir_wasm_layer *layer; /* what it is bound to */
	uint32_t calls;                      /* since then */
};

/* Load the built module at `path`, make the base. Before the sandbox. 0, or -errno and a reason. */
int weir_js_engine_open(const char *path, char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* An instance as `layer` has it (NULL: the base), which may have pages_limit pages; `run` becomes its user.
 * 0, -ENOMEM, -EFBIG. */
int weir_js_engine_take(const struct weir_wasm_layer *layer, uint32_t pages_limit,
			struct weir_wasm_run *run, struct weir_js_place **out_place);

/* Back, whatever ran in it. */
void weir_js_engine_give(struct weir_js_place *place);

/* Back from loading: ready for the first call of what was loaded, whose layer that is. */
void weir_js_engine_give_loaded(struct weir_js_place *place, const struct weir_wasm_layer *layer);

/* That layer goes: no idle instance is bound to it any more. */
void weir_js_engine_forget(const struct weir_wasm_layer *layer);

/* What differs from the base where a function was loaded, as weir_wasm_layer_make(). What is free there is left
 * out. */
int weir_js_engine_layer(const struct weir_wasm_instance *instance,
			 struct weir_wasm_layer **out_layer);

/* `out`, as it is now. */
const struct weir_js_out *weir_js_engine_out(const struct weir_wasm_instance *instance);

#endif
