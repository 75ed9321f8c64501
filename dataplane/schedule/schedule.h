/* schedule: which worker takes the next call, and how many workers a pool should have.
 *
 *   candidates of one pool (the shard's view)     policy (table of callbacks)
 *   | in_flight, limit, parked, usable, home | --> cost --> index, or -1: wait in the queue
 *
 * Pure functions: no state, no allocation, no I/O, any thread. The caller fills the candidates from
 * the links' worker lines at the moment of picking, so a burst is spread by its own calls and does
 * not wait for a sample. A dead worker is a candidate with usable = false, or none at all.
 * A policy only prices; who has room and how ties break stands here, once, for all of them. */
#ifndef WEIR_DATAPLANE_SCHEDULE_SCHEDULE_H
#define WEIR_DATAPLANE_SCHEDULE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEIR_SCHEDULE_WAIT_NS_MAX = 200000, /* what waiting behind others may cost: 200 us */
	WEIR_SCHEDULE_AHEAD_MAX = 256,    /* calls ahead in a worker, however short they are */
	WEIR_SCHEDULE_AHEAD_UNKNOWN = 16, /* before the first service time is known */
	WEIR_SCHEDULE_BATCH_NS_MAX = 50000, /* work that is worth less than waking another worker */
};

/* One worker, as this shard sees it now. */
struct weir_schedule_candidate {
	uint32_t in_flight;       /* calls bound and not finished, over all shards (estimate) */
	uint32_t in_flight_limit; /* how many of them may stand before a new one's CPU time */
	uint32_t parked;          /* of in_flight: wait for client or child, delay nobody */
	uint64_t service_ns;      /* running time of its calls, on average; 0 = unknown */
	bool usable;              /* link up, not draining, below its parked_max */
	bool home;                /* this shard is its home */
};

struct weir_schedule_policy {
	const char *name;
	/* What giving this candidate the call would cost; the lowest wins. Any scale, no state. */
	uint64_t (*cost)(const struct weir_schedule_candidate *candidate);
};

/* Fewest calls in flight first, parked ones included: they come back. */
extern const struct weir_schedule_policy weir_schedule_least_in_flight;

/* A policy by name ("least-in-flight"), or NULL. */
const struct weir_schedule_policy *weir_schedule_policy_find(const char *name);

/* Calls that a new one would wait behind: in flight and not parked. The two numbers are read apart
 * from a line that a worker writes, so parked > in_flight is possible and counts as 0. */
static inline uint32_t weir_schedule_ahead(const struct weir_schedule_candidate *candidate)
{
	return candidate->in_flight > candidate->parked
		       ? candidate->in_flight - candidate->parked
		       : 0;
}

/* True if the candidate may be given a call: usable, and fewer than in_flight_limit calls ahead. */
static inline bool weir_schedule_has_room(const struct weir_schedule_candidate *candidate)
{
	return candidate->usable && weir_schedule_ahead(candidate) < candidate->in_flight_limit;
}

/* Index of the cheapest candidate that has room, or -1 (nobody has, or count is 0; count is at most
 * INT_MAX). Ties go to a home worker; of n that are still equal the one at place `rotation` % n:
 * give each call the next rotation and equal workers share evenly, whoever stands between them. */
int weir_schedule_pick(const struct weir_schedule_policy *policy,
		       const struct weir_schedule_candidate *candidates, size_t count,
		       uint32_t rotation);

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

/* Workers that a pool should have, given `current` ones (starting ones included) and `waiting` calls
 * that found no room: one more than now while anything waits, never below workers_min, never above
 * workers_max. If the bounds contradict, workers_max wins. Shrinking is not decided here: with
 * nothing waiting the answer is `current`, brought into the bounds. */
uint32_t weir_schedule_workers_wanted(uint32_t current, uint32_t waiting, uint32_t workers_min,
				      uint32_t workers_max);

#endif
