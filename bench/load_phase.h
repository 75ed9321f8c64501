/* load_phase: an open loop whose rate changes at set times, judged phase by phase.
 *
 *   --phases 500:5,2000:60,500:5
 *        |---- 500/s ----|------------- 2,000/s -------------|---- 500/s ----|
 *        a request belongs to the phase in which it was due, whenever it is answered
 *
 * Of each phase: right answers, their latency, and how many took longer than WEIR_LOAD_LATE_MS; refusals (429 and 503), their latency, and how
 * many lack Retry-After; failures (any other status); what was never answered; and when it settled:
 * the time from its start to the last request due in it that was not answered right within
 * WEIR_LOAD_SETTLED_MS.
 * Owner: the program, one struct. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_LOAD_PHASE_H
#define WEIR_BENCH_LOAD_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/load_answer.h"
#include "bench/load_pace.h"

enum { WEIR_LOAD_PHASES_MAX = 8, WEIR_LOAD_SETTLED_MS = 50, WEIR_LOAD_LATE_MS = 1000 };

struct weir_load_phase {
	uint32_t rate; /* requests a second */
	double seconds;
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t refused_bare; /* without Retry-After */
	uint64_t late; /* of the right ones */
	uint64_t failed;
	uint64_t unanswered;
	uint64_t unsettled_ns; /* when the last request that was not well served was due; 0: all were */
	struct weir_histogram right_ns;
	struct weir_histogram refused_ns;
};

struct weir_load_phases {
	uint32_t count; /* 0: the rate does not change */
	uint32_t current; /* which one the requests now leaving belong to */
	struct weir_load_phase phase[WEIR_LOAD_PHASES_MAX];
};

/* Read "RATE:SECONDS,..." (rates 1 to WEIR_LOAD_RATE_MAX, seconds above 0). False if it is
 * malformed; *out_phases then holds nothing of use. */
bool weir_load_phases_parse(const char *text, struct weir_load_phases *out_phases);

/* Of all of them together. */
double weir_load_phases_seconds(const struct weir_load_phases *phases);

/* The first begins now. */
void weir_load_phases_start(struct weir_load_phases *phases, struct weir_load_pace *pace, uint64_t now_ns);

/* Change the rate where the next request is due after the end of a phase. */
static inline void weir_load_phases_pace(struct weir_load_phases *phases, struct weir_load_pace *pace)
{
	while (phases->current + 1 < phases->count && phases->phase[phases->current].end_ns != 0 &&
	       pace->next_ns >= phases->phase[phases->current].end_ns) {
		const uint64_t begin_ns = phases->phase[phases->current++].end_ns;

		weir_load_pace_start(pace, phases->phase[phases->current].rate, begin_ns);
	}
}

/* The request due at `due_ns` was answered now; `answer` holds what of it was read last. */
void weir_load_phases_answer(struct weir_load_phases *phases, uint64_t due_ns, uint64_t now_ns,
			     const struct weir_load_answer *answer);

/* The request due at `due_ns` had no answer when the run ended. */
void weir_load_phases_unanswered(struct weir_load_phases *phases, uint64_t due_ns, uint64_t ended_ns);

/* Print `"phases":[...]`, without a line end. */
void weir_load_phases_print(const struct weir_load_phases *phases);

#endif
