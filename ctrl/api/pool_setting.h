/* pool_setting: the table of what people may set for one pool: name, kind, range, help. weir.db keeps
 * the changed ones as whole numbers by pool and name; this table gives them meaning. What is set for
 * the pool "*" holds for all pools that do not say otherwise.
 * Constant data, and lists of the caller's; any thread. */
#ifndef WEIR_CTRL_API_POOL_SETTING_H
#define WEIR_CTRL_API_POOL_SETTING_H

#include <cjson/cJSON.h>

#include "ctrl/publish/publish.h"
#include "ctrl/store/store.h"

enum weir_pool_setting_kind {
	WEIR_POOL_SETTING_POLICY,
	WEIR_POOL_SETTING_DECIMAL, /* thousandths; ".5" for people */
	WEIR_POOL_SETTING_COUNT,
	WEIR_POOL_SETTING_SWITCH, /* "on", "off" */
};

struct weir_pool_setting {
	const char *name;
	enum weir_pool_setting_kind kind;
	uint32_t min;
	uint32_t max;
	const char *help;
};

/* The i-th, or NULL behind the last; and by name, NULL if there is none. */
const struct weir_pool_setting *weir_pool_setting_at(size_t i);
const struct weir_pool_setting *weir_pool_setting_find(const char *name);

/* Read one value, and write one that is within its range. Numbers of workers may be unset, with
 * WEIR_PUBLISH_WORKERS_UNSET. */
uint32_t weir_pool_setting_get(const struct weir_publish_pool *pool, const struct weir_pool_setting *setting);
void weir_pool_setting_put(struct weir_publish_pool *pool, const struct weir_pool_setting *setting,
			   uint32_t value);

/* "two-choices", ".5", "on" -> the value. 0 or -EINVAL with *error. */
int weir_pool_setting_parse(const struct weir_pool_setting *setting, const char *text, uint32_t *out_value,
			    struct weir_model_error *error);

/* A value as JSON: a name, a number, true or false; and from JSON, where a number may be text and a switch
 * "on" or "off", too. NULL: no memory. 0 or -EINVAL with *error. */
cJSON *weir_pool_setting_json(const struct weir_pool_setting *setting, uint32_t value);
int weir_pool_setting_read(const struct weir_pool_setting *setting, const cJSON *json, uint32_t *out_value,
			   struct weir_model_error *error);

/* What is set for pools, sorted by name, each with the settings that hold for it. */
struct weir_pool_list {
	struct weir_publish_pool *pool;
	size_t count;
	size_t room;
};

/* Read them. The list starts zeroed and is released by the caller, after a failure too. Names that are
 * unknown and values out of range are left at their defaults. 0 or store.h. */
int weir_pool_settings_load(struct weir_store *store, struct weir_pool_list *list, struct weir_store_error *error);
void weir_pool_settings_release(struct weir_pool_list *list);

/* What holds for the pool of that name. */
struct weir_publish_pool weir_pool_settings_of(const struct weir_pool_list *list, const char *name);

#endif
