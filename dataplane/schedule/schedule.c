#include "dataplane/schedule/schedule.h"

#include <assert.h>
#include <string.h>

enum {
	C_SEED_SAMPLE_NS = 500000000,
	LANES = 16, /* prices that are compared at a time: the compiler makes vectors of them */
	COST_SCALE = 2 * WEIR_SCHEDULE_UNIT / WEIR_SCHEDULE_PRICE_ONE,
	PARTS_MAX = 4096, /* calls that a worker has room for, in a price; times delta it fits 32 bits */
};

/* Costs */

/* delta * part / whole, at most delta. In 32 bits, for a wider division costs more than all the rest;
 * of the parts only the ratio counts. */
static uint32_t part_price(uint32_t delta, uint32_t part, uint32_t whole)
{
	const uint32_t one = (uint32_t)((uint64_t)delta * WEIR_SCHEDULE_UNIT / WEIR_WEIGHT_ONE);

	if (part == 0 || whole == 0)
		return 0;
	for (; whole > PARTS_MAX; whole /= 2)
		part /= 2;
	return part < whole ? one * part / whole : one;
}

/* Running and parked calls each as a part of what there is room for: a hundred that wait for their
 * clients weigh no more than the one that computes. */
static_assert((uint64_t)WEIR_WEIGHT_MAX * WEIR_SCHEDULE_UNIT / WEIR_WEIGHT_ONE * PARTS_MAX <= UINT32_MAX,
	      "no product runs over");

static uint32_t score_cost(const struct weir_schedule_candidate *candidate, const struct weir_weights *weights)
{
	return (candidate->load_price +
		part_price(weights->delta, weir_schedule_ahead(candidate), candidate->in_flight_limit) +
		part_price(weights->delta, candidate->parked, candidate->parked_limit)) /
	       COST_SCALE;
}

/* Parked calls included: they come back. */
static uint32_t in_flight_cost(const struct weir_schedule_candidate *candidate, const struct weir_weights *weights)
{
	(void)weights;
	return candidate->in_flight;
}

/* The forerunner in C: what was measured, and nothing of the calls under way. */
static uint32_t load_cost(const struct weir_schedule_candidate *candidate, const struct weir_weights *weights)
{
	(void)weights;
	return candidate->load_price / COST_SCALE;
}

static uint32_t no_cost(const struct weir_schedule_candidate *candidate, const struct weir_weights *weights)
{
	(void)candidate;
	(void)weights;
	return 0;
}

/* Choosing */

static int16_t lower(int16_t a, int16_t b)
{
	return b < a ? b : a;
}

static int16_t lowest_of(const int16_t *price, size_t count)
{
	int16_t best[LANES];
	int16_t lowest = WEIR_SCHEDULE_PRICE_FULL;
	size_t i = 0;

	for (size_t lane = 0; lane < LANES; lane++)
		best[lane] = WEIR_SCHEDULE_PRICE_FULL;
	for (; i + LANES <= count; i += LANES) {
		for (size_t lane = 0; lane < LANES; lane++)
			best[lane] = lower(best[lane], price[i + lane]);
	}
	for (; i < count; i++)
		lowest = lower(lowest, price[i]);
	for (size_t lane = 0; lane < LANES; lane++)
		lowest = lower(lowest, best[lane]);
	return lowest;
}

/* Is this price among LANES of them? Written out as vectors: from a loop the compiler makes none. */
static bool has_price(const int16_t *price, int16_t wanted)
{
	typedef int16_t half __attribute__((vector_size(LANES / 2 * sizeof(int16_t))));
	typedef uint64_t words __attribute__((vector_size(sizeof(half))));
	half low, high;
	words any;

	memcpy(&low, price, sizeof(low));
	memcpy(&high, price + LANES / 2, sizeof(high));
	any = (words)((low == wanted) | (high == wanted));
	return (any[0] | any[1]) != 0;
}

/* The first place from `first` on with this price, or `end`. */
static size_t find(const int16_t *price, size_t first, size_t end, int16_t wanted)
{
	size_t i = first;

	while (i + LANES <= end && !has_price(price + i, wanted))
		i += LANES;
	while (i < end && price[i] != wanted)
		i++;
	return i;
}

/* The cheapest; of equal ones the next behind the last choice, so that equals take turns whoever
 * stands between them. */
static int choose_cheapest(const int16_t *price, size_t count, struct weir_schedule_turn *turn)
{
	const int16_t lowest = lowest_of(price, count);
	const size_t start = turn->next < count ? turn->next : 0;
	size_t place;

	if (lowest >= WEIR_SCHEDULE_PRICE_FULL)
		return -1;
	place = find(price, start, count, lowest);
	if (place == count)
		place = find(price, 0, start, lowest);
	turn->next = (uint32_t)place + 1;
	return (int)place;
}

/* Of equal ones always the same. */
static int choose_first(const int16_t *price, size_t count, struct weir_schedule_turn *turn)
{
	turn->next = 0;
	return choose_cheapest(price, count, turn);
}

