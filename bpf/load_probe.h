/* load_probe: the eBPF programs that fill the load board (dataplane/abi/load.h).
 *
 *   fork  ---- child process of a tracked one ----> table: tgid -> tag
 *   switch --- who leaves this CPU? run[cpu] ------> board: slot's probe line
 *         \--- who comes? table -------------------> run[cpu], slot's probe line
 *   exit ----- last thread of a process -----------> out of the table
 *
 * A tag is a slot's number and some bits of its owner, so that what is left of a dead worker's processes
 * does not count for the next owner. The table is read at every switch of the machine: a set is one
 * cache line of 8 entries, nothing is chained, entries are taken and given back with compare-and-swap
 * by the programs and by us. A process that finds its set full stays out (board's `unplaced`); a
 * worker that does is measured by clocks.
 * Programs and maps live as long as a descriptor: the supervisor has them, the keeper has copies, so a
 * supervisor that was killed loses no sample. Threads: the supervisor's one. */
#ifndef WEIR_BPF_LOAD_PROBE_H
#define WEIR_BPF_LOAD_PROBE_H

#include "dataplane/abi/load.h"

enum {
	WEIR_PROBE_SETS = 512,
	WEIR_PROBE_SET_ENTRIES = 8,
	WEIR_PROBE_PROCESSES_MAX = WEIR_PROBE_SETS * WEIR_PROBE_SET_ENTRIES,
	WEIR_PROBE_CPUS_MAX = 1024,
	WEIR_PROBE_COUNTED = 10, /* counts that are the kernel's own of a thread: ON_CPU_NS .. DISK_WRITE_BYTES */
};

/* What a CPU runs. Only its programs touch it. */
struct weir_probe_run {
	unsigned int tag; /* 0 = not tracked */
	unsigned int pid; /* of the tracked thread */
	weir_load_plain start; /* units since the slot's epoch */
	unsigned int next_pid; /* the thread that the last switch was to, tracked or not */
	unsigned int reserved_half;
	weir_load_plain reserved[13];
};

struct weir_probe_table {
	weir_load_word entry[WEIR_PROBE_SETS][WEIR_PROBE_SET_ENTRIES]; /* tag << 32 | tgid; 0 = free */
	struct weir_probe_run run[WEIR_PROBE_CPUS_MAX];
};

/* The set that a process belongs to. */
static inline unsigned int weir_probe_set(unsigned int tgid)
{
	return (tgid * 2654435761u) >> 23; /* Fibonacci hashing: the top 9 bits choose one of 512 */
}

/* The slot of a tag. */
static inline unsigned int weir_probe_slot(unsigned int tag)
{
	return tag & (WEIR_LOAD_SLOTS - 1);
}

#ifndef __bpf__
#include <stdbool.h>
#include <stddef.h>

static_assert(sizeof(struct weir_probe_run) == WEIR_LOAD_LINE_BYTES, "a CPU writes a line of its own");

enum {
	WEIR_PROBE_LINKS_MAX = 5,
	WEIR_PROBE_FDS_MAX = 2 + WEIR_PROBE_LINKS_MAX,
};

struct weir_probe {
	int fd[WEIR_PROBE_FDS_MAX]; /* board, table, then what keeps each program attached */
	size_t fd_count;
	struct weir_load_board *board; /* NULL = not open */
	struct weir_probe_table *table;
};

/* Which of `count` optional programs (at most 32) go: all, if the kernel takes all; else one by one those that
 * it takes beside those before. `loads` tries the programs whose bits are set; what it took last is what is
 * returned, or it never took any. */
unsigned int weir_probe_choose(unsigned int count, bool (*loads)(void *context, unsigned int on), void *context);

/* Load and attach; the board gets its header. May take 50 ms. 0 and *out_probe, or -errno with the
 * reason in `why`: -ENOSYS (built without libbpf), -EPERM (needs CAP_BPF and CAP_PERFMON), -EXDEV (in a
 * pid namespace: kernel and we number processes differently), or what the kernel refused. With 0, `why`
 * names the kernel's events that are attended to, and optional ones that this kernel does not give. */
int weir_probe_open(struct weir_probe *out_probe, char why[WEIR_LOAD_WHY_BYTES_MAX]);

/* Go on with the descriptors of a probe that another process opened; taken on success only. */
int weir_probe_adopt(struct weir_probe *out_probe, const int *fds, size_t fd_count);

/* Unmap and close. Programs stay attached while others hold copies of the descriptors. */
void weir_probe_close(struct weir_probe *probe);

/* Count the process `tgid`, with threads and processes that it starts from now on, for `slot`, which was
 * claimed (shm/load.h). 0, or -ENOSPC: its set is full, let clocks do it. */
int weir_probe_track(struct weir_probe *probe, unsigned int slot, unsigned int tgid);

/* The worker of `slot` is gone, or is to be: nothing counts for it any more. Before its release. */
void weir_probe_untrack(struct weir_probe *probe, unsigned int slot);
#endif

#endif
