/* key_file: a file that holds one of the instance's keys: random bytes and nothing else, of mode 0600, made at
 * the first use, whole or not at all, and never in place of one that is there.
 * Threads: any; processes that make the same one at once get the same key. Blocks on the disk. */
#ifndef WEIR_DATAPLANE_BASE_KEY_FILE_H
#define WEIR_DATAPLANE_BASE_KEY_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum { WEIR_KEY_FILE_BYTES_MAX = 64 };

/* Read the key of `bytes` bytes (1 to WEIR_KEY_FILE_BYTES_MAX) at DIRECTORY/`name`; where there is none, make it
 * if `make` says so. 0 and *out_key; -ENOENT, -EBADMSG (the file is no such key), -EACCES (others may read it),
 * -ENAMETOOLONG, or -errno. *out_key is undefined after a failure. */
int weir_key_file_open(const char *directory, const char *name, bool make, void *out_key, size_t bytes);

#endif
