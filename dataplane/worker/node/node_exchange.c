/* What JavaScript asks and says of a call (node_js.c lists it). An id that is over is ignored: a handler
 * may answer after its caller left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/node/node_js.h"
#include "dataplane/worker/node/node_nested.h"
#include "dataplane/worker/reveal.h"
#include "dataplane/worker/variables.h"

/* ---- the request ---- */

/* The function's own variables, "K=V". */
static napi_value variables(napi_env env, const struct weir_snapshot_function *row)
{
	const char *list[WEIR_ENVIRONMENT_VARIABLES_MAX + 1] = {NULL};
	napi_value array = NULL;

	check(napi_create_array(env, &array));
	if ((row->flags & WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT) == 0 ||
	    !weir_variables_list(weir_node_host.variables, row->id, row->version, list))
		return array;
	for (uint32_t i = 0; list[i] != NULL; i++)
		check(napi_set_element(env, array, i, text_of(env, list[i], strlen(list[i]))));
	return array;
}

static napi_value describe(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	const struct weir_snapshot_function *row = NULL;
	struct weir_span texts[4];
	napi_value list = NULL, memory = NULL;

	if (slot != NULL)
		row = weir_snapshot_function_find(&weir_node_host.snapshot, slot->call->function_id);
	if (row == NULL)
		return nothing(env);
	weir_capture_name(weir_node_host.function.name); /* loading may print, too */
	(void)weir_reveal_ask(row->id); /* a file that could not be shown is missing, and load() says so */
	texts[0] = weir_snapshot_span(&weir_node_host.snapshot, row->space);
	texts[1] = weir_snapshot_span(&weir_node_host.snapshot, row->name);
	texts[2] = weir_snapshot_span(&weir_node_host.snapshot, row->code_path);
	texts[3] = weir_snapshot_span(&weir_node_host.snapshot, row->handler);
	check(napi_create_array_with_length(env, 6, &list));
	for (uint32_t i = 0; i < 4; i++)
		check(napi_set_element(env, list, i, text_of(env, texts[i].data, texts[i].bytes)));
	check(napi_create_double(env, (double)weir_memory_of(&weir_node_host.snapshot, row), &memory));
	check(napi_set_element(env, list, 4, memory));
	check(napi_set_element(env, list, 5, variables(env, row)));
	return list;
}

static void lower(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] - 'A' + 'a');
	}
}

/* Method, path and query. */
static napi_value line(napi_env env, napi_callback_info info)
{
	static const struct weir_span methods[] = {{"GET", 3},	  {"HEAD", 4},	{"POST", 4},   {"PUT", 3},
						   {"DELETE", 6}, {"PATCH", 5}, {"OPTIONS", 7}};
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	char text[WEIR_HEAD_REQUEST_BYTES_MAX + 16];
	size_t bytes = 0;

	if (slot == NULL)
		return nothing(env);
	bytes = text_append(text, 0,
		       slot->call->head->method < sizeof(methods) / sizeof(methods[0])
			       ? methods[slot->call->head->method]
			       : WEIR_SPAN(""));
	bytes = text_append(text, bytes, weir_port_call_span(slot->call, slot->call->head->path));
	bytes = text_append(text, bytes, weir_port_call_span(slot->call, slot->call->head->query));
	return text_of(env, text, bytes - 1);
}

