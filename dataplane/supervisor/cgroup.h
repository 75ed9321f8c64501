/* cgroup: a control group of the kernel's for each worker, so that limits hold whatever runs in it.
 *
 *   the group this process was started in          v1: one tree for memory, pids, cpu each
 *   `- weir-<hash of the data directory>           v2: one tree for all
 *      |- w<worker id>   one worker and everything that it starts: limits, and counts of what hit them
 *      `- main           v2 only, where it must be: keeper and supervisor, so that the group above may
 *                        hand its controllers down (a group with processes of its own may not)
 *
 * Always below the group that it was started in: what limits that one limits the instance. (Only v2's
 * root, whose own group cannot be used because others are in it, takes the next one above that can.)
 * A worker is born in its group (sandbox/start.h), so nothing that it ever uses counts elsewhere.
 * Owner: the supervisor makes and removes workers' groups; a group without a worker is a leftover, and
 * weir_cgroups_sweep() finds it by that alone, so nobody's death leaves one. The instance's groups
 * stand in DATA/run/cgroups; the keeper removes them at the end, and the next start what a killed
 * instance left. Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CGROUP_H
#define WEIR_DATAPLANE_SUPERVISOR_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/sandbox/sandbox.h"
#include "dataplane/supervisor/cgroup_layout.h"

/* What a worker may use; 0 = as much as there is. */
struct weir_cgroup_limits {
	uint64_t memory_bytes;   /* its pages, its files in /tmp, the kernel's for it; swap not on top */
	uint32_t processes;      /* threads count */
	uint32_t cpu_millicores; /* 1,000 = one CPU's time, in each 100 ms */
	uint32_t cpu_apart;      /* 1 = gets its CPU time as one, however many processes it has */
};

struct weir_cgroup_tree {
	bool is_unified;
	char path[PATH_MAX]; /* the instance's group; "" = none */
};

struct weir_cgroups {
	struct weir_cgroup_tree tree[WEIR_CGROUP_KINDS];
};

/* Find and make the instance's groups; remove what an earlier run with this data directory left. In
 * `out_lacks` one sentence for each controller that cannot be used ("" where all can). `is_first`: this
 * instance had no supervisor before. Blocks on the kernel. */
void weir_cgroups_open(const char *data, bool is_first, struct weir_cgroups *out_groups, char *out_lacks,
		       size_t lacks_bytes);

/* Remove the groups that DATA/run/cgroups names, with every process in them but this one and its
 * parent, and the file. For the keeper's end and for a supervisor without a keeper. */
void weir_cgroups_close(const char *data);

/* Make the group of worker `id`; *plan gets what it needs to be born there (group_fd, tasks_fd: the
 * caller's to close with weir_cgroup_born()). 0 or -errno: then nothing is left. */
int weir_cgroup_create(const struct weir_cgroups *groups, uint64_t id, const struct weir_cgroup_limits *limits,
		       struct weir_sandbox_plan *plan);
void weir_cgroup_born(struct weir_sandbox_plan *plan);

/* Other limits for a worker that lives. 0, -EBUSY (it uses more memory now), or -errno. */
int weir_cgroup_limit(const struct weir_cgroups *groups, uint64_t id, const struct weir_cgroup_limits *limits);

/* The file that counts what was ended for want of memory (base/memory_events.h), the caller's; -1 =
 * there is none. */
int weir_cgroup_events(const struct weir_cgroups *groups, uint64_t id);

/* What the kernel has counted for a worker's group since it was made, of processes that are gone, too;
 * 0 = not counted here. */
struct weir_cgroup_counts {
	uint64_t cpu_ns;       /* v2; v1 where cpuacct is mounted with cpu and the worker has such a group */
	uint64_t faults;       /* of all kinds */
	uint64_t faults_major;
};

/* Read them: three small files, 15 us. */
void weir_cgroup_count(const struct weir_cgroups *groups, uint64_t id, struct weir_cgroup_counts *out_counts);

/* Memory that a worker's group uses now and nobody else: its processes' own, without files; 0 = not counted
 * here. One small file. */
uint64_t weir_cgroup_memory(const struct weir_cgroups *groups, uint64_t id);

/* Remove groups of workers that `is_kept` does not know, and end what is still in them. Returns how
 * many could not go yet: their processes are still dying. */
size_t weir_cgroups_sweep(const struct weir_cgroups *groups, bool (*is_kept)(void *context, uint64_t id),
			  void *context);

#endif
