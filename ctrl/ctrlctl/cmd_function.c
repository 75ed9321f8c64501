#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"

static bool function_name_add(cJSON *body, const char *text)
{
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;

	if (weir_model_name_parse(text, space, name, &wrong) != 0) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s %s", wrong.field, wrong.reason);
		return false;
	}
	(void)cJSON_AddStringToObject(body, "namespace", space);
	return cJSON_AddStringToObject(body, "name", name) != NULL;
}

enum weir_ctl_exit weir_ctl_function_add(const struct weir_ctl_call *call)
{
	const char *file = weir_ctl_option(call, "--file");
	cJSON *body = NULL;
	bool sound = false;

	if (file == NULL || weir_ctl_option(call, "--runtime") == NULL) {
		return weir_ctl_fail(WEIR_CTL_USAGE,
				     "ctrlctl fn add hello --runtime native --file ./hello.so",
				     "%s is missing", file == NULL ? "--file" : "--runtime");
	}
	if (access(file, F_OK) != 0) {
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL,
				     "the file '%s' cannot be found: %s", file,
				     strerror(errno));
	}
	body = cJSON_CreateObject();
	sound = function_name_add(body, call->arguments[0]) &&
		weir_ctl_body_text(body, call, "--runtime", "runtime") &&
		weir_ctl_body_file(body, file) &&
		weir_ctl_body_text(body, call, "--handler", "handler") &&
		weir_ctl_body_duration(body, call) &&
		weir_ctl_body_number(body, call, "--memory", "memory_mb") &&
		weir_ctl_body_number(body, call, "--queue", "queue_max");
	if (!sound) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "POST", "/weir/functions", body);
}

enum weir_ctl_exit weir_ctl_function_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"NAME",   "RUNTIME", "TIMEOUT", "MEMORY",
					     "SOURCE", "FILE",    NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *function = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code =
		weir_ctl_api(call, "GET", "/weir/functions", NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "functions"));
		cJSON_Delete(json);
		return WEIR_CTL_OK;
	}
	cJSON_ArrayForEach(function, cJSON_GetObjectItemCaseSensitive(json, "functions"))
	{
		char text[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];

		(void)snprintf(text, sizeof(text), "%s/%s",
			       weir_ctl_json_text(function, "namespace"),
			       weir_ctl_json_text(function, "name")); /* cut is fine */
		weir_ctl_table_cell(&table, text);
		weir_ctl_table_cell(&table, weir_ctl_json_text(function, "runtime"));
		weir_ctl_duration_format(weir_ctl_json_number(function, "timeout_ms"), text,
					 sizeof(text));
		weir_ctl_table_cell(&table, text);
		(void)snprintf(text, sizeof(text), "%.0f MB",
			       weir_ctl_json_number(function, "memory_mb"));
		weir_ctl_table_cell(&table, text);
		weir_ctl_table_cell(&table, weir_ctl_json_text(function, "source"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(function, "file"));
	}
	weir_ctl_table_print(&table);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_get(const struct weir_ctl_call *call)
{
	static const char *const skip[] = {NULL};
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_function_target(call->arguments[0], "", target))
		return WEIR_CTL_INVALID;
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		weir_ctl_print_object(json, skip);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_remove(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];

	if (!weir_ctl_function_target(call->arguments[0], "", target))
		return WEIR_CTL_INVALID;
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}
