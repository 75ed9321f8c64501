/* js_host: what QuickJS imports. WASI's functions are those of WebAssembly's own runtime; `host` of std.js,
 * request.js and load.js comes through host_call, by name. They check each value that they get; what goes
 * wrong is a number or undefined, of which the scripts make an exception. */
#include <errno.h>
#include <stdio.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/runtime/js/js_file.h"
#include "dataplane/runtime/wasm/host.h"

enum {
	HOST_ARGUMENTS_MAX = 8,
	FIELDS_MAX = WEIR_RUNTIME_TARGET_FIELDS_MAX,
};

/* The arguments of one host_call; absent ones are undefined. */
struct arguments {
	uint64_t value[HOST_ARGUMENTS_MAX];
};

typedef uint64_t host_function(struct weir_wasm_instance *instance,
			       const struct arguments *arguments);

static int32_t whole_of(struct weir_wasm_instance *instance, uint64_t value)
{
	const double number = weir_js_double(instance, value);

	return number >= -2147483648.0 && number <= 2147483647.0 ? (int32_t)number : 0;
}

static struct weir_runtime_call *outer_of(const struct weir_wasm_instance *instance)
{
	return weir_js_call_of(instance)->run.call;
}

/* The address of a place in memory. */
static uint32_t address_of(const struct weir_wasm_instance *instance, const void *at)
{
	return (uint32_t)((const uint8_t *)at - instance->memory->data);
}

/* ---- what is printed, chance, text ---- */

static void say(struct weir_js_said *said, enum weir_runtime_stream stream,
		struct weir_span text)
{
	const size_t room = sizeof(said->text[stream]) - said->bytes[stream];
	const size_t bytes = text.bytes < room ? text.bytes : room;

	memcpy(said->text[stream] + said->bytes[stream], text.data, bytes);
	said->bytes[stream] += (uint32_t)bytes;
}

/* print(stream, text) */
static uint64_t host_print(struct weir_wasm_instance *instance,
			   const struct arguments *arguments)
{
	struct weir_js_call *const call = weir_js_call_of(instance);
	const enum weir_runtime_stream stream = whole_of(instance, arguments->value[0]) == 1
							? WEIR_RUNTIME_STDERR
							: WEIR_RUNTIME_STDOUT;
	struct weir_span text;
	uint32_t address = 0;

	if (!weir_js_text(instance, arguments->value[1], &text, &address))
		return WEIR_JS_EXCEPTION;
	if (call->said != NULL)
		say(call->said, stream, text);
	else
		weir_wasm_print(&call->run, stream, text);
	(void)WEIR_JS_DO(instance, free_text, weir_js_vm.context, address);
	return WEIR_JS_UNDEFINED;
}

/* exit(status) */
static uint64_t host_exit(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	weir_js_call_of(instance)->run.exit_code =
		(uint32_t)whole_of(instance, arguments->value[0]);
	weir_wasm_stop(instance, WEIR_WASM_TRAP_EXIT);
	return WEIR_JS_UNDEFINED;
}

/* random(bytes) */
static uint64_t host_random(struct weir_wasm_instance *instance,
			    const struct arguments *arguments)
{
	uint8_t *data = NULL;
	size_t bytes = 0;

	if (!weir_js_bytes(instance, arguments->value[0], &data, &bytes))
		return WEIR_JS_EXCEPTION;
	(void)weir_wasi_random_get(
		instance, (const uint64_t[]){address_of(instance, data), bytes});
	return WEIR_JS_UNDEFINED;
}

/* decode(bytes): text of UTF-8 */
static uint64_t host_decode(struct weir_wasm_instance *instance,
			    const struct arguments *arguments)
{
	uint8_t *data = NULL;
	size_t bytes = 0;

	if (!weir_js_bytes(instance, arguments->value[0], &data, &bytes))
		return WEIR_JS_EXCEPTION;
	return WEIR_JS_DO(instance, new_string, weir_js_vm.context, address_of(instance, data),
			  bytes);
}

/* encode(text): its bytes as UTF-8 */
static uint64_t host_encode(struct weir_wasm_instance *instance,
			    const struct arguments *arguments)
{
	struct weir_span text;
	uint32_t address = 0;
	uint64_t value = 0;

	if (!weir_js_text(instance, arguments->value[0], &text, &address))
		return WEIR_JS_EXCEPTION;
	value = WEIR_JS_DO(instance, new_bytes, weir_js_vm.context, address, text.bytes);
	(void)WEIR_JS_DO(instance, free_text, weir_js_vm.context, address);
	return value;
}

