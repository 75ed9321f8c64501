/* The instance's own groups: found and made at the start, removed at the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/supervisor/cgroup.h"
#include "dataplane/supervisor/cgroup_files.h"

enum {
	NAME_BYTES = 32,
	TEXT_BYTES_MAX = 262144, /* of mountinfo */
	LIST_BYTES_MAX = 3 * (PATH_MAX + 1),
	CLOSE_TRIES_MAX = 100,
};

static const char list_name[] = "run/cgroups";
static const char main_name[] = "main";
static const struct timespec pause_time = {.tv_nsec = 10000000};

/* "weir-0123456789abcdef": of the data directory, which no other instance has at the same time (FNV-1a). */
static void instance_name(const char *data, char out_name[NAME_BYTES])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *at = data; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	(void)snprintf(out_name, NAME_BYTES, "weir-%016llx", (unsigned long long)hash);
}

static void parent_of(const char *path, char out_parent[PATH_MAX])
{
	const char *const slash = strrchr(path, '/');

	(void)snprintf(out_parent, PATH_MAX, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

static bool ends_in(const char *path, const char *name)
{
	const char *const slash = strrchr(path, '/');

	return slash != NULL && strcmp(slash + 1, name) == 0;
}

/* A name below a path that was checked to leave room for it (cgroup_layout.c). */
static void path_join(const char *path, const char *name, char out_path[PATH_MAX])
{
	if (snprintf(out_path, PATH_MAX, "%s/%s", path, name) >= PATH_MAX)
		out_path[0] = '\0';
}

/* ---- v2 ---- */

/* Let `group` hand a controller down to those below it. 0 or -errno. */
static int hand_down(const char *group, unsigned kind)
{
	char text[16];

	if (weir_cgroup_lists(group, "cgroup.subtree_control", weir_cgroup_name(kind)))
		return 0;
	(void)snprintf(text, sizeof(text), "+%s", weir_cgroup_name(kind));
	return weir_cgroup_write(group, "cgroup.subtree_control", text);
}

static void hand_down_no_more(const char *group)
{
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "-%s", weir_cgroup_name(kind));
		(void)weir_cgroup_write(group, "cgroup.subtree_control", text); /* it never did, then */
	}
}

static int process_put(const char *group, pid_t pid)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	return weir_cgroup_write(group, "cgroup.procs", text);
}

/* Keeper and supervisor go down into a group of their own, or back. */
static int selves_put(const char *group)
{
	const int result = process_put(group, getppid());

	return result == 0 ? process_put(group, getpid()) : result;
}

/* The instance's group below `own`, which this process is in: 0, or -errno and nothing changed. */
static int unified_below_own(const char *own, const char *instance)
{
	char main_path[PATH_MAX];
	int result = hand_down(own, WEIR_CGROUP_MEMORY);

	if (result != -EBUSY)
		return result;
	path_join(instance, main_name, main_path);
	result = weir_cgroup_make(main_path);
	if (result == 0)
		result = selves_put(main_path);
	if (result == 0)
		result = hand_down(own, WEIR_CGROUP_MEMORY); /* -EBUSY: somebody else is in it, too */
	if (result != 0) {
		(void)selves_put(own);
		(void)rmdir(main_path);
	}
	return result;
}

/* Root may take the nearest group above that hands memory down already. */
static int unified_above(const struct weir_cgroup_place *place, const char *name, char out_path[PATH_MAX])
{
	char above[PATH_MAX];
	char next[PATH_MAX];

	(void)snprintf(next, sizeof(next), "%s", place->path);
	while (geteuid() == 0 && strlen(next) > strlen(place->top)) {
		parent_of(next, above);
		if (weir_cgroup_lists(above, "cgroup.subtree_control", weir_cgroup_name(WEIR_CGROUP_MEMORY))) {
			path_join(above, name, out_path);
			return weir_cgroup_make(out_path);
		}
		memcpy(next, above, sizeof(next));
	}
	return -EBUSY;
}

/* Make the one v2 group of the instance: 0 and its path. */
static int unified_open(const struct weir_cgroup_place *place, const char *name, char out_path[PATH_MAX])
{
	char own[PATH_MAX];
	int result = 0;

	(void)snprintf(own, sizeof(own), "%s", place->path);
	if (ends_in(own, main_name)) { /* a supervisor after the first: it was put there */
		parent_of(own, out_path);
		if (ends_in(out_path, name))
			return 0;
	}
	if (!weir_cgroup_lists(own, "cgroup.controllers", weir_cgroup_name(WEIR_CGROUP_MEMORY)))
		return -EOPNOTSUPP;
	path_join(own, name, out_path);
	result = weir_cgroup_make(out_path);
	if (result != 0)
		return result;
	result = unified_below_own(own, out_path);
	if (result != 0) {
		(void)rmdir(out_path);
		result = unified_above(place, name, out_path) == 0 ? 0 : result;
	}
	return result;
}

/* A controller in the v2 group, which is made with the first that asks. */
static int unified_tree_open(const struct weir_cgroup_place *place, const char *name, unsigned kind,
			     struct weir_cgroups *groups)
{
	struct weir_cgroup_tree *const tree = &groups->tree[kind];
	char parent[PATH_MAX];
	int result = 0;

