#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/model/builtin.h"
#include "dataplane/base/cleanup.h"

enum { ROW_KEY_BYTES = WEIR_MODEL_PATTERN_BYTES_MAX + 16 };

/* active: the present row serves; shadowed: a route of Weir's own stands before it; stale: the present
 * row is bad and its last good version serves; bad: nothing serves. */
static const char *row_state(const struct weir_public_row *row)
{
	if (row->value == NULL)
		return "bad";
	if (row->shadowed)
		return "shadowed";
	return row->error.field[0] == '\0' ? "active" : "stale";
}

cJSON *weir_api_row_json(const struct weir_public_row *row)
{
	cJSON *json = cJSON_CreateObject();
	const char *colon = strchr(row->key, ':');
	char *text = strdup(row->key);
	char methods[64] = "";
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2] = "";

	if (text != NULL && colon != NULL)
		text[colon - row->key] = ' ';
	if (row->value != NULL) {
		(void)weir_model_methods_format(row->route.methods, methods, sizeof(methods));
		(void)snprintf(function, sizeof(function), "%s/%s", row->route.space,
			       row->route.name); /* fits */
	}
	/* Without memory members lack. A key that is no route stands there as it is. */
	(void)cJSON_AddStringToObject(json, "route",
				      row->value == NULL || text == NULL ? row->key : text);
	(void)cJSON_AddStringToObject(json, "methods", methods);
	(void)cJSON_AddStringToObject(json, "pattern",
				      row->value == NULL ? "" : row->route.pattern);
	(void)cJSON_AddStringToObject(json, "host", "");
	(void)cJSON_AddStringToObject(json, "function", function);
	(void)cJSON_AddNumberToObject(json, "timeout_ms",
				      row->value == NULL ? 0 : row->function.timeout_ms);
	(void)cJSON_AddStringToObject(json, "auth", row->value == NULL ? "" : weir_model_auth_name(row->route.auth));
	(void)cJSON_AddStringToObject(json, "source", "table");
	(void)cJSON_AddStringToObject(json, "state", row_state(row));
	(void)cJSON_AddStringToObject(json, "key", row->key);
	if (row->value != NULL) {
		(void)cJSON_AddStringToObject(json, "runtime", row->function.runtime);
		(void)cJSON_AddStringToObject(json, "file", row->function.code_path);
		(void)cJSON_AddStringToObject(json, "handler", row->function.handler);
		(void)cJSON_AddNumberToObject(json, "memory_mb", row->function.memory_mb);
	}
	if (row->error.field[0] != '\0') {
		cJSON *problem = cJSON_AddObjectToObject(json, "problem");

		(void)cJSON_AddStringToObject(problem, "field", row->error.field);
		(void)cJSON_AddStringToObject(problem, "reason", row->error.reason);
	}
	free(text);
	return json;
}

static void json_text_release(char **text)
{
	cJSON_free(*text);
}

static void json_release(cJSON **json)
{
	cJSON_Delete(*json);
}

static void member_set(cJSON *json, const char *name, cJSON *value)
{
	if (cJSON_HasObjectItem(json, name)) {
		(void)cJSON_ReplaceItemInObjectCaseSensitive(json, name, value);
	} else {
		(void)cJSON_AddItemToObject(json, name, value);
	}
}

/* Take the members that the request names over into the row's JSON, in the row's units. */
static bool row_edit(struct weir_api_call *call, cJSON *json)
{
	static const struct {
		const char *member;
		const char *row_member;
	} texts[] = {{"file", "module"}, {"handler", "handler"}, {"runtime", "runtime"}, {"auth", "auth"}};
	char text[WEIR_MODEL_PATH_BYTES_MAX + 1];
	uint32_t number = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!cJSON_HasObjectItem(call->body, texts[i].member))
			continue;
		if (!weir_api_body_text(call, texts[i].member, text, sizeof(text)))
			return false;
		member_set(json, texts[i].row_member, cJSON_CreateString(text));
	}
	if (!weir_api_body_number(call, "timeout_ms", &number))
		return false;
	if (cJSON_HasObjectItem(call->body, "timeout_ms"))
		member_set(json, "timeout", cJSON_CreateNumber((double)number / 1000));
	if (!weir_api_body_number(call, "memory_mb", &number))
		return false;
	if (cJSON_HasObjectItem(call->body, "memory_mb"))
		member_set(json, "memory", cJSON_CreateNumber(number));
	return true;
}

