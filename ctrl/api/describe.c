#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/model/builtin.h"
#include "dataplane/base/assert.h"

/* What every change that was published tells besides: server_call.c. */
static const char published[] = "generation#? acked#? total#? milliseconds#? acknowledged!? warning?";

/* ---- words of the table ---- */

/* "limit#": one member. */
struct word {
	char name[32];
	enum weir_api_kind kind;
	bool is_optional;
};

/* The next word of `*text`; false behind the last. */
static bool word_next(const char **text, struct word *out_word)
{
	static const struct {
		const char *sign;
		enum weir_api_kind kind;
	} kinds[] = {{"#", WEIR_API_NUMBER}, {"!", WEIR_API_SWITCH}, {"[]", WEIR_API_LIST},
		     {"{}", WEIR_API_OBJECT}, {"*", WEIR_API_ANY}};
	const char *at = *text + strspn(*text, " ");
	const size_t bytes = strcspn(at, " #!*?[{");

	if (*at == '\0')
		return false;
	WEIR_ASSERT(bytes < sizeof(out_word->name));
	*out_word = (struct word){.kind = WEIR_API_TEXT};
	memcpy(out_word->name, at, bytes);
	at += bytes;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(at, kinds[i].sign, strlen(kinds[i].sign)) != 0)
			continue;
		out_word->kind = kinds[i].kind;
		at += strlen(kinds[i].sign);
	}
	out_word->is_optional = *at == '?';
	*text = at + (*at == '?' ? 1 : 0);
	WEIR_ASSERT(**text == ' ' || **text == '\0');
	return true;
}

/* ---- /weir/endpoints ---- */

/* Members of a body, as [{"name", "kind"}]. */
static cJSON *members_json(const struct weir_api_member *members)
{
	static const char *const kinds[] = {"text", "number", "switch", "list", "object", "any"};
	cJSON *list = cJSON_CreateArray();

	for (; members->name != NULL; members++) {
		cJSON *json = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(json, "name", members->name); /* or members lack */
		(void)cJSON_AddStringToObject(json, "kind", kinds[members->kind]);
		(void)cJSON_AddItemToArray(list, json);
	}
	return list;
}

static const char *method_of(const struct weir_api_endpoint *endpoint, char out[16])
{
	const struct weir_span method = weir_http_method_name(endpoint->method);

	(void)snprintf(out, 16, "%.*s", (int)method.bytes, method.data); /* fits */
	return out;
}

/* The routes of dialects, as [{"route", "dialect", "role", "asks"}]. */
static cJSON *routes_json(void)
{
	cJSON *const list = cJSON_CreateArray();
	struct weir_model_route route;

	for (size_t i = 0; weir_builtin_route(i, &route); i++) {
		cJSON *const json = cJSON_CreateObject();
		char methods[WEIR_MODEL_METHODS_BYTES_MAX];
		char text[WEIR_MODEL_METHODS_BYTES_MAX + WEIR_MODEL_PATTERN_BYTES_MAX + 2];

		(void)snprintf(text, sizeof(text), "%s %s", weir_model_methods_format(route.methods, methods, sizeof(methods)),
			       route.pattern); /* fits */
		(void)cJSON_AddStringToObject(json, "route", text); /* or members lack */
		(void)cJSON_AddStringToObject(json, "dialect", route.name);
		(void)cJSON_AddStringToObject(json, "role", weir_model_role_name(route.role));
		(void)cJSON_AddBoolToObject(json, "asks", route.is_asking);
		(void)cJSON_AddItemToArray(list, json);
	}
	return list;
}

enum weir_api_result weir_api_endpoint_list(struct weir_api_call *call)
{
	const struct weir_api_endpoint *endpoint = NULL;
	cJSON *list = NULL;
	char method[16];

