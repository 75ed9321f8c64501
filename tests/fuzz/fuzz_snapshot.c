/* The first byte says how the rest is read. Even: as a snapshot. Odd: as damages of a small sound one,
 * four bytes each (a place, then a value), with the checksum put right afterwards, so that the checks
 * behind it are reached. What the check lets through is then read whole, as the data path would. */
#include "dataplane/route/route.h"
#include "dataplane/shm/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shm/snapshot_sample.h"

enum { INPUT_BYTES_MAX = 1 << 16, METHODS = 7 };

uint8_t fuzz_snapshot_sink; /* not static, so that the reads are not optimised away */

static void read_string(const struct weir_snapshot *snapshot, struct weir_snapshot_string string)
{
	const struct weir_span span = weir_snapshot_span(snapshot, string);

	for (size_t i = 0; i < span.bytes; i++)
		fuzz_snapshot_sink = (uint8_t)(fuzz_snapshot_sink ^ (uint8_t)span.data[i]);
	FUZZ_CHECK(span.data[span.bytes] == '\0');
}

static void read_functions(const struct weir_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->function_count; i++) {
		const struct weir_snapshot_function *const function = &snapshot->functions[i];

		FUZZ_CHECK(weir_snapshot_function_find(snapshot, function->id) == function);
		FUZZ_CHECK(function->runtime == WEIR_RUNTIME_MISSING ||
			   snapshot->pools[function->pool].runtime == function->runtime);
		for (uint32_t j = 0; j < function->spec_count; j++) {
			const uint32_t pool = snapshot->specs[function->spec_first + j].pool;

			FUZZ_CHECK(snapshot->pools[pool].runtime == function->runtime);
			FUZZ_CHECK(weir_snapshot_spec_find(snapshot, function, snapshot->pools[pool].key) != NULL);
		}
		read_string(snapshot, function->space);
		read_string(snapshot, function->name);
		read_string(snapshot, function->code_path);
		read_string(snapshot, function->handler);
		read_string(snapshot, function->interpreter);
		read_string(snapshot, function->reason);
	}
	for (uint32_t i = 0; i < snapshot->pool_count; i++)
		read_string(snapshot, snapshot->pools[i].space);
}

static void read_targets(const struct weir_snapshot *snapshot, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		const struct weir_snapshot_target *const target = &snapshot->targets[i];

		fuzz_snapshot_sink = (uint8_t)(fuzz_snapshot_sink ^ (uint8_t)snapshot->functions[target->function].id);
		read_string(snapshot, target->pattern);
		for (uint32_t j = 0; j < target->param_count; j++)
			read_string(snapshot, snapshot->params[target->params_first + j]);
	}
}

/* Follow the probe sequence of an edge: it must be met before an empty cell. */
static void find_edge(const struct weir_snapshot *snapshot, const struct weir_snapshot_edge *edge)
{
	uint64_t place = weir_snapshot_edge_hash(snapshot->header->hash_seed, edge->parent,
						 weir_snapshot_span(snapshot, edge->segment));

	for (; &snapshot->edges[place & snapshot->edge_mask] != edge; place++)
		FUZZ_CHECK(snapshot->edges[place & snapshot->edge_mask].child != WEIR_SNAPSHOT_NONE);
}

