#include "ctrl/api/pool_setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"

enum { ROOM_FIRST = 8, DECIMALS = 3, VALUE_MAX = 400000 /* times 10 to the DECIMALS + 1 fits 32 bits */ };

enum { WORKERS_MAX = 400 }; /* of the setting workers_max */

static const struct weir_pool_setting settings[] = {
	{"policy", WEIR_POOL_SETTING_POLICY, 0, WEIR_POLICY_COUNT - 1, "how a worker is chosen"},
	{"alpha", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_MAX, "weight of CPU time and waiting for it"},
	{"beta", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_MAX, "weight of memory"},
	{"gamma", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_MAX, "weight of reading and writing"},
	{"delta", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_MAX, "weight of calls in flight"},
	{"epsilon", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_MAX, "weight of being on another NUMA node"},
	{"ema", WEIR_POOL_SETTING_DECIMAL, 0, WEIR_WEIGHT_EMA_MAX, "part of the old value in the moving averages"},
	{"one_task", WEIR_POOL_SETTING_SWITCH, 0, 1, "a worker takes a call only while it has none"},
	{"workers_min", WEIR_POOL_SETTING_COUNT, 0, WORKERS_MAX, "workers that are kept without requests"},
	{"workers_max", WEIR_POOL_SETTING_COUNT, 1, WORKERS_MAX, "workers at most"},
	{"scale_step", WEIR_POOL_SETTING_DECIMAL, WEIR_AUTOSCALE_STEP_MS_MIN, WEIR_AUTOSCALE_STEP_MS_MAX,
	 "seconds between two looks at the demand"},
	{"scale_samples", WEIR_POOL_SETTING_COUNT, 1, WEIR_AUTOSCALE_SAMPLES_MAX, "looks that a pool's size follows"},
	{"scale_threshold", WEIR_POOL_SETTING_DECIMAL, 1, WEIR_AUTOSCALE_THRESHOLD_MAX,
	 "part of its workers that is to be in use"},
};

const struct weir_pool_setting *weir_pool_setting_at(size_t i)
{
	return i < sizeof(settings) / sizeof(settings[0]) ? &settings[i] : NULL;
}

