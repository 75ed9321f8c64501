/* numa: the nodes of this machine, which CPUs and how much memory each has, and how far they are from
 * each other, as the kernel tells under /sys/devices/system/node.
 *
 *   index    0        1        2            an index is ours: dense, ascending by number;
 *   number   0        1        4            a number is the kernel's
 *   CPUs     0-3      4-7      (none)       of a node without CPUs: nothing runs there
 *   memory   16 GiB   (none)   64 GiB       of a node without memory: `memory_index` names the nearest that has some
 *
 * Where nothing can be read (no such kernel option, a container without /sys) there is one node with
 * everything. Pure memory once it was read; any thread. Where memory lies: base/numa_memory.h. */
#ifndef WEIR_DATAPLANE_BASE_NUMA_H
#define WEIR_DATAPLANE_BASE_NUMA_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/cpu.h"

#define WEIR_NUMA_ROOT "/sys/devices/system/node"

enum {
	WEIR_NUMA_NODES_MAX = 64, /* more are left out: their CPUs count as those of node 0 */
	WEIR_NUMA_DISTANCE_SELF = 10,
	WEIR_NUMA_CPUS_BYTES_MAX = 96,
};

struct weir_numa_node {
	uint16_t number;
	uint16_t memory_index; /* of the nearest node with memory: itself, if it has some */
	uint16_t cpu_count;
	uint16_t reserved;
	uint64_t memory_bytes; /* 0 = none */
	uint8_t distance[WEIR_NUMA_NODES_MAX]; /* to the node of each index; 10 = itself */
	char cpus[WEIR_NUMA_CPUS_BYTES_MAX]; /* as the kernel writes them: 0-3,8; cut where there are many */
};

struct weir_numa {
	uint32_t node_count; /* at least 1 */
	struct weir_numa_node node[WEIR_NUMA_NODES_MAX];
	uint8_t node_of_cpu[WEIR_CPU_MAX]; /* index; 0 where the kernel does not say */
};

/* One node with everything. */
void weir_numa_single(struct weir_numa *out_numa);

/* Read what lies in the directory `root` (WEIR_NUMA_ROOT, or a test's). 0; -ENOENT (the kernel tells
 * nothing), -EBADMSG (what it tells makes no sense) or -errno, and then *out_numa is one node with
 * everything. May block. */
int weir_numa_read(const char *root, struct weir_numa *out_numa);

/* This process may not use the memory of the node `index`: for every node, look for the nearest that has
 * some again. Where it was the last with memory, nothing changes. */
void weir_numa_memory_forbid(struct weir_numa *numa, uint32_t index);

/* The kernel's number of the node where memory for the node `index` should lie. */
static inline uint16_t weir_numa_memory_number(const struct weir_numa *numa, uint32_t index)
{
	return numa->node[numa->node[index].memory_index].number;
}

#endif
