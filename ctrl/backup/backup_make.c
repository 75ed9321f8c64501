#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum {
	PAGES_PER_STEP = 256,
	LOCKED_MS = 5000, /* another program has the public table for itself at most that long */
};

int weir_backup_job_go_on(struct weir_backup_job *job)
{
	/* Only a wish: nothing is published by it. */
	if (!atomic_load_explicit(&job->is_dropped, memory_order_relaxed))
		return 0;
	(void)snprintf(job->error.text, sizeof(job->error.text), "nobody waits for it any more");
	return -ECANCELED;
}

int weir_backup_room_check(struct weir_backup_job *job, uint64_t bytes)
{
	struct statvfs disk;

	if (statvfs(job->data, &disk) != 0 ||
	    bytes + WEIR_BACKUP_ROOM_KEPT_BYTES <= (uint64_t)disk.f_bavail * disk.f_frsize)
		return 0; /* trouble shows when it is written */
	(void)snprintf(job->error.text, sizeof(job->error.text),
		       "no room on the disk of %s for this; free some space and try again", job->data);
	return -ENOSPC;
}

void weir_backup_name_note(struct weir_backup_names *names, const char *space, const char *function)
{
	char name[WEIR_BACKUP_NAME_BYTES];

	(void)snprintf(name, sizeof(name), "%.63s/%.63s", space, function); /* fits */
	if (strcmp(names->last, name) == 0)
		return;
	memcpy(names->last, name, sizeof(name));
	if (names->count < WEIR_BACKUP_NAMES_MAX)
		memcpy(names->name[names->count], name, sizeof(name));
	names->count++;
}

static int is_dropped(void *context)
{
	return weir_backup_job_go_on(context) != 0;
}

void weir_backup_job_watch(struct weir_backup_job *job, sqlite3 *db)
{
	enum { STEPS = 10000 };

	sqlite3_progress_handler(db, STEPS, is_dropped, job);
}

void weir_backup_close_db(sqlite3 **db)
{
	(void)sqlite3_close_v2(*db); /* cannot fail: statements are finalized first */
	*db = NULL;
}

int weir_backup_source_open(struct weir_backup_job *job, const char *name, sqlite3 **out_db)
{
	char path[WEIR_BACKUP_PATH_BYTES_MAX];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", job->data, name); /* fits */
	if (access(path, F_OK) != 0) {
		(void)snprintf(job->error.text, sizeof(job->error.text), "%s is missing; `ctrlctl status` says more",
			       path);
		return -ENOENT;
	}
	code = sqlite3_open_v2(path, out_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(*out_db, code, path, &job->error);
	(void)sqlite3_db_config(*out_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_busy_timeout(*out_db, LOCKED_MS);
	(void)sqlite3_limit(*out_db, SQLITE_LIMIT_LENGTH, WEIR_BACKUP_VALUE_BYTES_MAX); /* returns the old one */
	/* What is read from here on is as of one moment, whoever writes. */
	return weir_sql_run(*out_db, path, "BEGIN; SELECT count(*) FROM sqlite_schema", &job->error);
}

static int number_of(struct weir_backup_job *job, sqlite3 *db, const char *text, uint64_t *out_number)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, "the backup", text, &statement, &job->error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(db, code, "the backup", &job->error);
	*out_number = (uint64_t)sqlite3_column_int64(statement, 0);
	return 0;
}

/* weir.db, page by page. */
static int pages_copy(struct weir_backup_job *job, sqlite3 *source, sqlite3 *db)
{
	sqlite3_backup *copy = sqlite3_backup_init(db, "main", source, "main");
	int step = SQLITE_OK;
	int code = 0;

	if (copy == NULL)
		return weir_sql_error(db, sqlite3_errcode(db), job->path, &job->error);
	while (code == 0 && (step = sqlite3_backup_step(copy, PAGES_PER_STEP)) == SQLITE_OK)
		code = weir_backup_job_go_on(job);
	(void)sqlite3_backup_finish(copy); /* repeats the step's result */
	if (code == 0 && step != SQLITE_DONE)
		code = weir_sql_error(db, step, job->path, &job->error);
	return code;
}

/* History is this instance's: it tells of changes between other generations than where the backup goes, and
 * holds old values. What it took is given back. */
static int history_leave(struct weir_backup_job *job, sqlite3 *db)
{
	return weir_sql_run(db, job->path,
			    "PRAGMA temp_store = MEMORY; DELETE FROM history; DELETE FROM history_code;"
			    "UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'generation') "
			    "WHERE name = 'history_oldest'; VACUUM",
			    &job->error);
}

static int rows_copy(struct weir_backup_job *job, sqlite3 *source, sqlite3 *db)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *from = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *to = NULL;
	/* A key that is no text names no route. */
	int code = weir_sql_prepare(source, WEIR_PUBLIC_TABLE_FILE,
				    "SELECT k, v, updated FROM functions WHERE typeof(k) = 'text'", &from, &job->error);

	if (code == 0)
		code = weir_sql_prepare(db, job->path, "INSERT INTO backup_rows (k, v, updated) VALUES (?1, ?2, ?3)",
					&to, &job->error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(from)) == SQLITE_ROW) {
		for (int i = 0; i < 3; i++)
			(void)sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i)); /* errors show at the step */
		code = sqlite3_step(to);
		if (code != SQLITE_DONE)
			return weir_sql_error(db, code, job->path, &job->error);
		(void)sqlite3_reset(to); /* repeats the step's result */
		if (++job->report.rows > WEIR_PUBLIC_ROWS_MAX)
			break;
	}
	if (job->report.rows <= WEIR_PUBLIC_ROWS_MAX)
		return code == SQLITE_DONE ? 0
					   : weir_sql_error(source, code, WEIR_PUBLIC_TABLE_FILE, &job->error);
	(void)snprintf(job->error.text, sizeof(job->error.text), "%s holds more than %d rows", WEIR_PUBLIC_TABLE_FILE,
		       WEIR_PUBLIC_ROWS_MAX);
	return -E2BIG;
}

