/* python_memory: counts what Python allocates, and refuses what is beyond the function's limit.
 *
 *   small objects --> arenas of 256 KiB or more --+
 *                                                 +--> counted, refused: MemoryError
 *   everything else --> malloc ------------------+
 *
 * Hooking both places where Python gets memory costs small objects nothing. What extension modules get from
 * malloc() by themselves is not seen: the sandbox limits the process.
 * Threads: any; allocations happen without Python's lock, too. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_MEMORY_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Before anything else of Python. */
void weir_python_memory_open(void);

/* From now on at most `bytes` (0 = no limit), with what is in use already. */
void weir_python_memory_limit(uint64_t bytes);

/* Telling that memory ran out takes some: while `is_open`, 4 MiB more may be used. */
void weir_python_memory_reserve(bool is_open);

/* Was anything refused since this was last asked? Not everything in Python turns that into a MemoryError. */
bool weir_python_memory_was_refused(void);

#endif
