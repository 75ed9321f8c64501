#include "ctrl/publish/publish_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"

/* What a function's runtime means to the data path: MISSING where it is not on this machine.
 * PHP may run by an interpreter: in `exec` where there is no resident one, and rows of the public table
 * are told so in any case, because they answer as `php FILE` does; as those of WebAssembly are. */
static uint32_t runtime_find(const struct weir_publish_plan *plan,
			     const struct weir_model_function *from,
			     const char **out_interpreter)
{
	const uint32_t missing = plan->input->runtimes_missing;
	const bool is_php = strcmp(from->runtime, "php") == 0;

	if (is_php && (from->from_public_table || (missing & (1U << WEIR_RUNTIME_PHP)) != 0))
		*out_interpreter = "php";
	if (from->from_public_table && strcmp(from->runtime, "wasm") == 0)
		*out_interpreter = "wasm";
	for (uint32_t i = WEIR_RUNTIME_MISSING + 1; i < WEIR_RUNTIME_COUNT; i++) {
		if (strcmp(weir_runtime_name(i), from->runtime) == 0 && (missing & (1U << i)) == 0)
			return i;
	}
	if (strcmp(from->runtime, "c") == 0)
		return WEIR_RUNTIME_NATIVE; /* what its source was built into */
	return is_php ? WEIR_RUNTIME_EXEC : WEIR_RUNTIME_MISSING;
}

static int compare_ids(const void *left, const void *right)
{
	const struct weir_model_function *a = *(const struct weir_model_function *const *)left;
	const struct weir_model_function *b = *(const struct weir_model_function *const *)right;

	return (a->id > b->id) - (a->id < b->id);
}

