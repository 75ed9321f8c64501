#include "ctrl/api/pool_setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"

enum { ROOM_FIRST = 8, DECIMALS = 3 };

static const struct weir_pool_setting settings[] = {
	{"policy", WEIR_POOL_SETTING_POLICY, WEIR_POLICY_COUNT - 1, "how a worker is chosen"},
	{"alpha", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_MAX, "weight of CPU time and waiting for it"},
	{"beta", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_MAX, "weight of memory"},
	{"gamma", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_MAX, "weight of reading and writing"},
	{"delta", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_MAX, "weight of calls in flight"},
	{"epsilon", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_MAX, "weight of being on another NUMA node"},
	{"ema", WEIR_POOL_SETTING_WEIGHT, WEIR_WEIGHT_EMA_MAX, "part of the old value in the moving averages"},
	{"one_task", WEIR_POOL_SETTING_SWITCH, 1, "a worker takes a call only while it has none"},
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

/* The weight that a setting is. */
static uint16_t *weight_of(struct weir_publish_pool *pool, const struct weir_pool_setting *setting)
{
	struct weir_weights *weights = &pool->weights;
	const struct {
		const char *name;
		uint16_t *weight;
	} table[] = {
		{"alpha", &weights->alpha}, {"beta", &weights->beta},       {"gamma", &weights->gamma},
		{"delta", &weights->delta}, {"epsilon", &weights->epsilon}, {"ema", &weights->ema},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, setting->name) == 0)
			return table[i].weight;
	}
	WEIR_ASSERT(!"every weight of the table has a place");
}

uint32_t weir_pool_setting_get(const struct weir_publish_pool *pool, const struct weir_pool_setting *setting)
{
	struct weir_publish_pool copy = *pool;

	switch (setting->kind) {
	case WEIR_POOL_SETTING_POLICY:
		return pool->policy;
	case WEIR_POOL_SETTING_SWITCH:
		return pool->one_task;
	case WEIR_POOL_SETTING_WEIGHT:
		break;
	}
	return *weight_of(&copy, setting);
}

void weir_pool_setting_put(struct weir_publish_pool *pool, const struct weir_pool_setting *setting,
			   uint32_t value)
{
	WEIR_ASSERT(value <= setting->max);
	switch (setting->kind) {
	case WEIR_POOL_SETTING_POLICY:
		pool->policy = value;
		break;
	case WEIR_POOL_SETTING_SWITCH:
		pool->one_task = value != 0;
		break;
	case WEIR_POOL_SETTING_WEIGHT:
		*weight_of(pool, setting) = (uint16_t)value;
		break;
	}
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

/* "1", ".5", "0.25" in thousandths. False: something else. */
static bool decimal_parse(const char *text, uint32_t *out_value)
{
	uint32_t value = 0;
	int digits = 0;
	int decimals = -1; /* before the point */

	for (; *text != '\0'; text++) {
		if (*text == '.' && decimals == -1) {
			decimals = 0;
			continue;
		}
		if (*text < '0' || *text > '9' || decimals == DECIMALS || value > WEIR_WEIGHT_MAX)
			return false;
		value = value * 10 + (uint32_t)(*text - '0');
		digits++;
		decimals += decimals >= 0;
	}
	for (decimals = decimals < 0 ? 0 : decimals; decimals < DECIMALS; decimals++)
		value *= 10;
	*out_value = value;
	return digits > 0;
}

int weir_pool_setting_parse(const struct weir_pool_setting *setting, const char *text, uint32_t *out_value,
			    struct weir_model_error *error)
{
	char wants[80];
	uint32_t value = 0;

	switch (setting->kind) {
	case WEIR_POOL_SETTING_POLICY:
		return policy_parse(setting, text, out_value, error);
	case WEIR_POOL_SETTING_SWITCH:
		if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
			return fail(setting, "is on or off", text, error);
		*out_value = strcmp(text, "on") == 0;
		return 0;
	case WEIR_POOL_SETTING_WEIGHT:
		break;
	}
	(void)snprintf(wants, sizeof(wants), "is a number from 0 to %g with up to three decimals",
		       (double)setting->max / WEIR_WEIGHT_ONE); /* fits */
	if (!decimal_parse(text, &value) || value > setting->max)
		return fail(setting, wants, text, error);
	*out_value = value;
	return 0;
}

/* Lists */

static int compare(const void *name, const void *pool)
{
	return strcmp(name, ((const struct weir_publish_pool *)pool)->name);
}

struct weir_publish_pool weir_pool_settings_of(const struct weir_pool_list *list, const char *name)
{
	const struct weir_publish_pool *found = NULL;
	struct weir_publish_pool pool = {.policy = WEIR_POLICY_SCORE, .weights = WEIR_WEIGHTS_DEFAULT};

	if (list->count > 0) {
		found = bsearch(name, list->pool, list->count, sizeof(*found), compare);
		if (found == NULL)
			found = bsearch("*", list->pool, list->count, sizeof(*found), compare);
	}
	if (found != NULL)
		pool = *found;
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

	if (setting == NULL || value > setting->max || strlen(name) >= sizeof(pool->name))
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
