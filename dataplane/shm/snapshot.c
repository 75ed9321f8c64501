#define XXH_INLINE_ALL /* header only: nothing to link, and the edge hash is on the request path */
#include "dataplane/shm/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "dataplane/abi/head.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/role.h"

enum { EDGES_AHEAD = 16 }; /* whose text and nodes are asked for before they are needed */
enum { METHODS_MAX = 16 }; /* the matcher keeps sets of methods in 16 bits */

/* Everything that a check looks at; bounds are already proven when rows are read. */
struct check {
	const struct weir_snapshot_header *header;
	struct weir_snapshot view;
};

uint64_t weir_snapshot_checksum(const void *data, size_t bytes)
{
	struct weir_snapshot_header header;
	XXH3_state_t state;

	WEIR_ASSERT(bytes >= sizeof(header));
	memcpy(&header, data, sizeof(header));
	header.checksum = 0;
	(void)XXH3_64bits_reset(&state); /* these fail only for NULL */
	(void)XXH3_64bits_update(&state, &header, sizeof(header));
	(void)XXH3_64bits_update(&state, (const uint8_t *)data + sizeof(header), bytes - sizeof(header));
	return XXH3_64bits_digest(&state);
}

uint64_t weir_snapshot_edge_hash(uint64_t seed, uint32_t parent, struct weir_span segment)
{
	/* The parent enters through the seed, spread by an odd constant (2^64 / golden ratio). */
	return XXH3_64bits_withSeed(segment.data, segment.bytes,
				    seed ^ (parent * UINT64_C(0x9e3779b97f4a7c15)));
}

static bool string_is_sound(const struct check *check, struct weir_snapshot_string string)
{
	const uint32_t count = check->header->strings.count;

	return string.offset < count && string.bytes < count - string.offset &&
	       check->view.strings[string.offset + string.bytes] == '\0';
}

/* A piece of a longer string: no NUL behind it. */
static bool piece_is_sound(const struct check *check, struct weir_snapshot_string piece)
{
	const uint32_t count = check->header->strings.count;

	return piece.offset < count && piece.bytes < count - piece.offset;
}

/* A label has as many segments as its slashes say. */
static bool label_is_sound(const struct check *check, const struct weir_snapshot_node *node)
{
	const char *at = check->view.strings + node->label.offset;
	uint32_t segments = 1;

	if (node->label_segments == 0)
		return node->label.offset == 0 && node->label.bytes == 0;
	if (node->label_segments > WEIR_SNAPSHOT_SEGMENTS_MAX || !piece_is_sound(check, node->label))
		return false;
	for (uint32_t i = 0; i < node->label.bytes; i++)
		segments += at[i] == '/';
	return segments == node->label_segments;
}

static bool range_is_inside(uint32_t first, uint32_t count, uint32_t total)
{
	return count == 0 || (first < total && count <= total - first);
}

static bool table_is_inside(const struct check *check, const struct weir_snapshot_table *table,
			    size_t stride)
{
	const uint64_t bytes = check->header->bytes;

	return table->stride == stride && table->offset % 8 == 0 &&
	       table->offset >= sizeof(struct weir_snapshot_header) && table->offset <= bytes &&
	       table->count <= (bytes - table->offset) / stride;
}

static bool tables_are_inside(const struct check *check)
{
	const struct weir_snapshot_header *const header = check->header;

	return table_is_inside(check, &header->functions, sizeof(struct weir_snapshot_function)) &&
	       table_is_inside(check, &header->specs, sizeof(struct weir_snapshot_spec)) &&
	       table_is_inside(check, &header->pools, sizeof(struct weir_snapshot_pool)) &&
	       table_is_inside(check, &header->nodes, sizeof(struct weir_snapshot_node)) &&
	       table_is_inside(check, &header->edges, sizeof(struct weir_snapshot_edge)) &&
	       table_is_inside(check, &header->hosts, sizeof(struct weir_snapshot_host)) &&
	       table_is_inside(check, &header->targets, sizeof(struct weir_snapshot_target)) &&
	       table_is_inside(check, &header->params, sizeof(struct weir_snapshot_string)) &&
	       table_is_inside(check, &header->keys, sizeof(struct weir_snapshot_key)) &&
	       table_is_inside(check, &header->strings, 1);
}

