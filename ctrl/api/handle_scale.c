#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/pool_setting.h"

/* How many functions run in that pool. */
static uint32_t pool_functions(const struct weir_snapshot *snapshot, uint32_t pool)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < snapshot->function_count; i++) {
		const struct weir_snapshot_function *const function = &snapshot->functions[i];

		for (uint32_t k = 0; k < function->spec_count; k++)
			count += snapshot->specs[function->spec_first + k].pool == pool;
	}
	return count;
}

static cJSON *pool_json(const struct weir_snapshot *snapshot, uint32_t index)
{
	const struct weir_snapshot_pool *const pool = &snapshot->pools[index];
	cJSON *const json = cJSON_CreateObject();
	char name[WEIR_PUBLISH_POOL_NAME_BYTES];

	(void)cJSON_AddStringToObject(json, "pool", weir_api_pool_name(snapshot, pool, name));
	(void)cJSON_AddNumberToObject(json, "functions", pool_functions(snapshot, index));
	(void)cJSON_AddNumberToObject(json, "workers_min", pool->workers_min);
	(void)cJSON_AddNumberToObject(json, "workers_max", pool->workers_max);
	return json;
}

void weir_api_function_pools_add(const struct weir_api_call *call, uint64_t id, cJSON *json)
{
	const struct weir_snapshot *const snapshot = call->owner->snapshot(call->owner->context);
	const struct weir_snapshot_function *const function =
		snapshot == NULL ? NULL : weir_snapshot_function_find(snapshot, id);
	cJSON *const list = cJSON_AddArrayToObject(json, "pools"); /* without memory: members lack */

	for (uint32_t i = 0; function != NULL && i < function->spec_count; i++)
		(void)cJSON_AddItemToArray(list, pool_json(snapshot, snapshot->specs[function->spec_first + i].pool));
}

/* Which of its specs is meant, as the body names it. */
struct wanted {
	uint32_t cpu_millicores;
	uint32_t memory_mb;
	bool is_named;
};

/* Its only spec, or the one that is named. NULL: there is none, or it must be named. */
static const struct weir_snapshot_spec *spec_find(const struct weir_snapshot *snapshot,
						  const struct weir_snapshot_function *function,
						  const struct wanted *wanted)
{
	const struct weir_snapshot_spec *const first = &snapshot->specs[function->spec_first];

	if (!wanted->is_named)
		return function->spec_count == 1 ? first : NULL;
	for (uint32_t i = 0; i < function->spec_count; i++) {
		if (first[i].cpu_millicores == wanted->cpu_millicores && first[i].memory_mb == wanted->memory_mb)
			return &first[i];
	}
	return NULL;
}

static void refuse_spec(struct weir_api_call *call, const struct weir_snapshot *snapshot,
			const struct weir_snapshot_function *function)
{
	char sentence[512] = "say which of its specs is meant, by cpu and memory; it has";
	size_t used = strlen(sentence);

	for (uint32_t i = 0; i < function->spec_count && used < sizeof(sentence); i++) {
		const struct weir_snapshot_spec *const spec = &snapshot->specs[function->spec_first + i];

		used += (size_t)snprintf(sentence + used, sizeof(sentence) - used, "%s cpu %u memory %u",
					 i == 0 ? "" : ",", spec->cpu_millicores, spec->memory_mb); /* cut is fine */
	}
	(void)weir_api_refuse(call, 422, "invalid", "cpu_millicores", sentence);
}

/* The name of the pool that the function runs in. False: the answer is set. */
static bool pool_find(struct weir_api_call *call, const struct wanted *wanted,
		      char out_name[WEIR_PUBLISH_POOL_NAME_BYTES])
{
	const struct weir_snapshot *const snapshot = call->owner->snapshot(call->owner->context);
	const struct weir_snapshot_function *row = NULL;
	const struct weir_snapshot_spec *spec = NULL;
	struct weir_store_error error = {{0}};
	struct weir_model_function function;
	char sentence[640];
	const int code = weir_store_function_find(call->owner->store, call->param[0], call->param[1], &function, &error);

	if (code != 0) {
		(void)weir_api_refuse_store(call, code, &error);
		return false;
	}
	row = snapshot == NULL ? NULL : weir_snapshot_function_find(snapshot, function.id);
	if (row == NULL || row->spec_count == 0) {
		(void)snprintf(sentence, sizeof(sentence), "the function has no workers here: %.*s",
			       row == NULL ? 24 : (int)row->reason.bytes, /* cut is fine */
			       row == NULL ? "it is not published yet" : snapshot->strings + row->reason.offset);
		(void)weir_api_refuse(call, 409, "no_pool", NULL, sentence);
		return false;
	}
	spec = spec_find(snapshot, row, wanted);
	if (spec == NULL) {
		refuse_spec(call, snapshot, row);
		return false;
	}
	(void)weir_api_pool_name(snapshot, &snapshot->pools[spec->pool], out_name);
	return true;
}

/* The bounds that the body names. False: the answer is set. */
static bool bounds_read(struct weir_api_call *call, struct weir_store_pool_setting changes[2])
{
	for (size_t i = 0; i < 2; i++) {
		const struct weir_pool_setting *const setting = weir_pool_setting_find(changes[i].name);
		char sentence[96];

		changes[i].value = WEIR_PUBLISH_WORKERS_UNSET;
		if (!weir_api_body_number(call, setting->name, &changes[i].value))
			return false;
		(void)snprintf(sentence, sizeof(sentence), "%s is a number from %u to %u", setting->name, setting->min,
			       setting->max); /* fits */
		if (changes[i].value < setting->min || changes[i].value > setting->max) {
			(void)weir_api_refuse(call, 422, "invalid", setting->name, sentence);
			return false;
		}
	}
	return true;
}

/* {"workers_min": 2, "workers_max": 8}, or {"reset": true}; of a function with several specs with
 * "cpu_millicores" and "memory_mb" of one of them. */
enum weir_api_result weir_api_function_scale(struct weir_api_call *call)
{
	const bool reset = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "reset"));
	struct weir_store_pool_setting changes[] = {{.name = "workers_min", .is_unset = reset},
						    {.name = "workers_max", .is_unset = reset}};
	struct wanted wanted = {.is_named = cJSON_HasObjectItem(call->body, "cpu_millicores") ||
					    cJSON_HasObjectItem(call->body, "memory_mb")};
	char name[WEIR_PUBLISH_POOL_NAME_BYTES];
	enum weir_api_result result;

	if (!weir_api_body_number(call, "cpu_millicores", &wanted.cpu_millicores) ||
	    !weir_api_body_number(call, "memory_mb", &wanted.memory_mb) || (!reset && !bounds_read(call, changes)) ||
	    !pool_find(call, &wanted, name))
		return WEIR_API_DONE;
	result = weir_api_pool_put(call, name, false, changes, 2);
	if (result == WEIR_API_WAIT) {
		call->answer = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(call->answer, "pool", name); /* without memory: it lacks */
	}
	return result;
}
