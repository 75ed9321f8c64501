#include "dataplane/supervisor/cgroup_layout.h"

#include <stdio.h>
#include <string.h>

#include "dataplane/base/span.h"

/* One line of mountinfo that is about control groups. */
struct mounted {
	struct weir_span root;    /* which group of the hierarchy is seen at `point` */
	struct weir_span point;
	struct weir_span options; /* of the file system: v1's controllers */
	bool is_unified;
};

const char *weir_cgroup_name(unsigned kind)
{
	static const char *const names[] = {"memory", "pids", "cpu"};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}

/* The next word of a line; empty at its end. */
static struct weir_span word_take(const char **text)
{
	struct weir_span word = {.data = *text + strspn(*text, " ")};

	word.bytes = strcspn(word.data, " \n");
	*text = word.data + word.bytes;
	return word;
}

static bool word_is(struct weir_span word, const char *text)
{
	return word.bytes == strlen(text) && memcmp(word.data, text, word.bytes) == 0;
}

/* Is `name` one of the words between the commas? */
static bool list_has(struct weir_span list, const char *name)
{
	const size_t bytes = strlen(name);
	size_t at = 0;

	while (at < list.bytes) {
		const char *const end = memchr(list.data + at, ',', list.bytes - at);
		const size_t length = end == NULL ? list.bytes - at : (size_t)(end - list.data) - at;

		if (length == bytes && memcmp(list.data + at, name, bytes) == 0)
			return true;
		at += length + 1;
	}
	return false;
}

/* "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct" */
static bool mounted_parse(const char *line, struct mounted *out)
{
	struct weir_span word = {0};

	for (int i = 0; i < 3; i++)
		(void)word_take(&line);
	out->root = word_take(&line);
	out->point = word_take(&line);
	do
		word = word_take(&line);
	while (word.bytes != 0 && !word_is(word, "-"));
	word = word_take(&line);
	out->is_unified = word_is(word, "cgroup2");
	(void)word_take(&line);
	out->options = word_take(&line);
	return out->is_unified || word_is(word, "cgroup");
}

/* The group of this process in a hierarchy, "5:cpu,cpuacct:/path" or "0::/path". */
static bool group_find(const char *groups, const char *controller, struct weir_span *out_group)
{
	for (const char *line = groups; line != NULL && *line != '\0';
	     line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1) {
		const char *const names = strchr(line, ':');
		const char *const path = names == NULL ? NULL : strchr(names + 1, ':');
		struct weir_span list = {0};

		if (path == NULL)
			return false;
		list = (struct weir_span){.data = names + 1, .bytes = (size_t)(path - names) - 1};
		if (controller == NULL ? list.bytes != 0 : !list_has(list, controller))
			continue;
		*out_group = (struct weir_span){.data = path + 1, .bytes = strcspn(path + 1, "\n")};
		return true;
	}
	return false;
}

/* Where the group is seen: below the mount point, without what the mount leaves out. */
static bool path_build(const struct mounted *mounted, struct weir_span group, struct weir_cgroup_place *out)
{
	const bool whole = word_is(mounted->root, "/");
	const size_t skip = whole ? 0 : mounted->root.bytes;
	int bytes = 0;

	if (group.bytes < skip || memcmp(group.data, mounted->root.data, skip) != 0 ||
	    memmem(group.data, group.bytes, "/..", 3) != NULL || /* outside of what this process may see */
	    memchr(mounted->point.data, '\\', mounted->point.bytes) != NULL)
		return false;
	group.data += skip;
	group.bytes -= skip;
	if (word_is(group, "/"))
		group.bytes = 0;
	(void)snprintf(out->top, sizeof(out->top), "%.*s", (int)mounted->point.bytes, mounted->point.data);
	bytes = snprintf(out->path, sizeof(out->path), "%s%.*s", out->top, (int)group.bytes, group.data);
	if (bytes >= (int)sizeof(out->path) - 64) /* room for what is appended */
		out->path[0] = '\0';
	return out->path[0] != '\0';
}

static void place_find(const char *mountinfo, const char *groups, unsigned kind, struct weir_cgroup_place *out)
{
	const char *const name = weir_cgroup_name(kind);

	out->path[0] = '\0';
	/* v1 first: a controller that it has, v2 has not. */
	for (int unified = 0; unified < 2 && out->path[0] == '\0'; unified++) {
		struct weir_span group = {0};

		if (!group_find(groups, unified ? NULL : name, &group))
			continue;
		for (const char *line = mountinfo; line != NULL && *line != '\0';
		     line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1) {
			struct mounted mounted = {.is_unified = false};

			if (!mounted_parse(line, &mounted) || mounted.is_unified != (unified == 1) ||
			    (unified == 0 && !list_has(mounted.options, name)) ||
			    !path_build(&mounted, group, out))
				continue;
			out->is_unified = unified == 1;
			break;
		}
	}
}

void weir_cgroup_layout_parse(const char *mountinfo, const char *groups,
			      struct weir_cgroup_place out_places[WEIR_CGROUP_KINDS])
{
	memset(out_places, 0, WEIR_CGROUP_KINDS * sizeof(out_places[0]));
	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++)
		place_find(mountinfo, groups, kind, &out_places[kind]);
}
