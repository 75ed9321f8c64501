#include "dataplane/schedule/schedule.h"

#include <limits.h>
#include <string.h>

#include "dataplane/base/assert.h"

static uint64_t least_in_flight_cost(const struct weir_schedule_candidate *candidate)
{
	return candidate->in_flight;
}

const struct weir_schedule_policy weir_schedule_least_in_flight = {
	.name = "least-in-flight",
	.cost = least_in_flight_cost,
};

static const struct weir_schedule_policy *const policies[] = {
	&weir_schedule_least_in_flight,
};

const struct weir_schedule_policy *weir_schedule_policy_find(const char *name)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	}
	return NULL;
}

/* What candidates are compared by: the policy's cost, then home before away. */
struct rank {
	uint64_t cost;
	bool away;
};

static struct rank rank_of(const struct weir_schedule_policy *policy,
			   const struct weir_schedule_candidate *candidate)
{
	return (struct rank){.cost = policy->cost(candidate), .away = !candidate->home};
}

static bool rank_equal(struct rank a, struct rank b)
{
	return a.cost == b.cost && a.away == b.away;
}

static bool rank_less(struct rank a, struct rank b)
{
	return a.cost < b.cost || (a.cost == b.cost && !a.away && b.away);
}

int weir_schedule_pick(const struct weir_schedule_policy *policy,
		       const struct weir_schedule_candidate *candidates, size_t count,
		       uint32_t rotation)
{
	struct rank best = {.cost = UINT64_MAX, .away = true};
	size_t equal_count = 0;
	size_t chosen = 0;

	WEIR_DEBUG_ASSERT(count <= INT_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!weir_schedule_has_room(&candidates[i]))
			continue;
		const struct rank rank = rank_of(policy, &candidates[i]);

		if (equal_count > 0 && rank_equal(rank, best)) {
			equal_count++;
		} else if (equal_count == 0 || rank_less(rank, best)) {
			best = rank;
			equal_count = 1;
			chosen = i;
		}
	}
	if (equal_count == 0)
		return -1;
	/* `chosen` is the first of the equals; step over rotation % n of them. */
	for (size_t left = rotation % equal_count; left > 0;) {
		chosen++;
		if (weir_schedule_has_room(&candidates[chosen]) &&
		    rank_equal(rank_of(policy, &candidates[chosen]), best))
			left--;
	}
	return (int)chosen;
}

uint32_t weir_schedule_ahead_max(uint64_t service_ns)
{
	if (service_ns == 0)
		return WEIR_SCHEDULE_AHEAD_UNKNOWN;
	const uint64_t ahead = WEIR_SCHEDULE_WAIT_NS_MAX / service_ns;

	if (ahead < 1)
		return 1;
	return ahead > WEIR_SCHEDULE_AHEAD_MAX ? WEIR_SCHEDULE_AHEAD_MAX : (uint32_t)ahead;
}

uint32_t weir_schedule_workers_wanted(uint32_t current, uint32_t waiting, uint32_t workers_min,
				      uint32_t workers_max)
{
	uint32_t wanted = current;

	if (waiting > 0 && wanted < UINT32_MAX)
		wanted++;
	if (wanted < workers_min)
		wanted = workers_min;
	return wanted > workers_max ? workers_max : wanted;
}
