#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/pool_setting.h"
#include "dataplane/base/cleanup.h"

enum {
	LIST_DEFAULT = 20,
	LIST_MAX = 10000,
	CHANGES_MAX = 20000, /* in one answer; the rest is only counted */
};

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

	if (!weir_api_query_number(call, "limit", LIST_MAX, &limit))
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

/* Changes as they come, to be sorted. */
struct changes {
	cJSON *json[CHANGES_MAX];
	size_t count;
	size_t more; /* than there is room for */
};

static void changes_release(struct changes **changes)
{
	if (*changes == NULL)
		return;
	for (size_t i = 0; i < (*changes)->count; i++)
		cJSON_Delete((*changes)->json[i]);
	free(*changes);
}

/* A pool's setting as everywhere: that of "default/native alpha" is kept in thousandths. NULL: none that is
 * known, or a value that another program wrote. */
static cJSON *pool_value(const char *name, int64_t number)
{
	const char *blank = strrchr(name, ' ');
	const struct weir_pool_setting *setting = blank == NULL ? NULL : weir_pool_setting_find(blank + 1);

	if (setting == NULL || number < setting->min || number > setting->max)
		return NULL;
	return weir_pool_setting_json(setting, (uint32_t)number);
}

static void value_add(cJSON *field, const char *side, const struct weir_history_change *change,
		      const struct weir_history_value *value)
{
	cJSON *pool = NULL;
	char *text = NULL;

	switch (value->kind) { /* without memory: members lack */
	case WEIR_HISTORY_NOTHING:
		break;
	case WEIR_HISTORY_NUMBER:
		if (strcmp(change->kind, "pool") == 0)
			pool = pool_value(change->name, value->number);
		(void)cJSON_AddItemToObject(field, side,
					    pool != NULL ? pool : cJSON_CreateNumber((double)value->number));
		break;
	case WEIR_HISTORY_TEXT:
		text = strndup(value->text, value->bytes);
		(void)cJSON_AddStringToObject(field, side, text == NULL ? "" : text);
		free(text);
		break;
	case WEIR_HISTORY_SECRET:
		(void)cJSON_AddStringToObject(field, side, "(secret)");
		break;
	}
}

static int change_visit(void *context, const struct weir_history_change *change)
{
	static const char *const operations[] = {"added", "removed", "changed"};
	struct changes *changes = context;
	cJSON *json = NULL;
	cJSON *fields = NULL;

	if (changes->count == CHANGES_MAX) {
		changes->more++;
		return 0;
	}
	json = cJSON_CreateObject();
	if (json == NULL)
		return -ENOMEM;
	changes->json[changes->count++] = json;
	(void)cJSON_AddStringToObject(json, "change", operations[change->operation]);
	(void)cJSON_AddStringToObject(json, "kind", change->kind);
	(void)cJSON_AddStringToObject(json, "name", change->name);
	fields = cJSON_AddArrayToObject(json, "fields");
	for (size_t i = 0; i < change->field_count; i++) {
		cJSON *field = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(field, "name", change->fields[i].name);
		value_add(field, "from", change, &change->fields[i].from);
		value_add(field, "to", change, &change->fields[i].to);
		(void)cJSON_AddItemToArray(fields, field);
	}
	return 0;
}

/* Functions before what leads to them, what belongs to a function behind it. */
static int kind_rank(const cJSON *json)
{
	static const char *const kinds[] = {"setting", "pool", "function", "details",
					    "variable", "version", "route", "row"};
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "kind"));
	int rank = 0;

	while (rank < (int)(sizeof(kinds) / sizeof(kinds[0])) && kind != NULL &&
	       strcmp(kinds[rank], kind) != 0)
		rank++;
	return rank;
}

static int compare_changes(const void *left, const void *right)
{
	const cJSON *a = *(cJSON *const *)left;
	const cJSON *b = *(cJSON *const *)right;
	const char *name_a = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(a, "name"));
	const char *name_b = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(b, "name"));

	if (kind_rank(a) != kind_rank(b))
		return kind_rank(a) - kind_rank(b);
	return name_a == NULL || name_b == NULL ? 0 : strcmp(name_a, name_b);
}

/* Hand the changes to the answer, in order. */
static void changes_tell(struct changes *changes, cJSON *answer)
{
	cJSON *list = cJSON_AddArrayToObject(answer, "changes");

	qsort(changes->json, changes->count, sizeof(changes->json[0]), compare_changes);
	for (size_t i = 0; i < changes->count; i++)
		(void)cJSON_AddItemToArray(list, changes->json[i]);
	changes->count = 0;
	(void)cJSON_AddNumberToObject(answer, "more", (double)changes->more);
}

