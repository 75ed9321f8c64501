/* load_pace: when requests are due in an open loop: at constant distances, decided before anything
 * is sent and never moved by what the server does.
 *
 *   start      1/rate     2/rate     3/rate     4/rate        now
 *     |----------|----------|----------|----------|------------|
 *     #0 sent    #1 sent    #2 due     #3 due     #4 due       #2 waits since its time, not since now
 *
 * Requests leave in the order in which they are due, on whichever connection is free; one that finds
 * none free waits here, and its latency counts from the time at which it was due. The distance is
 * kept as nanoseconds and a remainder, so the schedule does not drift however long it runs.
 * Owner: the generator. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_LOAD_PACE_H
#define WEIR_BENCH_LOAD_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/clock.h"

struct weir_load_pace {
	uint64_t next_ns; /* when the next one is due */
	uint64_t rate;    /* a second; 0 is no schedule */
	uint64_t step_ns;
	uint64_t step_rest; /* of a division by `rate` */
	uint64_t rest;
};

static inline void weir_load_pace_start(struct weir_load_pace *pace, uint32_t rate,
					uint64_t now_ns)
{
	*pace = (struct weir_load_pace){
		.next_ns = now_ns,
		.rate = rate,
		.step_ns = WEIR_NS_PER_SECOND / rate,
		.step_rest = WEIR_NS_PER_SECOND % rate,
	};
}

/* Whether one is due at `now_ns`. */
static inline bool weir_load_pace_due(const struct weir_load_pace *pace, uint64_t now_ns)
{
	return pace->next_ns <= now_ns;
}

/* How long until one is due, at `now_ns`; 0 if one is. */
static inline uint64_t weir_load_pace_left_ns(const struct weir_load_pace *pace, uint64_t now_ns)
{
	return pace->next_ns > now_ns ? pace->next_ns - now_ns : 0;
}

/* Take the next one off the schedule; the time at which it was due. */
static inline uint64_t weir_load_pace_take(struct weir_load_pace *pace)
{
	const uint64_t due_ns = pace->next_ns;

	pace->next_ns += pace->step_ns;
	pace->rest += pace->step_rest;
	if (pace->rest >= pace->rate) {
		pace->rest -= pace->rate;
		pace->next_ns++;
	}
	return due_ns;
}

/* How many are due at `now_ns` and not taken. */
static inline uint64_t weir_load_pace_waiting(const struct weir_load_pace *pace,
					      uint64_t now_ns)
{
	if (pace->next_ns > now_ns)
		return 0;
	return (uint64_t)((unsigned __int128)(now_ns - pace->next_ns) * pace->rate /
			  WEIR_NS_PER_SECOND) +
	       1;
}

#endif
