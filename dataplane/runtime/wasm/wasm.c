/* wasm: WebAssembly modules, built into shared objects by weir-build-wasm, in an instance each
 * (instance.h). A module's functions get nothing but their memory and the imports of imports.h.
 *
 *   load: dlopen, what does it export?       invoke: idle instance or a new one -> run -> reset -> idle
 *
 * An instance is made by the first call, inside its time limit, since a module may run code as it starts.
 * Rows of the public table run and answer as `wasmer run FILE` did (exec/exec_answer.h).
 * While a call waits, others of the same function run in other instances; a few stay for the next calls.
 * The shared object is code that Weir's own compiler made; what an author gave was checked before. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/runtime/wasm/faasm.h"
#include "dataplane/runtime/wasm/host.h"
#include "dataplane/runtime/wasm/pages.h"

enum {
	IDLE_MAX = 8, /* instances that a function keeps */
	NAME_BYTES_MAX = 600,
};

struct function {
	void *library;
	const struct weir_wasm_module *module;
	const struct weir_wasm_export *entry;
	const struct weir_wasm_export *initialize; /* of a reactor; NULL = none */
	enum weir_wasm_kind kind;
	bool has_result; /* of the entry */
	bool is_row;     /* of the public table */
	uint32_t pages_limit;
	uint64_t memory_bytes;
	struct weir_wasm_instance *idle;
	uint32_t idle_count;
	char name[NAME_BYTES_MAX];
	char **environment; /* one block */
};

/* One call; the interrupt looks here. */
struct running {
	struct weir_wasm_run run;
	struct weir_wasm_instance *_Atomic instance;
	bool has_ended; /* by itself, with run.exit_code */
};

static void reason_set(char *out_reason, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void reason_set(char *out_reason, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, format,
			arguments); /* cut where too long */
	va_end(arguments);
}

/* ---- imports ---- */

#define FUNCTION_WASI(module, name, signature, function, what) weir_wasi_##function,
#define FUNCTION_API(module, name, signature, function, what)  weir_api_##function,
static weir_wasm_import *const import_functions[] = {
	WEIR_WASM_IMPORTS_WASI(FUNCTION_WASI) WEIR_WASM_IMPORTS_WEIR(FUNCTION_API)};
#undef FUNCTION_WASI
#undef FUNCTION_API

static void import_missing(struct weir_wasm_instance *instance, const char *name)
{
	weir_wasm_run_of(instance)->missing = name;
}

const struct weir_wasm_imports weir_wasm_imports = {
	.function = import_functions,
	.count = sizeof(import_functions) / sizeof(import_functions[0]),
	.missing = import_missing,
};

/* ---- load ---- */

static int wasm_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	weir_wasm_pages_open(); /* the sandbox comes next */
	if (sizeof(void *) == 8)
		return 0;
	reason_set(out_reason, "WebAssembly needs a machine with 64-bit addresses");
	return -ENOSYS;
}

static int wasm_open(void **out_runtime)
{
	*out_runtime = NULL; /* all state belongs to functions */
	return weir_wasm_instances_open(&weir_wasm_imports);
}

static void wasm_close(void *runtime)
{
	(void)runtime;
}

static int library_load(struct function *function, const char *path, char *out_reason)
{
	function->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (function->library == NULL) {
		reason_set(
			out_reason, "cannot load the module: %s",
			dlerror()); /* NOLINT(concurrency-mt-unsafe): its state is per thread */
		return -ENOEXEC;
	}
	function->module = dlsym(function->library, "weir_wasm_module");
	if (function->module == NULL) {
		reason_set(out_reason, "'%s' was not made by weir-build-wasm", path);
		return -ENOEXEC;
	}
	if (function->module->abi != WEIR_WASM_ABI) {
		reason_set(out_reason,
			   "the module was built by another version of Weir: deploy it again");
		return -EPROTO;
	}
	function->module->bind(weir_wasm_host());
	return 0;
}

static bool entry_find(struct function *function, const char *name, enum weir_wasm_kind kind,
		       const char *signature)
{
	const struct weir_wasm_export *const found =
		weir_wasm_export_find(function->module, name, signature);

	if (found == NULL)
		return false;
	function->entry = found;
	function->kind = kind;
	function->has_result = kind == WEIR_WASM_REACTOR && strcmp(signature, ":i") == 0;
	return true;
}

