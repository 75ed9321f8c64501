#include "dataplane/supervisor/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/log.h"
#include "dataplane/base/numa_memory.h"
#include "dataplane/supervisor/quota.h"

/* Nodes of this machine, as far as they concern us; and whether memory can be put on them. */
static void nodes_read(struct weir_supervisor *supervisor)
{
	struct weir_nodes *const nodes = &supervisor->nodes;
	int result = 0;

	if (!supervisor->options.numa) {
		weir_numa_single(&nodes->numa);
		return;
	}
	result = weir_numa_read(WEIR_NUMA_ROOT, &nodes->numa);
	if (result == -EBADMSG)
		weir_log(WEIR_LOG_WARN, "cannot read the NUMA nodes", "directory=%s action=\"go on as with one\"",
			 WEIR_NUMA_ROOT);
	if (nodes->numa.node_count == 1)
		return;
	nodes->memory_error = weir_numa_memory_check();
	if (nodes->memory_error == 0)
		weir_numa_memory_allow(&nodes->numa);
}

/* Where nobody chose, there are no more shards than the CPU time that control groups leave us is good for. */
static void shards_bound(const struct weir_nodes *nodes, uint32_t quota, struct weir_options *options)
{
	if (options->shard_count == 0 && options->cpu_count == 0 && quota != 0 &&
	    quota < WEIR_OPTIONS_SHARDS_DEFAULT_MAX && quota < nodes->allowed_count)
		options->shard_count = quota;
}

int weir_nodes_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_nodes *const nodes = &supervisor->nodes;
	const int count = weir_cpu_list(nodes->allowed, WEIR_CPU_MAX);

	if (count < 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "cannot list the CPUs: %s", strerror(-count));
		return count;
	}
	nodes->allowed_count = (size_t)count;
	weir_quota_own(&supervisor->quota);
	nodes_read(supervisor);
	return 0;
}

int weir_nodes_place(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_nodes *const nodes = &supervisor->nodes;
	int shards = 0;

	if (supervisor->shard_count != 0)
		return 0;
	shards_bound(nodes, supervisor->quota.cpus, &supervisor->options);
	shards = weir_place_shards(&supervisor->options, &nodes->numa, nodes->allowed, nodes->allowed_count,
				   supervisor->cpu, problem);
	if (shards < 0)
		return shards;
	supervisor->shard_count = (uint32_t)shards;
	weir_nodes_settle(supervisor);
	return 0;
}

void weir_nodes_settle(struct weir_supervisor *supervisor)
{
	struct weir_nodes *const nodes = &supervisor->nodes;

	for (uint32_t i = 0; i < supervisor->shard_count; i++)
		nodes->of_shard[i] = nodes->numa.node_of_cpu[supervisor->cpu[i] % WEIR_CPU_MAX];
}

bool weir_nodes_are_several(const struct weir_supervisor *supervisor)
{
	return supervisor->nodes.numa.node_count > 1;
}

/* `pool_key` 0 is no pool's. */
static void shards_count(const struct weir_supervisor *supervisor, uint64_t pool_key,
			 struct weir_place_shard shards[WEIR_SHARDS_MAX])
{
	for (uint32_t i = 0; i < supervisor->shard_count; i++)
		shards[i] = (struct weir_place_shard){.node = supervisor->nodes.of_shard[i]};
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid == 0 || worker->process.state == WEIR_PROCESS_DRAINING)
			continue;
		shards[worker->home].all++;
		shards[worker->home].mine += worker->pool_key == pool_key;
	}
}

void weir_nodes_shards(const struct weir_supervisor *supervisor, struct weir_place_shard shards[WEIR_SHARDS_MAX])
{
	shards_count(supervisor, 0, shards);
}

bool weir_nodes_is_spare(const struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	struct weir_place_shard shards[WEIR_SHARDS_MAX];

	if (!weir_nodes_are_several(supervisor))
		return true;
	shards_count(supervisor, worker->pool_key, shards);
	return weir_place_is_spare(shards, supervisor->shard_count, worker->home);
}

uint32_t weir_nodes_home(const struct weir_supervisor *supervisor, const struct weir_pool *pool)
{
	struct weir_place_shard shards[WEIR_SHARDS_MAX];

	shards_count(supervisor, pool->key, shards);
	return weir_place_home(shards, supervisor->shard_count, pool->asking);
}

uint32_t weir_nodes_workers_min(const struct weir_supervisor *supervisor, uint32_t workers_min,
				uint32_t workers_max)
{
	struct weir_place_shard shards[WEIR_SHARDS_MAX];
	uint32_t nodes = 0;

	if (workers_min == 0)
		return 0;
	weir_nodes_shards(supervisor, shards);
	nodes = weir_place_nodes(shards, supervisor->shard_count);
	if (nodes > workers_max)
		nodes = workers_max;
	return workers_min > nodes ? workers_min : nodes;
}

