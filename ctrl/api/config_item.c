#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/config.h"
#include "dataplane/base/assert.h"

enum { DURATION_BYTES = 32, ROUTE_BYTES = WEIR_MODEL_PATTERN_BYTES_MAX + 80 };

#define DEFAULT_SPACE "default"

static cJSON *json_end(cJSON *json, bool complete)
{
	if (complete)
		return json;
	cJSON_Delete(json);
	return NULL;
}

/* Members are added one by one; `complete` remembers whether all were. */
static void text_add(cJSON *json, const char *name, const char *text, bool *complete)
{
	*complete = *complete && cJSON_AddStringToObject(json, name, text) != NULL;
}

static void number_add(cJSON *json, const char *name, double number, bool *complete)
{
	*complete = *complete && cJSON_AddNumberToObject(json, name, number) != NULL;
}

static void duration_add(cJSON *json, uint32_t ms, bool *complete)
{
	char text[DURATION_BYTES];

	(void)snprintf(text, sizeof(text), "%u%s", ms % 1000 == 0 ? ms / 1000 : ms,
		       ms % 1000 == 0 ? "s" : "ms"); /* fits */
	text_add(json, "timeout", text, complete);
}

static int compare_texts(const void *left, const void *right)
{
	const cJSON *const *a = left;
	const cJSON *const *b = right;
	const bool are_members = (*a)->string != NULL;

	return are_members ? strcmp((*a)->string, (*b)->string) : strcmp((*a)->valuestring, (*b)->valuestring);
}

/* The items of an object or a list of texts in the order of names; free(). NULL: no memory. */
static const cJSON **sorted_make(const cJSON *from, size_t *out_count)
{
	const cJSON **sorted = calloc((size_t)cJSON_GetArraySize(from) + 1, sizeof(*sorted));
	const cJSON *item = NULL;
	size_t count = 0;

	if (sorted == NULL)
		return NULL;
	cJSON_ArrayForEach(item, from)
		sorted[count++] = item;
	qsort(sorted, count, sizeof(*sorted), compare_texts);
	*out_count = count;
	return sorted;
}

static void sorted_add(cJSON *json, const char *name, const cJSON *from, bool *complete)
{
	const cJSON **sorted = NULL;
	cJSON *to = NULL;
	size_t count = 0;

	if (from == NULL || from->child == NULL)
		return;
	sorted = sorted_make(from, &count);
	to = cJSON_IsObject(from) ? cJSON_AddObjectToObject(json, name) : cJSON_AddArrayToObject(json, name);
	*complete = *complete && to != NULL && sorted != NULL;
	for (size_t i = 0; *complete && i < count; i++) {
		cJSON *copy = cJSON_Duplicate(sorted[i], true);

		*complete = cJSON_IsObject(from) ? cJSON_AddItemToObject(to, sorted[i]->string, copy)
						 : cJSON_AddItemToArray(to, copy);
		if (!*complete)
			cJSON_Delete(copy);
	}
	free(sorted);
}

/* A copy of an object that is not empty, as it stands. */
static void object_add(cJSON *json, const char *name, const cJSON *from, bool *complete)
{
	cJSON *copy = from == NULL || from->child == NULL ? NULL : cJSON_Duplicate(from, true);

	if (from == NULL || from->child == NULL)
		return;
	if (!cJSON_AddItemToObject(json, name, copy)) {
		cJSON_Delete(copy);
		*complete = false;
	}
}

static const char *name_format(const char *space, const char *name,
			       char out[2 * WEIR_MODEL_NAME_BYTES_MAX + 2])
{
	const bool is_default = strcmp(space, DEFAULT_SPACE) == 0;

	(void)snprintf(out, 2 * WEIR_MODEL_NAME_BYTES_MAX + 2, "%s%s%s", is_default ? "" : space,
		       is_default ? "" : "/", name); /* fits */
	return out;
}

/* Functions */

static void specs_add(cJSON *json, const struct weir_model_function *function, bool *complete)
{
	cJSON *list = function->spec_count == 0 ? NULL : cJSON_AddArrayToObject(json, "specs");

	for (uint32_t i = 0; list != NULL && i < function->spec_count; i++) {
		const struct weir_model_spec *spec = &function->spec[i];
		const uint32_t max = spec->workers_min > WEIR_MODEL_SPEC_WORKERS_DEFAULT
					     ? spec->workers_min
					     : WEIR_MODEL_SPEC_WORKERS_DEFAULT;
		cJSON *item = cJSON_CreateObject();

		number_add(item, "cpu", spec->cpu_millicores, complete);
		number_add(item, "memory", spec->memory_mb, complete);
		if (spec->workers_min != 0)
			number_add(item, "min", spec->workers_min, complete);
		if (spec->workers_max != max)
			number_add(item, "max", spec->workers_max, complete);
		*complete = cJSON_AddItemToArray(list, item) && *complete;
	}
	*complete = *complete && (list != NULL || function->spec_count == 0);
}

