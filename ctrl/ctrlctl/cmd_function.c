#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/pools.h"
#include "ctrl/model/model.h"

enum { PAIR_VALUE_BYTES_MAX = 200 }; /* that are shown */

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
	const bool has_image = weir_ctl_option(call, "--image") != NULL;
	cJSON *body = NULL;
	bool sound = false;

	if (!has_image && (file == NULL || weir_ctl_option(call, "--runtime") == NULL)) {
		return weir_ctl_fail(WEIR_CTL_USAGE,
				     "ctrlctl fn add hello --runtime native --file ./hello.so",
				     "%s is missing", file == NULL ? "--file" : "--runtime");
	}
	if (file != NULL && access(file, F_OK) != 0) {
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL,
				     "the file '%s' cannot be found: %s", file,
				     strerror(errno));
	}
	body = cJSON_CreateObject();
	sound = function_name_add(body, call->arguments[0]) &&
		weir_ctl_body_text(body, call, "--runtime", "runtime") &&
		weir_ctl_body_text(body, call, "--image", "image") &&
		(file == NULL || weir_ctl_body_file(body, file)) &&
		weir_ctl_body_text(body, call, "--handler", "handler") &&
		weir_ctl_body_duration(body, call) &&
		weir_ctl_body_number(body, call, "--memory", "memory_mb") &&
		weir_ctl_body_number(body, call, "--queue", "queue_max") &&
		weir_ctl_body_text(body, call, "--owner", "owner") && weir_ctl_body_specs(body, call) &&
		weir_ctl_body_details(body, call);
	if (!sound) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "POST", "/weir/functions", body);
}

/* "/weir/functions?namespace=web&owner=ada" */
static enum weir_ctl_exit list_target(const struct weir_ctl_call *call, char target[WEIR_CTL_TARGET_MAX])
{
	static const struct {
		const char *option;
		const char *query;
	} filters[] = {{"--namespace", "&namespace="}, {"--owner", "&owner="}};

	(void)snprintf(target, WEIR_CTL_TARGET_MAX, "/weir/functions?");
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *const value = weir_ctl_option(call, filters[i].option);

		if (value == NULL)
			continue;
		strncat(target, filters[i].query, WEIR_CTL_TARGET_MAX - strlen(target) - 1);
		if (!weir_ctl_encode(target, WEIR_CTL_TARGET_MAX - 32, value)) /* room for the next */
			return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s is too long", filters[i].option);
	}
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"NAME",   "RUNTIME", "TIMEOUT", "MEMORY",
					     "SOURCE", "FROM",    NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *function = NULL;
	cJSON *json = NULL;
	char target[WEIR_CTL_TARGET_MAX];
	enum weir_ctl_exit code = list_target(call, target);

	if (code == WEIR_CTL_OK)
		code = weir_ctl_api(call, "GET", target, NULL, &json);
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
		weir_ctl_table_cell(&table, weir_ctl_code_text(function));
	}
	weir_ctl_table_print(&table);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

static void get_row(struct weir_ctl_table *table, const char *name, const char *text)
{
	if (text[0] == '\0')
		return;
	weir_ctl_table_cell(table, name);
	weir_ctl_table_cell(table, text);
}

/* "3, deployed 2026-01-02 03:04:05; 4 are kept" */
static void version_format(const cJSON *json, char *out, size_t max)
{
	const time_t created = (time_t)weir_ctl_json_number(json, "created");
	char when[32] = "";
	struct tm parts;

	out[0] = '\0';
	if (weir_ctl_json_number(json, "deployed") == 0)
		return;
	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&created, &parts));
	(void)snprintf(out, max, "%.0f, deployed %s; %.0f kept", weir_ctl_json_number(json, "deployed"), when,
		       weir_ctl_json_number(json, "versions")); /* fits */
}

static void bytes_format(double bytes, char *out, size_t max)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
	size_t unit = 0;

	for (; bytes >= 1024 && unit < 3; unit++)
		bytes /= 1024;
	(void)snprintf(out, max, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]); /* fits */
}

/* "CURRENCY, TOKEN (secret)" */
static void names_format(const cJSON *environment, char *out, size_t max)
{
	const cJSON *variable = NULL;
	size_t used = 0;

	out[0] = '\0';
	cJSON_ArrayForEach(variable, environment)
	{
		const int bytes = snprintf(out + used, max - used, "%s%s%s", used == 0 ? "" : ", ",
					   weir_ctl_json_text(variable, "name"),
					   cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(variable, "secret"))
						   ? " (secret)"
						   : "");

		if (bytes < 0 || (size_t)bytes >= max - used)
			return; /* cut: `fn env list` shows all */
		used += (size_t)bytes;
	}
}

static void specs_print(struct weir_ctl_table *table, const cJSON *specs)
{
	const cJSON *spec = NULL;
	char text[128];

	cJSON_ArrayForEach(spec, specs)
	{
		(void)snprintf(text, sizeof(text), "%.0f millicores, %.0f MB, %.0f to %.0f workers",
			       weir_ctl_json_number(spec, "cpu_millicores"), weir_ctl_json_number(spec, "memory_mb"),
			       weir_ctl_json_number(spec, "min"), weir_ctl_json_number(spec, "max")); /* fits */
		get_row(table, "spec", text);
	}
}

