#include <stdio.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"

double weir_whisk_number(const cJSON *json, const char *name, double otherwise)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

const cJSON *weir_whisk_note(const cJSON *function)
{
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(function, "annotations"), WEIR_WHISK_NOTE);
}

const char *weir_whisk_kind(const cJSON *function)
{
	const char *const kind = weir_dialect_text(weir_whisk_note(function), "kind");
	const char *const runtime = weir_dialect_text(function, "runtime");

	return kind != NULL ? kind : runtime != NULL ? weir_whisk_kind_of(runtime) : "unknown";
}

const cJSON *weir_whisk_components(const cJSON *function)
{
	const cJSON *const list = cJSON_GetObjectItemCaseSensitive(weir_whisk_note(function), "components");
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item)) /* annotations are whoever's */
			return NULL;
	}
	return cJSON_IsArray(list) ? list : NULL;
}

void weir_whisk_version(const cJSON *function, char out[24])
{
	const char *const version = weir_dialect_text(weir_whisk_note(function), "version");

	if (version != NULL)
		(void)snprintf(out, 24, "%.23s", version);
	else
		(void)snprintf(out, 24, "0.0.%.0f", weir_whisk_number(function, "deployed", 1)); /* fits: 32 bits */
}

cJSON *weir_whisk_limits(const cJSON *function)
{
	const cJSON *const note = weir_whisk_note(function);
	cJSON *const limits = cJSON_CreateObject();

	/* Or members lack. */
	(void)cJSON_AddNumberToObject(limits, "timeout", weir_whisk_number(function, "timeout_ms", 60000));
	(void)cJSON_AddNumberToObject(limits, "memory", weir_whisk_number(function, "memory_mb", 256));
	(void)cJSON_AddNumberToObject(limits, "logs", weir_whisk_number(note, "logs", 10));
	(void)cJSON_AddNumberToObject(limits, "concurrency", weir_whisk_number(note, "concurrency", 1));
	return limits;
}

void weir_whisk_path(const cJSON *function, char out_path[WEIR_WHISK_PATH_BYTES], const char **out_name)
{
	const char *const space = weir_dialect_text(function, "namespace");
	const char *const package = weir_dialect_text(weir_whisk_note(function), "package");
	const char *const name = weir_dialect_text(function, "name");
	const size_t bytes = package == NULL ? 0 : strlen(package);
	const bool is_packed = bytes != 0 && name != NULL && strncmp(name, package, bytes) == 0 && name[bytes] == '.';

	(void)snprintf(out_path, WEIR_WHISK_PATH_BYTES, "%.63s%s%.63s", space == NULL ? "" : space, is_packed ? "/" : "",
		       is_packed ? package : ""); /* fits */
	*out_name = name == NULL ? "" : name + (is_packed ? bytes + 1 : 0);
}

cJSON *weir_whisk_pairs(const cJSON *object)
{
	cJSON *const list = cJSON_CreateArray();
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, object)
	{
		cJSON *const pair = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(pair, "key", item->string); /* or members lack */
		(void)cJSON_AddItemToObject(pair, "value", cJSON_Duplicate(item, true));
		(void)cJSON_AddItemToArray(list, pair);
	}
	return list;
}

/* What its maker said, and what OpenWhisk says of every action. */
static cJSON *annotations_json(const cJSON *function)
{
	cJSON *const all = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(function, "annotations"), true);
	cJSON *pairs = NULL;

	cJSON_DeleteItemFromObjectCaseSensitive(all, WEIR_WHISK_NOTE);
	cJSON_DeleteItemFromObjectCaseSensitive(all, "exec");
	if (all != NULL && !cJSON_HasObjectItem(all, "provide-api-key"))
		(void)cJSON_AddFalseToObject(all, "provide-api-key"); /* or it lacks */
	(void)cJSON_AddStringToObject(all, "exec", weir_whisk_kind(function));
	pairs = weir_whisk_pairs(all);
	cJSON_Delete(all);
	return pairs;
}

