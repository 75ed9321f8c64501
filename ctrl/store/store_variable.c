#include <errno.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

static int variable_write(struct weir_store *store, uint64_t function_id,
			  const struct weir_store_variable *variable, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const char *text = variable->value == NULL
				   ? "DELETE FROM variables WHERE function_id = ?1 AND name = ?2"
				   : "INSERT OR REPLACE INTO variables (function_id, name, value, "
				     "secret) VALUES (?1, ?2, ?3, ?4)";
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, variable->name, -1, SQLITE_STATIC);
	if (variable->value != NULL) {
		(void)sqlite3_bind_blob64(statement, 3, variable->value, variable->bytes,
					  SQLITE_STATIC);
		(void)sqlite3_bind_int64(statement, 4, variable->is_secret);
	}
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int variables_count(struct weir_store *store, uint64_t function_id, int64_t *out_count,
			   struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store,
				      "SELECT count(*) FROM variables WHERE function_id = ?1",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	*out_count = sqlite3_column_int64(statement, 0);
	return 0;
}

int weir_store_variables_write(struct weir_store *store, uint64_t function_id,
			       const struct weir_store_variables *variables,
			       struct weir_store_error *error)
{
	int64_t count = 0;
	int code = 0;

	for (size_t i = 0; code == 0 && i < variables->count; i++)
		code = variable_write(store, function_id, &variables->variable[i], error);
	if (code == 0)
		code = variables_count(store, function_id, &count, error);
	if (code == 0 && count > WEIR_STORE_VARIABLES_MAX)
		code = weir_store_fail(error, -EDQUOT, "a function has at most %d variables",
				       WEIR_STORE_VARIABLES_MAX);
	return code;
}

static int version_raise(struct weir_store *store, uint64_t function_id,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "UPDATE functions SET version = ?2 WHERE id = ?1",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)(store->generation + 1));
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_variables_change(struct weir_store *store, const char *space, const char *name,
				const struct weir_store_variables *variables,
				struct weir_store_error *error)
{
	struct weir_model_function function = {0};
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = weir_store_function_find(store, space, name, &function, error);
	if (code == 0)
		code = weir_store_variables_write(store, function.id, variables, error);
	if (code == 0)
		code = version_raise(store, function.id, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

int weir_store_variable_each(struct weir_store *store, weir_store_variable_visit *visit,
			     void *context, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(
		store,
		"SELECT f.id, f.version, f.space, f.name, v.name, v.value, v.secret FROM variables v "
		"JOIN functions f ON f.id = v.function_id ORDER BY f.space, f.id, v.name",
		&statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_function function = {
			.id = (uint64_t)sqlite3_column_int64(statement, 0),
			.version = (uint64_t)sqlite3_column_int64(statement, 1),
		};
		const void *value = sqlite3_column_blob(statement, 5);
		const struct weir_store_variable variable = {
			.name = weir_sql_text(statement, 4),
			.value = value == NULL ? "" : value, /* an empty one */
			.bytes = (size_t)sqlite3_column_bytes(statement, 5),
			.is_secret = sqlite3_column_int64(statement, 6) != 0,
		};

		if (!weir_sql_text_copy(statement, 2, function.space, sizeof(function.space)) ||
		    !weir_sql_text_copy(statement, 3, function.name, sizeof(function.name)))
			continue; /* the functions' own reading says what is wrong with them */
		code = visit(context, &function, &variable);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}
