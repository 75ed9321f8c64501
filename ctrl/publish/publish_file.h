/* publish_file: sealed memfds and the copy on disk. Private to ctrl/publish; one thread. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_FILE_H
#define WEIR_CTRL_PUBLISH_PUBLISH_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A memfd of `bytes` zero bytes that may still be written and sealed. 0 or -errno. */
int weir_publish_memfd_create(size_t bytes, int *out_fd);

/* Write all of it at `offset`. 0 or -errno. */
int weir_publish_file_write(int fd, const void *data, size_t bytes, uint64_t offset);

/* Seal against writing, shrinking, growing and further seals. No writable mapping may be left.
 * 0 or -errno. */
int weir_publish_memfd_seal(int fd);

#endif
