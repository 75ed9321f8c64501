/* board: the supervisor's part of abi/board.h: the process rows and counts of segments, and what the
 * instance does without. The board outlives every supervisor in the store; rows are written again by
 * the next one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_BOARD_H
#define WEIR_DATAPLANE_SUPERVISOR_BOARD_H

#include "dataplane/supervisor/supervisor.h"

/* Create the board if the store did not bring it, else count a restart of the supervisor. 0/-errno. */
int weir_board_open(struct weir_supervisor *supervisor);

/* A descriptor of its own, which cannot be mapped for writing; the caller's. Or -errno. */
int weir_board_open_readable(const struct weir_supervisor *supervisor);

/* Write the process rows and the segment counts. */
void weir_board_rows_write(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Calls started and finished by a worker: its links' lines and what earlier links counted. */
void weir_board_worker_counts(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
			      struct weir_board_process *row);

#endif
