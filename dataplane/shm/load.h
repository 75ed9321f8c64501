/* load: the load board (abi/load.h) read, and the part of it that the supervisor writes.
 * Reading takes no lock and makes no system call: some 20 loads for a worker. Any thread may read; one
 * writes. The board outlives every process but the keeper, so descriptors stay good. */
#ifndef WEIR_DATAPLANE_SHM_LOAD_H
#define WEIR_DATAPLANE_SHM_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/abi/load.h"

/* One worker, as the board has it at `at_ns`. Totals since it began, its children's included. */
struct weir_load_sample {
	uint64_t count[WEIR_LOAD_COUNT]; /* by enum weir_load_count */
	uint64_t rss_bytes;  /* 0 = not sampled yet */
	uint64_t at_ns;      /* when `count` was right: PROBES now, CLOCKS when sampled */
	uint64_t rss_at_ns;  /* when rss_bytes was; 0 = never */
	uint32_t source;     /* enum weir_load_source, not NONE */
	bool exited;         /* its process ended; the supervisor has not cleared the slot yet */
};

/* Map the board read-only. 0 and *out_board, -EBADMSG (not a load board, or another size), -errno. */
int weir_load_attach(int fd, const struct weir_load_board **out_board);

/* Unmap; NULL is accepted. */
void weir_load_detach(const struct weir_load_board *board);

/* The slot of a worker, searched from the first on: for when its link opens, not for each call.
 * -ENOENT if it has none. */
int weir_load_find(const struct weir_load_board *board, uint64_t worker_id);

/* What the board says of the worker in `slot`, at `now_ns` (CLOCK_MONOTONIC, just read). False if the
 * slot is another's by now, nothing was measured yet, or the supervisor kept writing: use nothing then.
 * Counts of PROBES are read one by one while they move, so they fit each other to a slice only. Two
 * samples' difference may be a little below 0 in ON_CPU_NS, by the time between `now_ns` and the read. */
bool weir_load_read(const struct weir_load_board *board, uint32_t slot, uint64_t worker_id, uint64_t now_ns,
		    struct weir_load_sample *out_sample);

/* How old the older of its counts and its RSS is. */
uint64_t weir_load_age_ns(const struct weir_load_sample *sample, uint64_t now_ns);

/* Supervisor. A board for CLOCKS alone: a memfd, mapped for writing. 0 or -errno. */
int weir_load_create(int *out_fd, struct weir_load_board **out_board);

/* Write the header of a zeroed board (the eBPF map's too). */
void weir_load_format(struct weir_load_board *board, enum weir_load_source source, uint64_t now_ns);

/* Map a board for writing: what weir_load_attach() does otherwise. */
int weir_load_attach_writable(int fd, struct weir_load_board **out_board);

/* Give a worker a slot, cleared: the first free one from `from` on. Who goes round with `from` reuses
 * a slot late, so that a program that still adds for its last owner does not meet the next one. Its
 * source is NONE until it is published or given to the programs. Slot number, or -ENOSPC. */
int weir_load_claim(struct weir_load_board *board, uint64_t worker_id, uint32_t from, uint64_t now_ns);

/* The worker is gone: readers of its id get nothing any more. */
void weir_load_release(struct weir_load_board *board, uint32_t slot);

/* A sample by the supervisor: RSS, and with `counts` (WEIR_LOAD_COUNT of them) the clock line. NULL:
 * the slot is probed, its counts are the programs'. */
void weir_load_publish(struct weir_load_board *board, uint32_t slot, const uint64_t *counts, uint64_t rss_bytes,
		       uint64_t now_ns);

/* ON_CPU_NS of a probe line's word, for time `now_ns` of a slot that began at `epoch_ns`. */
uint64_t weir_load_on_cpu_ns(uint64_t word, uint64_t epoch_ns, uint64_t now_ns);

#endif
