#include <stdio.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"

enum { PATIENCE_MS = 1800000 }; /* it reads everything */

static double count_of(const cJSON *json, const char *name)
{
	return weir_ctl_json_number(cJSON_GetObjectItemCaseSensitive(json, "examined"), name);
}

static void examined_print(const cJSON *json)
{
	const double codes = count_of(json, "code");
	const double known = count_of(json, "code_known");

	weir_ctl_print("%.0f functions, %.0f versions, %.0f routes, %.0f rows of the public table, %.0f pieces of code",
		       count_of(json, "functions"), count_of(json, "versions"), count_of(json, "routes"),
		       count_of(json, "rows"), codes);
	if (known < codes)
		weir_ctl_print(" (of %.0f nobody noted what they were, only that they are there)", codes - known);
	weir_ctl_print("; %.0f ms\n", weir_ctl_json_number(json, "milliseconds"));
}

static void found_print(const cJSON *found)
{
	static const char *const titles[] = {"WHERE", "ROW", "FIELD", "REASON", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, found)
	{
		const char *row = weir_ctl_json_text(item, "row");

		weir_ctl_table_cell(&table, weir_ctl_json_text(item, "table"));
		weir_ctl_table_cell(&table, row[0] == '\0' ? "-" : row);
		weir_ctl_table_cell(&table, weir_ctl_json_text(item, "field"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(item, "reason"));
	}
	weir_ctl_table_print(&table);
}

enum weir_ctl_exit weir_ctl_config_check(const struct weir_ctl_call *call)
{
	const cJSON *found = NULL;
	cJSON *json = NULL;
	double count = 0;
	const enum weir_ctl_exit code =
		weir_ctl_api_patient(call, "GET", "/weir/check", NULL, PATIENCE_MS, &json);

	if (code != WEIR_CTL_OK)
		return code;
	found = cJSON_GetObjectItemCaseSensitive(json, "found");
	count = weir_ctl_json_number(json, "found_count");
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		examined_print(json);
		if (count == 0)
			weir_ctl_print("all of it is sound\n");
		else
			found_print(found);
		if (count > cJSON_GetArraySize(found))
			weir_ctl_print("and %.0f more\n", count - cJSON_GetArraySize(found));
	}
	cJSON_Delete(json);
	return count == 0 ? WEIR_CTL_OK : WEIR_CTL_FAILED;
}