/* name NUL value NUL ... of some of the head's rows; undefined for a call that is over. */
static napi_value rows(napi_env env, napi_callback_info info, bool are_params)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	char text[WEIR_HEAD_REQUEST_BYTES_MAX + 2 * (WEIR_HEAD_FIELDS_MAX + WEIR_HEAD_PARAMS_MAX)];
	const struct weir_request_head *head = NULL;
	const struct weir_head_field *row = NULL;
	napi_value value = NULL;
	size_t bytes = 0;
	size_t count = 0;

	if (slot == NULL)
		return nothing(env);
	head = slot->call->head;
	row = (const struct weir_head_field *)(const void *)(head + 1) + (are_params ? head->field_count : 0);
	count = are_params ? head->param_count : head->field_count;
	for (size_t i = 0; i < count; i++) {
		const struct weir_span name = weir_port_call_span(slot->call, row[i].name);
		const struct weir_span text_value = weir_port_call_span(slot->call, row[i].value);

		if (bytes + name.bytes + text_value.bytes + 2 > sizeof(text))
			break; /* rows that share their text: no gateway writes that */
		bytes = text_append(text, bytes, name);
		if (!are_params)
			lower(text + bytes - name.bytes - 1, name.bytes);
		bytes = text_append(text, bytes, text_value);
	}
	if (are_params) /* a path is decoded, fields are bytes, as in Node's own server */
		return text_of(env, text, bytes);
	check(napi_create_string_latin1(env, text, bytes, &value));
	return value;
}

static napi_value headers(napi_env env, napi_callback_info info)
{
	return rows(env, info, false);
}

static napi_value params(napi_env env, napi_callback_info info)
{
	return rows(env, info, true);
}

static napi_value activation(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	char text[32];

	if (slot == NULL)
		return nothing(env);
	weir_id_format((struct weir_id){.high = slot->call->activation_high, .low = slot->call->activation_low},
		       text);
	return text_of(env, text, sizeof(text));
}

static napi_value parent(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	struct weir_head_slice text;

	if (slot == NULL)
		return nothing(env);
	text = slot->call->head->parent;
	return text_of(env, (const char *)slot->call->head + text.offset, text.bytes);
}

/* Does the instance itself only want to know whether the function can be loaded? (ctrl/ctrld/trial.h) */
static napi_value is_probe(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	const struct weir_head_field *row = NULL;
	napi_value value = NULL;
	bool is_one = false;

	if (slot != NULL &&
	    weir_span_equal(weir_port_call_span(slot->call, slot->call->head->peer), WEIR_SPAN("unix"))) {
		row = (const struct weir_head_field *)(const void *)(slot->call->head + 1);
		for (size_t i = 0; i < slot->call->head->field_count && !is_one; i++)
			is_one = weir_span_equal(weir_port_call_span(slot->call, row[i].name),
						 WEIR_SPAN("x-weir-load"));
	}
	check(napi_get_boolean(env, is_one, &value));
	return value;
}

/* Milliseconds until the call's deadline, at least 0. */
static napi_value remaining(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	const struct weir_node_slot *const slot = slot_of(env, &arguments);
	const uint64_t now_ns = weir_clock_now_ns();
	napi_value value = NULL;
	double left_ms = 0;

	if (slot != NULL && slot->call->deadline_ns > now_ns)
		left_ms = (double)(slot->call->deadline_ns - now_ns) / (double)WEIR_NS_PER_MS;
	check(napi_create_double(env, left_ms, &value));
	return value;
}

/* ---- the answer ---- */

/* A text's UTF-8 in memory of its own, NUL behind it; the caller frees it. NULL: not a text, no memory. */
static char *text_copy(napi_env env, napi_value value, size_t *out_bytes)
{
	size_t bytes = 0;
	char *text = NULL;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &bytes) != napi_ok)
		return NULL;
	text = malloc(bytes + 1);
	if (text != NULL)
		check(napi_get_value_string_utf8(env, value, text, bytes + 1, out_bytes));
	return text;
}

/* fields: [name, value, name, value, ...], all texts. */
static void fields_set(napi_env env, struct weir_node_slot *slot, napi_value fields)
{
	char name[256];
	char value[WEIR_PORT_CALL_HEAD_BYTES_MAX + 1];
	uint32_t count = 0;

	check(napi_get_array_length(env, fields, &count));
	for (uint32_t i = 0; i + 1 < count; i += 2) {
		napi_value text = NULL;
		struct weir_span name_text;

		check(napi_get_element(env, fields, i, &text));
		name_text = text_get(env, text, name, sizeof(name));
		check(napi_get_element(env, fields, i + 1, &text));
		/* Refused ones are counted by the port, and said when the call is over. */
		(void)weir_port_call_field(slot->call, name_text,
					   text_get(env, text, value, sizeof(value)));
	}
}

