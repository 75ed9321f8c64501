#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum { TARGET_MAX = 256, ROWS_TEXT_MAX = 512 };

/* {"functions":1,"routes":2} -> "functions 1, routes 2". */
static void rows_text(const cJSON *line, char out[ROWS_TEXT_MAX])
{
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(line, "rows");
	const cJSON *count = NULL;
	size_t used = 0;

	(void)snprintf(out, ROWS_TEXT_MAX, "?");
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "known")) && rows->child == NULL)
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
