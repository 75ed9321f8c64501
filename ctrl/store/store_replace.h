/* store_replace: another configuration in place of the present one, as a restore does it.
 *
 *   a foreign database --import--> DIRECTORY/weir.db ----.
 *                                  (our own tables)      | attached
 *   DATA/weir.db <--- what differs, in one change -------'
 *
 * Rows are known by what people call them (namespace and name; host, pattern and methods), so functions and
 * routes that both configurations have keep their ids, and those that are alike in both are not touched:
 * their workers go on. New ids are fresh; the generation only grows.
 * Owns: nothing. Threads: one per store. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_STORE_REPLACE_H
#define WEIR_CTRL_STORE_STORE_REPLACE_H

#include <sqlite3.h>

#include "ctrl/store/public_table.h"

/* What a configuration consists of. */
enum weir_store_part {
	WEIR_STORE_FUNCTIONS,
	WEIR_STORE_ROUTES,
	WEIR_STORE_VERSIONS,
	WEIR_STORE_VARIABLES,
	WEIR_STORE_SETTINGS,
	WEIR_STORE_POOL_SETTINGS,
	WEIR_STORE_IMAGE_ALIASES,
	WEIR_STORE_USERS,
	WEIR_STORE_KEYS,
	WEIR_STORE_PART_COUNT,
};

struct weir_store_difference {
	uint32_t added;
	uint32_t changed;
	uint32_t removed;
};

/* The schema that this Weir's weir.db has. */
uint32_t weir_store_schema_version(void);

/* Make DIRECTORY/weir.db, which is not there yet, with the tables of schema `version` (1 to
 * weir_store_schema_version()) and all their rows in `from`. The tables of `from` are read only if they are
 * declared in the very words of that schema: no view, no trigger, no code of theirs is run.
 * 0, -EPROTO (another schema), -EBADMSG (a row breaks a rule of the tables), or store.h. */
int weir_store_import(sqlite3 *from, uint32_t version, const char *directory,
		      struct weir_store_error *error);

/* Make the store's configuration that of DIRECTORY/weir.db, which has the present schema and was checked. One
 * change, one generation; none where nothing differs, and with `dry_run` all is looked at and undone. 0 and what
 * differed in each part, or store.h. */
int weir_store_replace(struct weir_store *store, const char *directory, bool dry_run,
		       struct weir_store_difference out_parts[WEIR_STORE_PART_COUNT],
		       struct weir_store_error *error);

/* The same for the rows of the public table, with those of the one in `directory`. A table that is missing is
 * made. */
int weir_public_table_replace(struct weir_public_table *table, const char *directory, bool dry_run,
			      struct weir_store_difference *out_rows, struct weir_store_error *error);

#endif