/* Its pool's workers have what it says; a pool without a spec of its own has the most that functions want. */
static bool spec_is_sound(const struct check *check, const struct weir_snapshot_spec *spec, uint32_t runtime)
{
	const struct weir_snapshot_pool *pool = NULL;
	const uint64_t memory_bytes = (uint64_t)spec->memory_mb << 20;

	if (spec->pool >= check->header->pools.count || spec->workers_min > spec->workers_max ||
	    spec->reserved != 0)
		return false;
	pool = &check->view.pools[spec->pool];
	return pool->runtime == runtime && pool->cpu_millicores == spec->cpu_millicores &&
	       ((pool->flags & WEIR_SNAPSHOT_POOL_SPEC) != 0 ? pool->memory_bytes == memory_bytes
							      : pool->memory_bytes >= memory_bytes);
}

/* A spec without a limit of CPU time is larger than any with one. */
static bool spec_is_below(const struct weir_snapshot_spec *a, const struct weir_snapshot_spec *b)
{
	const uint32_t a_cpu = a->cpu_millicores - 1; /* 0 becomes the largest */
	const uint32_t b_cpu = b->cpu_millicores - 1;

	return a_cpu != b_cpu ? a_cpu < b_cpu : a->memory_mb < b->memory_mb;
}

static bool function_specs_are_sound(const struct check *check, const struct weir_snapshot_function *function)
{
	const struct weir_snapshot_spec *const specs = check->view.specs + function->spec_first;

	if (function->runtime == WEIR_RUNTIME_MISSING)
		return function->pool == WEIR_SNAPSHOT_NONE && function->spec_first == 0 &&
		       function->spec_count == 0;
	if (function->spec_count == 0 || function->spec_count > WEIR_SNAPSHOT_SPECS_MAX ||
	    !range_is_inside(function->spec_first, function->spec_count, check->header->specs.count) ||
	    specs[0].pool != function->pool)
		return false;
	for (uint32_t i = 0; i < function->spec_count; i++) {
		if (!spec_is_sound(check, &specs[i], function->runtime) ||
		    (i > 0 && !spec_is_below(&specs[i - 1], &specs[i])))
			return false;
	}
	return true;
}

static bool functions_are_sound(const struct check *check)
{
	for (uint32_t i = 0; i < check->header->functions.count; i++) {
		const struct weir_snapshot_function *const function = &check->view.functions[i];

		if (i > 0 && function->id <= function[-1].id)
			return false; /* found by binary search */
		if (function->runtime >= WEIR_RUNTIME_COUNT ||
		    (function->flags & ~(uint32_t)(WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT | WEIR_SNAPSHOT_FUNCTION_SYSTEM)) != 0)
			return false;
		if (!function_specs_are_sound(check, function))
			return false;
		if (!string_is_sound(check, function->space) || !string_is_sound(check, function->name) ||
		    !string_is_sound(check, function->code_path) ||
		    !string_is_sound(check, function->handler) ||
		    !string_is_sound(check, function->interpreter) ||
		    !string_is_sound(check, function->reason))
			return false;
	}
	return true;
}

static bool weights_are_sound(const struct weir_weights *weights)
{
	return weights->alpha <= WEIR_WEIGHT_MAX && weights->beta <= WEIR_WEIGHT_MAX &&
	       weights->gamma <= WEIR_WEIGHT_MAX && weights->delta <= WEIR_WEIGHT_MAX &&
	       weights->epsilon <= WEIR_WEIGHT_MAX && weights->ema <= WEIR_WEIGHT_EMA_MAX;
}

static bool rule_is_sound(const struct weir_autoscale_rule *rule)
{
	return rule->step_ms >= WEIR_AUTOSCALE_STEP_MS_MIN && rule->step_ms <= WEIR_AUTOSCALE_STEP_MS_MAX &&
	       rule->samples >= 1 && rule->samples <= WEIR_AUTOSCALE_SAMPLES_MAX && rule->threshold >= 1 &&
	       rule->threshold <= WEIR_AUTOSCALE_THRESHOLD_MAX;
}

static bool pools_are_sound(const struct check *check)
{
	for (uint32_t i = 0; i < check->header->pools.count; i++) {
		const struct weir_snapshot_pool *const pool = &check->view.pools[i];

		if (pool->runtime == WEIR_RUNTIME_MISSING || pool->runtime >= WEIR_RUNTIME_COUNT ||
		    pool->workers_min > pool->workers_max || pool->policy >= WEIR_POLICY_COUNT ||
		    (pool->flags & ~(WEIR_SNAPSHOT_POOL_ONE_TASK | WEIR_SNAPSHOT_POOL_SPEC)) != 0 ||
		    !weights_are_sound(&pool->weights) || !rule_is_sound(&pool->scale) ||
		    !string_is_sound(check, pool->space) || !string_is_sound(check, pool->function))
			return false;
	}
	return true;
}