/* What a call runs: the handler by its name, else the first that the module has. */
static int entry_choose(struct function *function, const char *handler, char *out_reason)
{
	/* What rows name was never looked at; a handler that is there is meant. */
	if (function->is_row && (weir_wasm_export_find(function->module, "_start", ":") != NULL ||
				 (weir_wasm_export_find(function->module, handler, ":i") == NULL &&
				  weir_wasm_export_find(function->module, handler, ":") == NULL)))
		handler = "";
	if (handler[0] == '\0') {
		/* A program that includes weir_wasm.h has both. */
		if (entry_find(function, "_start", WEIR_WASM_COMMAND, ":") ||
		    entry_find(function, "weir_handle", WEIR_WASM_REACTOR, ":i") ||
		    entry_find(function, "run", WEIR_WASM_FAASM, "iiii:i") ||
		    entry_find(function, "_run", WEIR_WASM_FAASM, "iiii:i"))
			return 0;
		reason_set(out_reason,
			   "the module exports no weir_handle (a handler, see weir_wasm.h), "
			   "no _start (a program) and no run (Faasm's)");
		return -ENOENT;
	}
	if (entry_find(function, handler,
		       strcmp(handler, "_start") == 0 ? WEIR_WASM_COMMAND : WEIR_WASM_REACTOR,
		       ":i") ||
	    entry_find(function, handler,
		       strcmp(handler, "_start") == 0 ? WEIR_WASM_COMMAND : WEIR_WASM_REACTOR,
		       ":"))
		return 0;
	reason_set(out_reason,
		   "the module exports no function '%s' without parameters, and with an i32 "
		   "or nothing as result",
		   handler);
	return -ENOENT;
}

/* One block: the pointers, then the texts. */
static int environment_copy(struct function *function, const char *const *environment)
{
	size_t count = 0;
	size_t bytes = 0;
	char *text = NULL;

	for (; environment[count] != NULL; count++)
		bytes += strlen(environment[count]) + 1;
	function->environment = malloc((count + 1) * sizeof(char *) + bytes);
	if (function->environment == NULL)
		return -ENOMEM;
	text = (char *)(function->environment + count + 1);
	for (size_t i = 0; i < count; i++) {
		const size_t length = strlen(environment[i]) + 1;

		memcpy(text, environment[i], length);
		function->environment[i] = text;
		text += length;
	}
	function->environment[count] = NULL;
	return 0;
}

static void instance_free(struct weir_wasm_instance *instance)
{
	weir_wasm_instance_destroy(instance);
	free(instance);
}

static void wasm_unload(void *opaque)
{
	struct function *const function = opaque;

	while (function->idle != NULL) {
		struct weir_wasm_instance *const instance = function->idle;

		function->idle = instance->next;
		instance_free(instance);
	}
	if (function->library != NULL)
		(void)dlclose(function->library); /* a failure leaves code that nobody calls */
	free(function->environment);
	free(function);
}

static int wasm_load(void *runtime, const struct weir_runtime_function *wanted,
		     void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct function *const function = calloc(1, sizeof(*function));
	const uint64_t pages = wanted->memory_bytes / WEIR_WASM_PAGE_BYTES;
	int result = 0;

	(void)runtime;
	if (function == NULL) {
		reason_set(out_reason, "no memory to load the module");
		return -ENOMEM;
	}
	function->memory_bytes = wanted->memory_bytes;
	function->is_row = wanted->interpreter.bytes != 0;
	function->pages_limit =
		pages < WEIR_WASM_PAGES_MAX ? (uint32_t)pages : WEIR_WASM_PAGES_MAX;
	(void)snprintf(function->name, sizeof(function->name), "%s/%s", wanted->space.data,
		       wanted->name.data); /* cut where too long */
	result = environment_copy(function, wanted->environment);
	if (result != 0)
		reason_set(out_reason, "no memory to load the module");
	else
		result = library_load(function, wanted->code_path.data, out_reason);
	if (result == 0)
		result = entry_choose(function, wanted->handler.data, out_reason);
	if (result != 0) {
		wasm_unload(function);
		return result;
	}
	if (function->kind != WEIR_WASM_COMMAND)
		function->initialize =
			weir_wasm_export_find(function->module, "_initialize", ":");
	*out_instance = function;
	return 0;
}

/* ---- invoke ---- */

