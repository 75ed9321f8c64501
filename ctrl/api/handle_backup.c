#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"

static bool flag(const struct weir_api_call *call, const char *name)
{
	char text[8];

	return weir_api_query(call, name, text, sizeof(text)) && strcmp(text, "1") == 0;
}

/* There is no job, or it is over: a lock was waited for as long as it may be. */
static enum weir_api_result end_refuse(struct weir_api_call *call, int code, const struct weir_store_error *error)
{
	call->backup_job = 0;
	(void)weir_api_refuse_store(call, code, error);
	return WEIR_API_DONE;
}

/* A job that cannot begin: another is under way, which ends some time; or the reason. */
static enum weir_api_result begin_refuse(struct weir_api_call *call, int code)
{
	struct weir_store_error error;

	if (code == -EBUSY)
		return WEIR_API_PENDING;
	(void)snprintf(error.text, sizeof(error.text), "the backup cannot be begun: %s", strerror(-code));
	return end_refuse(call, code, &error);
}

/* What a backup holds; members lack without memory. */
static cJSON *report_json(const struct weir_backup_report *report)
{
	cJSON *json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "weir", report->weir);
	(void)cJSON_AddNumberToObject(json, "schema", report->schema);
	(void)cJSON_AddNumberToObject(json, "generation", (double)report->generation);
	(void)cJSON_AddNumberToObject(json, "created", (double)report->created_s);
	(void)cJSON_AddStringToObject(json, "host", report->host);
	(void)cJSON_AddNumberToObject(json, "functions", report->functions);
	(void)cJSON_AddNumberToObject(json, "routes", report->routes);
	(void)cJSON_AddNumberToObject(json, "rows", report->rows);
	(void)cJSON_AddNumberToObject(json, "codes", report->codes);
	(void)cJSON_AddNumberToObject(json, "code_bytes", (double)report->code_bytes);
	(void)cJSON_AddNumberToObject(json, "bytes", (double)report->bytes);
	(void)cJSON_AddBoolToObject(json, "key", report->has_key);
	return json;
}

enum weir_api_result weir_api_backup_get(struct weir_api_call *call)
{
	struct weir_backup *backup = call->owner->backup;
	struct weir_backup_report report;
	struct weir_store_error error = {{0}};
	int code = 0;

	if (call->backup_job == 0) {
		code = weir_backup_make(backup, flag(call, "key"), &call->backup_job);
		return code == 0 ? WEIR_API_PENDING : begin_refuse(call, code);
	}
	code = weir_backup_made(backup, call->backup_job, &call->file_fd, &report, &error);
	if (code == -EINPROGRESS)
		return WEIR_API_PENDING;
	if (code != 0)
		return end_refuse(call, code, &error);
	call->backup_job = 0;
	call->status = 200;
	call->answer = report_json(&report);
	return WEIR_API_DONE;
}

static void difference_add(cJSON *json, const char *name, const struct weir_store_difference *difference)
{
	cJSON *item = cJSON_AddObjectToObject(json, name);

	(void)cJSON_AddNumberToObject(item, "added", difference->added);
	(void)cJSON_AddNumberToObject(item, "changed", difference->changed);
	(void)cJSON_AddNumberToObject(item, "removed", difference->removed);
}

static void names_add(cJSON *json, const char *name, const struct weir_backup_names *names)
{
	cJSON *item = cJSON_AddObjectToObject(json, name);
	cJSON *list = cJSON_AddArrayToObject(item, "functions");

	(void)cJSON_AddNumberToObject(item, "count", names->count);
	for (uint32_t i = 0; i < names->count && i < WEIR_BACKUP_NAMES_MAX; i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(names->name[i]));
}

static cJSON *restored_json(const struct weir_backup_report *report, const struct weir_backup_changes *changes)
{
	static const char *const names[WEIR_STORE_PART_COUNT] = {
		[WEIR_STORE_FUNCTIONS] = "functions", [WEIR_STORE_ROUTES] = "routes",
		[WEIR_STORE_VERSIONS] = "versions",   [WEIR_STORE_VARIABLES] = "variables",
		[WEIR_STORE_SETTINGS] = "settings",   [WEIR_STORE_POOL_SETTINGS] = "pool_settings",
		[WEIR_STORE_IMAGE_ALIASES] = "images",	      [WEIR_STORE_USERS] = "users",
		[WEIR_STORE_KEYS] = "keys",
	};
	cJSON *json = cJSON_CreateObject();
	cJSON *parts = cJSON_AddObjectToObject(json, "changes");

	(void)cJSON_AddItemToObject(json, "backup", report_json(report));
	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		difference_add(parts, names[i], &changes->part[i]);
	difference_add(parts, "rows", &changes->rows);
	(void)cJSON_AddNumberToObject(json, "secrets_sealed_anew", report->secrets_sealed_anew);
	names_add(json, "unopened", &report->unopened);
	names_add(json, "missing", &report->missing);
	return json;
}

