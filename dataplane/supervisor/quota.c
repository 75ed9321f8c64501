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

uint32_t weir_quota_cpus(const struct weir_cgroup_place *place)
{
	char group[PATH_MAX];
	const size_t top_bytes = strlen(place->top);
	uint64_t least = 0;

	if (place->path[0] == '\0')
		return 0;
	(void)snprintf(group, sizeof(group), "%s", place->path);
	while (strlen(group) >= top_bytes) {
		const uint64_t cpus = group_cpus(group, place->is_unified);
		char *const slash = strrchr(group, '/');

		if (cpus != 0 && (least == 0 || cpus < least))
			least = cpus;
		if (slash == NULL || slash == group)
			break;
		*slash = '\0';
	}
	return least > UINT32_MAX ? UINT32_MAX : (uint32_t)least;
}

uint32_t weir_quota_own(void)
{
	static char mounts[MOUNTS_BYTES];
	static char groups[GROUPS_BYTES];
	static struct weir_cgroup_place places[WEIR_CGROUP_KINDS];

	if (weir_cgroup_read("/proc/self/mountinfo", mounts, sizeof(mounts)) != 0 ||
	    weir_cgroup_read("/proc/self/cgroup", groups, sizeof(groups)) != 0)
		return 0;
	weir_cgroup_layout_parse(mounts, groups, places);
	return weir_quota_cpus(&places[WEIR_CGROUP_CPU]);
}
