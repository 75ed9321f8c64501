#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { HEAD_BYTES = 100 }; /* of a database file: https://www.sqlite.org/fileformat.html */

static int fail(struct weir_backup_job *job, int number, const char *why)
{
	(void)snprintf(job->error.text, sizeof(job->error.text), "%s", why);
	return number;
}

static uint64_t number_at(const unsigned char *bytes, size_t count)
{
	uint64_t number = 0;

	for (size_t i = 0; i < count; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* Is it a database, whole, and a backup of ours? SQLite has not seen it yet. */
static int head_check(struct weir_backup_job *job)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(job->path, O_RDONLY | O_CLOEXEC);
	unsigned char head[HEAD_BYTES] = {0};
	struct stat info;
	uint64_t page_bytes = 0;

	if (fd == -1 || fstat(fd, &info) != 0)
		return fail(job, -EIO, strerror(errno));
	if (read(fd, head, sizeof(head)) != (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0 ||
	    number_at(head + 68, 4) != WEIR_BACKUP_APPLICATION_ID)
		return fail(job, -EINVAL, "it is no file of `ctrlctl backup`");
	page_bytes = number_at(head + 16, 2) == 1 ? 65536 : number_at(head + 16, 2);
	if ((uint64_t)info.st_size != page_bytes * number_at(head + 28, 4))
		return fail(job, -EINVAL, "it was cut short, or something was added to it");
	/* A log beside it would be read as part of it. */
	return head[18] == 1 && head[19] == 1 ? 0 : fail(job, -EINVAL, "it is damaged: its head says that it has a log");
}

/* Nothing that the file says is run, and nothing that is too long is read. */
static int file_open(struct weir_backup_job *job, sqlite3 **out_db)
{
	static const struct {
		int option;
		int value;
	} guards[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},	     {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	};
	int code = sqlite3_open_v2(job->path, out_db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	for (size_t i = 0; code == SQLITE_OK && i < sizeof(guards) / sizeof(guards[0]); i++)
		code = sqlite3_db_config(*out_db, guards[i].option, guards[i].value, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(*out_db, code, job->path, &job->error);
	(void)sqlite3_limit(*out_db, SQLITE_LIMIT_LENGTH, WEIR_BACKUP_VALUE_BYTES_MAX); /* these return the old ones */
	(void)sqlite3_limit(*out_db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_limit(*out_db, SQLITE_LIMIT_COLUMN, 64);
	weir_backup_job_watch(job, *out_db);
	return weir_sql_run(*out_db, job->path, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; BEGIN", &job->error);
}

/* The tables that a backup has more than a weir.db are declared as we declare them. */
static int tables_check(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *own = NULL;
	int code = sqlite3_open_v2(":memory:", &own, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (code != SQLITE_OK)
		return weir_sql_error(own, code, "memory", &job->error);
	code = weir_sql_run(own, "memory", WEIR_BACKUP_TABLES, &job->error);
	return code == 0 ? weir_sql_tables_check(db, own, &job->error) : code;
}

static int text_of(struct weir_backup_job *job, sqlite3 *db, const char *text, char *out, size_t max)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, "the backup", text, &statement, &job->error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	if (code == SQLITE_DONE || !weir_sql_text_copy(statement, 0, out, max))
		return fail(job, -EINVAL, "it does not say what it is");
	return 0;
}

static int integrity_check(struct weir_backup_job *job, sqlite3 *db)
{
	char found[512] = "";
	char digest[WEIR_BACKUP_DIGEST_BYTES] = "";
	char own[WEIR_BACKUP_DIGEST_BYTES] = "";
	int code = text_of(job, db, "PRAGMA integrity_check(1)", found, sizeof(found));

	if (code == 0 && strcmp(found, "ok") != 0) {
		(void)snprintf(job->error.text, sizeof(job->error.text), "it is damaged (%s)", found);
		return -EINVAL;
	}
	if (code == 0)
		code = text_of(job, db, "SELECT sha256 FROM backup_digest", digest, sizeof(digest));
	if (code == 0)
		code = weir_backup_digest(job, db, own);
	if (code == 0 && strcmp(own, digest) != 0)
		code = fail(job, -EINVAL, "it is damaged: its digest is not that of what it holds");
	return code;
}

static int head_read(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_backup_report *report = &job->report;
	char schema[16] = "";
	int code = text_of(job, db, "PRAGMA user_version", schema, sizeof(schema));

	if (code == 0)
		code = weir_sql_prepare(db, "the backup", "SELECT weir, schema, generation, created, host FROM backup",
					&statement, &job->error);
	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	if (code == SQLITE_DONE || strcmp(schema, weir_sql_text(statement, 1)) != 0 ||
	    sqlite3_column_int64(statement, 1) < 1 || sqlite3_column_int64(statement, 1) > UINT32_MAX ||
	    sqlite3_column_int64(statement, 2) < 0)
		return fail(job, -EINVAL, "it does not say what it is");
	(void)snprintf(report->weir, sizeof(report->weir), "%s", weir_sql_text(statement, 0)); /* cut is fine */
	report->schema = (uint32_t)sqlite3_column_int64(statement, 1);
	report->generation = (uint64_t)sqlite3_column_int64(statement, 2);
	report->created_s = sqlite3_column_int64(statement, 3);
	(void)snprintf(report->host, sizeof(report->host), "%s", weir_sql_text(statement, 4));
	return 0;
}

/* backup_rows -> a public table of its own. */
static int rows_stage(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *to = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *from = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *sink = NULL;
	char path[WEIR_BACKUP_PATH_BYTES_MAX + 16];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/" WEIR_PUBLIC_TABLE_FILE, job->folder); /* fits */
	code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(to, code, path, &job->error);
	code = weir_sql_run(to, path, "PRAGMA synchronous = OFF; BEGIN;" WEIR_PUBLIC_TABLE_SCHEMA, &job->error);
	if (code == 0)
		code = weir_sql_prepare(db, "the backup", "SELECT k, v, updated FROM backup_rows NOT INDEXED", &from,
					&job->error);
	if (code == 0)
		code = weir_sql_prepare(to, path, "INSERT INTO functions (k, v, updated) VALUES (?1, ?2, ?3)", &sink,
					&job->error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(from)) == SQLITE_ROW) {
		for (int i = 0; i < 3; i++)
			(void)sqlite3_bind_value(sink, i + 1, sqlite3_column_value(from, i)); /* errors show at the step */
		code = sqlite3_step(sink);
		if (code != SQLITE_DONE)
			return weir_sql_error(to, code, path, &job->error);
		(void)sqlite3_reset(sink); /* repeats the step's result */
		if (++job->report.rows > WEIR_PUBLIC_ROWS_MAX)
			return fail(job, -EINVAL, "it holds more rows of the public table than there may be");
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	return weir_sql_run(to, path, "COMMIT", &job->error);
}

/* All but the code: into databases of our own. */
static int stage(struct weir_backup_job *job, sqlite3 *db)
{
	int code = weir_store_import(db, job->report.schema, job->folder, &job->error);

	if (code == 0)
		code = rows_stage(job, db);
	return code == 0 ? weir_backup_staged_check(job) : code;
}

int weir_backup_staged_open(const char *folder, sqlite3 **out_db, struct weir_store_error *error)
{
	char path[WEIR_BACKUP_PATH_BYTES_MAX + 16];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/weir.db", folder); /* fits */
	code = sqlite3_open_v2(path, out_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	return code == SQLITE_OK ? 0 : weir_sql_error(*out_db, code, path, error);
}

/* What was staged is sound: the code, and what only this instance can tell. */
static int staged_finish(struct weir_backup_job *job, sqlite3 *db)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *staged = NULL;
	int code = weir_backup_staged_open(job->folder, &staged, &job->error);

	if (code != 0)
		return code;
	weir_backup_job_watch(job, staged);
	code = weir_sql_run(staged, "the backup", "PRAGMA synchronous = OFF; BEGIN", &job->error);
	if (code == 0)
		code = weir_backup_code_check(job, db, staged);
	if (code == 0)
		code = weir_backup_secrets_settle(job, db, staged);
	if (code == 0 && job->store_code)
		code = weir_backup_code_store(job, db, staged);
	return code == 0 ? weir_sql_run(staged, "the backup", "COMMIT", &job->error) : code;
}

static int file_read(struct weir_backup_job *job, sqlite3 **db)
{
	int code = head_check(job);

	if (code == 0)
		code = file_open(job, db);
	if (code == 0)
		code = tables_check(job, *db);
	if (code == 0)
		code = head_read(job, *db);
	if (code == 0)
		code = integrity_check(job, *db);
	if (code == 0)
		code = stage(job, *db);
	return code == 0 ? staged_finish(job, *db) : code;
}

/* Is the file to blame, and not this machine? */
static bool is_unsound(int code)
{
	return code == -EINVAL || code == -EBADMSG || code == -EEXIST || code == -E2BIG || code == -EDQUOT ||
	       code == -EFBIG || code == -EPROTO;
}

int weir_backup_file_read(struct weir_backup_job *job)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *db = NULL;
	struct weir_store_error why = {{0}};
	struct stat info;
	int code = sodium_init() < 0 ? -ENOSYS : file_read(job, &db);

	if (stat(job->path, &info) == 0)
		job->report.bytes = (uint64_t)info.st_size;
	if (code == 0 || weir_backup_job_go_on(job) != 0)
		return code == 0 ? 0 : -ECANCELED;
	if (!is_unsound(code))
		return code;
	why = job->error;
	if (db != NULL && ((sqlite3_errcode(db) & 0xff) == SQLITE_CORRUPT || (sqlite3_errcode(db) & 0xff) == SQLITE_NOTADB))
		(void)snprintf(why.text, sizeof(why.text), "it is damaged (%s)", sqlite3_errmsg(db));
	(void)snprintf(job->error.text, sizeof(job->error.text), "this is no sound backup: %.4000s; nothing was changed",
		       why.text);
	return -EINVAL;
}
