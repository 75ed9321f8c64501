#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

/* Run a prepared change. 0 or as weir_sql_error(). */
static int step_done(struct weir_store *store, sqlite3_stmt *statement,
		     struct weir_store_error *error)
{
	const int code = sqlite3_step(statement);

	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* The one number that a query about a function gives. */
static int number_of(struct weir_store *store, const char *text, uint64_t function_id,
		     uint32_t argument, uint32_t *out_number, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, argument);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	*out_number = (uint32_t)sqlite3_column_int64(statement, 0);
	return 0;
}

static int version_insert(struct weir_store *store, uint64_t function_id,
			  const struct weir_model_function *function, const char *hash,
			  uint32_t number, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char specs[WEIR_MODEL_SPECS_BYTES_MAX];
	const int code = weir_store_prepare(
		store,
		"INSERT INTO versions (function_id, number, created, code, runtime, code_path, "
		"handler, timeout_ms, memory_mb, queue_max, specs, image, details) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	(void)sqlite3_bind_int64(statement, 2, number);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)time(NULL));
	(void)sqlite3_bind_text(statement, 4, hash, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 5, function->runtime, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 6, weir_store_path_kept(store, function->code_path), -1,
				SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 7, function->handler, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 8, function->timeout_ms);
	(void)sqlite3_bind_int64(statement, 9, function->memory_mb);
	(void)sqlite3_bind_int64(statement, 10, function->queue_max);
	(void)sqlite3_bind_text(statement, 11, weir_model_specs_format(function, specs), -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 12, function->image, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 13, (sqlite3_int64)function->details);
	return step_done(store, statement, error);
}

/* The function becomes what version `number` says. */
static int version_use(struct weir_store *store, uint64_t function_id, uint32_t number,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const int code = weir_store_prepare(
		store,
		"UPDATE functions SET version = ?3, number = v.number, runtime = v.runtime, "
		"code_path = v.code_path, handler = v.handler, timeout_ms = v.timeout_ms, "
		"memory_mb = v.memory_mb, queue_max = v.queue_max, specs = v.specs, image = v.image, "
		"details = v.details "
		"FROM (SELECT * FROM versions WHERE function_id = ?1 AND number = ?2) AS v "
		"WHERE functions.id = ?1",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	(void)sqlite3_bind_int64(statement, 2, number);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)(store->generation + 1));
	return step_done(store, statement, error);
}

