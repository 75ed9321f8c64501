/* board: reading abi/board.h, which others write. A reader looks at a copy of its own, which was taken while no
 * row was half-written and is checked before it is used.
 * Threads: any number of readers. Peer death: a supervisor that died while it wrote leaves the rows unreadable
 * until the next one writes them. */
#ifndef WEIR_DATAPLANE_SHM_BOARD_H
#define WEIR_DATAPLANE_SHM_BOARD_H

#include "dataplane/abi/board.h"

/* Map it read-only; `fd` stays the caller's. 0, -EBADMSG (too small, no memfd) or -errno. */
int weir_board_attach(int fd, const struct weir_board **out_board);

/* Unmap; NULL is accepted. */
void weir_board_detach(const struct weir_board *board);

/* All of it, in up to `tries` tries with 5 ms between them: so long as the writer never comes to rest, -EAGAIN.
 * Texts of the copy end and its counts fit, or -EBADMSG; -EPROTO: another version's. Scores have a number of
 * their own each: weir_board_copy_scores(). */
int weir_board_copy(const struct weir_board *board, unsigned tries, struct weir_board *copy);

/* Rows of scores that were being written meanwhile: each again, by itself. One whose writer never comes to rest,
 * for it died, is left out. */
void weir_board_copy_scores(const struct weir_board *board, struct weir_board *copy);

/* Names of the kinds and states of processes; "unknown" for others. */
const char *weir_board_kind_name(uint32_t kind);
const char *weir_board_state_name(uint32_t state);

#endif