static void code_add(cJSON *json, const struct weir_config_function *function, bool *complete)
{
	if (function->code[0] == '\0') {
		if (function->function.image[0] != '\0')
			text_add(json, "image", function->function.image, complete);
		if (function->function.code_path[0] != '\0')
			text_add(json, "path", function->function.code_path, complete);
		return;
	}
	text_add(json, "code", function->code, complete);
	text_add(json, "entry", function->function.code_path + function->entry_at, complete);
}

cJSON *weir_config_function_json(const struct weir_config_function *config)
{
	const struct weir_model_function *function = &config->function;
	char name[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	cJSON *json = cJSON_CreateObject();
	bool complete = true;

	text_add(json, "name", name_format(function->space, function->name, name), &complete);
	if (config->description != NULL && config->description[0] != '\0')
		text_add(json, "description", config->description, &complete);
	if (function->owner[0] != '\0')
		text_add(json, "owner", function->owner, &complete);
	text_add(json, "runtime", function->runtime, &complete);
	code_add(json, config, &complete);
	if (function->handler[0] != '\0')
		text_add(json, "handler", function->handler, &complete);
	if (function->timeout_ms != WEIR_MODEL_TIMEOUT_MS_DEFAULT)
		duration_add(json, function->timeout_ms, &complete);
	if (function->memory_mb != WEIR_MODEL_MEMORY_MB_DEFAULT)
		number_add(json, "memory", function->memory_mb, &complete);
	if (function->queue_max != WEIR_MODEL_QUEUE_DEFAULT)
		number_add(json, "queue", function->queue_max, &complete);
	specs_add(json, function, &complete);
	object_add(json, "parameters", config->parameters, &complete);
	object_add(json, "annotations", config->annotations, &complete);
	sorted_add(json, "environment", config->environment, &complete);
	sorted_add(json, "secrets", config->secrets, &complete);
	return json_end(json, complete);
}

static const char *text_of(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static uint32_t number_of(const cJSON *json, const char *name, uint32_t fallback)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(item) ? (uint32_t)item->valuedouble : fallback;
}

/* A canonical duration. */
static uint32_t duration_of(const cJSON *json, uint32_t fallback)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "timeout");
	uint32_t ms = fallback;
	const int code = item == NULL ? 0 : weir_model_duration_parse(item->valuestring, &ms, NULL);

	WEIR_ASSERT(code == 0); /* it is one of ours */
	return ms;
}

static void specs_of(const cJSON *json, struct weir_model_function *function)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "specs"))
	{
		struct weir_model_spec spec = {
			.cpu_millicores = number_of(item, "cpu", 0),
			.memory_mb = number_of(item, "memory", 0),
			.workers_min = number_of(item, "min", 0),
			.workers_max = WEIR_MODEL_SPEC_WORKERS_DEFAULT,
		};

		if (spec.workers_max < spec.workers_min)
			spec.workers_max = spec.workers_min;
		spec.workers_max = number_of(item, "max", spec.workers_max);
		(void)weir_model_spec_add(function, &spec, NULL); /* it was added before */
	}
}

void weir_config_function_of(const struct weir_api_call *call, const cJSON *json,
			     struct weir_config_function *out_function)
{
	struct weir_model_function *function = &out_function->function;
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	int code = 0;

	memset(out_function, 0, sizeof(*out_function));
	code = weir_model_name_parse(text_of(json, "name"), function->space, function->name, NULL);
	WEIR_ASSERT(code == 0);
	(void)snprintf(function->runtime, sizeof(function->runtime), "%s", text_of(json, "runtime"));
	(void)snprintf(function->handler, sizeof(function->handler), "%s", text_of(json, "handler"));
	(void)snprintf(out_function->code, sizeof(out_function->code), "%s", text_of(json, "code"));
	if (out_function->code[0] == '\0')
		(void)snprintf(function->code_path, sizeof(function->code_path), "%s", text_of(json, "path"));
	else
		(void)snprintf(function->code_path, sizeof(function->code_path), "%s/%s",
			       weir_code_path(call->owner->code, out_function->code, folder),
			       text_of(json, "entry")); /* all of them fit: they did */
	(void)snprintf(function->image, sizeof(function->image), "%s", text_of(json, "image"));
	(void)snprintf(function->owner, sizeof(function->owner), "%s", text_of(json, "owner"));
	function->timeout_ms = duration_of(json, WEIR_MODEL_TIMEOUT_MS_DEFAULT);
	function->memory_mb = number_of(json, "memory", WEIR_MODEL_MEMORY_MB_DEFAULT);
	function->queue_max = number_of(json, "queue", WEIR_MODEL_QUEUE_DEFAULT);
	specs_of(json, function);
	out_function->description = text_of(json, "description");
	out_function->parameters = cJSON_GetObjectItemCaseSensitive(json, "parameters");
	out_function->annotations = cJSON_GetObjectItemCaseSensitive(json, "annotations");
	out_function->environment = cJSON_GetObjectItemCaseSensitive(json, "environment");
	out_function->secrets = cJSON_GetObjectItemCaseSensitive(json, "secrets");
}