/* Only the newest `versions_max` stay, and the one that serves. */
static int versions_trim(struct weir_store *store, uint64_t function_id, uint32_t versions_max,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const int code = weir_store_prepare(
		store,
		"DELETE FROM versions WHERE function_id = ?1 AND number NOT IN ("
		" SELECT number FROM versions WHERE function_id = ?1 ORDER BY number DESC LIMIT ?2) "
		"AND number <> (SELECT number FROM functions WHERE id = ?1)",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	(void)sqlite3_bind_int64(statement, 2, versions_max);
	return step_done(store, statement, error);
}

/* The function of that name, made where it is missing; one that was only added gets its version 1. */
static int function_settle(struct weir_store *store, const struct weir_model_function *function,
			   uint64_t *out_id, struct weir_store_error *error)
{
	struct weir_model_function present = {0};
	int code = weir_store_function_find(store, function->space, function->name, &present,
					    error);

	if (code == -ENOENT) {
		code = weir_store_function_insert(store, function, error);
		if (code == 0)
			code = weir_store_function_find(store, function->space, function->name,
							&present, error);
	} else if (code == 0 && present.number == 0) {
		code = version_insert(store, present.id, &present, "", 1, error);
	}
	if (code == 0)
		*out_id = present.id;
	return code;
}

/* Whose a function is does not change with its version. */
static int owner_write(struct weir_store *store, uint64_t function_id, const char *owner,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const int code = weir_store_prepare(store, "UPDATE functions SET owner = ?2 WHERE id = ?1",
					    &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	(void)sqlite3_bind_text(statement, 2, owner, -1, SQLITE_STATIC);
	return step_done(store, statement, error);
}

static int deploy(struct weir_store *store, const struct weir_model_function *wanted,
		  const struct weir_store_deployment *deployment, uint32_t *out_number,
		  struct weir_store_error *error)
{
	struct weir_model_function function = *wanted;
	uint64_t id = 0;
	int code = function_settle(store, wanted, &id, error);

	if (code == 0)
		code = owner_write(store, id, wanted->owner, error);
	if (code == 0 && deployment->details != NULL)
		code = weir_store_details_insert(store, id, deployment->details, &function.details, error);
	if (code == 0)
		code = number_of(store,
				 "SELECT coalesce(max(number), 0) + 1 FROM versions WHERE "
				 "function_id = ?1 AND ?2 = 0",
				 id, 0, out_number, error);
	if (code == 0)
		code = version_insert(store, id, &function, deployment->code, *out_number, error);
	if (code == 0)
		code = version_use(store, id, *out_number, error);
	if (code == 0 && deployment->variables != NULL)
		code = weir_store_variables_write(store, id, deployment->variables, error);
	if (code == 0)
		code = versions_trim(store, id, deployment->versions_max, error);
	return code == 0 ? weir_store_details_trim(store, id, error) : code;
}

int weir_store_deploy(struct weir_store *store, const struct weir_model_function *function,
		      const struct weir_store_deployment *deployment, uint32_t *out_number,
		      struct weir_store_error *error)
{
	uint32_t number = 0;
	int result = weir_store_record_check(function, deployment->details, error);

	if (result != 0)
		return result;
	result = weir_store_begin(store, error);
	if (result != 0)
		return result;
	result = deploy(store, function, deployment, &number, error);
	if (result == 0)
		result = weir_store_finish(store, error);
	else
		weir_store_undo(store);
	if (result == 0)
		*out_number = number;
	return result;
}

/* 0, or -EBADMSG with *wrong. */
static int version_read(struct weir_store *store, sqlite3_stmt *row,
			const struct weir_model_function *current,
			struct weir_store_version *out_version, struct weir_model_error *wrong)
{
	struct weir_model_function *function = &out_version->function;

	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	*function = *current;
	out_version->number = (uint32_t)sqlite3_column_int64(row, 0);
	out_version->created_s = sqlite3_column_int64(row, 1);
	out_version->is_current = out_version->number == current->number;
	function->number = out_version->number;
	function->timeout_ms = (uint32_t)sqlite3_column_int64(row, 6);
	function->memory_mb = (uint32_t)sqlite3_column_int64(row, 7);
	function->queue_max = (uint32_t)sqlite3_column_int64(row, 8);
	function->details = (uint64_t)sqlite3_column_int64(row, 11);
	if (weir_sql_text_copy(row, 2, out_version->code, sizeof(out_version->code)) &&
	    weir_sql_text_copy(row, 3, function->runtime, sizeof(function->runtime)) &&
	    weir_store_path_read(store, row, 4, function->code_path) &&
	    weir_sql_text_copy(row, 5, function->handler, sizeof(function->handler)) &&
	    weir_sql_text_copy(row, 10, function->image, sizeof(function->image)) &&
	    weir_model_specs_parse(weir_sql_text(row, 9), function, wrong) == 0 &&
	    weir_model_function_check(function, wrong) == 0)
		return 0;
	return -EBADMSG;
}

/* While all is examined it is only noted. */
static int version_bad(struct weir_store *store, const struct weir_store_version *version,
		       const struct weir_model_error *wrong, struct weir_store_error *error)
{
	const struct weir_model_function *function = &version->function;
	struct weir_store_bad_row bad = {.table = "versions"};

	if (store->examiner == NULL)
		return weir_store_fail(error, -EBADMSG, "%s, table versions, %s/%s, %u: %s: %s", store->path,
				       function->space, function->name, version->number, wrong->field,
				       wrong->reason);
	(void)snprintf(bad.row, sizeof(bad.row), "%s/%s %u", function->space, function->name, version->number); /* fits */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	store->examiner->found(store->examiner->context, &bad);
	return 0;
}

static int versions_visit(struct weir_store *store, const struct weir_model_function *current,
			  weir_store_version_visit *visit, void *context,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(
		store,
		"SELECT number, created, code, runtime, code_path, handler, timeout_ms, "
		"memory_mb, queue_max, specs, image, details FROM versions WHERE function_id = ?1 ORDER BY number DESC",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)current->id);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_store_version version = {0};
		struct weir_model_error wrong;

		code = version_read(store, statement, current, &version, &wrong);
		code = code == 0 ? visit(context, &version) : version_bad(store, &version, &wrong, error);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_version_each(struct weir_store *store, const char *space, const char *name,
			    weir_store_version_visit *visit, void *context,
			    struct weir_store_error *error)
{
	struct weir_model_function current = {0};
	const int code = weir_store_function_find(store, space, name, &current, error);

	return code != 0 ? code : versions_visit(store, &current, visit, context, error);
}

/* One that is looked for. */
struct wanted {
	uint32_t number;
	struct weir_store_version *found;
};

static int wanted_visit(void *context, const struct weir_store_version *version)
{
	const struct wanted *wanted = context;

	if (version->number == wanted->number)
		*wanted->found = *version;
	return 0;
}

/* Which version is meant: `number`, or the one before the present. */
static int target_find(struct weir_store *store, const struct weir_model_function *current,
		       uint32_t number, struct weir_store_version *out_version,
		       struct weir_store_error *error)
{
	struct wanted wanted = {.number = number, .found = out_version};
	int code = 0;

	if (number == 0)
		code = number_of(store,
				 "SELECT coalesce(max(number), 0) FROM versions WHERE "
				 "function_id = ?1 AND number < ?2",
				 current->id, current->number, &wanted.number, error);
	if (code != 0)
		return code;
	if (wanted.number == 0)
		return weir_store_fail(error, -ENOENT,
				       "%s/%s has no version before the present one",
				       current->space, current->name);
	if (wanted.number == current->number)
		return weir_store_fail(error, -EEXIST, "version %u of %s/%s serves already",
				       wanted.number, current->space, current->name);
	code = versions_visit(store, current, wanted_visit, &wanted, error);
	if (code == 0 && out_version->number == 0)
		code = weir_store_fail(error, -ENOENT,
				       "%s/%s has no version %u; `ctrlctl fn versions` lists them",
				       current->space, current->name, wanted.number);
	return code;
}

int weir_store_rollback(struct weir_store *store, const char *space, const char *name,
			uint32_t number, struct weir_store_version *out_version,
			struct weir_store_error *error)
{
	struct weir_model_function current = {0};
	struct weir_store_version version = {0};
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = weir_store_function_find(store, space, name, &current, error);
	if (code == 0)
		code = target_find(store, &current, number, &version, error);
	if (code == 0)
		code = version_use(store, current.id, version.number, error);
	if (code == 0)
		code = weir_store_finish(store, error);
	else
		weir_store_undo(store);
	if (code == 0)
		*out_version = version;
	return code;
}

bool weir_store_code_used(struct weir_store *store, const char *code)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_store_error error;

	if (weir_store_prepare(store, "SELECT 1 FROM versions WHERE code = ?1 UNION ALL "
			       "SELECT 1 FROM history_code WHERE code = ?1 LIMIT 1",
			       &statement, &error) != 0)
		return true;
	(void)sqlite3_bind_text(statement, 1, code, -1, SQLITE_STATIC);
	return sqlite3_step(statement) != SQLITE_DONE;
}
