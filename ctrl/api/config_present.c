#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/config.h"
#include "ctrl/api/pool_setting.h"
#include "ctrl/model/model_number.h"
#include "ctrl/store/store_alias.h"
#include "dataplane/base/cleanup.h"

/* The variables of one function. */
struct variables {
	uint64_t id;
	cJSON *environment;
	cJSON *secrets;
};

/* What is gathered on the way. */
struct gathering {
	const struct weir_api_call *call;
	const char *space; /* NULL: all */
	struct weir_config *config;
	struct variables *variables; /* by id */
	size_t variable_count;
	size_t variable_room;
	cJSON *pool; /* the one whose settings come now */
};

static int no_memory(struct weir_store_error *error)
{
	(void)snprintf(error->text, sizeof(error->text), "not enough memory for the configuration");
	return -ENOMEM;
}

static bool is_wanted(const struct gathering *gathering, const char *space)
{
	return gathering->space == NULL || strcmp(gathering->space, space) == 0;
}

static bool list_add(const struct gathering *gathering, enum weir_config_section section, char *key,
		     cJSON *json)
{
	return weir_config_add(&gathering->config->section[section], key, json, 0);
}

/* Sound JSON, which was checked, with its numbers as they are; NULL gives NULL. False: no memory. */
static bool text_parse(const char *text, cJSON **out_json)
{
	cJSON *json = text == NULL ? NULL : cJSON_Parse(text);

	*out_json = json;
	return text == NULL || (json != NULL && weir_model_numbers_keep(json, text, strlen(text)) == 0);
}

/* Functions */

static struct variables *variables_of(struct gathering *gathering, uint64_t id)
{
	struct variables *last = gathering->variables + gathering->variable_count;
	const size_t room = gathering->variable_room == 0 ? 64 : 2 * gathering->variable_room;
	struct variables *grown = NULL;

	if (gathering->variable_count > 0 && last[-1].id == id)
		return last - 1;
	if (gathering->variable_count == gathering->variable_room) {
		grown = reallocarray(gathering->variables, room, sizeof(*grown));
		if (grown == NULL)
			return NULL;
		gathering->variables = grown;
		gathering->variable_room = room;
	}
	last = &gathering->variables[gathering->variable_count++];
	*last = (struct variables){
		.id = id, .environment = cJSON_CreateObject(), .secrets = cJSON_CreateArray()};
	return last;
}

static int variable_visit(void *context, const struct weir_model_function *function,
			  const struct weir_store_variable *variable)
{
	struct gathering *gathering = context;
	struct variables *own = NULL;
	char *text = NULL;
	bool added = false;

	if (!is_wanted(gathering, function->space))
		return 0;
	own = variables_of(gathering, function->id);
	if (own == NULL)
		return -ENOMEM;
	if (variable->is_secret)
		return cJSON_AddItemToArray(own->secrets, cJSON_CreateString(variable->name)) ? 0 : -ENOMEM;
	text = strndup(variable->value, variable->bytes);
	added = text != NULL && cJSON_AddStringToObject(own->environment, variable->name, text) != NULL;
	free(text);
	return added ? 0 : -ENOMEM;
}

static int compare_variables(const void *left, const void *right)
{
	const uint64_t a = ((const struct variables *)left)->id;
	const uint64_t b = ((const struct variables *)right)->id;

	return (a > b) - (a < b);
}

/* Of what was deployed: DATA/code/HASH/ENTRY. */
static void code_find(const struct weir_api_call *call, struct weir_config_function *function)
{
	const char *path = function->function.code_path;
	const char *slash = NULL;
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char hash[WEIR_CODE_HASH_BYTES] = "";

	for (slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		const size_t bytes = strcspn(slash + 1, "/");

		if (bytes + 1 != sizeof(hash) || slash[1 + bytes] != '/')
			continue;
		(void)snprintf(hash, sizeof(hash), "%s", slash + 1); /* cut at its end */
		if (!weir_code_hash_sound(hash))
			continue;
		(void)weir_code_path(call->owner->code, hash, folder);
		if (strncmp(path, folder, strlen(folder)) != 0 || path[strlen(folder)] != '/')
			continue;
		memcpy(function->code, hash, sizeof(hash));
		function->entry_at = strlen(folder) + 1;
		return;
	}
}

static void json_release(cJSON **json)
{
	cJSON_Delete(*json);
}

