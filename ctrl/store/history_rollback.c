#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/store/history_internal.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"

/* What the rows that came back go through. */
struct restoring {
	struct weir_store *store;
	struct weir_public_table *table;
	const struct weir_history_rollback *rollback;
	struct weir_public_table_edit edit; /* begun with the first row of the public table */
	struct weir_history_columns columns;
	sqlite3_changeset_iter *iterator;
	int operation;
	bool is_preparing; /* a function is not ready to run */
	struct weir_store_error *error;
};

/* A value of the present row, as it is now, else as it was; NULL: it did not change. */
static sqlite3_value *value_of(const struct restoring *restoring, const char *column, bool now)
{
	const int place = weir_history_column(&restoring->columns, column);
	sqlite3_value *value = NULL;

	if (place == -1)
		return NULL;
	if (now && restoring->operation != SQLITE_DELETE)
		(void)sqlite3changeset_new(restoring->iterator, place, &value); /* in range */
	if (!now && restoring->operation != SQLITE_INSERT)
		(void)sqlite3changeset_old(restoring->iterator, place, &value);
	return value;
}

/* The key's value: what is changed has it as it was. */
static sqlite3_value *key_of(const struct restoring *restoring, const char *column)
{
	return value_of(restoring, column, restoring->operation == SQLITE_INSERT);
}

/* Why what a generation held cannot come back, with the reason that stands in *error. */
static int refuse(const struct restoring *restoring, int code)
{
	const struct weir_store_error reason = *restoring->error;

	return weir_store_fail(restoring->error, code, "generation %llu cannot be restored: %s",
			       (unsigned long long)restoring->rollback->generation, reason.text);
}

/* The record, its details and its code, as they stand now. */
static int function_check(struct restoring *restoring, const char *space, const char *name)
{
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	struct weir_store *store = restoring->store;
	struct weir_model_function function = {0};
	int code = weir_store_function_find(store, space, name, &function, restoring->error);

	if (code == 0)
		code = weir_store_details_get(store, &function, &details, restoring->error);
	if (code != 0)
		return code == -EBADMSG ? refuse(restoring, -EINVAL) : code;
	/* What lies outside may come later, as when a function is added. */
	if (weir_store_path_kept(store, function.code_path) != function.code_path &&
	    access(function.code_path, F_OK) != 0) {
		(void)snprintf(restoring->error->text, sizeof(restoring->error->text),
			       "%s/%s needs %s, which is not there any more; put it back, or deploy it again",
			       space, name, function.code_path); /* cut is fine */
		return refuse(restoring, -ENODATA);
	}
	if (!restoring->rollback->is_dry && restoring->rollback->prepare != NULL &&
	    restoring->rollback->prepare(restoring->rollback->context, &function) == -EINPROGRESS)
		restoring->is_preparing = true; /* the others begin meanwhile */
	return 0;
}

/* A function that was restored, or whose environment was. One that is gone now needs nothing. */
static int function_settle(struct restoring *restoring, int64_t id)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_store *store = restoring->store;
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1] = "";
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1] = "";
	int code = weir_history_run(store, "UPDATE functions SET version = ?2 WHERE id = ?1", id,
				    (int64_t)store->generation + 1, restoring->error);

	if (code == 0)
		code = weir_store_prepare(store, "SELECT space, name FROM functions WHERE id = ?1", &statement,
					  restoring->error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, id); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return 0;
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, restoring->error);
	if (!weir_sql_text_copy(statement, 0, space, sizeof(space)) ||
	    !weir_sql_text_copy(statement, 1, name, sizeof(name))) {
		(void)snprintf(restoring->error->text, sizeof(restoring->error->text),
			       "a function's name is too long");
		return refuse(restoring, -EINVAL);
	}
	return function_check(restoring, space, name);
}

static int route_settle(struct restoring *restoring, int64_t id)
{
	struct weir_model_route route = {0};
	const int code = weir_store_route_get(restoring->store, (uint64_t)id, &route, restoring->error);

	/* Not there: it leads to no function. */
	return code == -EBADMSG || code == -ENOENT ? refuse(restoring, -EINVAL) : code;
}

/* What an image stands for: functions with it run other code. */
static int alias_settle(struct restoring *restoring)
{
	sqlite3_value *const image = key_of(restoring, "image");

	return image == NULL ? weir_store_fail(restoring->error, -EBADMSG,
					       "%s, table image_alias: there is no column image any more",
					       restoring->store->path)
			     : weir_store_image_touch(restoring->store, (const char *)sqlite3_value_text(image),
						      restoring->error);
}

/* A row of the public table: its copy here gets a new version, the table its value. */
static int row_settle(struct restoring *restoring)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_store *store = restoring->store;
	sqlite3_value *const key = key_of(restoring, "k");
	sqlite3_value *const value = value_of(restoring, "v", true);
	int code = key == NULL ? -EBADMSG : 0;

	if (code != 0)
		return weir_store_fail(restoring->error, code, "%s, table public_rows: there is no column k any more",
				       store->path);
	code = weir_store_prepare(store, "UPDATE public_rows SET version = ?2 WHERE k = ?1", &statement,
				  restoring->error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_value(statement, 1, key); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)store->generation + 1);
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, restoring->error);
	if (restoring->rollback->is_dry || (restoring->operation == SQLITE_UPDATE && value == NULL))
		return 0;
	if (restoring->edit.db == NULL) {
		code = weir_public_table_edit_begin(restoring->table, &restoring->edit, restoring->error);
		if (code != 0)
			return code;
	}
	return weir_public_table_edit_put(&restoring->edit, (const char *)sqlite3_value_text(key),
					  value == NULL ? NULL : (const char *)sqlite3_value_text(value),
					  restoring->error);
}