static cJSON *exec_json(const cJSON *function, bool is_whole)
{
	const cJSON *const note = weir_whisk_note(function);
	const char *const entry = weir_dialect_text(note, "main");
	cJSON *const exec = cJSON_CreateObject();

	if (is_whole)
		(void)cJSON_AddStringToObject(exec, "kind", weir_whisk_kind(function)); /* or members lack */
	(void)cJSON_AddBoolToObject(exec, "binary", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(note, "binary")));
	if (is_whole && weir_whisk_components(function) != NULL)
		(void)cJSON_AddItemToObject(exec, "components", cJSON_Duplicate(weir_whisk_components(function), true));
	if (is_whole && entry != NULL)
		(void)cJSON_AddStringToObject(exec, "main", entry);
	return exec;
}

cJSON *weir_whisk_action_json(const cJSON *function, bool is_whole)
{
	cJSON *const json = cJSON_CreateObject();
	char path[WEIR_WHISK_PATH_BYTES];
	char version[24];
	const char *name = NULL;

	weir_whisk_path(function, path, &name);
	weir_whisk_version(function, version);
	(void)cJSON_AddStringToObject(json, "namespace", path); /* or members lack */
	(void)cJSON_AddStringToObject(json, "name", name);
	(void)cJSON_AddStringToObject(json, "version", version);
	(void)cJSON_AddFalseToObject(json, "publish");
	(void)cJSON_AddItemToObject(json, "exec", exec_json(function, is_whole));
	(void)cJSON_AddItemToObject(json, "annotations", annotations_json(function));
	if (is_whole)
		(void)cJSON_AddItemToObject(json, "parameters",
					    weir_whisk_pairs(cJSON_GetObjectItemCaseSensitive(function, "parameters")));
	(void)cJSON_AddItemToObject(json, "limits", weir_whisk_limits(function));
	(void)cJSON_AddNumberToObject(json, "updated",
				      weir_whisk_number(weir_whisk_note(function), "updated",
							1000 * weir_whisk_number(function, "created", 0)));
	return json;
}

/* ---- activations ---- */

void weir_whisk_annotation_add(cJSON *list, const char *key, cJSON *value)
{
	cJSON *const pair = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(pair, "key", key); /* or members lack */
	(void)cJSON_AddItemToObject(pair, "value", value);
	(void)cJSON_AddItemToArray(list, pair);
}

cJSON *weir_whisk_activation_json(const cJSON *function)
{
	cJSON *const json = cJSON_CreateObject();
	cJSON *annotations = NULL;
	char path[WEIR_WHISK_PATH_BYTES];
	char whole[2 * WEIR_WHISK_PATH_BYTES];
	char version[24];
	const char *name = NULL;

	weir_whisk_path(function, path, &name);
	weir_whisk_version(function, version);
	(void)snprintf(whole, sizeof(whole), "%s/%s", path, name); /* fits */
	(void)cJSON_AddStringToObject(json, "namespace", weir_dialect_text(function, "namespace")); /* or members lack */
	(void)cJSON_AddStringToObject(json, "name", name);
	(void)cJSON_AddStringToObject(json, "version", version);
	(void)cJSON_AddStringToObject(json, "subject", "guest");
	(void)cJSON_AddFalseToObject(json, "publish");
	annotations = cJSON_AddArrayToObject(json, "annotations");
	weir_whisk_annotation_add(annotations, "path", cJSON_CreateString(whole));
	weir_whisk_annotation_add(annotations, "kind", cJSON_CreateString(weir_whisk_kind(function)));
	weir_whisk_annotation_add(annotations, "limits", weir_whisk_limits(function));
	return json;
}

cJSON *weir_whisk_response_json(enum weir_whisk_outcome outcome, const char *result)
{
	static const char *const names[] = {"success", "application error", "action developer error",
					    "whisk internal error"};
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddRawToObject(json, "result", result); /* or members lack */
	(void)cJSON_AddStringToObject(json, "status", names[outcome]);
	(void)cJSON_AddBoolToObject(json, "success", outcome == WEIR_WHISK_SUCCESS);
	(void)cJSON_AddNumberToObject(json, "size", (double)strlen(result));
	return json;
}
