#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum { TARGET_MAX = 1024 };

static bool setting_target(const struct weir_ctl_call *call, char target[TARGET_MAX])
{
	(void)snprintf(target, TARGET_MAX, "/weir/settings/");
	if (call->arguments[0][0] != '\0' &&
	    weir_ctl_encode(target, TARGET_MAX, call->arguments[0]))
		return true;
	(void)weir_ctl_fail(WEIR_CTL_NOT_FOUND, "`ctrlctl config list` shows all",
			    "there is no such setting");
	return false;
}

enum weir_ctl_exit weir_ctl_config_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"KEY", "VALUE", "CHANGED", "WHAT", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *setting = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code =
		weir_ctl_api(call, "GET", "/weir/settings", NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "settings"));
		cJSON_Delete(json);
		return WEIR_CTL_OK;
	}
	cJSON_ArrayForEach(setting, cJSON_GetObjectItemCaseSensitive(json, "settings"))
	{
		const bool changed =
			cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(setting, "changed"));

		weir_ctl_table_cell(&table, weir_ctl_json_text(setting, "name"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(setting, "text"));
		weir_ctl_table_cell(&table, changed ? "yes" : "-");
		weir_ctl_table_cell(&table, weir_ctl_json_text(setting, "help"));
	}
	weir_ctl_table_print(&table);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_config_get(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!setting_target(call, target))
		return WEIR_CTL_NOT_FOUND;
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		weir_ctl_print("%s\n", weir_ctl_json_text(json, "text"));
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_config_set(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX];
	cJSON *body = NULL;

	if (!setting_target(call, target))
		return WEIR_CTL_NOT_FOUND;
	body = cJSON_CreateObject();
	WEIR_ASSERT(body != NULL); /* a command line that has no memory left cannot go on */
	(void)cJSON_AddStringToObject(body, "value", call->arguments[1]);
	return weir_ctl_api_change(call, "PUT", target, body);
}

enum weir_ctl_exit weir_ctl_config_unset(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX];

	if (!setting_target(call, target))
		return WEIR_CTL_NOT_FOUND;
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}
