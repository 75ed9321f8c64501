/* spike_list: what Pixels-Spike's clients may look up: functions, and the replicas of one. */
#include <errno.h>
#include <string.h>

#include "ctrl/dialect/spike_message.h"

static double number_of(const cJSON *json, const char *name)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* {"functionName","imageUrl","resources"} of what the API tells. NULL: no memory. */
static cJSON *function_json(const cJSON *function)
{
	const char *const image = weir_dialect_text(function, "image");
	cJSON *const json = cJSON_CreateObject();
	cJSON *resources = NULL;
	const cJSON *spec = NULL;

	(void)cJSON_AddStringToObject(json, "functionName", weir_dialect_text(function, "name")); /* or members lack */
	(void)cJSON_AddStringToObject(json, "imageUrl", image == NULL ? "" : image);
	resources = cJSON_AddArrayToObject(json, "resources");
	cJSON_ArrayForEach(spec, cJSON_GetObjectItemCaseSensitive(function, "specs"))
	{
		cJSON *const resource = cJSON_CreateObject();

		(void)cJSON_AddNumberToObject(resource, "cpu", number_of(spec, "cpu_millicores"));
		(void)cJSON_AddNumberToObject(resource, "memory", number_of(spec, "memory_mb"));
		(void)cJSON_AddNumberToObject(resource, "minReplica", number_of(spec, "min"));
		(void)cJSON_AddNumberToObject(resource, "maxReplica", number_of(spec, "max"));
		(void)cJSON_AddItemToArray(resources, resource);
	}
	return json;
}

int weir_spike_get_all_functions(struct weir_dialect_call *call, cJSON **body)
{
	const struct weir_dialect_order wanted = {.method = "GET", .target = "/weir/functions"};
	const cJSON *function = NULL;
	struct weir_dialect_verdict verdict;
	cJSON *json = NULL;
	cJSON *functions = NULL;
	const int code = call->ops->manage(call, &wanted, &verdict);

	(void)body;
	if (code != 0)
		return code;
	if (verdict.status != 200)
		return weir_spike_refused(call, &verdict);
	json = cJSON_CreateObject();
	functions = cJSON_AddArrayToObject(json, "functions");
	cJSON_ArrayForEach(function, cJSON_GetObjectItemCaseSensitive(verdict.json, "functions"))
	{
		const char *const space = weir_dialect_text(function, "namespace");

		if (space != NULL && strcmp(space, WEIR_SPIKE_SPACE) == 0)
			(void)cJSON_AddItemToArray(functions, function_json(function)); /* or it lacks */
	}
	weir_dialect_verdict_release(&verdict);
	return weir_dialect_reply_json(call, 200, json);
}

/* A worker's state as ECS calls it, and what is wanted of it. */
static const struct {
	const char *state;
	const char *last;
	const char *desired;
} statuses[] = {
	{"starting", "PENDING", "RUNNING"},
	{"ready", "RUNNING", "RUNNING"},
	{"draining", "DEACTIVATING", "STOPPED"},
	{"backoff", "PROVISIONING", "RUNNING"}, /* it is to be started */
};

/* All replicas run on this machine, under whatever address it is asked. */
static void replica_add(cJSON *list, const cJSON *of, const char *last, const char *desired)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "ipv4", "127.0.0.1"); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "cpu", number_of(of, "cpu_millicores"));
	(void)cJSON_AddNumberToObject(json, "memory", number_of(of, "memory_mb"));
	(void)cJSON_AddStringToObject(json, "launchType", "EC2");
	(void)cJSON_AddStringToObject(json, "lastStatus", last);
	(void)cJSON_AddStringToObject(json, "desiredStatus", desired);
	(void)cJSON_AddItemToArray(list, json);
}

static void workers_add(cJSON *list, const cJSON *workers)
{
	const cJSON *worker = NULL;

	cJSON_ArrayForEach(worker, workers)
	{
		const char *const state = weir_dialect_text(worker, "state");

		for (size_t i = 0; state != NULL && i < sizeof(statuses) / sizeof(statuses[0]); i++) {
			if (strcmp(state, statuses[i].state) == 0)
				replica_add(list, worker, statuses[i].last, statuses[i].desired);
		}
	}
}

/* Of a function whose image stands for nothing yet: those that there will be in any case. */
static void missing_add(cJSON *list, const cJSON *specs)
{
	const cJSON *spec = NULL;

	cJSON_ArrayForEach(spec, specs)
	{
		for (double i = 0; i < number_of(spec, "min"); i++)
			replica_add(list, spec, "NOT_CREATED", "RUNNING");
	}
}

int weir_spike_get_function_resources(struct weir_dialect_call *call, cJSON **body)
{
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_dialect_verdict function;
	struct weir_dialect_verdict workers;
	cJSON *json = NULL;
	cJSON *list = NULL;
	int code = 0;

	(void)body;
	if (!weir_dialect_name(call->ops->param(call, "function_name"), name))
		return weir_spike_name_wrong(call);
	code = weir_spike_ask(call, "GET", WEIR_SPIKE_FUNCTION, name, NULL, &function);
	if (code != 0)
		return code;
	if (function.status != 200)
		return weir_spike_refused(call, &function);
	code = weir_spike_ask(call, "GET", WEIR_SPIKE_FUNCTION "/workers", name, NULL, &workers);
	if (code == 0 && workers.status != 200)
		code = weir_spike_refused(call, &workers);
	else if (code == 0) {
		json = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(json, "functionName", name); /* or members lack */
		list = cJSON_AddArrayToObject(json, "resources");
		workers_add(list, cJSON_GetObjectItemCaseSensitive(workers.json, "workers"));
		if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(function.json, "pools")) == 0)
			missing_add(list, cJSON_GetObjectItemCaseSensitive(function.json, "specs"));
		weir_dialect_verdict_release(&workers);
		code = weir_dialect_reply_json(call, 200, json);
	}
	weir_dialect_verdict_release(&function);
	return code;
}
