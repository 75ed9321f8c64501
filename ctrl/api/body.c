#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/model/model_json.h"

static bool body_refuse(struct weir_api_call *call, const char *name, const char *reason)
{
	struct weir_model_error wrong;

	(void)snprintf(wrong.field, sizeof(wrong.field), "%s", name); /* cut is fine */
	(void)snprintf(wrong.reason, sizeof(wrong.reason), "%s", reason);
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

bool weir_api_body_text(struct weir_api_call *call, const char *name, char *out, size_t max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, name);

	if (item == NULL)
		return true;
	if (!cJSON_IsString(item))
		return body_refuse(call, name, "must be a string");
	if (strlen(item->valuestring) >= max)
		return body_refuse(call, name, "is too long");
	(void)snprintf(out, max, "%s", item->valuestring); /* fits */
	return true;
}

bool weir_api_body_number(struct weir_api_call *call, const char *name, uint32_t *out_value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, name);

	if (item == NULL)
		return true;
	/* Written so that NaN fails too. */
	if (!cJSON_IsNumber(item) ||
	    !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX))
		return body_refuse(call, name, "must be a whole number");
	if ((double)(uint32_t)item->valuedouble < item->valuedouble)
		return body_refuse(call, name, "must be a whole number");
	*out_value = (uint32_t)item->valuedouble;
	return true;
}

/* One member of a spec: left out, or a whole number. */
static bool spec_number(struct weir_api_call *call, const cJSON *item, const char *name, uint32_t *out_value)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, name);
	const double value = number == NULL ? *out_value : number->valuedouble;

	/* Written so that NaN fails too. */
	if ((number != NULL && !cJSON_IsNumber(number)) || !(value >= 0 && value <= UINT32_MAX) ||
	    (double)(uint32_t)value < value)
		return body_refuse(call, name, "of a spec must be a whole number");
	*out_value = (uint32_t)value;
	return true;
}

static bool spec_read(struct weir_api_call *call, const cJSON *item, struct weir_model_function *function)
{
	static const char *const names[] = {"cpu_millicores", "memory_mb", "min", "max"};
	struct weir_model_spec spec = {.workers_max = WEIR_MODEL_SPEC_WORKERS_DEFAULT};
	uint32_t *const values[] = {&spec.cpu_millicores, &spec.memory_mb, &spec.workers_min, &spec.workers_max};
	struct weir_model_error wrong;
	int known = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		known += cJSON_HasObjectItem(item, names[i]) ? 1 : 0;
		if (!spec_number(call, item, names[i], values[i]))
			return false;
	}
	if (!cJSON_IsObject(item) || known != cJSON_GetArraySize(item))
		return body_refuse(call, "specs",
				   "is a list of objects with cpu_millicores, memory_mb, min and max, nothing else");
	if (!cJSON_HasObjectItem(item, "max") && spec.workers_max < spec.workers_min)
		spec.workers_max = spec.workers_min;
	if (weir_model_spec_add(function, &spec, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

bool weir_api_body_specs(struct weir_api_call *call, struct weir_model_function *function)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "specs");
	const cJSON *item = NULL;

	if (list == NULL)
		return true;
	if (!cJSON_IsArray(list))
		return body_refuse(call, "specs", "must be a list; an empty one takes all specs away");
	function->spec_count = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (!spec_read(call, item, function))
			return false;
	}
	return true;
}

/* Is it what the table says? */
static bool kind_fits(struct weir_api_call *call, const struct weir_api_member *member, const cJSON *item)
{
	uint32_t number = 0;

	switch (member->kind) {
	case WEIR_API_TEXT:
		return cJSON_IsString(item) || body_refuse(call, member->name, "must be a string");
	case WEIR_API_NUMBER:
		return weir_api_body_number(call, member->name, &number);
	case WEIR_API_SWITCH:
		return cJSON_IsBool(item) || body_refuse(call, member->name, "must be true or false");
	case WEIR_API_LIST:
		return cJSON_IsArray(item) || body_refuse(call, member->name, "must be a list, [...]");
	case WEIR_API_OBJECT:
		return cJSON_IsObject(item) || body_refuse(call, member->name, "must be an object, {...}");
	case WEIR_API_ANY:
		return true;
	}
	return false;
}

bool weir_api_body_check(struct weir_api_call *call)
{
	static const struct weir_api_member none = {.name = NULL};
	const struct weir_api_member *members = call->members == NULL ? &none : call->members;
	const cJSON *item = NULL;

	if (call->body == NULL && call->members != NULL) {
		(void)weir_api_refuse(call, 400, "bad_json", "body", "this request needs a body: one JSON object");
		return false;
	}
	cJSON_ArrayForEach(item, call->body)
	{
		const struct weir_api_member *member = members;

		while (member->name != NULL && strcmp(member->name, item->string) != 0)
			member++;
		if (member->name == NULL)
			return body_refuse(call, item->string, "is not a member that this request knows");
		if (!kind_fits(call, member, item))
			return false;
	}
	return true;
}

int weir_api_json_parse(char *text, size_t *bytes, cJSON **out_json, struct weir_model_error *error)
{
	const struct weir_span from = {.data = text, .bytes = *bytes};
	const int code =
		weir_model_json_canonicalize(from, "body", WEIR_API_JSON_DEPTH_MAX, text, bytes, error);

	if (code != 0)
		return code;
	if (text[0] != '{') {
		(void)snprintf(error->field, sizeof(error->field), "body"); /* fits */
		(void)snprintf(error->reason, sizeof(error->reason), "must be a JSON object, {...}");
		return -EINVAL;
	}
	*out_json = cJSON_ParseWithLength(text, *bytes);
	return *out_json == NULL ? -ENOMEM : 0; /* it is sound */
}
