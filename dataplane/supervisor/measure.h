/* measure: the load board's owner (abi/load.h, bpf/load_probe.h): loads the eBPF programs, or fills the
 * board from clocks and /proc itself; gives each worker its slot; samples what only we can see.
 *
 * PROBES: each worker's process is put into the programs' table when it was started; RSS is sampled once
 * a second. CLOCKS (no rights for eBPF, or no place for this worker): counts are read every
 * WEIR_MEASURE_PERIOD_MS from process clocks, /proc and the worker's control group (which knows of what
 * ended in between), of workers whose CPU clock moved; a hundred workers take about 3 ms of that.
 * The board is made once in an instance's life. Its descriptors, which keep the programs attached, are
 * in the keeper's store: a new supervisor goes on with them, and the gateway keeps its mapping.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_MEASURE_H
#define WEIR_DATAPLANE_SUPERVISOR_MEASURE_H

#include "dataplane/supervisor/supervisor.h"

enum {
	WEIR_MEASURE_PERIOD_MS = 100, /* of CLOCKS */
	WEIR_MEASURE_RSS_PERIOD_MS = 1000, /* of PROBES: the supervisor wakes that often anyway */
};

/* Make the board, unless it was taken over. 0, or -errno: an instance without one cannot be. */
int weir_measure_open(struct weir_supervisor *supervisor);

/* Take over the entry of the store; descriptors that are taken become -1. False: unusable. */
bool weir_measure_adopt(struct weir_supervisor *supervisor, int *fds, size_t fd_count);

/* Every worker that was taken over has a slot, and nobody else. */
void weir_measure_taken_over(struct weir_supervisor *supervisor);

/* A worker was started, or ended. */
void weir_measure_worker_started(struct weir_supervisor *supervisor, struct weir_worker *worker);
void weir_measure_worker_ended(struct weir_supervisor *supervisor, struct weir_worker *worker);

/* Sample who is due. */
void weir_measure_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* The columns of a worker's row on the board, and the board's own line. */
void weir_measure_row(const struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t now_ns,
		      struct weir_board_process *row);
void weir_measure_say(const struct weir_supervisor *supervisor, struct weir_board *board);

#endif
