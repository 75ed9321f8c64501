#include "dataplane/schedule/fit.h"

#define SHARE_ONE UINT64_C(65536)

static uint64_t pack(uint32_t cpu_millicores, uint32_t memory_mb)
{
	return (uint64_t)cpu_millicores << 32 | memory_mb;
}

bool weir_schedule_holds(const struct weir_schedule_resources *capacity, const struct weir_schedule_resources *ask)
{
	return (capacity->cpu_millicores == 0 || ask->cpu_millicores <= capacity->cpu_millicores) &&
	       ask->memory_mb <= capacity->memory_mb;
}

int weir_schedule_match(const struct weir_snapshot_spec *specs, uint32_t count,
			const struct weir_schedule_resources *ask)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct weir_schedule_resources capacity = {.cpu_millicores = specs[i].cpu_millicores,
								 .memory_mb = specs[i].memory_mb};

		if (weir_schedule_holds(&capacity, ask))
			return (int)i;
	}
	return -1;
}

uint64_t weir_schedule_takes(const struct weir_schedule_resources *capacity,
			     const struct weir_schedule_resources *ask)
{
	return pack(capacity->cpu_millicores == 0 ? 0 : ask->cpu_millicores, ask->memory_mb);
}

bool weir_schedule_fits(const struct weir_schedule_resources *capacity, uint64_t used, uint64_t takes)
{
	const uint64_t cpu = (used >> 32) + (takes >> 32);
	const uint64_t memory = (used & UINT32_MAX) + (takes & UINT32_MAX);

	return (cpu <= capacity->cpu_millicores || takes >> 32 == 0) &&
	       (memory <= capacity->memory_mb || (takes & UINT32_MAX) == 0);
}

static uint64_t share(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : part * SHARE_ONE / whole;
}

uint64_t weir_schedule_fullness(const struct weir_schedule_resources *capacity, uint64_t used)
{
	const uint64_t cpu = share(used >> 32, capacity->cpu_millicores);
	const uint64_t memory = share(used & UINT32_MAX, capacity->memory_mb);

	/* A capacity that shrank a moment ago may be overfull: either half stays within its half. */
	return (cpu < UINT32_MAX ? cpu : UINT32_MAX) << 32 | (memory < UINT32_MAX ? memory : UINT32_MAX);
}

int weir_schedule_choose_fullest(const int16_t *price, const uint64_t *fullness, size_t count,
				 struct weir_schedule_turn *turn)
{
	const size_t start = turn->next < count ? turn->next : 0;
	int best = -1;

	for (size_t i = 0; i < count; i++) {
		const size_t place = start + i < count ? start + i : start + i - count;

		if (price[place] >= WEIR_SCHEDULE_PRICE_FULL)
			continue;
		if (best < 0 || fullness[place] > fullness[best] ||
		    (fullness[place] == fullness[best] && price[place] < price[best]))
			best = (int)place;
	}
	if (best >= 0)
		turn->next = (uint32_t)best + 1;
	return best;
}
