/* quota: how much CPU time and memory control groups leave this process. A container that may use two CPUs' time
 * on a machine of 64 is stopped for most of each period if 8 threads wait awake there; one that may use 1 GiB is
 * ended if its pools grow by what the machine has. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_QUOTA_H
#define WEIR_DATAPLANE_SUPERVISOR_QUOTA_H

#include <stdint.h>

#include "dataplane/supervisor/cgroup_layout.h"

/* Whole CPUs, rounded up: the least that the group at `place` and those above it allow (cpu.max, or
 * cpu.cfs_quota_us). 0 = none of them limits it, or there is none. Reads files. */
uint32_t weir_quota_cpus(const struct weir_cgroup_place *place);

/* Likewise, bytes (memory.max, or memory.limit_in_bytes). */
uint64_t weir_quota_memory(const struct weir_cgroup_place *place);

/* Both, of the group that this process is in; 0 = no limit. */
struct weir_quota {
	uint32_t cpus;
	uint64_t memory_bytes;
};

/* Read it. */
void weir_quota_own(struct weir_quota *out_quota);

#endif
