#include "ctrl/store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/history_internal.h"
#include "ctrl/store/store_replace.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum { SCHEMA_VERSION = 12 };

/* What makes each version of the schema out of the one before. */
static const char *const schema[SCHEMA_VERSION] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"INSERT INTO meta VALUES ('generation', 0), ('id', 0);"
	"CREATE TABLE functions ("
	"  id INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
	"  space TEXT NOT NULL, name TEXT NOT NULL, runtime TEXT NOT NULL,"
	"  code_path TEXT NOT NULL, handler TEXT NOT NULL,"
	"  timeout_ms INTEGER NOT NULL, memory_mb INTEGER NOT NULL, queue_max INTEGER NOT NULL,"
	"  UNIQUE (space, name)) STRICT;"
	"CREATE TABLE routes ("
	"  id INTEGER PRIMARY KEY, function_id INTEGER NOT NULL REFERENCES functions (id),"
	"  methods INTEGER NOT NULL, host TEXT NOT NULL, pattern TEXT NOT NULL, shape TEXT NOT "
	"NULL,"
	"  timeout_ms INTEGER NOT NULL, UNIQUE (host, shape, methods)) STRICT;"
	"CREATE INDEX routes_by_function ON routes (function_id);"
	"CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"CREATE TABLE public_rows ("
	"  k TEXT PRIMARY KEY, v TEXT NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"PRAGMA user_version = 1;",
	/* 2: what was deployed, version by version. Code paths in the data directory are relative to it. */
	"ALTER TABLE functions ADD COLUMN number INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE versions ("
	"  function_id INTEGER NOT NULL REFERENCES functions (id) ON DELETE CASCADE,"
	"  number INTEGER NOT NULL, created INTEGER NOT NULL, code TEXT NOT NULL,"
	"  runtime TEXT NOT NULL, code_path TEXT NOT NULL, handler TEXT NOT NULL,"
	"  timeout_ms INTEGER NOT NULL, memory_mb INTEGER NOT NULL, queue_max INTEGER NOT NULL,"
	"  PRIMARY KEY (function_id, number)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX versions_by_code ON versions (code);"
	"PRAGMA user_version = 2;",
	/* 3: variables of functions; the values of secrets are sealed. */
	"CREATE TABLE variables ("
	"  function_id INTEGER NOT NULL REFERENCES functions (id) ON DELETE CASCADE,"
	"  name TEXT NOT NULL, value BLOB NOT NULL, secret INTEGER NOT NULL,"
	"  PRIMARY KEY (function_id, name)) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 3;",
	/* 4: settings of pools. */
	"CREATE TABLE pool_settings ("
	"  pool TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,"
	"  PRIMARY KEY (pool, name)) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 4;",
	/* 5: resource specs, as weir_model_specs_format() writes them. */
	"ALTER TABLE functions ADD COLUMN specs TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE versions ADD COLUMN specs TEXT NOT NULL DEFAULT '';"
	"PRAGMA user_version = 5;",
	/* 6: owner, image; and what else a function carries: rows that versions share and nobody changes. */
	"ALTER TABLE functions ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE functions ADD COLUMN image TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE functions ADD COLUMN details INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE versions ADD COLUMN image TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE versions ADD COLUMN details INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE details ("
	"  id INTEGER PRIMARY KEY,"
	"  function_id INTEGER NOT NULL REFERENCES functions (id) ON DELETE CASCADE,"
	"  description TEXT NOT NULL,"
	"  parameters TEXT NOT NULL CHECK (parameters = '' OR json_type(parameters) = 'object'),"
	"  annotations TEXT NOT NULL CHECK (annotations = '' OR json_type(annotations) = 'object')) STRICT;"
	"CREATE INDEX details_by_function ON details (function_id);"
	"PRAGMA user_version = 6;",
	/* 7: history. `changes` is a changeset, NULL where it is not known; `place` counts the lines,
	 * `bytes_before` the bytes of all changes before. Code of the versions that a line removed. */
	"CREATE TABLE history ("
	"  place INTEGER PRIMARY KEY, generation INTEGER NOT NULL UNIQUE, created INTEGER NOT NULL,"
	"  uid INTEGER NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL, what TEXT NOT NULL,"
	"  rows TEXT NOT NULL, changes BLOB, bytes_before INTEGER NOT NULL) STRICT;"
	"CREATE TABLE history_code ("
	"  place INTEGER NOT NULL, code TEXT NOT NULL,"
	"  PRIMARY KEY (place, code)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX history_code_by_code ON history_code (code);"
	"INSERT INTO meta SELECT 'history_oldest', value FROM meta WHERE name = 'generation';"
	"PRAGMA user_version = 7;",
	/* 8: rows are written anew, with the columns that were added: where a row lacks one, SQLite 3.40 tells
	 * history NULL instead of the default. A later step that adds columns has to do the same. */
	"UPDATE functions SET name = name;"
	"UPDATE versions SET code = code;"
	"PRAGMA user_version = 8;",
	/* 9: a line's digest, which must fit before SQLite reads its change. */
	"ALTER TABLE history ADD COLUMN digest INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 9;",
	/* 10: whose code a function with an image runs. */
	"CREATE TABLE image_alias (image TEXT PRIMARY KEY, space TEXT NOT NULL, function TEXT NOT NULL) STRICT, "
	"WITHOUT ROWID;"
	"PRAGMA user_version = 10;",
	/* 11: users; history does not record their rows. */
	"CREATE TABLE user ("
	"  name TEXT PRIMARY KEY, uuid TEXT NOT NULL, role TEXT NOT NULL, created INTEGER NOT NULL,"
	"  hash TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 11;",
	/* 12: keys, of which history does not record rows either; whether a route wants one. */
	"CREATE TABLE api_key ("
	"  name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, space TEXT NOT NULL, role TEXT NOT NULL,"
	"  created INTEGER NOT NULL, expires INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	"ALTER TABLE routes ADD COLUMN auth INTEGER NOT NULL DEFAULT 0;"
	"UPDATE routes SET host = host;"
	"PRAGMA user_version = 12;",
};

