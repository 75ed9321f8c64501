#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/config_plan.h"
#include "ctrl/api/pool_setting.h"
#include "ctrl/store/store_alias.h"
#include "dataplane/base/cleanup.h"

enum { POOL_SETTINGS_MAX = 32 };

static int no_memory(struct weir_store_error *error)
{
	(void)snprintf(error->text, sizeof(error->text), "not enough memory for the configuration"); /* fits */
	return -ENOMEM;
}

/* Functions */

static const cJSON *member(const struct weir_config_item *item, const char *name)
{
	return item == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(item->json, name);
}

static bool is_listed(const cJSON *list, const char *name)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, list)
	{
		if (strcmp(item->valuestring, name) == 0)
			return true;
	}
	return false;
}

/* Is a variable with this name still wanted, in whatever form? */
static bool is_kept(const struct weir_config_change *change, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(member(change->to, "environment"), name) != NULL ||
	       is_listed(member(change->to, "secrets"), name);
}

/* New ones and those that differ. */
static bool set_add(cJSON *set, const struct weir_config_change *change)
{
	const cJSON *before = member(change->from, "environment");
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, member(change->to, "environment"))
	{
		const cJSON *same = cJSON_GetObjectItemCaseSensitive(before, item->string);

		if ((same == NULL || strcmp(same->valuestring, item->valuestring) != 0) &&
		    cJSON_AddStringToObject(set, item->string, item->valuestring) == NULL)
			return false;
	}
	return set != NULL;
}

/* Those that go, of an object or a list. */
static bool unset_add(cJSON *unset, const struct weir_config_change *change, const cJSON *before)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, before)
	{
		const char *name = item->string != NULL ? item->string : item->valuestring;

		if (!is_kept(change, name) && !cJSON_AddItemToArray(unset, cJSON_CreateString(name)))
			return false;
	}
	return unset != NULL;
}

cJSON *weir_config_variables_json(const struct weir_config_change *change)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *set = cJSON_AddObjectToObject(json, "environment");
	cJSON *unset = cJSON_AddArrayToObject(json, "unset");
	const bool complete = set_add(set, change) && unset_add(unset, change, member(change->from, "environment")) &&
			      unset_add(unset, change, member(change->from, "secrets")) &&
			      (change->to->secrets == NULL ||
			       cJSON_AddItemReferenceToObject(json, "secrets", change->to->secrets));

	if (complete)
		return json;
	cJSON_Delete(json);
	return NULL;
}

/* JSON that was read before. 0 or -ENOMEM. */
static int pairs_of(const cJSON *json, struct weir_model_details *details,
		    int (*read)(struct weir_model_details *, struct weir_span, struct weir_model_error *))
{
	struct weir_model_error wrong;
	char *text = json == NULL ? NULL : cJSON_PrintUnformatted(json);
	const int code = json == NULL ? 0 : text == NULL ? -ENOMEM : read(details, weir_span_of(text), &wrong);

	cJSON_free(text);
	return code;
}

/* What the function carries from now on. 1: as it did, config->function.details says; 0: what the document says,
 * in *details; or store.h. */
static int details_of(struct weir_store *store, const struct weir_config_change *change,
		      struct weir_config_function *config, struct weir_model_details *details,
		      struct weir_store_error *error)
{
	static const char *const members[] = {"description", "parameters", "annotations", NULL};
	struct weir_model_function present;
	int code = 0;

	if (change->from != NULL && !weir_config_differ(change, members)) {
		code = weir_store_function_find(store, config->function.space, config->function.name, &present,
						error);
		config->function.details = code == 0 ? present.details : 0;
		return code == 0 ? 1 : code;
	}
	(void)snprintf(details->description, sizeof(details->description), "%s", config->description); /* fits */
	code = pairs_of(config->parameters, details, weir_model_parameters_read);
	if (code == 0)
		code = pairs_of(config->annotations, details, weir_model_annotations_read);
	return code == 0 ? 0 : no_memory(error);
}