static bool places_memory(const struct weir_supervisor *supervisor)
{
	return weir_nodes_are_several(supervisor) && supervisor->nodes.memory_error == 0;
}

/* The kernel's number of the node where memory of the shard is to lie. */
static uint16_t memory_number(const struct weir_supervisor *supervisor, uint32_t shard)
{
	return weir_numa_memory_number(&supervisor->nodes.numa, supervisor->nodes.of_shard[shard]);
}

static void trouble(const char *what, int error)
{
	weir_log(WEIR_LOG_WARN, "cannot stay on a NUMA node", "what=%s error=\"%s\"", what, strerror(-error));
}

void weir_nodes_enter(struct weir_supervisor *supervisor, uint32_t home)
{
	const struct weir_nodes *const nodes = &supervisor->nodes;
	uint16_t cpus[WEIR_CPU_MAX];
	size_t count = 0;
	int result = 0;

	if (!weir_nodes_are_several(supervisor))
		return;
	for (size_t i = 0; i < nodes->allowed_count; i++) {
		if (nodes->numa.node_of_cpu[nodes->allowed[i]] == nodes->of_shard[home])
			cpus[count++] = nodes->allowed[i];
	}
	result = weir_cpu_bind_all(cpus, count);
	if (result != 0)
		trouble("CPUs", result);
	result = places_memory(supervisor) ? weir_numa_prefer(memory_number(supervisor, home)) : 0;
	if (result != 0)
		trouble("memory", result);
}

void weir_nodes_leave(struct weir_supervisor *supervisor)
{
	int result = 0;

	if (!weir_nodes_are_several(supervisor))
		return;
	result = weir_cpu_bind_all(supervisor->nodes.allowed, supervisor->nodes.allowed_count);
	if (result == 0 && places_memory(supervisor))
		result = weir_numa_prefer_own();
	if (result != 0)
		trouble("leaving", result);
}

bool weir_nodes_homes(const struct weir_supervisor *supervisor, uint32_t home, struct weir_segment_homes *out_homes)
{
	if (!places_memory(supervisor))
		return false;
	out_homes->header = memory_number(supervisor, home);
	for (uint32_t i = 0; i < supervisor->shard_count; i++)
		out_homes->pair[i] = memory_number(supervisor, i);
	return true;
}

void weir_nodes_tell(const struct weir_supervisor *supervisor, struct weir_control *control)
{
	for (uint32_t i = 0; i < supervisor->shard_count; i++)
		control->gateway_start.memory_node[i] =
			places_memory(supervisor) ? memory_number(supervisor, i) : WEIR_CONTROL_NODE_ANY;
}

void weir_nodes_remote(const struct weir_supervisor *supervisor, uint32_t home, uint8_t out_remote[WEIR_SHARDS_MAX])
{
	const struct weir_nodes *const nodes = &supervisor->nodes;

	for (uint32_t i = 0; i < supervisor->shard_count; i++)
		out_remote[i] = weir_place_remote(&nodes->numa, nodes->of_shard[home], nodes->of_shard[i]);
}

void weir_nodes_lack(const struct weir_supervisor *supervisor, char *line, size_t bytes)
{
	line[0] = '\0';
	if (weir_nodes_are_several(supervisor) && supervisor->nodes.memory_error != 0)
		(void)snprintf(line, bytes, "memory on the node of who uses it: mbind and set_mempolicy are refused (%s)",
			       strerror(-supervisor->nodes.memory_error));
}

static_assert((int)WEIR_BOARD_NODES_MAX == (int)WEIR_NUMA_NODES_MAX, "each node has a row");
static_assert((int)WEIR_BOARD_NODE_CPUS_BYTES_MAX == (int)WEIR_NUMA_CPUS_BYTES_MAX, "its CPUs fit");

void weir_nodes_show(const struct weir_supervisor *supervisor, struct weir_board *board)
{
	const struct weir_nodes *const nodes = &supervisor->nodes;

	board->node_count = nodes->numa.node_count;
	for (uint32_t i = 0; i < nodes->numa.node_count; i++) {
		const struct weir_numa_node *const node = &nodes->numa.node[i];
		struct weir_board_node *const row = &board->node[i];

		row->number = node->number;
		row->cpu_count = node->cpu_count;
		row->memory_bytes = node->memory_bytes;
		memcpy(row->cpus, node->cpus, sizeof(row->cpus));
		memcpy(row->distance, node->distance, sizeof(row->distance));
	}
	for (uint32_t i = 0; i < supervisor->shard_count; i++) {
		board->shard_cpu[i] = supervisor->cpu[i];
		board->shard_node[i] = nodes->of_shard[i];
	}
}
