#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/pool_setting.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum { SETTINGS_MAX = 16 };

/* Which settings of a pool are its own, as a JSON object that grows. */
struct own {
	const char *pool;
	cJSON *names;
};

static int own_visit(void *context, const char *pool, const char *name, uint32_t value)
{
	const struct own *own = context;

	(void)value;
	if (strcmp(pool, own->pool) != 0 || weir_pool_setting_find(name) == NULL)
		return 0;
	return cJSON_AddItemToArray(own->names, cJSON_CreateString(name)) ? 0 : -ENOMEM;
}

static void value_add(cJSON *json, const struct weir_publish_pool *pool, const struct weir_pool_setting *setting)
{
	const uint32_t value = weir_pool_setting_get(pool, setting);

	if (value == WEIR_PUBLISH_WORKERS_UNSET) {
		(void)cJSON_AddNullToObject(json, setting->name);
		return;
	}
	(void)cJSON_AddItemToObject(json, setting->name,
				    weir_pool_setting_json(setting, value)); /* without memory: it lacks */
}

/* `row`: NULL for the pool "*". */
static cJSON *pool_json(const struct weir_api_call *call, struct weir_publish_pool *pool,
			const struct weir_snapshot_pool *row)
{
	struct weir_store_error error = {{0}};
	const struct weir_pool_setting *setting = NULL;
	cJSON *json = cJSON_CreateObject();
	struct own own = {.pool = pool->name};

	(void)cJSON_AddStringToObject(json, "pool", pool->name);
	if (row != NULL) { /* set or not, these hold */
		pool->workers_min = row->workers_min;
		pool->workers_max = row->workers_max;
		(void)cJSON_AddBoolToObject(json, "has_spec", (row->flags & WEIR_SNAPSHOT_POOL_SPEC) != 0);
		(void)cJSON_AddNumberToObject(json, "memory_mb", (double)(row->memory_bytes >> 20));
		(void)cJSON_AddNumberToObject(json, "cpu_millicores", row->cpu_millicores); /* 0: no limit */
	}
	for (size_t i = 0; (setting = weir_pool_setting_at(i)) != NULL; i++)
		value_add(json, pool, setting);
	own.names = cJSON_AddArrayToObject(json, "set");
	(void)weir_store_pool_each(call->owner->store, own_visit, &own, &error); /* or names lack */
	return json;
}

const char *weir_api_pool_name(const struct weir_snapshot *snapshot, const struct weir_snapshot_pool *row,
			       char out[WEIR_PUBLISH_POOL_NAME_BYTES])
{
	const bool has_spec = (row->flags & WEIR_SNAPSHOT_POOL_SPEC) != 0;

	return weir_publish_pool_name(weir_snapshot_span(snapshot, row->space), row->runtime,
				      weir_snapshot_span(snapshot, row->function), row->cpu_millicores,
				      has_spec ? (uint32_t)(row->memory_bytes >> 20) : 0, out);
}

/* The published pool of that name, or NULL. */
static const struct weir_snapshot_pool *row_find(const struct weir_snapshot *snapshot, const char *name)
{
	char other[WEIR_PUBLISH_POOL_NAME_BYTES];

	for (uint32_t i = 0; snapshot != NULL && i < snapshot->pool_count; i++) {
		if (strcmp(weir_api_pool_name(snapshot, &snapshot->pools[i], other), name) == 0)
			return &snapshot->pools[i];
	}
	return NULL;
}

/* Is there such a pool? Else the answer is set. */
static bool pool_known(struct weir_api_call *call, const char *name)
{
	char sentence[WEIR_PUBLISH_POOL_NAME_BYTES + 160];

	if (strcmp(name, "*") == 0 || row_find(call->owner->snapshot(call->owner->context), name) != NULL)
		return true;
	(void)snprintf(sentence, sizeof(sentence),
		       "there is no pool '%.144s'; `ctrlctl pool list` shows all: NAMESPACE/RUNTIME, "
		       "NAMESPACE/RUNTIME/FUNCTION, or * for all of them",
		       name);
	(void)weir_api_refuse(call, 404, "not_found", NULL, sentence);
	return false;
}

