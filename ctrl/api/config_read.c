#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/config_reading.h"
#include "ctrl/api/pool_setting.h"
#include "ctrl/model/builtin.h"
#include "dataplane/base/cleanup.h"

enum { ROUTE_TEXT_MAX = WEIR_MODEL_PATTERN_BYTES_MAX + 80, NAME_TEXT_MAX = 2 * WEIR_MODEL_NAME_BYTES_MAX + 2 };

void weir_config_wrong(struct weir_config_reading *reading, const char *member, const char *format, ...)
{
	char place[2 * WEIR_CONFIG_PLACE_BYTES];
	char reason[1024];
	va_list arguments;

	(void)snprintf(place, sizeof(place), "%s%s%.160s", reading->place,
		       member[0] == '\0' || reading->place[0] == '\0' ? "" : ".", member); /* cut is fine */
	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments); /* likewise */
	va_end(arguments);
	weir_config_problem(reading->problems, place, "%s", reason);
}

bool weir_config_is_sound(const struct weir_config_reading *reading)
{
	return reading->problems->count == reading->problems_before;
}

static void names_list(const char *const *names, char *out, size_t max)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; names[i] != NULL && used < max; i++)
		used += (size_t)snprintf(out + used, max - used, "%s%s", i == 0 ? "" : ", ",
					 names[i]); /* cut is fine */
}

bool weir_config_members(struct weir_config_reading *reading, const char *member, const cJSON *json,
			 const char *const *names)
{
	const cJSON *item = NULL;
	char known[256];
	char name[128];

	names_list(names, known, sizeof(known));
	if (!cJSON_IsObject(json)) {
		weir_config_wrong(reading, member, "must have members: %s", known);
		return false;
	}
	cJSON_ArrayForEach(item, json)
	{
		size_t i = 0;

		while (names[i] != NULL && strcmp(names[i], item->string) != 0)
			i++;
		(void)snprintf(name, sizeof(name), "%s%s%.60s", member, member[0] == '\0' ? "" : ".",
			       item->string); /* cut is fine */
		if (names[i] == NULL)
			weir_config_wrong(reading, name, "is not known here; known are: %s", known);
	}
	return true;
}

bool weir_config_text(struct weir_config_reading *reading, const char *name, char *out, size_t max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(reading->json, name);

	if (item == NULL)
		return true;
	if (!cJSON_IsString(item)) {
		weir_config_wrong(reading, name, "must be text%s",
				  cJSON_IsNumber(item) || cJSON_IsBool(item) ? "; put it in quotes" : "");
		return false;
	}
	if (strlen(item->valuestring) >= max) {
		weir_config_wrong(reading, name, "is longer than %zu bytes", max - 1);
		return false;
	}
	(void)snprintf(out, max, "%s", item->valuestring); /* fits */
	return true;
}

void weir_config_number(struct weir_config_reading *reading, const char *name, const cJSON *json,
			uint32_t *out_value)
{
	/* Written so that NaN fails, too. */
	if (json == NULL)
		return;
	if (!cJSON_IsNumber(json) || !(json->valuedouble >= 0 && json->valuedouble <= UINT32_MAX) ||
	    (double)(uint32_t)json->valuedouble < json->valuedouble)
		weir_config_wrong(reading, name, "must be a whole number");
	else
		*out_value = (uint32_t)json->valuedouble;
}

void weir_config_duration(struct weir_config_reading *reading, const char *name, uint32_t *out_ms)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(reading->json, name);
	struct weir_model_error wrong;
	char text[32];

	if (item == NULL)
		return;
	if (!cJSON_IsNumber(item) && !cJSON_IsString(item)) {
		weir_config_wrong(reading, name, "must be a duration: 250ms, 5s, 2m");
		return;
	}
	/* A plain number means seconds. */
	(void)snprintf(text, sizeof(text), "%.10g", item->valuedouble); /* fits */
	if (weir_model_duration_parse(cJSON_IsString(item) ? item->valuestring : text, out_ms, &wrong) != 0)
		weir_config_wrong(reading, name, "%s", wrong.reason);
}