/* "default/native, 1..16 workers, shared by 4 functions" */
static void pool_format(const cJSON *pool, char *out, size_t max)
{
	const double low = weir_ctl_json_number(pool, "workers_min");
	const double high = weir_ctl_json_number(pool, "workers_max");
	const double functions = weir_ctl_json_number(pool, "functions");
	char shared[64] = "";
	char workers[64];

	if (low < high)
		(void)snprintf(workers, sizeof(workers), "%.0f..%.0f workers", low, high); /* fits */
	else
		(void)snprintf(workers, sizeof(workers), "%.0f worker%s", high, high > 1 ? "s" : "");
	if (functions > 1)
		(void)snprintf(shared, sizeof(shared), ", shared by %.0f functions", functions);
	(void)snprintf(out, max, "%s, %s%s", weir_ctl_json_text(pool, "pool"), workers, shared); /* fits */
}

/* "parameter greeting" and its value, each in a row; a long value is cut. */
static void pairs_print(struct weir_ctl_table *table, const char *what, const cJSON *object)
{
	const cJSON *pair = NULL;

	cJSON_ArrayForEach(pair, object)
	{
		char *value = cJSON_PrintUnformatted(pair);
		char name[160];
		char text[PAIR_VALUE_BYTES_MAX + 4];

		(void)snprintf(name, sizeof(name), "%s %s", what, pair->string); /* cut is fine */
		(void)snprintf(text, sizeof(text), "%.*s%s", (int)PAIR_VALUE_BYTES_MAX, value == NULL ? "" : value,
			       value != NULL && strlen(value) > PAIR_VALUE_BYTES_MAX ? "..." : "");
		get_row(table, name, text);
		cJSON_free(value);
	}
}

static void function_print(const cJSON *json)
{
	static const char *const titles[] = {"FIELD", "VALUE", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *pool = NULL;
	char text[8192];

	(void)snprintf(text, sizeof(text), "%s/%s", weir_ctl_json_text(json, "namespace"),
		       weir_ctl_json_text(json, "name")); /* fits */
	get_row(&table, "name", text);
	get_row(&table, "description", weir_ctl_json_text(json, "description"));
	get_row(&table, "owner", weir_ctl_json_text(json, "owner"));
	get_row(&table, "runtime", weir_ctl_json_text(json, "runtime"));
	version_format(json, text, sizeof(text));
	get_row(&table, "version", text);
	get_row(&table, "code", weir_ctl_json_text(json, "code"));
	if (cJSON_HasObjectItem(json, "code_bytes")) {
		bytes_format(weir_ctl_json_number(json, "code_bytes"), text, sizeof(text));
		get_row(&table, "size", text);
	}
	get_row(&table, "file", weir_ctl_json_text(json, "file"));
	get_row(&table, "image", weir_ctl_json_text(json, "image"));
	get_row(&table, "runs", weir_ctl_json_text(json, "runs"));
	get_row(&table, "handler", weir_ctl_json_text(json, "handler"));
	weir_ctl_duration_format(weir_ctl_json_number(json, "timeout_ms"), text, sizeof(text));
	get_row(&table, "timeout", text);
	(void)snprintf(text, sizeof(text), "%.0f MB", weir_ctl_json_number(json, "memory_mb"));
	get_row(&table, "memory", text);
	specs_print(&table, cJSON_GetObjectItemCaseSensitive(json, "specs"));
	(void)snprintf(text, sizeof(text), "%.0f requests", weir_ctl_json_number(json, "queue_max"));
	get_row(&table, "queue", text);
	cJSON_ArrayForEach(pool, cJSON_GetObjectItemCaseSensitive(json, "pools"))
	{
		pool_format(pool, text, sizeof(text));
		get_row(&table, "pool", text);
		if (cJSON_GetObjectItemCaseSensitive(pool, "starts") == NULL)
			continue; /* nobody could be asked what lives */
		weir_ctl_pools_format(pool, text, sizeof(text));
		get_row(&table, "workers", text);
	}
	names_format(cJSON_GetObjectItemCaseSensitive(json, "environment"), text, sizeof(text));
	get_row(&table, "environment", text);
	pairs_print(&table, "parameter", cJSON_GetObjectItemCaseSensitive(json, "parameters"));
	pairs_print(&table, "annotation", cJSON_GetObjectItemCaseSensitive(json, "annotations"));
	get_row(&table, "problem", weir_ctl_json_text(json, "problem"));
	weir_ctl_table_print(&table);
}

enum weir_ctl_exit weir_ctl_function_get(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];
	struct weir_board *board = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_function_target(call->arguments[0], "", target))
		return WEIR_CTL_INVALID;
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (weir_ctl_board_fetch(call, true, &board) == WEIR_CTL_OK)
		weir_ctl_pools_join(cJSON_GetObjectItemCaseSensitive(json, "pools"), board);
	free(board);
	if (call->json)
		weir_ctl_print_json(json);
	else
		function_print(json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_set(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *body = NULL;

	if (!weir_ctl_function_target(call->arguments[0], "", target))
		return WEIR_CTL_INVALID;
	body = cJSON_CreateObject();
	if (!weir_ctl_body_duration(body, call) || !weir_ctl_body_number(body, call, "--memory", "memory_mb") ||
	    !weir_ctl_body_number(body, call, "--queue", "queue_max") || !weir_ctl_body_specs(body, call) ||
	    !weir_ctl_body_text(body, call, "--owner", "owner") || !weir_ctl_body_details(body, call)) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	if (cJSON_GetArraySize(body) == 0) {
		cJSON_Delete(body);
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn set hello --spec cpu=500,memory=256",
				     "nothing is to be set; name --timeout, --memory, --queue, --spec, --owner, --description, "
				     "--param or --annotation");
	}
	return weir_ctl_api_change(call, "PATCH", target, body);
}

enum weir_ctl_exit weir_ctl_function_remove(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];

	if (!weir_ctl_function_target(call->arguments[0], "", target))
		return WEIR_CTL_INVALID;
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}
