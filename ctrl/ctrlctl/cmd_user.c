#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"

enum {
	PASSWORD_BYTES_MAX = 4096, /* that are read; the instance says how many it takes */
	PATIENCE_MS = 60000, /* passwords take turns */
};

#define TARGET "/weir/users"

enum weir_ctl_exit weir_ctl_user_add(const struct weir_ctl_call *call)
{
	const char *const from = weir_ctl_option(call, "--password");
	char password[PASSWORD_BYTES_MAX + 2];
	cJSON *body = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_secret_read("the password", from, password, sizeof(password)))
		return WEIR_CTL_INVALID;
	body = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(body, "name", call->arguments[0]); /* without memory it is refused */
	(void)cJSON_AddStringToObject(body, "password", password);
	explicit_bzero(password, sizeof(password));
	if (!weir_ctl_body_text(body, call, "--role", "role")) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	code = weir_ctl_api_patient(call, "POST", TARGET, body, PATIENCE_MS, &json);
	return code == WEIR_CTL_OK ? weir_ctl_change_end(call, json) : code;
}

static void user_row(struct weir_ctl_table *table, const cJSON *user)
{
	const time_t created = (time_t)weir_ctl_json_number(user, "created");
	struct tm parts;
	char when[32];

	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&created, &parts)); /* fits */
	weir_ctl_table_cell(table, weir_ctl_json_text(user, "name"));
	weir_ctl_table_cell(table, weir_ctl_json_text(user, "role"));
	weir_ctl_table_cell(table, weir_ctl_json_text(user, "uuid"));
	weir_ctl_table_cell(table, when);
}

enum weir_ctl_exit weir_ctl_user_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"NAME", "ROLE", "UUID", "CREATED", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *user = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", TARGET, NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "users"));
	} else {
		cJSON_ArrayForEach(user, cJSON_GetObjectItemCaseSensitive(json, "users"))
		{
			user_row(&table, user);
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_user_remove(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX] = TARGET "/";

	if (!weir_ctl_encode(target, sizeof(target), call->arguments[0]))
		return weir_ctl_fail(WEIR_CTL_NOT_FOUND, "`ctrlctl user list` shows all",
				     "there is no such user: the name is too long");
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}
