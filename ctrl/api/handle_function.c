#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/api/call.h"
#include "ctrl/api/setting.h"
#include "dataplane/base/cleanup.h"

static void specs_add(cJSON *json, const struct weir_model_function *function)
{
	cJSON *list = cJSON_AddArrayToObject(json, "specs");

	for (uint32_t i = 0; i < function->spec_count; i++) {
		const struct weir_model_spec *spec = &function->spec[i];
		cJSON *item = cJSON_CreateObject();

		(void)cJSON_AddNumberToObject(item, "cpu_millicores", spec->cpu_millicores); /* or members lack */
		(void)cJSON_AddNumberToObject(item, "memory_mb", spec->memory_mb);
		(void)cJSON_AddNumberToObject(item, "min", spec->workers_min);
		(void)cJSON_AddNumberToObject(item, "max", spec->workers_max);
		(void)cJSON_AddItemToArray(list, item);
	}
}

cJSON *weir_api_function_json(const struct weir_model_function *function)
{
	cJSON *json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "namespace",
				      function->space); /* without memory: members lack */
	(void)cJSON_AddStringToObject(json, "name", function->name);
	(void)cJSON_AddStringToObject(json, "runtime", function->runtime);
	(void)cJSON_AddStringToObject(json, "file", function->code_path);
	(void)cJSON_AddStringToObject(json, "image", function->image);
	(void)cJSON_AddStringToObject(json, "handler", function->handler);
	(void)cJSON_AddNumberToObject(json, "timeout_ms", function->timeout_ms);
	(void)cJSON_AddNumberToObject(json, "memory_mb", function->memory_mb);
	(void)cJSON_AddNumberToObject(json, "queue_max", function->queue_max);
	specs_add(json, function);
	(void)cJSON_AddStringToObject(json, "owner", function->owner);
	(void)cJSON_AddNumberToObject(json, "version", (double)function->version);
	if (function->number != 0)
		(void)cJSON_AddNumberToObject(json, "deployed", function->number);
	(void)cJSON_AddStringToObject(json, "source",
				      function->from_public_table ? "table" : "weir");
	return json;
}

/* And what is wrong with it now. */
static cJSON *function_told(const struct weir_api_call *call,
			    const struct weir_model_function *function)
{
	cJSON *json = weir_api_function_json(function);
	const char *problem = function->problem[0] != '\0'
				      ? function->problem
				      : call->owner->problem(call->owner->context, function->id);

	if (problem != NULL)
		(void)cJSON_AddStringToObject(json, "problem", problem);
	return json;
}

/* Does the query ask for all, or for this one? */
static bool is_wanted(const struct weir_api_call *call, const char *name, const char *value)
{
	char wanted[WEIR_API_PARAM_BYTES_MAX];

	return !weir_api_query(call, name, wanted, sizeof(wanted)) || strcmp(wanted, value) == 0;
}

enum weir_api_result weir_api_function_list(struct weir_api_call *call)
{
	struct weir_store_catalog catalog = {.is_tolerant = true};
	struct weir_store_error error = {{0}};
	cJSON *list = NULL;
	int code = weir_store_load(call->owner->store, &catalog, &error);

