/* js: JavaScript in QuickJS, for small functions: compiled as WebAssembly is (js_engine.h), all of its memory
 * put back after each call. The sister of `node`, for functions without packages.
 *
 *   load: the file runs in an instance of the base; what it left there is the function, a layer
 *   invoke: an instance with that layer -> run() -> reset
 *
 * A file that loops as it is loaded is stopped by QuickJS's own interrupts (there is no call to be late), a
 * call by the signal that stops WebAssembly. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/runtime/js/js_call.h"

#define LOAD_NS_MAX (UINT64_C(10) * WEIR_NS_PER_SECOND)

enum { PATH_BYTES_MAX = 4096 };

static void reason_set(char *out_reason, const char *text)
{
	(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "%s", text); /* cut where too long */
}

/* QuickJS lies beside the programs: bin/weir-worker-js, lib/weir/quickjs.so. */
static bool module_path(char out_path[PATH_BYTES_MAX])
{
	static const char beside[] = "lib/weir/quickjs.so";
	const ssize_t bytes = readlink("/proc/self/exe", out_path, PATH_BYTES_MAX - sizeof(beside));
	char *slash = NULL;

	if (bytes <= 0)
		return false;
	out_path[bytes] = '\0';
	for (int i = 0; i < 2; i++) {
		slash = strrchr(out_path, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	memcpy(slash, "/", 1);
	memcpy(slash + 1, beside, sizeof(beside));
	return true;
}

static int js_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	char path[PATH_BYTES_MAX];

	if (!module_path(path)) {
		reason_set(out_reason, "cannot see where the worker's program lies");
		return -ENOENT;
	}
	return weir_js_engine_open(path, out_reason); /* the sandbox comes next */
}

static int js_open(void **out_runtime)
{
	*out_runtime = NULL; /* there is one engine */
	return 0;
}

static void js_close(void *runtime)
{
	(void)runtime;
}

/* ---- load ---- */

static void js_unload(void *opaque)
{
	struct weir_js_function *const function = opaque;

	if (function->layer != NULL)
		weir_js_engine_forget(function->layer);
	weir_wasm_layer_free(function->layer);
	free(function->said);
	free(function);
}

/* One block: the function and its texts. */
static struct weir_js_function *function_make(const struct weir_runtime_function *wanted)
{
	const size_t path_bytes = strlen(wanted->code_path.data) + 1;
	const size_t name_bytes = wanted->space.bytes + 1 + wanted->name.bytes + 1;
	struct weir_js_function *const function =
		calloc(1, sizeof(*function) + path_bytes + name_bytes);
	const uint64_t pages = wanted->memory_bytes / WEIR_WASM_PAGE_BYTES;
	const char *slash = NULL;

	if (function == NULL)
		return NULL;
	function->pages_limit =
		pages < WEIR_WASM_PAGES_MAX ? (uint32_t)pages : WEIR_WASM_PAGES_MAX;
	function->path = (char *)(function + 1);
	memcpy(function->path, wanted->code_path.data, path_bytes);
	slash = strrchr(function->path, '/');
	function->file = slash != NULL ? slash + 1 : function->path;
	function->name = function->path + path_bytes;
	(void)snprintf(function->name, name_bytes, "%s/%s", wanted->space.data,
		       wanted->name.data);
	return function;
}

/* "A=b", ..., NULL as one text with NULs between, malloc'd. */
static char *variables_join(const char *const *environment, size_t *out_bytes)
{
	size_t bytes = 0;
	char *text = NULL;

	for (size_t i = 0; environment[i] != NULL; i++)
		bytes += strlen(environment[i]) + 1;
	text = malloc(bytes + 1);
	*out_bytes = bytes != 0 ? bytes - 1 : 0;
	bytes = 0;
	for (size_t i = 0; text != NULL && environment[i] != NULL; i++) {
		const size_t length = strlen(environment[i]) + 1;

		memcpy(text + bytes, environment[i], length);
		bytes += length;
	}
	return text;
}

/* What was printed stays for the first call; of a file that cannot be loaded the worker takes it from its
 * descriptors. */
static void said_keep(struct weir_js_function *function, const struct weir_js_said *said,
		      bool is_loaded)
{
	if (said->bytes[0] + said->bytes[1] == 0)
		return;
	if (is_loaded) {
		function->said = malloc(sizeof(*said));
		if (function->said != NULL)
			memcpy(function->said, said, sizeof(*said));
		return;
	}
	for (int i = 0; i < 2; i++)
		(void)!write(i == WEIR_RUNTIME_STDERR ? STDERR_FILENO : STDOUT_FILENO,
			     said->text[i], said->bytes[i]);
}

static void said_print(struct weir_js_function *function, struct weir_runtime_call *outer)
{
	struct weir_js_said *const said = function->said;

	for (int i = 0; i < 2; i++)
		outer->ops->print(outer, (enum weir_runtime_stream)i,
				  (struct weir_span){.data = said->text[i],
						     .bytes = said->bytes[i]});
	free(said);
	function->said = NULL;
}

/* Run the function's file in an instance of the base, and keep what differs then. */
static int file_run(struct weir_js_function *function, const struct weir_span text[4],
		    char *out_reason)
{
	struct weir_js_said said = {.bytes = {0, 0}};
	struct weir_js_call call = {.run = {.name = function->name,
					    .kind = WEIR_WASM_REACTOR,
					    .is_starting = true},
				    .function = function,
				    .said = &said,
				    .until_ns = weir_clock_now_ns() + LOAD_NS_MAX,
				    .reason = out_reason};
	struct weir_js_place *place = NULL;
	int result = weir_js_engine_take(NULL, function->pages_limit, &call.run, &place);

	if (result != 0) {
		reason_set(out_reason, result == -EFBIG
					       ? "JavaScript needs at least 2 MiB of memory"
					       : "no memory to load the function");
		return result;
	}
	result = weir_js_call_load(&call, &place->wasm, text);
	if (result == 0) {
		result = weir_js_engine_layer(&place->wasm, &function->layer);
		if (result != 0)
			reason_set(out_reason, "no memory to keep the function");
	}
	if (result == 0)
		weir_js_engine_give_loaded(place, function->layer);
	else
		weir_js_engine_give(place);
	said_keep(function, &said, result == 0);
	return result;
}

static int js_load(void *runtime, const struct weir_runtime_function *wanted,
		   void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct weir_js_function *const function = function_make(wanted);
	size_t variables_bytes = 0;
	WEIR_CLEANUP(weir_free) char *variables =
		variables_join(wanted->environment, &variables_bytes);
	int result = 0;

	(void)runtime;
	if (function == NULL || variables == NULL) {
		free(function);
		reason_set(out_reason, "no memory to load the function");
		return -ENOMEM;
	}
	if (access(function->path, R_OK) != 0) {
		result = -errno;
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "cannot read '%s': %s",
			       function->path, strerror(-result)); /* cut where too long */
	} else {
		const struct weir_span text[] = {weir_span_of(function->file), wanted->handler,
						 wanted->name,
						 {.data = variables, .bytes = variables_bytes}};

		result = file_run(function, text, out_reason);
	}
	if (result != 0) {
		js_unload(function);
		return result;
	}
	*out_instance = function;
	return 0;
}