/* Say that something is there but not in the config. */
static int leave_out(struct gathering *gathering, struct weir_store_error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int leave_out(struct gathering *gathering, struct weir_store_error *error, const char *format, ...)
{
	struct weir_config *config = gathering->config;
	char sentence[2048];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* cut is fine */
	va_end(arguments);
	if (config->left_out == NULL)
		config->left_out = cJSON_CreateArray();
	return cJSON_AddItemToArray(config->left_out, cJSON_CreateString(sentence)) ? 0 : no_memory(error);
}

static int function_add(struct gathering *gathering, const struct weir_model_function *function,
			struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	WEIR_CLEANUP(json_release) cJSON *parameters = NULL;
	WEIR_CLEANUP(json_release) cJSON *annotations = NULL;
	const struct variables wanted = {.id = function->id};
	const struct variables *own =
		gathering->variable_count == 0
			? NULL
			: bsearch(&wanted, gathering->variables, gathering->variable_count, sizeof(wanted),
				  compare_variables);
	struct weir_config_function config = {
		.function = *function,
		.environment = own == NULL ? NULL : own->environment,
		.secrets = own == NULL ? NULL : own->secrets,
	};
	cJSON *json = NULL;
	char name[256];
	const int code = weir_store_details_get(gathering->call->owner->store, function, &details, error);

	if (function->problem[0] != '\0') /* damaged_tell() */
		return 0;
	if (code == -EBADMSG)
		return leave_out(gathering, error, "the function %s/%s: what it carries is damaged in weir.db",
				 function->space, function->name);
	if (code != 0)
		return code;
	if (!text_parse(details.parameters, &parameters) || !text_parse(details.annotations, &annotations))
		return no_memory(error);
	config.description = details.description;
	config.parameters = parameters;
	config.annotations = annotations;
	if (function->number != 0)
		code_find(gathering->call, &config);
	json = weir_config_function_json(&config);
	return list_add(gathering, WEIR_CONFIG_FUNCTIONS,
			strdup(weir_config_item_name(WEIR_CONFIG_FUNCTIONS, json, name, sizeof(name))), json)
		       ? 0
		       : no_memory(error);
}

static int functions_add(struct gathering *gathering, struct weir_store_error *error)
{
	struct weir_store *store = gathering->call->owner->store;
	struct weir_store_catalog catalog = {.is_tolerant = true};
	int code = weir_store_variable_each(store, variable_visit, gathering, error);

	if (code == -ENOMEM)
		return no_memory(error);
	if (gathering->variable_count > 0)
		qsort(gathering->variables, gathering->variable_count, sizeof(gathering->variables[0]),
		      compare_variables);
	if (code == 0)
		code = weir_store_load_functions(store, &catalog, error);
	for (size_t i = 0; code == 0 && i < catalog.function_count; i++) {
		if (is_wanted(gathering, catalog.functions[i].space))
			code = function_add(gathering, &catalog.functions[i], error);
	}
	weir_store_catalog_release(&catalog);
	return code;
}

/* Routes */

static int route_visit(void *context, const struct weir_model_route *route)
{
	struct gathering *gathering = context;

	if (!is_wanted(gathering, route->space))
		return 0;
	return list_add(gathering, WEIR_CONFIG_ROUTES, weir_config_route_key(route),
			weir_config_route_json(route))
		       ? 0
		       : -ENOMEM;
}

/* Settings */

static int settings_add(struct gathering *gathering, struct weir_store_error *error)
{
	struct weir_setting_values defaults;
	struct weir_setting_values values;
	const struct weir_setting *setting = NULL;
	int code = gathering->space != NULL ? 0
					    : weir_setting_load(gathering->call->owner->store, &values, error);

	weir_setting_defaults(&defaults);
	for (size_t i = 0; code == 0 && gathering->space == NULL && (setting = weir_setting_at(i)) != NULL; i++) {
		const uint64_t value = weir_setting_get(&values, setting);

		if (value != weir_setting_get(&defaults, setting) &&
		    !list_add(gathering, WEIR_CONFIG_SETTINGS, strdup(setting->name),
			      weir_config_setting_json(setting, value)))
			code = no_memory(error);
	}
	return code;
}

/* Pools */

static int pool_visit(void *context, const char *pool, const char *name, uint32_t value)
{
	struct gathering *gathering = context;
	const struct weir_pool_setting *setting = weir_pool_setting_find(name);
	const cJSON *last = cJSON_GetObjectItemCaseSensitive(gathering->pool, "pool");
	const size_t space_bytes = gathering->space == NULL ? 0 : strlen(gathering->space);

	if (setting == NULL || value < setting->min || value > setting->max ||
	    (gathering->space != NULL &&
	     (strncmp(pool, gathering->space, space_bytes) != 0 || pool[space_bytes] != '/')))
		return 0;
	if (last == NULL || strcmp(last->valuestring, pool) != 0) {
		gathering->pool = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(gathering->pool, "pool", pool); /* or the next one fails */
		if (!list_add(gathering, WEIR_CONFIG_POOLS, strdup(pool), gathering->pool))
			return -ENOMEM;
	}
	return cJSON_AddItemToObject(gathering->pool, name, weir_pool_setting_json(setting, value)) ? 0
												   : -ENOMEM;
}

/* Images: as settings, of no namespace. */
static int images_add(struct gathering *gathering, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_store_aliases_release) struct weir_store_aliases aliases = {.alias = NULL};
	const int code = weir_store_aliases_load(gathering->call->owner->store, &aliases, error);

	for (size_t i = 0; code == 0 && gathering->space == NULL && i < aliases.count; i++) {
		if (!list_add(gathering, WEIR_CONFIG_IMAGES, strdup(aliases.alias[i].image),
			      weir_config_image_json(&aliases.alias[i])))
			return no_memory(error);
	}
	return code;
}