/* *out_literals: edges that the nodes say they have. */
static bool nodes_are_sound(const struct check *check, uint64_t *out_literals)
{
	const uint32_t node_count = check->header->nodes.count;
	const uint32_t target_count = check->header->targets.count;
	uint64_t literals = 0;

	for (uint32_t i = 0; i < node_count; i++) {
		const struct weir_snapshot_node *const node = &check->view.nodes[i];

		if (node->param_child != WEIR_SNAPSHOT_NONE && node->param_child >= node_count)
			return false;
		if (!range_is_inside(node->routes_first, node->routes_count, target_count) ||
		    !range_is_inside(node->wildcard_first, node->wildcard_count, target_count) ||
		    !label_is_sound(check, node))
			return false;
		literals += node->literal_count;
	}
	*out_literals = literals;
	return true;
}

/* One occupied cell at `place`, with `run` occupied cells directly before it: its probe sequence
 * must reach it without meeting an empty cell. */
static bool edge_is_sound(const struct check *check, uint32_t place, uint32_t run)
{
	const struct weir_snapshot_edge *const edge = &check->view.edges[place];
	const uint32_t node_count = check->header->nodes.count;
	uint64_t hash = 0;

	if (edge->parent >= node_count || edge->child >= node_count ||
	    check->view.nodes[edge->parent].literal_count == 0 || edge->segment.bytes == 0 ||
	    !piece_is_sound(check, edge->segment))
		return false;
	hash = weir_snapshot_edge_hash(check->header->hash_seed, edge->parent,
				       weir_snapshot_span(&check->view, edge->segment));
	return edge->hash == (uint32_t)hash &&
	       ((place - (uint32_t)hash) & check->view.edge_mask) <= run;
}

/* Edges stand in the order of their hashes, what they refer to anywhere: without this, checking
 * 100,000 routes is waiting for memory. Offsets may be wrong still; a prefetch of them is harmless. */
static void edge_prefetch(const struct check *check, uint32_t place)
{
	const struct weir_snapshot_edge *const edge =
		&check->view.edges[place & check->view.edge_mask];

	if (edge->child == WEIR_SNAPSHOT_NONE || edge->parent >= check->header->nodes.count ||
	    edge->segment.offset >= check->header->strings.count)
		return;
	__builtin_prefetch(&check->view.strings[edge->segment.offset]);
	__builtin_prefetch(&check->view.nodes[edge->parent]);
}

static bool edges_are_sound(const struct check *check, uint64_t literals)
{
	const uint32_t count = check->header->edges.count;
	uint32_t start = 0; /* an empty cell: no run of cells crosses it */
	uint32_t run = 0;
	uint64_t used = 0;

	if (count == 0 || (count & (count - 1)) != 0)
		return false;
	while (check->view.edges[start].child != WEIR_SNAPSHOT_NONE) {
		if (++start == count)
			return false;
	}
	for (uint32_t step = 1; step < count; step++) {
		const uint32_t place = (start + step) & check->view.edge_mask;

		edge_prefetch(check, place + EDGES_AHEAD);
		if (check->view.edges[place].child == WEIR_SNAPSHOT_NONE) {
			run = 0;
			continue;
		}
		if (!edge_is_sound(check, place, run))
			return false;
		run++;
		used++;
	}
	return used <= count / 2 && used == literals;
}

static bool hosts_are_sound(const struct check *check)
{
	for (uint32_t i = 0; i < check->header->hosts.count; i++) {
		const struct weir_snapshot_host *const host = &check->view.hosts[i];
		struct weir_span name = {0};
		struct weir_span before = {0};
		int order = 0;

		if (host->root >= check->header->nodes.count || !string_is_sound(check, host->name))
			return false;
		if (i == 0)
			continue;
		name = weir_snapshot_span(&check->view, host->name);
		before = weir_snapshot_span(&check->view, host[-1].name);
		order = memcmp(before.data, name.data, name.bytes < before.bytes ? name.bytes : before.bytes);
		if (order > 0 || (order == 0 && before.bytes >= name.bytes))
			return false;
	}
	return true;
}

