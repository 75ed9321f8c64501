#include "dataplane/runtime/wasm/instance.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/runtime/wasm/guard.h"
#include "dataplane/runtime/wasm/memory.h"

enum {
	STACK_ROOM_BYTES = 128 << 10, /* what a host function may need */
	STACK_NEAR_BYTES = 64 << 10,  /* around a thread's end: its guard */
	TYPES_MAX = 16384,
	KINDS_MAX = 1 << 20,
};

/* Signatures of functions that are called through tables, of all modules. */
struct type {
	uint32_t params;
	uint32_t results;
	uint32_t first; /* in kinds */
};

static struct {
	struct type *type;
	uint8_t *kinds;
	uint32_t count;
	uint32_t kind_count;
} types;

static const struct weir_wasm_imports *imports;
static _Thread_local struct weir_wasm_instance *current;
static _Thread_local uintptr_t stack_floor;
static _Thread_local sigset_t own_mask;

static void phase_set(struct weir_wasm_instance *instance, enum weir_wasm_phase phase)
{
	atomic_store_explicit(&instance->phase, (int)phase, memory_order_relaxed);
}

static __attribute__((noreturn)) void leave(struct weir_wasm_instance *instance, uint32_t trap)
{
	phase_set(instance, WEIR_WASM_OUTSIDE);
	siglongjmp(*instance->jump, (int)trap);
}

/* Back from a host function: end here if it was asked for meanwhile. */
static void host_leave(struct weir_wasm_instance *instance)
{
	uint32_t stop = 0;

	/* From here on the handler itself leaves; what it asked for before is seen now. */
	phase_set(instance, WEIR_WASM_INSIDE);
	stop = atomic_load_explicit(&instance->stop, memory_order_relaxed);
	if (stop != 0)
		leave(instance, stop);
}

/* The module calls the host. */
static void host_enter(struct weir_wasm_instance *instance)
{
	if ((uintptr_t)__builtin_frame_address(0) < stack_floor + STACK_ROOM_BYTES)
		leave(instance, WEIR_WASM_TRAP_STACK);
	phase_set(instance, WEIR_WASM_HOST);
}

/* ---- what modules call ---- */

static __attribute__((noreturn)) void host_trap(uint32_t trap)
{
	leave(current, trap);
}

static uint32_t host_type(uint32_t params, uint32_t results, const uint8_t *kinds)
{
	const uint32_t count = params + results;

	for (uint32_t i = 0; i < types.count; i++) {
		const struct type *const type = &types.type[i];

		if (type->params == params && type->results == results &&
		    memcmp(types.kinds + type->first, kinds, count) == 0)
			return i + 1;
	}
	/* A module that is refused for this gets a number that no function has. */
	if (types.count == TYPES_MAX || count > KINDS_MAX - types.kind_count)
		return UINT32_MAX;
	types.type[types.count] = (struct type){params, results, types.kind_count};
	memcpy(types.kinds + types.kind_count, kinds, count);
	types.kind_count += count;
	return ++types.count;
}

static void host_memory_allocate(struct weir_wasm_memory *memory, uint32_t pages,
				 uint32_t pages_max)
{
	struct weir_wasm_instance *const instance = current;
	bool is_there = false;

	host_enter(instance);
	instance->memory = memory;
	is_there = weir_wasm_memory_allocate(instance, pages, pages_max);
	if (!is_there)
		weir_wasm_stop(instance, WEIR_WASM_TRAP_LIMIT);
	host_leave(instance);
}

static uint32_t host_memory_grow(struct weir_wasm_memory *memory, uint32_t pages)
{
	struct weir_wasm_instance *const instance = current;
	uint32_t result = 0;

	WEIR_ASSERT(memory == instance->memory);
	host_enter(instance);
	result = weir_wasm_memory_grow(instance, pages);
	host_leave(instance);
	return result;
}

static void host_table_allocate(struct weir_wasm_table *table, uint32_t count,
				uint32_t count_max, uint32_t element_bytes)
{
	struct weir_wasm_instance *const instance = current;

	host_enter(instance);
	if (!weir_wasm_table_allocate(instance, table, count, count_max, element_bytes))
		weir_wasm_stop(instance, WEIR_WASM_TRAP_LIMIT);
	host_leave(instance);
}

static uint32_t host_table_grow(struct weir_wasm_table *table, uint32_t count,
				const void *element, uint32_t element_bytes)
{
	struct weir_wasm_instance *const instance = current;
	uint32_t result = 0;

	(void)element_bytes;
	host_enter(instance);
	result = weir_wasm_table_grow(instance, table, count, element);
	host_leave(instance);
	return result;
}

