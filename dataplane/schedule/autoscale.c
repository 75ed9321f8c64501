#include "dataplane/schedule/autoscale.h"

#include <math.h>

#include "dataplane/base/assert.h"

static double part(uint32_t asked, uint32_t has)
{
	return has == 0 ? 0 : (double)asked / (double)has;
}

double weir_autoscale_demand(struct weir_schedule_resources spec, struct weir_schedule_resources request)
{
	return fmax(part(request.cpu_millicores, spec.cpu_millicores), part(request.memory_mb, spec.memory_mb));
}

static uint32_t samples_of(const struct weir_autoscale_rule *rule)
{
	WEIR_DEBUG_ASSERT(rule->samples > 0 && rule->samples <= WEIR_AUTOSCALE_SAMPLES_MAX);
	return rule->samples;
}

static double threshold_of(const struct weir_autoscale_rule *rule)
{
	return (double)rule->threshold / WEIR_AUTOSCALE_THRESHOLD_ONE;
}

void weir_autoscale_take(struct weir_autoscale_window *window, const struct weir_autoscale_rule *rule, double demand)
{
	const uint32_t samples = samples_of(rule);

	WEIR_DEBUG_ASSERT(window->next < samples && isfinite(demand) && demand >= 0);
	window->demand[window->next] = demand;
	window->next = (window->next + 1) % samples;
	if (window->count < samples)
		window->count++;
}

bool weir_autoscale_target(const struct weir_autoscale_window *window, const struct weir_autoscale_rule *rule,
			   uint32_t workers_min, uint32_t workers_max, uint32_t *out_target)
{
	const uint32_t samples = samples_of(rule);
	double sum = 0;
	double target;

	if (window->count < samples)
		return false;
	/* From the oldest on, as the source adds: floating-point sums depend on the order. */
	for (uint32_t i = 0; i < samples; i++)
		sum += window->demand[(window->next + i) % samples];
	target = round(sum / ((double)samples * threshold_of(rule)));
	if (target < (double)workers_min)
		target = workers_min;
	*out_target = target > (double)workers_max ? workers_max : (uint32_t)target;
	return true;
}

uint32_t weir_autoscale_bound(uint32_t target, uint32_t count, const struct weir_autoscale_rule *rule, double demand)
{
	const double needed = ceil(demand / threshold_of(rule));

	if (target <= count || needed >= (double)target)
		return target;
	return needed > (double)count ? (uint32_t)needed : count;
}
