#include "ctrl/store/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { READS_MAX = 64 }; /* more is read in the next turn */

int weir_watch_open(const char *directory, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd == -1)
		return -errno;
	if (inotify_add_watch(fd, directory,
			      IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
				      IN_ONLYDIR) == -1)
		return -errno;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static bool events_match(const char *data, size_t bytes, const char *prefix)
{
	bool found = false;

	for (size_t at = 0; at + sizeof(struct inotify_event) <= bytes;) {
		struct inotify_event event;

		memcpy(&event, data + at, sizeof(event));
		if ((event.mask & (IN_Q_OVERFLOW | IN_IGNORED)) != 0 ||
		    (event.len > 0 &&
		     strncmp(data + at + sizeof(event), prefix, strlen(prefix)) == 0))
			found = true;
		at += sizeof(event) + event.len;
	}
	return found;
}

bool weir_watch_take(int fd, const char *prefix)
{
	char data[4096];
	bool found = false;

	for (int i = 0; i < READS_MAX; i++) {
		const ssize_t bytes = read(fd, data, sizeof(data));

		if (bytes <= 0)
			break;
		found = events_match(data, (size_t)bytes, prefix) || found;
	}
	return found;
}