/* What the module did wrong, in words. */
static void trap_describe(const struct function *function, const struct running *running,
			  enum weir_wasm_trap trap, bool is_growth_refused, char *out)
{
	static const char *const words[] = {
		[WEIR_WASM_TRAP_BOUNDS] = "touched memory or a table outside its bounds",
		[WEIR_WASM_TRAP_OVERFLOW] = "had an integer overflow",
		[WEIR_WASM_TRAP_DIVISION] = "divided by zero",
		[WEIR_WASM_TRAP_CONVERSION] = "converted what is not a number to an integer",
		[WEIR_WASM_TRAP_UNREACHABLE] = "stopped itself (abort, or a panic)",
		[WEIR_WASM_TRAP_INDIRECT] = "called what is no function of that type",
		[WEIR_WASM_TRAP_STACK] = "ran out of stack: its recursion has no end",
		[WEIR_WASM_TRAP_LIMIT] =
			"needs more memory or tables at its start than it may have",
		[WEIR_WASM_TRAP_IMPORT] = "called a function that Weir does not have",
	};
	const struct weir_wasm_run *const run = &running->run;
	uint32_t words_bytes = run->words_bytes;
	const char *what = NULL;

	if ((size_t)trap < sizeof(words) / sizeof(words[0]))
		what = words[trap];
	if (what == NULL)
		what = "ended in a way that it should not";
	while (words_bytes != 0 && run->words[words_bytes - 1] == '\n')
		words_bytes--;
	reason_set(out, "the function %s%s%s%s%.*s%s%s", what,
		   run->is_starting ? " while it started" : "",
		   is_growth_refused ? "; it had been refused more memory" : "",
		   words_bytes != 0 ? "; its last words: " : "", (int)words_bytes, run->words,
		   run->missing != NULL ? ": " : "", run->missing != NULL ? run->missing : "");
	(void)function;
}

/* The call's result for how the module ended. */
static int outcome(const struct function *function, struct running *running,
		   enum weir_wasm_trap trap, bool is_growth_refused, uint32_t returned)
{
	const struct weir_wasm_run *const run = &running->run;
	char *const reason = run->call->abort_reason;

	running->has_ended = (trap == WEIR_WASM_TRAP_NONE || trap == WEIR_WASM_TRAP_EXIT) && !run->is_starting;
	switch (trap) {
	case WEIR_WASM_TRAP_NONE:
		if (!function->has_result || returned < UINT32_C(0x80000000))
			return 0;
		reason_set(reason, "the function returned %d", (int)returned);
		if (run->words_bytes != 0)
			reason_set(reason, "the function returned %d; its last words: %.*s",
				   (int)returned, (int)run->words_bytes, run->words);
		return -EIO;
	case WEIR_WASM_TRAP_EXIT:
		if (run->exit_code == 0 && function->kind == WEIR_WASM_COMMAND &&
		    !run->is_starting)
			return 0;
		reason_set(reason, "the function exited with status %u%s%.*s", run->exit_code,
			   run->words_bytes != 0 ? "; its last words: " : "",
			   (int)run->words_bytes, run->words);
		return -EIO;
	case WEIR_WASM_TRAP_TIMEOUT:
		return -ETIMEDOUT;
	case WEIR_WASM_TRAP_CANCELLED:
		return -ECANCELED;
	case WEIR_WASM_TRAP_FAILED:
		reason_set(reason, "the answer could not be written: %s",
			   strerror(-run->error));
		return -EIO;
	case WEIR_WASM_TRAP_BOUNDS:
	case WEIR_WASM_TRAP_OVERFLOW:
	case WEIR_WASM_TRAP_DIVISION:
	case WEIR_WASM_TRAP_CONVERSION:
	case WEIR_WASM_TRAP_UNREACHABLE:
	case WEIR_WASM_TRAP_INDIRECT:
	case WEIR_WASM_TRAP_EXCEPTION:
	case WEIR_WASM_TRAP_STACK:
	case WEIR_WASM_TRAP_LIMIT:
	case WEIR_WASM_TRAP_IMPORT:
		break;
	}
	trap_describe(function, running, trap, is_growth_refused, reason);
	return -EIO;
}

/* Start the module in a new instance and keep it as it is then. */
static int instance_start(struct function *function, struct running *running,
			  struct weir_wasm_instance *instance)
{
	enum weir_wasm_trap trap = WEIR_WASM_TRAP_NONE;
	int result = 0;

	running->run.is_starting = true;
	atomic_store_explicit(&running->instance, instance, memory_order_relaxed);
	trap = weir_wasm_instance_start(instance);
	if (trap == WEIR_WASM_TRAP_NONE && function->initialize != NULL)
		trap = weir_wasm_instance_enter(instance, function->initialize, NULL, NULL);
	if (trap != WEIR_WASM_TRAP_NONE)
		return outcome(function, running, trap, instance->is_growth_refused, 0);
	result = weir_wasm_instance_keep(instance);
	if (result != 0)
		reason_set(running->run.call->abort_reason, "no memory for the module: %s",
			   strerror(-result));
	running->run.is_starting = false;
	free(running->run.text); /* the request has another environment */
	running->run.text = NULL;
	return result;
}

