/* public_rows: what the rows of the public table mean. Keeps, for each key, the last version that
 * parsed (in memory and in weir.db, so that it outlives a restart) and what is wrong with the present
 * one. A sync compares all keys: inserts, changes and deletes count, whatever `updated` says.
 *
 *   faas_meta.db --read--> row --parse--> good: new last good version     \
 *                               \-------> bad: last good version stays,     > one new generation
 *                                         reported with field and reason   /
 *
 * Ids are hashes of keys: stable over restarts without a database's help. A function's version is
 * the generation that brought it.
 * Owns: the rows. Threads: one. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_PUBLIC_ROWS_H
#define WEIR_CTRL_STORE_PUBLIC_ROWS_H

#include "ctrl/store/public_table.h"

struct weir_public_row {
	char *key;
	char *value;         /* v of the last good version; NULL if there was none */
	char *value_refused; /* v that did not parse; NULL: the row is fine, or v is not text */
	struct weir_model_function function; /* of the last good version */
	struct weir_model_route route;
	struct weir_model_error error; /* field is empty if the row is fine */
	bool saved;                    /* weir.db has the last good version */
	bool shadowed;                 /* a route of Weir's own has its method and path */
};

enum weir_public_event {
	WEIR_PUBLIC_ROW_TAKEN,   /* new or changed */
	WEIR_PUBLIC_ROW_REFUSED, /* newly bad */
	WEIR_PUBLIC_ROW_GONE,
};
typedef void weir_public_rows_report(void *context, const struct weir_public_row *row,
				     enum weir_public_event event);

struct weir_public_rows {
	struct weir_public_row *rows; /* sorted by key */
	size_t count;
	char **gone; /* keys that weir.db may still have */
	size_t gone_count;
	uint64_t readings; /* grows whenever `rows` is another array: places in it are then others */
	bool unsaved; /* weir.db lacks the newest versions: weir_public_rows_save() */
	weir_public_rows_report *report; /* hears of every row that came, went or turned bad */
	void *report_context;
};

/* Read the last good versions from weir.db; `rows` starts zeroed but for `report`. Rows that no longer parse are left
 * out. 0 or store.h. */
int weir_public_rows_load(struct weir_public_rows *rows, struct weir_store *store,
			  struct weir_store_error *error);
void weir_public_rows_release(struct weir_public_rows *rows);

/* Take over the present table. `generation` is the one that will bring what changes now. 0 and
 * *out_changed: something that is published changed; after a failure nothing is changed. */
int weir_public_rows_sync(struct weir_public_rows *rows, struct weir_public_table *table,
			  uint64_t generation, bool *out_changed,
			  struct weir_store_error *error);

/* Write one row to weir.db as the last good version of that key, or forget it (`value` is NULL): a part of a
 * larger change (weir_store_begin()), which writes the public table, too. Then the rows are loaded again. */
int weir_public_rows_put(struct weir_store *store, const char *key, const char *value,
			 struct weir_store_error *error);

/* Save to weir.db with a new generation; where that fails `unsaved` stays set. 0 or store.h. */
int weir_public_rows_save(struct weir_public_rows *rows, struct weir_store *store,
			  struct weir_store_error *error);

/* Where a walk over the last good rows stands. */
struct weir_public_rows_walk {
	const struct weir_public_rows *rows;
	size_t at;
};

/* The next last good row, or false behind the last. Made for weir_public_table_make(), when the file
 * vanished while Weir was off; `context` is a struct weir_public_rows_walk. */
bool weir_public_rows_next(void *context, const char **out_key, const char **out_value);

/* Append the last good functions and routes, or functions only. 0 or -ENOMEM. */
int weir_public_rows_append(const struct weir_public_rows *rows,
			    struct weir_store_catalog *catalog);
int weir_public_rows_append_functions(const struct weir_public_rows *rows,
				      struct weir_store_catalog *catalog);

/* The row with this key, or the row whose route has this method and path (and no host); or NULL. */
struct weir_public_row *weir_public_rows_find(const struct weir_public_rows *rows,
					      const char *key);
struct weir_public_row *weir_public_rows_find_route(const struct weir_public_rows *rows,
						    const struct weir_model_route *route);

#endif
