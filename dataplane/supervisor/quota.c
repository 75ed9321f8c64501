#include "dataplane/supervisor/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/supervisor/cgroup_files.h"

enum {
	MOUNTS_BYTES = 65536,
	GROUPS_BYTES = 8192,
};

static void text_read(const char *group, const char *name, char text[64])
{
	char path[WEIR_CGROUP_PATH_BYTES];

	text[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", group, name);
	if (weir_cgroup_read(path, text, 64) != 0) /* the topmost group has no such file */
		text[0] = '\0';
}

/* Of one group; 0 = no limit. "max" and -1 are none. */
static uint64_t group_cpus(const char *group, bool is_unified)
{
	char quota[64];
	char period[64];
	long long quota_us = 0;
	long long period_us = 0;
	char *rest = NULL;

	if (is_unified) {
		text_read(group, "cpu.max", quota); /* "200000 100000" */
		quota_us = strtoll(quota, &rest, 10);
		period_us = strtoll(rest, NULL, 10);
	} else {
		text_read(group, "cpu.cfs_quota_us", quota);
		text_read(group, "cpu.cfs_period_us", period);
		quota_us = strtoll(quota, NULL, 10);
		period_us = strtoll(period, NULL, 10);
	}
	if (quota_us <= 0 || period_us <= 0)
		return 0;
	return (uint64_t)((quota_us - 1) / period_us) + 1;
}

/* Likewise, bytes; v1 writes a number near the largest for no limit. */
static uint64_t group_memory(const char *group, bool is_unified)
{
	char text[64];
	unsigned long long bytes = 0;

	text_read(group, is_unified ? "memory.max" : "memory.limit_in_bytes", text);
	bytes = strtoull(text, NULL, 10); /* "max": 0 */
	return bytes < UINT64_C(1) << 62 ? bytes : 0;
}

/* The least that the group at `place` and those above it say; 0 = none of them says anything. */
static uint64_t least_of(const struct weir_cgroup_place *place, uint64_t (*read)(const char *group, bool is_unified))
{
	char group[PATH_MAX];
	const size_t top_bytes = strlen(place->top);
	uint64_t least = 0;

	if (place->path[0] == '\0')
		return 0;
	(void)snprintf(group, sizeof(group), "%s", place->path);
	while (strlen(group) >= top_bytes) {
		const uint64_t found = read(group, place->is_unified);
		char *const slash = strrchr(group, '/');

		if (found != 0 && (least == 0 || found < least))
			least = found;
		if (slash == NULL || slash == group)
			break;
		*slash = '\0';
	}
	return least;
}

uint32_t weir_quota_cpus(const struct weir_cgroup_place *place)
{
	const uint64_t least = least_of(place, group_cpus);

	return least > UINT32_MAX ? UINT32_MAX : (uint32_t)least;
}

uint64_t weir_quota_memory(const struct weir_cgroup_place *place)
{
	return least_of(place, group_memory);
}

void weir_quota_own(struct weir_quota *out_quota)
{
	static char mounts[MOUNTS_BYTES];
	static char groups[GROUPS_BYTES];
	static struct weir_cgroup_place places[WEIR_CGROUP_KINDS];

	*out_quota = (struct weir_quota){.cpus = 0};
	if (weir_cgroup_read("/proc/self/mountinfo", mounts, sizeof(mounts)) != 0 ||
	    weir_cgroup_read("/proc/self/cgroup", groups, sizeof(groups)) != 0)
		return;
	weir_cgroup_layout_parse(mounts, groups, places);
	out_quota->cpus = weir_quota_cpus(&places[WEIR_CGROUP_CPU]);
	out_quota->memory_bytes = weir_quota_memory(&places[WEIR_CGROUP_MEMORY]);
}
