#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"
#include "dataplane/base/cleanup.h"

/* The fields that Weir reads; each may be given once. */
static const char *const field_names[] = {"name",    "runtime", "module",
					  "handler", "memory",  "timeout", "auth"};

/* A function's field -> the row's. */
static const struct {
	const char *field;
	const char *row_field;
} row_fields[] = {
	{"name", "v.name"},       {"runtime", "v.runtime"}, {"file", "v.module"},
	{"handler", "v.handler"}, {"memory", "v.memory"},   {"timeout", "v.timeout"},
};

static void json_delete(cJSON **json)
{
	cJSON_Delete(*json);
}

/* Where the scan of a JSON text stands. */
struct scan {
	size_t depth;
	bool in_string;
	bool escaped;
};

/* One byte more. False if it opens more than WEIR_MODEL_JSON_DEPTH_MAX levels. */
static bool scan_byte(struct scan *scan, char byte)
{
	if (scan->in_string) {
		if (scan->escaped)
			scan->escaped = false;
		else if (byte == '\\')
			scan->escaped = true;
		else if (byte == '"')
			scan->in_string = false;
		return true;
	}
	if (byte == '"')
		scan->in_string = true;
	else if (byte == '[' || byte == '{')
		scan->depth++;
	else if ((byte == ']' || byte == '}') && scan->depth > 0)
		scan->depth--;
	return scan->depth <= WEIR_MODEL_JSON_DEPTH_MAX;
}

/* What the JSON parser does not look after: size, depth (it recurses), and NULs, bare or escaped
 * (it would hand out text cut short). */
static int check_json_text(const char *value, size_t bytes, struct weir_model_error *error)
{
	struct scan scan = {.depth = 0};

	if (bytes > WEIR_MODEL_ROW_BYTES_MAX)
		return weir_model_fail(error, "v", "is longer than %d bytes",
				       WEIR_MODEL_ROW_BYTES_MAX);
	for (size_t i = 0; i < bytes; i++) {
		if (value[i] == '\0')
			return weir_model_fail(error, "v", "holds a NUL byte at offset %zu", i);
		if (scan.escaped && bytes - i >= 5 && memcmp(value + i, "u0000", 5) == 0)
			return weir_model_fail(error, "v", "holds \\u0000 at offset %zu",
					       i - 1);
		if (!scan_byte(&scan, value[i]))
			return weir_model_fail(error, "v", "is nested deeper than %d levels",
					       WEIR_MODEL_JSON_DEPTH_MAX);
	}
	return 0;
}

static int parse_json(const char *value, size_t bytes, cJSON **out_json,
		      struct weir_model_error *error)
{
	const char *end = value;
	const int result = check_json_text(value, bytes, error);

	if (result != 0)
		return result;
	WEIR_CLEANUP(json_delete)
	cJSON *json = cJSON_ParseWithLengthOpts(value, bytes, &end, false);
	if (json == NULL)
		return weir_model_fail(error, "v", "is not JSON (near byte %zu of %zu)",
				       (size_t)(end - value), bytes);
	for (; end < value + bytes; end++) {
		if (strchr(" \t\r\n", *end) == NULL)
			return weir_model_fail(
				error, "v",
				"has something behind its JSON (near byte %zu of %zu)",
				(size_t)(end - value), bytes);
	}
	if (!cJSON_IsObject(json))
		return weir_model_fail(error, "v", "must be a JSON object, {...}");
	*out_json = json;
	json = NULL;
	return 0;
}

static int check_fields_once(const cJSON *json, struct weir_model_error *error)
{
	for (size_t i = 0; i < sizeof(field_names) / sizeof(field_names[0]); i++) {
		char field[16];
		int count = 0;

		for (const cJSON *item = json->child; item != NULL; item = item->next) {
			if (strcmp(item->string, field_names[i]) == 0)
				count++;
		}
		(void)snprintf(field, sizeof(field), "v.%s", field_names[i]); /* they fit */
		if (count > 1)
			return weir_model_fail(error, field, "is given %d times", count);
	}
	return 0;
}

