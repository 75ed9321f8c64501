#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"

/* What runs a sequence for those who call its function by another door: components of its own namespace only, and
 * without parameters that are bound to them. OpenWhisk's clients get openwhisk_invoke.c. */
static const char code_before[] = "// An OpenWhisk sequence: each action gets what the one before it answered.\n"
				  "const names = ";
static const char code_behind[] =
	";\n"
	"exports.handler = async (request) => {\n"
	"  const headers = { 'content-type': 'application/json' };\n"
	"  let answer = { status: 200, body: request.body.length === 0 ? '{}' : request.body };\n"
	"  for (const name of names) {\n"
	"    answer = await request.call(name, answer.body, { headers });\n"
	"    if (answer.status >= 300)\n"
	"      break;\n"
	"  }\n"
	"  return { status: answer.status, headers, body: answer.body };\n"
	"};\n";

/* NULL: no memory. */
static char *code_make(const cJSON *names)
{
	char *const list = cJSON_PrintUnformatted(names);
	char *code = NULL;

	if (list == NULL || asprintf(&code, "%s%s%s", code_before, list, code_behind) == -1)
		code = NULL;
	cJSON_free(list);
	return code;
}

/* Is the component there? Adds its function to `names`. False: a reply was made, *out_code is serve()'s. */
static bool component_read(struct weir_dialect_call *call, const cJSON *component, cJSON *names, int *out_code)
{
	char full[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;
	struct weir_whisk_name name;

	if (!cJSON_IsString(component)) {
		*out_code = weir_whisk_malformed(call, "'components' must be a list of names of actions");
		return false;
	}
	if (!weir_whisk_name_parse(call, component->valuestring, &name, out_code))
		return false;
	*out_code = weir_dialect_know(call, name.space, name.function, &function, &verdict);
	if (*out_code != 0)
		return false;
	if (function == NULL && verdict.status != 404) {
		*out_code = weir_whisk_refused(call, &verdict);
		return false;
	}
	weir_dialect_verdict_release(&verdict);
	if (function == NULL) {
		*out_code = weir_whisk_fail(call, 400, "Sequence component does not exist.");
		return false;
	}
	(void)snprintf(full, sizeof(full), "%s/%s", name.space, name.function); /* fits */
	(void)cJSON_AddItemToArray(names, cJSON_CreateString(full)); /* or it lacks */
	return true;
}

bool weir_whisk_sequence_read(struct weir_dialect_call *call, const cJSON *json, struct weir_whisk_exec *exec,
			      int *out_code)
{
	const cJSON *const components = cJSON_GetObjectItemCaseSensitive(json, "components");
	const cJSON *component = NULL;
	cJSON *const names = cJSON_CreateArray();
	bool is_sound = cJSON_IsArray(components) && cJSON_GetArraySize(components) > 0;

	if (!is_sound)
		*out_code = weir_whisk_fail(call, 400, "No component specified for the sequence.");
	if (is_sound && cJSON_GetArraySize(components) > WEIR_WHISK_SEQUENCE_MAX) {
		is_sound = false;
		*out_code = weir_whisk_fail(call, 400, "Too many actions in the sequence.");
	}
	cJSON_ArrayForEach(component, components)
	{
		is_sound = is_sound && component_read(call, component, names, out_code);
	}
	if (is_sound)
		exec->made = code_make(names);
	if (is_sound && exec->made == NULL)
		*out_code = -ENOMEM;
	cJSON_Delete(names);
	if (exec->made == NULL)
		return false;
	(void)strcpy(exec->kind, "sequence"); /* fits */
	exec->components = components;
	exec->runtime = "js";
	exec->otherwise = "node";
	exec->file = "sequence.js";
	exec->main = "handler";
	exec->code = exec->made;
	exec->bytes = strlen(exec->made);
	return true;
}
