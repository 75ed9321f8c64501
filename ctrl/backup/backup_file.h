/* backup_file: what a backup looks like, and one job's work on it. Private to ctrl/backup.
 *
 * A backup is the database weir.db as it was at one generation, application id "Weir", with five tables more:
 *   backup         one row: which Weir, schema, generation, when (seconds since 1970), host
 *   backup_code    what versions refer to: hash, path within, part (from 0: each at most 1 MiB), mode as
 *                  stat(2) has it, bytes (of a link: where it leads)
 *   backup_rows    the public table: k, v, updated
 *   backup_key     the key of secrets, if it was asked for
 *   backup_digest  the SHA-256 of all rows of all other tables: a damaged file is no backup
 * Threads: a job's own, but for `is_dropped` and `state`. */
#ifndef WEIR_CTRL_BACKUP_BACKUP_FILE_H
#define WEIR_CTRL_BACKUP_BACKUP_FILE_H

#include <stdatomic.h>

#include "ctrl/backup/backup.h"
#include "ctrl/code/secret.h"
#include "ctrl/store/sql.h"

enum {
	WEIR_BACKUP_APPLICATION_ID = 0x57656972, /* "Weir" */
	WEIR_BACKUP_PART_BYTES_MAX = 1 << 20,
	WEIR_BACKUP_VALUE_BYTES_MAX = 16 << 20, /* of any value in it */
	WEIR_BACKUP_PATH_BYTES_MAX = WEIR_STORE_PATH_BYTES_MAX + 32,
	WEIR_BACKUP_ROOM_KEPT_BYTES = 16 << 20, /* of the disk, for everybody else */
	WEIR_BACKUP_DIGEST_BYTES = 65, /* hex digits and the NUL */
};

/* The further tables. */
#define WEIR_BACKUP_TABLES                                                                                        \
	"CREATE TABLE backup (weir TEXT NOT NULL, schema INTEGER NOT NULL, generation INTEGER NOT NULL, "         \
	"created INTEGER NOT NULL, host TEXT NOT NULL) STRICT;"                                                   \
	"CREATE TABLE backup_code (hash TEXT NOT NULL, path TEXT NOT NULL, part INTEGER NOT NULL, "               \
	"mode INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (hash, path, part)) STRICT, WITHOUT ROWID;"      \
	"CREATE TABLE backup_rows (k TEXT NOT NULL PRIMARY KEY, v, updated);"                                     \
	"CREATE TABLE backup_key (bytes BLOB NOT NULL) STRICT;"                                                   \
	"CREATE TABLE backup_digest (sha256 TEXT NOT NULL) STRICT;"

/* What a thread does for its job: 0, or store.h with job->error. */
struct weir_backup_job;
typedef int weir_backup_work(struct weir_backup_job *job);

struct weir_backup_job {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	char path[WEIR_BACKUP_PATH_BYTES_MAX];   /* of the file */
	char folder[WEIR_BACKUP_PATH_BYTES_MAX]; /* reading: of the databases that it becomes */
	struct weir_code *code;
	bool with_key;
	bool store_code;
	bool is_unsound; /* reading: `error` says why */
	struct weir_backup_report report;
	struct weir_store_error error;
	atomic_bool is_dropped; /* stop as soon as you can */
};

/* -ECANCELED with a sentence if the job is no longer wanted, else 0. */
int weir_backup_job_go_on(struct weir_backup_job *job);

/* -ENOSPC with a sentence if the disk has no room for `bytes` more and what is kept for others, else 0. */
int weir_backup_room_check(struct weir_backup_job *job, uint64_t bytes);

/* Note a function; one that is noted several times in a row counts once. */
void weir_backup_name_note(struct weir_backup_names *names, const char *space, const char *function);

/* Let go of `db` when nobody wants the job any more, in the midst of a statement. */
void weir_backup_job_watch(struct weir_backup_job *job, sqlite3 *db);

/* Close *db; NULL is accepted. Made for WEIR_CLEANUP. */
void weir_backup_close_db(sqlite3 **db);

/* Open one of the instance's databases, to be read as of now. No checkpoint at its close: see ctrl/store. 0 or
 * store.h with job->error. */
int weir_backup_source_open(struct weir_backup_job *job, const char *name, sqlite3 **out_db);

/* Open the weir.db that was staged in `folder`. 0 or store.h. */
int weir_backup_staged_open(const char *folder, sqlite3 **out_db, struct weir_store_error *error);

/* The digest of all rows in the database. 0 or store.h with job->error. */
int weir_backup_digest(struct weir_backup_job *job, sqlite3 *db, char out[WEIR_BACKUP_DIGEST_BYTES]);

/* The two kinds of work. */
weir_backup_work weir_backup_file_make, weir_backup_file_read;

/* What was staged in job->folder is made the present schema's, and every record of it is checked. 0 or store.h with
 * job->error. */
int weir_backup_staged_check(struct weir_backup_job *job);

/* Code -> rows of backup_code, and back: each object that a version in `staged` refers to. Read checks names
 * and links, that nothing lacks and nothing is too much; with job->store_code it stores them, and where they are
 * now called otherwise, `staged` says so. 0 or store.h with job->error. */
int weir_backup_code_write(struct weir_backup_job *job, sqlite3 *db);
int weir_backup_code_check(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged);
int weir_backup_code_store(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged);

/* Secrets in `staged`: those that this instance's key does not open are sealed anew if the backup brought its
 * key, else their functions are noted in the report. 0 or store.h with job->error. */
int weir_backup_secrets_settle(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged);

#endif