/* Copy a string field; `fallback` stands in for a missing or empty one, NULL means required. */
static int read_text(const cJSON *json, const char *row_field, const char *fallback, char *out,
		     size_t max, struct weir_model_error *error)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, row_field + strlen("v."));
	const char *text = fallback;

	if (item == NULL && fallback == NULL)
		return weir_model_fail(error, row_field, "is missing");
	if (item != NULL && !cJSON_IsString(item))
		return weir_model_fail(error, row_field, "must be a string");
	if (item != NULL && (fallback == NULL || item->valuestring[0] != '\0'))
		text = item->valuestring;
	if (text[0] == '\0')
		return weir_model_fail(error, row_field, "is empty");
	if (strlen(text) >= max)
		return weir_model_fail(error, row_field, "is longer than %zu bytes", max - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int read_timeout(const cJSON *json, uint32_t *out_ms, struct weir_model_error *error)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "timeout");

	*out_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT;
	if (item == NULL)
		return 0;
	const double ms = cJSON_IsNumber(item) ? round(item->valuedouble * 1000) : 0;

	/* Written so that a NaN fails too. */
	if (!(ms >= WEIR_MODEL_TIMEOUT_MS_MIN && ms <= WEIR_MODEL_TIMEOUT_MS_MAX))
		return weir_model_fail(error, "v.timeout",
				       "must be a number of seconds between 0.001 and %d",
				       WEIR_MODEL_TIMEOUT_MS_MAX / 1000);
	*out_ms = (uint32_t)ms;
	return 0;
}

static int read_memory(const cJSON *json, uint32_t *out_mb, struct weir_model_error *error)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "memory");

	*out_mb = WEIR_MODEL_MEMORY_MB_DEFAULT;
	if (item == NULL)
		return 0;
	const double mb = cJSON_IsNumber(item) ? item->valuedouble : 0;

	if (!(mb >= WEIR_MODEL_MEMORY_MB_MIN && mb <= WEIR_MODEL_MEMORY_MB_MAX) ||
	    (double)(uint32_t)mb < mb)
		return weir_model_fail(error, "v.memory",
				       "must be a whole number of MB between %d and %d",
				       WEIR_MODEL_MEMORY_MB_MIN, WEIR_MODEL_MEMORY_MB_MAX);
	*out_mb = (uint32_t)mb;
	return 0;
}

/* "POST:/api/hello" -> "post-api-hello": a name for a row that gives none. */
static void name_from_key(const char *key, char out_name[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	size_t bytes = 0;
	bool gap = false;

	for (; *key != '\0' && bytes < WEIR_MODEL_NAME_BYTES_MAX; key++) {
		const bool upper = *key >= 'A' && *key <= 'Z';
		const bool plain = upper || (*key >= 'a' && *key <= 'z') ||
				   (*key >= '0' && *key <= '9') || *key == '_';

		if (plain && gap && bytes + 1 < WEIR_MODEL_NAME_BYTES_MAX)
			out_name[bytes++] = '-';
		if (plain)
			out_name[bytes++] = upper ? (char)(*key - 'A' + 'a') : *key;
		gap = !plain;
	}
	out_name[bytes] = '\0';
}

static int parse_key(const char *key, struct weir_model_route *out_route,
		     struct weir_model_error *error)
{
	struct weir_model_error found;
	const char *colon = strchr(key, ':');
	const size_t method_bytes = colon != NULL ? (size_t)(colon - key) : 0;
	const char *path = key + method_bytes + 1;

	if (colon == NULL)
		return weir_model_fail(error, "k",
				       "must be METHOD:/path, as in 'POST:/api/hello'");
	out_route->methods = weir_model_method_bit(key, method_bytes);
	if (out_route->methods == 0)
		return weir_model_fail(error, "k",
				       "must begin with GET, HEAD, POST, PUT, DELETE, PATCH or "
				       "OPTIONS, and ':'");
	if (strlen(path) > WEIR_MODEL_PATTERN_BYTES_MAX)
		return weir_model_fail(error, "k", "has a path longer than %d bytes",
				       WEIR_MODEL_PATTERN_BYTES_MAX);
	if (path[strcspn(path, "{}*")] != '\0')
		return weir_model_fail(
			error, "k",
			"holds '{', '}' or '*'; rows of this table are exact paths, for "
			"patterns use: ctrlctl route add");
	memcpy(out_route->pattern, path, strlen(path) + 1);
	if (weir_model_route_check(out_route, &found) != 0)
		return weir_model_fail(error, "k", "has a path that %s", found.reason);
	return 0;
}

/* The same checks as for every function, told in the row's words. */
static int check_function(const struct weir_model_function *function,
			  struct weir_model_error *error)
{
	struct weir_model_error found;

	if (weir_model_function_check(function, &found) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(row_fields) / sizeof(row_fields[0]); i++) {
		if (strcmp(found.field, row_fields[i].field) == 0)
			return weir_model_fail(error, row_fields[i].row_field, "%s",
					       found.reason);
	}
	return weir_model_fail(error, "v", "%s: %s", found.field, found.reason);
}

static int read_value(const cJSON *json, const char *key,
		      struct weir_model_function *out_function, struct weir_model_error *error)
{
	struct weir_model_function *const f = out_function;
	char fallback[WEIR_MODEL_NAME_BYTES_MAX + 1];
	int result = check_fields_once(json, error);

	name_from_key(key, fallback);
	if (result == 0)
		result = read_text(json, "v.module", NULL, f->code_path, sizeof(f->code_path),
				   error);
	if (result == 0)
		result = read_text(json, "v.handler", NULL, f->handler, sizeof(f->handler),
				   error);
	if (result == 0)
		result = read_text(json, "v.name", fallback, f->name, sizeof(f->name), error);
	if (result == 0)
		result = read_text(json, "v.runtime", "wasm", f->runtime, sizeof(f->runtime),
				   error);
	if (result == 0)
		result = read_timeout(json, &f->timeout_ms, error);
	if (result == 0)
		result = read_memory(json, &f->memory_mb, error);
	return result == 0 ? check_function(f, error) : result;
}

/* Whether its route wants a key; nothing said: as is set. */
static int read_auth(const cJSON *json, enum weir_model_auth *out_auth, struct weir_model_error *error)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "auth");
	struct weir_model_error wrong;

	if (item == NULL)
		return 0;
	if (cJSON_IsString(item) && weir_model_auth_parse(item->valuestring, out_auth, &wrong) == 0)
		return 0;
	return weir_model_fail(error, "v.auth", "must be open or required, or left out");
}

