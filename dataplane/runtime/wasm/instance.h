/* instance: one module at work: its memory, its tables, its globals, and what puts them back after a call.
 *
 *   8 GiB + 128 KiB reserved, of which the module's addresses reach no more:
 *   | as kept, private from a memfd | zero pages | what memory.grow added | unmapped ...            |
 *     0 .. kept_bytes                 .. pages of the start                 a touch is a trap
 *
 *   create (start function, _initialize) -> keep -> enter .. enter -> reset -> enter .. reset -> destroy
 *
 * keep() remembers everything as it is; reset() makes it so again: it copies back the pages that were
 * written (the kernel's pagemap knows which), or gives them to the kernel, where that is less. So a call
 * costs what it wrote, and finds nothing that another one left.
 *
 * Instances of one module may share one's memory as it was kept, and each be bound to a layer over it
 * (layer.h); a function then costs what it differs by, and any instance can become any function's:
 *
 *   base:   create -> start -> ... -> keep_base              stays as it is, and is never entered again
 *   others: create -> start -> share -> bind(layer) -> enter -> reset -> bind(another) ...
 *
 * A trap, the deadline and proc_exit leave the module by siglongjmp. It happens only while the module's own
 * code runs, or what that calls directly (memcpy, floor: they hold nothing); inside a host function it waits
 * for its return, so these bound what they do at a time.
 * Owns: memory, tables, copies. Threads: one at a time (the call that has it); enter() may wait inside, on
 * its own thread's stack. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_INSTANCE_H
#define WEIR_DATAPLANE_RUNTIME_WASM_INSTANCE_H

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "dataplane/runtime/wasm/layer.h"
#include "dataplane/runtime/wasm/module.h"

enum {
	WEIR_WASM_TABLES_MAX = 16,
	WEIR_WASM_TABLE_COUNT_MAX = 1 << 20, /* elements */
	WEIR_WASM_OWN_PAGES = 128,           /* that are remembered one by one */
};

/* Where the thread is, for a signal handler. */
enum weir_wasm_phase { WEIR_WASM_OUTSIDE, WEIR_WASM_INSIDE, WEIR_WASM_HOST };

/* A table and how it was when it was kept. */
struct weir_wasm_kept_table {
	struct weir_wasm_table *table; /* in the module's state */
	void *block; /* its elements when it was kept; a grown one has another */
	void *copy;  /* of the elements then; NULL = not kept yet */
	uint32_t element_bytes;
	uint32_t count_first;
	uint32_t capacity; /* of what it has now */
	uint32_t capacity_first;
};

struct weir_wasm_instance {
	struct weir_wasm_instance *next; /* its owner's */
	const struct weir_wasm_module *module;
	void *user; /* its owner's, for host functions */
	void *state;
	void *state_first;
	struct weir_wasm_memory *memory; /* in state; NULL = the module has none */
	uint8_t *reserved;
	const uint8_t *kept; /* the memfd's bytes, to read */
	size_t kept_bytes;
	int kept_fd; /* of a base */
	bool is_base;
	bool is_settled; /* kept is its own, base and layer in one */
	const struct weir_wasm_instance *base; /* whose kept memory this one has; NULL = its own */
	const struct weir_wasm_layer *layer;   /* over it; NULL = none */
	uint32_t pages_first;
	uint32_t pages_limit;
	uint32_t resets; /* since pages were given back */
	uint32_t
		own_count; /* pages that are the process's own; more than OWN_PAGES: not known */
	uint32_t own[WEIR_WASM_OWN_PAGES]; /* their numbers */
	uint32_t calm;   /* resets one after another that found no other pages */
	bool is_guarded; /* the others cannot be written: guard.h */
	uint64_t used_ns;
	struct weir_wasm_kept_table table[WEIR_WASM_TABLES_MAX];
	uint32_t table_count;
	struct weir_wasm_memory imported_memory;
	struct weir_wasm_table imported_table;
	bool is_growth_refused; /* since the last reset */
	_Atomic int phase;
	_Atomic uint32_t stop; /* why to leave when the host function returns */
	sigjmp_buf *jump;
};

/* A host function: the arguments are as many as its line in imports.h says. */
typedef uint64_t weir_wasm_import(struct weir_wasm_instance *instance,
				  const uint64_t *arguments);

/* What modules may call, by number, and how one ends that calls what is not there (it sets stop). */
struct weir_wasm_imports {
	weir_wasm_import *const *function;
	uint32_t count;
	void (*missing)(struct weir_wasm_instance *instance, const char *name);
};

