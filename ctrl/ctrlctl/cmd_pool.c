#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum { TARGET_MAX = 1024 };

static const char *const settings[] = {"policy",      "alpha",      "beta",          "gamma",          "delta",
				       "epsilon",     "ema",        "one_task",      "workers_min",    "workers_max",
				       "scale_step", "scale_samples", "scale_threshold"};

enum { SETTINGS_COUNT = sizeof(settings) / sizeof(settings[0]) };

/* What an option of the name of a setting is called. */
static const char *option_name(const char *setting, char out[32])
{
	(void)snprintf(out, 32, "--%s", setting); /* fits */
	for (char *at = out + 2; *at != '\0'; at++) {
		if (*at == '_')
			*at = '-';
	}
	return out;
}

/* Is it the pool's own, or a default? */
static bool is_own(const cJSON *pool, const char *setting)
{
	const cJSON *name = NULL;

	cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(pool, "set"))
	{
		if (cJSON_IsString(name) && strcmp(name->valuestring, setting) == 0)
			return true;
	}
	return false;
}

static const char *value_text(const cJSON *pool, const char *setting, char out[64])
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(pool, setting);

	if (cJSON_IsNumber(item))
		(void)snprintf(out, 64, "%g", item->valuedouble); /* fits */
	else if (cJSON_IsBool(item))
		(void)snprintf(out, 64, "%s", cJSON_IsTrue(item) ? "on" : "off");
	else if (cJSON_IsNull(item))
		(void)snprintf(out, 64, "-");
	else
		(void)snprintf(out, 64, "%s", cJSON_IsString(item) ? item->valuestring : "?"); /* cut is fine */
	return out;
}

/* "500m 256MB" as `ctrlctl worker list` has it: pools of one name differ in that. */
static const char *spec_text(const cJSON *pool, char out[64])
{
	(void)snprintf(out, 64, "-");
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(pool, "has_spec")))
		(void)snprintf(out, 64, "%.0fm %.0fMB", weir_ctl_json_number(pool, "cpu_millicores"),
			       weir_ctl_json_number(pool, "memory_mb")); /* fits */
	return out;
}

enum weir_ctl_exit weir_ctl_pool_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"POOL", "SPEC", "POLICY",   "ALPHA", "BETA", "GAMMA", "DELTA",   "EPSILON",
					     "EMA",  "ONE TASK", "MIN",   "MAX",  "STEP",  "SAMPLES", "THRESHOLD", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *pool = NULL;
	cJSON *json = NULL;
	char text[64];
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", "/weir/pools", NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "pools"));
		cJSON_Delete(json);
		return WEIR_CTL_OK;
	}
	cJSON_ArrayForEach(pool, cJSON_GetObjectItemCaseSensitive(json, "pools"))
	{
		weir_ctl_table_cell(&table, weir_ctl_json_text(pool, "pool"));
		weir_ctl_table_cell(&table, spec_text(pool, text));
		for (size_t i = 0; i < SETTINGS_COUNT; i++)
			weir_ctl_table_cell(&table, value_text(pool, settings[i], text));
	}
	weir_ctl_table_print(&table);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_pool_get(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"SETTING", "VALUE", "SET HERE", NULL};
	struct weir_ctl_table table = {.titles = titles};
	char target[TARGET_MAX] = "/weir/pools?pool=";
	char text[64];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_NOT_FOUND;

	if (!weir_ctl_encode(target, sizeof(target), call->arguments[0]))
		return weir_ctl_fail(code, "`ctrlctl pool list` shows all", "there is no such pool");
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		for (size_t i = 0; i < SETTINGS_COUNT; i++) {
			weir_ctl_table_cell(&table, settings[i]);
			weir_ctl_table_cell(&table, value_text(json, settings[i], text));
			weir_ctl_table_cell(&table, is_own(json, settings[i]) ? "yes" : "-");
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_pool_set(const struct weir_ctl_call *call)
{
	const bool reset = weir_ctl_option(call, "--reset") != NULL;
	cJSON *body = cJSON_CreateObject();
	size_t changes = 0;
	char option[32];

	WEIR_ASSERT(body != NULL); /* a command line that has no memory left cannot go on */
	(void)cJSON_AddStringToObject(body, "pool", call->arguments[0]);
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		const char *value = weir_ctl_option(call, option_name(settings[i], option));

		if (value == NULL)
			continue;
		(void)cJSON_AddStringToObject(body, settings[i], value);
		changes++;
	}
	if (reset)
		(void)cJSON_AddTrueToObject(body, "reset");
	if (changes == 0 && !reset) {
		cJSON_Delete(body);
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl pool set --help shows what can be changed",
				     "nothing to change was named");
	}
	return weir_ctl_api_change(call, "PATCH", "/weir/pools", body);
}
