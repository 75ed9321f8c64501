#include "dataplane/supervisor/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"

static bool is_allowed(uint16_t number, const uint16_t *allowed, size_t allowed_count)
{
	for (size_t i = 0; i < allowed_count; i++) {
		if (allowed[i] == number)
			return true;
	}
	return false;
}

/* `max` of the allowed CPUs: the first of each node, then the second of each, and so on; then in the
 * order of their nodes. Returns how many. */
static size_t spread(const struct weir_numa *numa, const uint16_t *allowed, size_t allowed_count, size_t max,
		     uint16_t *out_cpus)
{
	size_t wanted[WEIR_NUMA_NODES_MAX] = {0};
	size_t has[WEIR_NUMA_NODES_MAX] = {0};
	size_t count = 0;

	for (size_t i = 0; i < allowed_count; i++)
		has[numa->node_of_cpu[allowed[i]]]++;
	if (max > allowed_count)
		max = allowed_count;
	for (uint32_t node = 0; count < max; node = (node + 1) % numa->node_count) {
		if (wanted[node] == has[node])
			continue;
		wanted[node]++;
		count++;
	}
	count = 0;
	for (uint32_t node = 0; node < numa->node_count; node++) {
		for (size_t i = 0; i < allowed_count && wanted[node] > 0; i++) {
			if (numa->node_of_cpu[allowed[i]] != node)
				continue;
			out_cpus[count++] = allowed[i];
			wanted[node]--;
		}
	}
	return count;
}

static size_t shards_wanted(const struct weir_options *options, size_t cpu_count)
{
	if (options->shard_count != 0)
		return options->shard_count;
	if (options->cpu_count == 0 && cpu_count > WEIR_OPTIONS_SHARDS_DEFAULT_MAX)
		return WEIR_OPTIONS_SHARDS_DEFAULT_MAX;
	return cpu_count;
}

int weir_place_shards(const struct weir_options *options, const struct weir_numa *numa, const uint16_t *allowed,
		      size_t allowed_count, uint16_t out_cpus[WEIR_SHARDS_MAX],
		      char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	uint16_t cpus[WEIR_SHARDS_MAX];
	size_t cpu_count = options->cpu_count;
	size_t shard_count = 0;

	for (size_t i = 0; i < options->cpu_count; i++) {
		if (!is_allowed(options->cpu[i], allowed, allowed_count)) {
			(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
				       "--cpus: CPU %u does not exist or this process may not use it",
				       options->cpu[i]);
			return -EINVAL;
		}
		cpus[i] = options->cpu[i];
	}
	if (cpu_count == 0 && allowed_count == 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "this process may use no CPU at all");
		return -EINVAL;
	}
	shard_count = shards_wanted(options, cpu_count == 0 ? allowed_count : cpu_count);
	WEIR_ASSERT(shard_count <= WEIR_SHARDS_MAX); /* the options were checked */
	if (cpu_count == 0)
		cpu_count = spread(numa, allowed, allowed_count, shard_count, cpus);
	for (size_t i = 0; i < shard_count; i++)
		out_cpus[i] = cpus[i % cpu_count];
	return (int)shard_count;
}

/* Workers on a node: of the pool in the upper half, of all in the lower, so that comparing compares both. */
static uint64_t weight(const struct weir_place_shard *shards, uint32_t count, uint32_t node)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (shards[i].node == node)
			sum += (uint64_t)shards[i].mine << 32 | shards[i].all;
	}
	return sum;
}

/* Is `other` the better place than `best`? Weights as above; who asked wins among equals of the pool. */
static bool is_better(uint64_t other, bool other_asks, uint64_t best, bool best_asks)
{
	if (other >> 32 != best >> 32)
		return other >> 32 < best >> 32;
	if (other_asks != best_asks)
		return other_asks;
	return (uint32_t)other < (uint32_t)best;
}

static uint32_t node_choose(const struct weir_place_shard *shards, uint32_t count, uint32_t asking)
{
	uint32_t best = shards[0].node;

	for (uint32_t i = 1; i < count; i++) {
		const uint32_t node = shards[i].node;

		if (node != best && is_better(weight(shards, count, node), asking < count && shards[asking].node == node,
					      weight(shards, count, best), asking < count && shards[asking].node == best))
			best = node;
	}
	return best;
}

