#include "ctrl/store/public_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "ctrl/store/store_replace.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/fd.h"

enum {
	VALUE_BYTES_MAX = 16 << 20
}; /* SQLite refuses longer ones before they fill the memory */

struct weir_public_table {
	sqlite3 *watch; /* NULL: not open */
	char path[WEIR_STORE_PATH_BYTES_MAX];
	bool wal;   /* this file's readers and writers do not stop each other */
	bool known; /* the fields below describe what the last complete read saw */
	int64_t data_version;
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec written;
};

int weir_public_table_create(const char *directory, struct weir_public_table **out_table)
{
	struct weir_public_table *table = calloc(1, sizeof(*table));
	int written = 0;

	if (table == NULL)
		return -ENOMEM;
	written = snprintf(table->path, sizeof(table->path), "%s/" WEIR_PUBLIC_TABLE_FILE,
			   directory);
	if (written < 0 || (size_t)written >= sizeof(table->path)) {
		free(table);
		return -ENAMETOOLONG;
	}
	*out_table = table;
	return 0;
}

/* No checkpoint at the close: a file that somebody restored in place would get pages of the old one's
 * log. A log that stays is harmless. */
static void connection_close(sqlite3 **db)
{
	if (*db == NULL)
		return;
	(void)sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close_v2(*db); /* cannot fail: statements are finalized first */
	*db = NULL;
}

void weir_public_table_destroy(struct weir_public_table *table)
{
	if (table == NULL)
		return;
	connection_close(&table->watch);
	free(table);
}

const char *weir_public_table_path(const struct weir_public_table *table)
{
	return table->path;
}

static int connection_open(const char *path, int flags, sqlite3 **out_db,
			   struct weir_store_error *error)
{
	sqlite3 *db = NULL;
	struct stat info;
	int code = 0;

	if ((flags & SQLITE_OPEN_CREATE) == 0 && stat(path, &info) != 0 && errno == ENOENT) {
		return weir_store_fail(
			error, -ENOENT,
			"%s is missing; its last good rows keep serving; make it again with "
			"`sqlite3 faas_meta.db < init.sql` in that directory",
			path);
	}
	code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK) {
		code = weir_sql_error(db, code, path, error);
		connection_close(&db);
		return code;
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, 0);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
	*out_db = db;
	return 0;
}

static int table_look(struct weir_public_table *table, sqlite3 *db, bool *out_exists,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, table->path,
				    "SELECT 1 FROM sqlite_schema WHERE type IN ('table', "
				    "'view') AND name = 'functions'",
				    &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(db, code, table->path, error);
	*out_exists = code == SQLITE_ROW;
	return 0;
}

static int rows_insert(struct weir_public_table *table, sqlite3 *db,
		       weir_public_table_next *next, void *context,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const char *key = NULL;
	const char *value = NULL;
	int code = weir_sql_prepare(db, table->path,
				    "INSERT INTO functions (k, v) VALUES (?1, ?2)", &statement,
				    error);

	while (code == 0 && next != NULL && next(context, &key, &value)) {
		(void)sqlite3_bind_text(statement, 1, key, -1,
					SQLITE_STATIC); /* errors show at the step */
		(void)sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
		code = sqlite3_step(statement);
		code = code == SQLITE_DONE ? 0 : weir_sql_error(db, code, table->path, error);
		(void)sqlite3_reset(statement); /* repeats the step's result */
	}
	return code;
}

int weir_public_table_make(struct weir_public_table *table, weir_public_table_next *next,
			   void *context, bool *out_made, struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *db = NULL;
	bool exists = false;
	int code = connection_open(table->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db,
				   error);

	if (code == 0)
		code = weir_sql_run(db, table->path, "BEGIN", error);
	if (code == 0)
		code = table_look(table, db, &exists, error);
	/* Reading began the transaction; only a table that is missing makes it a writing one. */
	if (code == 0 && !exists)
		code = weir_sql_run(db, table->path, WEIR_PUBLIC_TABLE_SCHEMA, error);
	if (code == 0 && !exists)
		code = rows_insert(table, db, next, context, error);
	if (code == 0)
		code = weir_sql_run(db, table->path, "COMMIT", error);
	if (code == 0)
		*out_made = !exists;
	return code;
}

/* Write-ahead logging, in which readers and writers do not stop each other, is a property of the file,
 * which others may have made without it. Where somebody holds a lock, the next read tries again. */