int weir_store_fail(struct weir_store_error *error, int number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return number;
}

int weir_store_create(const char *directory, struct weir_store **out_store)
{
	struct weir_store *store = calloc(1, sizeof(*store));
	int written = 0;

	if (store == NULL)
		return -ENOMEM;
	written = snprintf(store->path, sizeof(store->path), "%s/weir.db", directory);
	if (written < 0 || (size_t)written >= sizeof(store->path)) {
		free(store);
		return -ENAMETOOLONG;
	}
	store->directory_bytes = strlen(directory);
	weir_history_author_set(store, NULL);
	*out_store = store;
	return 0;
}

static void store_close(struct weir_store *store, bool checkpoint)
{
	if (store->db == NULL)
		return;
	/* A file that somebody restored in place would get pages of the old one's log. */
	if (!checkpoint)
		(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close_v2(store->db); /* cannot fail: statements are finalized first */
	store->db = NULL;
	WEIR_ASSERT(store->depth == 0);
}

void weir_store_destroy(struct weir_store *store)
{
	if (store == NULL)
		return;
	store_close(store, true);
	free(store);
}

bool weir_store_is_open(const struct weir_store *store)
{
	return store->db != NULL;
}

uint64_t weir_store_generation(const struct weir_store *store)
{
	return store->generation;
}

void weir_store_generation_raise(struct weir_store *store, uint64_t generation)
{
	if (store->generation < generation)
		store->generation = generation;
}

int weir_store_prepare(struct weir_store *store, const char *text, sqlite3_stmt **out_statement,
		       struct weir_store_error *error)
{
	if (store->db == NULL) {
		return weir_store_fail(
			error, -EBADMSG,
			"%s cannot be used; see the problems in `ctrlctl status`", store->path);
	}
	return weir_sql_prepare(store->db, store->path, text, out_statement, error);
}

/* Remember the file as it is now, as ours. */
static void store_note(struct weir_store *store)
{
	struct stat info;

	if (stat(store->path, &info) != 0)
		return; /* the next check finds it missing and says so */
	store->device = info.st_dev;
	store->inode = info.st_ino;
	store->bytes = info.st_size;
	store->written = info.st_mtim;
}

static int number_read(struct weir_store *store, const char *text, uint64_t *out_value,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	if (code == SQLITE_DONE || sqlite3_column_int64(statement, 0) < 0) {
		return weir_store_fail(error, -EBADMSG,
				       "%s lacks its counters; restore it from a copy",
				       store->path);
	}
	*out_value = (uint64_t)sqlite3_column_int64(statement, 0);
	return 0;
}

static int number_write(struct weir_store *store, const char *name, uint64_t value,
			struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "UPDATE meta SET value = ?2 WHERE name = ?1",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1,
				SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)value);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* Forget what was written since BEGIN; SQLite may have done so itself. */
static void rollback(struct weir_store *store)
{
	if (store->db != NULL && sqlite3_get_autocommit(store->db) == 0) {
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL,
				   NULL); /* the first error counts */
	}
}

uint32_t weir_store_schema_version(void)
{
	return SCHEMA_VERSION;
}

int weir_store_schema_make(sqlite3 *db, const char *path, uint64_t from, uint64_t to,
			   struct weir_store_error *error)
{
	int code = 0;

