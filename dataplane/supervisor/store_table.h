/* store_table: the keeper's entries, in the order in which they were first stored.
 * Owner: the keeper's one thread. Owns copies of the descriptors; dropping an entry closes them. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_STORE_TABLE_H
#define WEIR_DATAPLANE_SUPERVISOR_STORE_TABLE_H

#include "dataplane/supervisor/store.h"

enum { WEIR_STORE_ENTRIES_MAX = 4096 };

struct weir_store_entry {
	struct weir_store_message message; /* kind ENTRY: what is handed over */
	size_t fd_count;
	int *fds;
};

struct weir_store_table {
	struct weir_store_entry *entry[WEIR_STORE_ENTRIES_MAX];
	size_t count;
};

/* Apply a STORE or DROP message. A STORE takes `fds` over on success. 0, -ENOSPC (too many entries),
 * -ENOMEM, or -EBADMSG (another kind); then the caller still owns `fds`. Dropping what is not there
 * is no error. */
int weir_store_table_apply(struct weir_store_table *table, const struct weir_store_message *message,
			   const int *fds, size_t fd_count);

/* Send SIGKILL to every process whose pidfd the table holds. Returns how many were alive. */
size_t weir_store_table_kill(const struct weir_store_table *table);

/* Close and free everything. */
void weir_store_table_close(struct weir_store_table *table);

#endif
