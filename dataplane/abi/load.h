/* load: what the kernel measures of each worker, in one mapping that the gateway reads without a system
 * call. Totals since the worker began; whoever wants a rate keeps the sample before.
 *
 *   | header | slot 0 | slot 1 | ... |       slot: | identity, RSS | clock counts | probe counts |
 *                                                    supervisor      supervisor     eBPF programs
 *
 * Two sources. PROBES: the mapping is an eBPF array map, programs add to the probe line at each switch
 * of a thread of the worker or of its descendants (bpf/). CLOCKS: the mapping is a memfd (or the worker
 * had no place among the probed), the supervisor fills the clock line every period_ns from process
 * clocks, /proc and cgroup files. RSS comes from the supervisor in both.
 * One slot per worker, claimed before its links open, free again once it is dead; tag tells a slot's
 * owners apart for the programs, worker_id for readers. Clock: CLOCK_MONOTONIC, which is what
 * bpf_ktime_get_ns() reads. Writers die: the clock line and RSS then grow old (sampled_ns), probes
 * stay, for the keeper holds them. Readers: gateway, supervisor, ctrlctl; workers never get it. */
#ifndef WEIR_DATAPLANE_ABI_LOAD_H
#define WEIR_DATAPLANE_ABI_LOAD_H

/* The programs' compiler has no atomic types (they add with atomic instructions), the rest has. */
#ifdef __bpf__
typedef unsigned long long weir_load_word;
typedef unsigned int weir_load_half;
typedef unsigned long long weir_load_plain;
#else
#include <assert.h>
#include <stdint.h>
typedef _Atomic uint64_t weir_load_word;
typedef _Atomic uint32_t weir_load_half;
typedef uint64_t weir_load_plain;
#endif

#define WEIR_LOAD_MAGIC 0x3164616f6c726977ull /* "wirload1" */

enum {
	WEIR_LOAD_SLOTS = 512, /* workers that the board has room for: more than an instance may have */
	WEIR_LOAD_LINE_BYTES = 128,
	WEIR_LOAD_WHY_BYTES_MAX = 384,
	WEIR_LOAD_COUNTS_MAX = 16,
	WEIR_LOAD_UNIT_SHIFT = 6,     /* ON_CPU_NS of the probe line counts 64 ns */
	WEIR_LOAD_RUNNING_SHIFT = 54, /* and threads that run now from this bit on */
};

/* X(NAME, word in tables, unit) */
#define WEIR_LOAD_COUNTS(X)                                                                             \
	X(ON_CPU_NS, "on-cpu", "ns")               /* threads ran */                                   \
	X(RUN_QUEUE_NS, "run-queue", "ns")         /* threads could have run and waited for a CPU */   \
	X(SWITCHES_VOLUNTARY, "voluntary", "")                                                         \
	X(SWITCHES_INVOLUNTARY, "involuntary", "")                                                     \
	X(FAULTS_MINOR, "minor-faults", "")                                                            \
	X(FAULTS_MAJOR, "major-faults", "")                                                            \
	X(READ_BYTES, "read", "bytes")             /* by read() and its kind, from anything */         \
	X(WRITE_BYTES, "written", "bytes")                                                             \
	X(DISK_READ_BYTES, "disk-read", "bytes")   /* of those, what storage had to do */              \
	X(DISK_WRITE_BYTES, "disk-written", "bytes")                                                   \
	X(IO_WAIT_NS, "io-wait", "ns")             /* threads slept for storage */                     \
	X(DEVICE_REQUESTS, "device-requests", "")  /* optional program: 0 where it can't be had */     \
	X(DEVICE_NS, "device", "ns")               /* from issuing a request to its completion */

enum weir_load_count {
#define WEIR_LOAD_COUNT_ENUM(name, word, unit) WEIR_LOAD_##name,
	WEIR_LOAD_COUNTS(WEIR_LOAD_COUNT_ENUM)
#undef WEIR_LOAD_COUNT_ENUM
	WEIR_LOAD_COUNT,
};

enum weir_load_source {
	WEIR_LOAD_SOURCE_NONE, /* nothing measured yet */
	WEIR_LOAD_SOURCE_CLOCKS,
	WEIR_LOAD_SOURCE_PROBES,
};

struct weir_load_slot {
	weir_load_word worker_id; /* 0 = free */
	weir_load_half tag;       /* of the worker's processes in the programs' table; 0 = not probed */
	weir_load_half source;    /* enum weir_load_source */
	weir_load_plain epoch_ns; /* the probe line's time starts here */
	weir_load_word change;    /* odd while the supervisor writes rss_bytes, sampled_ns and clock */
	weir_load_word sampled_ns;
	weir_load_word rss_bytes;
	weir_load_word exited_ns; /* a program writes it: the worker's process ended */
	weir_load_half tgid;      /* the worker's process */
	weir_load_half reserved_half;
	weir_load_plain reserved[8];
	weir_load_word clock[WEIR_LOAD_COUNTS_MAX]; /* by enum weir_load_count */
	/* The same, but [ON_CPU_NS] = r * 2^54 + sum of finished slices - sum of the r running threads'
	 * starts, in units since epoch_ns: one word, so a reader gets time up to now from one load. */
	weir_load_word probe[WEIR_LOAD_COUNTS_MAX];
};

struct weir_load_board {
	weir_load_plain magic;
	unsigned int slot_count;
	unsigned int source; /* enum weir_load_source: the best that a slot may have */
	weir_load_plain bytes;
	weir_load_plain created_ns;
	weir_load_word period_ns;  /* the supervisor samples so often */
	weir_load_word sampled_ns; /* when it last did */
	weir_load_word unplaced;   /* processes that the programs' table had no place for */
	weir_load_plain reserved[9];
	char why[WEIR_LOAD_WHY_BYTES_MAX]; /* without probes: why; with them: optional ones that are missing */
	struct weir_load_slot slot[WEIR_LOAD_SLOTS];
};

#ifndef __bpf__
static_assert((int)WEIR_LOAD_COUNT <= (int)WEIR_LOAD_COUNTS_MAX, "a line holds the counts");
static_assert(sizeof(struct weir_load_slot) == 384, "load slot layout: three lines");
static_assert(sizeof(struct weir_load_board) == 512 + 384ul * WEIR_LOAD_SLOTS, "load board layout");
#endif

#endif