static void list_add(const struct weir_api_call *call, const struct weir_pool_list *settings, cJSON *list)
{
	const struct weir_snapshot *snapshot = call->owner->snapshot(call->owner->context);
	struct weir_publish_pool pool = weir_pool_settings_of(settings, "*");
	char name[WEIR_PUBLISH_POOL_NAME_BYTES];

	(void)cJSON_AddItemToArray(list, pool_json(call, &pool, NULL));
	for (uint32_t i = 0; snapshot != NULL && i < snapshot->pool_count; i++) {
		pool = weir_pool_settings_of(settings, weir_api_pool_name(snapshot, &snapshot->pools[i], name));
		(void)cJSON_AddItemToArray(list, pool_json(call, &pool, &snapshot->pools[i]));
	}
}

enum weir_api_result weir_api_pool_list(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_pool_settings_release) struct weir_pool_list settings = {.count = 0};
	struct weir_store_error error = {{0}};
	char name[WEIR_PUBLISH_POOL_NAME_BYTES] = "";
	const bool is_one = weir_api_query(call, "pool", name, sizeof(name));
	struct weir_publish_pool pool;
	int code = 0;

	if (is_one && !pool_known(call, name))
		return WEIR_API_DONE;
	code = weir_pool_settings_load(call->owner->store, &settings, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	if (is_one) {
		pool = weir_pool_settings_of(&settings, name);
		call->answer = pool_json(call, &pool, row_find(call->owner->snapshot(call->owner->context), name));
	} else {
		call->answer = cJSON_CreateObject();
		list_add(call, &settings, cJSON_AddArrayToObject(call->answer, "pools"));
	}
	call->status = 200;
	return WEIR_API_DONE;
}

/* The settings that the body changes. -1: the answer is set. */
static int changes_read(struct weir_api_call *call, struct weir_store_pool_setting changes[SETTINGS_MAX])
{
	const struct weir_pool_setting *setting = NULL;
	struct weir_model_error wrong;
	int count = 0;

	for (size_t i = 0; (setting = weir_pool_setting_at(i)) != NULL; i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, setting->name);
		struct weir_store_pool_setting change = {.name = setting->name, .is_unset = cJSON_IsNull(item)};

		if (item == NULL)
			continue;
		if (!change.is_unset && weir_pool_setting_read(setting, item, &change.value, &wrong) != 0) {
			(void)weir_api_refuse_field(call, &wrong);
			return -1;
		}
		changes[count++] = change;
	}
	return count;
}

/* A minimum above the maximum helps nobody. 0; 1: the answer is set; or store.h. */
static int bounds_check(struct weir_api_call *call, const char *name, bool reset,
			const struct weir_store_pool_setting *changes, int count, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_pool_settings_release) struct weir_pool_list list = {.count = 0};
	struct weir_publish_pool pool, other;
	char sentence[160];
	const int code = weir_pool_settings_load(call->owner->store, &list, error);

	if (code != 0)
		return code;
	other = weir_publish_pool_inherited(list.pool, list.count, name);
	pool = reset ? other : weir_pool_settings_of(&list, name);
	for (int i = 0; i < count; i++) {
		const struct weir_pool_setting *const setting = weir_pool_setting_find(changes[i].name);

		weir_pool_setting_put(&pool, setting,
				      changes[i].is_unset ? weir_pool_setting_get(&other, setting) : changes[i].value);
	}
	if (pool.workers_min == WEIR_PUBLISH_WORKERS_UNSET || pool.workers_min <= pool.workers_max)
		return 0;
	(void)snprintf(sentence, sizeof(sentence), "workers_min would be %u, which is larger than workers_max, %u",
		       pool.workers_min, pool.workers_max); /* fits */
	(void)weir_api_refuse(call, 422, "invalid", "workers_min", sentence);
	return 1;
}

enum weir_api_result weir_api_pool_put(struct weir_api_call *call, const char *name, bool reset,
				       const struct weir_store_pool_setting *changes, int count)
{
	struct weir_store_error error = {{0}};
	int code = bounds_check(call, name, reset, changes, count, &error);

	if (code == 1)
		return WEIR_API_DONE;
	if (code == 0)
		code = weir_store_pool_change(call->owner->store, name, reset, changes, (size_t)count, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 200);
}

enum weir_api_result weir_api_pool_change(struct weir_api_call *call)
{
	struct weir_store_pool_setting changes[SETTINGS_MAX];
	char name[WEIR_PUBLISH_POOL_NAME_BYTES] = "";
	int count = 0;

	if (!weir_api_body_text(call, "pool", name, sizeof(name)) || !pool_known(call, name))
		return WEIR_API_DONE;
	count = changes_read(call, changes);
	if (count < 0)
		return WEIR_API_DONE;
	return weir_api_pool_put(call, name, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "reset")),
				 changes, count);
}
