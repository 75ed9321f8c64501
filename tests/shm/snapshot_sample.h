/* snapshot_sample: a small sound snapshot for tests that damage one, and for the fuzzer's start.
 *
 *   functions 3 (one without its runtime), specs 3 (two of the first), pools 2, nodes 4, edges 2 in 4 cells, hosts 2,
 *   targets 3, params 1, keys 2. Paths: / -> 'img' -> {id}, and 'hello'.
 *
 * Nothing is allocated: the caller's struct is the snapshot. */
#ifndef WEIR_TESTS_SHM_SNAPSHOT_SAMPLE_H
#define WEIR_TESTS_SHM_SNAPSHOT_SAMPLE_H

#include <string.h>

#include "dataplane/shm/snapshot.h"

enum { SAMPLE_EDGES = 4 };

struct snapshot_sample {
	struct weir_snapshot_header header;
	struct weir_snapshot_function functions[3];
	struct weir_snapshot_spec specs[3];
	struct weir_snapshot_pool pools[2];
	struct weir_snapshot_node nodes[4];
	struct weir_snapshot_edge edges[SAMPLE_EDGES];
	struct weir_snapshot_host hosts[2];
	struct weir_snapshot_target targets[3];
	struct weir_snapshot_string params[1];
	struct weir_snapshot_key keys[2];
	uint64_t strings_used; /* not part of it for readers: a gap between tables */
	char strings[128];
};

/* Append `text` with its NUL; the empty string is always at 0. */
static inline struct weir_snapshot_string sample_string(struct snapshot_sample *sample, const char *text)
{
	const struct weir_snapshot_string string = {.offset = (uint32_t)sample->strings_used,
						    .bytes = (uint32_t)strlen(text)};

	memcpy(sample->strings + string.offset, text, string.bytes + 1);
	sample->strings_used += string.bytes + 1;
	return string;
}

static inline void sample_edge(struct snapshot_sample *sample, uint32_t parent, uint32_t child,
			       struct weir_snapshot_string segment)
{
	const struct weir_span span = {.data = sample->strings + segment.offset, .bytes = segment.bytes};
	const uint64_t hash = weir_snapshot_edge_hash(sample->header.hash_seed, parent, span);
	uint32_t place = (uint32_t)hash % SAMPLE_EDGES;

	while (sample->edges[place].child != WEIR_SNAPSHOT_NONE)
		place = (place + 1) % SAMPLE_EDGES;
	sample->edges[place] = (struct weir_snapshot_edge){
		.parent = parent, .child = child, .hash = (uint32_t)hash, .segment = segment};
	sample->nodes[parent].literal_count++;
}

static inline void sample_checksum(struct snapshot_sample *sample)
{
	sample->header.checksum = weir_snapshot_checksum(sample, sizeof(*sample));
}

#define SAMPLE_TABLE(sample, name)                                                             \
	((struct weir_snapshot_table){.offset = offsetof(struct snapshot_sample, name),        \
				      .count = sizeof((sample)->name) / sizeof((sample)->name[0]), \
				      .stride = sizeof((sample)->name[0])})

static inline void sample_rows(struct snapshot_sample *sample)
{
	const struct weir_snapshot_string empty = sample_string(sample, "");
	const struct weir_snapshot_string space = sample_string(sample, "default");
	const struct weir_snapshot_string hello = sample_string(sample, "hello");

	for (uint32_t i = 0; i < 3; i++)
		sample->functions[i] = (struct weir_snapshot_function){
			.id = 10 * (i + 1), .version = 1, .pool = i, .runtime = i + 1,
			.space = space, .name = hello, .code_path = hello, .handler = empty,
			.interpreter = empty, .reason = empty};
	sample->functions[2].runtime = WEIR_RUNTIME_MISSING;
	sample->functions[2].pool = WEIR_SNAPSHOT_NONE;
	sample->functions[0].spec_count = 2;
	sample->functions[1].spec_first = 2;
	sample->functions[1].spec_count = 1;
	for (uint32_t i = 0; i < 3; i++)
		sample->specs[i] = (struct weir_snapshot_spec){
			.memory_mb = i + 1, .workers_min = 1, .workers_max = 2, .pool = i / 2};
	for (uint32_t i = 0; i < 2; i++)
		sample->pools[i] = (struct weir_snapshot_pool){
			.key = i, .runtime = i + 1, .workers_min = 1, .workers_max = 2, .space = space,
			.memory_bytes = UINT64_C(4) << 20, .function = empty, .weights = WEIR_WEIGHTS_DEFAULT,
			.scale = WEIR_AUTOSCALE_RULE_DEFAULT};
	for (uint32_t i = 0; i < 4; i++)
		sample->nodes[i].param_child = WEIR_SNAPSHOT_NONE;
	for (uint32_t i = 0; i < SAMPLE_EDGES; i++)
		sample->edges[i].child = WEIR_SNAPSHOT_NONE;
	sample_edge(sample, 0, 1, hello);
	sample_edge(sample, 0, 2, sample_string(sample, "img"));
	sample->nodes[2].param_child = 3;
	sample->nodes[1].routes_count = 1;
	sample->nodes[3].routes_first = 1;
	sample->nodes[3].routes_count = 1;
	sample->nodes[0].wildcard_first = 2;
	sample->nodes[0].wildcard_count = 1;
	for (uint32_t i = 0; i < 3; i++)
		sample->targets[i] = (struct weir_snapshot_target){
			.route_id = i, .function = i, .method = WEIR_SNAPSHOT_METHOD_ANY, .pattern = hello};
	sample->targets[1].param_count = 1;
	sample->params[0] = sample_string(sample, "id");
	sample->hosts[0] = (struct weir_snapshot_host){.name = sample_string(sample, "a.example"), .root = 0};
	sample->hosts[1] =
		(struct weir_snapshot_host){.name = sample_string(sample, "a.example.org"), .root = 1};
	sample->keys[0] = (struct weir_snapshot_key){.id = {1}, .role = 1, .space = hello};
	sample->keys[1] = (struct weir_snapshot_key){.id = {1, 1}, .role = 3, .space = hello};
}

static inline void sample_build(struct snapshot_sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->header = (struct weir_snapshot_header){
		.magic = WEIR_SNAPSHOT_MAGIC,
		.abi_major = WEIR_SNAPSHOT_ABI_MAJOR,
		.header_bytes = sizeof(sample->header),
		.bytes = sizeof(*sample),
		.generation = 1,
		.hash_seed = 42,
		.functions = SAMPLE_TABLE(sample, functions),
		.specs = SAMPLE_TABLE(sample, specs),
		.pools = SAMPLE_TABLE(sample, pools),
		.nodes = SAMPLE_TABLE(sample, nodes),
		.edges = SAMPLE_TABLE(sample, edges),
		.hosts = SAMPLE_TABLE(sample, hosts),
		.targets = SAMPLE_TABLE(sample, targets),
		.params = SAMPLE_TABLE(sample, params),
		.keys = SAMPLE_TABLE(sample, keys),
		.strings = SAMPLE_TABLE(sample, strings),
	};
	sample_rows(sample);
	sample_checksum(sample);
}

#endif