/* ?from=GENERATION, needed, and ?to=GENERATION, else the newest. */
enum weir_api_result weir_api_history_diff(struct weir_api_call *call)
{
	WEIR_CLEANUP(changes_release) struct changes *changes = calloc(1, sizeof(*changes));
	struct weir_store_error error = {.text = "not enough memory for the difference"};
	uint64_t from = UINT64_MAX;
	uint64_t to = weir_store_generation(call->owner->store);
	int code = changes == NULL ? -ENOMEM : 0;

	if (!weir_api_query_number(call, "from", INT64_MAX, &from) ||
	    !weir_api_query_number(call, "to", INT64_MAX, &to))
		return WEIR_API_DONE;
	if (from == UINT64_MAX)
		return weir_api_refuse(call, 422, "invalid", "from",
				       "from is missing: ?from=GENERATION, &to=GENERATION where that is "
				       "not the newest");
	if (code == 0)
		code = weir_history_diff(call->owner->store, from, to, change_visit, changes, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(call->answer, "from", (double)from);
	(void)cJSON_AddNumberToObject(call->answer, "to", (double)to);
	changes_tell(changes, call->answer);
	call->status = 200;
	return WEIR_API_DONE;
}

/* weir.db is what it was; `code` says whether the public table is, too. */
static enum weir_api_result rolled_back(struct weir_api_call *call, int code,
					struct weir_store_error *error)
{
	struct weir_store_error trouble = {{0}};
	const int loaded = weir_api_rows_reload(call, &trouble);
	const enum weir_api_result result = weir_api_committed(call, 200);

	if (code != 0)
		return weir_api_refuse(call, 500, "rows_not_written", NULL, error->text);
	return loaded != 0 ? weir_api_refuse(call, 500, "not_published", NULL, trouble.text) : result;
}

/* What a rollback's visits need. */
struct rolling {
	struct weir_api_call *call;
	struct changes *changes;
};

static int rolling_visit(void *context, const struct weir_history_change *change)
{
	const struct rolling *rolling = context;

	return change_visit(rolling->changes, change);
}

/* So that calls go on: what is built before it runs is built before it is back. A build that fails did so
 * then, too; the function has that problem again. */
static int rolling_prepare(void *context, const struct weir_model_function *function)
{
	const struct rolling *rolling = context;
	const struct weir_api_call *call = rolling->call;
	char *log = NULL;
	const int code = call->owner->build(call->owner->context, function->runtime, function->code_path,
					    !call->is_rerun, &log);

	free(log);
	return code == -EINPROGRESS ? code : 0;
}

static bool rollback_read(struct weir_api_call *call, struct weir_history_rollback *rollback)
{
	uint32_t generation = 0;

	if (!cJSON_HasObjectItem(call->body, "generation")) {
		(void)weir_api_refuse(call, 422, "invalid", "generation",
				      "generation is missing: the one to go back to");
		return false;
	}
	rollback->is_dry = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "dry_run"));
	if (!weir_api_body_number(call, "generation", &generation))
		return false;
	rollback->generation = generation;
	return true;
}

enum weir_api_result weir_api_history_rollback(struct weir_api_call *call)
{
	WEIR_CLEANUP(changes_release) struct changes *changes = calloc(1, sizeof(*changes));
	struct rolling rolling = {.call = call, .changes = changes};
	struct weir_history_rollback rollback = {
		.visit = rolling_visit, .prepare = rolling_prepare, .context = &rolling};
	struct weir_store_error error = {.text = "not enough memory for the changes"};
	struct weir_history_outcome outcome = {.changes = 0};
	enum weir_api_result result = WEIR_API_DONE;
	int code = changes == NULL ? -ENOMEM : 0;

	if (!rollback_read(call, &rollback))
		return WEIR_API_DONE;
	if (code == 0)
		code = weir_api_rows_settle(call, &error);
	if (code == 0)
		code = weir_history_rollback(call->owner->store, call->owner->table, &rollback, &outcome,
					     &error);
	if (code == -EINPROGRESS)
		return WEIR_API_PENDING;
	if (code != 0 && !outcome.is_committed)
		return weir_api_refuse_store(call, code, &error);
	call->status = 200;
	if (outcome.is_committed)
		result = rolled_back(call, code, &error);
	if (call->answer == NULL) { /* no error */
		call->answer = cJSON_CreateObject();
		changes_tell(changes, call->answer);
	}
	return result;
}