const struct weir_pool_setting *weir_pool_setting_find(const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

/* Where a setting's value stands, in 16 or 32 bits. */
struct place {
	const char *name;
	uint16_t *narrow;
	uint32_t *wide;
};

static struct place place_of(struct weir_publish_pool *pool, const struct weir_pool_setting *setting)
{
	const struct place table[] = {
		{"policy", NULL, &pool->policy},
		{"alpha", &pool->weights.alpha, NULL},
		{"beta", &pool->weights.beta, NULL},
		{"gamma", &pool->weights.gamma, NULL},
		{"delta", &pool->weights.delta, NULL},
		{"epsilon", &pool->weights.epsilon, NULL},
		{"ema", &pool->weights.ema, NULL},
		{"workers_min", NULL, &pool->workers_min},
		{"workers_max", NULL, &pool->workers_max},
		{"scale_step", NULL, &pool->scale.step_ms},
		{"scale_samples", &pool->scale.samples, NULL},
		{"scale_threshold", &pool->scale.threshold, NULL},
	};

	const size_t count = sizeof(table) / sizeof(table[0]);
	size_t i = 0;

	while (i < count && strcmp(table[i].name, setting->name) != 0)
		i++;
	WEIR_ASSERT(i < count); /* every setting that is a number has a place */
	return table[i];
}

uint32_t weir_pool_setting_get(const struct weir_publish_pool *pool, const struct weir_pool_setting *setting)
{
	struct weir_publish_pool copy = *pool;
	struct place place;

	if (setting->kind == WEIR_POOL_SETTING_SWITCH)
		return pool->one_task;
	place = place_of(&copy, setting);
	return place.narrow != NULL ? *place.narrow : *place.wide;
}

void weir_pool_setting_put(struct weir_publish_pool *pool, const struct weir_pool_setting *setting,
			   uint32_t value)
{
	struct place place;

	WEIR_ASSERT((value >= setting->min && value <= setting->max) || value == WEIR_PUBLISH_WORKERS_UNSET);
	if (setting->kind == WEIR_POOL_SETTING_SWITCH) {
		pool->one_task = value != 0;
		return;
	}
	place = place_of(pool, setting);
	if (place.narrow != NULL)
		*place.narrow = (uint16_t)value;
	else
		*place.wide = value;
}

/* Parsing */

static int fail(const struct weir_pool_setting *setting, const char *wants, const char *text,
		struct weir_model_error *error)
{
	(void)snprintf(error->field, sizeof(error->field), "%s", setting->name); /* cut texts are fine */
	(void)snprintf(error->reason, sizeof(error->reason), "%s, not '%.40s'", wants, text);
	return -EINVAL;
}

static int policy_parse(const struct weir_pool_setting *setting, const char *text, uint32_t *out_value,
			struct weir_model_error *error)
{
	char wants[128] = "is one of";
	size_t used = strlen(wants);

	for (uint32_t i = 0; i < WEIR_POLICY_COUNT; i++) {
		if (strcmp(weir_policy_name(i), text) == 0) {
			*out_value = i;
			return 0;
		}
		used += (size_t)snprintf(wants + used, sizeof(wants) - used, "%s %s", i == 0 ? "" : ",",
					 weir_policy_name(i)); /* fits */
	}
	return fail(setting, wants, text, error);
}

/* "1", ".5", "0.25" in thousandths, or "12" as it is where `decimals_max` is 0. False: something else. */
static bool decimal_parse(const char *text, int decimals_max, uint32_t *out_value)
{
	uint32_t value = 0;
	int digits = 0;
	int decimals = -1; /* before the point */

	for (; *text != '\0'; text++) {
		if (*text == '.' && decimals == -1 && decimals_max > 0) {
			decimals = 0;
			continue;
		}
		if (*text < '0' || *text > '9' || decimals == decimals_max || value > VALUE_MAX)
			return false;
		value = value * 10 + (uint32_t)(*text - '0');
		digits++;
		decimals += decimals >= 0;
	}
	for (decimals = decimals < 0 ? 0 : decimals; decimals < decimals_max; decimals++)
		value *= 10;
	*out_value = value;
	return digits > 0;
}

static int number_parse(const struct weir_pool_setting *setting, const char *text, uint32_t *out_value,
			struct weir_model_error *error)
{
	const bool is_count = setting->kind == WEIR_POOL_SETTING_COUNT;
	const double one = is_count ? 1 : WEIR_WEIGHT_ONE;
	char wants[80];
	uint32_t value = 0;

	(void)snprintf(wants, sizeof(wants), "is a number from %g to %g%s", (double)setting->min / one,
		       (double)setting->max / one, is_count ? "" : " with up to three decimals"); /* fits */
	if (!decimal_parse(text, is_count ? 0 : DECIMALS, &value) || value < setting->min || value > setting->max)
		return fail(setting, wants, text, error);
	*out_value = value;
	return 0;
}

int weir_pool_setting_parse(const struct weir_pool_setting *setting, const char *text, uint32_t *out_value,
			    struct weir_model_error *error)
{
	switch (setting->kind) {
	case WEIR_POOL_SETTING_POLICY:
		return policy_parse(setting, text, out_value, error);
	case WEIR_POOL_SETTING_SWITCH:
		if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
			return fail(setting, "is on or off", text, error);
		*out_value = strcmp(text, "on") == 0;
		return 0;
	case WEIR_POOL_SETTING_DECIMAL:
	case WEIR_POOL_SETTING_COUNT:
		break;
	}
	return number_parse(setting, text, out_value, error);
}

/* JSON */

cJSON *weir_pool_setting_json(const struct weir_pool_setting *setting, uint32_t value)
{
	switch (setting->kind) {
	case WEIR_POOL_SETTING_POLICY:
		return cJSON_CreateString(weir_policy_name(value));
	case WEIR_POOL_SETTING_DECIMAL:
		return cJSON_CreateNumber((double)value / WEIR_WEIGHT_ONE);
	case WEIR_POOL_SETTING_SWITCH:
		return cJSON_CreateBool(value != 0);
	case WEIR_POOL_SETTING_COUNT:
		break;
	}
	return cJSON_CreateNumber(value);
}

int weir_pool_setting_read(const struct weir_pool_setting *setting, const cJSON *json, uint32_t *out_value,
			   struct weir_model_error *error)
{
	const bool is_number = setting->kind == WEIR_POOL_SETTING_DECIMAL || setting->kind == WEIR_POOL_SETTING_COUNT;
	char text[64];

	if (cJSON_IsNumber(json) && is_number)
		(void)snprintf(text, sizeof(text), "%.10g", json->valuedouble); /* fits */
	else if (cJSON_IsBool(json) && setting->kind == WEIR_POOL_SETTING_SWITCH)
		(void)snprintf(text, sizeof(text), "%s", cJSON_IsTrue(json) ? "on" : "off");
	else if (cJSON_IsString(json) && strlen(json->valuestring) < sizeof(text))
		(void)snprintf(text, sizeof(text), "%s", json->valuestring); /* fits */
	else
		return fail(setting, is_number ? "is a number" : "is a name", "something else", error);
	return weir_pool_setting_parse(setting, text, out_value, error);
}

/* Lists */

struct weir_publish_pool weir_pool_settings_of(const struct weir_pool_list *list, const char *name)
{
	struct weir_publish_pool pool = weir_publish_pool_settings(list->pool, list->count, name);

	(void)snprintf(pool.name, sizeof(pool.name), "%s", name); /* fits: it was made so */
	return pool;
}

/* Room for one more; NULL without memory. */
static struct weir_publish_pool *add(struct weir_pool_list *list, const char *name)
{
	const size_t room = list->room == 0 ? ROOM_FIRST : 2 * list->room;

	if (list->count == list->room) {
		struct weir_publish_pool *grown = reallocarray(list->pool, room, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		list->pool = grown;
		list->room = room;
	}
	list->pool[list->count] = weir_pool_settings_of(list, name);
	return &list->pool[list->count++];
}

/* Rows come sorted by pool, "*" before all names. */
static int visit(void *context, const char *name, const char *setting_name, uint32_t value)
{
	struct weir_pool_list *list = context;
	const struct weir_pool_setting *setting = weir_pool_setting_find(setting_name);
	struct weir_publish_pool *pool = list->count == 0 ? NULL : &list->pool[list->count - 1];

	if (setting == NULL || value < setting->min || value > setting->max || strlen(name) >= sizeof(pool->name))
		return 0;
	if (pool == NULL || strcmp(pool->name, name) != 0)
		pool = add(list, name);
	if (pool == NULL)
		return -ENOMEM;
	weir_pool_setting_put(pool, setting, value);
	return 0;
}

int weir_pool_settings_load(struct weir_store *store, struct weir_pool_list *list, struct weir_store_error *error)
{
	return weir_store_pool_each(store, visit, list, error);
}

void weir_pool_settings_release(struct weir_pool_list *list)
{
	free(list->pool);
	*list = (struct weir_pool_list){.count = 0};
}
