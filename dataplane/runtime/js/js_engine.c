#include "dataplane/runtime/js/js_engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/clock.h"
#include "dataplane/runtime/wasm/pages.h"

enum {
	IDLE_MAX = 16,      /* instances that wait for calls */
	RESTED_MS = 50,     /* an instance that waits for so long may as well go to another function */
	SETTLE_CALLS = 16, /* of one function in a row: then more will come */
	BASE_PAGES_MAX = 256,
	STACK_BYTES = 1 << 20, /* below this address lies QuickJS's C stack */
	DEAD_MAX = 512,
	HOLE_BYTES_MAX = 64 << 10,
	SMALL_BYTES_MAX = 512,
	/* Of QuickJS's own 1 MiB; what is left is for its frames above the last one that was checked. */
	STACK_MAX_BYTES = 640 << 10,
	GC_THRESHOLD_BYTES = 8 << 20, /* below it a call collects no cycles: it touches all of memory */
};

struct weir_js_api weir_js_api;

static const struct weir_wasm_module *module;
static struct weir_wasm_instance base;
static struct weir_js_place *idle; /* the last used first */
static uint32_t idle_count;
static uint32_t heap_mark; /* malloc()'s topmost block in the base */

/* ---- the texts that were assembled into the program ---- */

#define TEXT(name)                                                                         \
	extern const char weir_js_##name##_begin[], weir_js_##name##_end[];                \
	__asm__(".pushsection .rodata\n"                                                   \
		".globl weir_js_" #name "_begin\n.hidden weir_js_" #name "_begin\n"        \
		".globl weir_js_" #name "_end\n.hidden weir_js_" #name "_end\n"            \
		"weir_js_" #name "_begin:\n"                                               \
		".incbin \"" WEIR_JS_TEXTS "/" #name ".js\"\n"                             \
		"weir_js_" #name "_end:\n"                                                 \
		".popsection\n")

TEXT(std);
TEXT(request);
TEXT(load);

static const struct {
	const char *file;
	const char *begin;
	const char *end;
} texts[] = {
	{"weir/std.js", weir_js_std_begin, weir_js_std_end},
	{"weir/request.js", weir_js_request_begin, weir_js_request_end},
	{"weir/load.js", weir_js_load_begin, weir_js_load_end},
};

/* ---- the base ---- */

static void reason_set(char *out_reason, const char *what, const char *why)
{
	(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "%s%s%s", what,
		       why[0] != '\0' ? ": " : "", why); /* cut where too long */
}

static void property_set(struct weir_wasm_instance *instance, uint64_t object, const char *name,
			 uint64_t value)
{
	const uint32_t address = weir_js_place(instance, weir_span_of(name));

	(void)WEIR_JS_DO(instance, set, weir_js_vm.context, object, address, value);
}

/* globalThis.weir = {host: {print: ..., ...}} */
static void host_make(struct weir_wasm_instance *instance)
{
	static const char *const names[] = {"print", "exit", "random", "decode", "encode",
					    "head", "length", "body", "call", "reply",
					    "file", "compile", "module", "text"};
	const uint64_t context = weir_js_vm.context;
	const uint64_t weir = WEIR_JS_DO(instance, new_object, context);
	const uint64_t host = WEIR_JS_DO(instance, new_object, context);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct weir_span name = weir_span_of(names[i]);
		const uint32_t address = weir_js_place(instance, name);
		const uint32_t box = (uint32_t)WEIR_JS_DO(instance, host_function, address,
							  name.bytes, 0);
		uint64_t value = 0;
		const uint8_t *const at = weir_wasm_at(instance, box, sizeof(value));

		if (at != NULL)
			memcpy(&value, at, sizeof(value));
		property_set(instance, host, names[i], value);
	}
	property_set(instance, weir, "host", host);
	property_set(instance, WEIR_JS_DO(instance, global, context), "weir", weir);
}

