#include "ctrl/store/sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/cleanup.h"

void weir_sql_finalize(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(
		*statement); /* repeats the last step's error, which was handled */
	*statement = NULL;
}

static bool is_no_room(int cause)
{
	return cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
}

/* A full disk shows as SQLITE_FULL, or as an I/O error whose cause SQLite keeps in most cases; in a
 * commit it does not, then errno still has it (cleared before each statement here). */
static bool is_disk_full(sqlite3 *db, int code)
{
	const int cause = errno;

	if ((code & 0xff) == SQLITE_FULL)
		return true;
	return (code & 0xff) == SQLITE_IOERR &&
	       (is_no_room(cause) || (db != NULL && is_no_room(sqlite3_system_errno(db))));
}

static int error_number(sqlite3 *db, int code)
{
	if (is_disk_full(db, code))
		return -ENOSPC;
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
	case SQLITE_TOOBIG:
		return -EBADMSG;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	default:
		return -EIO;
	}
}

int weir_sql_error(sqlite3 *db, int code, const char *path, struct weir_store_error *error)
{
	const int number = error_number(db, code); /* first: it looks at errno */
	const char *detail = db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db);
	const char *advice = "look at the disk and the file's rights";
	const char *what = "cannot use";

	switch (number) {
	case -EAGAIN:
		what = "another program holds a lock on";
		advice = "end its transaction and try again";
		break;
	case -ENOSPC:
		what = "no room on the disk to change";
		advice = "free some space and try again; nothing was changed";
		break;
	case -EBADMSG:
		what = "damaged or not the expected database:";
		advice = "restore the file from a copy; the last good configuration keeps "
			 "serving";
		break;
	case -EEXIST:
		what = "a rule of the tables refuses the change of";
		advice = "nothing was changed";
		break;
	default:
		break;
	}
	(void)snprintf(error->text, sizeof(error->text), "%s %s (%s); %s", what, path, detail,
		       advice);
	return number;
}

int weir_sql_prepare(sqlite3 *db, const char *path, const char *text,
		     sqlite3_stmt **out_statement, struct weir_store_error *error)
{
	int code = 0;

	errno = 0;
	code = sqlite3_prepare_v2(db, text, -1, out_statement, NULL);
	return code == SQLITE_OK ? 0 : weir_sql_error(db, code, path, error);
}

int weir_sql_run(sqlite3 *db, const char *path, const char *text,
		 struct weir_store_error *error)
{
	int code = 0;

	errno = 0;
	code = sqlite3_exec(db, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : weir_sql_error(db, code, path, error);
}

const char *weir_sql_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text == NULL ? "" : text;
}

bool weir_sql_text_copy(sqlite3_stmt *statement, int column, char *out, size_t max)
{
	const char *text = weir_sql_text(statement, column);
	const size_t bytes = strlen(text);

	if (bytes >= max)
		return false;
	memcpy(out, text, bytes + 1);
	return true;
}

int64_t weir_sql_data_version(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int64_t version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA data_version", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int64(statement, 0);
	weir_sql_finalize(&statement);
	return version;
}

/* Is a table of `db` declared in these words? */
static int declaration_check(sqlite3 *db, const char *name, const char *words, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, name, "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1",
				    &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(db, code, name, error);
	if (code == SQLITE_ROW && strcmp(weir_sql_text(statement, 0), words) == 0)
		return 0;
	(void)snprintf(error->text, sizeof(error->text), "it has no table %s as Weir declares it", name);
	return -EBADMSG;
}

int weir_sql_tables_check(sqlite3 *db, sqlite3 *reference, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *tables = NULL;
	int code = weir_sql_prepare(reference, "the tables", WEIR_SQL_TABLES, &tables, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(tables)) == SQLITE_ROW) {
		code = declaration_check(db, weir_sql_text(tables, 0), weir_sql_text(tables, 1), error);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(reference, code, "the tables", error);
}

int weir_sql_attach(sqlite3 *db, const char *own_path, const char *path, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, own_path, "ATTACH ?1 AS restored", &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, path, error);
}