/* A row as others write them, for who does not write to the file itself: it must be sound. */
enum weir_api_result weir_api_row_add(struct weir_api_call *call)
{
	WEIR_CLEANUP(json_text_release)
	char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(call->body, "value"));
	struct weir_store_error error = {{0}};
	struct weir_model_error wrong;
	struct weir_model_function function;
	struct weir_model_route route;
	char key[ROW_KEY_BYTES] = "";
	int code = 0;

	if (!weir_api_body_text(call, "route", key, sizeof(key)))
		return WEIR_API_DONE;
	if (text == NULL)
		return weir_api_refuse(call, 422, "invalid", "value", "value is missing: the row's v, an object");
	if (weir_model_row_parse(key, text, strlen(text), &function, &route, &wrong) != 0 ||
	    weir_builtin_route_check(&route, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_public_table_add(call->owner->table, key, text, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_table_committed(call, 201);
}

enum weir_api_result weir_api_row_update(struct weir_api_call *call,
					 const struct weir_public_row *row)
{
	struct weir_store_error error = {{0}};
	struct weir_model_error wrong;
	struct weir_model_function function;
	struct weir_model_route route;
	const char *value = row->value == NULL ? "{}" : row->value;
	WEIR_CLEANUP(json_release) cJSON *json = cJSON_Parse(value); /* it was read: sound, of few levels */
	WEIR_CLEANUP(json_text_release) char *text = NULL;
	int code = 0;

	if (cJSON_HasObjectItem(call->body, "function")) {
		return weir_api_refuse(call, 422, "invalid", "function",
				       "a row of the public table is its own function; change "
				       "file, handler, runtime, "
				       "memory or timeout instead");
	}
	if (json == NULL) {
		return weir_api_refuse(call, 422, "invalid", "v",
				       "v cannot be edited; write the row with sqlite3");
	}
	if (!row_edit(call, json))
		return WEIR_API_DONE;
	text = cJSON_PrintUnformatted(json);
	if (text == NULL) {
		return weir_api_refuse(call, 503, "memory", NULL,
				       "not enough memory to write the row");
	}
	if (weir_model_row_parse(row->key, text, strlen(text), &function, &route, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_public_table_change(call->owner->table, row->key, text, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_table_committed(call, 200);
}

enum weir_api_result weir_api_row_remove(struct weir_api_call *call,
					 const struct weir_public_row *row)
{
	struct weir_store_error error = {{0}};
	const int code = weir_public_table_remove(call->owner->table, row->key, &error);

	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_table_committed(call, 200);
}

int weir_api_rows_settle(struct weir_api_call *call, struct weir_store_error *error)
{
	const struct weir_api_owner *owner = call->owner;
	int code = 0;

	weir_history_author_set(owner->store, NULL);
	if (owner->rows->unsaved)
		code = weir_public_rows_save(owner->rows, owner->store, error);
	if (code == 0 && weir_public_table_changed(owner->table))
		code = owner->table_written(owner->context, error);
	weir_history_author_set(owner->store, &call->author);
	return code == -EAGAIN ? code : 0;
}

int weir_api_rows_reload(struct weir_api_call *call, struct weir_store_error *error)
{
	const struct weir_api_owner *owner = call->owner;
	const int code = weir_public_rows_load(owner->rows, owner->store, error);
	struct weir_store_error ignored; /* shown as a problem, and tried again */

	weir_history_author_set(owner->store, NULL);
	if (code == 0)
		(void)owner->table_written(owner->context, &ignored);
	weir_history_author_set(owner->store, &call->author);
	return code;
}