static void read_tree(const struct weir_snapshot *snapshot)
{
	const struct weir_snapshot_header *const header = snapshot->header;
	uint32_t empty = 0;

	for (uint32_t i = 0; i < header->nodes.count; i++) {
		const struct weir_snapshot_node *const node = &snapshot->nodes[i];

		if (node->param_child != WEIR_SNAPSHOT_NONE)
			fuzz_snapshot_sink = (uint8_t)(fuzz_snapshot_sink ^ snapshot->nodes[node->param_child].literal_count);
		/* Overlapping ranges are sound, but reading all of many would only take time. */
		read_targets(snapshot, node->routes_first, node->routes_count < 64 ? node->routes_count : 64);
		read_targets(snapshot, node->wildcard_first,
			     node->wildcard_count < 64 ? node->wildcard_count : 64);
	}
	for (uint32_t i = 0; i <= snapshot->edge_mask; i++) {
		if (snapshot->edges[i].child == WEIR_SNAPSHOT_NONE) {
			empty++;
			continue;
		}
		fuzz_snapshot_sink = (uint8_t)(fuzz_snapshot_sink ^ snapshot->nodes[snapshot->edges[i].child].literal_count);
		find_edge(snapshot, &snapshot->edges[i]);
	}
	FUZZ_CHECK(empty > snapshot->edge_mask / 2);
	for (uint32_t i = 0; i < header->hosts.count; i++) {
		read_string(snapshot, snapshot->hosts[i].name);
		fuzz_snapshot_sink = (uint8_t)(fuzz_snapshot_sink ^ snapshot->nodes[snapshot->hosts[i].root].literal_count);
	}
}

static void match_routes(const struct weir_snapshot *snapshot)
{
	static const char *const paths[] = {
		"/", "/hello", "/img/7", "/img/7/8", "/x/hello/img/hello/img",
		"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33/34",
	};
	static const char *const hosts[] = {"", "a.example", "a.example.org:80", "b"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct weir_route_match match;
		const struct weir_route_query query = {.path = weir_span_of(paths[i]),
						       .authority = weir_span_of(hosts[i % 4]),
						       .method = (uint8_t)(i % METHODS),
						       .local = i % 2 == 0};

		if (weir_route_match(snapshot, &query, &match) != WEIR_ROUTE_MATCH)
			continue;
		FUZZ_CHECK(match.param_count <= WEIR_HEAD_PARAMS_MAX);
		for (uint16_t j = 0; j < match.param_count; j++)
			FUZZ_CHECK(match.param[j].data >= paths[i] &&
				   match.param[j].data + match.param[j].bytes <=
					   paths[i] + strlen(paths[i]));
	}
}

/* Place and value, 16 bits each; a value stands for itself or for the same number from the top. */
static void sample_damage(struct snapshot_sample *sample, const uint8_t *data, size_t bytes)
{
	uint8_t *const image = (uint8_t *)sample;

	for (size_t i = 0; i + 4 <= bytes; i += 4) {
		const size_t place = (size_t)(data[i] | data[i + 1] << 8) % (sizeof(*sample) / 4) * 4;
		const int16_t value = (int16_t)(data[i + 2] | data[i + 3] << 8);
		const int32_t word = value;

		memcpy(image + place, &word, sizeof(word));
	}
	if (sample->header.bytes > sizeof(*sample) || sample->header.bytes < sizeof(sample->header))
		sample->header.bytes = sizeof(*sample);
	sample->header.checksum = weir_snapshot_checksum(sample, sample->header.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct weir_snapshot snapshot;
	struct snapshot_sample sample;
	char *image = NULL;
	size_t image_bytes = 0;

	if (bytes == 0 || bytes > INPUT_BYTES_MAX)
		return 0;
	if (data[0] % 2 == 0) {
		image_bytes = bytes - 1;
		image = fuzz_copy(data + 1, image_bytes);
	} else {
		sample_build(&sample);
		sample_damage(&sample, data + 1, bytes - 1);
		image_bytes = sizeof(sample);
		image = fuzz_copy(&sample, image_bytes);
	}
	if (weir_snapshot_check(image, image_bytes, &snapshot) == 0) {
		read_functions(&snapshot);
		read_tree(&snapshot);
		match_routes(&snapshot);
		(void)weir_snapshot_function_find(&snapshot, bytes);
	} else {
		FUZZ_CHECK(data[0] % 2 == 0 || bytes > 4); /* the undamaged sample is sound */
	}
	free(image);
	return 0;
}