static int function_put(struct weir_api_call *call, const struct weir_config_plan *plan,
			const struct weir_config_change *change, const struct weir_api_variables *variables,
			struct weir_store_error *error)
{
	static const char *const members[] = {"description", "owner",  "runtime", "code",  "entry",
					      "path",	     "image",  "handler", "timeout", "memory",
					      "queue",	     "specs", "parameters", "annotations", NULL};
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	struct weir_store *store = call->owner->store;
	struct weir_config_function config;
	struct weir_store_deployment deployment = {.code = config.code,
						   .variables = &variables->sealed,
						   .versions_max = plan->settings.function_versions_max};
	uint32_t number = 0;
	int code = 0;

	weir_config_function_of(call, change->to->json, &config);
	code = details_of(store, change, &config, &details, error);
	if (code < 0)
		return code;
	deployment.details = code == 1 ? NULL : &details;
	/* As each of the other doors would: what was deployed, and what changes, is a version. */
	if (weir_config_differ(change, members) && (config.code[0] != '\0' || change->from != NULL))
		return weir_store_deploy(store, &config.function, &deployment, &number, error);
	code = change->from == NULL ? weir_store_function_add(store, &config.function, &details, error) : 0;
	if (code == 0 && variables->sealed.count > 0)
		code = weir_store_variables_change(store, config.function.space, config.function.name,
						   &variables->sealed, error);
	return code;
}

static void json_release(cJSON **json)
{
	cJSON_Delete(*json);
}

static int function_write(struct weir_api_call *call, const struct weir_config_plan *plan,
			  const struct weir_config_change *change, struct weir_config_problems *problems,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(json_release) cJSON *json = NULL;
	WEIR_CLEANUP(weir_api_variables_release) struct weir_api_variables variables = {.plain = NULL};
	struct weir_config_function config;
	const cJSON *sentence = NULL;
	char place[WEIR_CONFIG_PLACE_BYTES];

	weir_config_function_of(call, change->to != NULL ? change->to->json : change->from->json, &config);
	if (change->to == NULL)
		return weir_store_function_remove(call->owner->store, config.function.space, config.function.name,
						  error);
	variables.space = config.function.space;
	variables.name = config.function.name;
	json = weir_config_variables_json(change);
	if (json == NULL)
		return no_memory(error);
	if (weir_api_variables_of(call, json, &variables))
		return function_put(call, plan, change, &variables, error);
	sentence = cJSON_GetObjectItemCaseSensitive(call->answer, "error");
	weir_config_problem(problems, weir_config_item_place(change->section, change->to, place), "%s",
			    cJSON_IsString(sentence) ? sentence->valuestring : "there is not enough memory");
	return -EINVAL;
}

/* The others */

static int route_write(struct weir_store *store, const struct weir_config_change *change,
		       struct weir_store_error *error)
{
	struct weir_model_route route;

	weir_config_route_of(change->to != NULL ? change->to->json : change->from->json, &route);
	if (change->to == NULL)
		return weir_store_route_remove(store, &route, error);
	return change->from == NULL ? weir_store_route_add(store, &route, error)
				    : weir_store_route_update(store, &route, error);
}

static int setting_write(struct weir_store *store, const struct weir_config_change *change,
			 struct weir_store_error *error)
{
	return change->to == NULL ? weir_store_setting_unset(store, change->from->key, error)
				  : weir_store_setting_set(store, change->to->key,
							   weir_config_setting_of(change->to->json), error);
}

static int pool_write(struct weir_store *store, const struct weir_config_change *change,
		      struct weir_store_error *error)
{
	struct weir_store_pool_setting settings[POOL_SETTINGS_MAX];
	const cJSON *own = change->to == NULL ? NULL : change->to->json;
	const cJSON *item = NULL;
	struct weir_model_error wrong;
	size_t count = 0;

	cJSON_ArrayForEach(item, own)
	{
		const struct weir_pool_setting *setting = weir_pool_setting_find(item->string);

		if (setting == NULL || count == POOL_SETTINGS_MAX) /* "pool" */
			continue;
		settings[count] = (struct weir_store_pool_setting){.name = setting->name};
		count += weir_pool_setting_read(setting, item, &settings[count].value, &wrong) == 0;
	}
	return weir_store_pool_change(store, change->to != NULL ? change->to->key : change->from->key, true,
				      settings, count, error);
}

static int image_write(struct weir_store *store, const struct weir_config_change *change,
		       struct weir_store_error *error)
{
	struct weir_model_alias alias;

