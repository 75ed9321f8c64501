/* cgroup_layout: where this process's control groups lie in the file system.
 *
 *   /proc/self/mountinfo   which hierarchies are mounted where     v1: one for each controller or a few
 *   /proc/self/cgroup      which group this process is in, in each v2: one for all, "0::/path"
 *
 * Text in, paths out: pure, so that every kind of machine can be tested on any. A controller counts as
 * v1's where some v1 hierarchy has it; whether v2's hierarchy has it, only its files tell (cgroup.c). */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CGROUP_LAYOUT_H
#define WEIR_DATAPLANE_SUPERVISOR_CGROUP_LAYOUT_H

#include <limits.h>
#include <stdbool.h>

enum weir_cgroup_kind {
	WEIR_CGROUP_MEMORY,
	WEIR_CGROUP_PROCESSES,
	WEIR_CGROUP_CPU,
	WEIR_CGROUP_KINDS,
};

/* "memory", "pids", "cpu": the kernel's names; NULL for a number that is none. */
const char *weir_cgroup_name(unsigned kind);

struct weir_cgroup_place {
	bool is_unified;     /* v2 */
	char path[PATH_MAX]; /* of this process's group; "" = the controller is nowhere */
	char top[PATH_MAX];  /* of the hierarchy, as it is mounted */
};

/* From the texts of both files. */
void weir_cgroup_layout_parse(const char *mountinfo, const char *groups,
			      struct weir_cgroup_place out_places[WEIR_CGROUP_KINDS]);

#endif