static int change_settle(struct restoring *restoring, const char *table)
{
	if (strcmp(table, "functions") == 0 && restoring->operation != SQLITE_DELETE)
		return function_settle(restoring, weir_history_number_of(key_of(restoring, "id")));
	if (strcmp(table, "variables") == 0)
		return function_settle(restoring, weir_history_number_of(key_of(restoring, "function_id")));
	if (strcmp(table, "routes") == 0 && restoring->operation != SQLITE_DELETE)
		return route_settle(restoring, weir_history_number_of(key_of(restoring, "id")));
	if (strcmp(table, "image_alias") == 0)
		return alias_settle(restoring);
	return strcmp(table, "public_rows") == 0 ? row_settle(restoring) : 0;
}

static int changes_settle(struct restoring *restoring, const struct weir_history_changes *changes)
{
	struct weir_store *store = restoring->store;
	int result = 0;
	int code = sqlite3changeset_start(&restoring->iterator, changes->bytes, changes->data);

	while (code == SQLITE_OK && result == 0 &&
	       (code = sqlite3changeset_next(restoring->iterator)) == SQLITE_ROW) {
		const char *table = NULL;
		int width = 0;

		code = sqlite3changeset_op(restoring->iterator, &table, &width, &restoring->operation, NULL);
		if (code == SQLITE_OK)
			result = weir_history_columns_read(store, table, &restoring->columns,
							   restoring->error);
		if (code == SQLITE_OK && result == 0)
			result = change_settle(restoring, table);
	}
	(void)sqlite3changeset_finalize(restoring->iterator); /* repeats the last error */
	if (result == 0 && code != SQLITE_DONE && code != SQLITE_OK)
		result = weir_sql_error(store->db, code, store->path, restoring->error);
	return result;
}

/* The rules between tables, which were not enforced on the way. */
static int references_check(struct restoring *restoring)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_store *store = restoring->store;
	int code = weir_store_prepare(store, "PRAGMA foreign_key_check", &statement, restoring->error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return 0;
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, restoring->error);
	(void)snprintf(restoring->error->text, sizeof(restoring->error->text),
		       "a row of table %s would refer to one of table %s that is not there",
		       weir_sql_text(statement, 0), weir_sql_text(statement, 2)); /* cut is fine */
	return refuse(restoring, -EINVAL);
}

/* Stand there, and look at it from all sides. */
static int restore(struct restoring *restoring, struct weir_history_travel *travel, size_t *out_changes)
{
	WEIR_CLEANUP(weir_history_changes_release) struct weir_history_changes changes = {0};
	const struct weir_history_viewer viewer = {.visit = restoring->rollback->visit,
						   .context = restoring->rollback->context};
	struct weir_store *store = restoring->store;
	int code = weir_history_travel_to(store, travel, restoring->rollback->generation, restoring->error);

	if (code == 0)
		code = weir_history_session_take(store, store->session, &changes, restoring->error);
	if (code == 0)
		code = changes_settle(restoring, &changes);
	if (code == 0)
		code = references_check(restoring);
	if (code == 0 && restoring->is_preparing)
		code = weir_store_fail(restoring->error, -EINPROGRESS, "functions are being built");
	return code == 0 ? weir_history_changes_visit(store, &changes, &viewer, out_changes, restoring->error)
			 : code;
}

static int rows_commit(struct restoring *restoring)
{
	struct weir_store_error reason;
	int code = 0;

	if (restoring->edit.db == NULL)
		return 0;
	code = weir_public_table_edit_commit(&restoring->edit, restoring->error);
	if (code == 0)
		return 0;
	reason = *restoring->error;
	return weir_store_fail(restoring->error, code,
			       "the configuration is that of generation %llu, but the rows of the public "
			       "table stay: %s",
			       (unsigned long long)restoring->rollback->generation, reason.text);
}

int weir_history_rollback(struct weir_store *store, struct weir_public_table *table,
			  const struct weir_history_rollback *rollback,
			  struct weir_history_outcome *outcome, struct weir_store_error *error)
{
	struct restoring restoring = {
		.store = store, .table = table, .rollback = rollback, .error = error};
	struct weir_history_travel travel;
	int code = weir_history_travel_begin(store, &travel, error);

	*outcome = (struct weir_history_outcome){.changes = 0};
	if (code != 0)
		return code;
	code = restore(&restoring, &travel, &outcome->changes);
	if (code == 0 && outcome->changes > 0 && !rollback->is_dry) {
		travel.is_open = false; /* finish ends it either way */
		code = weir_store_finish(store, error);
		outcome->is_committed = code == 0;
	}
	weir_history_travel_end(store, &travel);
	if (outcome->is_committed) {
		store->changes.all = true;
		WEIR_FAULT(rollback_between_files);
		code = rows_commit(&restoring);
	}
	weir_public_table_edit_drop(&restoring.edit);
	return code;
}