	WEIR_ASSERT(to <= SCHEMA_VERSION);
	for (uint64_t version = from; code == 0 && version < to; version++)
		code = weir_sql_run(db, path, schema[version], error);
	return code;
}

static int schema_migrate(struct weir_store *store, bool may_create,
			  struct weir_store_error *error)
{
	uint64_t version = 0;
	int code = number_read(store, "PRAGMA user_version", &version, error);

	if (code != 0)
		return code;
	if (version == SCHEMA_VERSION)
		return 0;
	if (version > SCHEMA_VERSION) {
		return weir_store_fail(
			error, -EPROTO,
			"%s was made by a newer Weir (schema %llu, this one knows %d); "
			"start that version, or use another data directory",
			store->path, (unsigned long long)version, SCHEMA_VERSION);
	}
	if (version == 0 && !may_create) {
		return weir_store_fail(error, -EBADMSG,
				       "%s has no tables; restore it from a copy", store->path);
	}
	code = weir_sql_run(store->db, store->path, "BEGIN IMMEDIATE", error);
	if (code != 0)
		return code;
	code = weir_store_schema_make(store->db, store->path, version, SCHEMA_VERSION, error);
	if (code == 0)
		code = weir_sql_run(store->db, store->path, "COMMIT", error);
	if (code != 0)
		rollback(store);
	return code;
}

static int store_open_file(struct weir_store *store, bool may_create,
			   struct weir_store_error *error)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
			  (may_create ? SQLITE_OPEN_CREATE : 0);
	struct stat info;
	int code = 0;

	if (!may_create && stat(store->path, &info) != 0 && errno == ENOENT) {
		return weir_store_fail(error, -ENOENT,
				       "%s is missing; restore it from a copy, or restart to "
				       "begin with an empty one",
				       store->path);
	}
	code = sqlite3_open_v2(store->path, &store->db, flags, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(store->db, code, store->path, error);
	(void)sqlite3_extended_result_codes(store->db, 1);
	(void)sqlite3_busy_timeout(store->db, 0);
	/* FULL: a commit is on the disk before it is acknowledged (promise 3). */
	code = weir_sql_run(store->db, store->path,
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
			    "foreign_keys = ON;",
			    error);
	return code != 0 ? code : schema_migrate(store, may_create, error);
}

int weir_store_open(struct weir_store *store, bool may_create, struct weir_store_error *error)
{
	uint64_t generation = 0;
	int code = 0;

	store_close(store, false);
	code = store_open_file(store, may_create, error);
	if (code == 0)
		code = weir_store_pages_check(store, error);
	if (code == 0) {
		code = number_read(store, "SELECT value FROM meta WHERE name = 'generation'",
				   &generation, error);
	}
	if (code != 0) {
		store_close(store, false);
		return code;
	}
	weir_store_generation_raise(store, generation);
	store->changes.all = true;
	weir_history_forget_others(store);
	store_note(store);
	return 0;
}

/* Something else wrote to the file. A fresh connection reads the pages as they are on the disk;
 * ours would answer from its cache. */
static int store_verify(struct weir_store *store, struct weir_store_error *error)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_open_v2(store->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
				   NULL);
	int result = 0;

	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW) {
		result = weir_sql_error(db, code, store->path, error);
	} else if (strcmp(weir_sql_text(statement, 0), "ok") != 0) {
		result = weir_store_fail(error, -EBADMSG,
					 "damaged: %s (%s); restore the file from a copy; "
					 "the last good configuration keeps serving",
					 store->path, weir_sql_text(statement, 0));
	}
	weir_sql_finalize(&statement);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close_v2(db);
	return result == -EAGAIN ? 0 : result; /* locked is not damaged */
}

int weir_store_check(struct weir_store *store, struct weir_store_error *error)
{
	struct stat info;
	int code = 0;

	if (store->db == NULL) {
		return weir_store_fail(error, -EBADMSG,
				       "%s cannot be used; see `ctrlctl status`", store->path);
	}
	if (stat(store->path, &info) != 0 || info.st_dev != store->device ||
	    info.st_ino != store->inode) {
		code = weir_store_fail(error, -EBADMSG,
				       "%s was removed or replaced while it was in use; put it "
				       "back or restart; "
				       "the last good configuration keeps serving",
				       store->path);
	} else if (info.st_size != store->bytes ||
		   info.st_mtim.tv_sec != store->written.tv_sec ||
		   info.st_mtim.tv_nsec != store->written.tv_nsec) {
		code = store_verify(store, error);
	}
	if (code != 0) {
		store_close(store, false);
		return code;
	}
	store->bytes = info.st_size;
	store->written = info.st_mtim;
	return 0;
}

