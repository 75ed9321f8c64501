/* pack: code on its way to the instance: a file as it is, a directory as a tar archive in a temporary
 * file. The archive of equal files is the same each time (sorted, without owners and times), so that
 * the instance sees that it has the code. `.git`, `__pycache__` and what editors leave behind are left
 * out. Private to ctrlctl. Owns the mapping. */
#ifndef WEIR_CTRL_CTRLCTL_PACK_H
#define WEIR_CTRL_CTRLCTL_PACK_H

#include "ctrl/ctrlctl/ctl.h"

struct weir_ctl_pack {
	char name[256]; /* the file's name, or the directory's */
	bool is_directory;
	void *data;
	size_t bytes;
};

/* Map a file, or pack a directory. Says what is wrong itself: WEIR_CTL_INVALID (neither), or
 * WEIR_CTL_FAILED. */
enum weir_ctl_exit weir_ctl_pack_open(const char *path, struct weir_ctl_pack *out_pack);
void weir_ctl_pack_close(struct weir_ctl_pack *pack);

/* Is a file or directory of that name left out, and what is below it? */
bool weir_ctl_pack_skips(const char *name);

#endif
