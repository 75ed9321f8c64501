#include "ctrl/store/log_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum {
	TRIM_LINES = 200, /* removed at once */
	TRIM_STEPS = 50,  /* in one call */
	VACUUM_PAGES = 2000,
	READ_BUSY_MS = 100, /* a reader waits for the writer at most; in WAL it never should */
};

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

static bool path_make(const char *data, char path[WEIR_STORE_PATH_BYTES_MAX])
{
	const int written =
		snprintf(path, WEIR_STORE_PATH_BYTES_MAX, "%s/log/functions.db", data);

	return written > 0 && written < WEIR_STORE_PATH_BYTES_MAX;
}

static int number_read(sqlite3 *db, const char *path, const char *text, uint64_t *out_value,
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

/* ---- the writer ---- */

static int totals_read(struct weir_log_store *store, struct weir_store_error *error)
{
	struct weir_log_totals totals = {0};
	uint64_t pages = 0;
	uint64_t free_pages = 0;
	uint64_t page_bytes = 0;
	int code = number_read(store->db, store->path, "PRAGMA page_count", &pages, error);

	if (code == 0)
		code = number_read(store->db, store->path, "PRAGMA freelist_count", &free_pages,
				   error);
	if (code == 0)
		code = number_read(store->db, store->path, "PRAGMA page_size", &page_bytes, error);
	if (code == 0)
		code = number_read(store->db, store->path,
				   "SELECT value FROM counter WHERE name = 'dropped'",
				   &totals.dropped, error);
	if (code != 0)
		return code;
	totals.bytes = pages > free_pages ? (pages - free_pages) * page_bytes : 0;
	store->totals = totals;
	store->file_bytes = pages * page_bytes;
	return 0;
}

static int tables_open(struct weir_log_store *store, struct weir_store_error *error)
{
	uint64_t version = 0;
	int code = number_read(store->db, store->path, "PRAGMA user_version", &version, error);

	if (code == 0 && version == 0)
		code = weir_sql_run(store->db, store->path, schema, error);
	else if (code == 0 && version != 1)
		code = weir_store_fail(error, -EBADMSG, "%s is of another version of Weir",
				       store->path);
	if (code == 0)
		code = weir_sql_prepare(
			store->db, store->path,
			"INSERT INTO line (time, received, activation, function, stream, text) "
			"VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			&store->insert, error);
	return code == 0 ? totals_read(store, error) : code;
}

static void file_close(struct weir_log_store *store)
{
	weir_sql_finalize(&store->insert);
	if (store->db != NULL)
		(void)sqlite3_close_v2(store->db); /* cannot fail: nothing else is open in it */
	store->db = NULL;
}

static int file_open(struct weir_log_store *store, struct weir_store_error *error)
{
	const int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(store->path, &store->db, flags, NULL);

	if (code != SQLITE_OK)
		return weir_sql_error(store->db, code, store->path, error);
	(void)sqlite3_extended_result_codes(store->db, 1);
	(void)sqlite3_busy_timeout(store->db, READ_BUSY_MS);
	/* NORMAL: written with each commit, on the disk with each checkpoint. */
	code = weir_sql_run(store->db, store->path,
			    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA "
			    "synchronous = NORMAL;",
			    error);
	return code != 0 ? code : tables_open(store, error);
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

int weir_log_store_open(const char *data, struct weir_log_store **out_store,
			struct weir_store_error *error)
{
	struct weir_log_store *const store = calloc(1, sizeof(*store));
	int code = 0;

	if (store == NULL)
		return weir_store_fail(error, -ENOMEM, "no memory for the log of functions");
	if (!path_make(data, store->path))
		code = weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	if (code == 0) {
		code = directory_make(store->path);
		if (code != 0)
			(void)weir_store_fail(error, code, "cannot make the directory of %s: %s",
					      store->path, strerror(-code));
	}
	if (code == 0)
		code = file_open(store, error);
	if (code == -EBADMSG) {
		file_close(store);
		file_put_aside(store->path);
		code = file_open(store, error);
	}
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
	file_close(store);
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

/* The bytes of an activation, in the order of its digits. */
static void activation_bytes(uint64_t high, uint64_t low, uint8_t out[16])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(high >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(low >> (56 - 8 * i));
	}
}

int weir_log_store_add(struct weir_log_store *store, const struct weir_log_line *line,
		       struct weir_store_error *error)
{
	uint8_t activation[16];
	int code = 0;

	activation_bytes(line->activation_high, line->activation_low, activation);
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

/* The first line that was received at `since_ns` or later; lines are received in the order of ids. */
static int since_find(sqlite3 *db, const char *path, uint64_t since_ns, uint64_t *out_id,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	uint64_t low = 0;
	uint64_t high = 0;
	int code = number_read(db, path, "SELECT coalesce(max(id), 0) + 1 FROM line", &high, error);

	if (code == 0)
		code = number_read(db, path, "SELECT coalesce(min(id), 1) FROM line", &low, error);
	if (code == 0)
		code = weir_sql_prepare(db, path,
					"SELECT id, received FROM line WHERE id >= ?1 ORDER BY id "
					"LIMIT 1",
					&statement, error);
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
		*out_id = low;
	return code;
}

static uint64_t bytes_number(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void row_visit(sqlite3_stmt *row, weir_log_visit *visit, void *context)
{
	const uint8_t *const activation = sqlite3_column_blob(row, 3);
	struct weir_log_line line = {
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.time_ns = (uint64_t)sqlite3_column_int64(row, 1),
		.received_ns = (uint64_t)sqlite3_column_int64(row, 2),
		.stream = (uint8_t)sqlite3_column_int(row, 5),
	};

	if (sqlite3_column_bytes(row, 3) == 16) {
		line.activation_high = bytes_number(activation);
		line.activation_low = bytes_number(activation + 8);
	}
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
		       "text FROM line WHERE %s = ?1 AND id >= ?2 AND time >= ?3 "
		       "ORDER BY id %s LIMIT ?4) ORDER BY id",
		       filter->function != NULL ? "function" : "activation",
		       filter->newest ? "DESC" : "ASC"); /* fits */
	code = weir_sql_prepare(db, path, text, &statement, error);
	if (code != 0)
		return code;
	activation_bytes(filter->activation_high, filter->activation_low, activation);
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
	struct stat info;
	sqlite3 *db = NULL;
	uint64_t first_id = filter->after_id + 1;
	uint64_t since_id = 0;
	int code = 0;

	WEIR_ASSERT(filter->lines_max >= 1 && filter->lines_max <= WEIR_LOG_STORE_LINES_MAX);
	if (!path_make(data, path) || stat(path, &info) != 0)
		return weir_store_fail(error, -ENOENT, "nothing was ever printed");
	/* A connection for each reading: the writer may have begun a new file meanwhile. */
	code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	code = code != SQLITE_OK ? weir_sql_error(db, code, path, error) : 0;
	if (code == 0) {
		(void)sqlite3_busy_timeout(db, READ_BUSY_MS);
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	}
	if (code == 0 && filter->since_ns != 0)
		code = since_find(db, path, filter->since_ns, &since_id, error);
	if (code == 0)
		code = rows_visit(db, path, filter, since_id > first_id ? since_id : first_id,
				  visit, context, error);
	(void)sqlite3_close_v2(db);
	return code;
}
