/* side_file: opening a database of things that may be lost, in DATA/log: what functions printed, what became
 * of calls. It may be deleted; one that is damaged or of another version is put aside (NAME.damaged) and begun
 * anew. A commit outlives this process; the last seconds may be lost with the machine.
 * Owns: nothing; the connection is the caller's. Threads: one per connection. May block on the disk. */
#ifndef WEIR_CTRL_STORE_SIDE_FILE_H
#define WEIR_CTRL_STORE_SIDE_FILE_H

#include <sqlite3.h>

#include "ctrl/store/store.h"

/* DATA/log/NAME. False: it is too long. */
bool weir_side_file_path(const char *data, const char *name, char out[WEIR_STORE_PATH_BYTES_MAX]);

/* Open for writing, made where it is missing. `schema` makes its tables and sets user_version to `version`
 * (1 or more). 0 and *out_db, or as store.h. */
int weir_side_file_open(const char *path, const char *schema, uint32_t version, sqlite3 **out_db,
			struct weir_store_error *error);

/* Open for one reading: the writer may have begun a new file since the last one. 0 and *out_db; -ENOENT: there
 * is none yet; or as store.h. */
int weir_side_file_open_reader(const char *path, sqlite3 **out_db, struct weir_store_error *error);

/* What a file takes on the disk. */
struct weir_side_file_size {
	uint64_t used_bytes;
	uint64_t file_bytes; /* with pages that hold nothing */
};

/* As of the connection's last commit. 0 or as store.h. */
int weir_side_file_size(sqlite3 *db, const char *path, struct weir_side_file_size *out_size,
			struct weir_store_error *error);

/* The first column of the first row of a statement, a whole number. -EBADMSG: there is no row. */
int weir_side_file_number(sqlite3 *db, const char *path, const char *text, uint64_t *out_value,
			  struct weir_store_error *error);

/* The first row of `table` that was received at `since_ns` or later, by its key; behind the last if there is
 * none. Rows are received in the order of their keys, so that some twenty are looked at. */
int weir_side_file_since(sqlite3 *db, const char *path, const char *table, const char *key, uint64_t since_ns,
			 uint64_t *out_key, struct weir_store_error *error);

/* An activation's id, in the order of its digits, and back. */
void weir_side_file_id(uint64_t high, uint64_t low, uint8_t out[16]);
void weir_side_file_id_read(sqlite3_stmt *row, int column, uint64_t *out_high, uint64_t *out_low);

#endif