static int sort_functions(struct weir_publish_plan *plan)
{
	const size_t count = plan->input->function_count;

	plan->sorted = calloc(count + 1, sizeof(*plan->sorted));
	if (plan->sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		plan->sorted[i] = &plan->input->functions[i];
	qsort(plan->sorted, count, sizeof(*plan->sorted), compare_ids);
	for (size_t i = 1; i < count; i++) {
		if (plan->sorted[i]->id == plan->sorted[i - 1]->id)
			return -EEXIST;
	}
	return 0;
}

static int intern(struct weir_publish_plan *plan, const char *text,
		  struct weir_snapshot_string *out_string)
{
	return weir_publish_strings_intern(&plan->strings, weir_span_of(text), out_string);
}

const char *weir_publish_pool_name(struct weir_span space, uint32_t runtime, struct weir_span function,
				   uint32_t cpu_millicores, uint32_t memory_mb,
				   char out[WEIR_PUBLISH_POOL_NAME_BYTES])
{
	char spec[32] = "";

	if (memory_mb > 0)
		(void)snprintf(spec, sizeof(spec), ":%ux%u", cpu_millicores, memory_mb); /* fits */
	(void)snprintf(out, WEIR_PUBLISH_POOL_NAME_BYTES, "%.*s/%s%s%.*s%s", (int)space.bytes, space.data,
		       weir_runtime_name(runtime), function.bytes > 0 ? "/" : "", (int)function.bytes,
		       function.bytes > 0 ? function.data : "", spec); /* fits: names are checked */
	return out;
}

/* A pool for itself: a version on trial, and where functions of one process would share a heap. */
static bool has_own_pool(const struct weir_model_function *from, uint32_t runtime)
{
	return from->is_trial || weir_runtime_is_pool_per_function(runtime);
}

/* What its workers have where it says nothing: the settings. */
static struct weir_snapshot_spec spec_default(const struct weir_publish_plan *plan,
					      const struct weir_model_function *from, uint32_t runtime)
{
	return (struct weir_snapshot_spec){
		.cpu_millicores = plan->input->settings.worker_cpu_millicores,
		.memory_mb = from->memory_mb,
		.workers_min = has_own_pool(from, runtime) ? 0 : plan->input->pool_workers_min,
		.workers_max = plan->input->pool_workers_max,
	};
}

/* Its rows of specs; their pools are found later. A trial has one worker, of the smallest spec. */
static int add_specs(struct weir_publish_plan *plan, const struct weir_model_function *from,
		     struct weir_snapshot_function *function)
{
	const uint32_t named = from->is_trial && from->spec_count > 1 ? 1 : from->spec_count;

	if (function->runtime == WEIR_RUNTIME_MISSING)
		return 0;
	function->spec_count = named == 0 ? 1 : named;
	for (uint32_t i = 0; i < function->spec_count; i++) {
		struct weir_snapshot_spec row = spec_default(plan, from, function->runtime);
		uint32_t index = 0;
		int result = 0;

		if (named > 0)
			row = (struct weir_snapshot_spec){.cpu_millicores = from->spec[i].cpu_millicores,
							  .memory_mb = from->spec[i].memory_mb,
							  .workers_min = from->spec[i].workers_min,
							  .workers_max = from->spec[i].workers_max};
		if (from->is_trial)
			row.workers_min = 0, row.workers_max = 1;
		result = weir_publish_rows_add(&plan->specs, sizeof(row), &index);
		if (result != 0)
			return result;
		((struct weir_snapshot_spec *)plan->specs.data)[index] = row;
		if (i == 0)
			function->spec_first = index;
	}
	return 0;
}

static int add_function(struct weir_publish_plan *plan, const struct weir_model_function *from)
{
	char reason[sizeof(from->code_path) + 128] = "";
	struct weir_snapshot_function function = {
		.id = from->id,
		.version = from->version,
		.timeout_ns = from->timeout_ms * WEIR_NS_PER_MS,
		.memory_bytes = (uint64_t)from->memory_mb << 20,
		.pool = WEIR_SNAPSHOT_NONE,
		.runtime = WEIR_RUNTIME_MISSING,
		.queue_max = from->queue_max,
		.flags = (from->has_environment ? WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT : 0U) |
			 (from->is_builtin ? WEIR_SNAPSHOT_FUNCTION_SYSTEM : 0U),
	};
	const char *interpreter = "";
	uint32_t index = 0;

	if (weir_model_function_check(from, NULL) != 0)
		return -EINVAL;
	function.runtime = from->problem[0] != '\0'
				   ? WEIR_RUNTIME_MISSING
				   : runtime_find(plan, from, &interpreter);
	if (from->problem[0] != '\0')
		(void)snprintf(reason, sizeof(reason), "%s", from->problem); /* fits */
	else if (function.runtime == WEIR_RUNTIME_MISSING)
		(void)snprintf(reason, sizeof(reason), /* fits */
			       "Runtime '%s' is not available here, so module '%s' cannot run",
			       from->runtime, from->image[0] != '\0' ? from->image : from->code_path);
	int result = intern(plan, from->space, &function.space);

	if (result == 0)
		result = intern(plan, from->name, &function.name);
	if (result == 0)
		result = intern(plan, from->code_path, &function.code_path);
	if (result == 0)
		result = intern(plan, from->handler, &function.handler);
	if (result == 0)
		result = intern(plan, interpreter, &function.interpreter);
	if (result == 0)
		result = intern(plan, reason, &function.reason);
	if (result == 0)
		result = add_specs(plan, from, &function);
	if (result == 0)
		result = weir_publish_rows_add(&plan->functions, sizeof(function), &index);
	if (result == 0)
		((struct weir_snapshot_function *)plan->functions.data)[index] = function;
	return result;
}

/* Which function wants which pool for which of its specs; equal ones stand together once sorted. */
struct wish {
	uint32_t space_offset;
	uint32_t runtime;
	bool is_own; /* a pool for itself */
	bool is_named; /* the function names the spec; else cpu_millicores and memory_mb are 0 here */
	uint32_t cpu_millicores;
	uint32_t memory_mb;
	uint32_t function;
	uint32_t spec; /* row */
};

static int compare_wishes(const void *left, const void *right)
{
	const struct wish *a = left;
	const struct wish *b = right;

	if (a->space_offset != b->space_offset)
		return a->space_offset < b->space_offset ? -1 : 1;
	if (a->runtime != b->runtime)
		return a->runtime < b->runtime ? -1 : 1;
	if (a->is_own != b->is_own)
		return a->is_own ? 1 : -1;
	if (a->cpu_millicores != b->cpu_millicores)
		return a->cpu_millicores < b->cpu_millicores ? -1 : 1;
	if (a->memory_mb != b->memory_mb)
		return a->memory_mb < b->memory_mb ? -1 : 1;
	return (a->function > b->function) - (a->function < b->function);
}

static bool is_same_pool(const struct wish *a, const struct wish *b)
{
	return !a->is_own && !b->is_own && a->space_offset == b->space_offset && a->runtime == b->runtime &&
	       a->cpu_millicores == b->cpu_millicores && a->memory_mb == b->memory_mb;
}

static int compare_pool_names(const void *name, const void *pool)
{
	return strcmp(name, ((const struct weir_publish_pool *)pool)->name);
}

static const struct weir_publish_pool *pool_find(const struct weir_publish_pool *pools, size_t count,
						 const char *name)
{
	return count == 0 ? NULL : bsearch(name, pools, count, sizeof(*pools), compare_pool_names);
}

struct weir_publish_pool weir_publish_pool_inherited(const struct weir_publish_pool *pools, size_t count,
						     const char *name)
{
	const char *const spec = strchr(name, ':');
	struct weir_publish_pool pool = WEIR_PUBLISH_POOL_DEFAULT;
	const struct weir_publish_pool *found = NULL;
	char without[WEIR_PUBLISH_POOL_NAME_BYTES];

	if (spec != NULL) {
		(void)snprintf(without, sizeof(without), "%.*s", (int)(spec - name), name); /* fits: names do */
		found = pool_find(pools, count, without);
	}
	if (found == NULL && strcmp(name, "*") != 0)
		found = pool_find(pools, count, "*");
	if (found != NULL)
		pool = *found;
	if (spec != NULL)
		pool.workers_min = pool.workers_max = WEIR_PUBLISH_WORKERS_UNSET;
	return pool;
}

struct weir_publish_pool weir_publish_pool_settings(const struct weir_publish_pool *pools, size_t count,
						    const char *name)
{
	const struct weir_publish_pool *const found = pool_find(pools, count, name);

	return found != NULL ? *found : weir_publish_pool_inherited(pools, count, name);
}

/* The same in every generation and instance. A function's own pool has its id in the seed, but hashed: of
 * short texts XXH3's value is little more than text XOR seed, so ids that are near each other, as ids are,
 * would make equal keys of unequal namespaces, and their functions share processes. So is the spec. */
static uint64_t pool_key(const struct wish *wish, const struct weir_snapshot_function *function,
			 struct weir_span space)
{
	const uint32_t spec[2] = {wish->cpu_millicores, wish->memory_mb};
	const struct weir_span id = {.data = (const char *)&function->id, .bytes = sizeof(function->id)};
	uint64_t seed = wish->is_own ? weir_snapshot_edge_hash(0, 0, id) : 0;

	if (wish->is_named)
		seed = weir_snapshot_edge_hash(
			seed, 1, (struct weir_span){.data = (const char *)spec, .bytes = sizeof(spec)});
	return weir_snapshot_edge_hash(seed, function->runtime, space);
}

/* What people set for the pool that the wish is for. */
static struct weir_publish_pool settings_of_wish(const struct weir_publish_plan *plan, const struct wish *wish)
{
	const struct weir_snapshot_function *function =
		&((const struct weir_snapshot_function *)plan->functions.data)[wish->function];
	const struct weir_span space = {.data = plan->strings.text + function->space.offset,
					.bytes = function->space.bytes};
	const struct weir_span own = {.data = plan->strings.text + function->name.offset,
				      .bytes = wish->is_own ? function->name.bytes : 0};
	char name[WEIR_PUBLISH_POOL_NAME_BYTES];

	(void)weir_publish_pool_name(space, function->runtime, own, wish->cpu_millicores, wish->memory_mb, name);
	return weir_publish_pool_settings(plan->input->pools, plan->input->pool_count, name);
}

static int add_pool(struct weir_publish_plan *plan,
		    const struct wish *wish, uint32_t *out_index)
{
	const struct weir_snapshot_function *function =
		&((const struct weir_snapshot_function *)plan->functions.data)[wish->function];
	const struct weir_snapshot_spec *spec = &((const struct weir_snapshot_spec *)plan->specs.data)[wish->spec];
	const struct weir_span space = {.data = plan->strings.text + function->space.offset,
					.bytes = function->space.bytes};
	const struct weir_publish_pool settings = settings_of_wish(plan, wish);
	const struct weir_snapshot_pool pool = {
		.key = pool_key(wish, function, space),
		.runtime = function->runtime,
		.cpu_millicores = spec->cpu_millicores,
		.policy = (uint16_t)settings.policy,
		.flags = (uint16_t)((settings.one_task ? WEIR_SNAPSHOT_POOL_ONE_TASK : 0) |
				    (wish->is_named ? WEIR_SNAPSHOT_POOL_SPEC : 0)),
		.weights = settings.weights,
		.scale = settings.scale,
		.space = function->space,
		.function = wish->is_own ? function->name : (struct weir_snapshot_string){0},
	};
	const int result = weir_publish_rows_add(&plan->pools, sizeof(pool), out_index);

	if (result == 0)
		((struct weir_snapshot_pool *)plan->pools.data)[*out_index] = pool;
	return result;
}

/* The pool has the most that its functions want, of memory and of workers: these serve them all. */
static void join_pool(struct weir_publish_plan *plan, const struct wish *wish, uint32_t index)
{
	struct weir_snapshot_pool *pool = (struct weir_snapshot_pool *)plan->pools.data + index;
	struct weir_snapshot_spec *spec = (struct weir_snapshot_spec *)plan->specs.data + wish->spec;
	struct weir_snapshot_function *function =
		(struct weir_snapshot_function *)plan->functions.data + wish->function;
	const uint64_t memory_bytes = (uint64_t)spec->memory_mb << 20;

	spec->pool = index;
	if (wish->spec == function->spec_first)
		function->pool = index;
	if (pool->memory_bytes < memory_bytes)
		pool->memory_bytes = memory_bytes;
	if (pool->workers_min < spec->workers_min)
		pool->workers_min = spec->workers_min;
	if (pool->workers_max < spec->workers_max)
		pool->workers_max = spec->workers_max;
}

/* What is set for the pool stands above what its functions want; of two bounds that contradict, the one that
 * was set; of two that were, the maximum. A trial has its one worker. */
static void bounds_set(struct weir_publish_plan *plan, const struct wish *wish, uint32_t index)
{
	struct weir_snapshot_pool *pool = (struct weir_snapshot_pool *)plan->pools.data + index;
	const struct weir_publish_pool settings = settings_of_wish(plan, wish);

	if (plan->sorted[wish->function]->is_trial)
		return;
	if (settings.workers_min != WEIR_PUBLISH_WORKERS_UNSET) {
		pool->workers_min = settings.workers_min;
		if (pool->workers_max < pool->workers_min)
			pool->workers_max = pool->workers_min;
	}
	if (settings.workers_max != WEIR_PUBLISH_WORKERS_UNSET)
		pool->workers_max = settings.workers_max;
	if (plan->sorted[wish->function]->workers_max > 0)
		pool->workers_max = plan->sorted[wish->function]->workers_max;
	if (pool->workers_min > pool->workers_max)
		pool->workers_min = pool->workers_max;
}

static struct wish wish_of(const struct weir_publish_plan *plan, uint32_t function, uint32_t spec)
{
	const struct weir_snapshot_function *row =
		&((const struct weir_snapshot_function *)plan->functions.data)[function];
	const struct weir_snapshot_spec *wanted = &((const struct weir_snapshot_spec *)plan->specs.data)[spec];
	const bool is_named = plan->sorted[function]->spec_count > 0;

	return (struct wish){.space_offset = row->space.offset,
			     .runtime = row->runtime,
			     .is_own = has_own_pool(plan->sorted[function], row->runtime),
			     .is_named = is_named,
			     .cpu_millicores = is_named ? wanted->cpu_millicores : 0,
			     .memory_mb = is_named ? wanted->memory_mb : 0,
			     .function = function,
			     .spec = spec};
}

static int add_pools(struct weir_publish_plan *plan)
{
	const struct weir_snapshot_function *functions = plan->functions.data;
	WEIR_CLEANUP(weir_free)
	struct wish *wishes = calloc(plan->specs.count + 1, sizeof(*wishes));
	size_t count = 0;
	uint32_t pool = 0;

	if (wishes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->functions.count; i++) {
		for (uint32_t j = 0; j < functions[i].spec_count; j++)
			wishes[count++] = wish_of(plan, i, functions[i].spec_first + j);
	}
	qsort(wishes, count, sizeof(*wishes), compare_wishes);
	for (size_t i = 0; i < count; i++) {
		const bool first = i == 0 || !is_same_pool(&wishes[i - 1], &wishes[i]);
		const int result = first ? add_pool(plan, &wishes[i], &pool) : 0;

		if (result != 0)
			return result;
		join_pool(plan, &wishes[i], pool);
		if (i + 1 == count || !is_same_pool(&wishes[i], &wishes[i + 1]))
			bounds_set(plan, &wishes[i], pool); /* all of them joined */
	}
	return 0;
}

int weir_publish_plan_functions(struct weir_publish_plan *plan)
{
	int result = sort_functions(plan);

	for (size_t i = 0; result == 0 && i < plan->input->function_count; i++)
		result = add_function(plan, plan->sorted[i]);
	return result == 0 ? add_pools(plan) : result;
}

int weir_publish_plan_function_index(const struct weir_publish_plan *plan, uint64_t id,
				     uint32_t *out_index)
{
	size_t first = 0;
	size_t end = plan->functions.count;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;

		if (plan->sorted[middle]->id < id)
			first = middle + 1;
		else
			end = middle;
	}
	if (first == plan->functions.count || plan->sorted[first]->id != id)
		return -ENOENT;
	*out_index = (uint32_t)first;
	return 0;
}

void weir_publish_plan_free(struct weir_publish_plan *plan)
{
	free(plan->sorted);
	plan->sorted = NULL;
	weir_publish_rows_free(&plan->functions);
	weir_publish_rows_free(&plan->specs);
	weir_publish_rows_free(&plan->pools);
	weir_publish_rows_free(&plan->nodes);
	weir_publish_rows_free(&plan->hosts);
	weir_publish_rows_free(&plan->targets);
	weir_publish_rows_free(&plan->params);
	weir_publish_rows_free(&plan->keys);
	weir_publish_edges_free(&plan->edges);
	weir_publish_strings_free(&plan->strings);
}