static void wal_try(struct weir_public_table *table)
{
	sqlite3_stmt *statement = NULL;

	if (table->wal || table->watch == NULL)
		return;
	if (sqlite3_prepare_v2(table->watch, "PRAGMA journal_mode = WAL", -1, &statement,
			       NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		table->wal = strcmp(weir_sql_text(statement, 0), "wal") == 0;
	weir_sql_finalize(&statement);
}

/* The watcher of the file that has the name now; a removed file's connection is given up. */
static bool watch_refresh(struct weir_public_table *table, const struct stat *info)
{
	struct weir_store_error ignored; /* the read that follows reports it */

	if (table->watch != NULL && info->st_dev == table->device &&
	    info->st_ino == table->inode)
		return true;
	connection_close(&table->watch);
	table->known = false;
	table->wal = false;
	table->device = info->st_dev;
	table->inode = info->st_ino;
	return connection_open(table->path, SQLITE_OPEN_READWRITE, &table->watch, &ignored) ==
	       0;
}

bool weir_public_table_changed(struct weir_public_table *table)
{
	struct stat info;

	if (stat(table->path, &info) != 0) {
		connection_close(&table->watch);
		table->known = false;
		return true;
	}
	if (!watch_refresh(table, &info) || !table->known)
		return true;
	if (info.st_size != table->bytes || info.st_mtim.tv_sec != table->written.tv_sec ||
	    info.st_mtim.tv_nsec != table->written.tv_nsec)
		return true;
	return weir_sql_data_version(table->watch) != table->data_version;
}

static int rows_visit(struct weir_public_table *table, sqlite3 *db,
		      weir_public_table_visit *visit, void *context,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	size_t count = 0;
	int code = weir_sql_prepare(db, table->path,
				    "SELECT k, v FROM functions ORDER BY k COLLATE BINARY",
				    &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *key = weir_sql_text(statement, 0);
		const bool is_text = sqlite3_column_type(statement, 1) == SQLITE_TEXT;

		if (sqlite3_column_type(statement, 0) != SQLITE_TEXT ||
		    strlen(key) != (size_t)sqlite3_column_bytes(statement, 0))
			continue; /* a key that is no text names no route */
		if (++count > WEIR_PUBLIC_ROWS_MAX) {
			return weir_store_fail(
				error, -E2BIG,
				"%s holds more than %d rows; the last good ones keep serving",
				table->path, WEIR_PUBLIC_ROWS_MAX);
		}
		code = visit(context, key, is_text ? weir_sql_text(statement, 1) : NULL,
			     is_text ? (size_t)sqlite3_column_bytes(statement, 1) : 0);
		if (code != 0) {
			return weir_store_fail(error, code,
					       "not enough memory for the rows of %s",
					       table->path);
		}
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, table->path, error);
}

/* Tell a missing table from a damaged file: an empty database is a sound one. */
static int table_exists(struct weir_public_table *table, sqlite3 *db,
			struct weir_store_error *error)
{
	bool exists = false;
	const int code = table_look(table, db, &exists, error);

	if (code != 0 || exists)
		return code;
	return weir_store_fail(error, -ENOENT,
			       "%s has no table 'functions'; its last good rows keep serving; "
			       "make it again with "
			       "`sqlite3 faas_meta.db < init.sql` in that directory",
			       table->path);
}

int weir_public_table_read(struct weir_public_table *table, weir_public_table_visit *visit,
			   void *context, struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *db = NULL;
	struct stat info = {0};
	int64_t version = -1;
	int code = 0;

	/* What we remember is from before the read: a commit in between is then noticed next time. */
	table->known = false;
	if (stat(table->path, &info) == 0 && watch_refresh(table, &info)) {
		wal_try(table);
		version = weir_sql_data_version(table->watch);
		if (stat(table->path, &info) != 0)
			version = -1;
	}
	code = connection_open(table->path, SQLITE_OPEN_READWRITE, &db, error);
	if (code == 0)
		code = weir_sql_run(db, table->path, "BEGIN", error);
	if (code == 0)
		code = table_exists(table, db, error);
	if (code == 0)
		code = rows_visit(table, db, visit, context, error);
	if (code != 0)
		return code;
	table->known = version != -1;
	table->data_version = version;
	table->bytes = info.st_size;
	table->written = info.st_mtim;
	return 0;
}

/* Run a statement with a key and a value (may be NULL). 0 and *out_rows that it changed. */
static int row_run(struct weir_public_table *table, sqlite3 *db, const char *text, const char *key,
		   const char *value, int *out_rows, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, table->path, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, key, -1,
				SQLITE_STATIC); /* errors show at the step */
	if (value != NULL)
		(void)sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(db, code, table->path, error);
	*out_rows = sqlite3_changes(db);
	return 0;
}

/* A connection whose commits are on the disk before they are acknowledged. */
static int writer_open(struct weir_public_table *table, sqlite3 **out_db,
		       struct weir_store_error *error)
{
	const int code = connection_open(table->path, SQLITE_OPEN_READWRITE, out_db, error);

	return code != 0 ? code
			 : weir_sql_run(*out_db, table->path, "PRAGMA synchronous = FULL", error);
}

/* A statement that writes one row; where it wrote none that is `missed`, and the table has `trouble` 'KEY'. */
struct row_write {
	const char *text;
	int missed;
	const char *trouble;
};

static int row_write(struct weir_public_table *table, const struct row_write *write, const char *key,
		     const char *value, struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *db = NULL;
	int rows = 0;
	int code = writer_open(table, &db, error);

	if (code == 0)
		code = row_run(table, db, write->text, key, value, &rows, error);
	if (code == 0 && rows == 0)
		code = weir_store_fail(error, write->missed, "%s has %s '%s'", table->path, write->trouble, key);
	return code;
}

#define ROW_ADD "INSERT INTO functions (k, v) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
#define ROW_UPDATE "UPDATE functions SET v = ?2, updated = strftime('%s','now') WHERE k = ?1"
#define ROW_DELETE "DELETE FROM functions WHERE k = ?1"

int weir_public_table_add(struct weir_public_table *table, const char *key, const char *value,
			  struct weir_store_error *error)
{
	static const struct row_write add = {ROW_ADD, -EEXIST, "already a row"};

	return row_write(table, &add, key, value, error);
}

int weir_public_table_change(struct weir_public_table *table, const char *key,
			     const char *value, struct weir_store_error *error)
{
	static const struct row_write change = {ROW_UPDATE, -ENOENT, "no row"};

	return row_write(table, &change, key, value, error);
}

int weir_public_table_remove(struct weir_public_table *table, const char *key,
			     struct weir_store_error *error)
{
	static const struct row_write remove = {ROW_DELETE, -ENOENT, "no row"};

	return row_write(table, &remove, key, NULL, error);
}

int weir_public_table_edit_begin(struct weir_public_table *table,
				 struct weir_public_table_edit *edit,
				 struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *db = NULL;
	int code = writer_open(table, &db, error);

	if (code == 0)
		code = weir_sql_run(db, table->path, "BEGIN IMMEDIATE", error);
	if (code == 0 && weir_public_table_changed(table))
		code = weir_store_fail(error, -EAGAIN, "%s is being written; try again", table->path);
	if (code != 0)
		return code;
	edit->table = table;
	edit->db = db;
	db = NULL;
	return 0;
}

int weir_public_table_edit_put(struct weir_public_table_edit *edit, const char *key,
			       const char *value, struct weir_store_error *error)
{
	int rows = 0;
	int code = row_run(edit->table, edit->db, value == NULL ? ROW_DELETE : ROW_UPDATE, key, value,
			   &rows, error);

	if (code == 0 && rows == 0 && value != NULL)
		code = row_run(edit->table, edit->db, "INSERT INTO functions (k, v) VALUES (?1, ?2)", key,
			       value, &rows, error);
	return code;
}

int weir_public_table_edit_commit(struct weir_public_table_edit *edit,
				  struct weir_store_error *error)
{
	const int code = WEIR_FAULT_FAILS(public_table_edit_commit)
				 ? weir_sql_error(NULL, SQLITE_IOERR, edit->table->path, error)
				 : weir_sql_run(edit->db, edit->table->path, "COMMIT", error);

	weir_public_table_edit_drop(edit);
	return code;
}

/* Closing ends what was begun. */
void weir_public_table_edit_drop(struct weir_public_table_edit *edit)
{
	connection_close(&edit->db);
}

/* One statement; *out_count is how many rows it gives, changes or removes. */
static int replace_step(struct weir_public_table *table, sqlite3 *db, const char *text, uint32_t *out_count,
			struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, table->path, text, &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(db, code, table->path, error);
	*out_count = (uint32_t)(code == SQLITE_ROW ? sqlite3_column_int(statement, 0) : sqlite3_changes(db));
	return 0;
}

/* In a transaction: what is in restored.functions, and nothing else. */
static int rows_replace(struct weir_public_table *table, sqlite3 *db, struct weir_store_difference *out_rows,
			struct weir_store_error *error)
{
	uint32_t ignored = 0;
	int code = weir_sql_run(db, table->path, WEIR_PUBLIC_TABLE_SCHEMA, error);

	if (code == 0)
		code = weir_sql_run(db, table->path,
				    "CREATE TEMP TABLE differing AS SELECT k, v, updated FROM restored.functions "
				    "EXCEPT SELECT k, v, updated FROM main.functions",
				    error);
	if (code == 0)
		code = replace_step(table, db,
				    "SELECT count(*) FROM temp.differing WHERE k IN (SELECT k FROM main.functions)",
				    &out_rows->changed, error);
	if (code == 0)
		code = replace_step(table, db,
				    "DELETE FROM main.functions WHERE k NOT IN (SELECT k FROM restored.functions)",
				    &out_rows->removed, error);
	if (code == 0)
		code = replace_step(table, db, "SELECT count(*) FROM temp.differing", &out_rows->added, error);
	if (code == 0)
		code = replace_step(table, db,
				    "INSERT OR REPLACE INTO main.functions (k, v, updated) SELECT k, v, updated FROM "
				    "temp.differing",
				    &ignored, error);
	out_rows->added -= out_rows->changed;
	return code;
}

int weir_public_table_replace(struct weir_public_table *table, const char *directory, bool dry_run,
			      struct weir_store_difference *out_rows, struct weir_store_error *error)
{
	WEIR_CLEANUP(connection_close) sqlite3 *db = NULL;
	struct weir_store_difference rows = {0};
	char path[WEIR_STORE_PATH_BYTES_MAX];
	int code = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/" WEIR_PUBLIC_TABLE_FILE, directory) >= sizeof(path))
		return weir_store_fail(error, -ENAMETOOLONG, "%s: this path is too long", directory);
	code = connection_open(table->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, error);
	if (code == 0)
		code = weir_sql_run(db, table->path, "PRAGMA synchronous = FULL", error);
	if (code == 0)
		code = weir_sql_attach(db, table->path, path, error);
	if (code == 0)
		code = weir_sql_run(db, table->path, "BEGIN IMMEDIATE", error);
	if (code == 0)
		code = rows_replace(table, db, &rows, error);
	/* Closing undoes what is not committed. */
	if (code == 0 && !dry_run)
		code = weir_sql_run(db, table->path, "COMMIT", error);
	if (code == 0)
		*out_rows = rows;
	return code;
}

/* The samples' rows, as the C seed ships them, run by PHP. */
static const struct {
	const char *key;
	const char *name;
	const char *file;
	int memory_mb;
	int timeout_s;
} sample_rows[] = {
	{"POST:/api/hello", "hello", "hello.php", 64, 5},
	{"GET:/api/info", "info", "info.php", 64, 5},
	{"POST:/resize", "resize", "resize.php", 256, 10},
};

/* A path as it stands in a JSON string in an SQL string: '\' and '"' for JSON, '\'' for SQL. */
static void path_write(FILE *file, const char *path)
{
	for (; *path != '\0'; path++) {
		if (*path == '\\' || *path == '"')
			(void)fputc('\\', file); /* errors show at fclose */
		if (*path == '\'')
			(void)fputc('\'', file);
		(void)fputc(*path, file);
	}
}

static void script_write(FILE *file, const char *directory)
{
	(void)fputs("-- Recreates the public table with the sample rows: sqlite3 faas_meta.db "
		    "< init.sql\n"
		    "-- k is METHOD:/path; v is JSON: name, runtime, module (a file), handler, "
		    "memory (MB), timeout (s).\n"
		    ".timeout 5000\nBEGIN IMMEDIATE;\nDROP TABLE IF EXISTS "
		    "functions;\n" WEIR_PUBLIC_TABLE_SCHEMA,
		    file); /* errors show at fclose */
	for (size_t i = 0; i < sizeof(sample_rows) / sizeof(sample_rows[0]); i++) {
		(void)fprintf(file,
			      "INSERT INTO functions (k, v) VALUES\n  ('%s', "
			      "'{\"name\":\"%s\",\"runtime\":\"php\",\"module\":\"",
			      sample_rows[i].key, sample_rows[i].name);
		path_write(file, directory);
		(void)fprintf(file,
			      "/samples/seed/"
			      "%s\",\"handler\":\"main\",\"memory\":%d,\"timeout\":%d}');\n",
			      sample_rows[i].file, sample_rows[i].memory_mb,
			      sample_rows[i].timeout_s);
	}
	(void)fputs("COMMIT;\n", file);
}

int weir_public_table_script_write(const char *directory)
{
	char path[WEIR_STORE_PATH_BYTES_MAX];
	FILE *file = NULL;
	int fd = -1;
	const int written = snprintf(path, sizeof(path), "%s/init.sql", directory);

	if (written < 0 || (size_t)written >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -1)
		return errno == EEXIST ? 0 : -errno;
	file = fdopen(fd, "w");
	if (file == NULL) {
		weir_fd_close(&fd);
		(void)unlink(path);
		return -ENOMEM;
	}
	script_write(file, directory);
	const bool failed = ferror(file) != 0;

	if (fclose(file) != 0 || failed) {
		(void)unlink(path);
		return -EIO;
	}
	return 0;
}