/* A text, written where it will be sent from if it fits there. */
static void answer_text(napi_env env, struct weir_node_slot *slot, napi_value body)
{
	uint8_t *room = NULL;
	char *text = NULL;
	size_t room_bytes = 0;
	size_t bytes = 0;

	if (weir_port_call_room(slot->call, &room, &room_bytes) == 0) {
		check(napi_get_value_string_utf8(env, body, (char *)room, room_bytes, &bytes));
		if (bytes + 4 < room_bytes) { /* not cut: a character has at most 4 bytes, and NUL one */
			(void)weir_port_call_commit(slot->call, bytes);
			weir_node_call_finish(slot);
			return;
		}
	}
	text = text_copy(env, body, &bytes);
	if (text == NULL)
		weir_node_call_fail(slot, WEIR_ABORT_FAILED, WEIR_SPAN("no memory for the answer"));
	else
		weir_node_call_answer(slot, text, bytes);
	free(text);
}

static void answer_body(napi_env env, struct weir_node_slot *slot, napi_value body)
{
	napi_typedarray_type kind = napi_uint8_array;
	napi_valuetype type = napi_undefined;
	size_t bytes = 0;
	void *data = NULL;

	check(napi_typeof(env, body, &type));
	if (type == napi_string && slot->call->status != 204 && slot->call->status != 304)
		answer_text(env, slot, body);
	else if (napi_get_typedarray_info(env, body, &kind, &bytes, &data, NULL, NULL) == napi_ok)
		weir_node_call_answer(slot, data, bytes); /* an Uint8Array */
	else
		weir_node_call_answer(slot, NULL, 0);
}

static napi_value answer(napi_env env, napi_callback_info info)
{
	static const struct weir_span types[] = {
		{NULL, 0},
		{"text/plain; charset=utf-8", 25},
		{"application/json", 16},
		{"application/octet-stream", 24},
	};
	const struct arguments arguments = arguments_get(env, info);
	struct weir_node_slot *const slot = slot_of(env, &arguments);
	napi_valuetype fields = napi_undefined;
	uint32_t status = 0;
	uint32_t type = 0;

	if (slot == NULL || slot->state != WEIR_NODE_RUNNING)
		return nothing(env);
	status = number_of(env, arguments.value[1]);
	type = number_of(env, arguments.value[2]);
	if (status != 200 && weir_port_call_status(slot->call, status) == -EINVAL) {
		weir_node_call_fail(slot, WEIR_ABORT_GARBAGE, WEIR_SPAN("the function's status is not 200 to 599"));
		return nothing(env);
	}
	if (type != 0 && type < sizeof(types) / sizeof(types[0]))
		(void)weir_port_call_field(slot->call, WEIR_SPAN("content-type"), types[type]);
	check(napi_typeof(env, arguments.value[3], &fields));
	if (fields == napi_object)
		fields_set(env, slot, arguments.value[3]);
	answer_body(env, slot, arguments.value[4]);
	return nothing(env);
}

/* kind: 0 the function failed, 1 it could not be loaded. */
static napi_value fail(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	struct weir_node_slot *const slot = slot_of(env, &arguments);
	char reason[4 * WEIR_PORT_CALL_REASON_BYTES_MAX];

	if (slot != NULL && slot->state == WEIR_NODE_RUNNING)
		weir_node_call_fail(slot,
				    number_of(env, arguments.value[1]) == 1 ? WEIR_ABORT_LOAD : WEIR_ABORT_FAILED,
				    text_get(env, arguments.value[2], reason, sizeof(reason)));
	return nothing(env);
}

