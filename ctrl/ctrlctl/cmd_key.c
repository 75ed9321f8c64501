#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/follow.h"
#include "ctrl/ctrlctl/output.h"

#define TARGET "/weir/keys"

/* --expires as "life_s". False: wrong, and said. */
static bool body_life(cJSON *body, const struct weir_ctl_call *call)
{
	const char *const text = weir_ctl_option(call, "--expires");
	uint64_t seconds = 0;

	if (text == NULL)
		return true;
	if (weir_ctl_seconds_parse(text, &seconds) && seconds > 0)
		return cJSON_AddNumberToObject(body, "life_s", (double)seconds) != NULL;
	(void)weir_ctl_fail(WEIR_CTL_INVALID, "--expires 30d", "--expires wants a duration (90s, 5m, 2h, 30d), not '%s'", text);
	return false;
}

enum weir_ctl_exit weir_ctl_key_add(const struct weir_ctl_call *call)
{
	cJSON *const body = cJSON_CreateObject();
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)cJSON_AddStringToObject(body, "name", call->arguments[0]); /* without memory it is refused */
	if (!weir_ctl_body_text(body, call, "--namespace", "namespace") || !weir_ctl_body_text(body, call, "--role", "role") ||
	    !body_life(body, call)) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	code = weir_ctl_api(call, "POST", TARGET, body, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (!call->json)
		weir_ctl_print("%s\n", weir_ctl_json_text(json, "key"));
	return call->json ? weir_ctl_change_end(call, json) : weir_ctl_change_check(json);
}

static void time_cell(struct weir_ctl_table *table, const cJSON *json, const char *name)
{
	const time_t seconds = (time_t)weir_ctl_json_number(json, name);
	struct tm parts;
	char when[32] = "never";

	if (seconds != 0)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &parts)); /* fits */
	weir_ctl_table_cell(table, when);
}

enum weir_ctl_exit weir_ctl_key_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"NAME", "NAMESPACE", "ROLE", "ID", "CREATED", "EXPIRES", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *key = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", TARGET, NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "keys"));
	} else {
		cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(json, "keys"))
		{
			weir_ctl_table_cell(&table, weir_ctl_json_text(key, "name"));
			weir_ctl_table_cell(&table, weir_ctl_json_text(key, "namespace"));
			weir_ctl_table_cell(&table, weir_ctl_json_text(key, "role"));
			weir_ctl_table_cell(&table, weir_ctl_json_text(key, "id"));
			time_cell(&table, key, "created");
			time_cell(&table, key, "expires");
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_key_remove(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX] = TARGET "/";

	if (!weir_ctl_encode(target, sizeof(target), call->arguments[0]))
		return weir_ctl_fail(WEIR_CTL_NOT_FOUND, "`ctrlctl key list` shows all",
				     "there is no such key: the name is too long");
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}