/* ---- the request ---- */

/* A text that grows in QuickJS's memory: parts with NULs between. */
struct parts {
	uint8_t *at;
	size_t used;
};

static void part_add(struct parts *parts, struct weir_span part)
{
	if (parts->at != NULL && part.bytes != 0)
		memcpy(parts->at + parts->used, part.data, part.bytes);
	if (parts->at != NULL)
		parts->at[parts->used + part.bytes] = '\0';
	parts->used += part.bytes + 1;
}

/* Method, path, query, activation, deadline, parent, count of parameters; parameters, then fields, in pairs. Without
 * a place it only counts. */
static void head_write(const struct weir_runtime_call *call, uint64_t deadline_ms,
		       struct parts *parts)
{
	const struct weir_request_head *const head = call->head;
	const struct weir_head_field *const fields = weir_runtime_fields(call);
	char text[48];

	part_add(parts, weir_runtime_method(call));
	part_add(parts, weir_runtime_span(call, head->path));
	part_add(parts, weir_runtime_span(call, head->query));
	weir_id_format(
		(struct weir_id){.high = call->activation_high, .low = call->activation_low},
		text);
	part_add(parts, (struct weir_span){.data = text, .bytes = 32});
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)deadline_ms);
	part_add(parts, weir_span_of(text));
	part_add(parts, weir_runtime_span(call, head->parent));
	(void)snprintf(text, sizeof(text), "%u", head->param_count);
	part_add(parts, weir_span_of(text));
	for (uint32_t i = 0; i < head->param_count; i++) {
		part_add(parts, weir_runtime_span(call, fields[head->field_count + i].name));
		part_add(parts, weir_runtime_span(call, fields[head->field_count + i].value));
	}
	for (uint32_t i = 0; i < head->field_count; i++) {
		part_add(parts, weir_runtime_span(call, fields[i].name));
		part_add(parts, weir_runtime_span(call, fields[i].value));
	}
}

/* When the deadline is by the clock on the wall. */
static uint64_t deadline_ms_of(const struct weir_runtime_call *call)
{
	const uint64_t now_ns = weir_clock_now_ns();

	return weir_clock_wall_ns() / WEIR_NS_PER_MS +
	       (call->deadline_ns > now_ns ? (call->deadline_ns - now_ns) / WEIR_NS_PER_MS : 0);
}

/* head(): all of the request but its body, as head_write() has it */
static uint64_t host_head(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	const struct weir_runtime_call *const call = outer_of(instance);
	struct parts parts = {0};
	uint64_t deadline_ms = 0;
	uint64_t value = 0;
	uint32_t address = 0;
	size_t bytes = 0;

	(void)arguments;
	if (call == NULL)
		return WEIR_JS_UNDEFINED;
	deadline_ms = deadline_ms_of(call);
	head_write(call, deadline_ms, &parts);
	bytes = parts.used;
	address = (uint32_t)WEIR_JS_DO(instance, malloc, bytes);
	parts = (struct parts){.at = weir_wasm_at(instance, address, bytes)};
	if (address == 0 || parts.at == NULL)
		return WEIR_JS_UNDEFINED;
	head_write(call, deadline_ms, &parts);
	value = WEIR_JS_DO(instance, new_string, weir_js_vm.context, address, bytes - 1);
	(void)WEIR_JS_DO(instance, free, address);
	return value;
}

/* length(): of the body; -1 = not known yet */
static uint64_t host_length(struct weir_wasm_instance *instance,
			    const struct arguments *arguments)
{
	const struct weir_runtime_call *const call = outer_of(instance);

	(void)arguments;
	if (call == NULL)
		return weir_js_number(0);
	return weir_js_number(call->head->content_length <= INT32_MAX
				      ? (int32_t)call->head->content_length
				      : -1);
}

/* body(bytes, first): fill it from there; how many there were, 0 at the end */
static uint64_t host_body(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	const int32_t first = whole_of(instance, arguments->value[1]);
	uint8_t *data = NULL;
	size_t bytes = 0;
	int64_t got = 0;

	if (!weir_js_bytes(instance, arguments->value[0], &data, &bytes) || first < 0 ||
	    (size_t)first > bytes || outer_of(instance) == NULL)
		return weir_js_number(0);
	got = weir_wasm_body(instance, data + first, bytes - (size_t)first, true);
	return weir_js_number(got > 0 ? (int32_t)got : 0);
}

