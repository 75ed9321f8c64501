#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"

enum { TARGET_MAX = 2048 }; /* an image, each byte of it encoded */

#define TARGET "/weir/image-aliases"

static enum weir_ctl_exit alias_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"IMAGE", "FUNCTION", "PROBLEM", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *alias = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", TARGET, NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "aliases"));
	} else {
		cJSON_ArrayForEach(alias, cJSON_GetObjectItemCaseSensitive(json, "aliases"))
		{
			weir_ctl_table_cell(&table, weir_ctl_json_text(alias, "image"));
			weir_ctl_table_cell(&table, weir_ctl_json_text(alias, "function"));
			weir_ctl_table_cell(&table, weir_ctl_json_text(alias, "problem"));
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit alias_set(const struct weir_ctl_call *call)
{
	cJSON *body = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(body, "image", call->arguments[1]); /* without memory it is refused */
	(void)cJSON_AddStringToObject(body, "function", call->arguments[2]);
	return weir_ctl_api_change(call, "PUT", TARGET, body);
}

static enum weir_ctl_exit alias_remove(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX] = TARGET "?image=";

	if (!weir_ctl_encode(target, sizeof(target), call->arguments[1]))
		return weir_ctl_fail(WEIR_CTL_NOT_FOUND, "`ctrlctl image alias list` shows all",
				     "there is no such image: its reference is too long");
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}

enum weir_ctl_exit weir_ctl_image_alias(const struct weir_ctl_call *call)
{
	static const struct {
		const char *what;
		size_t arguments; /* behind it */
		enum weir_ctl_exit (*run)(const struct weir_ctl_call *call);
	} kinds[] = {{"list", 0, alias_list}, {"set", 2, alias_set}, {"remove", 1, alias_remove}};
	const char *const what = call->argument_count == 0 ? "list" : call->arguments[0];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].what, what) == 0 && call->argument_count <= kinds[i].arguments + 1 &&
		    (kinds[i].arguments == 0 || call->argument_count == kinds[i].arguments + 1))
			return kinds[i].run(call);
	}
	return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl image alias --help shows examples",
			     "it is list, set IMAGE [NAMESPACE/]FUNCTION, or remove IMAGE");
}
