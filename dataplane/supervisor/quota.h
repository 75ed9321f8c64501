/* quota: how much CPU time control groups leave this process, in CPUs. A container that may use two CPUs' time
 * on a machine of 64 is stopped for most of each period if 8 threads wait awake there. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_QUOTA_H
#define WEIR_DATAPLANE_SUPERVISOR_QUOTA_H

#include <stdint.h>

#include "dataplane/supervisor/cgroup_layout.h"

/* Whole CPUs, rounded up: the least that the group at `place` and those above it allow (cpu.max, or
 * cpu.cfs_quota_us). 0 = none of them limits it, or there is none. Reads files. */
uint32_t weir_quota_cpus(const struct weir_cgroup_place *place);

/* The same for the group that this process is in. */
uint32_t weir_quota_own(void);

#endif