/* Run the texts; the last one's value is weir.api. */
static uint64_t texts_run(struct weir_wasm_instance *instance)
{
	uint64_t value = WEIR_JS_UNDEFINED;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct weir_span text = {
			.data = texts[i].begin,
			.bytes = (size_t)(texts[i].end - texts[i].begin)};
		const uint32_t address = weir_js_place(instance, text);
		const uint32_t file = weir_js_place(instance, weir_span_of(texts[i].file));

		value = WEIR_JS_DO(instance, eval, weir_js_vm.context, address, text.bytes,
				   file, 0);
		if (weir_js_is_exception(value))
			break;
		(void)WEIR_JS_DO(instance, free, address);
	}
	return value;
}

static bool api_find(struct weir_wasm_instance *instance, uint64_t api)
{
	bool is_whole = true;

#define FIND(name)                                                      \
	weir_js_api.name = weir_js_property(instance, api, #name);      \
	is_whole = is_whole && !weir_js_is_undefined(weir_js_api.name);
	WEIR_JS_API(FIND)
#undef FIND
	weir_js_api.out = (uint32_t)WEIR_JS_DO(instance, buffer, weir_js_vm.context,
					       weir_js_vm.scratch,
					       weir_js_property(instance, api, "out"));
	return is_whole && weir_js_engine_out(instance) != NULL;
}

/* Use what functions will use. */
static void warm(struct weir_wasm_instance *instance)
{
	const uint64_t until_ns = weir_clock_now_ns() + WEIR_NS_PER_SECOND;
	bool has_timer = true;

	(void)weir_js_call(instance, weir_js_api.warm, 0, NULL);
	while (has_timer && weir_clock_now_ns() < until_ns) {
		while (WEIR_JS_DO(instance, has_job, 0) != 0)
			(void)WEIR_JS_DO(instance, job, 0);
		has_timer = weir_js_double(instance, weir_js_call(instance, weir_js_api.tick, 0,
								  NULL)) >= 0;
	}
	(void)weir_js_call(instance, weir_js_api.warmed, 0, NULL);
}

/* Take what is free between blocks, of QuickJS's own small ones and of malloc()'s, so that functions and calls get
 * memory in a row: they write to fewer pages, which are fewer to put back. */
static void holes_fill(struct weir_wasm_instance *instance)
{
	const uint64_t context = weir_js_vm.context;
	const uint64_t top = WEIR_JS_DO(instance, malloc, HOLE_BYTES_MAX);
	uint64_t address = 0;

	(void)WEIR_JS_DO(instance, free, top);
	/* Small ones come out of a page for each size; the last one stays, so that its page is there. */
	for (uint64_t bytes = SMALL_BYTES_MAX; bytes >= 8; bytes -= 8)
		do
			address = WEIR_JS_DO(instance, js_malloc, context, bytes);
		while (address != 0 && address < top);
	for (uint64_t bytes = HOLE_BYTES_MAX; bytes >= 8; bytes -= bytes > 1024 ? bytes / 4 : 8) {
		do
			address = WEIR_JS_DO(instance, malloc, bytes);
		while (address != 0 && address < top);
		(void)WEIR_JS_DO(instance, free, address);
	}
}

/* `context` is the reason's place; empty = it went well. */
static void base_fill(struct weir_wasm_instance *instance, void *context)
{
	struct weir_span text = {0};
	uint32_t address = 0;
	uint64_t api = 0;

	(void)WEIR_JS_DO(instance, initialize, 0);
	if (WEIR_JS_DO(instance, init, 0) != 0) {
		reason_set(context, "QuickJS does not start", "");
		return;
	}
	weir_js_vm.context = (uint32_t)WEIR_JS_DO(instance, context, 0);
	weir_js_vm.scratch = (uint32_t)WEIR_JS_DO(instance, malloc, sizeof(uint64_t));
	(void)WEIR_JS_DO(instance, stack_max, STACK_MAX_BYTES);
	(void)WEIR_JS_DO(instance, gc_threshold, GC_THRESHOLD_BYTES);
	(void)WEIR_JS_DO(instance, rejections, 1);
	(void)WEIR_JS_DO(instance, modules, 1);
	host_make(instance);
	api = texts_run(instance);
	if (weir_js_is_exception(api)) {
		(void)weir_js_text(instance,
				   WEIR_JS_DO(instance, exception, weir_js_vm.context), &text,
				   &address);
		reason_set(context, "the runtime's own texts do not run", text.data);
		return;
	}
	if (!api_find(instance, api))
		reason_set(context, "the runtime's own texts are not whole", "");
	warm(instance);
	holes_fill(instance);
	heap_mark = (uint32_t)WEIR_JS_DO(instance, malloc, HOLE_BYTES_MAX);
	(void)WEIR_JS_DO(instance, free, heap_mark);
	/* Nothing of the stack is in use: it is kept as zeros. */
	memset(weir_wasm_at(instance, 0, STACK_BYTES), 0, STACK_BYTES);
}

static int base_make(char *out_reason)
{
	struct weir_wasm_run run = {.name = "weir", .kind = WEIR_WASM_REACTOR, .is_starting = true};
	int result = weir_wasm_instance_create(&base, module, BASE_PAGES_MAX, &run);
	enum weir_wasm_trap trap = WEIR_WASM_TRAP_NONE;

	if (result == 0)
		trap = weir_wasm_instance_start(&base);
	if (result == 0 && trap == WEIR_WASM_TRAP_NONE)
		trap = weir_wasm_instance_host(&base, base_fill, out_reason);
	if (trap != WEIR_WASM_TRAP_NONE) {
		reason_set(out_reason, "QuickJS stopped as it started", "");
		return -EIO;
	}
	if (out_reason[0] != '\0')
		return -EIO;
	if (result == 0)
		result = weir_wasm_instance_keep_base(&base);
	base.user = NULL;
	if (result != 0)
		reason_set(out_reason, "no memory for QuickJS", strerror(-result));
	return result;
}

static int library_load(const char *path, char *out_reason)
{
	void *const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	if (library == NULL) {
		reason_set(out_reason, "cannot load QuickJS",
			   dlerror()); /* NOLINT(concurrency-mt-unsafe): its state is per thread */
		return -ENOEXEC;
	}
	module = dlsym(library, "weir_wasm_module");
	if (module == NULL || module->abi != WEIR_WASM_ABI) {
		reason_set(out_reason, "QuickJS was built for another version of Weir", path);
		return -EPROTO;
	}
	module->bind(weir_wasm_host());
	if (!weir_js_vm_bind(module, &missing)) {
		reason_set(out_reason, "QuickJS has no function of that name and type", missing);
		return -ENOEXEC;
	}
	return 0;
}

int weir_js_engine_open(const char *path, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	int result = 0;

	out_reason[0] = '\0';
	weir_wasm_pages_open();
	result = weir_wasm_instances_open(&weir_js_imports);
	if (result == 0)
		result = library_load(path, out_reason);
	return result == 0 ? base_make(out_reason) : result;
}

const struct weir_js_out *weir_js_engine_out(const struct weir_wasm_instance *instance)
{
	return (const struct weir_js_out *)(const void *)weir_wasm_at(
		instance, weir_js_api.out & ~UINT32_C(3), sizeof(struct weir_js_out));
}

/* ---- layers ---- */

/* Blocks of malloc() that are free, above the base's: what stands in them is nobody's. wasi-libc has Doug Lea's
 * malloc: a head of two words before a block, the second its bytes, with bit 1 set where it is in use; a free one
 * begins with up to six words of links. False where the heads don't lead to the memory's end: it is another. */
static bool heap_dead(const struct weir_wasm_instance *instance, struct weir_wasm_range *dead,
		      size_t *out_count)
{
	enum { HEAD_BYTES = 8, LINKS_BYTES = 24, FLAGS = 7, IN_USE = 2, END_BYTES_MAX = 128 };
	const uint32_t end = instance->memory->bytes;
	uint32_t block = heap_mark;

	while (block < end - END_BYTES_MAX) {
		const uint32_t head = weir_js_u32(instance, block - 4);
		const uint32_t bytes = head & ~(uint32_t)FLAGS;

		if (bytes < 2 * HEAD_BYTES || bytes > end - block)
			return false;
		if ((head & IN_USE) == 0 && bytes > LINKS_BYTES + HEAD_BYTES &&
		    *out_count < DEAD_MAX)
			dead[(*out_count)++] = (struct weir_wasm_range){
				block + LINKS_BYTES, block - HEAD_BYTES + bytes};
		block += bytes;
	}
	return true;
}

int weir_js_engine_layer(const struct weir_wasm_instance *instance,
			 struct weir_wasm_layer **out_layer)
{
	struct weir_wasm_range dead[DEAD_MAX] = {{0, STACK_BYTES}};
	size_t count = 1;

	if (!heap_dead(instance, dead, &count))
		count = 1;
	return weir_wasm_layer_make(instance, dead, count, out_layer);
}

/* ---- instances ---- */

static void place_free(struct weir_js_place *place)
{
	weir_wasm_instance_destroy(&place->wasm);
	free(place);
}

static int place_make(struct weir_wasm_run *run, struct weir_js_place **out_place)
{
	struct weir_js_place *const place = calloc(1, sizeof(*place));
	int result = place != NULL ? 0 : -ENOMEM;

	if (result == 0)
		result = weir_wasm_instance_create(&place->wasm, module, BASE_PAGES_MAX, run);
	if (result == 0 && weir_wasm_instance_start(&place->wasm) != WEIR_WASM_TRAP_NONE)
		result = -ENOMEM;
	if (result == 0)
		result = weir_wasm_instance_share(&place->wasm, &base);
	if (result != 0) {
		if (place != NULL)
			place_free(place);
		return result;
	}
	*out_place = place;
	return 0;
}

/* Would it cost more to bind this one again and again than to make another? */
static bool is_busy(const struct weir_js_place *place)
{
	return weir_clock_now_ns() - place->wasm.used_ns < RESTED_MS * WEIR_NS_PER_MS;
}

/* The idle instance that is bound to `layer`; else the one that was used longest ago, as long as functions do
 * not take turns with fewer instances than there may be. NULL: there is none. */
static struct weir_js_place *idle_take(const struct weir_wasm_layer *layer)
{
	struct weir_js_place **link = &idle;
	struct weir_js_place *place = idle;

	while (place != NULL && place->layer != layer && place->next != NULL) {
		link = &place->next;
		place = place->next;
	}
	if (place == NULL)
		return NULL;
	if (place->layer != layer && idle_count < IDLE_MAX && is_busy(place))
		return NULL; /* there is room for one more */
	*link = place->next;
	idle_count--;
	return place;
}

int weir_js_engine_take(const struct weir_wasm_layer *layer, uint32_t pages_limit,
			struct weir_wasm_run *run, struct weir_js_place **out_place)
{
	struct weir_js_place *place = idle_take(layer);
	int result = 0;

	if (place == NULL)
		result = place_make(run, &place);
	if (result != 0)
		return result;
	place->wasm.user = run;
	if (place->wasm.layer != layer || place->wasm.pages_limit != pages_limit) {
		result = weir_wasm_instance_bind(&place->wasm, layer, pages_limit);
		place->calls = 0;
	}
	if (result != 0) {
		place_free(place);
		return result;
	}
	place->layer = layer;
	*out_place = place;
	return 0;
}

static void idle_add(struct weir_js_place *place)
{
	place->wasm.user = NULL;
	place->next = idle;
	idle = place;
	idle_count++;
}

void weir_js_engine_give(struct weir_js_place *place)
{
	if (idle_count == IDLE_MAX) {
		place_free(place);
		return;
	}
	weir_wasm_instance_reset(&place->wasm);
	place->calls++;
	if (place->calls == SETTLE_CALLS)
		(void)weir_wasm_instance_settle(&place->wasm); /* it goes on as it is */
	idle_add(place);
}

void weir_js_engine_give_loaded(struct weir_js_place *place, const struct weir_wasm_layer *layer)
{
	if (idle_count == IDLE_MAX ||
	    weir_wasm_instance_bind(&place->wasm, layer, place->wasm.pages_limit) != 0) {
		place_free(place);
		return;
	}
	place->layer = layer;
	place->calls = 0;
	idle_add(place);
}

void weir_js_engine_forget(const struct weir_wasm_layer *layer)
{
	for (struct weir_js_place *place = idle; place != NULL; place = place->next) {
		if (place->layer != layer)
			continue;
		/* The base fits where the function did. */
		(void)weir_wasm_instance_bind(&place->wasm, NULL, place->wasm.pages_limit);
		place->layer = NULL;
	}
}
