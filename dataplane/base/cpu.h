/* cpu: which CPUs this process may use. Where they are: base/numa.h. */
#ifndef WEIR_DATAPLANE_BASE_CPU_H
#define WEIR_DATAPLANE_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_CPU_MAX 1024 /* CPUs considered; more, and higher numbers, are left unused */

/* List the numbers of the CPUs in this thread's affinity mask, ascending. Returns how many were written
 * to out_cpus (at most `max`), or -errno. */
int weir_cpu_list(uint16_t *out_cpus, size_t max);

/* Read a list such as "0,2-3" (an option's, or the kernel's with its line end) into at most `max`
 * numbers, in its order. Returns how many, or -EINVAL: empty, malformed, named twice, a number of
 * WEIR_CPU_MAX or more, or too many. */
int weir_cpu_list_parse(const char *text, uint16_t *out_cpus, size_t max);

/* Bind the calling thread to one CPU; to any of `count` CPUs. 0 or -errno: -EINVAL where this process
 * may use none of them. */
int weir_cpu_bind(uint16_t number);
int weir_cpu_bind_all(const uint16_t *cpus, size_t count);

#endif
