/* public_table: the file DATA/faas_meta.db, a contract that any program may write:
 *   functions(k TEXT PRIMARY KEY, v TEXT NOT NULL, updated INTEGER DEFAULT (strftime('%s','now')))
 *   and an index on `updated`; nothing else.
 * This module opens the file, notices foreign commits and reads and writes rows as text; what the
 * rows mean is public_rows.h. The file may be locked, damaged, removed or made anew by others at any
 * moment: each call says so with a sentence, and the next one looks again.
 * One connection watches (PRAGMA data_version counts the commits of all others); every read and
 * write uses a fresh one, so that it sees what is on the disk and counts as foreign.
 * Owns: the connections. Threads: one. Waits for nobody's lock. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_PUBLIC_TABLE_H
#define WEIR_CTRL_STORE_PUBLIC_TABLE_H

#include <sqlite3.h>

#include "ctrl/store/store.h"

enum { WEIR_PUBLIC_ROWS_MAX = 16384 };

#define WEIR_PUBLIC_TABLE_FILE "faas_meta.db"

/* The table, its index, and nothing else; harmless where they exist. */
#define WEIR_PUBLIC_TABLE_SCHEMA                             \
	"CREATE TABLE IF NOT EXISTS functions (\n"           \
	"  k TEXT PRIMARY KEY,\n"                            \
	"  v TEXT NOT NULL,\n"                               \
	"  updated INTEGER DEFAULT (strftime('%s','now'))\n" \
	");\n"                                               \
	"CREATE INDEX IF NOT EXISTS idx_functions_updated ON functions (updated);\n"

struct weir_public_table;

/* Prepare for the file in `directory`; opens nothing yet. 0, -ENAMETOOLONG, -ENOMEM. */
int weir_public_table_create(const char *directory, struct weir_public_table **out_table);
void weir_public_table_destroy(struct weir_public_table *table);
const char *weir_public_table_path(const struct weir_public_table *table);

/* Make the file and the table if they are missing, the latter with the rows that `next` gives until
 * it returns false (NULL: none), all in one commit; *out_made says so. */
typedef bool weir_public_table_next(void *context, const char **out_key,
				    const char **out_value);
int weir_public_table_make(struct weir_public_table *table, weir_public_table_next *next,
			   void *context, bool *out_made, struct weir_store_error *error);

/* Did anything change since the last complete weir_public_table_read()? Costs a stat and, where a
 * program wrote, a page. After trouble the answer is true until a read succeeds. */
bool weir_public_table_changed(struct weir_public_table *table);

/* Read all rows in the order of their keys' bytes. `visit` returns 0 or -errno, which ends the read.
 * Keys are NUL-terminated and hold no NUL byte; value is NULL where v is not text. -ENOENT: the
 * file or the table is missing; -E2BIG: more than WEIR_PUBLIC_ROWS_MAX rows. */
typedef int weir_public_table_visit(void *context, const char *key, const char *value,
				    size_t value_bytes);
int weir_public_table_read(struct weir_public_table *table, weir_public_table_visit *visit,
			   void *context, struct weir_store_error *error);

/* Add one row: -EEXIST if there is such a key. Change (with `updated` = now) or remove one: -ENOENT if there is none. */
int weir_public_table_add(struct weir_public_table *table, const char *key, const char *value,
			  struct weir_store_error *error);
int weir_public_table_change(struct weir_public_table *table, const char *key,
			     const char *value, struct weir_store_error *error);
int weir_public_table_remove(struct weir_public_table *table, const char *key,
			     struct weir_store_error *error);

/* Several rows in one commit; starts zeroed. */
struct weir_public_table_edit {
	struct weir_public_table *table;
	sqlite3 *db; /* NULL: not begun, or ended */
};

/* Begin: the table's lock is held until the commit or drop, so nobody else writes meanwhile, nor has since
 * the last complete read: else -EAGAIN. */
int weir_public_table_edit_begin(struct weir_public_table *table,
				 struct weir_public_table_edit *edit,
				 struct weir_store_error *error);

/* One row: new, in place of what is there, or removed (`value` is NULL). */
int weir_public_table_edit_put(struct weir_public_table_edit *edit, const char *key,
			       const char *value, struct weir_store_error *error);

/* End it: with all rows on the disk, or, where that fails, without. Drop: without; harmless where it ended. */
int weir_public_table_edit_commit(struct weir_public_table_edit *edit,
				  struct weir_store_error *error);
void weir_public_table_edit_drop(struct weir_public_table_edit *edit);

/* Write DATA/init.sql unless it exists: a script that recreates the public table with the sample
 * rows, whose modules lie in DATA/samples/seed. 0 or -errno. */
int weir_public_table_script_write(const char *directory);

#endif