/* text(): the whole body as text; undefined where its length is not known, or there is no memory */
static uint64_t host_text(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	const struct weir_runtime_call *const call = outer_of(instance);
	uint64_t value = WEIR_JS_UNDEFINED;
	size_t used = 0;
	int64_t got = 1;
	size_t bytes = 0;
	uint32_t address = 0;
	uint8_t *at = NULL;

	(void)arguments;
	if (call == NULL || call->head->content_length > INT32_MAX)
		return value;
	bytes = (size_t)call->head->content_length;
	address = (uint32_t)WEIR_JS_DO(instance, malloc, bytes + 1);
	at = weir_wasm_at(instance, address, bytes + 1);
	if (address == 0 || at == NULL)
		return value;
	while (used < bytes && got > 0) {
		got = weir_wasm_body(instance, at + used, bytes - used, true);
		used += got > 0 ? (size_t)got : 0;
	}
	value = WEIR_JS_DO(instance, new_string, weir_js_vm.context, address, used);
	(void)WEIR_JS_DO(instance, free, address);
	return value;
}

/* ---- other functions ---- */

/* Names and values with NULs between; how many pairs. */
static size_t fields_split(struct weir_span text, struct weir_runtime_field *fields)
{
	size_t count = 0;

	for (size_t i = 0; text.bytes != 0 && i < 2 * (FIELDS_MAX + 1); i++) {
		const char *const end = memchr(text.data, '\0', text.bytes);
		const size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;
		const struct weir_span part = {.data = text.data, .bytes = bytes};

		if (i % 2 == 0)
			fields[i / 2].name = part;
		else
			fields[i / 2].value = part;
		count = i / 2 + 1;
		text.data += bytes + (end != NULL);
		text.bytes -= bytes + (end != NULL);
	}
	return count;
}

static void target_read(struct weir_wasm_instance *instance, const struct arguments *arguments,
			struct weir_runtime_target *out, struct weir_span *out_fields)
{
	uint32_t address = 0; /* these views are given back with all of the memory */
	uint8_t *data = NULL;

	(void)weir_js_text(instance, arguments->value[0], &out->name, &address);
	out->method = (uint8_t)whole_of(instance, arguments->value[1]);
	(void)weir_js_text(instance, arguments->value[2], &out->path, &address);
	(void)weir_js_text(instance, arguments->value[3], &out->query, &address);
	(void)weir_js_text(instance, arguments->value[4], out_fields, &address);
	if (!weir_js_is_undefined(arguments->value[5]) &&
	    weir_js_bytes(instance, arguments->value[5], &data, &out->body.bytes))
		out->body.data = (const char *)data;
	out->is_one_way = whole_of(instance, arguments->value[6]) != 0;
}

/* call(name, method, path, query, fields, body, oneWay): its number, or a negative errno */
static uint64_t host_call(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	struct weir_js_call *const call = weir_js_call_of(instance);
	struct weir_runtime_call *const outer = call->run.call;
	struct weir_runtime_field fields[FIELDS_MAX + 1];
	struct weir_runtime_target target = {.fields = fields};
	struct weir_span text = {0};
	uint32_t nested = 0;
	int result = 0;

	if (outer == NULL || call->awaited_count == WEIR_JS_AWAITED_MAX)
		return weir_js_number(outer == NULL ? -EINVAL : -EBUSY);
	target_read(instance, arguments, &target, &text);
	target.field_count = fields_split(text, fields);
	if (target.field_count > FIELDS_MAX)
		return weir_js_number(-EINVAL);
	result = outer->ops->nested_start(outer, &target, &nested);
	if (result == -ETIMEDOUT)
		weir_wasm_stop(instance, WEIR_WASM_TRAP_TIMEOUT);
	else if (result == -ECANCELED)
		weir_wasm_stop(instance, WEIR_WASM_TRAP_CANCELLED);
	if (result != 0)
		return weir_js_number(result);
	call->awaited[call->awaited_count++] = nested;
	return weir_js_number((int32_t)nested);
}

/* reply(bytes): the body of the answer that called() is told of */
static uint64_t host_reply(struct weir_wasm_instance *instance,
			   const struct arguments *arguments)
{
	const struct weir_wasm_run *const run = &weir_js_call_of(instance)->run;
	uint8_t *data = NULL;
	size_t bytes = 0;

	if (run->has_nested &&
	    weir_js_bytes(instance, arguments->value[0], &data, &bytes) && bytes != 0)
		memcpy(data, run->nested.body.data,
		       bytes < run->nested.body.bytes ? bytes : run->nested.body.bytes);
	return WEIR_JS_UNDEFINED;
}

/* ---- files and source ---- */