static uint64_t host_call(void *owner, uint32_t number, const uint64_t *arguments)
{
	struct weir_wasm_instance *const instance = owner;
	uint64_t result = 0;

	WEIR_DEBUG_ASSERT(number < imports->count);
	host_enter(instance);
	result = imports->function[number](instance, arguments);
	host_leave(instance);
	return result;
}

static __attribute__((noreturn)) void host_missing(void *owner, const char *name)
{
	struct weir_wasm_instance *const instance = owner;

	host_enter(instance);
	imports->missing(instance, name);
	weir_wasm_stop(instance, WEIR_WASM_TRAP_IMPORT);
	host_leave(instance);
	leave(instance, WEIR_WASM_TRAP_IMPORT);
}

static struct weir_wasm_memory *host_memory_import(void *owner, uint32_t pages,
						   uint32_t pages_max)
{
	struct weir_wasm_instance *const instance = owner;

	if (instance->imported_memory.data == NULL)
		host_memory_allocate(&instance->imported_memory, pages, pages_max);
	return &instance->imported_memory;
}

static struct weir_wasm_table *host_table_import(void *owner, uint32_t count,
						 uint32_t count_max, uint32_t element_bytes)
{
	struct weir_wasm_instance *const instance = owner;

	if (instance->imported_table.data == NULL)
		host_table_allocate(&instance->imported_table, count, count_max, element_bytes);
	return &instance->imported_table;
}

static const struct weir_wasm_host host = {
	.trap = host_trap,
	.type = host_type,
	.memory_allocate = host_memory_allocate,
	.memory_grow = host_memory_grow,
	.table_allocate = host_table_allocate,
	.table_grow = host_table_grow,
	.call = host_call,
	.missing = host_missing,
	.memory_import = host_memory_import,
	.table_import = host_table_import,
};

const struct weir_wasm_host *weir_wasm_host(void)
{
	return &host;
}

int weir_wasm_instances_open(const struct weir_wasm_imports *all)
{
	imports = all;
	if (types.type != NULL)
		return 0;
	types.type = calloc(TYPES_MAX, sizeof(*types.type));
	types.kinds = calloc(KINDS_MAX, 1);
	if (types.type == NULL || types.kinds == NULL)
		return -ENOMEM;
	return 0;
}

/* ---- signals ---- */

void weir_wasm_instance_interrupt(struct weir_wasm_instance *instance)
{
	switch (atomic_load_explicit(&instance->phase, memory_order_relaxed)) {
	case WEIR_WASM_INSIDE:
		leave(instance, WEIR_WASM_TRAP_TIMEOUT);
	case WEIR_WASM_HOST:
		weir_wasm_stop(instance, WEIR_WASM_TRAP_TIMEOUT);
		break;
	default:
		break;
	}
}

bool weir_wasm_trap_take(int number, const siginfo_t *info)
{
	struct weir_wasm_instance *const instance = current;
	const uintptr_t address = (uintptr_t)info->si_addr;

	if (number != SIGSEGV || info->si_code <= 0)
		return false;
	if (info->si_code == SEGV_ACCERR && weir_wasm_guard_take(address))
		return true; /* the module's write, or a host function's in its memory */
	if (instance == NULL ||
	    atomic_load_explicit(&instance->phase, memory_order_relaxed) != WEIR_WASM_INSIDE)
		return false;
	if (weir_wasm_memory_has(instance, address))
		leave(instance, WEIR_WASM_TRAP_BOUNDS);
	if (address >= stack_floor - STACK_NEAR_BYTES &&
	    address < stack_floor + STACK_NEAR_BYTES)
		leave(instance, WEIR_WASM_TRAP_STACK);
	return false;
}

/* Where this thread's stack ends and which signals it blocks. Once for each thread. */
static int thread_open(void)
{
	pthread_attr_t attributes;
	void *start = NULL;
	size_t bytes = 0;
	int error = pthread_getattr_np(pthread_self(), &attributes);

	if (error != 0)
		return -error;
	error = pthread_attr_getstack(&attributes, &start, &bytes);
	(void)pthread_attr_destroy(&attributes);
	if (error == 0)
		error = pthread_sigmask(SIG_SETMASK, NULL, &own_mask);
	if (error == 0)
		stack_floor = (uintptr_t)start;
	return -error;
}

/* ---- running ---- */

/* What enter() and host() run. */
struct errand {
	const struct weir_wasm_export *function; /* NULL: the module's own start, or `body` */
	const uint64_t *arguments;
	uint64_t *out_results;
	void (*body)(struct weir_wasm_instance *instance, void *context);
	void *context;
};

static void run(struct weir_wasm_instance *instance, const struct errand *errand)
{
	if (errand->body != NULL) {
		phase_set(instance, WEIR_WASM_HOST);
		errand->body(instance, errand->context);
		host_leave(instance);
	} else {
		phase_set(instance, WEIR_WASM_INSIDE);
		if (errand->function != NULL)
			errand->function->call(instance->state, errand->arguments,
					       errand->out_results);
		else
			instance->module->instantiate(instance->state, instance);
	}
	phase_set(instance, WEIR_WASM_OUTSIDE);
}

