#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum {
	TARGET_MAX = 256,
	ROWS_TEXT_MAX = 512,
	VALUE_COLUMNS_MAX = 120,
	ROLLBACK_PATIENCE_MS = 300000, /* functions may have to be built again first */
};

/* {"functions":1,"routes":2} -> "functions 1, routes 2". */
static void rows_text(const cJSON *line, char out[ROWS_TEXT_MAX])
{
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(line, "rows");
	const cJSON *count = NULL;
	size_t used = 0;

	(void)snprintf(out, ROWS_TEXT_MAX, "?");
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "known")) && cJSON_GetArraySize(rows) == 0)
		return;
	cJSON_ArrayForEach(count, rows)
	{
		const int written = snprintf(out + used, ROWS_TEXT_MAX - used, "%s%s %.0f",
					     used == 0 ? "" : ", ", count->string, count->valuedouble);

		if (written < 0 || used + (size_t)written >= ROWS_TEXT_MAX)
			break; /* cut is fine */
		used += (size_t)written;
	}
}

static void line_row(struct weir_ctl_table *table, const cJSON *line)
{
	const time_t created = (time_t)weir_ctl_json_number(line, "created");
	const char *who = weir_ctl_json_text(line, "who");
	char text[ROWS_TEXT_MAX];
	struct tm parts;

	weir_ctl_table_number(table, weir_ctl_json_number(line, "generation"));
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&created, &parts));
	weir_ctl_table_cell(table, text);
	weir_ctl_table_cell(table, who[0] == '\0' ? "-" : who);
	weir_ctl_table_cell(table, weir_ctl_json_text(line, "from"));
	rows_text(line, text);
	weir_ctl_table_cell(table, text);
	weir_ctl_table_cell(table, weir_ctl_json_text(line, "what"));
}

enum weir_ctl_exit weir_ctl_config_history(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"GENERATION", "WHEN", "WHO", "FROM", "CHANGED", "WHAT", NULL};
	const char *limit = weir_ctl_option(call, "--limit");
	struct weir_ctl_table table = {.titles = titles};
	char target[TARGET_MAX] = "/weir/history?limit=";
	const cJSON *line = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_encode(target, sizeof(target), limit == NULL ? "20" : limit))
		return weir_ctl_fail(WEIR_CTL_INVALID, "for example: --limit 100", "--limit is no number");
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "history"));
	} else {
		cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(json, "history"))
			line_row(&table, line);
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

/* One side of a field; a long text is cut, here only. */
static void value_print(const cJSON *value)
{
	char text[VALUE_COLUMNS_MAX + 4];

	if (cJSON_IsNumber(value)) {
		weir_ctl_print("%.15g", value->valuedouble);
		return;
	}
	if (cJSON_IsBool(value)) {
		weir_ctl_print(cJSON_IsTrue(value) ? "on" : "off");
		return;
	}
	if (!cJSON_IsString(value) || value->valuestring[0] == '\0') {
		weir_ctl_print("\"\"");
		return;
	}
	(void)snprintf(text, sizeof(text), "%.*s%s", VALUE_COLUMNS_MAX, value->valuestring,
		       strlen(value->valuestring) > VALUE_COLUMNS_MAX ? "..." : "");
	weir_ctl_print_clean(text);
}

/* Of what is new: fields that say something. */
static bool is_worth_saying(const cJSON *value)
{
	return cJSON_IsBool(value) || (cJSON_IsNumber(value) && value->valuedouble != 0) ||
	       (cJSON_IsString(value) && value->valuestring[0] != '\0');
}

/* "timeout_ms 30000 -> 5000", "value 7"; the only field of its kind goes without its name. */
static bool field_print(const cJSON *field, const char *operation, bool first)
{
	const cJSON *to = cJSON_GetObjectItemCaseSensitive(field, "to");
	const char *name = weir_ctl_json_text(field, "name");

	if (strcmp(operation, "added") == 0 && !is_worth_saying(to))
		return false;
	weir_ctl_print(first ? ": " : ", ");
	if (strcmp(name, "value") != 0 && strcmp(name, "v") != 0) {
		weir_ctl_print_clean(name);
		weir_ctl_print(" ");
	}
	if (strcmp(operation, "changed") == 0) {
		value_print(cJSON_GetObjectItemCaseSensitive(field, "from"));
		weir_ctl_print(" -> ");
	}
	value_print(to);
	return true;
}

