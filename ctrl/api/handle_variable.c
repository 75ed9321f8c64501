#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/code/secret.h"
#include "dataplane/base/cleanup.h"

enum { TEXT_BYTES_MAX = 98304 };

void weir_api_variables_release(struct weir_api_variables *variables)
{
	for (size_t i = 0; i < variables->sealed.count; i++) {
		char *plain = variables->plain[i];

		free((void *)(uintptr_t)variables->sealed.variable[i].value);
		if (plain != NULL)
			explicit_bzero(plain, strlen(plain));
		free(plain);
	}
	free(variables->plain);
	memset(variables, 0, sizeof(*variables));
}

static bool refuse(struct weir_api_call *call, const char *field, const char *sentence)
{
	(void)weir_api_refuse(call, 422, "invalid", field, sentence);
	return false;
}

/* Room for one more, whose name is checked; the name stays the body's. */
static struct weir_store_variable *variable_add(struct weir_api_call *call,
						struct weir_api_variables *variables,
						const char *name)
{
	struct weir_store_variables *sealed = &variables->sealed;

	if (!weir_model_variable_sound(name)) {
		char sentence[256];

		(void)snprintf(sentence, sizeof(sentence),
			       "'%.100s' is no name of a variable: it holds letters, digits and '_', and "
			       "begins with no digit",
			       name); /* cut is fine */
		(void)refuse(call, "environment", sentence);
		return NULL;
	}
	if (sealed->count == WEIR_STORE_VARIABLES_MAX) {
		(void)refuse(call, "environment", "there are more than 128 variables");
		return NULL;
	}
	if (variables->plain == NULL)
		variables->plain = calloc(WEIR_STORE_VARIABLES_MAX, sizeof(*variables->plain));
	if (variables->plain == NULL)
		return NULL;
	sealed->variable[sealed->count] = (struct weir_store_variable){.name = name};
	return &sealed->variable[sealed->count++];
}

static bool value_seal(struct weir_api_call *call, const struct weir_api_variables *variables,
		       struct weir_store_variable *variable, const char *value)
{
	char label[WEIR_SECRET_LABEL_BYTES];
	const size_t bytes = strlen(value);
	uint8_t *sealed = malloc(bytes + WEIR_SECRET_EXTRA_BYTES);
	int code = 0;

	(void)weir_secret_label(variables->space, variables->name, variable->name, label);
	code = sealed == NULL ? -ENOMEM
			      : call->owner->seal(call->owner->context, label, value, bytes, sealed);
	if (code != 0) {
		free(sealed);
		(void)weir_api_refuse(call, 503, "key", NULL,
				      "secrets cannot be kept: secret.key in the data directory is "
				      "damaged, or others may read it");
		return false;
	}
	variable->value = sealed;
	variable->bytes = bytes + WEIR_SECRET_EXTRA_BYTES;
	variable->is_secret = true;
	return true;
}

static bool value_set(struct weir_api_call *call, struct weir_api_variables *variables,
		      const cJSON *item, bool is_secret)
{
	struct weir_store_variable *variable = NULL;
	char **plain = NULL;

	if (!cJSON_IsString(item) || strlen(item->valuestring) > WEIR_MODEL_VALUE_BYTES_MAX)
		return refuse(call, "environment", "a variable's value is a string of at most 32 KiB");
	variable = variable_add(call, variables, item->string);
	if (variable == NULL)
		return false;
	plain = &variables->plain[variables->sealed.count - 1];
	if (asprintf(plain, "%s=%s", item->string, item->valuestring) < 0) {
		*plain = NULL;
		variables->sealed.count--;
		return refuse(call, "environment", "not enough memory");
	}
	if (is_secret)
		return value_seal(call, variables, variable, item->valuestring);
	variable->value = strdup(item->valuestring);
	variable->bytes = strlen(item->valuestring);
	return variable->value != NULL;
}

