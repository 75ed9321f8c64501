/* schedule: which worker takes the next call, and how many workers a pool should have.
 *
 *   candidate (the shard's view of one worker, now)      policy (a row of the one table)
 *   | in flight, limits, load, usable, home | --price--> | 8 | 3 | full | 3 | --choose--> place, or
 *                                                          prices of a pool               -1: wait
 *
 * Pure functions: no state of their own, no allocation, no I/O, any thread. The caller makes the
 * candidates from the links' worker lines, so a burst is spread by its own calls and does not wait
 * for a sample. A dead worker is a candidate with usable = false, or none at all.
 * Prices have 16 bits, of which eight fit every vector register: hundreds are compared in a moment.
 * A policy says what a worker costs and how one is chosen among prices; who has room and that ties
 * go home stands here, once, for all of them. Prices may be kept and brought up to date one by one:
 * the place that was chosen is then looked at again before it is believed (gateway/pick.c). */
#ifndef WEIR_DATAPLANE_SCHEDULE_SCHEDULE_H
#define WEIR_DATAPLANE_SCHEDULE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/schedule/score.h"

enum {
	WEIR_SCHEDULE_WAIT_NS_MAX = 200000, /* what waiting behind others may cost: 200 us */
	WEIR_SCHEDULE_AHEAD_MAX = 256,    /* calls ahead in a worker, however short they are */
	WEIR_SCHEDULE_AHEAD_UNKNOWN = 16, /* before the first service time is known */
	WEIR_SCHEDULE_BATCH_NS_MAX = 50000, /* work that is worth less than waking another worker */
	WEIR_SCHEDULE_RUNNABLE_PERCENT = 40, /* of the time in which it has calls: it waits for nobody but a CPU */
	WEIR_SCHEDULE_QUEUED_PERCENT = 25,   /* of that, in a run queue */
	WEIR_SCHEDULE_SHORT_NS = 10000000,   /* a call so long keeps others from their turn: 10 ms */
	WEIR_SCHEDULE_PRICE_ONE = 2048, /* a score of 1; scores end at 15.99 */
	WEIR_SCHEDULE_COST_MAX = INT16_MAX / 2 - 1,
	WEIR_SCHEDULE_PRICE_FULL = INT16_MAX, /* takes nothing; every other price is lower */
};

/* One worker, as this shard sees it now. */
struct weir_schedule_candidate {
	uint32_t in_flight;       /* calls bound and not finished, over all shards (estimate) */
	uint32_t in_flight_limit; /* how many of them may stand before a new one's CPU time */
	uint32_t parked;          /* of in_flight: wait for client or child, delay nobody */
	uint32_t parked_limit;    /* how many may; 0 = not known */
	uint32_t load_price;      /* weir_schedule_terms_price() */
	uint64_t service_ns;      /* running time of its calls, on average; 0 = unknown */
	bool usable;              /* link up, not draining, below its parked limit */
	bool too_small;           /* what the request asks for does not fit in what it has left */
	bool one_task;            /* takes a call only while it has none */
	bool home;                /* this shard is its home */
};

/* What choosing remembers from one call to the next; zeroed at first. One per pool. */
struct weir_schedule_turn {
	uint32_t next;   /* behind the place that was chosen last */
	uint64_t random;
};

struct weir_schedule_policy {
	bool keeps; /* short calls may stay on the worker that got the last one */
	bool runs_only; /* of what is measured, only time on a CPU and bytes count, and no waiting */
	uint64_t sample_ns; /* how often loads are looked at; 0 = WEIR_SCHEDULE_SAMPLE_NS */
	/* What giving this candidate the call would cost; larger ones count as WEIR_SCHEDULE_COST_MAX. */
	uint32_t (*cost)(const struct weir_schedule_candidate *candidate, const struct weir_weights *weights);
	/* A place whose price is below PRICE_FULL, or -1. */
	int (*choose)(const int16_t *price, size_t count, struct weir_schedule_turn *turn);
};

