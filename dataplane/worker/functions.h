/* functions: what this worker has loaded: one instance per function, by id and version.
 *
 *   find(id) --first call--> runtime load --> instance ... another version in the snapshot:
 *                                             load anew, unload the old one when its last call ended
 *
 * A function that moved to another pool stays as it is for calls that were bound before.
 *
 * Owns: instances. Threads: the baton's holder. */
#ifndef WEIR_DATAPLANE_WORKER_FUNCTIONS_H
#define WEIR_DATAPLANE_WORKER_FUNCTIONS_H

#include "dataplane/runtime/runtime.h"
#include "dataplane/shm/snapshot.h"
#include "dataplane/worker/variables.h"

enum {
	WEIR_FUNCTIONS_LOADED_MAX = 1024,
	WEIR_FUNCTIONS_CELLS = 4096, /* power of two, at most half full */
};

struct weir_function {
	uint64_t id;
	uint64_t version;
	uint64_t generation; /* of the snapshot that it was last compared with */
	uint64_t service_ns; /* moving average; 0 = none yet */
	uint64_t used_ns;    /* last call's start */
	uint64_t logged_ns;  /* last line about a failed call */
	uint64_t unlogged;   /* failed calls since */
	uint32_t calls;      /* running in it */
	uint16_t quiet_calls; /* of capture.h */
	bool is_replaced;    /* out of the table; unload after the last call */
	void *instance;
	char name[192]; /* "namespace/name", cut where longer */
};

struct weir_functions {
	void *runtime; /* of weir_runtime.open() */
	struct weir_variables *variables; /* of this namespace's functions; NULL: none came yet */
	uint32_t count;
	struct weir_function *cell[WEIR_FUNCTIONS_CELLS];
};

/* Zeroed memory, and open the runtime. 0 or its error. */
int weir_functions_open(struct weir_functions *functions);

/* The function, loaded, with one more call running in it. 0, -ESRCH (not in the snapshot, or not of this pool), -ENOSPC
 * (too many are loaded and all run), -EAGAIN (its variables have not come yet), or the runtime's error with its reason. May block on disk. */
int weir_functions_claim(struct weir_functions *functions, const struct weir_snapshot *snapshot,
			 uint64_t id, struct weir_function **out_function,
			 char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* A call in it ended. */
void weir_functions_release(struct weir_functions *functions, struct weir_function *function);

/* Other variables: functions that are loaded from now on get them. Returns those before. */
struct weir_variables *weir_functions_variables(struct weir_functions *functions,
						struct weir_variables *variables);

/* Another snapshot: unload what it no longer has. */
void weir_functions_configured(struct weir_functions *functions,
			       const struct weir_snapshot *snapshot);

#endif
