#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/store/store_alias.h"
#include "dataplane/base/cleanup.h"

enum { FUNCTION_TEXT_MAX = 2 * WEIR_MODEL_NAME_BYTES_MAX + 2 };

/* Why functions with that image would have no code, or empty. 0 or store.h. */
static int problem_find(const struct weir_api_call *call, const struct weir_model_alias *alias,
			char out[WEIR_MODEL_PROBLEM_BYTES_MAX + 1], struct weir_store_error *error)
{
	struct weir_model_function function;
	const int code =
		weir_store_function_find(call->owner->store, alias->space, alias->name, &function, error);

	out[0] = '\0';
	if (code == 0 || code == -ENOENT)
		(void)weir_model_image_problem(alias->image, alias, code == 0 ? &function : NULL, out);
	return code == -ENOENT || code == -EBADMSG ? 0 : code; /* a damaged row is told of elsewhere */
}

static void name_add(cJSON *json, const char *member, const struct weir_model_alias *alias)
{
	char text[FUNCTION_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s/%s", alias->space, alias->name); /* fits */
	(void)cJSON_AddStringToObject(json, member, text); /* without memory: it lacks */
}

enum weir_api_result weir_api_alias_list(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_store_aliases_release) struct weir_store_aliases aliases = {.alias = NULL};
	struct weir_store_error error = {{0}};
	char problem[WEIR_MODEL_PROBLEM_BYTES_MAX + 1];
	cJSON *answer = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(answer, "aliases");
	int code = weir_store_aliases_load(call->owner->store, &aliases, &error);

	for (size_t i = 0; code == 0 && i < aliases.count; i++) {
		cJSON *json = cJSON_CreateObject();

		code = problem_find(call, &aliases.alias[i], problem, &error);
		(void)cJSON_AddStringToObject(json, "image", aliases.alias[i].image); /* or members lack */
		name_add(json, "function", &aliases.alias[i]);
		if (problem[0] != '\0')
			(void)cJSON_AddStringToObject(json, "problem", problem);
		(void)cJSON_AddItemToArray(list, json);
	}
	if (code != 0) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}

/* The alias that the body describes. False: the answer is set. */
static bool alias_read(struct weir_api_call *call, struct weir_model_alias *alias)
{
	char function[FUNCTION_TEXT_MAX] = "";
	struct weir_model_error wrong;
	int code = 0;

	if (!weir_api_body_text(call, "image", alias->image, sizeof(alias->image)) ||
	    !weir_api_body_text(call, "function", function, sizeof(function)))
		return false;
	code = weir_model_image_check(alias->image, &wrong);
	if (code == 0) {
		code = weir_model_name_parse(function, alias->space, alias->name, &wrong);
		(void)snprintf(wrong.field, sizeof(wrong.field), "%s", code == 0 ? "" : "function"); /* of which it is a part */
	}
	if (code != 0)
		(void)weir_api_refuse_field(call, &wrong);
	return code == 0;
}

/* Who names a function here means one that is there; what becomes of it later is another matter. */
enum weir_api_result weir_api_alias_set(struct weir_api_call *call)
{
	struct weir_model_alias alias = {.image = ""};
	struct weir_model_function function;
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!alias_read(call, &alias))
		return WEIR_API_DONE;
	code = weir_store_function_find(call->owner->store, alias.space, alias.name, &function, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	if (function.image[0] != '\0')
		return weir_api_refuse(call, 422, "invalid", "function",
				       "function has an image itself; name one with code");
	code = weir_store_alias_set(call->owner->store, &alias, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 200);
}

enum weir_api_result weir_api_alias_remove(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	char image[WEIR_MODEL_IMAGE_BYTES_MAX + 2] = "";
	int code = 0;

	if (!weir_api_query(call, "image", image, sizeof(image)))
		return weir_api_refuse(call, 422, "invalid", "image", "image is missing in the query, or too long");
	code = weir_store_alias_remove(call->owner->store, image, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 200);
}

void weir_api_alias_problems_add(const struct weir_api_call *call, cJSON *problems)
{
	WEIR_CLEANUP(weir_store_aliases_release) struct weir_store_aliases aliases = {.alias = NULL};
	struct weir_store_error error = {{0}};
	char problem[WEIR_MODEL_PROBLEM_BYTES_MAX + 1];
	/* What keeps the store from being read is a problem of its own. */
	int code = weir_store_aliases_load(call->owner->store, &aliases, &error);

	for (size_t i = 0; code == 0 && i < aliases.count; i++) {
		cJSON *json = NULL;

		code = problem_find(call, &aliases.alias[i], problem, &error);
		if (problem[0] == '\0')
			continue;
		json = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(json, "what", "image"); /* without memory: members lack */
		(void)cJSON_AddStringToObject(json, "row", aliases.alias[i].image);
		(void)cJSON_AddStringToObject(json, "field", "function");
		(void)cJSON_AddStringToObject(json, "reason", problem);
		(void)cJSON_AddItemToArray(problems, json);
	}
}

int weir_api_alias_describe(const struct weir_api_call *call, const struct weir_model_function *function, cJSON *json,
			    struct weir_store_error *error)
{
	struct weir_model_alias alias;
	int code = 0;

	if (function->image[0] == '\0')
		return 0;
	code = weir_store_alias_find(call->owner->store, function->image, &alias, error);
	if (code == 0)
		name_add(json, "runs", &alias);
	return code == -ENOENT || code == -EBADMSG ? 0 : code; /* its problem says so */
}