	call->answer = cJSON_CreateObject();
	(void)cJSON_AddItemToObject(call->answer, "routes", routes_json());
	list = cJSON_AddArrayToObject(call->answer, "endpoints");
	for (size_t i = 0; (endpoint = weir_api_endpoint_at(i)) != NULL; i++) {
		cJSON *json = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(json, "method", method_of(endpoint, method)); /* or members lack */
		(void)cJSON_AddStringToObject(json, "path", endpoint->path);
		(void)cJSON_AddStringToObject(json, "role", weir_model_role_name(weir_api_access_role(endpoint->access)));
		(void)cJSON_AddStringToObject(json, "changes", endpoint->what == NULL ? "" : endpoint->what);
		if (endpoint->members != NULL)
			(void)cJSON_AddItemToObject(json, "members", members_json(endpoint->members));
		(void)cJSON_AddItemToArray(list, json);
	}
	call->status = 200;
	return WEIR_API_DONE;
}

/* ---- /weir/openapi.json: pieces. Without memory members lack. ---- */

static cJSON *schema_json(enum weir_api_kind kind)
{
	static const char *const types[] = {"string", "number", "boolean", "array", "object", NULL};
	cJSON *const schema = cJSON_CreateObject();

	if (types[kind] != NULL)
		(void)cJSON_AddStringToObject(schema, "type", types[kind]);
	if (kind == WEIR_API_LIST)
		(void)cJSON_AddObjectToObject(schema, "items");
	return schema;
}

/* {"description", "content": {TYPE: {"schema"}}} */
static cJSON *content_json(const char *description, const char *type, cJSON *schema)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "description", description);
	(void)cJSON_AddItemToObject(cJSON_AddObjectToObject(cJSON_AddObjectToObject(json, "content"), type), "schema", schema);
	return json;
}

static cJSON *file_schema(void)
{
	cJSON *const schema = schema_json(WEIR_API_TEXT);

	(void)cJSON_AddStringToObject(schema, "format", "binary");
	return schema;
}

/* {"type": "object", "properties", "required"} of words. */
static void words_add(const char *words, cJSON *properties, cJSON *required)
{
	struct word word;

	while (word_next(&words, &word)) {
		if (strcmp(word.name, "+") == 0) {
			words_add(published, properties, required); /* once: it has no "+" */
			continue;
		}
		(void)cJSON_AddItemToObject(properties, word.name, schema_json(word.kind));
		if (!word.is_optional)
			(void)cJSON_AddItemToArray(required, cJSON_CreateString(word.name));
	}
}

static cJSON *object_schema(const char *words)
{
	cJSON *const schema = schema_json(WEIR_API_OBJECT);
	cJSON *const required = cJSON_CreateArray();

	words_add(words, cJSON_AddObjectToObject(schema, "properties"), required);
	if (cJSON_GetArraySize(required) > 0) /* an empty list may not stand there */
		(void)cJSON_AddItemToObject(schema, "required", required);
	else
		cJSON_Delete(required);
	return schema;
}

/* A body of these members and no others; handlers say which of them they need. */
static cJSON *body_schema(const struct weir_api_member *members)
{
	cJSON *const schema = schema_json(WEIR_API_OBJECT);
	cJSON *const properties = cJSON_AddObjectToObject(schema, "properties");

	for (; members->name != NULL; members++) {
		cJSON *const member = schema_json(members->kind);

		if (members->kind == WEIR_API_NUMBER) {
			(void)cJSON_ReplaceItemInObject(member, "type", cJSON_CreateString("integer"));
			(void)cJSON_AddNumberToObject(member, "minimum", 0);
			(void)cJSON_AddNumberToObject(member, "maximum", UINT32_MAX);
		}
		(void)cJSON_AddItemToObject(properties, members->name, member);
	}
	(void)cJSON_AddFalseToObject(schema, "additionalProperties");
	return schema;
}