/* xorshift64*: spreads, and is fast; nobody gains by guessing it. */
static uint32_t random_below(struct weir_schedule_turn *turn, uint32_t limit)
{
	uint64_t value = turn->random != 0 ? turn->random : UINT64_C(0x9e3779b97f4a7c15);

	value ^= value >> 12;
	value ^= value << 25;
	value ^= value >> 27;
	turn->random = value;
	return (uint32_t)(((value * UINT64_C(0x2545f4914f6cdd1d)) >> 32) * limit >> 32);
}

/* Who may be drawn: those at home, or all others where nobody at home has room. */
static bool is_drawn(int16_t price, int32_t away)
{
	return price < WEIR_SCHEDULE_PRICE_FULL && (price & 1) == away;
}

static uint32_t count_drawn(const int16_t *price, size_t count, int32_t away)
{
	uint32_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += is_drawn(price[i], away);
	return found;
}

/* The place of the n-th that may be drawn. */
static int nth_drawn(const int16_t *price, int32_t away, uint32_t n)
{
	int place = 0;

	while (!is_drawn(price[place], away) || n-- > 0)
		place++;
	return place;
}

static int choose_random(const int16_t *price, size_t count, struct weir_schedule_turn *turn)
{
	uint32_t at_home = count_drawn(price, count, 0);
	const int32_t away = at_home == 0;
	const uint32_t all = away ? count_drawn(price, count, 1) : at_home;

	return all == 0 ? -1 : nth_drawn(price, away, random_below(turn, all));
}

static int choose_of_two(const int16_t *price, size_t count, struct weir_schedule_turn *turn)
{
	const uint32_t at_home = count_drawn(price, count, 0);
	const int32_t away = at_home == 0;
	const uint32_t all = away ? count_drawn(price, count, 1) : at_home;
	uint32_t first, second;
	int one, other;

	if (all < 2)
		return all == 0 ? -1 : nth_drawn(price, away, 0);
	first = random_below(turn, all);
	second = random_below(turn, all - 1);
	second += second >= first; /* another one */
	one = nth_drawn(price, away, first);
	other = nth_drawn(price, away, second);
	return price[other] < price[one] ? other : one;
}

/* The table */

static const struct weir_schedule_policy policies[WEIR_POLICY_COUNT] = {
	[WEIR_POLICY_SCORE] = {.keeps = true, .cost = score_cost, .choose = choose_cheapest},
	[WEIR_POLICY_LEAST_IN_FLIGHT] = {.keeps = true, .cost = in_flight_cost, .choose = choose_cheapest},
	[WEIR_POLICY_TWO_CHOICES] = {.cost = in_flight_cost, .choose = choose_of_two},
	[WEIR_POLICY_ROUND_ROBIN] = {.cost = no_cost, .choose = choose_cheapest},
	[WEIR_POLICY_RANDOM] = {.cost = no_cost, .choose = choose_random},
	[WEIR_POLICY_C_SEED] = {.cost = load_cost, .choose = choose_first, .runs_only = true, .sample_ns = C_SEED_SAMPLE_NS},
};

const struct weir_schedule_policy *weir_schedule_policy(uint32_t number)
{
	return number < WEIR_POLICY_COUNT ? &policies[number] : NULL;
}

int16_t weir_schedule_price(const struct weir_schedule_policy *policy,
			    const struct weir_schedule_candidate *candidate, const struct weir_weights *weights)
{
	uint32_t cost;

	if (!weir_schedule_has_room(candidate))
		return WEIR_SCHEDULE_PRICE_FULL;
	cost = policy->cost(candidate, weights);
	if (cost > WEIR_SCHEDULE_COST_MAX)
		cost = WEIR_SCHEDULE_COST_MAX;
	return (int16_t)(2 * cost + !candidate->home);
}

uint32_t weir_schedule_ahead_max(uint64_t service_ns)
{
	if (service_ns == 0)
		return WEIR_SCHEDULE_AHEAD_UNKNOWN;
	if (service_ns > WEIR_SCHEDULE_WAIT_NS_MAX)
		return 1;
	const uint32_t ahead = WEIR_SCHEDULE_WAIT_NS_MAX / (uint32_t)service_ns;

	return ahead > WEIR_SCHEDULE_AHEAD_MAX ? WEIR_SCHEDULE_AHEAD_MAX : ahead;
}

bool weir_schedule_lacks_cpu(const struct weir_schedule_use *use)
{
	const uint64_t runnable_ns = use->on_cpu_ns + use->run_queue_ns;
	/* The rest of the time it waits for the gateway, which may want the same CPU. */
	const uint64_t had_ns = use->busy_ns > 0 && use->busy_ns < use->span_ns ? use->busy_ns : use->span_ns;

	return use->finished > 0 && runnable_ns / use->finished <= WEIR_SCHEDULE_SHORT_NS &&
	       runnable_ns >= had_ns / 100 * WEIR_SCHEDULE_RUNNABLE_PERCENT &&
	       use->run_queue_ns >= runnable_ns / 100 * WEIR_SCHEDULE_QUEUED_PERCENT;
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