	if (change->to == NULL)
		return weir_store_alias_remove(store, change->from->key, error);
	weir_config_image_of(change->to->json, &alias);
	return weir_store_alias_set(store, &alias, error);
}

/* The row as weir.db keeps it; the public table is the caller's. */
static int row_write(struct weir_store *store, const struct weir_config_change *change,
		     struct weir_store_error *error)
{
	char *value = NULL;
	int code = 0;

	if (change->to == NULL)
		return weir_public_rows_put(store, change->from->key, NULL, error);
	value = weir_config_row_value(change->to->json);
	if (value == NULL)
		return no_memory(error);
	code = weir_public_rows_put(store, change->to->key, value, error);
	cJSON_free(value);
	return code;
}

/* A minimum above the maximum helps nobody; pools take over what others say. */
static int pools_check(struct weir_store *store, const struct weir_config *wanted,
		       struct weir_config_problems *problems, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_pool_settings_release) struct weir_pool_list list = {.count = 0};
	const int code = weir_pool_settings_load(store, &list, error);
	const size_t before = problems->count;

	for (size_t i = 0; code == 0 && i < list.count; i++) {
		const struct weir_publish_pool *pool = &list.pool[i];
		const struct weir_config_item *item =
			weir_config_find(&wanted->section[WEIR_CONFIG_POOLS], pool->name);
		char place[WEIR_CONFIG_PLACE_BYTES] = "pools";

		if (pool->workers_min == WEIR_PUBLISH_WORKERS_UNSET || pool->workers_min <= pool->workers_max)
			continue;
		if (item != NULL)
			(void)weir_config_item_place(WEIR_CONFIG_POOLS, item, place);
		weir_config_problem(problems, place, "workers_min of %s would be %u, which is larger than workers_max, %u",
				    pool->name, pool->workers_min, pool->workers_max);
	}
	return code == 0 && problems->count != before ? -EINVAL : code;
}

static int change_write(struct weir_api_call *call, const struct weir_config_plan *plan,
			const struct weir_config_change *change, struct weir_config_problems *problems,
			struct weir_store_error *error)
{
	switch (change->section) {
	case WEIR_CONFIG_FUNCTIONS:
		return function_write(call, plan, change, problems, error);
	case WEIR_CONFIG_ROUTES:
		return route_write(call->owner->store, change, error);
	case WEIR_CONFIG_SETTINGS:
		return setting_write(call->owner->store, change, error);
	case WEIR_CONFIG_POOLS:
		return pool_write(call->owner->store, change, error);
	case WEIR_CONFIG_IMAGES:
		return image_write(call->owner->store, change, error);
	case WEIR_CONFIG_ROWS:
		return row_write(call->owner->store, change, error);
	case WEIR_CONFIG_SECTION_COUNT:
		break;
	}
	return 0;
}

int weir_config_write(struct weir_api_call *call, const struct weir_config_plan *plan,
		      struct weir_config_problems *problems, struct weir_store_error *error)
{
	/* A route leads to a function: it comes after it, and has left it before it goes. */
	static const struct {
		enum weir_config_section section;
		bool is_removal;
	} steps[] = {
		{WEIR_CONFIG_FUNCTIONS, false}, {WEIR_CONFIG_ROUTES, true},   {WEIR_CONFIG_ROUTES, false},
		{WEIR_CONFIG_FUNCTIONS, true},	{WEIR_CONFIG_SETTINGS, true}, {WEIR_CONFIG_SETTINGS, false},
		{WEIR_CONFIG_POOLS, true},	{WEIR_CONFIG_POOLS, false},   {WEIR_CONFIG_IMAGES, true},
		{WEIR_CONFIG_IMAGES, false},	{WEIR_CONFIG_ROWS, true},     {WEIR_CONFIG_ROWS, false},
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (size_t k = 0; code == 0 && k < plan->count; k++) {
			const struct weir_config_change *change = &plan->change[k];

			if (change->section == steps[i].section && (change->to == NULL) == steps[i].is_removal)
				code = change_write(call, plan, change, problems, error);
		}
	}
	return code == 0 ? pools_check(call->owner->store, plan->wanted, problems, error) : code;
}