/* A body for another function, or what is printed: a text or an Uint8Array; *out_copy is the caller's to free. */
static struct weir_span body_get(napi_env env, napi_value value, char **out_copy)
{
	napi_typedarray_type kind = napi_uint8_array;
	size_t bytes = 0;
	void *data = NULL;

	*out_copy = text_copy(env, value, &bytes);
	if (*out_copy != NULL)
		return (struct weir_span){.data = *out_copy, .bytes = bytes};
	if (napi_get_typedarray_info(env, value, &kind, &bytes, &data, NULL, NULL) != napi_ok)
		return (struct weir_span){0};
	return (struct weir_span){.data = data, .bytes = bytes};
}

/* Take the fields [name, value, ...] to `out`, their text to `text`. How many; too many if there is no room. */
static size_t target_fields(napi_env env, napi_value list, struct weir_runtime_field *out, char *text, size_t size)
{
	uint32_t count = 0;

	check(napi_get_array_length(env, list, &count));
	for (uint32_t i = 0; i < count && i < 2 * WEIR_RUNTIME_TARGET_FIELDS_MAX; i++) {
		napi_value value = NULL;
		struct weir_span span;

		check(napi_get_element(env, list, i, &value));
		span = text_get(env, value, text, size);
		text += span.bytes;
		size -= span.bytes;
		*(i % 2 == 0 ? &out[i / 2].name : &out[i / 2].value) = span;
	}
	return count / 2;
}

/* call(id, name, method, path, query, fields, body, isOneWay): the nested call's number, or -errno. */
static napi_value call(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	struct weir_node_slot *const slot = slot_of(env, &arguments);
	struct weir_runtime_field fields[WEIR_RUNTIME_TARGET_FIELDS_MAX];
	char texts[4][WEIR_NESTED_HEAD_BYTES_MAX + 2]; /* what is longer is refused as too long */
	struct weir_runtime_target target = {.fields = fields};
	napi_value value = NULL;
	char *copy = NULL;
	uint32_t number = 0;
	int result = -ESRCH;

	if (slot != NULL && slot->state == WEIR_NODE_RUNNING) {
		target.name = text_get(env, arguments.value[1], texts[0], sizeof(texts[0]));
		target.method = (uint8_t)number_of(env, arguments.value[2]);
		target.path = text_get(env, arguments.value[3], texts[1], sizeof(texts[1]));
		target.query = text_get(env, arguments.value[4], texts[2], sizeof(texts[2]));
		target.field_count = target_fields(env, arguments.value[5], fields, texts[3], sizeof(texts[3]));
		target.body = body_get(env, arguments.value[6], &copy);
		(void)napi_get_value_bool(env, arguments.value[7], &target.is_one_way); /* no boolean: false */
		result = weir_node_nested_start(slot, &target, &number);
		free(copy);
	}
	check(napi_create_int32(env, result == 0 ? (int32_t)number : result, &value));
	return value;
}

static napi_value print(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	struct weir_node_slot *const slot = slot_of(env, &arguments);
	char *copy = NULL;
	const struct weir_span text = body_get(env, arguments.value[2], &copy);

	weir_node_call_print(&weir_node_host, slot,
			     number_of(env, arguments.value[1]) == 2 ? WEIR_RUNTIME_STDERR : WEIR_RUNTIME_STDOUT, text);
	free(copy);
	return nothing(env);
}

void weir_node_exchange_define(napi_env env, napi_value exports)
{
	static const struct weir_node_row functions[] = {
		{"describe", describe},	    {"line", line},	      {"headers", headers}, {"params", params},
		{"activation", activation}, {"parent", parent},	      {"remaining", remaining},
		{"answer", answer},	    {"fail", fail},	      {"print", print},
		{"isProbe", is_probe},	    {"call", call},
	};

	weir_node_rows_define(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
}
