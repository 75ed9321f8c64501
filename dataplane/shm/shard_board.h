/* shard_board: the memfd with one sleep word per shard of a gateway incarnation (abi/link.h). */
#ifndef WEIR_DATAPLANE_SHM_SHARD_BOARD_H
#define WEIR_DATAPLANE_SHM_SHARD_BOARD_H

#include "dataplane/abi/link.h"

/* Gateway: create, map read-write, then seal against every later writable mapping
 * (F_SEAL_FUTURE_WRITE, Linux 5.1). 0, *out_fd and *out_board, or -errno. */
int weir_shard_board_create(int *out_fd, struct weir_shard_board **out_board);

/* Worker: map read-only. 0, -EBADMSG (seals or size) or -errno. */
int weir_shard_board_attach(int fd, const struct weir_shard_board **out_board);

/* Unmap; NULL is accepted. */
void weir_shard_board_detach(const struct weir_shard_board *board);

#endif
