#include <errno.h>
#include <string.h>

#include "ctrl/api/call.h"

enum { LIST_DEFAULT = 20 };

static int line_visit(void *context, const struct weir_history_line *line)
{
	cJSON *json = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(json, "generation", (double)line->generation); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "created", (double)line->created_s);
	(void)cJSON_AddStringToObject(json, "who", line->author.who);
	if (line->author.uid >= 0)
		(void)cJSON_AddNumberToObject(json, "uid", (double)line->author.uid);
	(void)cJSON_AddStringToObject(json, "from", line->author.from);
	(void)cJSON_AddStringToObject(json, "what", line->author.what);
	(void)cJSON_AddItemToObject(json, "rows", cJSON_Parse(line->rows)); /* as the store wrote it */
	(void)cJSON_AddNumberToObject(json, "bytes", (double)line->bytes);
	(void)cJSON_AddBoolToObject(json, "known", line->is_known);
	return cJSON_AddItemToArray(context, json) ? 0 : -ENOMEM;
}

enum weir_api_result weir_api_history_list(struct weir_api_call *call)
{
	struct weir_store_error error = {.text = "not enough memory for the history"};
	cJSON *answer = NULL;
	uint64_t limit = LIST_DEFAULT;
	uint64_t oldest = 0;
	int code = 0;

	if (!weir_api_query_number(call, "limit", WEIR_HISTORY_GENERATIONS_MAX, &limit))
		return WEIR_API_DONE;
	answer = cJSON_CreateObject();
	code = weir_history_each(call->owner->store, limit, line_visit,
				 cJSON_AddArrayToObject(answer, "history"), &error);
	if (code == 0)
		code = weir_history_oldest(call->owner->store, &oldest, &error);
	if (code != 0) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	(void)cJSON_AddNumberToObject(answer, "oldest", (double)oldest);
	(void)cJSON_AddNumberToObject(answer, "generation",
				      (double)weir_store_generation(call->owner->store));
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}
