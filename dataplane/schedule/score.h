/* score: what the kernel measures of a worker, as three numbers between 0 and 1, and their price.
 *
 *   sample (counters that grow) --rate since the last one--> share --moving average--> load
 *   load --expires with age--> terms --weights--> price
 *
 *   term  is                                                            1 means
 *   cpu   the larger of: on-CPU time + time on the run queue, over the  its CPU share was used up
 *         time between two samples and the CPU share of the worker;     (cpu_millicores, else one CPU);
 *         time on the run queue over both of these times, of the last   it always waits for others
 *         20 ms that it wanted: what others on its CPU do to its calls
 *   mem   resident memory over the worker's limit                       its limit, else 512 MB
 *   io    the larger of: waiting for block devices over time; bytes     always waiting, or
 *         storage read and wrote over WEIR_SCHEDULE_IO_BYTES_MAX/s      100 MB/s
 *   remote  how far its NUMA node is from the shard's                   as far as two nodes can be
 * Shares are cut at 1. The moving average is ema * old + (1 - ema) * new for each
 * WEIR_SCHEDULE_SAMPLE_NS that passed; the first share stands as it is. After
 * WEIR_SCHEDULE_SAMPLE_AGE_MAX_NS without a sample, or where nobody measures, the terms are 0: then
 * calls in flight decide alone.
 * Pure functions over the caller's memory; any thread. */
#ifndef WEIR_DATAPLANE_SCHEDULE_SCORE_H
#define WEIR_DATAPLANE_SCHEDULE_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/abi/policies.h"

#define WEIR_SCHEDULE_SAMPLE_NS         UINT64_C(20000000)   /* how often loads are looked at */
#define WEIR_SCHEDULE_SAMPLE_AGE_MAX_NS UINT64_C(1000000000) /* older ones say nothing */
#define WEIR_SCHEDULE_IO_BYTES_MAX      UINT64_C(100000000)  /* a second */
#define WEIR_SCHEDULE_MEMORY_DEFAULT    (UINT64_C(512) << 20)

enum { WEIR_SCHEDULE_UNIT = 65536 }; /* 1 of a term, and of a price at weight 1 */

/* One reading of a worker's counters, its threads and children included. What is not measured is 0. */
struct weir_schedule_sample {
	uint64_t at_ns;    /* CLOCK_MONOTONIC; 0 = there is none */
	uint64_t cpu_ns;   /* on a CPU */
	uint64_t wait_ns;  /* on a run queue */
	uint64_t block_ns; /* waiting for block devices */
	uint64_t io_bytes; /* read from and written to storage */
	uint64_t memory_bytes; /* resident now */
};

/* What the worker may have; 0 = not limited. And how often it is looked at. */
struct weir_schedule_capacity {
	uint32_t cpu_millicores;
	uint64_t memory_bytes;
	uint64_t period_ns; /* of the moving average; 0 = WEIR_SCHEDULE_SAMPLE_NS */
};

/* The averages of one worker. Zeroed: nothing known. */
struct weir_schedule_load {
	struct weir_schedule_sample last;
	float cpu;
	float io;
	float memory;
	float wanted_ns; /* on a CPU or on a run queue, the past counting ever less */
	float waited_ns; /* of these, on a run queue */
	bool has_rates; /* two samples came */
};

/* In WEIR_SCHEDULE_UNIT. */
struct weir_schedule_terms {
	uint32_t cpu;
	uint32_t memory;
	uint32_t io;
	uint32_t remote;
};

/* Take a sample; `ema` in thousandths. One that is none or not newer changes nothing; counters that
 * went back are another process's: everything begins anew. */
void weir_schedule_load_take(struct weir_schedule_load *load, const struct weir_schedule_sample *sample,
			     const struct weir_schedule_capacity *capacity, uint32_t ema);

/* The terms as of `now_ns`, `remote` left 0. All 0 where the newest sample is too old. */
struct weir_schedule_terms weir_schedule_load_terms(const struct weir_schedule_load *load, uint64_t now_ns);

/* alpha*cpu + beta*mem + gamma*io + epsilon*remote, in WEIR_SCHEDULE_UNIT. */
uint32_t weir_schedule_terms_price(const struct weir_schedule_terms *terms, const struct weir_weights *weights);

#endif
