/* memory: what this worker learns of the limit of its memory.
 *
 *   a control group     the kernel ends who goes beyond it: the worker, which others notice, or a program
 *                       that it started, which weir_memory_kills() tells
 *   a resource limit    allocating fails, and functions that do not look crash: weir_memory_is_used_up()
 *                       in the crash handler tells why
 * How much a function may have: its memory, or its spec's in a worker of a pool with a spec.
 * Threads: open and pool once, by the control thread; the rest: any. */
#ifndef WEIR_DATAPLANE_WORKER_MEMORY_H
#define WEIR_DATAPLANE_WORKER_MEMORY_H

#include <stdbool.h>

#include "dataplane/runtime/runtime.h"
#include "dataplane/shm/snapshot.h"

/* The counts of this worker's control group (base/memory_events.h), this module's from now on. */
void weir_memory_open(int fd);

/* The pool that this worker is of: before the first snapshot is posted. */
void weir_memory_pool(uint64_t key);

/* Do workers of this one's pool run the function? */
bool weir_memory_is_of_pool(const struct weir_snapshot *snapshot, const struct weir_snapshot_function *function);

/* What the function may use in this worker. */
uint64_t weir_memory_of(const struct weir_snapshot *snapshot, const struct weir_snapshot_function *function);

/* For struct weir_runtime_call_ops. */
uint64_t weir_memory_kills(struct weir_runtime_call *call);

/* Would this process get no more memory? Async-signal-safe. */
bool weir_memory_is_used_up(void);

#endif