bool weir_config_in_space(struct weir_config_reading *reading, const char *member, const char *space)
{
	if (reading->space[0] == '\0' || strcmp(reading->space, space) == 0)
		return true;
	weir_config_wrong(reading, member, "is of the namespace %s, but the document is of %s only", space,
			  reading->space);
	return false;
}

void weir_config_keep(struct weir_config_reading *reading, enum weir_config_section section, char *key,
		      cJSON *json)
{
	if (!weir_config_add(&reading->config->section[section], key, json, reading->number))
		weir_config_wrong(reading, "", "there is not enough memory for it");
}

void weir_config_route_read(struct weir_config_reading *reading)
{
	static const char *const members[] = {"route", "host", "function", "timeout", "auth", NULL};
	char auth[16] = "";
	char text[ROUTE_TEXT_MAX] = "";
	char host[WEIR_MODEL_HOST_BYTES_MAX + 2] = "";
	char function[NAME_TEXT_MAX] = "";
	struct weir_model_route route = {.timeout_ms = 0};
	struct weir_model_error wrong;

	if (!weir_config_members(reading, "", reading->json, members))
		return;
	weir_config_duration(reading, "timeout", &route.timeout_ms);
	if (weir_config_text(reading, "route", text, sizeof(text)) &&
	    weir_model_route_parse(text, &route, &wrong) != 0)
		weir_config_wrong(reading, "route", "%s %s", wrong.field, wrong.reason);
	if (weir_config_text(reading, "host", host, sizeof(host)) &&
	    weir_model_host_parse(host, route.host, &wrong) != 0)
		weir_config_wrong(reading, "host", "%s", wrong.reason);
	if (weir_config_text(reading, "auth", auth, sizeof(auth)) &&
	    weir_model_auth_parse(auth, &route.auth, &wrong) != 0)
		weir_config_wrong(reading, "auth", "%s", wrong.reason);
	if (!cJSON_HasObjectItem(reading->json, "function"))
		weir_config_wrong(reading, "function", "is missing: which one shall it call?");
	else if (weir_config_text(reading, "function", function, sizeof(function)) &&
		 weir_model_name_parse(function, route.space, route.name, &wrong) != 0)
		weir_config_wrong(reading, "function", "%s %s", wrong.field, wrong.reason);
	if (weir_config_is_sound(reading) && weir_config_in_space(reading, "function", route.space) &&
	    (weir_model_route_check(&route, &wrong) != 0 || weir_builtin_route_check(&route, &wrong) != 0))
		weir_config_wrong(reading, wrong.field, "%s", wrong.reason);
	if (weir_config_is_sound(reading))
		weir_config_keep(reading, WEIR_CONFIG_ROUTES, weir_config_route_key(&route),
				 weir_config_route_json(&route));
}

