/* history_internal: what the files of history share with each other and with store.c. Nobody else
 * includes it. All on the store's thread. */
#ifndef WEIR_CTRL_STORE_HISTORY_INTERNAL_H
#define WEIR_CTRL_STORE_HISTORY_INTERNAL_H

#include "ctrl/store/history.h"
#include "ctrl/store/store_internal.h"

enum { WEIR_HISTORY_NAME_BYTES = 64, WEIR_HISTORY_COLUMNS_MAX = 64 };

/* A changeset, starts zeroed. */
struct weir_history_changes {
	void *data;
	int bytes;
};

/* Of the change of that generation, as it is kept beside it: SQLite is not made for changesets that somebody
 * damaged (sqlite3changeset_invert() may never return), so none is read whose digest does not fit. */
int64_t weir_history_digest(const void *data, int bytes, uint64_t generation);

/* Free it; made for WEIR_CLEANUP. */
void weir_history_changes_release(struct weir_history_changes *changes);

/* The columns of a table as it is now; older changes know the first of them. */
struct weir_history_columns {
	char table[WEIR_HISTORY_NAME_BYTES]; /* "": none was read yet */
	int count;
	char name[WEIR_HISTORY_COLUMNS_MAX][WEIR_HISTORY_NAME_BYTES];
};

/* Read them unless they are that table's already. -EBADMSG: no such table, or more columns than there may
 * be. The place of one: -1 where another program took it away. */
int weir_history_columns_read(struct weir_store *store, const char *table,
			      struct weir_history_columns *columns,
			      struct weir_store_error *error);
int weir_history_column(const struct weir_history_columns *columns, const char *name);

/* The number in a value; 0 where there is none (NULL). */
int64_t weir_history_number_of(sqlite3_value *value);

/* Which tables are recorded and undone: not history's own, nor the counters and users. Made for SQLite. */
int weir_history_table_is_recorded(void *context, const char *table);

/* Who looks at changes. */
struct weir_history_viewer {
	weir_history_change_visit *visit;
	void *context;
};

/* Show a changeset of the tables as they are now, *out_count things. The database is as the changeset
 * leaves it, or as it finds it. */
int weir_history_changes_visit(struct weir_store *store, const struct weir_history_changes *changes,
			       const struct weir_history_viewer *viewer, size_t *out_count,
			       struct weir_store_error *error);

/* A change in which the database becomes what it was; `reached` says at which generation it stands. */
struct weir_history_travel {
	bool is_open; /* the change was begun */
	uint64_t reached;
};

/* Begin it, with the rules between tables not enforced; stand at an older generation; and end it. The end is
 * called after a failure too, and after weir_store_finish(), with is_open = false then; else it undoes all.
 * 0, -ENOENT, -ESTALE, or store.h. */
int weir_history_travel_begin(struct weir_store *store, struct weir_history_travel *travel,
			      struct weir_store_error *error);
int weir_history_travel_to(struct weir_store *store, struct weir_history_travel *travel,
			   uint64_t generation, struct weir_store_error *error);
void weir_history_travel_end(struct weir_store *store, struct weir_history_travel *travel);

/* Record what changes from now on; and what did, so far. */
int weir_history_session_open(struct weir_store *store, sqlite3_session **out_session,
			      struct weir_store_error *error);
void weir_history_session_close(sqlite3_session **session);
int weir_history_session_take(struct weir_store *store, sqlite3_session *session,
			      struct weir_history_changes *out_changes,
			      struct weir_store_error *error);

/* Begin the outermost change: after BEGIN IMMEDIATE, and with a line for what others did meanwhile,
 * store->session records. The caller ends the transaction after a failure too. */
int weir_history_begin(struct weir_store *store, struct weir_store_error *error);

/* The line of what store->session recorded, if it recorded anything; in the same transaction. */
int weir_history_write(struct weir_store *store, uint64_t generation,
		       struct weir_store_error *error);

/* What others have committed up to now is known. */
void weir_history_forget_others(struct weir_store *store);

/* One statement with the numbers ?1 and, where it has it, ?2; and a query's one number. */
int weir_history_run(struct weir_store *store, const char *text, int64_t first, int64_t second,
		     struct weir_store_error *error);
int weir_history_number(struct weir_store *store, const char *text, int64_t argument,
			int64_t *out_number, struct weir_store_error *error);

#endif
