#include "dataplane/supervisor/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct weir_options options;
static struct weir_numa numa;
static uint16_t allowed[WEIR_CPU_MAX];
static size_t allowed_count;
static uint16_t cpus[WEIR_SHARDS_MAX];
static char problem[WEIR_OPTIONS_PROBLEM_BYTES];

/* A machine with as many nodes as numbers, which say how many CPUs each has; all may be used. */
static void machine(const uint16_t *cpus_of_node, uint32_t node_count)
{
	memset(&options, 0, sizeof(options));
	numa = (struct weir_numa){.node_count = node_count};
	allowed_count = 0;
	for (uint32_t node = 0; node < node_count; node++) {
		for (uint16_t i = 0; i < cpus_of_node[node]; i++) {
			numa.node_of_cpu[allowed_count] = (uint8_t)node;
			allowed[allowed_count] = (uint16_t)allowed_count;
			allowed_count++;
		}
	}
}

#define MACHINE(...) machine((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static int shards(void)
{
	problem[0] = '\0';
	return weir_place_shards(&options, &numa, allowed, allowed_count, cpus, problem);
}

static uint32_t on_node(int count, uint32_t node)
{
	uint32_t found = 0;

	for (int i = 0; i < count; i++)
		found += numa.node_of_cpu[cpus[i]] == node;
	return found;
}

static bool has_two_on_a_cpu(int count)
{
	for (int i = 0; i < count; i++) {
		for (int k = i + 1; k < count; k++) {
			if (cpus[i] == cpus[k])
				return true;
		}
	}
	return false;
}

static void one_node_gives_one_shard_per_cpu_with_a_ceiling(void **state)
{
	(void)state;
	MACHINE(2);
	assert_int_equal(shards(), 2);
	assert_int_equal(cpus[1], 1);
	MACHINE(20);
	assert_int_equal(shards(), WEIR_OPTIONS_SHARDS_DEFAULT_MAX);
	assert_int_equal(cpus[7], 7);
	options.shard_count = 3;
	assert_int_equal(shards(), 3);
	MACHINE(0);
	assert_int_equal(shards(), -EINVAL);
	assert_non_null(strstr(problem, "no CPU at all"));
}

static void nodes_take_turns_and_no_cpu_has_two(void **state)
{
	static const uint32_t nodes[] = {1, 2, 4, 8};

	(void)state;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		const uint16_t each[8] = {4, 4, 4, 4, 4, 4, 4, 4};
		const uint32_t wanted = 4 * nodes[i] < 8 ? 4 * nodes[i] : 8;

		machine(each, nodes[i]);
		assert_int_equal(shards(), (int)wanted);
		for (uint32_t node = 0; node < nodes[i]; node++)
			assert_int_equal(on_node((int)wanted, node), wanted / nodes[i]);
		assert_false(has_two_on_a_cpu((int)wanted));
		for (uint32_t k = 1; k < wanted; k++)
			assert_true(cpus[k] > cpus[k - 1]); /* in the order of their nodes */
	}
}

static void uneven_nodes_and_those_without_cpus_give_what_they_have(void **state)
{
	(void)state;
	MACHINE(6, 0, 1, 3); /* the second has memory only */
	assert_int_equal(shards(), 8);
	assert_int_equal(on_node(8, 0), 4);
	assert_int_equal(on_node(8, 1), 0);
	assert_int_equal(on_node(8, 2), 1);
	assert_int_equal(on_node(8, 3), 3);
	assert_false(has_two_on_a_cpu(8));
}

static void chosen_cpus_stand_as_they_are_and_must_be_allowed(void **state)
{
	(void)state;
	MACHINE(4, 4);
	options.cpu[0] = 7;
	options.cpu[1] = 2;
	options.cpu_count = 2;
	assert_int_equal(shards(), 2);
	assert_int_equal(cpus[0], 7);
	assert_int_equal(cpus[1], 2);
	options.shard_count = 3;
	assert_int_equal(shards(), 3);
	assert_int_equal(cpus[2], 7);
	options.cpu[1] = 8;
	assert_int_equal(shards(), -EINVAL);
	assert_non_null(strstr(problem, "CPU 8"));
}

/* Give a pool `count` workers one after the other; how many each shard gets is in `mine`. */
static void grow(struct weir_place_shard *places, uint32_t shard_count, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t home = weir_place_home(places, shard_count, WEIR_PLACE_NOBODY);

		places[home].mine++;
		places[home].all++;
	}
}

static void workers_of_a_pool_are_even_over_nodes_first(void **state)
{
	/* Three shards on node 0, one on node 1. */
	struct weir_place_shard places[] = {{.node = 0}, {.node = 0}, {.node = 0}, {.node = 1}};

	(void)state;
	assert_int_equal(weir_place_nodes(places, 4), 2);
	grow(places, 4, 6);
	assert_int_equal(places[0].mine, 1);
	assert_int_equal(places[1].mine, 1);
	assert_int_equal(places[2].mine, 1);
	assert_int_equal(places[3].mine, 3);
}

static void every_node_of_1_2_4_or_8_gets_its_share(void **state)
{
	(void)state;
	for (uint32_t nodes = 1; nodes <= 8; nodes *= 2) {
		struct weir_place_shard places[8] = {{0}};

		for (uint32_t i = 0; i < 8; i++)
			places[i].node = (uint8_t)(i * nodes / 8);
		assert_int_equal(weir_place_nodes(places, 8), nodes);
		grow(places, 8, 24);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(places[i].mine, 3);
	}
}

