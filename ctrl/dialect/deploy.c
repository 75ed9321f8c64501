#include <errno.h>
#include <stdio.h>

#include "ctrl/dialect/dialect.h"

/* What the deployment says beside the code; NULL without memory. */
static cJSON *order_json(const struct weir_dialect_deployment *wanted, const char *hash)
{
	cJSON *const json = cJSON_CreateObject();
	bool is_whole = cJSON_AddStringToObject(json, "code", hash) != NULL &&
			cJSON_AddStringToObject(json, "runtime", wanted->runtime) != NULL;

	if (is_whole && wanted->file != NULL)
		is_whole = cJSON_AddStringToObject(json, "entry", wanted->file) != NULL;
	if (is_whole)
		is_whole = cJSON_AddBoolToObject(json, "new", wanted->is_new) != NULL;
	if (is_whole && wanted->timeout_ms != 0)
		is_whole = cJSON_AddNumberToObject(json, "timeout_ms", wanted->timeout_ms) != NULL;
	if (is_whole && wanted->memory_mb != 0)
		is_whole = cJSON_AddNumberToObject(json, "memory_mb", wanted->memory_mb) != NULL;
	if (is_whole && wanted->is_untried)
		is_whole = cJSON_AddFalseToObject(json, "trial") != NULL;
	if (is_whole && wanted->handler != NULL)
		is_whole = cJSON_AddStringToObject(json, "handler", wanted->handler) != NULL;
	if (is_whole && wanted->parameters != NULL)
		is_whole = cJSON_AddItemToObject(json, "parameters", cJSON_Duplicate(wanted->parameters, true));
	if (is_whole && wanted->annotations != NULL)
		is_whole = cJSON_AddItemToObject(json, "annotations", cJSON_Duplicate(wanted->annotations, true));
	if (is_whole)
		return json;
	cJSON_Delete(json);
	return NULL;
}

int weir_dialect_deploy(struct weir_dialect_call *call, const struct weir_dialect_deployment *wanted,
			struct weir_dialect_verdict *out_verdict)
{
	const char *const upload_parts[] = {wanted->file};
	const char *const parts[] = {wanted->space, wanted->name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	struct weir_dialect_order order = {.method = "POST", .target = target, .body = wanted->code};
	struct weir_dialect_verdict uploaded;
	cJSON *json = NULL;
	int code = -EINVAL;

	if (weir_dialect_target(target, wanted->file == NULL ? "/weir/code" : "/weir/code?name=%s", upload_parts))
		code = call->ops->manage(call, &order, &uploaded);
	if (code != 0)
		return code;
	if (uploaded.status != 201) {
		*out_verdict = uploaded;
		return 0;
	}
	json = order_json(wanted, weir_dialect_text(uploaded.json, "code"));
	weir_dialect_verdict_release(&uploaded);
	if (json == NULL)
		return -ENOMEM;
	code = -EINVAL;
	order = (struct weir_dialect_order){.method = "POST", .target = target, .json = json};
	if (weir_dialect_target(target, "/weir/functions/%s/%s/deploy", parts))
		code = call->ops->manage(call, &order, out_verdict);
	cJSON_Delete(json);
	return code;
}
