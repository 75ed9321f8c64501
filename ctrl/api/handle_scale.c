#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/pool_setting.h"
#include "dataplane/base/cleanup.h"

enum { BY_MAX = 100000 };

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

/* The pool that a function runs in, and what holds for its size. */
struct scaled {
	char name[WEIR_PUBLISH_POOL_NAME_BYTES];
	uint32_t workers_min; /* now */
	uint32_t workers_max;
	uint32_t spec_min; /* as the function's spec says */
	uint32_t spec_max;
};

/* False: the answer is set. */
static bool pool_find(struct weir_api_call *call, const struct wanted *wanted, struct scaled *out_pool)
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
	*out_pool = (struct scaled){
		.workers_min = snapshot->pools[spec->pool].workers_min,
		.workers_max = snapshot->pools[spec->pool].workers_max,
		.spec_min = spec->workers_min,
		.spec_max = spec->workers_max,
	};
	(void)weir_api_pool_name(snapshot, &snapshot->pools[spec->pool], out_pool->name);
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

/* How many more workers, or fewer, the body asks for. False: the answer is set. */
static bool by_read(struct weir_api_call *call, int32_t *out_by)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(call->body, "by");
	const double value = cJSON_IsNumber(item) ? item->valuedouble : BY_MAX + 1.0;

	if (cJSON_HasObjectItem(call->body, "workers_min") || cJSON_HasObjectItem(call->body, "workers_max") ||
	    cJSON_HasObjectItem(call->body, "reset")) {
		(void)weir_api_refuse(call, 422, "invalid", "by", "by excludes workers_min, workers_max and reset");
		return false;
	}
	if (!(value >= -BY_MAX && value <= BY_MAX) || (double)(int32_t)value < value || (double)(int32_t)value > value) {
		(void)weir_api_refuse(call, 422, "invalid", "by",
				      "by is how many workers more, or fewer where it is below 0: a whole number");
		return false;
	}
	*out_by = (int32_t)value;
	return true;
}

/* So many workers more that are there in any case, within what the spec allows; where people fixed the number,
 * both bounds move. The count of changes; -1: the answer is set, *out_result is the handler's. */
static int bounds_move(struct weir_api_call *call, const struct scaled *pool, int32_t by,
		       struct weir_store_pool_setting changes[2], enum weir_api_result *out_result)
{
	WEIR_CLEANUP(weir_pool_settings_release) struct weir_pool_list list = {.count = 0};
	struct weir_store_error error = {{0}};
	const int code = weir_pool_settings_load(call->owner->store, &list, &error);
	const uint32_t set_max = code == 0 ? weir_pool_settings_of(&list, pool->name).workers_max : 0;
	const bool is_fixed = set_max != WEIR_PUBLISH_WORKERS_UNSET && pool->workers_min == pool->workers_max;
	const uint32_t bound = is_fixed ? UINT32_MAX : pool->workers_max;
	const uint32_t most = pool->spec_max < bound ? pool->spec_max : bound;
	const uint32_t least = pool->spec_min < most ? pool->spec_min : most;
	int64_t count = (int64_t)pool->workers_min + by;

	if (code != 0) {
		*out_result = weir_api_refuse_store(call, code, &error);
		return -1;
	}
	if (count > most)
		count = most;
	if (count < least)
		count = least;
	if (count == 0 && is_fixed)
		count = 1; /* with exactly none nobody would ever answer */
	changes[0].value = changes[1].value = (uint32_t)count;
	return is_fixed ? 2 : 1;
}

/* {"workers_min": 2, "workers_max": 8}, {"by": -1} or {"reset": true}; of a function with several specs with
 * "cpu_millicores" and "memory_mb" of one of them. */
enum weir_api_result weir_api_function_scale(struct weir_api_call *call)
{
	const bool reset = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "reset"));
	const bool is_by = cJSON_HasObjectItem(call->body, "by");
	struct weir_store_pool_setting changes[] = {{.name = "workers_min", .is_unset = reset},
						    {.name = "workers_max", .is_unset = reset}};
	struct wanted wanted = {.is_named = cJSON_HasObjectItem(call->body, "cpu_millicores") ||
					    cJSON_HasObjectItem(call->body, "memory_mb")};
	enum weir_api_result result = WEIR_API_DONE;
	struct scaled pool;
	int32_t by = 0;
	int count = 2;

	if (!weir_api_body_number(call, "cpu_millicores", &wanted.cpu_millicores) ||
	    !weir_api_body_number(call, "memory_mb", &wanted.memory_mb) || (is_by && !by_read(call, &by)) ||
	    (!reset && !is_by && !bounds_read(call, changes)) || !pool_find(call, &wanted, &pool))
		return WEIR_API_DONE;
	if (is_by)
		count = bounds_move(call, &pool, by, changes, &result);
	if (count >= 0)
		result = weir_api_pool_put(call, pool.name, false, changes, count);
	if (result == WEIR_API_WAIT) {
		call->answer = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(call->answer, "pool", pool.name); /* without memory: it lacks */
	}
	return result;
}

static enum weir_api_result workers_refuse(struct weir_api_call *call, int code)
{
	char sentence[160];

	(void)snprintf(sentence, sizeof(sentence), "which workers there are is not known now: %s; try again",
		       code == -EAGAIN ? "it is being written" : strerror(-code)); /* fits */
	(void)weir_api_refuse(call, 503, "no_workers", NULL, sentence);
	return code == -EAGAIN ? WEIR_API_RETRY : WEIR_API_DONE;
}

enum weir_api_result weir_api_function_workers(struct weir_api_call *call)
{
	const struct weir_snapshot *const snapshot = call->owner->snapshot(call->owner->context);
	const struct weir_snapshot_function *row = NULL;
	uint64_t pools[WEIR_MODEL_SPECS_MAX] = {0};
	struct weir_store_error error = {{0}};
	struct weir_model_function function;
	cJSON *answer = NULL;
	uint32_t count = 0;
	int code = weir_store_function_find(call->owner->store, call->param[0], call->param[1], &function, &error);

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	row = snapshot == NULL ? NULL : weir_snapshot_function_find(snapshot, function.id);
	for (; row != NULL && count < row->spec_count && count < WEIR_MODEL_SPECS_MAX; count++)
		pools[count] = snapshot->pools[snapshot->specs[row->spec_first + count].pool].key;
	answer = cJSON_CreateObject();
	code = call->owner->workers(call->owner->context, pools, count, cJSON_AddArrayToObject(answer, "workers"));
	if (code != 0) {
		cJSON_Delete(answer);
		return workers_refuse(call, code);
	}
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}
