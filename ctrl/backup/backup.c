#include "ctrl/backup/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/fd.h"

/* The one place for a job: where its number is 0, it is free. */
struct weir_backup {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	struct weir_code *code;
	uint64_t names;  /* so far: of files */
	uint64_t number; /* of the job */
	bool is_dropped; /* nobody asks for it any more */
	bool is_joined;
	bool is_half; /* weir.db is done, the public table is not */
	struct weir_backup_changes changes; /* so far */
	int result;
	pthread_t thread;
	weir_backup_work *work;
	struct weir_backup_job job;
	atomic_bool is_done;
};

struct weir_backup_upload {
	int fd;
	char path[WEIR_BACKUP_PATH_BYTES_MAX];
};

/* Remove the folder's files and the folder; what stays is removed with the room. */
static void folder_remove(const char *path)
{
	DIR *list = opendir(path);
	const struct dirent *entry = NULL;

	if (list == NULL)
		return;
	while ((entry = readdir(list)) != NULL)
		(void)unlinkat(dirfd(list), entry->d_name, 0);
	(void)closedir(list);
	(void)rmdir(path);
}

/* DATA/transfer/KIND-N */
static const char *path_make(const char *data, const char *kind, uint64_t number,
			     char out[WEIR_BACKUP_PATH_BYTES_MAX])
{
	(void)snprintf(out, WEIR_BACKUP_PATH_BYTES_MAX, "%s/transfer/%s-%llu", data, kind,
		       (unsigned long long)number); /* fits */
	return out;
}

static void leftovers_remove(const char *folder)
{
	DIR *list = opendir(folder);
	const struct dirent *entry = NULL;
	char path[WEIR_BACKUP_PATH_BYTES_MAX + 256];

	if (list == NULL)
		return;
	while ((entry = readdir(list)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name); /* fits */
		if (unlink(path) != 0)
			folder_remove(path);
	}
	(void)closedir(list);
}

int weir_backup_open(const char *data, struct weir_code *code, struct weir_backup **out_backup)
{
	struct weir_backup *backup = calloc(1, sizeof(*backup));
	char folder[WEIR_BACKUP_PATH_BYTES_MAX];

	if (backup == NULL)
		return -ENOMEM;
	if ((size_t)snprintf(backup->data, sizeof(backup->data), "%s", data) >= sizeof(backup->data)) {
		free(backup);
		return -ENAMETOOLONG;
	}
	backup->code = code;
	(void)snprintf(folder, sizeof(folder), "%s/transfer", data); /* fits */
	if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
		const int result = -errno;

		free(backup);
		return result;
	}
	leftovers_remove(folder);
	*out_backup = backup;
	return 0;
}

/* What a job left: of one that was read, its databases too. */
static void job_clean(struct weir_backup *backup)
{
	if (backup->job.path[0] != '\0')
		(void)unlink(backup->job.path);
	if (backup->job.folder[0] != '\0')
		folder_remove(backup->job.folder);
	memset(&backup->job, 0, sizeof(backup->job));
	backup->number = 0;
}

/* The thread has ended, or is about to: it has said so. */
static void job_join(struct weir_backup *backup)
{
	if (backup->number == 0 || backup->is_joined)
		return;
	(void)pthread_join(backup->thread, NULL); /* it is ours, and is joined once */
	backup->is_joined = true;
	if (backup->is_dropped)
		job_clean(backup);
}

void weir_backup_close(struct weir_backup *backup)
{
	if (backup == NULL)
		return;
	weir_backup_drop(backup, backup->number);
	job_join(backup);
	free(backup);
}

static void *job_run(void *context)
{
	struct weir_backup *backup = context;

	backup->result = backup->work(&backup->job);
	/* ORDER backup_done release: what the job wrote. */
	atomic_store_explicit(&backup->is_done, true, memory_order_release);
	return NULL;
}

static bool job_is_done(const struct weir_backup *backup)
{
	/* ORDER backup_done acquire: what the job wrote is read now. */
	return atomic_load_explicit(&backup->is_done, memory_order_acquire);
}

