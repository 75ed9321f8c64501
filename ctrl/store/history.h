/* history: every change of weir.db leaves a line: which generation it made, when, who asked for it, from
 * where, in what words, and the change itself, so that two generations can be compared and an earlier one
 * be made again.
 *
 *   begin -> session records -> finish: changeset -> table history -> COMMIT     one transaction
 *                                          |
 *   generations   1 ---- 2 ---- 3 ---- 4   | each line holds old and new values of the rows it changed
 *                 <-undo 2- <-undo 3- <-undo 4
 *
 * A line is never without its change nor a change without its line. What changes no row (a build that
 * ended is published again) raises the generation but leaves no line. The oldest lines go when there are
 * more than the setting history_generations_max, or more bytes than history_bytes_max; the newest stays.
 * Code of removed versions is kept as long as a line may bring them back (weir_store_code_used()).
 * Commits of other programs to weir.db are noticed, but not what they changed: they get a line without a
 * change, which nothing undoes past. What is written while Weir is off is not noticed; undoing then meets
 * rows that are not as they were left, and refuses.
 * Values of secrets are there sealed, and never shown. Of users (store_user.h) a line says only how many changed,
 * who did it and in what words: undoing passes over it.
 * Owns: nothing; the store does. Threads: the store's. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_HISTORY_H
#define WEIR_CTRL_STORE_HISTORY_H

#include "ctrl/store/public_table.h"

#define WEIR_HISTORY_GENERATIONS_SETTING "history_generations_max"
#define WEIR_HISTORY_BYTES_SETTING       "history_bytes_max"

enum {
	WEIR_HISTORY_GENERATIONS_DEFAULT = 1000,
	WEIR_HISTORY_GENERATIONS_MAX = 1000000,
	WEIR_HISTORY_BYTES_MIN = 1 << 20,
	WEIR_HISTORY_BYTES_DEFAULT = 64 << 20,
	WEIR_HISTORY_BYTES_MAX = 512 << 20, /* SQLite takes values of up to 1,000,000,000 */
	WEIR_HISTORY_WHO_BYTES = 64,
	WEIR_HISTORY_FROM_BYTES = 64,
	WEIR_HISTORY_WHAT_BYTES = 512,
};

/* Who changes something, from where, and what in words; cut where they are too long. */
struct weir_history_author {
	char who[WEIR_HISTORY_WHO_BYTES];   /* a user's name, or "" */
	int64_t uid;                        /* of a local user; -1: none */
	char from[WEIR_HISTORY_FROM_BYTES]; /* "local socket", "spike 127.0.0.1", "restore", "ctrld" */
	char what[WEIR_HISTORY_WHAT_BYTES]; /* "deploy default/hello" */
};

/* All changes from now on are this one's; NULL: ctrld's own. */
void weir_history_author_set(struct weir_store *store, const struct weir_history_author *author);

/* The same where nobody is named: true, and the caller takes it back with NULL. */
bool weir_history_author_offer(struct weir_store *store, const struct weir_history_author *author);

/* Did another program write to weir.db? If so it gets its line, and a generation that is to be published.
 * True once for each, whoever noticed it. A lock in the way: the next look. */
bool weir_history_look(struct weir_store *store);

/* One line. */
struct weir_history_line {
	uint64_t generation;
	int64_t created_s; /* since 1970 */
	struct weir_history_author author;
	bool is_known;    /* the change is there: it can be shown and undone */
	uint64_t bytes;   /* of the change */
	const char *rows; /* how many rows of which tables, as JSON: {"functions":1} */
};

/* The newest `count_max` lines, newest first. `visit` returns 0 or -errno, which ends it. */
typedef int weir_history_visit(void *context, const struct weir_history_line *line);
int weir_history_each(struct weir_store *store, uint64_t count_max, weir_history_visit *visit,
		      void *context, struct weir_store_error *error);

/* The oldest generation that the lines lead back to. */
int weir_history_oldest(struct weir_store *store, uint64_t *out_generation,
			struct weir_store_error *error);

enum weir_history_operation {
	WEIR_HISTORY_ADDED,
	WEIR_HISTORY_REMOVED,
	WEIR_HISTORY_CHANGED,
};

enum weir_history_value_kind {
	WEIR_HISTORY_NOTHING, /* there is none on this side */
	WEIR_HISTORY_NUMBER,
	WEIR_HISTORY_TEXT,
	WEIR_HISTORY_SECRET, /* not shown */
};

struct weir_history_value {
	enum weir_history_value_kind kind;
	int64_t number;
	const char *text; /* `bytes` of them, no NUL behind */
	size_t bytes;
};

struct weir_history_field {
	const char *name; /* "timeout_ms" */
	struct weir_history_value from;
	struct weir_history_value to;
};

/* How one thing differs: of what is added or removed all fields, else those that changed. Valid until the
 * visit returns. */
struct weir_history_change {
	enum weir_history_operation operation;
	const char *kind; /* "function", "route", "setting", "pool", "variable", "version", "row", "details", "image" */
	const char *name; /* "default/hello", "GET /img/{id}", "default/hello KEY" */
	const struct weir_history_field *fields;
	size_t field_count;
};
typedef int weir_history_change_visit(void *context, const struct weir_history_change *change);

/* What leads from generation `from` to generation `to`, which may be older: each thing once, in no
 * particular order. `visit` returns 0 or -errno, which ends it. 0; -ENOENT (there is no such generation, or
 * no longer); -ESTALE (another program changed what lies between); or store.h. */
int weir_history_diff(struct weir_store *store, uint64_t from, uint64_t to,
		      weir_history_change_visit *visit, void *context,
		      struct weir_store_error *error);

/* What to make again. */
struct weir_history_rollback {
	uint64_t generation;
	bool is_dry;                      /* only look, and check */
	weir_history_change_visit *visit; /* gets what that changes, before it is certain */
	/* Can this function run as soon as it is there again? -EINPROGRESS: it is being built; then nothing is
	 * done yet, and -EINPROGRESS the result. Each is asked first. NULL: all can. Not asked where it is dry. */
	int (*prepare)(void *context, const struct weir_model_function *function);
	void *context;
};

/* What came of it, after a failure too. */
struct weir_history_outcome {
	size_t changes;    /* that were visited; none: nothing is done */
	bool is_committed; /* weir.db is what it was then, under a new generation */
};

/* Make the configuration what it was at a generation, as one new change: the lines since are undone; each
 * function that this touches gets a new version (workers load it anew), passes the model's checks, and its
 * code in the data directory must be there; so do routes. Ids and the generation only grow.
 *
 *   lock faas_meta.db, write its rows -> commit weir.db -> commit faas_meta.db
 *
 * Rows of the public table are restored there as well, whose file commits last. A crash between the two
 * leaves the newer rows in it: the next sync takes them as a change of the table (a generation of its own,
 * seen in history), and the same rollback again restores them.
 * `table` was read completely, and what it held is saved. After is_committed the rows in memory are the
 * caller's to load again, and the rest to publish.
 * 0; as weir_history_diff(); -EINVAL (what was restored does not pass a check); -ENODATA (code is missing,
 * named); -EAGAIN (one of the files is locked); -EINPROGRESS (`prepare`); or store.h. */
int weir_history_rollback(struct weir_store *store, struct weir_public_table *table,
			  const struct weir_history_rollback *rollback,
			  struct weir_history_outcome *outcome, struct weir_store_error *error);

#endif
