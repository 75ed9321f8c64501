/* steer: which shard accepts a connection, where shards are on several NUMA nodes.
 *
 *   eBPF             a shard of the node of the CPU that received it (bpf/steer.h)
 *   SO_INCOMING_CPU  the shard of that very CPU; where it has none, any shard
 *   as it comes      any shard, by the kernel's hash (SO_REUSEPORT alone)
 * The first that this machine allows. What is decided belongs to the sockets and outlives us; a new
 * supervisor finds it there, or decides again to the same effect. Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_STEER_H
#define WEIR_DATAPLANE_SUPERVISOR_STEER_H

#include "dataplane/supervisor/supervisor.h"

/* Steer the connections of all TCP listeners; log how, and note it for the board. */
void weir_steer_listeners(struct weir_supervisor *supervisor);

#endif