int weir_model_row_parse(const char *key, const char *value, size_t value_bytes,
			 struct weir_model_function *out_function,
			 struct weir_model_route *out_route, struct weir_model_error *error)
{
	struct weir_model_function function = {
		.space = "default",
		.queue_max = WEIR_MODEL_QUEUE_DEFAULT,
		.from_public_table = true,
	};
	struct weir_model_route route = {.space = "default", .from_public_table = true};
	WEIR_CLEANUP(json_delete) cJSON *json = NULL;
	int result = parse_key(key, &route, error);

	if (result == 0)
		result = parse_json(value, value_bytes, &json, error);
	if (result == 0)
		result = read_value(json, key, &function, error);
	if (result == 0)
		result = read_auth(json, &route.auth, error);
	if (result != 0)
		return result;
	memcpy(route.name, function.name, sizeof(route.name));
	*out_function = function;
	*out_route = route;
	return 0;
}

/* Text being written; `bytes` goes on counting where `max` ends. */
struct writer {
	char *out;
	size_t max;
	size_t bytes;
};

static void write_byte(struct writer *writer, char byte)
{
	if (writer->bytes < writer->max)
		writer->out[writer->bytes] = byte;
	writer->bytes++;
}

static void write_text(struct writer *writer, const char *text)
{
	for (; *text != '\0'; text++)
		write_byte(writer, *text);
}

/* A JSON string. Checked records hold no control characters; others are escaped all the same. */
static void write_string(struct writer *writer, const char *text)
{
	write_byte(writer, '"');
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20) {
			char escape[8];

			(void)snprintf(escape, sizeof(escape), "\\u%04x",
				       (unsigned)*text); /* fits */
			write_text(writer, escape);
			continue;
		}
		if (*text == '"' || *text == '\\')
			write_byte(writer, '\\');
		write_byte(writer, *text);
	}
	write_byte(writer, '"');
}

size_t weir_model_row_format(const struct weir_model_function *function, char *out, size_t max)
{
	struct writer writer = {.out = out, .max = max};
	const uint32_t ms = function->timeout_ms % 1000;
	char number[64];

	write_text(&writer, "{\"name\":");
	write_string(&writer, function->name);
	write_text(&writer, ",\"runtime\":");
	write_string(&writer, function->runtime);
	write_text(&writer, ",\"module\":");
	write_string(&writer, function->code_path);
	write_text(&writer, ",\"handler\":");
	write_string(&writer, function->handler);
	(void)snprintf(number, sizeof(number), ",\"memory\":%u,\"timeout\":%u",
		       function->memory_mb, function->timeout_ms / 1000); /* fits */
	write_text(&writer, number);
	(void)snprintf(number, sizeof(number), ".%03u", ms); /* fits */
	if (ms != 0)
		write_text(&writer, number);
	write_text(&writer, "}");
	write_byte(&writer, '\0');
	return writer.bytes <= writer.max ? writer.bytes - 1 : 0;
}
