/* load_report: what the generator found, as one JSON object on standard output.
 *
 * Owner: the program; nothing is kept. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_LOAD_REPORT_H
#define WEIR_BENCH_LOAD_REPORT_H

#include <stdint.h>

#include "bench/histogram.h"
#include "bench/load_answer.h"
#include "bench/load_options.h"
#include "bench/load_phase.h"

struct weir_load_report {
	const struct weir_load_options *options;
	const struct weir_load_shape *shape;
	const struct weir_load_phases *phases; /* printed where there are any */
	const struct weir_load_counts *counts; /* since the first request */
	const struct weir_histogram *latency_ns;
	const struct weir_histogram
		*late_ns;  /* open loop: how late the generator itself sent */
	uint64_t requests; /* answered while measuring */
	uint64_t measured_ns;
	uint64_t closed;      /* connections that ended under us */
	uint64_t unanswered;  /* open loop: due while measuring, not answered at its end */
	uint64_t waiting_max; /* open loop: due and without a free connection */
	uint32_t silent;      /* connections that sent nothing while measuring */
};

/* Print it. Returns the number of errors. */
uint64_t weir_load_report_print(const struct weir_load_report *report);

#endif
