/* cgroup_files: the few things that one does with control groups' files. Paths are absolute. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CGROUP_FILES_H
#define WEIR_DATAPLANE_SUPERVISOR_CGROUP_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { WEIR_CGROUP_PATH_BYTES = PATH_MAX + 128 };

/* Read a file as text, cut at `bytes - 1`. 0 or -errno. */
int weir_cgroup_read(const char *path, char *out_text, size_t bytes);

/* Write `text` to GROUP/NAME. 0 or -errno. */
int weir_cgroup_write(const char *group, const char *name, const char *text);

/* Is `word` one of the words in GROUP/NAME? */
bool weir_cgroup_lists(const char *group, const char *name, const char *word);

/* Make a group; that it is there is fine. 0 or -errno. */
int weir_cgroup_make(const char *group);

/* End what is in it, but this process and its parent, and remove it. 0, -EBUSY: still dying, or those
 * two are in it, -errno. That it is not there is fine. */
int weir_cgroup_unmake(const char *group);

/* Put every process of one group into another. 0 or the first -errno. */
int weir_cgroup_move(const char *from, const char *to);

#endif
