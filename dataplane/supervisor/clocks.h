/* clocks: what can be known of a process without eBPF: its CPU clock, and files of /proc. A process that
 * is gone, or a file that may not be read, counts 0. Threads: any; each call reads a few small files. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CLOCKS_H
#define WEIR_DATAPLANE_SUPERVISOR_CLOCKS_H

#include <stdint.h>
#include <sys/types.h>

#include "dataplane/abi/load.h"

enum {
	WEIR_CLOCKS_THREADS_MAX = 64,   /* of a process whose files are read; others' waiting is not seen */
	WEIR_CLOCKS_PROCESSES_MAX = 64, /* of a worker; others count when they were waited for */
};

/* CPU time of its threads in ns, those that ended included: 0.4 us. */
uint64_t weir_clocks_cpu_ns(pid_t pid);

/* Pages in memory, in bytes. */
uint64_t weir_clocks_rss_bytes(pid_t pid);

/* All counts that there are, of the process and of those that it started: while they live, and with what
 * /proc has of children that were waited for (CPU time in ticks of 10 ms, faults, bytes). Run-queue time and
 * switches are those of threads that live. About 30 us a process. Returns how many it has started that live. */
int weir_clocks_read(pid_t pid, uint64_t out_counts[WEIR_LOAD_COUNT]);

#endif