/* ---- invoke ---- */

static int js_invoke(void *opaque, struct weir_runtime_call *outer)
{
	struct weir_js_function *const function = opaque;
	struct weir_js_call call = {.run = {.call = outer,
					    .name = function->name,
					    .kind = WEIR_WASM_REACTOR},
				    .function = function,
				    .reason = outer->abort_reason};
	struct weir_js_place *place = NULL;
	int result = weir_js_engine_take(function->layer, function->pages_limit, &call.run, &place);

	if (result != 0) {
		reason_set(outer->abort_reason, "no memory to run the function");
		return result;
	}
	if (function->said != NULL)
		said_print(function, outer);
	outer->running = &call;
	result = weir_js_call_run(&call, &place->wasm);
	outer->running = NULL;
	for (uint32_t i = 0; i < call.awaited_count; i++)
		outer->ops->nested_drop(outer, call.awaited[i]);
	weir_js_engine_give(place);
	return result;
}

static void js_interrupt(void *opaque, struct weir_runtime_call *outer)
{
	struct weir_js_call *const call = outer->running;
	struct weir_wasm_instance *instance = NULL;

	(void)opaque;
	if (call == NULL)
		return;
	instance = atomic_load_explicit(&call->inside, memory_order_relaxed);
	if (instance != NULL)
		weir_wasm_instance_interrupt(instance);
}

static const struct weir_sandbox_profile sandbox = {.flags = WEIR_SANDBOX_DIRECTORY};

const struct weir_runtime_ops weir_runtime = {
	.name = "js",
	.sandbox = &sandbox,
	.probe = js_probe,
	.open = js_open,
	.load = js_load,
	.invoke = js_invoke,
	.interrupt = js_interrupt,
	.trap = weir_wasm_trap_take,
	.unload = js_unload,
	.close = js_close,
};