/* The one place is free, or its last job was dropped and has ended. */
static bool place_is_free(struct weir_backup *backup)
{
	if (backup->number != 0 && backup->is_dropped && job_is_done(backup))
		job_join(backup);
	return backup->number == 0;
}

/* backup->job is filled but for what all jobs have. */
static int job_begin(struct weir_backup *backup, weir_backup_work *work, uint64_t *out_job)
{
	int code = 0;

	memcpy(backup->job.data, backup->data, sizeof(backup->data));
	backup->job.code = backup->code;
	backup->work = work;
	backup->is_dropped = false;
	backup->is_joined = false;
	backup->is_half = false;
	atomic_store_explicit(&backup->is_done, false, memory_order_relaxed); /* the thread begins after this */
	code = -pthread_create(&backup->thread, NULL, job_run, backup);
	if (code != 0) {
		job_clean(backup);
		return code;
	}
	backup->number = ++backup->names;
	*out_job = backup->number;
	return 0;
}

/* How the job went: -EINPROGRESS, or its result. */
static int job_ask(struct weir_backup *backup, uint64_t job)
{
	WEIR_ASSERT(job != 0 && job == backup->number); /* each asker has begun its own */
	if (!job_is_done(backup))
		return -EINPROGRESS;
	job_join(backup);
	return backup->result;
}

void weir_backup_drop(struct weir_backup *backup, uint64_t job)
{
	if (job == 0 || job != backup->number || backup->is_dropped)
		return;
	backup->is_dropped = true;
	atomic_store_explicit(&backup->job.is_dropped, true, memory_order_relaxed); /* it is looked at now and then */
	if (backup->is_joined)
		job_clean(backup);
	else if (job_is_done(backup))
		job_join(backup);
}

int weir_backup_make(struct weir_backup *backup, bool with_key, uint64_t *out_job)
{
	if (!place_is_free(backup))
		return -EBUSY;
	(void)path_make(backup->data, "backup", ++backup->names, backup->job.path);
	backup->job.with_key = with_key;
	return job_begin(backup, weir_backup_file_make, out_job);
}

int weir_backup_made(struct weir_backup *backup, uint64_t job, int *out_fd, struct weir_backup_report *out_report,
		     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int code = job_ask(backup, job);

	if (code == -EINPROGRESS)
		return code;
	*error = backup->job.error;
	if (code == 0) {
		fd = open(backup->job.path, O_RDONLY | O_CLOEXEC);
		code = fd == -1 ? -errno : 0;
	}
	if (code == 0) {
		*out_report = backup->job.report;
		*out_fd = fd;
		fd = -1;
	}
	weir_backup_drop(backup, job);
	return code;
}

int weir_backup_upload_begin(struct weir_backup *backup, uint64_t bytes, struct weir_backup_upload **out_upload)
{
	struct weir_backup_upload *upload = NULL;
	struct statvfs disk;

	if (statvfs(backup->data, &disk) == 0 &&
	    bytes + WEIR_BACKUP_ROOM_KEPT_BYTES > (uint64_t)disk.f_bavail * disk.f_frsize)
		return -ENOSPC;
	upload = calloc(1, sizeof(*upload));
	if (upload == NULL)
		return -ENOMEM;
	(void)path_make(backup->data, "upload", ++backup->names, upload->path);
	upload->fd = open(upload->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (upload->fd == -1) {
		const int result = -errno;

		free(upload);
		return result;
	}
	*out_upload = upload;
	return 0;
}

int weir_backup_upload_append(struct weir_backup_upload *upload, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes > 0) {
		const ssize_t written = write(upload->fd, at, bytes);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return -errno;
		at += written;
		bytes -= (size_t)written;
	}
	return 0;
}

void weir_backup_upload_drop(struct weir_backup_upload *upload)
{
	if (upload == NULL)
		return;
	if (upload->path[0] != '\0')
		(void)unlink(upload->path);
	weir_fd_close(&upload->fd);
	free(upload);
}

