#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/config_reading.h"
#include "dataplane/base/cleanup.h"

enum {
	NAME_TEXT_MAX = 2 * WEIR_MODEL_NAME_BYTES_MAX + 2,
	PATH_TEXT_MAX = WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1,
};

static void name_read(struct weir_config_reading *reading, struct weir_model_function *function)
{
	struct weir_model_error wrong;
	char name[NAME_TEXT_MAX] = "";

	if (!weir_config_text(reading, "name", name, sizeof(name)))
		return;
	if (weir_model_name_parse(name, function->space, function->name, &wrong) != 0)
		weir_config_wrong(reading, "name", "%s%s%s", strcmp(wrong.field, "name") == 0 ? "" : wrong.field,
				  strcmp(wrong.field, "name") == 0 ? "" : " ", wrong.reason);
	else
		(void)weir_config_in_space(reading, "name", function->space);
}

/* Code that was uploaded: what it is, and where it lies. */
static void code_find(struct weir_config_reading *reading, struct weir_config_function *config,
		      const char *entry)
{
	const struct weir_code *code = reading->call->owner->code;
	struct weir_code_kind kind = {.runtime = ""};
	struct weir_code_error error;
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char path[PATH_TEXT_MAX];

	(void)snprintf(kind.runtime, sizeof(kind.runtime), "%s", config->function.runtime); /* both fit */
	(void)snprintf(kind.entry, sizeof(kind.entry), "%s", entry);
	if (!weir_code_has(code, config->code)) {
		weir_config_wrong(reading, "code", "is not here; name the file or folder itself (file: PATH), or deploy it "
						   "first");
		return;
	}
	if (weir_code_detect(code, config->code, &kind, &error) != 0) {
		weir_config_wrong(reading, entry[0] == '\0' ? "code" : "entry", "%s", error.text);
		return;
	}
	(void)weir_code_path(code, config->code, folder);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, kind.entry); /* fits */
	if (strlen(path) >= sizeof(config->function.code_path)) {
		weir_config_wrong(reading, "entry", "the path of the code is too long");
		return;
	}
	memcpy(config->function.code_path, path, strlen(path) + 1);
	(void)snprintf(config->function.runtime, sizeof(config->function.runtime), "%s", kind.runtime);
	config->entry_at = strlen(folder) + 1;
}

static void code_read(struct weir_config_reading *reading, struct weir_config_function *config)
{
	char entry[WEIR_CODE_NAME_BYTES_MAX + 1] = "";
	const bool has_code = cJSON_HasObjectItem(reading->json, "code");
	const bool has_path = cJSON_HasObjectItem(reading->json, "path");
	const bool has_image = cJSON_HasObjectItem(reading->json, "image");
	struct weir_model_error wrong;

	/* What is wrong is noted, and looked at as a whole. */
	(void)weir_config_text(reading, "runtime", config->function.runtime, sizeof(config->function.runtime));
	(void)weir_config_text(reading, "code", config->code, sizeof(config->code));
	(void)weir_config_text(reading, "path", config->function.code_path, sizeof(config->function.code_path));
	(void)weir_config_text(reading, "entry", entry, sizeof(entry));
	(void)weir_config_text(reading, "image", config->function.image, sizeof(config->function.image));
	weir_model_image_settle(&config->function);
	if (has_code + has_path + has_image != 1)
		weir_config_wrong(reading, "",
				  "needs one of: file (a path here, which ctrlctl uploads), code (a hash), path (on the "
				  "instance's machine), image (of a container)");
	if (!has_code && entry[0] != '\0')
		weir_config_wrong(reading, "entry", "is a file of code; without code there is none");
	if (config->function.runtime[0] != '\0' && weir_model_runtime_check(config->function.runtime, &wrong) != 0)
		weir_config_wrong(reading, "runtime", "%s", wrong.reason);
	if (weir_config_is_sound(reading) && has_code)
		code_find(reading, config, entry);
}

static void specs_read(struct weir_config_reading *reading, struct weir_model_function *function)
{
	static const char *const names[] = {"cpu", "memory", "min", "max", NULL};
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(reading->json, "specs");
	const cJSON *item = NULL;
	int number = 0;

	if (list != NULL && !cJSON_IsArray(list))
		weir_config_wrong(reading, "specs", "must be a list");
	if (list == NULL || !cJSON_IsArray(list))
		return;
	cJSON_ArrayForEach(item, list)
	{
		struct weir_model_spec spec = {.workers_max = WEIR_MODEL_SPEC_WORKERS_DEFAULT};
		uint32_t *const values[] = {&spec.cpu_millicores, &spec.memory_mb, &spec.workers_min,
					    &spec.workers_max};
		const size_t problems = reading->problems->count;
		struct weir_model_error wrong;
		char place[32];
		char member[64];

		(void)snprintf(place, sizeof(place), "specs[%d]", number++); /* fits */
		if (!weir_config_members(reading, place, item, names))
			continue;
		for (size_t i = 0; names[i] != NULL; i++) {
			(void)snprintf(member, sizeof(member), "%s.%s", place, names[i]); /* fits */
			weir_config_number(reading, member, cJSON_GetObjectItemCaseSensitive(item, names[i]),
					   values[i]);
		}
		if (!cJSON_HasObjectItem(item, "max") && spec.workers_max < spec.workers_min)
			spec.workers_max = spec.workers_min;
		if (reading->problems->count == problems && weir_model_spec_add(function, &spec, &wrong) != 0)
			weir_config_wrong(reading, place, "%s", wrong.reason);
	}
}