static int instance_make(struct function *function, struct running *running,
			 struct weir_wasm_instance **out_instance)
{
	struct weir_wasm_instance *const instance = calloc(1, sizeof(*instance));
	int result = -ENOMEM;

	if (instance != NULL)
		result = weir_wasm_instance_create(instance, function->module,
						   function->pages_limit, &running->run);
	if (result != 0) {
		reason_set(running->run.call->abort_reason, "no memory for the module");
		free(instance);
		return result;
	}
	result = instance_start(function, running, instance);
	atomic_store_explicit(&running->instance, NULL, memory_order_relaxed);
	if (result != 0) {
		instance_free(instance);
		return result;
	}
	*out_instance = instance;
	return 0;
}

static int instance_take(struct function *function, struct running *running,
			 struct weir_wasm_instance **out_instance)
{
	struct weir_wasm_instance *const instance = function->idle;

	if (instance == NULL)
		return instance_make(function, running, out_instance);
	function->idle = instance->next;
	function->idle_count--;
	instance->user = &running->run;
	*out_instance = instance;
	return 0;
}

static void instance_give(struct function *function, struct weir_wasm_instance *instance)
{
	if (function->idle_count == IDLE_MAX) {
		instance_free(instance);
		return;
	}
	weir_wasm_instance_reset(instance);
	instance->user = NULL;
	instance->next = function->idle;
	function->idle = instance;
	function->idle_count++;
}

/* Run the entry in an instance that is as it was kept. */
static int instance_run(struct function *function, struct running *running,
			struct weir_wasm_instance *instance)
{
	const bool is_faasm = function->kind == WEIR_WASM_FAASM;
	enum weir_wasm_trap trap = WEIR_WASM_TRAP_NONE;
	uint64_t returned = 0;
	int result = is_faasm ? weir_wasm_faasm_before(instance) : 0;

	if (result != 0)
		return result;
	atomic_store_explicit(&running->instance, instance, memory_order_relaxed);
	trap = weir_wasm_instance_enter(instance, function->entry,
					is_faasm ? weir_wasm_faasm_arguments : NULL, &returned);
	atomic_store_explicit(&running->instance, NULL, memory_order_relaxed);
	result = outcome(function, running, trap, instance->is_growth_refused,
			 (uint32_t)returned);
	return result == 0 && is_faasm ? weir_wasm_faasm_after(instance) : result;
}

/* In an instance, from its start to its reset. */
static int call_run(struct function *function, struct running *running)
{
	struct weir_wasm_instance *instance = NULL;
	int result = instance_take(function, running, &instance);

	if (result != 0)
		return result;
	result = instance_run(function, running, instance);
	instance_give(function, instance);
	return result;
}

/* What it writes is the answer once it has ended, whatever its exit code. */
static int row_run(struct function *function, struct running *running)
{
	struct weir_exec_answer answer;
	int result = weir_exec_answer_open(&answer, running->run.call);

	if (result != 0)
		return result;
	running->run.row = &answer;
	result = call_run(function, running);
	if (running->has_ended)
		result = weir_exec_answer_finish(&answer, (int)running->run.exit_code);
	running->run.row = NULL;
	weir_exec_answer_close(&answer);
	return result;
}

static int wasm_invoke(void *opaque, struct weir_runtime_call *call)
{
	struct function *const function = opaque;
	struct running running = {
		.run = {.call = call,
			.name = function->name,
			.environment = (const char *const *)function->environment,
			.kind = function->kind}};
	int result = 0;

	call->running = &running;
	result = function->is_row && function->kind == WEIR_WASM_COMMAND ? row_run(function, &running)
									 : call_run(function, &running);
	if (running.run.has_nested)
		call->ops->nested_free(call, &running.run.nested);
	call->running = NULL;
	free(running.run.text);
	return result;
}

static void wasm_interrupt(void *opaque, struct weir_runtime_call *call)
{
	struct running *const running = call->running;
	struct weir_wasm_instance *instance = NULL;

	(void)opaque;
	if (running == NULL)
		return;
	instance = atomic_load_explicit(&running->instance, memory_order_relaxed);
	if (instance != NULL)
		weir_wasm_instance_interrupt(instance);
}

const struct weir_runtime_ops weir_runtime = {
	.name = "wasm",
	.probe = wasm_probe,
	.open = wasm_open,
	.load = wasm_load,
	.invoke = wasm_invoke,
	.interrupt = wasm_interrupt,
	.trap = weir_wasm_trap_take,
	.unload = wasm_unload,
	.close = wasm_close,
};
