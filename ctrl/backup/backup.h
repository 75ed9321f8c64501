/* backup: an instance's configuration and code as one file, and back.
 *
 *   weir.db --online backup--.                         .--checked, hostile--> transfer/read-N/weir.db
 *   faas_meta.db --rows------+--> one SQLite file -----+--------------------> transfer/read-N/faas_meta.db
 *   code/HASH/ --files-------'    (backup_file.h)      '--unpacked----------> code/HASH/
 *
 * Making a file and reading one are jobs: each on a thread of its own, one at a time, so that nobody waits for
 * disks or for what a stranger wrote. A job ends some time; who began it asks now and then, and takes what came
 * of it or drops the job, which then stops at its next step. What was read is put in place of the present
 * configuration by weir_backup_restore(), on the store's own thread: the code is there by then, weir.db changes
 * in one transaction, then the public table in another. Whatever dies in between leaves a sound configuration,
 * and the same restore once more completes it.
 * Owns: DATA/transfer, emptied when it is opened: files there are nobody's after a crash. Threads: one calls;
 * one of its own. Blocks on the disk in weir_backup_restore() only. */
#ifndef WEIR_CTRL_BACKUP_BACKUP_H
#define WEIR_CTRL_BACKUP_BACKUP_H

#include "ctrl/code/code.h"
#include "ctrl/store/store_replace.h"

struct weir_backup;
struct weir_backup_upload;

enum { WEIR_BACKUP_NAMES_MAX = 32, WEIR_BACKUP_NAME_BYTES = 2 * WEIR_MODEL_NAME_BYTES_MAX + 2 };

/* Functions that something is to be said of: how many, and the first of them. */
struct weir_backup_names {
	uint32_t count;
	char name[WEIR_BACKUP_NAMES_MAX][WEIR_BACKUP_NAME_BYTES];
	char last[WEIR_BACKUP_NAME_BYTES];
};

/* What a backup holds, and what became of it. */
struct weir_backup_report {
	uint32_t schema;
	uint64_t generation; /* of the configuration in it */
	int64_t created_s;   /* since 1970 */
	char weir[32];       /* the version that made it */
	char host[256];
	uint32_t functions;
	uint32_t routes;
	uint32_t rows; /* of the public table */
	uint32_t codes;
	uint64_t code_bytes;
	uint64_t bytes; /* of the file */
	bool has_key;
	/* Read: */
	uint32_t secrets_sealed_anew; /* with this instance's key */
	struct weir_backup_names unopened; /* with secrets that no key here opens */
	struct weir_backup_names missing;  /* whose code was outside of the data directory, and is not here */
};

/* What a restore changed, or would. */
struct weir_backup_changes {
	struct weir_store_difference part[WEIR_STORE_PART_COUNT];
	struct weir_store_difference rows;
};

/* Open DATA/transfer, made where it is missing, without what a dead process left. 0 or -errno. */
int weir_backup_open(const char *data, struct weir_code *code, struct weir_backup **out_backup);

/* Stops and waits for the job. NULL is accepted. */
void weir_backup_close(struct weir_backup *backup);

/* Begin to make a backup; `with_key`: the key of secrets, too. 0 and *out_job, -EBUSY (another job is under
 * way: ask again), or -errno. */
int weir_backup_make(struct weir_backup *backup, bool with_key, uint64_t *out_job);

/* -EINPROGRESS; 0, *out_fd (the caller's: a file without a name, to be read) and *out_report; or what failed, as
 * in store.h, with a sentence. Unless it is -EINPROGRESS the job is over. */
int weir_backup_made(struct weir_backup *backup, uint64_t job, int *out_fd, struct weir_backup_report *out_report,
		     struct weir_store_error *error);

/* A file that comes in. Begin: 0, -ENOSPC (there is no room for `bytes`), or -errno. Append: 0 or -errno. Drop
 * accepts NULL. */
int weir_backup_upload_begin(struct weir_backup *backup, uint64_t bytes, struct weir_backup_upload **out_upload);
int weir_backup_upload_append(struct weir_backup_upload *upload, const void *data, size_t bytes);
void weir_backup_upload_drop(struct weir_backup_upload *upload);

/* Begin to check the file and, with `store_code`, to store its code, which nobody refers to yet. Takes the
 * upload where it returns 0; as weir_backup_make(). */
int weir_backup_read(struct weir_backup *backup, struct weir_backup_upload *upload, bool store_code,
		     uint64_t *out_job);

/* -EINPROGRESS; 0: it is a sound backup, and stays read until the job is dropped; -EINVAL: it is none, with a
 * sentence; or what failed here, as in store.h. */
int weir_backup_was_read(struct weir_backup *backup, uint64_t job, struct weir_backup_report *out_report,
			 struct weir_store_error *error);

/* The code that functions of what was read will run. `visit` gets each once. 0 or store.h. */
typedef void weir_backup_code_visit(void *context, const char *runtime, const char *path);
int weir_backup_code_each(struct weir_backup *backup, uint64_t job, weir_backup_code_visit *visit, void *context,
			  struct weir_store_error *error);

/* Put what was read in place of what is there, or look what that would change. 0; -ESTALE (its code was swept
 * away meanwhile: begin again), or store.h. Where weir.db is done and the public table fails, the next call
 * goes on with that. */
int weir_backup_restore(struct weir_backup *backup, uint64_t job, struct weir_store *store,
			struct weir_public_table *table, bool dry_run, struct weir_backup_changes *out_changes,
			struct weir_store_error *error);

/* Is weir.db done in that job? */
bool weir_backup_is_half(const struct weir_backup *backup, uint64_t job);

/* The job's result is not wanted, or no longer. 0 and jobs that are over are accepted. */
void weir_backup_drop(struct weir_backup *backup, uint64_t job);

#endif
