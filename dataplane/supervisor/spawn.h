/* spawn: starting processes, stopping them, and what follows when one ends. A process gets its first
 * messages before it exists, in the socket that becomes its descriptor 3, and is in the store as soon
 * as it does: a supervisor that dies in between leaves a process that finds its socket closed. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_SPAWN_H
#define WEIR_DATAPLANE_SUPERVISOR_SPAWN_H

#include "dataplane/supervisor/supervisor.h"

/* Are all programs there? 0, or -ENOENT with the reason in `problem`. */
int weir_spawn_check(char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Start what is due; failures are logged and tried again later. */
void weir_spawn_gateway(struct weir_supervisor *supervisor, uint64_t now_ns);
void weir_spawn_ctrld(struct weir_supervisor *supervisor, uint64_t now_ns);
bool weir_spawn_worker(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns);

/* The pidfd of a process fired. */
void weir_spawn_gateway_ended(struct weir_supervisor *supervisor);
void weir_spawn_ctrld_ended(struct weir_supervisor *supervisor);
void weir_spawn_worker_ended(struct weir_supervisor *supervisor, struct weir_worker *worker);

/* Ask a process to end; kill it `patience_ns` later. Tried again until it is sent. */
void weir_spawn_stop(struct weir_supervisor *supervisor, struct weir_process *process, uint64_t now_ns,
		     uint64_t patience_ns);

/* Kill what takes too long to start or to stop. */
void weir_spawn_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