static void among_equals_who_asked_and_then_the_emptier_wins(void **state)
{
	struct weir_place_shard places[] = {{.node = 0}, {.node = 0, .all = 5}, {.node = 1, .all = 2}, {.node = 1, .all = 1}};

	(void)state;
	assert_int_equal(weir_place_home(places, 4, 2), 2);
	assert_int_equal(weir_place_home(places, 4, 1), 1);
	assert_int_equal(weir_place_home(places, 4, WEIR_PLACE_NOBODY), 3); /* node 1 has fewer, shard 3 of these */
	places[3].mine = 1; /* node 1 has one of this pool already, whoever asks */
	assert_int_equal(weir_place_home(places, 4, 2), 0);
	places[0].mine = 1;
	places[2].mine = 1;
	assert_int_equal(weir_place_home(places, 4, 0), 1);
}

/* The places that the CPU's connections go to hold exactly the shards of `node`. */
static void assert_goes_to(const struct weir_steer_plan *plan, const struct weir_place_shard *places, uint32_t cpu,
			   uint32_t node)
{
	uint32_t shards_of_node = 0;

	for (uint32_t i = 0; i < plan->socket_count; i++)
		shards_of_node += places[i].node == node;
	assert_true(shards_of_node > 0);
	assert_int_equal(plan->of_cpu[cpu].count, shards_of_node);
	for (uint32_t i = 0; i < shards_of_node; i++)
		assert_int_equal(places[plan->socket[plan->of_cpu[cpu].first + i]].node, node);
}

static void connections_go_to_the_node_that_received_them_or_the_nearest_with_shards(void **state)
{
	static struct weir_steer_plan plan;
	/* Shards 0 and 2 on node 2, shard 1 on node 0; none on node 1 and on node 3, which has no CPUs. */
	const struct weir_place_shard places[] = {{.node = 2}, {.node = 0}, {.node = 2}};

	(void)state;
	MACHINE(2, 2, 2, 0);
	for (uint32_t i = 0; i < 4; i++) {
		for (uint32_t k = 0; k < 4; k++)
			numa.node[i].distance[k] = i == k ? 10 : 20;
	}
	numa.node[1].distance[2] = 15;
	weir_place_steer(&numa, places, 3, &plan);
	assert_int_equal(plan.socket_count, 3);
	for (uint32_t cpu = 0; cpu < 2; cpu++) {
		assert_goes_to(&plan, places, cpu, 0);
		assert_goes_to(&plan, places, 2 + cpu, 2);
		assert_goes_to(&plan, places, 4 + cpu, 2);
	}
	assert_goes_to(&plan, places, 1000, 0); /* a CPU that nobody told of */
}

static void distance_is_told_as_a_share_of_the_farthest(void **state)
{
	(void)state;
	MACHINE(1, 1, 1);
	numa.node[0].distance[0] = numa.node[1].distance[1] = numa.node[2].distance[2] = 10;
	numa.node[0].distance[1] = numa.node[1].distance[0] = 20;
	numa.node[0].distance[2] = numa.node[2].distance[0] = 30;
	numa.node[1].distance[2] = 10; /* which cannot be: another node all the same */
	assert_int_equal(weir_place_remote(&numa, 1, 1), 0);
	assert_int_equal(weir_place_remote(&numa, 0, 1), 127);
	assert_int_equal(weir_place_remote(&numa, 0, 2), 255);
	assert_int_equal(weir_place_remote(&numa, 1, 2), 1);
	memset(numa.node, 0, sizeof(numa.node)); /* nothing is known */
	assert_int_equal(weir_place_remote(&numa, 0, 2), 255);
}

static void the_last_worker_of_a_node_stays_while_another_has_several(void **state)
{
	struct weir_place_shard places[] = {{.node = 0, .mine = 1}, {.node = 0, .mine = 1}, {.node = 1, .mine = 1}};

	(void)state;
	assert_true(weir_place_is_spare(places, 3, 0));
	assert_false(weir_place_is_spare(places, 3, 2));
	places[1].mine = 0; /* one on each */
	assert_true(weir_place_is_spare(places, 3, 0));
	assert_true(weir_place_is_spare(places, 3, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_node_gives_one_shard_per_cpu_with_a_ceiling),
		cmocka_unit_test(nodes_take_turns_and_no_cpu_has_two),
		cmocka_unit_test(uneven_nodes_and_those_without_cpus_give_what_they_have),
		cmocka_unit_test(chosen_cpus_stand_as_they_are_and_must_be_allowed),
		cmocka_unit_test(workers_of_a_pool_are_even_over_nodes_first),
		cmocka_unit_test(every_node_of_1_2_4_or_8_gets_its_share),
		cmocka_unit_test(connections_go_to_the_node_that_received_them_or_the_nearest_with_shards),
		cmocka_unit_test(distance_is_told_as_a_share_of_the_farthest),
		cmocka_unit_test(the_last_worker_of_a_node_stays_while_another_has_several),
		cmocka_unit_test(among_equals_who_asked_and_then_the_emptier_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