/* Once, before the first instance. `imports` stays. 0 or -ENOMEM. */
int weir_wasm_instances_open(const struct weir_wasm_imports *imports);

/* The table that module->bind() wants. */
const struct weir_wasm_host *weir_wasm_host(void);

/* Prepare `instance` (zeroed) for `module`; nothing of the module runs. 0 or -ENOMEM. */
int weir_wasm_instance_create(struct weir_wasm_instance *instance,
			      const struct weir_wasm_module *module, uint32_t pages_limit,
			      void *user);

/* Everything back to the system. Half-built ones, too. */
void weir_wasm_instance_destroy(struct weir_wasm_instance *instance);

/* Run the module's own start; then, once, keep. Returns why it stopped, NONE = it came to its end. */
enum weir_wasm_trap weir_wasm_instance_start(struct weir_wasm_instance *instance);

/* Run one of the module's functions. Cells as in module.h. Returns why it stopped. */
enum weir_wasm_trap weir_wasm_instance_enter(struct weir_wasm_instance *instance,
					     const struct weir_wasm_export *function,
					     const uint64_t *arguments, uint64_t *out_results);

/* This state is the one that reset() restores. 0 or -errno. */
int weir_wasm_instance_keep(struct weir_wasm_instance *instance);
void weir_wasm_instance_reset(struct weir_wasm_instance *instance);

/* As keep(), for others to share. */
int weir_wasm_instance_keep_base(struct weir_wasm_instance *instance);

/* `instance`, which was started, has the memory that `base` kept. The module's globals must be the same
 * then as after its start, as C's stack pointer is. 0, -ENOMEM, -EFBIG (pages_limit). */
int weir_wasm_instance_share(struct weir_wasm_instance *instance,
			     const struct weir_wasm_instance *base);

/* From now on reset() makes it the base with `layer`, as it is after this. It was reset since it ran. The layer
 * stays as long as it is bound; NULL = none. 0, -EFBIG (pages_limit), -ENOMEM; then it must be destroyed. */
int weir_wasm_instance_bind(struct weir_wasm_instance *instance,
			    const struct weir_wasm_layer *layer, uint32_t pages_limit);

/* It will run more calls as it is bound now: a memfd of its own gets base and layer in one, so that reset() puts
 * back what calls write and not what the layer has, too. It was reset since it ran. Costs as much as some 20
 * resets. 0 or -errno; then it is as before. */
int weir_wasm_instance_settle(struct weir_wasm_instance *instance);

/* Run `body` as a host function is run: it may reenter(), and a stop leaves it. Returns why, NONE = it came to
 * its end. */
enum weir_wasm_trap weir_wasm_instance_host(struct weir_wasm_instance *instance,
					    void (*body)(struct weir_wasm_instance *instance,
							 void *context),
					    void *context);

/* In a host function: run one of the module's functions. Does not return if that stops: the host function
 * holds nothing that must be given back. */
void weir_wasm_instance_reenter(struct weir_wasm_instance *instance,
				const struct weir_wasm_export *function,
				const uint64_t *arguments, uint64_t *out_results);

/* Signal handler, on the thread that is in enter(): leave with TIMEOUT, or when the host function
 * returns. Does nothing outside. */
void weir_wasm_instance_interrupt(struct weir_wasm_instance *instance);

/* Signal handler: leave if the fault is a module's own; else return. As weir_runtime_ops.trap. */
bool weir_wasm_trap_take(int number, const siginfo_t *info);

/* The module's function `name` of that signature; NULL if there is none. */
const struct weir_wasm_export *weir_wasm_export_find(const struct weir_wasm_module *module,
						     const char *name, const char *signature);

/* `bytes` bytes of memory at `address`, or NULL where they are not all there. For host functions. */
static inline uint8_t *weir_wasm_at(const struct weir_wasm_instance *instance, uint64_t address,
				    uint64_t bytes)
{
	const struct weir_wasm_memory *const memory = instance->memory;

	if (memory == NULL || address > memory->bytes || bytes > memory->bytes - address)
		return NULL;
	return memory->data + address;
}

/* A host function wants the module to end when it returns. */
static inline void weir_wasm_stop(struct weir_wasm_instance *instance, enum weir_wasm_trap trap)
{
	atomic_store_explicit(&instance->stop, (uint32_t)trap, memory_order_relaxed);
}

/* Must a host function that does much come to its end? */
static inline bool weir_wasm_is_stopped(const struct weir_wasm_instance *instance)
{
	return atomic_load_explicit(&instance->stop, memory_order_relaxed) != 0;
}

#endif