/* Where a new route leads stands behind an arrow. */
static void route_print(const cJSON *fields)
{
	const cJSON *field = NULL;

	cJSON_ArrayForEach(field, fields)
	{
		if (strcmp(weir_ctl_json_text(field, "name"), "function") != 0)
			continue;
		weir_ctl_print(" -> ");
		weir_ctl_print_clean(weir_ctl_json_text(field, "to"));
	}
}

static void change_print(const cJSON *change, bool colours)
{
	static const struct {
		const char *operation;
		const char *mark;
		const char *colour;
	} marks[] = {{"added", "+", "\033[32m"}, {"removed", "-", "\033[31m"}, {"changed", "~", "\033[33m"}};
	const char *operation = weir_ctl_json_text(change, "change");
	const char *kind = weir_ctl_json_text(change, "kind");
	const cJSON *fields = cJSON_GetObjectItemCaseSensitive(change, "fields");
	const cJSON *field = NULL;
	const bool is_route = strcmp(operation, "added") == 0 && strcmp(kind, "route") == 0;
	bool first = true;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strcmp(marks[i].operation, operation) == 0)
			weir_ctl_print("%s%s%s ", colours ? marks[i].colour : "", marks[i].mark,
				       colours ? "\033[0m" : "");
	}
	weir_ctl_print_clean(kind);
	weir_ctl_print(" ");
	weir_ctl_print_clean(weir_ctl_json_text(change, "name"));
	if (is_route)
		route_print(fields);
	/* Of what is gone, and of a version, which the function's own fields tell, the name is enough. */
	if (strcmp(operation, "removed") != 0 && strcmp(kind, "version") != 0) {
		cJSON_ArrayForEach(field, fields)
		{
			if (is_route && strcmp(weir_ctl_json_text(field, "name"), "function") == 0)
				continue;
			if (field_print(field, operation, first))
				first = false;
		}
	}
	weir_ctl_print("\n");
}

/* False: there are none. */
static bool changes_print(const cJSON *json)
{
	const bool colours = weir_ctl_print_has_colours();
	const double more = weir_ctl_json_number(json, "more");
	const cJSON *change = NULL;

	cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(json, "changes"))
		change_print(change, colours);
	if (more > 0)
		weir_ctl_print("and %.0f more\n", more);
	return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "changes")) > 0;
}

enum weir_ctl_exit weir_ctl_config_diff(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX] = "/weir/history/diff?from=";
	bool fits = weir_ctl_encode(target, sizeof(target), call->arguments[0]);
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (fits && call->argument_count > 1) {
		(void)snprintf(target + strlen(target), sizeof(target) - strlen(target), "&to=");
		fits = weir_ctl_encode(target, sizeof(target), call->arguments[1]);
	}
	if (!fits)
		return weir_ctl_fail(WEIR_CTL_INVALID, "`ctrlctl config history` lists them",
				     "there is no such generation");
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json)
		weir_ctl_print_json(json);
	else if (!changes_print(json))
		weir_ctl_print("no difference\n");
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

/* Digits only. */
static bool generation_parse(const char *text, double *out_generation)
{
	const size_t digits = strspn(text, "0123456789");

	*out_generation = strtod(text, NULL);
	return digits > 0 && digits <= 15 && text[digits] == '\0';
}

enum weir_ctl_exit weir_ctl_config_rollback(const struct weir_ctl_call *call)
{
	const bool is_dry = weir_ctl_option(call, "--dry-run") != NULL;
	cJSON *body = NULL;
	cJSON *json = NULL;
	double generation = 0;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!generation_parse(call->arguments[0], &generation))
		return weir_ctl_fail(WEIR_CTL_INVALID, "`ctrlctl config history` lists them",
				     "'%s' is no generation", call->arguments[0]);
	body = cJSON_CreateObject();
	WEIR_ASSERT(body != NULL); /* a command line that has no memory left cannot go on */
	(void)cJSON_AddNumberToObject(body, "generation", generation);
	(void)cJSON_AddBoolToObject(body, "dry_run", is_dry);
	code = weir_ctl_api_patient(call, "POST", "/weir/history/rollback", body, ROLLBACK_PATIENCE_MS, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (!call->json && !changes_print(json))
		weir_ctl_print("no difference: nothing was changed\n");
	if (cJSON_HasObjectItem(json, "generation"))
		return weir_ctl_change_end(call, json);
	if (call->json)
		weir_ctl_print_json(json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}
