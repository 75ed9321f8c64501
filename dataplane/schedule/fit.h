/* fit: which spec a request needs, and which of that spec's workers has room for what it asks.
 *
 *   ask 400 m --match--> smallest spec that holds it: 1000 m
 *                  its workers, and what the calls there asked for:  | 900 | 500 | 0 |
 *                  fullest that has room                                      ^
 *
 * Pixels-Spike's placement: of the specs that hold a request the smallest, of its instances the fullest on
 * which what all requests there asked for stays within the spec on both axes. So calls that ask are packed,
 * and instances get empty that may then go. A request that asks for nothing takes nothing away.
 *
 * Pure functions: no state of their own, any thread. What is used of a worker is one word, so that shards
 * can share it: CPU in the upper half, memory in the lower. */
#ifndef WEIR_DATAPLANE_SCHEDULE_FIT_H
#define WEIR_DATAPLANE_SCHEDULE_FIT_H

#include <string.h>

#include "dataplane/abi/snapshot.h"
#include "dataplane/schedule/schedule.h"

enum { WEIR_SCHEDULE_ASK_MAX = 999999999 }; /* of either axis: all that nine digits say */

struct weir_schedule_resources {
	uint32_t cpu_millicores; /* an ask: 0 = any; a capacity: 0 = no limit */
	uint32_t memory_mb;      /* an ask: 0 = any */
};

static_assert(sizeof(struct weir_schedule_resources) == sizeof(uint64_t), "both axes in one word");

/* Does it ask for anything? */
static inline bool weir_schedule_asks(const struct weir_schedule_resources *ask)
{
	uint64_t both; /* one comparison: every call is asked this */

	memcpy(&both, ask, sizeof(both));
	return both != 0;
}

/* Does `a` ask for less than `b` of something? If not, where there is no room for `b` there is none for `a`. */
static inline bool weir_schedule_is_less(const struct weir_schedule_resources *a,
					 const struct weir_schedule_resources *b)
{
	return a->cpu_millicores < b->cpu_millicores || a->memory_mb < b->memory_mb;
}

/* Does a capacity, of which nothing is used, hold this? */
bool weir_schedule_holds(const struct weir_schedule_resources *capacity, const struct weir_schedule_resources *ask);

/* The place of the smallest spec that holds `ask`, of a function's, which stand by size; -1 if none does. */
int weir_schedule_match(const struct weir_snapshot_spec *specs, uint32_t count,
			const struct weir_schedule_resources *ask);

/* What a call with this ask takes of a worker; CPU time that is not limited is not counted. */
uint64_t weir_schedule_takes(const struct weir_schedule_resources *capacity,
			     const struct weir_schedule_resources *ask);

/* Is there room for `takes` in a worker of which `used` is used? */
bool weir_schedule_fits(const struct weir_schedule_resources *capacity, uint64_t used, uint64_t takes);

/* How full a worker is: by its CPU time, and where that is equal by its memory. The larger, the fuller. */
uint64_t weir_schedule_fullness(const struct weir_schedule_resources *capacity, uint64_t used);

/* The fullest worker whose price is below WEIR_SCHEDULE_PRICE_FULL; of equally full ones the cheapest, of
 * those the next behind the last choice. Its place, or -1. */
int weir_schedule_choose_fullest(const int16_t *price, const uint64_t *fullness, size_t count,
				 struct weir_schedule_turn *turn);

#endif
