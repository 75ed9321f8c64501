#include <ctype.h>
#include <stdio.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"

/* One operation as a row. */
static void operation_print(struct weir_ctl_table *table, const char *path, const cJSON *operation)
{
	char method[16];
	size_t i = 0;

	for (; operation->string[i] != '\0' && i < sizeof(method) - 1; i++)
		method[i] = (char)toupper((unsigned char)operation->string[i]);
	method[i] = '\0';
	weir_ctl_table_cell(table, method);
	weir_ctl_table_cell(table, path);
	weir_ctl_table_cell(table, weir_ctl_json_text(operation, "summary"));
}

/* Those of the management API; the paths of Weir's own functions say on which servers they are. */
static void table_print(const cJSON *paths)
{
	static const char *const titles[] = {"METHOD", "PATH", "CHANGES", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *path = NULL;
	const cJSON *operation = NULL;

	cJSON_ArrayForEach(path, paths)
	{
		if (cJSON_HasObjectItem(path, "servers"))
			continue;
		cJSON_ArrayForEach(operation, path)
		{
			operation_print(&table, path->string, operation);
		}
	}
	weir_ctl_table_print(&table);
}

enum weir_ctl_exit weir_ctl_api_describe(const struct weir_ctl_call *call)
{
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", "/weir/openapi.json", NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json)
		weir_ctl_print_json(json);
	else
		table_print(cJSON_GetObjectItemCaseSensitive(json, "paths"));
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}
