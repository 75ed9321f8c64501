/* sql: the few things that every SQLite user here needs: prepared statements that release
 * themselves, values in and out, and SQLite's result codes turned into -errno and a sentence.
 * Owns: nothing; a connection belongs to whoever opened it. Threads: one per connection. */
#ifndef WEIR_CTRL_STORE_SQL_H
#define WEIR_CTRL_STORE_SQL_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/store/store.h"

/* Release *statement; NULL is accepted. Made for WEIR_CLEANUP. */
void weir_sql_finalize(sqlite3_stmt **statement);

/* Turn an SQLite result code of `db` (may be NULL) into -errno and a sentence about the file at
 * `path`: -EAGAIN (another program holds a lock), -ENOSPC (disk, quota or file size limit),
 * -EBADMSG (damaged or not a database), -EACCES, -EROFS, -ENOMEM, -EEXIST (constraint), -EIO. */
int weir_sql_error(sqlite3 *db, int code, const char *path, struct weir_store_error *error);

/* Prepare one statement. 0 and *out_statement, or as weir_sql_error(). */
int weir_sql_prepare(sqlite3 *db, const char *path, const char *text,
		     sqlite3_stmt **out_statement, struct weir_store_error *error);

/* Run statements without results. 0 or as weir_sql_error(). */
int weir_sql_run(sqlite3 *db, const char *path, const char *text,
		 struct weir_store_error *error);

/* The text of a column, "" if it is NULL; valid until the next step. */
const char *weir_sql_text(sqlite3_stmt *statement, int column);

/* Copy a text column to out[0 .. max-1]; false if it does not fit. */
bool weir_sql_text_copy(sqlite3_stmt *statement, int column, char *out, size_t max);

/* A database's own tables, in the order in which they were made: name, declaration. */
#define WEIR_SQL_TABLES                                                                                    \
	"SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE " \
	"'\\' ORDER BY rowid"

/* Does `db`, which somebody else made, have each table of `reference`, declared in the same words? So it is no
 * view, and computes nothing. 0, -EBADMSG, or as weir_sql_error(). */
int weir_sql_tables_check(sqlite3 *db, sqlite3 *reference, struct weir_store_error *error);

/* Attach the database at `path` as "restored" to `db`, which is at `own_path`. 0 or as weir_sql_error(). */
int weir_sql_attach(sqlite3 *db, const char *own_path, const char *path, struct weir_store_error *error);

/* Counts the commits that other connections made to the file; -1 where it cannot be read. */
int64_t weir_sql_data_version(sqlite3 *db);

#endif
