#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/setting.h"

static cJSON *setting_json(const struct weir_setting *setting,
			   const struct weir_setting_values *values)
{
	static const char *const units[] = {"count", "bytes", "ms", "s", "MB", "choice"};
	cJSON *json = cJSON_CreateObject();
	struct weir_setting_values defaults;
	const uint64_t value = weir_setting_get(values, setting);
	char text[48];

	weir_setting_defaults(&defaults);
	(void)cJSON_AddStringToObject(json, "name",
				      setting->name); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(json, "value", (double)value);
	(void)cJSON_AddStringToObject(json, "text",
				      weir_setting_format(setting, value, text, sizeof(text)));
	(void)cJSON_AddStringToObject(json, "unit", units[setting->unit]);
	(void)cJSON_AddNumberToObject(json, "default",
				      (double)weir_setting_get(&defaults, setting));
	(void)cJSON_AddNumberToObject(json, "min", (double)setting->min);
	(void)cJSON_AddNumberToObject(json, "max", (double)setting->max);
	(void)cJSON_AddBoolToObject(json, "changed",
				    value != weir_setting_get(&defaults, setting));
	(void)cJSON_AddStringToObject(json, "help", setting->help);
	return json;
}

enum weir_api_result weir_api_setting_list(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_setting_values values;
	const struct weir_setting *setting = NULL;
	const int code = weir_setting_load(call->owner->store, &values, &error);
	cJSON *list = NULL;

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(call->answer, "settings");
	for (size_t i = 0; (setting = weir_setting_at(i)) != NULL; i++)
		(void)cJSON_AddItemToArray(list, setting_json(setting, &values));
	call->status = 200;
	return WEIR_API_DONE;
}

/* The setting that the path names, or NULL with the answer set. */
static const struct weir_setting *setting_named(struct weir_api_call *call)
{
	const struct weir_setting *setting = weir_setting_find(call->param[0]);
	char sentence[256];

	if (setting != NULL)
		return setting;
	(void)snprintf(sentence, sizeof(sentence),
		       "there is no setting '%.64s'; `ctrlctl config list` shows all",
		       call->param[0]);
	(void)weir_api_refuse(call, 404, "not_found", NULL, sentence);
	return NULL;
}

enum weir_api_result weir_api_setting_read(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_setting_values values;
	const struct weir_setting *setting = setting_named(call);
	int code = 0;

	if (setting == NULL)
		return WEIR_API_DONE;
	code = weir_setting_load(call->owner->store, &values, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = setting_json(setting, &values);
	call->status = 200;
	return WEIR_API_DONE;
}

/* What the instance was started with goes before the setting: not to say so would deceive. False: the answer is set. */
static bool auth_may_be(struct weir_api_call *call, const struct weir_setting *setting, uint64_t value)
{
	if (setting->unit != WEIR_SETTING_AUTH || value != 0 || !call->owner->is_auth_required)
		return true;
	(void)weir_api_refuse(call, 409, "started_so", setting->name,
			      "auth cannot become open: the instance listens on an address that other machines reach, or was "
			      "started with --auth required; start it on loopback addresses alone, or with --auth "
			      "open-to-everyone");
	return false;
}

enum weir_api_result weir_api_setting_write(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_model_error wrong;
	struct weir_setting_values values;
	const struct weir_setting *setting = setting_named(call);
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, "value");
	char text[64] = "";
	uint64_t value = 0;
	int code = 0;

	if (setting == NULL)
		return WEIR_API_DONE;
	if (cJSON_IsNumber(item)) {
		(void)snprintf(text, sizeof(text), "%.17g", item->valuedouble); /* whole ones have no point */
	} else if (!weir_api_body_text(call, "value", text, sizeof(text))) {
		return WEIR_API_DONE;
	}
	if (weir_setting_parse(setting, call->param[0], text, &value, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_setting_load(call->owner->store, &values, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	weir_setting_put(&values, setting, value);
	if (!auth_may_be(call, setting, value))
		return WEIR_API_DONE;
	if (weir_setting_agree(&values, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_store_setting_set(call->owner->store, setting->name, value, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}

enum weir_api_result weir_api_setting_unset(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	const struct weir_setting *setting = setting_named(call);
	int code = 0;

	if (setting == NULL || !auth_may_be(call, setting, 0))
		return WEIR_API_DONE;
	code = weir_store_setting_unset(call->owner->store, setting->name, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}
