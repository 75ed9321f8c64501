/* watch: tells when a file of a directory was written, made, removed or renamed (inotify on the
 * directory, so that a new file under the old name counts, and logs such as "-wal" too).
 * Only a hint to look: lost or coalesced events are covered by looking now and then anyway.
 * Owns: the descriptor, to be polled for reading. Threads: one. */
#ifndef WEIR_CTRL_STORE_WATCH_H
#define WEIR_CTRL_STORE_WATCH_H

#include <stdbool.h>

/* Watch `directory`. 0 and *out_fd (close with weir_fd_close()), or -errno (limits of inotify). */
int weir_watch_open(const char *directory, int *out_fd);

/* Read all events that wait; true if one of them was about a file whose name begins with `prefix`,
 * or if events were lost. Never blocks. */
bool weir_watch_take(int fd, const char *prefix);

#endif