static void parameter_add(cJSON *list, const char *name, const char *in, enum weir_api_kind kind)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "name", name);
	(void)cJSON_AddStringToObject(json, "in", in);
	if (strcmp(in, "path") == 0)
		(void)cJSON_AddTrueToObject(json, "required");
	(void)cJSON_AddItemToObject(json, "schema", schema_json(kind));
	(void)cJSON_AddItemToArray(list, json);
}

/* ---- paths ---- */

/* The '*'s of a path with names: of functions their namespace and name, else what the segment before has many of.
 * Each is a parameter, too. */
static void path_name(const char *path, char out[WEIR_MODEL_PATTERN_BYTES_MAX], cJSON *parameters)
{
	const bool is_function = strncmp(path, "/weir/functions/", 16) == 0;
	size_t stars = 0;
	size_t used = 0;

	for (; *path != '\0'; path++) {
		char name[32] = "";
		size_t bytes = 0;

		if (*path != '*') {
			out[used++] = *path;
			continue;
		}
		while (used > bytes + 1 && out[used - 2 - bytes] != '/')
			bytes++;
		memcpy(name, out + used - 1 - bytes, bytes < sizeof(name) ? bytes : sizeof(name) - 1);
		if (bytes > 0 && bytes < sizeof(name) && name[bytes - 1] == 's')
			name[bytes - 1] = '\0';
		if (is_function)
			(void)snprintf(name, sizeof(name), "%s", stars == 0 ? "namespace" : "name"); /* fits */
		stars++;
		used += (size_t)snprintf(out + used, sizeof(name) + 2, "{%s}", name); /* fits: paths are short */
		parameter_add(parameters, name, "path", WEIR_API_TEXT);
	}
	out[used] = '\0';
}

/* The member of that path, made where it is not there yet. */
static cJSON *path_get(cJSON *paths, const char *path)
{
	cJSON *const there = cJSON_GetObjectItemCaseSensitive(paths, path);

	return there != NULL ? there : cJSON_AddObjectToObject(paths, path);
}

/* "get", as OpenAPI has them. */
static cJSON *operation_add(cJSON *path, const char *method)
{
	char name[16];
	size_t i = 0;

	for (; method[i] != '\0'; i++)
		name[i] = (char)tolower((unsigned char)method[i]);
	name[i] = '\0';
	return cJSON_AddObjectToObject(path, name);
}

static void endpoint_add(const struct weir_api_endpoint *endpoint, cJSON *paths)
{
	cJSON *const parameters = cJSON_CreateArray();
	const char *words = endpoint->query;
	const bool is_file = endpoint->answer[0] == '@';
	cJSON *operation = NULL;
	cJSON *responses = NULL;
	char path[WEIR_MODEL_PATTERN_BYTES_MAX];
	char method[16];
	struct word word;

	path_name(endpoint->path, path, parameters);
	operation = operation_add(path_get(paths, path), method_of(endpoint, method));
	while (word_next(&words, &word))
		parameter_add(parameters, word.name, "query", word.kind);
	if (endpoint->what != NULL)
		(void)cJSON_AddStringToObject(operation, "summary", endpoint->what);
	(void)cJSON_AddItemToObject(operation, "parameters", parameters);
	if (endpoint->members != NULL)
		(void)cJSON_AddItemToObject(operation, "requestBody",
					    content_json("JSON", "application/json", body_schema(endpoint->members)));
	else if (endpoint->method == WEIR_HTTP_POST)
		(void)cJSON_AddItemToObject(operation, "requestBody",
					    content_json("a file", "application/octet-stream", file_schema()));
	responses = cJSON_AddObjectToObject(operation, "responses");
	(void)cJSON_AddItemToObject(responses, "2XX",
				    is_file ? content_json("the file", "application/octet-stream", file_schema())
					    : content_json("done", "application/json", object_schema(endpoint->answer)));
	(void)cJSON_AddStringToObject(cJSON_AddObjectToObject(responses, "default"), "$ref", "#/components/responses/error");
}