static enum weir_wasm_trap errand_run(struct weir_wasm_instance *instance,
				      const struct errand *errand)
{
	sigjmp_buf jump;
	int trap = 0;

	if (stack_floor == 0 && thread_open() != 0)
		return WEIR_WASM_TRAP_LIMIT;
	weir_wasm_stop(instance, WEIR_WASM_TRAP_NONE);
	current = instance;
	instance->jump = &jump;
	trap = sigsetjmp(jump, 0);
	if (trap == 0)
		run(instance, errand);
	else
		/* Perhaps out of a signal handler, where that signal was blocked. */
		(void)pthread_sigmask(SIG_SETMASK, &own_mask, NULL);
	current = NULL;
	instance->jump = NULL;
	return (enum weir_wasm_trap)trap;
}

enum weir_wasm_trap weir_wasm_instance_enter(struct weir_wasm_instance *instance,
					     const struct weir_wasm_export *function,
					     const uint64_t *arguments, uint64_t *out_results)
{
	const struct errand errand = {
		.function = function, .arguments = arguments, .out_results = out_results};

	return errand_run(instance, &errand);
}

enum weir_wasm_trap weir_wasm_instance_host(struct weir_wasm_instance *instance,
					    void (*body)(struct weir_wasm_instance *instance,
							 void *context),
					    void *context)
{
	const struct errand errand = {.body = body, .context = context};

	return errand_run(instance, &errand);
}

void weir_wasm_instance_reenter(struct weir_wasm_instance *instance,
				const struct weir_wasm_export *function,
				const uint64_t *arguments, uint64_t *out_results)
{
	host_leave(instance);
	function->call(instance->state, arguments, out_results);
	host_enter(instance);
}

enum weir_wasm_trap weir_wasm_instance_start(struct weir_wasm_instance *instance)
{
	return weir_wasm_instance_enter(instance, NULL, NULL, NULL);
}

int weir_wasm_instance_create(struct weir_wasm_instance *instance,
			      const struct weir_wasm_module *module, uint32_t pages_limit,
			      void *user)
{
	instance->module = module;
	instance->pages_limit = pages_limit;
	instance->user = user;
	instance->state = calloc(1, module->instance_bytes);
	return instance->state != NULL ? 0 : -ENOMEM;
}

void weir_wasm_instance_destroy(struct weir_wasm_instance *instance)
{
	weir_wasm_memory_free(instance);
	free(instance->state);
	free(instance->state_first);
	instance->state = NULL;
	instance->state_first = NULL;
}

static int state_keep(struct weir_wasm_instance *instance)
{
	instance->state_first = malloc(instance->module->instance_bytes);
	if (instance->state_first == NULL)
		return -ENOMEM;
	memcpy(instance->state_first, instance->state, instance->module->instance_bytes);
	return 0;
}

int weir_wasm_instance_keep(struct weir_wasm_instance *instance)
{
	const int result = weir_wasm_memory_keep(instance);

	return result != 0 ? result : state_keep(instance);
}

int weir_wasm_instance_keep_base(struct weir_wasm_instance *instance)
{
	instance->is_base = true;
	instance->kept_fd = -1;
	return weir_wasm_instance_keep(instance);
}

int weir_wasm_instance_share(struct weir_wasm_instance *instance,
			     const struct weir_wasm_instance *base)
{
	const int result = weir_wasm_memory_share(instance, base);

	return result != 0 ? result : state_keep(instance);
}

int weir_wasm_instance_bind(struct weir_wasm_instance *instance,
			    const struct weir_wasm_layer *layer, uint32_t pages_limit)
{
	const int result = weir_wasm_memory_bind(instance, layer, pages_limit);

	if (result != 0)
		return result;
	memcpy(instance->state_first, instance->state, instance->module->instance_bytes);
	return 0;
}

void weir_wasm_instance_reset(struct weir_wasm_instance *instance)
{
	weir_wasm_memory_reset(instance);
	memcpy(instance->state, instance->state_first, instance->module->instance_bytes);
	weir_wasm_tables_reset(instance);
	instance->is_growth_refused = false;
}

int weir_wasm_instance_settle(struct weir_wasm_instance *instance)
{
	return weir_wasm_memory_settle(instance);
}

const struct weir_wasm_export *weir_wasm_export_find(const struct weir_wasm_module *module,
						     const char *name, const char *signature)
{
	for (uint32_t i = 0; i < module->export_count; i++)
		if (strcmp(module->exports[i].name, name) == 0 &&
		    strcmp(module->exports[i].signature, signature) == 0)
			return &module->exports[i];
	return NULL;
}
