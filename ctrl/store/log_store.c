#include "ctrl/store/log_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctrl/store/side_file.h"
#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum {
	TRIM_LINES = 200, /* removed at once */
	TRIM_STEPS = 50,  /* in one call */
	VACUUM_PAGES = 2000,
	SCHEMA_VERSION = 1,
};

static const char file_name[] = "functions.db";

static const char schema[] =
	"CREATE TABLE line ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, received INTEGER NOT NULL,"
	"  activation BLOB NOT NULL, function TEXT NOT NULL, stream INTEGER NOT NULL,"
	"  text BLOB NOT NULL) STRICT;"
	"CREATE INDEX line_by_activation ON line (activation);"
	"CREATE INDEX line_by_function ON line (function, id);"
	"CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"INSERT INTO counter VALUES ('dropped', 0);"
	"PRAGMA user_version = 1;";

struct weir_log_store {
	char path[WEIR_STORE_PATH_BYTES_MAX];
	sqlite3 *db;
	sqlite3_stmt *insert;
	struct weir_log_totals totals;
	uint64_t file_bytes; /* with pages that hold nothing */
};

/* ---- the writer ---- */

static int totals_read(struct weir_log_store *store, struct weir_store_error *error)
{
	struct weir_log_totals totals = {0};
	struct weir_side_file_size size;
	int code = weir_side_file_size(store->db, store->path, &size, error);

	if (code == 0)
		code = weir_side_file_number(store->db, store->path,
					     "SELECT value FROM counter WHERE name = 'dropped'",
					     &totals.dropped, error);
	if (code != 0)
		return code;
	totals.bytes = size.used_bytes;
	store->totals = totals;
	store->file_bytes = size.file_bytes;
	return 0;
}

int weir_log_store_open(const char *data, struct weir_log_store **out_store,
			struct weir_store_error *error)
{
	struct weir_log_store *const store = calloc(1, sizeof(*store));
	int code = 0;

	if (store == NULL)
		return weir_store_fail(error, -ENOMEM, "no memory for the log of functions");
	if (!weir_side_file_path(data, file_name, store->path))
		code = weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	if (code == 0)
		code = weir_side_file_open(store->path, schema, SCHEMA_VERSION, &store->db, error);
	if (code == 0)
		code = weir_sql_prepare(
			store->db, store->path,
			"INSERT INTO line (time, received, activation, function, stream, text) "
			"VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			&store->insert, error);
	if (code == 0)
		code = totals_read(store, error);
	if (code != 0) {
		weir_log_store_close(store);
		return code;
	}
	*out_store = store;
	return 0;
}

void weir_log_store_close(struct weir_log_store *store)
{
	if (store == NULL)
		return;
	weir_sql_finalize(&store->insert);
	(void)sqlite3_close_v2(store->db); /* cannot fail: nothing else is open in it */
	free(store);
}

static void undo(struct weir_log_store *store)
{
	if (sqlite3_get_autocommit(store->db) == 0)
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL,
				   NULL); /* the first error counts */
}

int weir_log_store_begin(struct weir_log_store *store, struct weir_store_error *error)
{
	return weir_sql_run(store->db, store->path, "BEGIN IMMEDIATE", error);
}

int weir_log_store_add(struct weir_log_store *store, const struct weir_log_line *line,
		       struct weir_store_error *error)
{
	uint8_t activation[16];
	int code = 0;

	weir_side_file_id(line->activation_high, line->activation_low, activation);
	/* Errors of binding show at the step. */
	(void)sqlite3_bind_int64(store->insert, 1, (sqlite3_int64)line->time_ns);
	(void)sqlite3_bind_int64(store->insert, 2, (sqlite3_int64)line->received_ns);
	(void)sqlite3_bind_blob(store->insert, 3, activation, sizeof(activation), SQLITE_STATIC);
	(void)sqlite3_bind_text(store->insert, 4, line->function.data,
				(int)line->function.bytes, SQLITE_STATIC);
	(void)sqlite3_bind_int(store->insert, 5, line->stream);
	(void)sqlite3_bind_blob(store->insert, 6, line->text.bytes != 0 ? line->text.data : "",
				(int)line->text.bytes, SQLITE_STATIC);
	errno = 0;
	code = sqlite3_step(store->insert);
	if (code == SQLITE_DONE) {
		(void)sqlite3_reset(store->insert); /* repeats the step's success */
		return 0;
	}
	code = weir_sql_error(store->db, code, store->path, error);
	(void)sqlite3_reset(store->insert); /* repeats the step's error */
	undo(store);
	return code;
}

int weir_log_store_commit(struct weir_log_store *store, uint64_t dropped,
			  struct weir_store_error *error)
{
	char text[120];
	int code = 0;