/* Only Weir's own functions ask for themselves who calls. */
static bool target_access_is_sound(const struct check *check, const struct weir_snapshot_target *target)
{
	const uint32_t flags = WEIR_SNAPSHOT_TARGET_LOCAL | WEIR_SNAPSHOT_TARGET_REQUIRED | WEIR_SNAPSHOT_TARGET_ASKS;

	return (target->flags & ~flags) == 0 && target->role < WEIR_ROLES &&
	       ((target->flags & WEIR_SNAPSHOT_TARGET_ASKS) == 0 ||
		(check->view.functions[target->function].flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0);
}

static bool targets_are_sound(const struct check *check)
{
	for (uint32_t i = 0; i < check->header->targets.count; i++) {
		const struct weir_snapshot_target *const target = &check->view.targets[i];

		if (target->function >= check->header->functions.count ||
		    (target->method >= METHODS_MAX && target->method != WEIR_SNAPSHOT_METHOD_ANY) ||
		    !target_access_is_sound(check, target) ||
		    target->param_count > WEIR_HEAD_PARAMS_MAX ||
		    !range_is_inside(target->params_first, target->param_count,
				     check->header->params.count) ||
		    !string_is_sound(check, target->pattern))
			return false;
	}
	return true;
}

static bool params_are_sound(const struct check *check)
{
	for (uint32_t i = 0; i < check->header->params.count; i++) {
		if (!string_is_sound(check, check->view.params[i]))
			return false;
	}
	return true;
}

/* Sorted by id, each once. */
static bool keys_are_sound(const struct check *check)
{
	if (check->header->keys.count > WEIR_SNAPSHOT_KEYS_MAX)
		return false;
	for (uint32_t i = 0; i < check->header->keys.count; i++) {
		const struct weir_snapshot_key *const key = &check->view.keys[i];

		if ((i > 0 && memcmp(key[-1].id, key->id, sizeof(key->id)) >= 0) || key->role == WEIR_ROLE_NOBODY ||
		    key->role >= WEIR_ROLES || key->reserved != 0 || !string_is_sound(check, key->space))
			return false;
	}
	return true;
}

/* The tables' places are proven: make pointers of them. */
static void view_open(struct check *check)
{
	const struct weir_snapshot_header *const header = check->header;
	const uint8_t *const base = (const uint8_t *)header;

	check->view = (struct weir_snapshot){
		.header = header,
		.functions = (const void *)(base + header->functions.offset),
		.specs = (const void *)(base + header->specs.offset),
		.pools = (const void *)(base + header->pools.offset),
		.nodes = (const void *)(base + header->nodes.offset),
		.edges = (const void *)(base + header->edges.offset),
		.hosts = (const void *)(base + header->hosts.offset),
		.targets = (const void *)(base + header->targets.offset),
		.params = (const void *)(base + header->params.offset),
		.keys = (const void *)(base + header->keys.offset),
		.strings = (const char *)(base + header->strings.offset),
		.function_count = header->functions.count,
		.pool_count = header->pools.count,
		.key_count = header->keys.count,
		.edge_mask = header->edges.count - 1,
		.bytes = header->bytes,
	};
}

static bool rows_are_sound(const struct check *check)
{
	uint64_t literals = 0;

	return check->header->root < check->header->nodes.count && nodes_are_sound(check, &literals) &&
	       edges_are_sound(check, literals) && pools_are_sound(check) && functions_are_sound(check) &&
	       hosts_are_sound(check) && targets_are_sound(check) && params_are_sound(check) && keys_are_sound(check);
}

/* Header and places of tables. */
static int frame_check(struct check *check, const void *data, size_t bytes)
{
	check->header = data;
	WEIR_ASSERT((uintptr_t)data % alignof(struct weir_snapshot_header) == 0);
	if (bytes < sizeof(*check->header) || check->header->magic != WEIR_SNAPSHOT_MAGIC)
		return -EBADMSG;
	if (check->header->abi_major != WEIR_SNAPSHOT_ABI_MAJOR)
		return -EPROTO;
	if (check->header->header_bytes != sizeof(*check->header) ||
	    check->header->bytes < sizeof(*check->header) || check->header->bytes > bytes ||
	    check->header->generation == 0 || check->header->reserved != 0)
		return -EBADMSG;
	if (!tables_are_inside(check))
		return -EBADMSG;
	view_open(check);
	return 0;
}

int weir_snapshot_check(const void *data, size_t bytes, struct weir_snapshot *out_snapshot)
{
	struct check check = {0};
	const int result = frame_check(&check, data, bytes);

	if (result != 0)
		return result;
	if (check.header->checksum != weir_snapshot_checksum(data, check.header->bytes) ||
	    !rows_are_sound(&check))
		return -EBADMSG;
	*out_snapshot = check.view;
	return 0;
}

int weir_snapshot_check_functions(const void *data, size_t bytes,
				  struct weir_snapshot *out_snapshot)
{
	struct check check = {0};
	const int result = frame_check(&check, data, bytes);

	if (result != 0)
		return result;
	if (!pools_are_sound(&check) || !functions_are_sound(&check))
		return -EBADMSG;
	check.view.nodes = NULL; /* nobody looked at these */
	check.view.edges = NULL;
	check.view.hosts = NULL;
	check.view.targets = NULL;
	check.view.params = NULL;
	check.view.keys = NULL;
	check.view.key_count = 0;
	*out_snapshot = check.view;
	return 0;
}

/* Map a sealed memfd and let `check` look at it. */
static int attach(int fd, int map_flags,
		  int (*check)(const void *data, size_t bytes, struct weir_snapshot *out_snapshot),
		  struct weir_snapshot *out_snapshot)
{
	const int seals_wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct weir_snapshot snapshot = {0};
	size_t bytes = 0;
	const int seals = fcntl(fd, F_GET_SEALS);
	int result = weir_fd_check_shared(fd, sizeof(struct weir_snapshot_header), &bytes);
	void *data = NULL;

	if (result != 0)
		return result;
	if (seals == -1 || (seals & seals_wanted) != seals_wanted)
		return -EBADMSG;
	/* Private, because before Linux 6.7 a shared mapping of a write-sealed memfd is refused even
	 * for reading; the pages are the same. */
	data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | map_flags, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	result = check(data, bytes, &snapshot);
	if (result != 0) {
		(void)munmap(data, bytes); /* cannot fail for a mapping of ours */
		return result;
	}
	snapshot.bytes = bytes; /* what detach unmaps */
	*out_snapshot = snapshot;
	return 0;
}

int weir_snapshot_attach(int fd, struct weir_snapshot *out_snapshot)
{
	/* Populated: shards must meet no fault. */
	return attach(fd, MAP_POPULATE, weir_snapshot_check, out_snapshot);
}

int weir_snapshot_attach_functions(int fd, struct weir_snapshot *out_snapshot)
{
	return attach(fd, 0, weir_snapshot_check_functions, out_snapshot);
}

void weir_snapshot_detach(struct weir_snapshot *snapshot)
{
	if (snapshot->header == NULL)
		return;
	/* Cannot fail for a mapping of ours; the cast only drops its const.
	 * NOLINTNEXTLINE(performance-no-int-to-ptr) */
	(void)munmap((void *)(uintptr_t)snapshot->header, snapshot->bytes);
	*snapshot = (struct weir_snapshot){0};
}

const struct weir_snapshot_function *weir_snapshot_function_find(const struct weir_snapshot *snapshot,
								 uint64_t id)
{
	size_t first = 0;
	size_t end = snapshot->function_count;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;

		if (snapshot->functions[middle].id < id) {
			first = middle + 1;
		} else {
			end = middle;
		}
	}
	if (first == snapshot->function_count || snapshot->functions[first].id != id)
		return NULL;
	return &snapshot->functions[first];
}

const struct weir_snapshot_key *weir_snapshot_key_find(const struct weir_snapshot *snapshot, const uint8_t id[16])
{
	size_t first = 0;
	size_t end = snapshot->key_count;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;
		const int order = memcmp(snapshot->keys[middle].id, id, sizeof(snapshot->keys[middle].id));

		if (order == 0)
			return &snapshot->keys[middle];
		if (order < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

const struct weir_snapshot_spec *weir_snapshot_spec_find(const struct weir_snapshot *snapshot,
							 const struct weir_snapshot_function *function,
							 uint64_t pool_key)
{
	const struct weir_snapshot_spec *const specs = snapshot->specs + function->spec_first;

	for (uint32_t i = 0; i < function->spec_count; i++) {
		if (snapshot->pools[specs[i].pool].key == pool_key)
			return &specs[i];
	}
	return NULL;
}
