/* numa_memory: on which node memory lies: asking for it, and asking the kernel where it is (libnuma).
 * A wish, never a condition: where the node has none left the kernel takes another's. Node numbers are
 * the kernel's. Nothing here works where weir_numa_memory_check() fails. */
#ifndef WEIR_DATAPLANE_BASE_NUMA_MEMORY_H
#define WEIR_DATAPLANE_BASE_NUMA_MEMORY_H

#include "dataplane/base/numa.h"

enum { WEIR_NUMA_WHERE_MAX = 512 }; /* pages asked about at a time */

/* Can this process say where its memory is to lie? 0; -ENOSYS (the kernel knows no nodes), -EPERM (a
 * container's filter) or what else it answers. */
int weir_numa_memory_check(void);

/* Leave nodes out whose memory this process may not use (cpuset). After weir_numa_memory_check(). */
void weir_numa_memory_allow(struct weir_numa *numa);

/* From now on the calling thread's new memory, and that of processes it starts, is to lie on node
 * `number`; where it runs. 0 or -errno. */
int weir_numa_prefer(uint16_t number);
int weir_numa_prefer_own(void);

/* The pages of a mapping that nobody has touched yet are to lie on node `number`, whoever touches them
 * first: of shared memory the file itself remembers it. `memory` starts on a page. 0 or -errno. */
int weir_numa_bind(void *memory, size_t bytes, uint16_t number);

/* On which nodes the `count` (at most WEIR_NUMA_WHERE_MAX) pages at `pages` of this process lie, by
 * move_pages(2): out_nodes gets a number, or -errno (-ENOENT: not touched by this process). 0 or -errno. */
int weir_numa_where(void *const *pages, size_t count, int *out_nodes);

#endif
