#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

/* A column's text in memory of its own, NULL where it is empty. */
static int text_take(sqlite3_stmt *row, int column, char **out_text)
{
	const char *text = weir_sql_text(row, column);

	*out_text = text[0] == '\0' ? NULL : strdup(text);
	return text[0] != '\0' && *out_text == NULL ? -ENOMEM : 0;
}

static int details_read(struct weir_store *store, sqlite3_stmt *row, struct weir_model_details *out_details,
			struct weir_store_error *error)
{
	struct weir_model_error wrong = {.field = "description", .reason = "is too long"};
	int code = -EINVAL;

	if (weir_sql_text_copy(row, 0, out_details->description, sizeof(out_details->description)))
		code = text_take(row, 1, &out_details->parameters);
	if (code == 0)
		code = text_take(row, 2, &out_details->annotations);
	if (code == 0)
		code = weir_model_details_check(out_details, &wrong);
	if (code == -ENOMEM)
		return weir_store_fail(error, -ENOMEM, "not enough memory for what a function carries");
	return code == 0 ? 0
			 : weir_store_fail(error, -EBADMSG, "%s, table details, %s/%s: %s %s", store->path,
					   weir_sql_text(row, 3), weir_sql_text(row, 4), wrong.field,
					   wrong.reason);
}

int weir_store_details_get(struct weir_store *store, const struct weir_model_function *function,
			   struct weir_model_details *out_details, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_details details = {.parameters = NULL};
	int code = 0;

	if (function->details == 0) {
		*out_details = details;
		return 0;
	}
	code = weir_store_prepare(store,
				  "SELECT d.description, d.parameters, d.annotations, f.space, f.name "
				  "FROM details d JOIN functions f ON f.id = d.function_id "
				  "WHERE d.id = ?1 AND f.id = ?2",
				  &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function->details); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)function->id);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return weir_store_fail(error, -EBADMSG, "%s, table details: what %s/%s refers to is missing",
				       store->path, function->space, function->name);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	code = details_read(store, statement, &details, error);
	if (code == 0)
		*out_details = details;
	else
		weir_model_details_release(&details);
	return code;
}

int weir_store_record_check(const struct weir_model_function *function,
			    const struct weir_model_details *details, struct weir_store_error *error)
{
	struct weir_model_error wrong;
	int code = weir_model_function_check(function, &wrong);

	if (code == 0 && details != NULL)
		code = weir_model_details_check(details, &wrong);
	if (code == -ENOMEM)
		return weir_store_fail(error, -ENOMEM, "not enough memory for what the function carries");
	return code == 0 ? 0 : weir_store_fail(error, code, "%s: %s", wrong.field, wrong.reason);
}

int weir_store_details_insert(struct weir_store *store, uint64_t function_id,
			      const struct weir_model_details *details, uint64_t *out_id,
			      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const char *parameters = details->parameters == NULL ? "" : details->parameters;
	const char *annotations = details->annotations == NULL ? "" : details->annotations;
	uint64_t id = 0;
	int code = 0;

	if (details->description[0] == '\0' && parameters[0] == '\0' && annotations[0] == '\0') {
		*out_id = 0;
		return 0;
	}
	code = weir_store_id_next(store, &id, error);
	if (code == 0)
		code = weir_store_prepare(store,
					  "INSERT INTO details (id, function_id, description, parameters, "
					  "annotations) VALUES (?1, ?2, ?3, ?4, ?5)",
					  &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)function_id);
	(void)sqlite3_bind_text(statement, 3, details->description, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 4, parameters, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 5, annotations, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	*out_id = id;
	return 0;
}

int weir_store_details_trim(struct weir_store *store, uint64_t function_id, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store,
				      "DELETE FROM details WHERE function_id = ?1 AND id NOT IN ("
				      " SELECT details FROM versions WHERE function_id = ?1 UNION ALL"
				      " SELECT details FROM functions WHERE id = ?1)",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function_id);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}
