/* store_internal: what the files of the store share; nobody else includes it. */
#ifndef WEIR_CTRL_STORE_STORE_INTERNAL_H
#define WEIR_CTRL_STORE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "ctrl/store/history.h"
#include "ctrl/store/store_examine.h"
#include "ctrl/store/sql.h"

struct weir_store {
	sqlite3 *db; /* NULL: closed after a failure, or not opened yet */
	char path[WEIR_STORE_PATH_BYTES_MAX];
	size_t directory_bytes; /* of path: the data directory */
	/* The file as we last left it: anything else means that another program wrote to it. */
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec written;
	uint64_t generation;
	struct weir_store_changes changes; /* of routes, since they were taken */
	int64_t data_version;              /* counts the commits of others; as of then */
	struct weir_store_bad_rows bad[WEIR_STORE_BAD_KINDS];
	const struct weir_store_examiner *examiner; /* hears of every bad row; NULL: nobody */
	uint32_t depth;                    /* of changes within changes; 0: none is open */
	bool is_spoiled;                   /* a part of the open change was undone */
	uint32_t user_changes;             /* in the open change: rows that history does not record; likewise below */
	uint32_t key_changes;
	sqlite3_session *session;          /* records the open change; NULL: none is open */
	struct weir_history_author author; /* of what changes next */
	bool author_is_named;
	bool foreign_is_noted;   /* a line was written that nobody has asked for yet */
	int64_t foreign_version; /* counts the commits of others; as far as they have a line */
};

/* Do SQLite's own rules hold in the whole file: pages, types, NOT NULL, CHECK? And note rows that refer to
 * others that are not there. 0 or store.h. */
int weir_store_pages_check(struct weir_store *store, struct weir_store_error *error);
int weir_store_references_check(struct weir_store *store, struct weir_store_error *error);

/* Note one bad row of that kind; whoever reads anew sets the count to 0 first. */
void weir_store_bad_row_note(struct weir_store *store, enum weir_store_bad_kind kind,
			     const struct weir_store_bad_row *row);

/* Note that a route is about to change; one that then does not is looked at in vain. */
void weir_store_route_note(struct weir_store *store, uint64_t id);

/* Save the next generation and commit. The caller rolls back after a failure. */
int weir_store_commit(struct weir_store *store, struct weir_store_error *error);

/* Prepare on weir.db. 0 or as weir_sql_error(); -EBADMSG if the store is closed. */
int weir_store_prepare(struct weir_store *store, const char *text, sqlite3_stmt **out_statement,
		       struct weir_store_error *error);

/* A fresh id, never used before. Only between begin and finish. */
int weir_store_id_next(struct weir_store *store, uint64_t *out_id,
		       struct weir_store_error *error);

/* Code paths: those within the data directory are kept relative to it, so that it may be moved.
 * weir_store_path_read(): false if it does not fit. */
const char *weir_store_path_kept(const struct weir_store *store, const char *path);
bool weir_store_path_read(const struct weir_store *store, sqlite3_stmt *row, int column,
			  char out[WEIR_MODEL_PATH_BYTES_MAX + 1]);

/* Insert a function that is checked and not there yet; -EDQUOT at the limit. Between begin and finish. */
int weir_store_function_insert(struct weir_store *store,
			       const struct weir_model_function *function,
			       struct weir_store_error *error);

/* A function, and what it carries (may be NULL), by the model's checks: 0, -EINVAL, -ENOMEM. */
int weir_store_record_check(const struct weir_model_function *function,
			    const struct weir_model_details *details, struct weir_store_error *error);

/* Keep what a function carries: a row, or none (0) where there is nothing. And forget what neither it
 * nor a version of it refers to any more. Between begin and finish. */
int weir_store_details_insert(struct weir_store *store, uint64_t function_id,
			      const struct weir_model_details *details, uint64_t *out_id,
			      struct weir_store_error *error);
int weir_store_details_trim(struct weir_store *store, uint64_t function_id, struct weir_store_error *error);

/* Functions with this image run something else from now on: give them a new version. Between begin and finish. */
int weir_store_image_touch(struct weir_store *store, const char *image, struct weir_store_error *error);

/* Set and unset variables of a function. Between begin and finish. -EDQUOT: too many. */
int weir_store_variables_write(struct weir_store *store, uint64_t function_id,
			       const struct weir_store_variables *variables,
			       struct weir_store_error *error);

/* Make the tables of schema `to` out of those of `from` in `db`, which is at `path`. */
int weir_store_schema_make(sqlite3 *db, const char *path, uint64_t from, uint64_t to,
			   struct weir_store_error *error);

/* Append one kind of record, ordered. */
int weir_store_function_load(struct weir_store *store, struct weir_store_catalog *catalog,
			     struct weir_store_error *error);
int weir_store_route_load(struct weir_store *store, struct weir_store_catalog *catalog,
			  struct weir_store_error *error);

/* Fill error->text; returns `number`. */
int weir_store_fail(struct weir_store_error *error, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