/* What the doors for variables say of such names and values. */
static void variables_check(struct weir_config_reading *reading, const char *member, const cJSON *values)
{
	WEIR_CLEANUP(weir_api_variables_release) struct weir_api_variables variables = {.plain = NULL};
	struct weir_api_call call = {.owner = reading->call->owner};
	const cJSON *sentence = NULL;
	cJSON *json = cJSON_CreateObject();

	if (values != NULL)
		(void)cJSON_AddItemReferenceToObject(json, "environment", (cJSON *)(uintptr_t)values);
	if (!weir_api_variables_of(&call, json, &variables)) {
		sentence = cJSON_GetObjectItemCaseSensitive(call.answer, "error");
		weir_config_wrong(reading, member, "%s",
				  cJSON_IsString(sentence) ? sentence->valuestring : "there is not enough memory");
	}
	cJSON_Delete(call.answer);
	cJSON_Delete(json);
}

/* A list of names, which are not the environment's. */
static void secrets_check(struct weir_config_reading *reading, const cJSON *secrets, const cJSON *environment)
{
	const cJSON *item = NULL;
	const size_t before = reading->problems->count;
	cJSON *as_variables = cJSON_CreateObject();
	int number = 0;
	char member[64];

	cJSON_ArrayForEach(item, secrets)
	{
		(void)snprintf(member, sizeof(member), "secrets[%d]", number++); /* fits */
		if (!cJSON_IsString(item)) {
			weir_config_wrong(reading, member, "must be a name; values are given apart (--secret)");
			continue;
		}
		if (cJSON_GetObjectItemCaseSensitive(environment, item->valuestring) != NULL)
			weir_config_wrong(reading, member, "is in environment, too");
		if (cJSON_GetObjectItemCaseSensitive(as_variables, item->valuestring) != NULL)
			weir_config_wrong(reading, member, "is given twice");
		(void)cJSON_AddStringToObject(as_variables, item->valuestring, ""); /* or it is checked when written */
	}
	if (reading->problems->count == before)
		variables_check(reading, "secrets", as_variables);
	cJSON_Delete(as_variables);
}

static void variables_read(struct weir_config_reading *reading, struct weir_config_function *config)
{
	const cJSON *environment = cJSON_GetObjectItemCaseSensitive(reading->json, "environment");
	const cJSON *secrets = cJSON_GetObjectItemCaseSensitive(reading->json, "secrets");
	const size_t before = reading->problems->count;
	const cJSON *value = NULL;
	char member[160];

	if (environment != NULL && !cJSON_IsObject(environment))
		weir_config_wrong(reading, "environment", "must be NAME: VALUE for each");
	if (secrets != NULL && !cJSON_IsArray(secrets))
		weir_config_wrong(reading, "secrets", "must be a list of names");
	if (cJSON_GetArraySize(environment) + cJSON_GetArraySize(secrets) > WEIR_STORE_VARIABLES_MAX)
		weir_config_wrong(reading, "environment", "and secrets have more than %d names", WEIR_STORE_VARIABLES_MAX);
	if (reading->problems->count != before)
		return;
	cJSON_ArrayForEach(value, environment)
	{
		(void)snprintf(member, sizeof(member), "environment.%.128s", value->string); /* cut is fine */
		if (!cJSON_IsString(value))
			weir_config_wrong(reading, member, "must be text; put it in quotes");
	}
	if (reading->problems->count != before)
		return;
	variables_check(reading, "environment", environment);
	secrets_check(reading, secrets, environment);
	config->environment = environment;
	config->secrets = secrets;
}