/* "NAMESPACE/RUNTIME[/FUNCTION][:CPUxMEMORY]", or "*". It need not be there yet. */
static bool pool_name_sound(const char *text, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	char runtime[WEIR_MODEL_RUNTIME_BYTES_MAX + 2] = "";
	char name[NAME_TEXT_MAX + 2] = "";
	char checked[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char spec[32] = "";
	unsigned cpu = 0;
	unsigned memory = 0;
	struct weir_model_error wrong;
	const size_t space_bytes = strcspn(text, "/");
	const char *at = text + space_bytes;
	size_t bytes = 0;

	if (strcmp(text, "*") == 0)
		return true;
	if (*at != '/' || space_bytes > WEIR_MODEL_NAME_BYTES_MAX)
		return false;
	bytes = strcspn(++at, "/:");
	(void)snprintf(runtime, sizeof(runtime), "%.*s", (int)bytes, at); /* cut: unknown */
	at += bytes;
	bytes = *at == '/' ? strcspn(at + 1, ":") : 0;
	(void)snprintf(name, sizeof(name), "%.*s/%.*s", (int)space_bytes, text, *at == '/' ? (int)bytes : 1,
		       *at == '/' ? at + 1 : "x"); /* cut: too long */
	at += *at == '/' ? bytes + 1 : 0;
	if (weir_model_runtime_check(runtime, &wrong) != 0 ||
	    weir_model_name_parse(name, out_space, checked, &wrong) != 0)
		return false;
	if (sscanf(at, ":%9ux%9u", &cpu, &memory) == 2)
		(void)snprintf(spec, sizeof(spec), ":%ux%u", cpu, memory); /* fits */
	return strcmp(at, spec) == 0; /* written as such a name is */
}

void weir_config_pool_read(struct weir_config_reading *reading)
{
	const char *members[32] = {"pool"};
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1] = "";
	char name[WEIR_PUBLISH_POOL_NAME_BYTES] = "";
	const struct weir_pool_setting *setting = NULL;
	struct weir_model_error wrong;
	cJSON *json = cJSON_CreateObject();
	bool is_text = false;

	for (size_t i = 0; (setting = weir_pool_setting_at(i)) != NULL; i++)
		members[i + 1] = setting->name;
	if (!weir_config_members(reading, "", reading->json, members)) {
		cJSON_Delete(json);
		return;
	}
	is_text = weir_config_text(reading, "pool", name, sizeof(name));
	if (is_text && !pool_name_sound(name, space))
		weir_config_wrong(reading, "pool",
				  "is no pool's name: NAMESPACE/RUNTIME[/FUNCTION][:CPUxMEMORY], or *");
	else if (is_text)
		(void)weir_config_in_space(reading, "pool", strcmp(name, "*") == 0 ? "*" : space);
	(void)cJSON_AddStringToObject(json, "pool", name); /* without memory the next one fails */
	for (size_t i = 0; (setting = weir_pool_setting_at(i)) != NULL; i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(reading->json, setting->name);
		uint32_t value = 0;

		if (item == NULL)
			continue;
		if (weir_pool_setting_read(setting, item, &value, &wrong) != 0)
			weir_config_wrong(reading, setting->name, "%s", wrong.reason);
		else if (!cJSON_AddItemToObject(json, setting->name, weir_pool_setting_json(setting, value)))
			weir_config_wrong(reading, setting->name, "there is not enough memory for it");
	}
	/* Nothing is set: as if it were not there. */
	if (weir_config_is_sound(reading) && cJSON_GetArraySize(json) > 1)
		weir_config_keep(reading, WEIR_CONFIG_POOLS, strdup(name), json);
	else
		cJSON_Delete(json);
}

void weir_config_image_read(struct weir_config_reading *reading)
{
	static const char *const members[] = {"image", "function", NULL};
	struct weir_model_alias alias = {.image = ""};
	char function[NAME_TEXT_MAX] = "";
	struct weir_model_error wrong;

	if (!weir_config_members(reading, "", reading->json, members))
		return;
	if (reading->space[0] != '\0')
		weir_config_wrong(reading, "", "belongs to no namespace, but the document is of %s only", reading->space);
	if (weir_config_text(reading, "image", alias.image, sizeof(alias.image)) &&
	    weir_model_image_check(alias.image, &wrong) != 0)
		weir_config_wrong(reading, "image", "%s", wrong.reason);
	if (weir_config_text(reading, "function", function, sizeof(function)) &&
	    weir_model_name_parse(function, alias.space, alias.name, &wrong) != 0)
		weir_config_wrong(reading, "function", "%s %s", wrong.field, wrong.reason);
	if (weir_config_is_sound(reading))
		weir_config_keep(reading, WEIR_CONFIG_IMAGES, strdup(alias.image), weir_config_image_json(&alias));
}

static void json_text_release(char **text)
{
	cJSON_free(*text);
}