static int spoiled(struct weir_store_error *error)
{
	return weir_store_fail(error, -ECANCELED, "a part of this change failed; nothing was changed");
}

int weir_store_begin(struct weir_store *store, struct weir_store_error *error)
{
	int code = 0;

	if (store->is_spoiled)
		return spoiled(error);
	if (store->depth == 0) {
		code = weir_store_check(store, error);
		if (code == 0)
			code = weir_history_begin(store, error);
		if (code != 0)
			rollback(store);
	}
	if (code != 0)
		return code;
	if (store->depth++ == 0) {
		store->user_changes = 0;
		store->key_changes = 0;
	}
	return 0;
}

void weir_store_undo(struct weir_store *store)
{
	WEIR_ASSERT(store->depth > 0);
	store->depth--;
	store->is_spoiled = store->depth > 0;
	if (store->depth == 0) {
		weir_history_session_close(&store->session);
		rollback(store);
	}
}

int weir_store_commit(struct weir_store *store, struct weir_store_error *error)
{
	const uint64_t generation = store->generation + 1;
	int code = number_write(store, "generation", generation, error);

	if (code == 0)
		code = weir_sql_run(store->db, store->path, "COMMIT", error);
	if (code != 0)
		return code;
	store->generation = generation;
	store_note(store);
	return 0;
}

int weir_store_finish(struct weir_store *store, struct weir_store_error *error)
{
	int code = 0;

	WEIR_ASSERT(store->depth > 0);
	if (store->depth > 1) {
		store->depth--;
		return store->is_spoiled ? spoiled(error) : 0;
	}
	code = store->is_spoiled ? spoiled(error)
				 : weir_history_write(store, store->generation + 1, error);
	if (code == 0)
		code = weir_store_commit(store, error);
	if (code != 0) {
		weir_store_undo(store);
		return code;
	}
	weir_history_session_close(&store->session);
	store->depth = 0;
	return 0;
}

int weir_store_generation_next(struct weir_store *store, struct weir_store_error *error)
{
	int code = 0;

	WEIR_ASSERT(store->depth == 0);
	code = weir_store_begin(store, error);
	if (code == 0)
		code = weir_store_finish(store, error);
	if (code != 0)
		store->generation++;
	return code;
}

int weir_store_id_next(struct weir_store *store, uint64_t *out_id,
		       struct weir_store_error *error)
{
	uint64_t id = 0;
	int code = number_read(store, "SELECT value FROM meta WHERE name = 'id'", &id, error);

	WEIR_ASSERT(store->db == NULL || sqlite3_get_autocommit(store->db) == 0);
	if (code == 0)
		code = number_write(store, "id", id + 1, error);
	if (code == 0)
		*out_id = id + 1;
	return code;
}

int weir_store_load(struct weir_store *store, struct weir_store_catalog *catalog,
		    struct weir_store_error *error)
{
	const int code = weir_store_function_load(store, catalog, error);

	return code != 0 ? code : weir_store_route_load(store, catalog, error);
}

int weir_store_load_functions(struct weir_store *store, struct weir_store_catalog *catalog,
			      struct weir_store_error *error)
{
	return weir_store_function_load(store, catalog, error);
}

/* Settings */

int weir_store_setting_set(struct weir_store *store, const char *name, uint64_t value,
			   struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = 0;

	if (strlen(name) >= WEIR_STORE_SETTING_NAME_MAX || value > INT64_MAX) {
		return weir_store_fail(error, -EINVAL,
				       "setting '%.64s': name or value is too long", name);
	}
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = weir_store_prepare(
		store, "INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)",
		&statement, error);
	if (code == 0) {
		(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)value);
		code = sqlite3_step(statement);
		code = code == SQLITE_DONE
			       ? 0
			       : weir_sql_error(store->db, code, store->path, error);
	}
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

int weir_store_setting_unset(struct weir_store *store, const char *name,
			     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = weir_store_prepare(store, "DELETE FROM settings WHERE name = ?1", &statement,
				  error);
	if (code == 0) {
		(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
		code = sqlite3_step(statement);
		code = code == SQLITE_DONE
			       ? 0
			       : weir_sql_error(store->db, code, store->path, error);
	}
	if (code == 0 && sqlite3_changes(store->db) == 0) {
		code = weir_store_fail(error, -ENOENT, "setting '%s' is at its default already",
				       name);
	}
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

int weir_store_setting_each(struct weir_store *store, weir_store_setting_visit *visit,
			    void *context, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT name, value FROM settings ORDER BY name",
				      &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (sqlite3_column_int64(statement, 1) >= 0) {
			visit(context, weir_sql_text(statement, 0),
			      (uint64_t)sqlite3_column_int64(statement, 1));
		}
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}