	if (dropped != 0) {
		(void)snprintf(text, sizeof(text),
			       "UPDATE counter SET value = value + %llu WHERE name = 'dropped'",
			       (unsigned long long)dropped); /* fits */
		code = weir_sql_run(store->db, store->path, text, error);
	}
	if (code == 0)
		code = weir_sql_run(store->db, store->path, "COMMIT", error);
	if (code == 0)
		return totals_read(store, error);
	undo(store);
	return code;
}

struct weir_log_totals weir_log_store_totals(const struct weir_log_store *store)
{
	return store->totals;
}

/* Remove the oldest lines, of them those that were received before `oldest_ns`. */
static int oldest_remove(struct weir_log_store *store, uint64_t oldest_ns, int *out_removed,
			 struct weir_store_error *error)
{
	char text[200];
	int code = 0;

	(void)snprintf(text, sizeof(text),
		       "DELETE FROM line WHERE id IN (SELECT id FROM line ORDER BY id LIMIT %d) "
		       "AND received < %lld",
		       TRIM_LINES, (long long)oldest_ns); /* fits */
	code = weir_sql_run(store->db, store->path, text, error);
	if (code == 0)
		*out_removed = sqlite3_changes(store->db);
	return code;
}

int weir_log_store_trim(struct weir_log_store *store, uint64_t bytes_max, uint64_t oldest_ns,
			struct weir_store_error *error)
{
	char text[60];
	int code = 0;

	for (int step = 0; step < TRIM_STEPS; step++) {
		const bool is_over = store->totals.bytes > bytes_max;
		int removed = 0;

		code = oldest_remove(store, is_over ? INT64_MAX : oldest_ns, &removed, error);
		if (code == 0 && removed != 0)
			code = totals_read(store, error);
		if (code != 0)
			return code;
		if (removed == 0)
			break;
		if (step == TRIM_STEPS - 1)
			return 1;
	}
	if (store->file_bytes <= bytes_max)
		return 0;
	/* Give pages back where the limit became smaller; else they serve the next lines. */
	(void)snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
	return weir_sql_run(store->db, store->path, text, error);
}

/* ---- readers ---- */

static void row_visit(sqlite3_stmt *row, weir_log_visit *visit, void *context)
{
	struct weir_log_line line = {
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.time_ns = (uint64_t)sqlite3_column_int64(row, 1),
		.received_ns = (uint64_t)sqlite3_column_int64(row, 2),
		.stream = (uint8_t)sqlite3_column_int(row, 5),
	};

	weir_side_file_id_read(row, 3, &line.activation_high, &line.activation_low);
	line.function = weir_span_of(weir_sql_text(row, 4));
	line.text.data = sqlite3_column_blob(row, 6);
	line.text.bytes = (size_t)sqlite3_column_bytes(row, 6);
	visit(context, &line);
}

static int rows_visit(sqlite3 *db, const char *path, const struct weir_log_filter *filter,
		      uint64_t first_id, weir_log_visit *visit, void *context,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	uint8_t activation[16];
	char text[400];
	int code = 0;

	(void)snprintf(text, sizeof(text),
		       "SELECT * FROM (SELECT id, time, received, activation, function, stream, "
		       "text FROM line WHERE %s = ?1 AND id >= ?2 AND time >= ?3 AND stream %s %d "
		       "ORDER BY id %s LIMIT ?4) ORDER BY id",
		       filter->function != NULL ? "function" : "activation", filter->answers ? "=" : "<>",
		       WEIR_LOG_STREAM_ANSWER,
		       filter->newest ? "DESC" : "ASC"); /* fits */
	code = weir_sql_prepare(db, path, text, &statement, error);
	if (code != 0)
		return code;
	weir_side_file_id(filter->activation_high, filter->activation_low, activation);
	if (filter->function != NULL)
		(void)sqlite3_bind_text(statement, 1, filter->function, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_blob(statement, 1, activation, sizeof(activation),
					SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)first_id);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)filter->since_ns);
	(void)sqlite3_bind_int64(statement, 4, filter->lines_max);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		row_visit(statement, visit, context);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, path, error);
}

int weir_log_store_read(const char *data, const struct weir_log_filter *filter,
			weir_log_visit *visit, void *context, struct weir_store_error *error)
{
	char path[WEIR_STORE_PATH_BYTES_MAX];
	sqlite3 *db = NULL;
	uint64_t first_id = filter->after_id + 1;
	uint64_t since_id = 0;
	int code = 0;

	WEIR_ASSERT(filter->lines_max >= 1 && filter->lines_max <= WEIR_LOG_STORE_LINES_MAX);
	if (!weir_side_file_path(data, file_name, path))
		return weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	code = weir_side_file_open_reader(path, &db, error);
	if (code == 0 && filter->since_ns != 0)
		code = weir_side_file_since(db, path, "line", "id", filter->since_ns, &since_id, error);
	if (code == 0)
		code = rows_visit(db, path, filter, since_id > first_id ? since_id : first_id,
				  visit, context, error);
	(void)sqlite3_close_v2(db);
	return code;
}