	if (code == 0)
		code = weir_public_rows_append(call->owner->rows, &catalog);
	if (code != 0) {
		weir_store_catalog_release(&catalog);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(call->answer, "functions");
	for (size_t i = 0; i < catalog.function_count; i++) {
		if (weir_api_sees(call, catalog.functions[i].space) &&
		    is_wanted(call, "namespace", catalog.functions[i].space) &&
		    is_wanted(call, "owner", catalog.functions[i].owner))
			(void)cJSON_AddItemToArray(list, function_told(call, &catalog.functions[i]));
	}
	weir_store_catalog_release(&catalog);
	call->status = 200;
	return WEIR_API_DONE;
}

/* What is gathered about one function. */
struct description {
	const struct weir_api_call *call;
	const struct weir_model_function *function;
	cJSON *json;
	cJSON *environment;
	uint32_t version_count;
};

static int version_visit(void *context, const struct weir_store_version *version)
{
	struct description *description = context;

	description->version_count++;
	if (!version->is_current)
		return 0;
	(void)cJSON_AddNumberToObject(description->json, "created", (double)version->created_s);
	if (version->code[0] == '\0')
		return 0;
	(void)cJSON_AddStringToObject(description->json, "code", version->code);
	(void)cJSON_AddNumberToObject(
		description->json, "code_bytes",
		(double)weir_code_bytes(description->call->owner->code, version->code));
	return 0;
}

/* Names only: values have a command of their own, secrets none. */
static int variable_visit(void *context, const struct weir_model_function *function,
			  const struct weir_store_variable *variable)
{
	const struct description *description = context;
	cJSON *json = NULL;

	if (function->id != description->function->id)
		return 0;
	json = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(json, "name", variable->name); /* or members lack */
	(void)cJSON_AddBoolToObject(json, "secret", variable->is_secret);
	return cJSON_AddItemToArray(description->environment, json) ? 0 : -ENOMEM;
}

/* Where its code, its versions, its variables and what it carries are concerned. */
static int describe(const struct weir_api_call *call, const struct weir_model_function *function,
		    cJSON *json, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	struct description description = {.call = call, .function = function, .json = json};
	struct stat info;
	int code = weir_store_version_each(call->owner->store, call->param[0], call->param[1],
					   version_visit, &description, error);

	if (code == 0 && function->number == 0 && stat(function->code_path, &info) == 0)
		(void)cJSON_AddNumberToObject(json, "code_bytes", (double)info.st_size);
	(void)cJSON_AddNumberToObject(json, "versions", description.version_count);
	description.environment = cJSON_AddArrayToObject(json, "environment");
	if (code == 0)
		code = weir_store_details_get(call->owner->store, function, &details, error);
	if (code == 0)
		weir_api_details_add(json, &details);
	if (code == 0)
		code = weir_api_alias_describe(call, function, json, error);
	return code != 0 ? code
			 : weir_store_variable_each(call->owner->store, variable_visit, &description,
						    error);
}

enum weir_api_result weir_api_function_get(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_model_function function;
	cJSON *json = NULL;
	int code = weir_store_function_find(call->owner->store, call->param[0], call->param[1],
					    &function, &error);

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	json = function_told(call, &function);
	weir_api_function_pools_add(call, function.id, json);
	code = describe(call, &function, json, &error);
	if (code != 0) {
		cJSON_Delete(json);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = json;
	call->status = 200;
	return WEIR_API_DONE;
}

int weir_api_file_check(const struct weir_model_function *function, struct weir_model_error *error)
{
	const char *const ending = strrchr(function->code_path, '.');
	/* `exec` of a PHP script runs `php FILE` where the script is no program by itself. */
	const bool script = ending != NULL && strcmp(ending, ".php") == 0;
	const bool program = strcmp(function->runtime, "exec") == 0 && !script;

	if (access(function->code_path, program ? X_OK : R_OK) == 0)
		return 0;
	(void)snprintf(error->field, sizeof(error->field), "file"); /* fits */
	(void)snprintf(error->reason, sizeof(error->reason), "'%.160s' cannot be %s: %s",
		       function->code_path, program ? "executed" : "read",
		       strerror(errno)); /* cut is fine */
	return -EINVAL;
}

static bool function_body_read(struct weir_api_call *call, struct weir_model_function *function)
{
	return weir_api_body_text(call, "namespace", function->space,
				  sizeof(function->space)) &&
	       weir_api_body_text(call, "name", function->name, sizeof(function->name)) &&
	       weir_api_body_text(call, "runtime", function->runtime,
				  sizeof(function->runtime)) &&
	       weir_api_body_text(call, "file", function->code_path,
				  sizeof(function->code_path)) &&
	       weir_api_body_text(call, "image", function->image, sizeof(function->image)) &&
	       weir_api_body_text(call, "owner", function->owner, sizeof(function->owner)) &&
	       weir_api_body_text(call, "handler", function->handler,
				  sizeof(function->handler)) &&
	       weir_api_body_number(call, "timeout_ms", &function->timeout_ms) &&
	       weir_api_body_number(call, "memory_mb", &function->memory_mb) &&
	       weir_api_body_number(call, "queue_max", &function->queue_max) &&
	       weir_api_body_specs(call, function);
}

enum weir_api_result weir_api_function_add(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	const struct weir_model_details *given = NULL;
	enum weir_api_result result = WEIR_API_DONE;
	struct weir_store_error error = {{0}};
	struct weir_model_function function = {.space = "default"};
	struct weir_setting_values values;
	struct weir_model_error wrong;
	int code = weir_setting_load(call->owner->store, &values, &error);

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	function.timeout_ms = values.function_timeout_ms;
	function.memory_mb = values.function_memory_mb;
	function.queue_max = values.function_queue_max;
	if (!function_body_read(call, &function))
		return WEIR_API_DONE;
	weir_model_image_settle(&function);
	if (weir_model_function_check(&function, &wrong) != 0 ||
	    (function.image[0] == '\0' && weir_api_file_check(&function, &wrong) != 0))
		return weir_api_refuse_field(call, &wrong);
	if (!weir_api_details_read(call, &function, &details, &given, &result))
		return result;
	code = weir_store_function_add(call->owner->store, &function, given, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 201);
}

enum weir_api_result weir_api_function_remove(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	const int code = weir_store_function_remove(call->owner->store, call->param[0],
						    call->param[1], &error);

	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}
