/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/id.h"
#include "dataplane/schedule/fit.h"

enum { SPECS = 5, WORKERS = 24, ROUNDS = 20000, CALLS = 60 };

/* The seed of this run: WEIR_SEED in the environment repeats another's. */
static struct weir_id_source random_source(void)
{
	const char *wanted = getenv("WEIR_SEED");
	struct weir_id_source source;

	assert_int_equal(weir_id_source_open(&source), 0);
	uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 0) : weir_id_next(&source).low;

	print_message("WEIR_SEED=%llu\n", (unsigned long long)seed);
	source = (struct weir_id_source){.state = {seed, 1, 2, 3}};
	return source;
}

static uint32_t below(struct weir_id_source *source, uint32_t limit)
{
	return (uint32_t)(weir_id_next(source).low % limit);
}

static struct weir_schedule_resources of(uint32_t cpu_millicores, uint32_t memory_mb)
{
	return (struct weir_schedule_resources){.cpu_millicores = cpu_millicores, .memory_mb = memory_mb};
}

/* The two together: what such a worker loses by such a call, and how full it is then. */
static uint64_t takes(struct weir_schedule_resources capacity, uint32_t cpu_millicores, uint32_t memory_mb)
{
	const struct weir_schedule_resources ask = of(cpu_millicores, memory_mb);

	return weir_schedule_takes(&capacity, &ask);
}

static uint64_t fullness(struct weir_schedule_resources capacity, uint64_t used)
{
	return weir_schedule_fullness(&capacity, used);
}

static bool fits(struct weir_schedule_resources capacity, uint64_t used, uint64_t takes)
{
	return weir_schedule_fits(&capacity, used, takes);
}

static int match(const struct weir_snapshot_spec *specs, uint32_t count, uint32_t cpu, uint32_t memory)
{
	const struct weir_schedule_resources ask = of(cpu, memory);

	return weir_schedule_match(specs, count, &ask);
}

static void the_smallest_spec_that_holds_a_request_is_its_match(void **state)
{
	static const struct weir_snapshot_spec specs[] = {
		{.cpu_millicores = 500, .memory_mb = 1024},
		{.cpu_millicores = 1000, .memory_mb = 64},
		{.cpu_millicores = 1000, .memory_mb = 512},
		{.memory_mb = 256}, /* no limit of CPU time: the largest */
	};

	(void)state;
	assert_int_equal(match(specs, 4, 0, 0), 0);
	assert_int_equal(match(specs, 4, 500, 1024), 0);
	assert_int_equal(match(specs, 4, 501, 0), 1);
	assert_int_equal(match(specs, 4, 501, 65), 2);
	assert_int_equal(match(specs, 4, 1001, 0), 3);
	assert_int_equal(match(specs, 4, WEIR_SCHEDULE_ASK_MAX, 256), 3);
	assert_int_equal(match(specs, 4, 501, 513), -1);
	assert_int_equal(match(specs, 4, 0, 1025), -1);
	assert_int_equal(match(specs, 3, 1001, 0), -1);
	assert_int_equal(match(specs, 0, 0, 0), -1);
}

static void both_axes_must_have_room_and_what_is_not_asked_for_is_not_counted(void **state)
{
	const struct weir_schedule_resources capacity = of(1000, 256), unlimited = of(0, 256), shrunk = of(500, 100);
	const uint64_t used = takes(capacity, 600, 200);

	(void)state;
	assert_true(fits(capacity, used, takes(capacity, 400, 56)));
	assert_false(fits(capacity, used, takes(capacity, 401, 0)));
	assert_false(fits(capacity, used, takes(capacity, 0, 57)));
	assert_true(fits(capacity, used, 0));
	/* A worker that has less than its calls asked for, since its spec shrank: who asks for nothing still fits. */
	assert_true(fits(shrunk, used, 0));
	assert_false(fits(shrunk, used, takes(shrunk, 1, 0)));
	/* CPU time without a limit is not used up, and sums of it cannot run over. */
	assert_int_equal(takes(unlimited, WEIR_SCHEDULE_ASK_MAX, 7), 7);
	assert_true(fits(unlimited, 200, takes(unlimited, 5000, 56)));
	assert_false(fits(unlimited, 200, takes(unlimited, 5000, 57)));
	assert_false(fits(capacity, 0, takes(capacity, WEIR_SCHEDULE_ASK_MAX, 0)));
}

static void fuller_is_who_has_less_cpu_time_left_then_less_memory(void **state)
{
	const struct weir_schedule_resources capacity = of(1000, 256), least = of(1, 1);

	(void)state;
	assert_int_equal(fullness(capacity, 0), 0);
	assert_true(fullness(capacity, takes(capacity, 2, 0)) > fullness(capacity, takes(capacity, 1, 256)));
	assert_true(fullness(capacity, takes(capacity, 1, 2)) > fullness(capacity, takes(capacity, 1, 1)));
	assert_true(fullness(of(0, 256), 2) > fullness(of(0, 256), 1));
	assert_true(fullness(least, UINT64_MAX) > fullness(least, UINT64_C(1) << 32 | 1)); /* no half runs over */
}

