/* collector: takes what functions print from the workers' sockets (abi/output.h) into the log store, on
 * a thread of its own, so that neither the disk nor a flood of lines delays the API.
 *
 *   supervisor --OUTPUT_OPEN--> main thread --open--> sockets --rounds--> log_store
 *   supervisor <--OUTPUT_GONE-- main thread <--gone-- (end of a socket, after its lines are committed)
 *
 * A round: wait 10 ms for more lines, begin, take what is there, commit, trim. Bounded: what is not taken
 * waits in the sockets, and when those are full the workers drop and count.
 * Lost when ctrld is killed: the lines of the round that was not committed.
 * Workers are not trusted: a message that is not sound is counted and dropped; lines go to the namespace
 * that the supervisor named, whatever they say; only Weir's own functions say what calls were answered.
 * Owns: the thread, the sockets, the store. Threads: all functions here: ctrld's main thread. */
#ifndef WEIR_CTRL_CTRLD_COLLECTOR_H
#define WEIR_CTRL_CTRLD_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/store/log_store.h"

enum { WEIR_COLLECTOR_SOCKETS_MAX = 1024 };

struct weir_collector;

struct weir_collector_status {
	struct weir_log_totals totals;
	uint64_t refused; /* unsound messages since ctrld started */
	uint64_t bytes_max;
	char problem[1024]; /* why lines are dropped at the moment; empty: fine */
};

/* Start for the data directory. 0, -ENOMEM or -errno. */
int weir_collector_create(const char *data, struct weir_collector **out_collector);

/* Take what is in the sockets once more, then stop. NULL is accepted. */
void weir_collector_destroy(struct weir_collector *collector);

/* Take `socket_fd`, of that worker, over; one of a worker that is known already is closed. */
void weir_collector_add(struct weir_collector *collector, uint64_t worker_id, const char *space,
			int socket_fd);

/* A descriptor that is readable when weir_collector_gone() has something; and the next worker whose
 * socket ended: 0 = none. */
int weir_collector_fd(const struct weir_collector *collector);
uint64_t weir_collector_gone(struct weir_collector *collector);

/* How much is kept, and for how long. */
void weir_collector_limits(struct weir_collector *collector, uint64_t bytes_max, uint64_t keep_s);

/* What is in the sockets now is committed once `mark` is reached. */
uint64_t weir_collector_mark(struct weir_collector *collector);
bool weir_collector_reached(struct weir_collector *collector, uint64_t mark);

/* As of the last round. */
void weir_collector_status_get(struct weir_collector *collector,
			       struct weir_collector_status *out_status);

#endif