static bool unset_add(struct weir_api_call *call, struct weir_api_variables *variables,
		      const cJSON *item)
{
	struct weir_store_variable *variable = NULL;

	if (!cJSON_IsString(item))
		return refuse(call, "unset", "unset is a list of names");
	variable = variable_add(call, variables, item->valuestring);
	if (variable == NULL)
		return false;
	variables->plain[variables->sealed.count - 1] = strdup(item->valuestring);
	return variables->plain[variables->sealed.count - 1] != NULL;
}

bool weir_api_variables_read(struct weir_api_call *call, struct weir_api_variables *variables)
{
	variables->space = call->param[0];
	variables->name = call->param[1];
	return weir_api_variables_of(call, call->body, variables);
}

bool weir_api_variables_of(struct weir_api_call *call, const cJSON *json, struct weir_api_variables *variables)
{
	const cJSON *plain = cJSON_GetObjectItemCaseSensitive(json, "environment");
	const cJSON *secrets = cJSON_GetObjectItemCaseSensitive(json, "secrets");
	const cJSON *unset = cJSON_GetObjectItemCaseSensitive(json, "unset");
	const cJSON *item = NULL;
	size_t bytes = 0;

	/* Without memory, or an answer already. */
	(void)weir_api_refuse(call, 503, "memory", NULL, "not enough memory for the variables");
	if ((plain != NULL && !cJSON_IsObject(plain)) || (secrets != NULL && !cJSON_IsObject(secrets)) ||
	    (unset != NULL && !cJSON_IsArray(unset)))
		return refuse(call, "environment",
			      "environment and secrets are objects, unset is a list");
	cJSON_ArrayForEach(item, unset)
	{
		if (!unset_add(call, variables, item))
			return false;
	}
	cJSON_ArrayForEach(item, plain)
	{
		if (!value_set(call, variables, item, false))
			return false;
	}
	cJSON_ArrayForEach(item, secrets)
	{
		if (!value_set(call, variables, item, true))
			return false;
	}
	for (size_t i = 0; i < variables->sealed.count; i++)
		bytes += strlen(variables->plain[i]) + 1;
	if (bytes > TEXT_BYTES_MAX)
		return refuse(call, "environment", "the variables are longer than 96 KiB together");
	cJSON_Delete(call->answer);
	call->answer = NULL;
	return true;
}

/* A list that is being filled. */
struct listing {
	const struct weir_api_call *call;
	cJSON *list;
};

static int variable_visit(void *context, const struct weir_model_function *function,
			  const struct weir_store_variable *variable)
{
	const struct listing *listing = context;
	char *text = NULL;
	cJSON *json = NULL;

	if (strcmp(function->space, listing->call->param[0]) != 0 ||
	    strcmp(function->name, listing->call->param[1]) != 0)
		return 0;
	json = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(json, "name", variable->name); /* or members lack */
	(void)cJSON_AddBoolToObject(json, "secret", variable->is_secret);
	text = variable->is_secret ? NULL : strndup(variable->value, variable->bytes);
	if (text != NULL)
		(void)cJSON_AddStringToObject(json, "value", text);
	free(text);
	return cJSON_AddItemToArray(listing->list, json) ? 0 : -ENOMEM;
}

enum weir_api_result weir_api_variable_list(struct weir_api_call *call)
{
	struct weir_store_error error = {.text = "not enough memory for the variables"};
	struct weir_model_function function;
	cJSON *answer = cJSON_CreateObject();
	const struct listing listing = {.call = call,
					.list = cJSON_AddArrayToObject(answer, "environment")};
	int code = weir_store_function_find(call->owner->store, call->param[0], call->param[1],
					    &function, &error);

	if (code == 0)
		code = weir_store_variable_each(call->owner->store, variable_visit,
						(void *)(uintptr_t)&listing, &error);
	if (code != 0) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_variable_change(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_api_variables_release) struct weir_api_variables variables = {.plain = NULL};
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!weir_api_variables_read(call, &variables))
		return WEIR_API_DONE;
	code = weir_store_variables_change(call->owner->store, call->param[0], call->param[1],
					   &variables.sealed, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}