/* weir.db has it and the public table has not: what is there serves, and is said. Locks are waited for. */
static enum weir_api_result half_refuse(struct weir_api_call *call, int code, const struct weir_store_error *error)
{
	char sentence[sizeof(error->text) + 128];
	struct weir_store_error ignored = {{0}};

	if (!call->is_half_published)
		(void)call->owner->publish(call->owner->context, &ignored); /* it is tried again by itself */
	call->is_half_published = true;
	(void)snprintf(sentence, sizeof(sentence),
		       "functions, routes and settings are restored, the rows of the public table are not (%s); restore "
		       "once more",
		       error->text); /* fits */
	(void)weir_api_refuse(call, 503, "half_restored", NULL, sentence);
	return code == -EAGAIN ? WEIR_API_RETRY : WEIR_API_DONE;
}

/* Ask for the code to be built where its runtime wants that, so that it runs as soon as it is there. What cannot
 * be built is no reason to restore nothing: its calls say so. */
struct builds {
	struct weir_api_call *call;
	bool is_pending;
};

static void build_ask(void *context, const char *runtime, const char *path)
{
	struct builds *builds = context;
	const struct weir_api_owner *owner = builds->call->owner;
	char *log = NULL;

	builds->is_pending |= owner->build(owner->context, runtime, path, false, &log) == -EINPROGRESS;
	free(log);
}

/* What it needs is built. */
static enum weir_api_result restore_now(struct weir_api_call *call, const struct weir_backup_report *report)
{
	const struct weir_api_owner *owner = call->owner;
	const bool dry_run = flag(call, "dry-run");
	struct weir_backup_changes changes;
	struct weir_store_error error = {{0}};
	enum weir_api_result result = WEIR_API_DONE;
	int code = weir_backup_restore(owner->backup, call->backup_job, owner->store, owner->table, dry_run, &changes,
				       &error);

	if (code == -ESTALE)
		return weir_api_refuse(call, 503, "busy", NULL, error.text);
	if (code != 0)
		return weir_backup_is_half(owner->backup, call->backup_job) ? half_refuse(call, code, &error)
									    : weir_api_refuse_store(call, code, &error);
	weir_backup_drop(owner->backup, call->backup_job);
	call->backup_job = 0;
	if (!dry_run) {
		/* Rows that cannot be read now are taken as soon as they can, as those of others are. */
		(void)owner->table_written(owner->context, &error);
		result = weir_api_committed(call, 200);
		if (result != WEIR_API_WAIT)
			return result;
	}
	call->status = 200;
	call->answer = restored_json(report, &changes);
	return result;
}

/* The file was read and is sound. */
static enum weir_api_result restore_build(struct weir_api_call *call, const struct weir_backup_report *report)
{
	struct builds builds = {.call = call};
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!flag(call, "dry-run") && !weir_backup_is_half(call->owner->backup, call->backup_job))
		code = weir_backup_code_each(call->owner->backup, call->backup_job, build_ask, &builds, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	return builds.is_pending ? WEIR_API_PENDING : restore_now(call, report);
}

enum weir_api_result weir_api_restore(struct weir_api_call *call)
{
	struct weir_backup *backup = call->owner->backup;
	struct weir_backup_report report;
	struct weir_store_error error = {{0}};
	int code = 0;

	if (call->backup_job == 0) {
		code = weir_backup_read(backup, call->backup, !flag(call, "dry-run"), &call->backup_job);
		if (code != 0)
			return begin_refuse(call, code);
		call->backup = NULL; /* the job's */
		return WEIR_API_PENDING;
	}
	code = weir_backup_was_read(backup, call->backup_job, &report, &error);
	if (code == -EINPROGRESS)
		return WEIR_API_PENDING;
	if (code == 0)
		return restore_build(call, &report);
	return end_refuse(call, code, &error);
}
