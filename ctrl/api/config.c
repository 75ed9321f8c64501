#include "ctrl/api/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 16 };

static const struct {
	const char *section;
	const char *kind;
	const char *name; /* the member that names an item */
} names[WEIR_CONFIG_SECTION_COUNT] = {
	[WEIR_CONFIG_FUNCTIONS] = {"functions", "function", "name"},
	[WEIR_CONFIG_ROUTES] = {"routes", "route", "route"},
	[WEIR_CONFIG_SETTINGS] = {"settings", "setting", "setting"},
	[WEIR_CONFIG_POOLS] = {"pools", "pool", "pool"},
	[WEIR_CONFIG_IMAGES] = {"images", "image", "image"},
	[WEIR_CONFIG_ROWS] = {"rows", "row", "key"},
};

const char *weir_config_section_name(enum weir_config_section section)
{
	return names[section].section;
}

const char *weir_config_kind_name(enum weir_config_section section)
{
	return names[section].kind;
}

const char *weir_config_item_name(enum weir_config_section section, const cJSON *json, char *out,
				  size_t max)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, names[section].name);
	const cJSON *host = section == WEIR_CONFIG_ROUTES ? cJSON_GetObjectItemCaseSensitive(json, "host")
							  : NULL;

	(void)snprintf(out, max, "%s%s%s%s", cJSON_IsString(name) ? name->valuestring : "",
		       host == NULL ? "" : " (host ", host == NULL ? "" : host->valuestring,
		       host == NULL ? "" : ")"); /* cut is fine */
	return out;
}

const char *weir_config_item_place(enum weir_config_section section, const struct weir_config_item *item,
				   char out[WEIR_CONFIG_PLACE_BYTES])
{
	if (section == WEIR_CONFIG_SETTINGS)
		(void)snprintf(out, WEIR_CONFIG_PLACE_BYTES, "%s.%s", names[section].section, item->key); /* fits */
	else
		(void)snprintf(out, WEIR_CONFIG_PLACE_BYTES, "%s[%u]", names[section].section,
			       item->number); /* fits */
	return out;
}

/* Lists */

bool weir_config_add(struct weir_config_list *list, char *key, cJSON *json, uint32_t number)
{
	const size_t room = list->room == 0 ? ROOM_FIRST : 2 * list->room;
	struct weir_config_item *grown = list->item;

	if (list->count == list->room) {
		grown = reallocarray(list->item, room, sizeof(*grown));
		if (grown != NULL) {
			list->item = grown;
			list->room = room;
		}
	}
	if (grown == NULL || key == NULL || json == NULL) {
		free(key);
		cJSON_Delete(json);
		return false;
	}
	list->item[list->count++] = (struct weir_config_item){.key = key, .json = json, .number = number};
	return true;
}

static int compare_items(const void *left, const void *right)
{
	const struct weir_config_item *a = left;
	const struct weir_config_item *b = right;
	const int order = strcmp(a->key, b->key);

	return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

void weir_config_sort(struct weir_config *config)
{
	for (size_t i = 0; i < WEIR_CONFIG_SECTION_COUNT; i++) {
		struct weir_config_list *list = &config->section[i];

		if (list->count > 0)
			qsort(list->item, list->count, sizeof(list->item[0]), compare_items);
	}
}

static int compare_key(const void *key, const void *item)
{
	return strcmp(key, ((const struct weir_config_item *)item)->key);
}

const struct weir_config_item *weir_config_find(const struct weir_config_list *list, const char *key)
{
	return list->count == 0
		       ? NULL
		       : bsearch(key, list->item, list->count, sizeof(list->item[0]), compare_key);
}

/* Values of secrets do not stay in memory that is free. */
static void secrets_release(cJSON *secrets)
{
	const cJSON *value = NULL;

	cJSON_ArrayForEach(value, secrets)
	{
		if (cJSON_IsString(value))
			explicit_bzero(value->valuestring, strlen(value->valuestring));
	}
	cJSON_Delete(secrets);
}

void weir_config_release(struct weir_config *config)
{
	for (size_t i = 0; i < WEIR_CONFIG_SECTION_COUNT; i++) {
		struct weir_config_list *list = &config->section[i];

		for (size_t k = 0; k < list->count; k++) {
			free(list->item[k].key);
			cJSON_Delete(list->item[k].json);
			secrets_release(list->item[k].secrets);
		}
		free(list->item);
	}
	cJSON_Delete(config->left_out);
	memset(config, 0, sizeof(*config));
}

/* Problems */

void weir_config_problem(struct weir_config_problems *problems, const char *place, const char *format,
			 ...)
{
	char reason[1024];
	va_list arguments;
	cJSON *problem = NULL;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments); /* cut is fine */
	va_end(arguments);
	if (problems->count++ >= WEIR_CONFIG_PROBLEMS_MAX)
		return;
	if (problems->list == NULL)
		problems->list = cJSON_CreateArray();
	problem = cJSON_CreateObject(); /* without memory they are only counted */
	(void)cJSON_AddStringToObject(problem, "place", place);
	(void)cJSON_AddStringToObject(problem, "reason", reason);
	if (problems->list == NULL || !cJSON_AddItemToArray(problems->list, problem))
		cJSON_Delete(problem);
}

void weir_config_problems_release(struct weir_config_problems *problems)
{
	cJSON_Delete(problems->list);
	memset(problems, 0, sizeof(*problems));
}

/* Documents */

static bool section_add(cJSON *document, enum weir_config_section section,
			const struct weir_config_list *list)
{
	const bool is_object = section == WEIR_CONFIG_SETTINGS;
	cJSON *json = NULL;
	bool added = true;

	if (list->count == 0)
		return true;
	json = is_object ? cJSON_AddObjectToObject(document, weir_config_section_name(section))
			 : cJSON_AddArrayToObject(document, weir_config_section_name(section));
	for (size_t i = 0; added && json != NULL && i < list->count; i++) {
		const cJSON *item = list->item[i].json;
		cJSON *copy = cJSON_Duplicate(
			is_object ? cJSON_GetObjectItemCaseSensitive(item, "value") : item, true);

		added = is_object ? cJSON_AddItemToObject(json, list->item[i].key, copy)
				  : cJSON_AddItemToArray(json, copy);
		if (!added)
			cJSON_Delete(copy);
	}
	return added && json != NULL;
}

cJSON *weir_config_json(const struct weir_config *config, const char *space)
{
	cJSON *document = cJSON_CreateObject();
	bool complete = cJSON_AddNumberToObject(document, "weir", WEIR_CONFIG_FORMAT) != NULL;

	if (space != NULL)
		complete = complete && cJSON_AddStringToObject(document, "namespace", space) != NULL;
	for (int i = 0; complete && i < WEIR_CONFIG_SECTION_COUNT; i++)
		complete = section_add(document, (enum weir_config_section)i, &config->section[i]);
	if (complete)
		return document;
	cJSON_Delete(document);
	return NULL;
}
