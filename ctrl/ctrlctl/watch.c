#include "ctrl/ctrlctl/watch.h"

#include <errno.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/ctrlctl/pack.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum {
	QUIET_MS = 100, /* an editor writes more than once */
	PATIENCE_MS = 5000,
	EVENTS_BYTES = 16384,
	EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
		 IN_DELETE_SELF | IN_MOVE_SELF,
};

static void tree_close(FTS **tree)
{
	if (*tree != NULL)
		(void)fts_close(*tree);
}

static int tree_watch(int fd, const char *path)
{
	char *const paths[] = {strdupa(path), NULL};
	WEIR_CLEANUP(tree_close) FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *item = NULL;

	if (tree == NULL)
		return -errno;
	while ((item = fts_read(tree)) != NULL) {
		if (item->fts_info != FTS_D)
			continue;
		if (item->fts_level > 0 && weir_ctl_pack_skips(item->fts_name))
			(void)fts_set(tree, item, FTS_SKIP);
		else if (inotify_add_watch(fd, item->fts_path, EVENTS) == -1 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int weir_ctl_watch_open(const char *path, struct weir_ctl_watch *out_watch)
{
	WEIR_CLEANUP(weir_fd_close) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct weir_ctl_watch watch = {.fd = -1};
	char copy[PATH_MAX];
	struct stat info;
	int code = 0;

	if (fd == -1 || stat(path, &info) != 0)
		return -errno;
	if (S_ISDIR(info.st_mode)) {
		code = tree_watch(fd, path);
	} else {
		(void)snprintf(copy, sizeof(copy), "%s", path); /* stat took it: it fits */
		(void)snprintf(watch.name, sizeof(watch.name), "%s", basename(copy));
		(void)snprintf(copy, sizeof(copy), "%s", path);
		/* Editors put a new file in its place. */
		code = inotify_add_watch(fd, dirname(copy), EVENTS) == -1 ? -errno : 0;
	}
	if (code != 0)
		return code;
	watch.fd = fd;
	fd = -1;
	*out_watch = watch;
	return 0;
}

void weir_ctl_watch_close(struct weir_ctl_watch *watch)
{
	weir_fd_close(&watch->fd);
}

static bool event_counts(const struct weir_ctl_watch *watch, const struct inotify_event *event)
{
	if ((event->mask & IN_IGNORED) != 0)
		return false;
	if (event->len == 0)
		return watch->name[0] == '\0' || (event->mask & IN_Q_OVERFLOW) != 0;
	return watch->name[0] == '\0' ? !weir_ctl_pack_skips(event->name)
				      : strcmp(event->name, watch->name) == 0;
}

/* Take what came. True: some of it counts; *out_name is the name of the last that does. */
static bool events_take(const struct weir_ctl_watch *watch, char out_name[256])
{
	char data[EVENTS_BYTES] __attribute__((aligned(_Alignof(struct inotify_event))));
	const ssize_t got = read(watch->fd, data, sizeof(data));
	bool counts = false;

	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *event = (const void *)(data + at);

		if (event_counts(watch, event)) {
			counts = true;
			if (event->len > 0)
				(void)snprintf(out_name, 256, "%s", event->name);
		}
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return counts;
}

void weir_ctl_watch_wait(const struct weir_ctl_watch *watch, char out_name[256])
{
	struct pollfd poll_fd = {.fd = watch->fd, .events = POLLIN};
	uint64_t began_ns = 0;

	out_name[0] = '\0';
	for (;;) {
		const int ready = poll(&poll_fd, 1, began_ns == 0 ? -1 : QUIET_MS);

		if (ready == 1 && events_take(watch, out_name) && began_ns == 0)
			began_ns = weir_clock_now_ns();
		if (began_ns != 0 &&
		    (ready == 0 || weir_clock_now_ns() - began_ns > PATIENCE_MS * WEIR_NS_PER_MS))
			return;
	}
}
