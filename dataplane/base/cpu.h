/* cpu: which CPUs this process may use and where they are. */
#ifndef WEIR_DATAPLANE_BASE_CPU_H
#define WEIR_DATAPLANE_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_CPU_MAX 1024 /* CPUs considered; more are left unused */

struct weir_cpu {
	uint16_t number;    /* the kernel's CPU number */
	uint16_t numa_node; /* 0 where the machine has one node or does not say */
};

/* List the CPUs in this thread's affinity mask, ascending. Returns how many were written to
 * out_cpus (at most `max`), or -errno. Reads /sys; may block. */
int weir_cpu_list(struct weir_cpu *out_cpus, size_t max);

/* Bind the calling thread to one CPU. 0 or -errno. */
int weir_cpu_bind(uint16_t number);

#endif