void weir_config_row_read(struct weir_config_reading *reading)
{
	static const char *const members[] = {"key", "value", NULL};
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(reading->json, "value");
	char key[WEIR_MODEL_PATTERN_BYTES_MAX + 16] = "";
	struct weir_model_function function;
	struct weir_model_route route;
	struct weir_model_error wrong;

	if (!weir_config_members(reading, "", reading->json, members) ||
	    !weir_config_in_space(reading, "", "default"))
		return;
	(void)weir_config_text(reading, "key", key, sizeof(key)); /* told */
	if (!cJSON_IsObject(value))
		weir_config_wrong(reading, "value", "must have members: name, runtime, module, handler, memory, timeout");
	if (!weir_config_is_sound(reading))
		return;
	WEIR_CLEANUP(json_text_release) char *text = cJSON_PrintUnformatted(value);
	if (text == NULL) {
		weir_config_wrong(reading, "", "there is not enough memory for it");
	} else if (weir_model_row_parse(key, text, strlen(text), &function, &route, &wrong) != 0) {
		const bool is_key = strcmp(wrong.field, "k") == 0;
		char member[sizeof(wrong.field) + 8] = "key";

		if (!is_key) /* "v", "v.NAME" */
			(void)snprintf(member, sizeof(member), "value%.62s", wrong.field + 1); /* fits */
		weir_config_wrong(reading, member, "%s", wrong.reason);
	} else {
		weir_config_keep(reading, WEIR_CONFIG_ROWS, strdup(key), weir_config_row_json(key, value));
	}
}

/* Settings are one object. */
static void setting_read(struct weir_config_reading *reading)
{
	const cJSON *json = reading->json;
	const struct weir_setting *setting = weir_setting_find(json->string);
	struct weir_model_error wrong;
	uint64_t value = 0;
	char text[64];

	if (setting == NULL) {
		weir_config_wrong(reading, "", "is no setting; `ctrlctl config list` shows all");
		return;
	}
	if (cJSON_IsNumber(json) && json->valuedouble >= 0 && json->valuedouble <= 9007199254740992.0 &&
	    (double)(uint64_t)json->valuedouble >= json->valuedouble) {
		(void)snprintf(text, sizeof(text), "%.0f", json->valuedouble); /* fits */
	} else if (cJSON_IsString(json) && strlen(json->valuestring) < sizeof(text)) {
		(void)snprintf(text, sizeof(text), "%s", json->valuestring); /* fits */
	} else {
		weir_config_wrong(reading, "", "must be a whole number, or text such as 5s or 64M");
		return;
	}
	if (weir_setting_parse(setting, json->string, text, &value, &wrong) != 0)
		weir_config_wrong(reading, "", "%s", wrong.reason);
	else
		weir_config_keep(reading, WEIR_CONFIG_SETTINGS, strdup(setting->name),
				 weir_config_setting_json(setting, value));
}

static void settings_read(struct weir_config_reading *reading, const cJSON *object)
{
	if (object == NULL)
		return;
	(void)snprintf(reading->place, sizeof(reading->place), "settings"); /* fits */
	if (!cJSON_IsObject(object)) {
		weir_config_wrong(reading, "", "must be NAME: VALUE for each");
		return;
	}
	if (reading->space[0] != '\0') {
		weir_config_wrong(reading, "", "belong to no namespace, but the document is of %s only",
				  reading->space);
		return;
	}
	cJSON_ArrayForEach(reading->json, object)
	{
		reading->number++;
		reading->problems_before = reading->problems->count;
		(void)snprintf(reading->place, sizeof(reading->place), "settings.%.100s",
			       reading->json->string); /* cut is fine */
		setting_read(reading);
	}
}

typedef void item_reader(struct weir_config_reading *reading);

static void list_read(struct weir_config_reading *reading, enum weir_config_section section,
		      const cJSON *list, item_reader *read)
{
	const char *name = weir_config_section_name(section);

	if (list == NULL)
		return;
	(void)snprintf(reading->place, sizeof(reading->place), "%s", name); /* fits */
	reading->number = 0;
	if (!cJSON_IsArray(list)) {
		weir_config_wrong(reading, "", "must be a list");
		return;
	}
	cJSON_ArrayForEach(reading->json, list)
	{
		reading->problems_before = reading->problems->count;
		(void)snprintf(reading->place, sizeof(reading->place), "%s[%u]", name,
			       reading->number); /* fits */
		read(reading);
		reading->number++;
	}
}

