#include "ctrl/store/side_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

enum { BUSY_MS = 100 }; /* reader and writer wait for each other at most; in WAL they never should */

bool weir_side_file_path(const char *data, const char *name, char out[WEIR_STORE_PATH_BYTES_MAX])
{
	const int written = snprintf(out, WEIR_STORE_PATH_BYTES_MAX, "%s/log/%s", data, name);

	return written > 0 && written < WEIR_STORE_PATH_BYTES_MAX;
}

int weir_side_file_number(sqlite3 *db, const char *path, const char *text, uint64_t *out_value,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, path, text, &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE
			       ? weir_store_fail(error, -EBADMSG, "%s lacks its tables", path)
			       : weir_sql_error(db, code, path, error);
	*out_value = (uint64_t)sqlite3_column_int64(statement, 0);
	return 0;
}

static int tables_check(sqlite3 *db, const char *path, const char *schema, uint32_t version,
			struct weir_store_error *error)
{
	uint64_t found = 0;
	const int code = weir_side_file_number(db, path, "PRAGMA user_version", &found, error);

	if (code == 0 && found == 0)
		return weir_sql_run(db, path, schema, error);
	if (code == 0 && found != version)
		return weir_store_fail(error, -EBADMSG, "%s is of another version of Weir", path);
	return code;
}

static int file_open(const char *path, const char *schema, uint32_t version, sqlite3 **out_db,
		     struct weir_store_error *error)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(path, &db, flags, NULL);

	code = code != SQLITE_OK ? weir_sql_error(db, code, path, error) : 0;
	if (code == 0) {
		(void)sqlite3_extended_result_codes(db, 1);
		(void)sqlite3_busy_timeout(db, BUSY_MS);
		/* NORMAL: written with each commit, on the disk with each checkpoint. */
		code = weir_sql_run(db, path,
				    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA "
				    "synchronous = NORMAL;",
				    error);
	}
	if (code == 0)
		code = tables_check(db, path, schema, version, error);
	if (code == 0)
		*out_db = db;
	else
		(void)sqlite3_close_v2(db); /* cannot fail: nothing else is open in it */
	return code;
}

/* A file that is no database, or not ours: keep it for who wants to know, and begin anew. */
static void file_put_aside(const char *path)
{
	static const char *const endings[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		char from[WEIR_STORE_PATH_BYTES_MAX + 8];
		char to[WEIR_STORE_PATH_BYTES_MAX + 24];

		(void)snprintf(from, sizeof(from), "%s%s", path, endings[i]);
		(void)snprintf(to, sizeof(to), "%s.damaged%s", path, endings[i]);
		(void)rename(from, to); /* one that is not there, or cannot be: opening says so */
	}
}

static int directory_make(const char *path)
{
	char directory[WEIR_STORE_PATH_BYTES_MAX];

	(void)snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(path, '/') - path),
		       path);
	return mkdir(directory, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

int weir_side_file_open(const char *path, const char *schema, uint32_t version, sqlite3 **out_db,
			struct weir_store_error *error)
{
	int code = directory_make(path);

	if (code != 0)
		return weir_store_fail(error, code, "cannot make the directory of %s: %s", path,
				       strerror(-code));
	code = file_open(path, schema, version, out_db, error);
	if (code != -EBADMSG)
		return code;
	file_put_aside(path);
	return file_open(path, schema, version, out_db, error);
}

int weir_side_file_open_reader(const char *path, sqlite3 **out_db, struct weir_store_error *error)
{
	struct stat info;
	sqlite3 *db = NULL;
	int code = 0;

	if (stat(path, &info) != 0)
		return weir_store_fail(error, -ENOENT, "%s is not there yet", path);
	code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK) {
		code = weir_sql_error(db, code, path, error);
		(void)sqlite3_close_v2(db);
		return code;
	}
	(void)sqlite3_busy_timeout(db, BUSY_MS);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	*out_db = db;
	return 0;
}

int weir_side_file_size(sqlite3 *db, const char *path, struct weir_side_file_size *out_size,
			struct weir_store_error *error)
{
	uint64_t pages = 0;
	uint64_t free_pages = 0;
	uint64_t page_bytes = 0;
	int code = weir_side_file_number(db, path, "PRAGMA page_count", &pages, error);

	if (code == 0)
		code = weir_side_file_number(db, path, "PRAGMA freelist_count", &free_pages, error);
	if (code == 0)
		code = weir_side_file_number(db, path, "PRAGMA page_size", &page_bytes, error);
	if (code != 0)
		return code;
	out_size->used_bytes = pages > free_pages ? (pages - free_pages) * page_bytes : 0;
	out_size->file_bytes = pages * page_bytes;
	return 0;
}

int weir_side_file_since(sqlite3 *db, const char *path, const char *table, const char *key, uint64_t since_ns,
			 uint64_t *out_key, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char text[160];
	uint64_t low = 0;
	uint64_t high = 0;
	int code = 0;

	(void)snprintf(text, sizeof(text), "SELECT coalesce(max(%s), 0) + 1 FROM %s", key, table); /* short names */
	code = weir_side_file_number(db, path, text, &high, error);
	(void)snprintf(text, sizeof(text), "SELECT coalesce(min(%s), 1) FROM %s", key, table);
	if (code == 0)
		code = weir_side_file_number(db, path, text, &low, error);
	(void)snprintf(text, sizeof(text), "SELECT %s, received FROM %s WHERE %s >= ?1 ORDER BY %s LIMIT 1", key, table,
		       key, key);
	if (code == 0)
		code = weir_sql_prepare(db, path, text, &statement, error);
	while (code == 0 && low < high) {
		const uint64_t middle = low + (high - low) / 2;

		(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)middle);
		code = sqlite3_step(statement);
		if (code != SQLITE_ROW && code != SQLITE_DONE)
			return weir_sql_error(db, code, path, error);
		if (code == SQLITE_DONE ||
		    (uint64_t)sqlite3_column_int64(statement, 1) >= since_ns)
			high = middle;
		else
			low = (uint64_t)sqlite3_column_int64(statement, 0) + 1;
		(void)sqlite3_reset(statement);
		code = 0;
	}
	if (code == 0)
		*out_key = low;
	return code;
}

void weir_side_file_id(uint64_t high, uint64_t low, uint8_t out[16])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(high >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(low >> (56 - 8 * i));
	}
}

static uint64_t bytes_number(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

void weir_side_file_id_read(sqlite3_stmt *row, int column, uint64_t *out_high, uint64_t *out_low)
{
	const uint8_t *const bytes = sqlite3_column_blob(row, column);
	const bool is_sound = sqlite3_column_bytes(row, column) == 16;

	*out_high = is_sound ? bytes_number(bytes) : 0;
	*out_low = is_sound ? bytes_number(bytes + 8) : 0;
}