int weir_backup_read(struct weir_backup *backup, struct weir_backup_upload *upload, bool store_code,
		     uint64_t *out_job)
{
	int code = 0;

	if (!place_is_free(backup))
		return -EBUSY;
	(void)path_make(backup->data, "read", ++backup->names, backup->job.folder);
	if (mkdir(backup->job.folder, 0700) != 0) {
		code = -errno;
		backup->job.folder[0] = '\0';
		return code;
	}
	memcpy(backup->job.path, upload->path, sizeof(upload->path));
	backup->job.store_code = store_code;
	code = job_begin(backup, weir_backup_file_read, out_job);
	if (code != 0)
		return code;
	upload->path[0] = '\0'; /* the job's now */
	weir_backup_upload_drop(upload);
	return 0;
}

int weir_backup_was_read(struct weir_backup *backup, uint64_t job, struct weir_backup_report *out_report,
			 struct weir_store_error *error)
{
	const int code = job_ask(backup, job);

	if (code == -EINPROGRESS)
		return code;
	*error = backup->job.error;
	if (code == 0)
		*out_report = backup->job.report;
	else
		weir_backup_drop(backup, job);
	return code;
}

/* The staged weir.db of the job that was read. */
static int staged_open(const struct weir_backup *backup, uint64_t job, sqlite3 **out_db, struct weir_store_error *error)
{
	WEIR_ASSERT(job != 0 && job == backup->number && backup->is_joined && backup->result == 0);
	return weir_backup_staged_open(backup->job.folder, out_db, error);
}

int weir_backup_code_each(struct weir_backup *backup, uint64_t job, weir_backup_code_visit *visit, void *context,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *db = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	char path[WEIR_STORE_PATH_BYTES_MAX + WEIR_MODEL_PATH_BYTES_MAX + 2];
	int code = staged_open(backup, job, &db, error);

	if (code == 0)
		code = weir_sql_prepare(db, "the backup", "SELECT DISTINCT runtime, code_path FROM functions", &rows, error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		const char *kept = weir_sql_text(rows, 1);

		/* As the store reads it: relative to the data directory. */
		(void)snprintf(path, sizeof(path), "%s%s%s", kept[0] == '/' ? "" : backup->data, kept[0] == '/' ? "" : "/",
			       kept); /* fits: checked */
		visit(context, weir_sql_text(rows, 0), path);
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, "the backup", error);
}

/* What is about to be referred to is there, and stays. */
static int codes_keep(const struct weir_backup *backup, uint64_t job, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *db = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = staged_open(backup, job, &db, error);

	if (code == 0)
		code = weir_sql_prepare(db, "the backup", "SELECT DISTINCT code FROM versions WHERE code <> ''", &statement,
					error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *hash = weir_sql_text(statement, 0);

		if (!weir_code_hash_sound(hash) || !weir_code_keep(backup->code, hash)) {
			(void)snprintf(error->text, sizeof(error->text),
				       "the code %.12s was removed while the backup was being restored; nothing was "
				       "changed, restore it again",
				       hash);
			return -ESTALE;
		}
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, "the backup", error);
}

int weir_backup_restore(struct weir_backup *backup, uint64_t job, struct weir_store *store,
			struct weir_public_table *table, bool dry_run, struct weir_backup_changes *out_changes,
			struct weir_store_error *error)
{
	const char *folder = backup->job.folder;
	int code = 0;

	WEIR_ASSERT(job != 0 && job == backup->number && backup->is_joined && backup->result == 0);
	if (!backup->is_half && !dry_run)
		code = codes_keep(backup, job, error);
	if (code == 0 && !backup->is_half)
		code = weir_store_replace(store, folder, dry_run, backup->changes.part, error);
	if (code != 0)
		return code;
	backup->is_half = !dry_run;
	WEIR_FAULT(backup_between_databases);
	code = weir_public_table_replace(table, folder, dry_run, &backup->changes.rows, error);
	if (code == 0)
		*out_changes = backup->changes;
	return code;
}

bool weir_backup_is_half(const struct weir_backup *backup, uint64_t job)
{
	return job != 0 && job == backup->number && backup->is_half;
}