/* The same thing twice. */
static void twice_look(struct weir_config_reading *reading)
{
	for (size_t i = 0; i < WEIR_CONFIG_SECTION_COUNT; i++) {
		const struct weir_config_list *list = &reading->config->section[i];

		for (size_t k = 1; k < list->count; k++) {
			const enum weir_config_section section = (enum weir_config_section)i;
			const struct weir_config_item *item = &list->item[k];
			char other[WEIR_CONFIG_PLACE_BYTES];

			if (strcmp(item->key, item[-1].key) != 0)
				continue;
			(void)weir_config_item_place(section, item, reading->place);
			weir_config_wrong(reading, "", "is the same %s as %s", weir_config_kind_name(section),
					  weir_config_item_place(section, item - 1, other));
		}
	}
}

/* Values that no function of the document takes. */
static void secrets_look(struct weir_config_reading *reading)
{
	const cJSON *values = NULL;

	cJSON_ArrayForEach(values, reading->secrets)
	{
		const struct weir_config_item *item =
			weir_config_find(&reading->config->section[WEIR_CONFIG_FUNCTIONS], values->string);

		(void)snprintf(reading->place, sizeof(reading->place), "secrets.%.130s",
			       values->string); /* cut is fine */
		if (!cJSON_IsObject(values))
			weir_config_wrong(reading, "", "must be NAME: VALUE for each");
		else if (item == NULL && reading->problems->count == 0)
			weir_config_wrong(reading, "", "the document has no function of that name");
	}
}

void weir_config_read(struct weir_api_call *call, const cJSON *document, const cJSON *secrets,
		      struct weir_config *config, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1],
		      struct weir_config_problems *problems)
{
	static const char *const members[] = {"weir",	  "namespace", "functions", "routes",
					      "settings", "pools",     "images",    "rows", NULL};
	struct weir_config_reading reading = {
		.call = call, .config = config, .problems = problems, .space = out_space, .secrets = secrets, .json = document};
	struct weir_model_error wrong;
	uint32_t format = 0;

	out_space[0] = '\0';
	if (!weir_config_members(&reading, "", document, members))
		return;
	weir_config_number(&reading, "weir", cJSON_GetObjectItemCaseSensitive(document, "weir"), &format);
	if (weir_config_is_sound(&reading) && format != WEIR_CONFIG_FORMAT)
		weir_config_wrong(&reading, "weir", "must be %d: the format of this document", WEIR_CONFIG_FORMAT);
	if (weir_config_text(&reading, "namespace", out_space, WEIR_MODEL_NAME_BYTES_MAX + 1) &&
	    cJSON_HasObjectItem(document, "namespace") && weir_model_space_check(out_space, &wrong) != 0)
		weir_config_wrong(&reading, "namespace", "%s", wrong.reason);
	list_read(&reading, WEIR_CONFIG_FUNCTIONS, cJSON_GetObjectItemCaseSensitive(document, "functions"),
		  weir_config_function_read);
	list_read(&reading, WEIR_CONFIG_ROUTES, cJSON_GetObjectItemCaseSensitive(document, "routes"),
		  weir_config_route_read);
	settings_read(&reading, cJSON_GetObjectItemCaseSensitive(document, "settings"));
	list_read(&reading, WEIR_CONFIG_POOLS, cJSON_GetObjectItemCaseSensitive(document, "pools"),
		  weir_config_pool_read);
	list_read(&reading, WEIR_CONFIG_IMAGES, cJSON_GetObjectItemCaseSensitive(document, "images"),
		  weir_config_image_read);
	list_read(&reading, WEIR_CONFIG_ROWS, cJSON_GetObjectItemCaseSensitive(document, "rows"),
		  weir_config_row_read);
	weir_config_sort(config);
	twice_look(&reading);
	secrets_look(&reading);
}