/* A policy by enum weir_policy_number; NULL if there is none. */
const struct weir_schedule_policy *weir_schedule_policy(uint32_t number);

/* Calls that a new one would wait behind: in flight and not parked. The two numbers are read apart
 * from a line that a worker writes, so parked > in_flight is possible and counts as 0. */
static inline uint32_t weir_schedule_ahead(const struct weir_schedule_candidate *candidate)
{
	return candidate->in_flight > candidate->parked
		       ? candidate->in_flight - candidate->parked
		       : 0;
}

/* True if the candidate may be given a call: usable, large enough, and fewer than in_flight_limit
 * calls ahead. */
static inline bool weir_schedule_has_room(const struct weir_schedule_candidate *candidate)
{
	return candidate->usable && !candidate->too_small &&
	       weir_schedule_ahead(candidate) < candidate->in_flight_limit &&
	       !(candidate->one_task && candidate->in_flight > 0);
}

/* What the policy asks for this candidate: twice its cost, one more away from home, so that ties go
 * home; WEIR_SCHEDULE_PRICE_FULL if it has no room. */
int16_t weir_schedule_price(const struct weir_schedule_policy *policy,
			    const struct weir_schedule_candidate *candidate, const struct weir_weights *weights);

/* True if the worker that got the last call may as well get the next: it has room, and all that it
 * then has to do takes less than WEIR_SCHEDULE_BATCH_NS_MAX, about what it costs to wake another
 * worker and hear from it (5 us on one CPU, 44 us between two; bench/RESULTS.md, section micro). Pick only where this is false: functions
 * that take no time to speak of then stay on one warm worker, all others are spread. */
static inline bool weir_schedule_keeps(const struct weir_schedule_candidate *candidate)
{
	return weir_schedule_has_room(candidate) && candidate->service_ns > 0 &&
	       candidate->service_ns < WEIR_SCHEDULE_BATCH_NS_MAX &&
	       (weir_schedule_ahead(candidate) + 1) * candidate->service_ns <= WEIR_SCHEDULE_BATCH_NS_MAX;
}

/* How many calls may be ahead of a new one in a worker whose calls take `service_ns` on average, so
 * that waiting behind them costs at most about WEIR_SCHEDULE_WAIT_NS_MAX: between 1 and
 * WEIR_SCHEDULE_AHEAD_MAX; WEIR_SCHEDULE_AHEAD_UNKNOWN if service_ns is 0 (unknown). */
uint32_t weir_schedule_ahead_max(uint64_t service_ns);

/* What workers did in a span of time, or since they began. */
struct weir_schedule_use {
	uint64_t span_ns;      /* summed over the workers */
	uint64_t on_cpu_ns;
	uint64_t run_queue_ns; /* could have run, and had no CPU */
	uint64_t finished;     /* calls */
	uint64_t busy_ns;      /* these, times how long one takes by the clock; 0 = not known */
};

/* True if workers that did this in that span lack CPU, and nothing else: while they had calls they could run most of
 * the time (WEIR_SCHEDULE_RUNNABLE_PERCENT), had to wait for a CPU (WEIR_SCHEDULE_QUEUED_PERCENT of that), and
 * their calls are short (WEIR_SCHEDULE_SHORT_NS of that time each). Another worker would only share the
 * same CPU time. With long calls one may help all the same: short ones get their turn beside them. */
bool weir_schedule_lacks_cpu(const struct weir_schedule_use *use);

/* Workers that a pool should have, given `current` ones (starting ones included) and `waiting` calls
 * that found no room: one more than now while anything waits, never below workers_min, never above
 * workers_max. If the bounds contradict, workers_max wins. Shrinking is not decided here: with
 * nothing waiting the answer is `current`, brought into the bounds. */
uint32_t weir_schedule_workers_wanted(uint32_t current, uint32_t waiting, uint32_t workers_min,
				      uint32_t workers_max);

#endif