static void of_equally_full_workers_the_cheapest_and_of_those_each_in_turn(void **state)
{
	const int16_t price[] = {7, 3, WEIR_SCHEDULE_PRICE_FULL, 3, 0};
	const uint64_t full[] = {5, 5, 9, 5, 4};
	struct weir_schedule_turn turn = {0};

	(void)state;
	assert_int_equal(weir_schedule_choose_fullest(price, full, 5, &turn), 1);
	assert_int_equal(weir_schedule_choose_fullest(price, full, 5, &turn), 3);
	assert_int_equal(weir_schedule_choose_fullest(price, full, 5, &turn), 1);
	turn.next = 4000000000; /* the pool shrank */
	assert_int_equal(weir_schedule_choose_fullest(price, full, 1, &turn), 0);
	assert_int_equal(weir_schedule_choose_fullest(price + 2, full, 1, &turn), -1);
	assert_int_equal(weir_schedule_choose_fullest(price, full, 0, &turn), -1);
}

/* One worker of a cluster as Pixels-Spike sees it. */
struct instance {
	uint32_t spec;
	uint64_t used;
};

static bool spike_is_before(const struct weir_snapshot_spec *specs, const struct instance *a, const struct instance *b)
{
	const struct weir_snapshot_spec *as = &specs[a->spec];
	const struct weir_snapshot_spec *bs = &specs[b->spec];

	if (as->cpu_millicores != bs->cpu_millicores)
		return as->cpu_millicores < bs->cpu_millicores;
	if (as->memory_mb != bs->memory_mb)
		return as->memory_mb < bs->memory_mb;
	return (a->used >> 32) > (b->used >> 32); /* usage rate: their capacity is the same */
}

/* Sort by (CPU, memory, usage from high to low); the first where used + required stays within both. */
static int spike_pick(const struct weir_snapshot_spec *specs, const struct instance *cluster, const struct weir_schedule_resources *ask)
{
	int best = -1;

	for (int i = 0; i < WORKERS; i++) {
		const struct weir_snapshot_spec *spec = &specs[cluster[i].spec];
		const bool fits = (cluster[i].used >> 32) + ask->cpu_millicores <= spec->cpu_millicores &&
				  (cluster[i].used & UINT32_MAX) + ask->memory_mb <= spec->memory_mb;

		if (fits && (best < 0 || spike_is_before(specs, &cluster[i], &cluster[best])))
			best = i;
	}
	return best;
}

/* What Weir does: the smallest spec that holds it, and of its workers the fullest that has room. */
static int own_pick(const struct weir_snapshot_spec *specs, const struct instance *cluster, const struct weir_schedule_resources *ask,
		    struct weir_schedule_turn *turn)
{
	const int spec = weir_schedule_match(specs, SPECS, ask);
	const struct weir_schedule_resources capacity = of(specs[spec].cpu_millicores, specs[spec].memory_mb);
	int16_t price[WORKERS];
	uint64_t full[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		const bool is_its = cluster[i].spec == (uint32_t)spec;

		price[i] = is_its && weir_schedule_fits(&capacity, cluster[i].used, weir_schedule_takes(&capacity, ask))
				   ? 0
				   : WEIR_SCHEDULE_PRICE_FULL;
		full[i] = weir_schedule_fullness(&capacity, cluster[i].used);
	}
	return weir_schedule_choose_fullest(price, full, WORKERS, turn);
}

/* The same as Pixels-Spike's wherever the smallest spec that holds the request has an instance with room;
 * no call is given more than there is; and one that is turned away really had no place. */
static void placement_is_that_of_pixels_spike_within_the_matching_spec(void **state)
{
	struct weir_id_source source = random_source();

	(void)state;
	for (int round = 0; round < ROUNDS / CALLS; round++) {
		struct weir_snapshot_spec specs[SPECS];
		struct instance cluster[WORKERS];
		struct weir_schedule_turn turn = {0};

		for (uint32_t i = 0; i < SPECS; i++)
			specs[i] = (struct weir_snapshot_spec){.cpu_millicores = 100 * (i / 2 + 1),
							       .memory_mb = 64 * (i + 1)};
		for (int i = 0; i < WORKERS; i++)
			cluster[i] = (struct instance){.spec = below(&source, SPECS)};
		for (int call = 0; call < CALLS; call++) {
			const struct weir_schedule_resources ask = of(below(&source, 300) + 1, below(&source, 320));
			const int own = own_pick(specs, cluster, &ask, &turn);
			const int spike = spike_pick(specs, cluster, &ask);
			const uint32_t spec = (uint32_t)weir_schedule_match(specs, SPECS, &ask);
			const struct weir_schedule_resources capacity =
				of(specs[spec].cpu_millicores, specs[spec].memory_mb);

			if (own < 0) {
				assert_true(spike < 0 || cluster[spike].spec > spec);
				continue;
			}
			assert_true(spike >= 0);
			assert_int_equal(cluster[own].spec, spec);
			assert_int_equal(cluster[spike].spec, spec);
			assert_int_equal(cluster[own].used >> 32, cluster[spike].used >> 32);
			cluster[own].used += weir_schedule_takes(&capacity, &ask);
			assert_in_range(cluster[own].used >> 32, 0, capacity.cpu_millicores);
			assert_in_range(cluster[own].used & UINT32_MAX, 0, capacity.memory_mb);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_spec_that_holds_a_request_is_its_match),
		cmocka_unit_test(both_axes_must_have_room_and_what_is_not_asked_for_is_not_counted),
		cmocka_unit_test(fuller_is_who_has_less_cpu_time_left_then_less_memory),
		cmocka_unit_test(of_equally_full_workers_the_cheapest_and_of_those_each_in_turn),
		cmocka_unit_test(placement_is_that_of_pixels_spike_within_the_matching_spec),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
