#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "ctrl/store/store_replace.h"
#include "dataplane/base/cleanup.h"

enum { SQL_BYTES_MAX = 4096 };

static void connection_close(sqlite3 **db)
{
	(void)sqlite3_close_v2(*db); /* cannot fail: statements are finalized first */
}

/* "SELECT a, b FROM t" and "INSERT INTO t (a, b) VALUES (?, ?)" for the table of our own database `to`. */
static int texts_make(sqlite3 *to, const char *name, char select[SQL_BYTES_MAX], char insert[SQL_BYTES_MAX],
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(to, name,
				    "SELECT group_concat(name, ', '), group_concat('?', ', ') FROM (SELECT name FROM "
				    "pragma_table_info(?1) ORDER BY cid)",
				    &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(to, code, name, error);
	(void)snprintf(select, SQL_BYTES_MAX, "SELECT %s FROM main.%s NOT INDEXED", weir_sql_text(statement, 0), name);
	(void)snprintf(insert, SQL_BYTES_MAX, "INSERT INTO main.%s (%s) VALUES (%s)", name, weir_sql_text(statement, 0),
		       weir_sql_text(statement, 1)); /* a text that is cut does not prepare */
	return 0;
}

static int rows_copy(sqlite3 *from, sqlite3 *to, const char *name, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *source = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *sink = NULL;
	char select[SQL_BYTES_MAX];
	char insert[SQL_BYTES_MAX];
	char clear[256];
	int code = texts_make(to, name, select, insert, error);

	(void)snprintf(clear, sizeof(clear), "DELETE FROM main.%s", name); /* what a fresh one begins with */
	if (code == 0)
		code = weir_sql_run(to, name, clear, error);
	if (code == 0)
		code = weir_sql_prepare(from, name, select, &source, error);
	if (code == 0)
		code = weir_sql_prepare(to, name, insert, &sink, error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(source)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(source); i++)
			(void)sqlite3_bind_value(sink, i + 1, sqlite3_column_value(source, i));
		code = sqlite3_step(sink);
		if (code != SQLITE_DONE && (code & 0xff) == SQLITE_CONSTRAINT)
			return weir_store_fail(error, -EBADMSG, "a row of its table %s breaks a rule of the tables (%s)",
					       name, sqlite3_errmsg(to));
		if (code != SQLITE_DONE)
			return weir_sql_error(to, code, name, error);
		(void)sqlite3_reset(sink); /* repeats the step's result */
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(from, code, name, error);
}

/* Each table of ours, in the order in which they were made: who is referred to comes first. */
static int tables_copy(sqlite3 *from, sqlite3 *to, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *tables = NULL;
	int code = weir_sql_tables_check(from, to, error);

	if (code == 0)
		code = weir_sql_prepare(to, "weir.db", WEIR_SQL_TABLES, &tables, error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(tables)) == SQLITE_ROW) {
		code = rows_copy(from, to, weir_sql_text(tables, 0), error);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(to, code, "weir.db", error);
}

int weir_store_import(sqlite3 *from, uint32_t version, const char *directory,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *to = NULL;
	char path[WEIR_STORE_PATH_BYTES_MAX];
	int code = 0;

	if (version > weir_store_schema_version())
		return weir_store_fail(error, -EPROTO,
				       "a newer Weir made it (schema %u, this one knows %u); restore it with that version",
				       version, weir_store_schema_version());
	if (version == 0)
		return weir_store_fail(error, -EPROTO, "it names no schema");
	if ((size_t)snprintf(path, sizeof(path), "%s/weir.db", directory) >= sizeof(path))
		return weir_store_fail(error, -ENAMETOOLONG, "%s: this path is too long", directory);
	code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(to, code, path, error);
	/* Made anew if this process dies meanwhile. */
	code = weir_sql_run(to, path, "PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON; BEGIN", error);
	if (code == 0)
		code = weir_store_schema_make(to, path, 0, version, error);
	if (code == 0)
		code = tables_copy(from, to, error);
	return code == 0 ? weir_sql_run(to, path, "COMMIT", error) : code;
}