uint32_t weir_place_home(const struct weir_place_shard *shards, uint32_t count, uint32_t asking)
{
	const uint32_t node = node_choose(shards, count, asking);
	uint32_t best = count;

	WEIR_ASSERT(count >= 1 && count <= WEIR_SHARDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct weir_place_shard *const shard = &shards[i];

		if (shard->node != node)
			continue;
		if (best == count || is_better((uint64_t)shard->mine << 32 | shard->all, i == asking,
					       (uint64_t)shards[best].mine << 32 | shards[best].all, best == asking))
			best = i;
	}
	return best;
}

bool weir_place_is_spare(const struct weir_place_shard *shards, uint32_t count, uint32_t home)
{
	uint64_t most = 0;

	if (weight(shards, count, shards[home].node) >> 32 > 1)
		return true;
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t mine = weight(shards, count, shards[i].node) >> 32;

		most = mine > most ? mine : most;
	}
	return most <= 1;
}

uint32_t weir_place_nodes(const struct weir_place_shard *shards, uint32_t count)
{
	uint64_t seen = 0;

	static_assert(WEIR_NUMA_NODES_MAX <= 64, "a bit each");
	for (uint32_t i = 0; i < count; i++)
		seen |= UINT64_C(1) << shards[i].node;
	return (uint32_t)__builtin_popcountll(seen);
}

uint8_t weir_place_remote(const struct weir_numa *numa, uint32_t one, uint32_t other)
{
	uint32_t farthest = 0;
	uint32_t between = 0;

	if (one == other)
		return 0;
	for (uint32_t i = 0; i < numa->node_count; i++) {
		for (uint32_t k = 0; k < numa->node_count; k++)
			farthest = numa->node[i].distance[k] > farthest ? numa->node[i].distance[k] : farthest;
	}
	between = numa->node[one].distance[other];
	if (between <= WEIR_NUMA_DISTANCE_SELF) /* firmware that makes no difference */
		return farthest <= WEIR_NUMA_DISTANCE_SELF ? UINT8_MAX : 1;
	return (uint8_t)(UINT8_MAX * (between - WEIR_NUMA_DISTANCE_SELF) / (farthest - WEIR_NUMA_DISTANCE_SELF));
}

/* The shards of each node stand next to each other. */
static void steer_order(const struct weir_place_shard *shards, uint32_t count, struct weir_steer_plan *plan,
			struct weir_steer_range of_node[WEIR_NUMA_NODES_MAX])
{
	static_assert((int)WEIR_STEER_SOCKETS_MAX == (int)WEIR_SHARDS_MAX, "a place for each shard");
	for (uint32_t node = 0; node < WEIR_NUMA_NODES_MAX; node++) {
		of_node[node] = (struct weir_steer_range){.first = (uint16_t)plan->socket_count};
		for (uint32_t i = 0; i < count; i++) {
			if (shards[i].node != node)
				continue;
			plan->socket[plan->socket_count++] = (uint16_t)i;
			of_node[node].count++;
		}
	}
}

void weir_place_steer(const struct weir_numa *numa, const struct weir_place_shard *shards, uint32_t count,
		      struct weir_steer_plan *out_plan)
{
	struct weir_steer_range of_node[WEIR_NUMA_NODES_MAX];
	struct weir_steer_range nearest[WEIR_NUMA_NODES_MAX];

	WEIR_ASSERT(count >= 1 && count <= WEIR_SHARDS_MAX);
	memset(out_plan, 0, sizeof(*out_plan));
	steer_order(shards, count, out_plan, of_node);
	for (uint32_t node = 0; node < numa->node_count; node++) {
		uint32_t best = node;

		for (uint32_t i = 0; of_node[node].count == 0 && i < numa->node_count; i++) {
			if (of_node[i].count > 0 && (of_node[best].count == 0 ||
						     numa->node[node].distance[i] < numa->node[node].distance[best]))
				best = i;
		}
		nearest[node] = of_node[best];
	}
	static_assert((int)WEIR_STEER_CPUS_MAX == (int)WEIR_CPU_MAX, "a range for each CPU");
	for (uint32_t cpu = 0; cpu < WEIR_CPU_MAX; cpu++)
		out_plan->of_cpu[cpu] = nearest[numa->node_of_cpu[cpu]];
}
