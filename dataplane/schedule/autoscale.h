/* autoscale: how many workers a pool should have, by the arithmetic of pixels-spike (Weir's forerunner in
 * Go), number for number:
 *
 *   every step (5 s) look at all requests that wait or run
 *     each counts for the smallest spec that holds it (CPU first, then memory: fit.h),
 *     as demand = max(its CPU / the spec's, its memory / the spec's)
 *   once samples (12) were taken, for each spec
 *     target = clamp(round(sum of demand / (samples * threshold (0.8))), min, max), halves away from 0
 *
 *   take --> | demand 12 steps ago | ... | demand now |  --sum--> target     a window slides: each step
 *                                                                            pushes the oldest out
 * What the source does that its users pay for, and who mends it here:
 *   - a request that names neither CPU nor memory has no demand, so its pool shrinks while it runs: the
 *     caller counts such a request as the part of a worker that it takes (supervisor/pool_scale.c);
 *   - a little traffic rounds to no worker at all, and the next request waits for a start: a pool that was
 *     used within the window keeps one (weir_autoscale_keeps());
 *   - growth waits for a whole window: demand that finds no room starts a worker at once (schedule.h);
 *   - a window full of a load that is over starts workers that nobody needs, all at once, while who came after
 *     it wants the CPU: growth goes no further than the newest sample asks for (weir_autoscale_bound());
 *   - a request larger than every spec counts for the largest and raises its target, though nothing will
 *     ever run it: such a request is refused before it counts.
 * Pure functions over the caller's memory; any thread. */
#ifndef WEIR_DATAPLANE_SCHEDULE_AUTOSCALE_H
#define WEIR_DATAPLANE_SCHEDULE_AUTOSCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/schedule/fit.h"

/* How many workers of that spec the request takes up; 0 where it asks for nothing. A resource that the spec
 * does not limit (0) is not counted. */
double weir_autoscale_demand(struct weir_schedule_resources spec, struct weir_schedule_resources request);

/* The last samples of one pool. Zeroed: none yet. */
struct weir_autoscale_window {
	double demand[WEIR_AUTOSCALE_SAMPLES_MAX];
	uint32_t count; /* samples in it */
	uint32_t next;  /* where the next one goes */
};

/* Add a sample; at most rule->samples are remembered. Another number of samples than before begins anew:
 * the caller zeroes the window then. `demand` is finite and 0 or more. */
void weir_autoscale_take(struct weir_autoscale_window *window, const struct weir_autoscale_rule *rule, double demand);

/* The target. False, and *out_target as it was, before rule->samples were taken. If the bounds contradict,
 * workers_max wins. */
bool weir_autoscale_target(const struct weir_autoscale_window *window, const struct weir_autoscale_rule *rule,
			   uint32_t workers_min, uint32_t workers_max, uint32_t *out_target);

/* The target where some are in use: never none of a pool that may have one and was used in the window. */
static inline uint32_t weir_autoscale_keeps(uint32_t target, bool was_used, uint32_t workers_max)
{
	return target == 0 && was_used && workers_max > 0 ? 1 : target;
}

/* The target of a pool that has `count` workers, where the newest sample is `demand`: more workers only for what
 * is still there. */
uint32_t weir_autoscale_bound(uint32_t target, uint32_t count, const struct weir_autoscale_rule *rule, double demand);

#endif