/* Rows */

static int rows_add(struct gathering *gathering, struct weir_store_error *error)
{
	const struct weir_public_rows *rows = gathering->call->owner->rows;

	for (size_t i = 0; is_wanted(gathering, "default") && i < rows->count; i++) {
		const struct weir_public_row *row = &rows->rows[i];
		cJSON *value = NULL;
		bool added = text_parse(row->value, &value);

		if (row->error.field[0] != '\0' &&
		    leave_out(gathering, error, "the row '%s' of the public table as it is now, which is not sound: %s %s",
			      row->key, row->error.field, row->error.reason) != 0)
			added = false;
		if (added && value != NULL)
			added = list_add(gathering, WEIR_CONFIG_ROWS, strdup(row->key),
					 weir_config_row_json(row->key, value));
		cJSON_Delete(value);
		if (!added)
			return no_memory(error);
	}
	return 0;
}

/* Rows of weir.db that another program left unsound, as they were met while reading. */
static int damaged_tell(struct gathering *gathering, struct weir_store_error *error)
{
	static const enum weir_store_bad_kind kinds[] = {WEIR_STORE_BAD_FUNCTIONS, WEIR_STORE_BAD_ROUTES,
							 WEIR_STORE_BAD_ALIASES};
	int code = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct weir_store_bad_rows *bad =
			weir_store_bad_rows(gathering->call->owner->store, kinds[i]);

		for (size_t k = 0; code == 0 && k < bad->count && k < WEIR_STORE_BAD_ROWS_MAX; k++)
			code = leave_out(gathering, error, "a row of weir.db that is damaged, table %s, %s: %s %s",
					 bad->row[k].table, bad->row[k].row, bad->row[k].field,
					 bad->row[k].reason);
		if (code == 0 && bad->count > WEIR_STORE_BAD_ROWS_MAX)
			code = leave_out(gathering, error, "%zu more of them", bad->count - WEIR_STORE_BAD_ROWS_MAX);
	}
	return code;
}

static void gathering_release(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->variable_count; i++) {
		cJSON_Delete(gathering->variables[i].environment);
		cJSON_Delete(gathering->variables[i].secrets);
	}
	free(gathering->variables);
}

int weir_config_present(const struct weir_api_call *call, const char *space, struct weir_config *config,
			struct weir_store_error *error)
{
	WEIR_CLEANUP(gathering_release)
	struct gathering gathering = {.call = call, .space = space, .config = config};
	int code = functions_add(&gathering, error);

	if (code == 0)
		code = weir_store_route_each_sound(call->owner->store, route_visit, &gathering, error);
	if (code == 0)
		code = images_add(&gathering, error);
	if (code == 0)
		code = damaged_tell(&gathering, error);
	if (code == 0)
		code = settings_add(&gathering, error);
	if (code == 0)
		code = weir_store_pool_each(call->owner->store, pool_visit, &gathering, error);
	if (code == 0)
		code = rows_add(&gathering, error);
	weir_config_sort(config);
	return code;
}
