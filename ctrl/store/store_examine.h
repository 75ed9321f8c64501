/* store_examine: a thorough look at both databases, while they are in use: SQLite's own integrity_check,
 * references, every row by the model's checks, and what rows must agree on among each other. Changes
 * nothing, and reads one state of each file, on connections of its own.
 * Owns: nothing that stays. Threads: any, one for each call; blocks on the disk until all is read. */
#ifndef WEIR_CTRL_STORE_STORE_EXAMINE_H
#define WEIR_CTRL_STORE_STORE_EXAMINE_H

#include "ctrl/store/store.h"

/* Who hears what is found; the calls come on the caller's thread. */
struct weir_store_examiner {
	void *context;
	/* Shall it end before its time? */
	bool (*stop)(void *context);
	/* One row, or with an empty `row` something about the whole table. Tables "weir.db" and
	 * "faas_meta.db" are the files themselves, "rows" are those of the public table. */
	void (*found)(void *context, const struct weir_store_bad_row *row);
	/* A version of `function` (number 0: it was added with a path), with its code's hash or "". */
	void (*version)(void *context, const struct weir_store_version *version);
};

/* How many of each were looked at, bad ones among them. */
struct weir_store_examined {
	uint64_t functions;
	uint64_t routes;
	uint64_t versions;
	uint64_t details;
	uint64_t rows;
};

/* Examine weir.db and faas_meta.db in `directory`. 0; -ECANCELED (stop); or, as in store.h, what kept it
 * from being read at all, which was said to `found`, too: the other file is examined all the same. */
int weir_store_examine(const char *directory, const struct weir_store_examiner *examiner,
		       struct weir_store_examined *out_examined, struct weir_store_error *error);

#endif