/* One of the two, as its own reader says; its result is looked at for problems only. */
static const cJSON *pairs_read(struct weir_config_reading *reading, const char *name,
			       struct weir_model_details *details,
			       int (*read)(struct weir_model_details *, struct weir_span, struct weir_model_error *))
{
	const cJSON *json = cJSON_GetObjectItemCaseSensitive(reading->json, name);
	struct weir_model_error wrong = {.field = "", .reason = "there is not enough memory for it"};
	char *text = json == NULL ? NULL : cJSON_PrintUnformatted(json);

	if (json != NULL && !cJSON_IsObject(json))
		weir_config_wrong(reading, name, "must be NAME: VALUE for each");
	else if (json != NULL && (text == NULL || read(details, weir_span_of(text), &wrong) != 0))
		weir_config_wrong(reading, wrong.field[0] == '\0' ? name : wrong.field, "%s", wrong.reason);
	cJSON_free(text);
	return json;
}

static void details_read(struct weir_config_reading *reading, struct weir_config_function *config,
			 struct weir_model_details *details)
{
	const size_t before = reading->problems->count;
	struct weir_model_error wrong;

	(void)weir_config_text(reading, "description", details->description, sizeof(details->description));
	config->description = details->description;
	config->parameters = pairs_read(reading, "parameters", details, weir_model_parameters_read);
	config->annotations = pairs_read(reading, "annotations", details, weir_model_annotations_read);
	if (reading->problems->count == before && weir_model_details_check(details, &wrong) != 0)
		weir_config_wrong(reading, wrong.field, "%s", wrong.reason);
}

static bool secret_named(const cJSON *secrets, const char *name)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, secrets)
	{
		if (strcmp(item->valuestring, name) == 0)
			return true;
	}
	return false;
}

/* Values for the function's secrets; a copy, or NULL. */
static cJSON *values_read(struct weir_config_reading *reading, const struct weir_config_function *config,
			  const char *name)
{
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(reading->secrets, name);
	const cJSON *value = NULL;
	char place[WEIR_CONFIG_PLACE_BYTES];

	cJSON_ArrayForEach(value, values)
	{
		(void)snprintf(place, sizeof(place), "secrets.%.100s.%.80s", name,
			       value->string == NULL ? "" : value->string); /* cut is fine */
		if (value->string == NULL || !cJSON_IsString(value) || value->valuestring[0] == '\0')
			weir_config_problem(reading->problems, place, "must be NAME: VALUE, a text that is not empty");
		else if (!secret_named(config->secrets, value->string))
			weir_config_problem(reading->problems, place, "is no secret of the document's function");
	}
	if (values == NULL || !weir_config_is_sound(reading))
		return NULL;
	variables_check(reading, "secrets", values);
	return cJSON_Duplicate(values, true);
}

static void function_check(struct weir_config_reading *reading, const struct weir_model_function *function)
{
	struct weir_model_error wrong;

	if (weir_model_function_check(function, &wrong) != 0)
		weir_config_wrong(reading, strcmp(wrong.field, "file") == 0 ? "path" : wrong.field, "%s", wrong.reason);
}

void weir_config_function_read(struct weir_config_reading *reading)
{
	static const char *const members[] = {"name",	     "description", "owner",   "runtime", "code",
					      "entry",	     "path",	    "image",   "handler", "timeout",
					      "memory",	     "queue",	    "specs",   "parameters", "annotations",
					      "environment", "secrets",	    NULL};
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	struct weir_config_function config = {.function = {.timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
							   .memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
							   .queue_max = WEIR_MODEL_QUEUE_DEFAULT}};
	struct weir_model_function *function = &config.function;
	struct weir_config_list *list = &reading->config->section[WEIR_CONFIG_FUNCTIONS];
	char name[NAME_TEXT_MAX];
	cJSON *values = NULL;
	cJSON *json = NULL;

	if (!weir_config_members(reading, "", reading->json, members))
		return;
	name_read(reading, function);
	code_read(reading, &config);
	(void)weir_config_text(reading, "handler", function->handler, sizeof(function->handler));
	weir_config_duration(reading, "timeout", &function->timeout_ms);
	weir_config_number(reading, "memory", cJSON_GetObjectItemCaseSensitive(reading->json, "memory"),
			   &function->memory_mb);
	weir_config_number(reading, "queue", cJSON_GetObjectItemCaseSensitive(reading->json, "queue"),
			   &function->queue_max);
	(void)weir_config_text(reading, "owner", function->owner, sizeof(function->owner));
	specs_read(reading, function);
	details_read(reading, &config, &details);
	if (weir_config_is_sound(reading))
		function_check(reading, function);
	variables_read(reading, &config);
	if (!weir_config_is_sound(reading))
		return;
	json = weir_config_function_json(&config);
	(void)weir_config_item_name(WEIR_CONFIG_FUNCTIONS, json, name, sizeof(name));
	values = values_read(reading, &config, name);
	weir_config_keep(reading, WEIR_CONFIG_FUNCTIONS, strdup(name), json);
	if (weir_config_is_sound(reading))
		list->item[list->count - 1].secrets = values;
	else
		cJSON_Delete(values);
}