static int key_write(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_secret *secret = NULL;
	int code = weir_secret_open(job->data, false, &secret);

	if (code == -ENOENT) /* there never was a secret */
		return 0;
	if (code != 0) {
		(void)snprintf(job->error.text, sizeof(job->error.text), "%s/secret.key cannot be read: %s", job->data,
			       strerror(-code));
		return code == -EBADMSG ? code : -EACCES;
	}
	code = weir_sql_prepare(db, job->path, "INSERT INTO backup_key (bytes) VALUES (?1)", &statement, &job->error);
	if (code == 0) {
		(void)sqlite3_bind_blob(statement, 1, weir_secret_key(secret), WEIR_SECRET_KEY_BYTES, SQLITE_TRANSIENT);
		code = sqlite3_step(statement);
		code = code == SQLITE_DONE ? 0 : weir_sql_error(db, code, job->path, &job->error);
	}
	weir_secret_close(secret);
	job->report.has_key = code == 0;
	return code;
}

/* The one row that says what this is. */
static int head_write(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_backup_report *report = &job->report;
	uint64_t schema = 0;
	uint64_t functions = 0;
	uint64_t routes = 0;
	int code = number_of(job, db, "PRAGMA user_version", &schema);

	if (code == 0)
		code = number_of(job, db, "SELECT value FROM meta WHERE name = 'generation'", &report->generation);
	if (code == 0)
		code = number_of(job, db, "SELECT count(*) FROM functions", &functions);
	if (code == 0)
		code = number_of(job, db, "SELECT count(*) FROM routes", &routes);
	if (code == 0)
		code = weir_sql_prepare(db, job->path,
					"INSERT INTO backup (weir, schema, generation, created, host) VALUES (?1, ?2, "
					"?3, ?4, ?5)",
					&statement, &job->error);
	if (code != 0)
		return code;
	report->schema = (uint32_t)schema;
	report->functions = (uint32_t)functions;
	report->routes = (uint32_t)routes;
	report->created_s = (int64_t)time(NULL);
	(void)snprintf(report->weir, sizeof(report->weir), "%s", WEIR_VERSION);
	if (gethostname(report->host, sizeof(report->host) - 1) != 0)
		report->host[0] = '\0';
	(void)sqlite3_bind_text(statement, 1, report->weir, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)schema);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)report->generation);
	(void)sqlite3_bind_int64(statement, 4, report->created_s);
	(void)sqlite3_bind_text(statement, 5, report->host, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, job->path, &job->error);
}

/* All values of a row, each with its kind and length, so that no two rows look alike. */
static void row_digest(crypto_hash_sha256_state *state, sqlite3_stmt *row)
{
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		const int type = sqlite3_column_type(row, i);
		const void *value = type == SQLITE_NULL ? NULL
				    : type == SQLITE_BLOB ? sqlite3_column_blob(row, i)
							  : (const void *)sqlite3_column_text(row, i);
		const uint64_t head[2] = {(uint64_t)type, (uint64_t)sqlite3_column_bytes(row, i)};

		(void)crypto_hash_sha256_update(state, (const unsigned char *)head, sizeof(head)); /* cannot fail */
		(void)crypto_hash_sha256_update(state, value, value == NULL ? 0 : head[1]);
	}
}