	for (unsigned other = 0; other < kind && tree->path[0] == '\0'; other++)
		if (groups->tree[other].is_unified)
			memcpy(tree->path, groups->tree[other].path, sizeof(tree->path));
	if (tree->path[0] == '\0')
		result = unified_open(place, name, tree->path);
	parent_of(tree->path, parent);
	if (result == 0)
		result = hand_down(parent, kind);
	if (result == 0)
		result = hand_down(tree->path, kind);
	tree->is_unified = true;
	return result;
}

/* ---- v1 ---- */

static int tree_open(const struct weir_cgroup_place *place, const char *name, struct weir_cgroup_tree *tree)
{
	tree->is_unified = false;
	path_join(place->path, name, tree->path);
	return tree->path[0] == '\0' ? -ENAMETOOLONG : weir_cgroup_make(tree->path);
}

/* ---- all ---- */

static bool nobody(void *context, uint64_t id)
{
	(void)context;
	(void)id;
	return false;
}

/* One group of an instance that is over, with everything below it. 0 or -EBUSY: not all has died. */
static int instance_remove(const char *path)
{
	struct weir_cgroups groups = {.tree = {{.is_unified = false}}};
	char main_path[PATH_MAX];
	char parent[PATH_MAX];

	memcpy(groups.tree[0].path, path, sizeof(groups.tree[0].path));
	if (weir_cgroups_sweep(&groups, nobody, NULL) > 0)
		return -EBUSY;
	hand_down_no_more(path);
	path_join(path, main_name, main_path);
	if (access(main_path, F_OK) == 0) {
		parent_of(path, parent);
		hand_down_no_more(parent); /* then it may have processes again */
		(void)weir_cgroup_move(main_path, parent);
		(void)weir_cgroup_unmake(main_path);
	}
	return weir_cgroup_unmake(path);
}

void weir_cgroups_close(const char *data)
{
	static char list[LIST_BYTES_MAX];
	char path[WEIR_CGROUP_PATH_BYTES];
	char name[NAME_BYTES];
	char *rest = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", data, list_name);
	if (weir_cgroup_read(path, list, sizeof(list)) != 0)
		return;
	instance_name(data, name);
	for (char *line = strtok_r(list, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		char group[PATH_MAX];

		if (snprintf(group, sizeof(group), "%s", line) >= (int)sizeof(group) || !ends_in(group, name))
			continue; /* not a line of ours */
		for (int i = 0; i < CLOSE_TRIES_MAX && instance_remove(group) == -EBUSY; i++)
			(void)nanosleep(&pause_time, NULL);
	}
	(void)unlink(path);
}

/* For those who come after this process. */
static void list_write(const struct weir_cgroups *groups, const char *data)
{
	char path[WEIR_CGROUP_PATH_BYTES];
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", data, list_name);
	file = fopen(path, "we");
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS && file != NULL; kind++) {
		const struct weir_cgroup_tree *const tree = &groups->tree[kind];

		if (tree->path[0] != '\0' && (kind == 0 || strcmp(tree->path, groups->tree[kind - 1].path) != 0))
			(void)fprintf(file, "%s\n", tree->path);
	}
	if (file != NULL)
		(void)fclose(file);
}

static void lack_add(char *lacks, size_t bytes, unsigned kind, int error)
{
	static const char *const what[] = {"memory", "processes", "processor time"};
	const size_t used = strlen(lacks);

	(void)snprintf(lacks + used, bytes - used, "a control group for each worker's %s (%s)\n", what[kind],
		       error == -ENOENT || error == -EOPNOTSUPP ? "this machine gives no such controller"
							       : strerror(-error));
}

void weir_cgroups_open(const char *data, bool is_first, struct weir_cgroups *out_groups, char *out_lacks,
		       size_t lacks_bytes)
{
	static struct weir_cgroup_place places[WEIR_CGROUP_KINDS];
	static char mounts[TEXT_BYTES_MAX];
	char groups[4096];
	char name[NAME_BYTES];

	memset(out_groups, 0, sizeof(*out_groups));
	memset(places, 0, sizeof(places));
	out_lacks[0] = '\0';
	if (is_first)
		weir_cgroups_close(data);
	instance_name(data, name);
	if (weir_cgroup_read("/proc/self/mountinfo", mounts, sizeof(mounts)) == 0 &&
	    weir_cgroup_read("/proc/self/cgroup", groups, sizeof(groups)) == 0)
		weir_cgroup_layout_parse(mounts, groups, places);
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		int result = -ENOENT;

		if (places[kind].path[0] != '\0' && places[kind].is_unified)
			result = unified_tree_open(&places[kind], name, kind, out_groups);
		else if (places[kind].path[0] != '\0')
			result = tree_open(&places[kind], name, &out_groups->tree[kind]);
		if (result == 0)
			continue;
		out_groups->tree[kind].path[0] = '\0';
		lack_add(out_lacks, lacks_bytes, kind, result);
	}
	list_write(out_groups, data);
}