/* file(path): its text, or undefined */
static uint64_t host_file(struct weir_wasm_instance *instance,
			  const struct arguments *arguments)
{
	const struct weir_js_function *const function = weir_js_call_of(instance)->function;
	char path[WEIR_JS_PATH_BYTES_MAX];
	struct weir_span text;
	uint32_t address = 0;
	uint8_t *at = NULL;
	int64_t bytes = 0;

	if (!weir_js_text(instance, arguments->value[0], &text, &address))
		return WEIR_JS_EXCEPTION;
	if (text.bytes >= sizeof(path) || memchr(text.data, '\0', text.bytes) != NULL)
		return WEIR_JS_UNDEFINED;
	memcpy(path, text.data, text.bytes);
	path[text.bytes] = '\0';
	bytes = weir_js_file_bytes(function, path);
	if (bytes < 0)
		return WEIR_JS_UNDEFINED;
	address = (uint32_t)WEIR_JS_DO(instance, malloc, (uint64_t)bytes + 1);
	at = weir_wasm_at(instance, address, (uint64_t)bytes + 1);
	if (address == 0 || at == NULL)
		return WEIR_JS_EXCEPTION;
	bytes = weir_js_file_read(function, path, at, (size_t)bytes);
	if (bytes < 0)
		return WEIR_JS_UNDEFINED;
	if (bytes >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
		address += 3;
		bytes -= 3;
	}
	return WEIR_JS_DO(instance, new_string, weir_js_vm.context, address, (uint64_t)bytes);
}

/* A text and the name of its file, for QuickJS to read. */
struct source {
	uint32_t text;
	uint32_t bytes;
	uint32_t file;
};

static bool source_read(struct weir_wasm_instance *instance, const struct arguments *arguments,
			struct source *out)
{
	struct weir_span text;
	struct weir_span file;

	if (!weir_js_text(instance, arguments->value[0], &text, &out->text) ||
	    !weir_js_text(instance, arguments->value[1], &file, &out->file))
		return false;
	out->bytes = (uint32_t)text.bytes;
	return true;
}

/* compile(source, file): the value of the script */
static uint64_t host_compile(struct weir_wasm_instance *instance,
			     const struct arguments *arguments)
{
	struct source source;

	if (!source_read(instance, arguments, &source))
		return WEIR_JS_EXCEPTION;
	return WEIR_JS_DO(instance, eval, weir_js_vm.context, source.text, source.bytes,
			  source.file, 0);
}

static uint64_t unboxed(const struct weir_wasm_instance *instance, uint32_t box)
{
	const uint8_t *const at = weir_wasm_at(instance, box, sizeof(uint64_t));
	uint64_t value = WEIR_JS_EXCEPTION;

	if (box != 0 && at != NULL)
		memcpy(&value, at, sizeof(value));
	return value;
}

/* module(source, file): a promise of the ES module's exports */
static uint64_t host_module(struct weir_wasm_instance *instance,
			    const struct arguments *arguments)
{
	struct source source;

	if (!source_read(instance, arguments, &source))
		return WEIR_JS_EXCEPTION;
	return unboxed(instance, (uint32_t)WEIR_JS_DO(instance, box_eval, source.text,
						      source.bytes, source.file, 1));
}

/* ---- what QuickJS imports ---- */

#define IMPORT(function)                                                  \
	static uint64_t import_##function(struct weir_wasm_instance *instance, \
					  const uint64_t *arguments)

static const struct {
	struct weir_span name;
	host_function *function;
} hosts[] = {
	{WEIR_SPAN("print"), host_print},	  {WEIR_SPAN("body"), host_body},
	{WEIR_SPAN("decode"), host_decode},	  {WEIR_SPAN("head"), host_head},
	{WEIR_SPAN("length"), host_length},	  {WEIR_SPAN("encode"), host_encode},
	{WEIR_SPAN("random"), host_random},	  {WEIR_SPAN("exit"), host_exit},
	{WEIR_SPAN("call"), host_call},		  {WEIR_SPAN("reply"), host_reply},
	{WEIR_SPAN("file"), host_file},		  {WEIR_SPAN("compile"), host_compile},
	{WEIR_SPAN("module"), host_module},	  {WEIR_SPAN("text"), host_text},
};