static int table_digest(struct weir_backup_job *job, sqlite3 *db, const char *name, crypto_hash_sha256_state *state)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	char text[256];
	int code = 0;

	(void)sqlite3_snprintf(sizeof(text), text, "SELECT * FROM main.\"%w\" NOT INDEXED", name);
	code = weir_sql_prepare(db, "the backup", text, &rows, &job->error);
	if (code != 0)
		return code;
	(void)crypto_hash_sha256_update(state, (const unsigned char *)name, strlen(name) + 1);
	while ((code = sqlite3_step(rows)) == SQLITE_ROW)
		row_digest(state, rows);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, "the backup", &job->error);
}

int weir_backup_digest(struct weir_backup_job *job, sqlite3 *db, char out[WEIR_BACKUP_DIGEST_BYTES])
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *tables = NULL;
	unsigned char digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	int code = weir_sql_prepare(db, "the backup", WEIR_SQL_TABLES, &tables, &job->error);

	if (code != 0)
		return code;
	(void)crypto_hash_sha256_init(&state);
	while ((code = sqlite3_step(tables)) == SQLITE_ROW) {
		const char *name = weir_sql_text(tables, 0);

		code = strcmp(name, "backup_digest") == 0 ? 0 : table_digest(job, db, name, &state);
		if (code != 0)
			return code;
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	(void)crypto_hash_sha256_final(&state, digest);
	(void)sodium_bin2hex(out, WEIR_BACKUP_DIGEST_BYTES, digest, sizeof(digest));
	return 0;
}

static int digest_write(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char digest[WEIR_BACKUP_DIGEST_BYTES];
	int code = weir_backup_digest(job, db, digest);

	if (code == 0)
		code = weir_sql_prepare(db, job->path, "INSERT INTO backup_digest (sha256) VALUES (?1)", &statement,
					&job->error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, digest, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, job->path, &job->error);
}

/* weir.db has become a file of its own; now what lies elsewhere. */
static int tables_write(struct weir_backup_job *job, sqlite3 *rows, sqlite3 *db)
{
	int code = weir_sql_run(db, job->path, "BEGIN;" WEIR_BACKUP_TABLES, &job->error);

	if (code == 0)
		code = rows_copy(job, rows, db);
	if (code == 0)
		code = weir_backup_code_write(job, db);
	if (code == 0 && job->with_key)
		code = key_write(job, db);
	if (code == 0)
		code = head_write(job, db);
	if (code == 0)
		code = digest_write(job, db);
	return code == 0 ? weir_sql_run(db, job->path, "COMMIT", &job->error) : code;
}

/* Is there room for the database? Code: as it comes. */
static int database_room_check(struct weir_backup_job *job)
{
	struct stat info;
	char path[WEIR_BACKUP_PATH_BYTES_MAX];

	(void)snprintf(path, sizeof(path), "%s/weir.db", job->data); /* fits */
	return stat(path, &info) == 0 ? weir_backup_room_check(job, (uint64_t)info.st_size) : 0; /* its opening says why not */
}

static int file_open(struct weir_backup_job *job, sqlite3 **out_db)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(job->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int code = 0;

	if (fd == -1) {
		code = -errno;
		(void)snprintf(job->error.text, sizeof(job->error.text), "cannot make %s: %s", job->path,
			       strerror(-code));
		return code;
	}
	code = sqlite3_open_v2(job->path, out_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(*out_db, code, job->path, &job->error);
	(void)sqlite3_extended_result_codes(*out_db, 1);
	weir_backup_job_watch(job, *out_db);
	/* A file that is not finished is thrown away. */
	return weir_sql_run(*out_db, job->path, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", &job->error);
}

int weir_backup_file_make(struct weir_backup_job *job)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *source = NULL;
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *rows = NULL;
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *db = NULL;
	char text[64];
	struct stat info;
	int code = sodium_init() < 0 ? -ENOSYS : database_room_check(job);

	if (code == 0)
		code = weir_backup_source_open(job, "weir.db", &source);
	if (code == 0)
		code = weir_backup_source_open(job, WEIR_PUBLIC_TABLE_FILE, &rows);
	if (code == 0)
		code = file_open(job, &db);
	if (code == 0)
		code = pages_copy(job, source, db);
	(void)snprintf(text, sizeof(text), "PRAGMA application_id = %d", WEIR_BACKUP_APPLICATION_ID); /* fits */
	/* weir.db has a log beside it, a backup has none. */
	if (code == 0)
		code = weir_sql_run(db, job->path, "PRAGMA journal_mode = DELETE", &job->error);
	if (code == 0)
		code = weir_sql_run(db, job->path, text, &job->error);
	if (code == 0)
		code = history_leave(job, db);
	if (code == 0)
		code = tables_write(job, rows, db);
	if (code == 0 && stat(job->path, &info) == 0)
		job->report.bytes = (uint64_t)info.st_size;
	return code;
}
