/* js_vm: what the host calls in QuickJS, and values as they pass between the two.
 *
 *   a value      a JSValue, 64 bits; the host looks into none, it asks QuickJS
 *   an address   of QuickJS's memory, 32 bits; checked before it is touched, whoever gave it
 *
 * All of it runs inside weir_wasm_instance_host(): when QuickJS stops (a trap, the deadline, no memory for its
 * stack), the calls of here do not return. Values are not given back, but where something may run for long:
 * after its call the whole memory is as it was before.
 * Owns: nothing. Threads: the call's. */
#ifndef WEIR_DATAPLANE_RUNTIME_JS_JS_VM_H
#define WEIR_DATAPLANE_RUNTIME_JS_JS_VM_H

#include "dataplane/base/span.h"
#include "dataplane/runtime/wasm/instance.h"

/* X(member, export of quickjs.wasm, signature) */
#define WEIR_JS_EXPORTS(X)                                            \
	X(initialize, "_initialize", ":")                             \
	X(init, "qjs_init", ":i")                                     \
	X(context, "qjs_get_context_ptr", ":i")                       \
	X(malloc, "wasm_malloc", "i:i")                               \
	X(free, "wasm_free", "i:")                                    \
	X(js_malloc, "js_malloc", "ii:i")                             \
	X(stack_max, "qjs_set_max_stack_size", "i:")                  \
	X(gc_threshold, "qjs_set_gc_threshold", "i:")                 \
	X(interrupts, "qjs_set_interrupt_handler", "i:")              \
	X(rejections, "qjs_set_promise_rejection_handler", "i:")      \
	X(modules, "qjs_set_module_loader", "i:")                     \
	X(host_function, "qjs_new_host_function", "iii:i")            \
	X(box_eval, "qjs_eval", "iiii:i")                             \
	X(box_free, "qjs_free_value", "i:")                           \
	X(eval, "JS_Eval", "iiiii:I")                                 \
	X(call, "JS_Call", "iIIii:I")                                 \
	X(new_string, "JS_NewStringLen", "iii:I")                     \
	X(new_bytes, "JS_NewUint8ArrayCopy", "iii:I")                 \
	X(new_object, "JS_NewObject", "i:I")                          \
	X(to_text, "JS_ToCStringLen2", "iiIi:i")                      \
	X(free_text, "JS_FreeCString", "ii:")                         \
	X(bytes, "JS_GetUint8Array", "iiI:i")                         \
	X(buffer, "JS_GetArrayBuffer", "iiI:i")                       \
	X(get, "JS_GetPropertyStr", "iIi:I")                          \
	X(set, "JS_SetPropertyStr", "iIiI:i")                         \
	X(global, "JS_GetGlobalObject", "i:I")                        \
	X(to_number, "JS_ToFloat64", "iiI:i")                         \
	X(free_value, "JS_FreeValue", "iI:")                          \
	X(exception, "JS_GetException", "i:I")                        \
	X(has_job, "qjs_is_job_pending", ":i")                        \
	X(job, "qjs_execute_pending_job", ":i")

struct weir_js_exports {
#define WEIR_JS_EXPORT(member, name, signature) const struct weir_wasm_export *member;
	WEIR_JS_EXPORTS(WEIR_JS_EXPORT)
#undef WEIR_JS_EXPORT
};

/* What is the same in all instances. Filled by js_engine, then constant. */
struct weir_js_vm {
	struct weir_js_exports exports;
	uint32_t context; /* JSContext */
	uint32_t scratch; /* 8 bytes for what is returned through a pointer */
};
extern struct weir_js_vm weir_js_vm;

/* Find all exports. False and the name of one that is missing. */
bool weir_js_vm_bind(const struct weir_wasm_module *module, const char **out_missing);

/* Call an export; one cell as result, 0 where it has none. */
uint64_t weir_js_do(struct weir_wasm_instance *instance, const struct weir_wasm_export *function,
		    const uint64_t *cells);
#define WEIR_JS_DO(instance, member, ...) \
	weir_js_do(instance, weir_js_vm.exports.member, (const uint64_t[]){__VA_ARGS__})

/* Values. A number as JSValue holds whole ones. */
static inline uint64_t weir_js_number(int32_t number)
{
	return (uint32_t)number; /* tag 0 */
}

#define WEIR_JS_UNDEFINED (UINT64_C(3) << 32)
#define WEIR_JS_EXCEPTION (UINT64_C(6) << 32)

static inline bool weir_js_is_exception(uint64_t value)
{
	return value >> 32 == 6;
}

static inline bool weir_js_is_undefined(uint64_t value)
{
	return value >> 32 == 3;
}

/* Text or bytes into QuickJS's memory, with a NUL after them; 0 = no memory. */
uint32_t weir_js_place(struct weir_wasm_instance *instance, struct weir_span text);

/* A string of UTF-8; an exception if there is no memory. */
uint64_t weir_js_string(struct weir_wasm_instance *instance, struct weir_span text);

/* A value as text (of an object what String() makes of it): a view until QuickJS runs again, *out_address to
 * give it back. False: it threw. */
bool weir_js_text(struct weir_wasm_instance *instance, uint64_t value, struct weir_span *out_text,
		  uint32_t *out_address);

/* The bytes of a Uint8Array, to read or to write, as above. False: it is none. */
bool weir_js_bytes(struct weir_wasm_instance *instance, uint64_t value, uint8_t **out_data,
		   size_t *out_bytes);

/* A number; 0 for what is none. */
double weir_js_double(struct weir_wasm_instance *instance, uint64_t value);

/* Call a function with `count` arguments. */
uint64_t weir_js_call(struct weir_wasm_instance *instance, uint64_t function, uint32_t count,
		      const uint64_t *arguments);

/* object[name] */
uint64_t weir_js_property(struct weir_wasm_instance *instance, uint64_t object,
			  const char *name);

/* 4 bytes of memory; 0 where there are none. */
uint32_t weir_js_u32(const struct weir_wasm_instance *instance, uint32_t address);

#endif
