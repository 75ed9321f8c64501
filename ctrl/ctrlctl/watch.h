/* watch: tells when a file, or anything in a directory and those below it, was changed: by inotify.
 *
 *   open -> pack and deploy what is there -> wait -> open anew -> ...
 *
 * It is opened before the files are read, so that no change is missed, and anew after each, so that
 * new directories are watched. What weir_ctl_pack_skips() names counts for nothing.
 * Private to ctrlctl. Owns: its descriptor. One thread; wait blocks. */
#ifndef WEIR_CTRL_CTRLCTL_WATCH_H
#define WEIR_CTRL_CTRLCTL_WATCH_H

#include "ctrl/ctrlctl/ctl.h"

struct weir_ctl_watch {
	int fd; /* -1: closed */
	char name[256]; /* of the file, whose directory is watched; empty: a directory */
};

/* Watch `path`. 0, -ENOENT (it is not there), -ENOSPC (the system watches too much already) or -errno. */
int weir_ctl_watch_open(const char *path, struct weir_ctl_watch *out_watch);
void weir_ctl_watch_close(struct weir_ctl_watch *watch);

/* Wait until something changed and nothing did for a moment since (at most some seconds); *out_name is
 * the name that changed last. */
void weir_ctl_watch_wait(const struct weir_ctl_watch *watch, char out_name[256]);

#endif
