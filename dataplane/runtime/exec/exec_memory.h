/* exec_memory: how much memory a call's programs use: those of its process group.
 *
 *   the worker's control group    bounds what all its programs have together; ends one of them at once
 *   this                          a call's own limit, looked at again and again while it runs
 *
 * Memory is what is private to them: heap, stacks, what they wrote to; not their code, not files in
 * /tmp, which has its own limit. First a cheap look (/proc/PID/statm), which counts pages that a parent
 * and its children still share for each of them; where that is too much, an exact one (smaps_rollup).
 * Without a pid namespace of its own only the program itself is looked at, and not what it starts.
 * Threads: the one with the baton. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_MEMORY_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Do the processes of `group`, whose leader is a child of this one, use more? False where one cannot
 * know. Some microseconds for each process of the pid namespace. */
bool weir_exec_memory_is_beyond(pid_t group, uint64_t bytes_max);

/* The bytes in the line `name` ("Pss_Anon:   12 kB") of a text; 0 if there is none. */
uint64_t weir_exec_memory_line(const char *text, const char *name);

#endif
