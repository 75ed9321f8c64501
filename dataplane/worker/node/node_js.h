/* node_js: what node_js.c (into JavaScript, begin and end) and node_exchange.c (what JavaScript asks of a
 * call) share: the host, and Node-API without its ceremony. Threads: JavaScript's. */
#ifndef WEIR_DATAPLANE_WORKER_NODE_NODE_JS_H
#define WEIR_DATAPLANE_WORKER_NODE_NODE_JS_H

#include <node_api.h>

#include "dataplane/base/assert.h"
#include "dataplane/worker/node/node_host.h"

enum { ARGUMENTS_MAX = 8 };

/* The one of this process. */
extern struct weir_host weir_node_host;

/* Functions for JavaScript. */
struct weir_node_row {
	const char *name;
	napi_callback call;
};

/* Node-API fails here only for lack of memory, which ends the process by itself, or wrong use. */
static inline void check(napi_status status)
{
	WEIR_ASSERT(status == napi_ok);
}

static inline napi_value text_of(napi_env env, const char *data, size_t bytes)
{
	napi_value value = NULL;

	check(napi_create_string_utf8(env, data, bytes, &value));
	return value;
}

static inline napi_value nothing(napi_env env)
{
	napi_value value = NULL;

	check(napi_get_undefined(env, &value));
	return value;
}

struct arguments {
	size_t count;
	napi_value value[ARGUMENTS_MAX];
};

static inline struct arguments arguments_get(napi_env env, napi_callback_info info)
{
	struct arguments arguments = {.count = ARGUMENTS_MAX};

	check(napi_get_cb_info(env, info, &arguments.count, arguments.value, NULL, NULL));
	return arguments;
}

static inline uint32_t number_of(napi_env env, napi_value value)
{
	uint32_t number = 0;

	(void)napi_get_value_uint32(env, value, &number); /* not a number: 0 */
	return number;
}

/* The slot that the first argument names; NULL if it is none, or over. */
static inline struct weir_node_slot *slot_of(napi_env env, const struct arguments *arguments)
{
	napi_valuetype type = napi_undefined;

	check(napi_typeof(env, arguments->value[0], &type));
	return type == napi_number ? weir_node_call_find(&weir_node_host, number_of(env, arguments->value[0])) : NULL;
}

/* Short text: as much as fits of it. */
static inline struct weir_span text_get(napi_env env, napi_value value, char *text, size_t size)
{
	size_t bytes = 0;

	if (napi_get_value_string_utf8(env, value, text, size, &bytes) != napi_ok)
		bytes = 0;
	return (struct weir_span){.data = text, .bytes = bytes};
}

/* Put `text` and a NUL at to[at]. Where the next goes. */
static inline size_t text_append(char *to, size_t at, struct weir_span text)
{
	memcpy(to + at, text.data, text.bytes);
	to[at + text.bytes] = '\0';
	return at + text.bytes + 1;
}

/* Make them properties of `exports`. */
static inline void weir_node_rows_define(napi_env env, napi_value exports, const struct weir_node_row *rows,
					 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		napi_value function = NULL;

		check(napi_create_function(env, rows[i].name, NAPI_AUTO_LENGTH, rows[i].call, NULL, &function));
		check(napi_set_named_property(env, exports, rows[i].name, function));
	}
}

/* Add the functions of node_exchange.c. */
void weir_node_exchange_define(napi_env env, napi_value exports);

#endif