/* Routes, settings and rows */

cJSON *weir_config_route_json(const struct weir_model_route *route)
{
	char methods[WEIR_MODEL_METHODS_BYTES_MAX];
	char name[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	char text[ROUTE_BYTES];
	cJSON *json = cJSON_CreateObject();
	bool complete = true;

	(void)snprintf(text, sizeof(text), "%s %s",
		       weir_model_methods_format(route->methods, methods, sizeof(methods)),
		       route->pattern); /* fits */
	text_add(json, "route", text, &complete);
	if (route->host[0] != '\0')
		text_add(json, "host", route->host, &complete);
	text_add(json, "function", name_format(route->space, route->name, name), &complete);
	if (route->timeout_ms != 0)
		duration_add(json, route->timeout_ms, &complete);
	if (route->auth != WEIR_MODEL_AUTH_AS_SET)
		text_add(json, "auth", weir_model_auth_name(route->auth), &complete);
	return json_end(json, complete);
}

void weir_config_route_of(const cJSON *json, struct weir_model_route *out_route)
{
	int code = 0;

	memset(out_route, 0, sizeof(*out_route));
	code = weir_model_route_parse(text_of(json, "route"), out_route, NULL);
	if (code == 0)
		code = weir_model_host_parse(text_of(json, "host"), out_route->host, NULL);
	if (code == 0)
		code = weir_model_name_parse(text_of(json, "function"), out_route->space, out_route->name, NULL);
	WEIR_ASSERT(code == 0);
	out_route->timeout_ms = duration_of(json, 0);
	code = weir_model_auth_parse(text_of(json, "auth"), &out_route->auth, NULL);
	WEIR_ASSERT(code == 0);
}

char *weir_config_route_key(const struct weir_model_route *route)
{
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char methods[WEIR_MODEL_METHODS_BYTES_MAX];
	char *key = NULL;

	weir_store_pattern_shape(route->pattern, shape);
	/* A line's end stands in no host, path or method. */
	return asprintf(&key, "%s\n%s\n%s", route->host, shape,
			weir_model_methods_format(route->methods, methods, sizeof(methods))) < 0
		       ? NULL
		       : key;
}

cJSON *weir_config_setting_json(const struct weir_setting *setting, uint64_t value)
{
	cJSON *json = cJSON_CreateObject();
	char text[48];
	bool complete = true;

	text_add(json, "setting", setting->name, &complete);
	if (setting->unit == WEIR_SETTING_COUNT)
		number_add(json, "value", (double)value, &complete);
	else
		text_add(json, "value", weir_setting_format(setting, value, text, sizeof(text)), &complete);
	return json_end(json, complete);
}

uint64_t weir_config_setting_of(const cJSON *json)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "value");
	const struct weir_setting *setting = weir_setting_find(text_of(json, "setting"));
	uint64_t value = 0;
	int code = 0;

	if (cJSON_IsNumber(item))
		return (uint64_t)item->valuedouble;
	code = weir_setting_parse(setting, setting->name, item->valuestring, &value, NULL);
	WEIR_ASSERT(code == 0); /* it is one of ours */
	return value;
}

cJSON *weir_config_image_json(const struct weir_model_alias *alias)
{
	char name[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	cJSON *json = cJSON_CreateObject();
	bool complete = true;

	text_add(json, "image", alias->image, &complete);
	text_add(json, "function", name_format(alias->space, alias->name, name), &complete);
	return json_end(json, complete);
}

void weir_config_image_of(const cJSON *json, struct weir_model_alias *out_alias)
{
	int code = 0;

	memset(out_alias, 0, sizeof(*out_alias));
	(void)snprintf(out_alias->image, sizeof(out_alias->image), "%s", text_of(json, "image")); /* it was read before */
	code = weir_model_name_parse(text_of(json, "function"), out_alias->space, out_alias->name, NULL);
	WEIR_ASSERT(code == 0);
}

cJSON *weir_config_row_json(const char *key, const cJSON *value)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *copy = cJSON_Duplicate(value, true);
	bool complete = true;

	text_add(json, "key", key, &complete);
	if (!complete || !cJSON_AddItemToObject(json, "value", copy)) {
		cJSON_Delete(copy);
		complete = false;
	}
	return json_end(json, complete);
}

char *weir_config_row_value(const cJSON *json)
{
	return cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, "value"));
}