/* ---- paths of the dialects: answered on the listeners, in each one's way ---- */

static void dialect_operation_add(const struct weir_model_route *route, const char *method, cJSON *path)
{
	cJSON *const operation = operation_add(path, method);
	cJSON *const parameters = cJSON_AddArrayToObject(operation, "parameters");
	const char *at = route->pattern;
	char name[64];

	while ((at = strpbrk(at, "{*")) != NULL) {
		const size_t bytes = *at == '*' ? 0 : strcspn(at + 1, "}");

		(void)snprintf(name, sizeof(name), "%.*s", (int)bytes, at + 1); /* fits: constant text */
		parameter_add(parameters, bytes == 0 ? "rest" : name, "path", WEIR_API_TEXT);
		at++;
	}
	(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(operation, "tags"), cJSON_CreateString(route->name));
	(void)cJSON_AddStringToObject(
		cJSON_AddObjectToObject(cJSON_AddObjectToObject(operation, "responses"), "default"), "description",
		"as that platform answers");
}

static void dialect_route_add(const struct weir_model_route *route, cJSON *paths)
{
	static const char *const any[] = {"GET", "POST", "PUT", "DELETE"};
	const size_t bytes = strlen(route->pattern);
	const bool is_open = route->pattern[bytes - 1] == '*';
	char name[WEIR_MODEL_PATTERN_BYTES_MAX + 8];
	char methods[WEIR_MODEL_METHODS_BYTES_MAX];
	cJSON *path = NULL;

	(void)snprintf(name, sizeof(name), "%.*s%s", (int)(is_open ? bytes - 1 : bytes), route->pattern,
		       is_open ? "{rest}" : ""); /* fits */
	path = path_get(paths, name);
	if (!cJSON_HasObjectItem(path, "servers")) {
		cJSON *const server = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(server, "url", "http://{address}");
		(void)cJSON_AddStringToObject(server, "description", "a listener");
		(void)cJSON_AddStringToObject(
			cJSON_AddObjectToObject(cJSON_AddObjectToObject(server, "variables"), "address"), "default",
			"127.0.0.1:8080");
		(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(path, "servers"), server);
	}
	(void)weir_model_methods_format(route->methods, methods, sizeof(methods));
	if (strcmp(methods, "ANY") != 0) {
		dialect_operation_add(route, methods, path);
		return;
	}
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
		dialect_operation_add(route, any[i], path);
}

/* ---- all of it ---- */

enum weir_api_result weir_api_openapi_get(struct weir_api_call *call)
{
	static const char error_words[] = "error code part activation field?";
	const struct weir_api_endpoint *endpoint = NULL;
	struct weir_model_route route;
	cJSON *const json = cJSON_CreateObject();
	cJSON *const info = cJSON_AddObjectToObject(json, "info");
	cJSON *paths = NULL;
	cJSON *server = NULL;

	(void)cJSON_AddStringToObject(json, "openapi", "3.0.3");
	(void)cJSON_AddStringToObject(info, "title", "Weir");
	(void)cJSON_AddStringToObject(info, "version", WEIR_VERSION);
	server = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(server, "url", "http://weir");
	(void)cJSON_AddStringToObject(server, "description", "over the Unix socket run/api.sock of the data directory");
	(void)cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "servers"), server);
	paths = cJSON_AddObjectToObject(json, "paths");
	for (size_t i = 0; (endpoint = weir_api_endpoint_at(i)) != NULL; i++)
		endpoint_add(endpoint, paths);
	for (size_t i = 0; weir_builtin_route(i, &route); i++)
		dialect_route_add(&route, paths);
	(void)cJSON_AddItemToObject(
		cJSON_AddObjectToObject(cJSON_AddObjectToObject(json, "components"), "responses"), "error",
		content_json("it was refused, or could not be done", "application/json", object_schema(error_words)));
	call->answer = json;
	call->status = 200;
	return WEIR_API_DONE;
}