IMPORT(host_call)
{
	const struct weir_span name = {
		.data = (const char *)weir_wasm_at(instance, arguments[0], arguments[1]),
		.bytes = arguments[1]};
	struct arguments values;
	uint64_t value = WEIR_JS_EXCEPTION;
	uint32_t box = 0;
	uint8_t *at = NULL;

	for (size_t i = 0; i < HOST_ARGUMENTS_MAX; i++)
		values.value[i] =
			i < arguments[3]
				? unboxed(instance,
					  weir_js_u32(instance, (uint32_t)(arguments[4] + 4 * i)))
				: WEIR_JS_UNDEFINED;
	for (size_t i = 0; name.data != NULL && i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (weir_span_equal(name, hosts[i].name))
			value = hosts[i].function(instance, &values);
	if (weir_js_is_exception(value) || weir_wasm_is_stopped(instance))
		return 0;
	box = (uint32_t)WEIR_JS_DO(instance, malloc, sizeof(value));
	at = weir_wasm_at(instance, box, sizeof(value));
	if (box == 0 || at == NULL)
		return 0;
	memcpy(at, &value, sizeof(value));
	return box;
}

IMPORT(host_interrupt)
{
	const struct weir_js_call *const call = weir_js_call_of(instance);

	(void)arguments;
	return call->until_ns != 0 && weir_clock_now_ns() >= call->until_ns ? 1 : 0;
}

IMPORT(host_promise_rejection)
{
	const uint64_t values[] = {unboxed(instance, (uint32_t)arguments[0]),
				   unboxed(instance, (uint32_t)arguments[1]),
				   weir_js_number(arguments[2] != 0)};

	weir_js_call_of(instance)->unhandled += arguments[2] != 0 ? -1 : 1;
	(void)weir_js_call(instance, weir_js_api.reject, 3, values);
	(void)WEIR_JS_DO(instance, box_free, arguments[0]);
	(void)WEIR_JS_DO(instance, box_free, arguments[1]);
	return 0;
}

/* A NUL-terminated text of QuickJS's, as a value. */
static uint64_t text_value(struct weir_wasm_instance *instance, uint32_t address)
{
	const struct weir_wasm_memory *const memory = instance->memory;
	size_t bytes = 0;

	if (address >= memory->bytes)
		return WEIR_JS_UNDEFINED;
	bytes = strnlen((const char *)memory->data + address, memory->bytes - address);
	return WEIR_JS_DO(instance, new_string, weir_js_vm.context, address, bytes);
}

/* What a function of load.js returned as text of malloc()'s; 0: it threw. */
static uint32_t value_text(struct weir_wasm_instance *instance, uint64_t value,
			   size_t *out_bytes)
{
	struct weir_span text;
	uint32_t address = 0;
	uint32_t copy = 0;

	if (weir_js_is_exception(value) || !weir_js_text(instance, value, &text, &address))
		return 0;
	copy = weir_js_place(instance, text);
	*out_bytes = text.bytes;
	(void)WEIR_JS_DO(instance, free_text, weir_js_vm.context, address);
	return copy;
}

IMPORT(host_module_normalize)
{
	const uint64_t values[] = {text_value(instance, (uint32_t)arguments[0]),
				   text_value(instance, (uint32_t)arguments[1])};
	size_t bytes = 0;

	return value_text(instance, weir_js_call(instance, weir_js_api.normalize, 2, values),
			  &bytes);
}

IMPORT(host_module_load)
{
	const uint64_t value = text_value(instance, (uint32_t)arguments[0]);
	size_t bytes = 0;
	const uint32_t text = value_text(
		instance, weir_js_call(instance, weir_js_api.source, 1, &value), &bytes);
	uint8_t *const at = weir_wasm_at(instance, arguments[1], sizeof(uint32_t));
	const uint32_t length = (uint32_t)bytes;

	if (at == NULL)
		return 0;
	memcpy(at, &length, sizeof(length));
	return text;
}

/* Functions live in UTC. */
IMPORT(host_timezone)
{
	(void)instance;
	(void)arguments;
	return 0;
}

#define FUNCTION_WASI(module, name, signature, function, what)    weir_wasi_##function,
#define FUNCTION_QUICKJS(module, name, signature, function, what) import_##function,
static weir_wasm_import *const functions[] = {
	WEIR_WASM_IMPORTS_WASI(FUNCTION_WASI) WEIR_WASM_IMPORTS_QUICKJS(FUNCTION_QUICKJS)};
#undef FUNCTION_WASI
#undef FUNCTION_QUICKJS

static void missing(struct weir_wasm_instance *instance, const char *name)
{
	(void)instance;
	(void)name; /* weir-build-wasm knows them all */
}

const struct weir_wasm_imports weir_js_imports = {
	.function = functions,
	.count = sizeof(functions) / sizeof(functions[0]),
	.missing = missing,
};
