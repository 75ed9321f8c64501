#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/publish/publish_test.h"

static const char *text_of(const struct publish_test *test, struct weir_snapshot_string string)
{
	return test->snapshot.strings + string.offset; /* NUL-terminated there */
}

static void an_empty_model_makes_a_sound_snapshot(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	publish_test_build(&test);
	assert_int_equal(test.snapshot.header->generation, 1);
	assert_int_equal(test.snapshot.function_count, 0);
	assert_int_equal(test.snapshot.header->targets.count, 0);
	assert_int_equal(test.snapshot.header->hosts.count, 0);
	assert_int_equal(test.snapshot.header->settings.head_bytes_max, 16384);
	publish_test_close(&test);
}

static void segments_that_no_route_leaves_between_make_one_node(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	const struct weir_snapshot_header *header = NULL;

	(void)state;
	for (int i = 0; i < 100; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "GET /shop/r%d/items/list", i);
		(void)publish_test_route(&test, text, "", function);
	}
	publish_test_build(&test);
	header = test.snapshot.header;
	/* The root, which has the label "shop", and one for each route; one for the function's name. */
	assert_int_equal(header->nodes.count, 1 + 100 + 1);
	assert_int_equal(header->edges.count, 256);
	assert_int_equal(test.snapshot.nodes[header->root].label_segments, 1);
	assert_int_equal(test.snapshot.nodes[header->root].literal_count, 100);
	publish_test_close(&test);
}

static void default_settings_are_those_that_users_are_told(void **state)
{
	const struct weir_settings settings = weir_publish_settings_default();

	(void)state;
	assert_int_equal(settings.target_bytes_max, 8192);
	assert_int_equal(settings.head_bytes_max, 16384);
	assert_int_equal(settings.headers_max, 100);
	assert_int_equal(settings.body_bytes_max, 64 << 20);
	assert_int_equal(settings.head_timeout_ms, 10000);
	assert_int_equal(settings.body_idle_ms, 30000);
	assert_int_equal(settings.keep_alive_ms, 60000);
}

static void functions_are_sorted_by_id_and_keep_what_the_data_path_needs(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	for (int i = 0; i < 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%d", i);
		(void)publish_test_function(&test, name, "native");
	}
	test.functions[0].id = UINT64_MAX;
	test.functions[1].id = 7;
	test.functions[1].version = 12;
	test.functions[1].timeout_ms = 1500;
	test.functions[1].memory_mb = WEIR_MODEL_MEMORY_MB_MAX;
	test.functions[1].queue_max = 3;
	(void)strcpy(test.functions[1].handler, "run");
	test.functions[2].id = 0;
	publish_test_build(&test);
	const struct weir_snapshot_function *function =
		weir_snapshot_function_find(&test.snapshot, 7);

	assert_ptr_equal(function, &test.snapshot.functions[1]);
	assert_int_equal(function->version, 12);
	assert_int_equal(function->timeout_ns, UINT64_C(1500000000));
	assert_int_equal(function->memory_bytes, UINT64_C(1) << 40);
	assert_int_equal(function->queue_max, 3);
	assert_string_equal(text_of(&test, function->space), "default");
	assert_string_equal(text_of(&test, function->name), "f1");
	assert_string_equal(text_of(&test, function->code_path), "/srv/f1");
	assert_string_equal(text_of(&test, function->handler), "run");
	assert_string_equal(text_of(&test, function->interpreter), "");
	assert_string_equal(text_of(&test, function->reason), "");
	publish_test_close(&test);
}

static void without_its_worker_php_runs_through_exec_and_others_say_so(void **state)
{
	struct publish_test test = {.fd = -1,
				    .runtimes_missing = 1U << WEIR_RUNTIME_PHP |
							1U << WEIR_RUNTIME_WASM};
	const uint64_t php = publish_test_function(&test, "hello", "php");
	const uint64_t exec = publish_test_function(&test, "tool", "exec");
	const uint64_t wasm = publish_test_function(&test, "convert", "wasm");

	(void)state;
	publish_test_build(&test);
	const struct weir_snapshot_function *function =
		weir_snapshot_function_find(&test.snapshot, php);

	assert_int_equal(function->runtime, WEIR_RUNTIME_EXEC);
	assert_string_equal(text_of(&test, function->interpreter), "php");
	function = weir_snapshot_function_find(&test.snapshot, exec);
	assert_int_equal(function->runtime, WEIR_RUNTIME_EXEC);
	assert_string_equal(text_of(&test, function->interpreter), "");
	function = weir_snapshot_function_find(&test.snapshot, wasm);
	assert_int_equal(function->runtime, WEIR_RUNTIME_MISSING);
	assert_int_equal(function->pool, WEIR_SNAPSHOT_NONE);
	assert_non_null(strstr(text_of(&test, function->reason), "'wasm'"));
	assert_non_null(strstr(text_of(&test, function->reason), "'/srv/convert'"));
	publish_test_close(&test);
}

/* Rows of the public table answer as `php FILE` does, resident or not: the interpreter says so. */
static void a_php_row_keeps_its_interpreter(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t row = publish_test_function(&test, "row", "php");
	const uint64_t own = publish_test_function(&test, "own", "php");

	(void)state;
	test.functions[0].from_public_table = true;
	publish_test_build(&test);
	const struct weir_snapshot_function *function =
		weir_snapshot_function_find(&test.snapshot, row);

	assert_int_equal(function->runtime, WEIR_RUNTIME_PHP);
	assert_string_equal(text_of(&test, function->interpreter), "php");
	function = weir_snapshot_function_find(&test.snapshot, own);
	assert_int_equal(function->runtime, WEIR_RUNTIME_PHP);
	assert_string_equal(text_of(&test, function->interpreter), "");
	publish_test_close(&test);
}

static void a_runtime_that_is_here_is_taken_by_its_name(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	for (uint32_t i = WEIR_RUNTIME_MISSING + 1; i < WEIR_RUNTIME_COUNT; i++) {
		(void)publish_test_function(&test, weir_runtime_name(i), weir_runtime_name(i));
		test.functions[i - 1].is_builtin = i >= WEIR_RUNTIME_DIALECT;
	}
	publish_test_build(&test);
	for (uint32_t i = 0; i < test.snapshot.function_count; i++) {
		const struct weir_snapshot_function *function = &test.snapshot.functions[i];

		assert_string_equal(weir_runtime_name(function->runtime),
				    text_of(&test, function->name));
		assert_string_equal(text_of(&test, function->interpreter), "");
	}
	assert_string_equal(weir_runtime_name(WEIR_RUNTIME_MISSING), "missing");
	assert_null(weir_runtime_name(WEIR_RUNTIME_COUNT));
	publish_test_close(&test);
}

/* Python functions of one process would share a heap. */
static void functions_that_would_share_a_heap_have_a_pool_each(void **state)
{
	struct publish_test test = {.fd = -1};
	const struct weir_snapshot_function *function = NULL;
	const struct weir_snapshot_pool *pool = NULL;
	uint64_t key = 0;

	(void)state;
	(void)publish_test_function(&test, "a/1", "python");
	(void)publish_test_function(&test, "a/2", "python");
	(void)publish_test_function(&test, "a/3", "native");
	publish_test_build(&test);
	function = test.snapshot.functions;
	pool = test.snapshot.pools;
	assert_int_equal(test.snapshot.pool_count, 3);
	assert_int_not_equal(function[0].pool, function[1].pool);
	assert_int_not_equal(pool[function[0].pool].key, pool[function[1].pool].key);
	assert_int_equal(pool[function[0].pool].workers_min, 0);
	assert_int_equal(pool[function[2].pool].workers_min, 1);
	key = pool[function[1].pool].key;
	/* It keeps its key when others come and go. */
	weir_snapshot_detach(&test.snapshot);
	weir_fd_close(&test.fd);
	(void)strcpy(test.functions[0].runtime, "native");
	publish_test_build(&test);
	assert_int_equal(test.snapshot.pools[test.snapshot.functions[1].pool].key, key);
	publish_test_close(&test);
}

/* Ids and names that differ in a few bits made equal keys, and functions of two namespaces one process. */
static void pools_of_similar_ids_and_namespaces_have_different_keys(void **state)
{
	static const char *const runtimes[] = {"python", "node", "native"};
	struct publish_test test = {.fd = -1};
	char name[32];

	(void)state;
	for (int i = 0; i < 240; i++) {
		(void)snprintf(name, sizeof(name), "n%d/f%d", i / 3, i);
		(void)publish_test_function(&test, name, runtimes[i % 3]);
	}
	publish_test_build(&test);
	assert_int_equal(test.snapshot.pool_count, 240);
	for (uint32_t i = 0; i < test.snapshot.pool_count; i++) {
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(test.snapshot.pools[i].key, test.snapshot.pools[k].key);
	}
	publish_test_close(&test);
}

static void a_pool_is_one_namespace_and_one_runtime(void **state)
{
	struct publish_test test = {.fd = -1,
				    .runtimes_missing = 1U << WEIR_RUNTIME_PHP |
							1U << WEIR_RUNTIME_WASM};
	const char *const names[] = {"a/1", "b/1", "a/2", "a/3", "b/2", "a/4"};
	const char *const runtimes[] = {"native", "native", "exec", "php", "native", "wasm"};
	const struct weir_snapshot_function *function = NULL;
	uint64_t keys[6];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		(void)publish_test_function(&test, names[i], runtimes[i]);
	publish_test_build(&test);
	function = test.snapshot.functions;
	assert_int_equal(test.snapshot.pool_count, 3);
	assert_int_equal(function[2].pool, function[3].pool);
	assert_int_equal(function[1].pool, function[4].pool);
	assert_int_not_equal(function[0].pool, function[1].pool);
	assert_int_not_equal(function[0].pool, function[2].pool);
	for (size_t i = 0; i < 5; i++) {
		const struct weir_snapshot_pool *pool = &test.snapshot.pools[function[i].pool];

		assert_int_equal(pool->runtime, function[i].runtime);
		assert_int_equal(pool->workers_min, 1);
		assert_int_equal(pool->workers_max, 4);
		assert_string_equal(text_of(&test, pool->space),
				    text_of(&test, function[i].space));
		keys[i] = pool->key;
	}
	/* A pool keeps its key when others come and go. */
	weir_snapshot_detach(&test.snapshot);
	weir_fd_close(&test.fd);
	(void)strcpy(test.functions[0].space, "A");
	publish_test_build(&test);
	assert_int_equal(test.snapshot.pool_count, 3);
	assert_int_not_equal(test.snapshot.pools[test.snapshot.functions[0].pool].key, keys[0]);
	assert_int_equal(test.snapshot.pools[test.snapshot.functions[1].pool].key, keys[1]);
	assert_int_equal(test.snapshot.pools[test.snapshot.functions[2].pool].key, keys[2]);
	publish_test_close(&test);
}

static void add_specs(struct weir_model_function *function, const char *text)
{
	assert_int_equal(weir_model_specs_parse(text, function, NULL), 0);
}

static void functions_share_the_pools_of_the_specs_that_they_share(void **state)
{
	struct publish_test test = {.fd = -1};
	const struct weir_snapshot_function *function = NULL;
	const struct weir_snapshot_spec *spec = NULL;
	const struct weir_snapshot_pool *pool = NULL;

	(void)state;
	for (int i = 0; i < 4; i++)
		(void)publish_test_function(&test, (const char *[]){"a/1", "a/2", "a/3", "b/1"}[i], "native");
	add_specs(&test.functions[0], "cpu=4000,memory=512,min=1,max=2 cpu=500,memory=64,max=3");
	add_specs(&test.functions[1], "cpu=500,memory=64,min=2,max=2");
	add_specs(&test.functions[3], "cpu=500,memory=64");
	publish_test_build(&test);
	function = test.snapshot.functions;
	spec = test.snapshot.specs;
	pool = test.snapshot.pools;
	assert_int_equal(test.snapshot.pool_count, 4); /* a: 500, 4000, none; b: 500 */
	assert_int_equal(function[0].spec_count, 2);
	assert_int_equal(function[2].spec_count, 1);
	assert_int_equal(spec[function[0].spec_first].cpu_millicores, 500);
	assert_int_equal(spec[function[0].spec_first].workers_min, 0);
	assert_int_equal(spec[function[0].spec_first].workers_max, 3);
	assert_int_equal(spec[function[0].spec_first + 1].memory_mb, 512);
	assert_int_equal(function[0].pool, spec[function[0].spec_first].pool);
	assert_int_equal(function[0].pool, function[1].pool);
	assert_int_not_equal(function[0].pool, function[2].pool);
	assert_int_not_equal(function[0].pool, function[3].pool);
	assert_int_equal(pool[function[0].pool].cpu_millicores, 500);
	assert_int_equal(pool[function[0].pool].memory_bytes, UINT64_C(64) << 20);
	assert_int_equal(pool[function[0].pool].flags, WEIR_SNAPSHOT_POOL_SPEC);
	assert_int_equal(pool[function[0].pool].workers_min, 2); /* the most that one of them wants */
	assert_int_equal(pool[function[0].pool].workers_max, 3);
	assert_int_equal(pool[function[2].pool].cpu_millicores, 0);
	assert_int_equal(pool[function[2].pool].flags, 0);
	for (uint32_t i = 0; i < 4; i++) {
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(pool[i].key, pool[k].key);
	}
	publish_test_close(&test);
}

static void a_function_with_a_heap_of_its_own_has_a_pool_for_each_spec(void **state)
{
	struct publish_test test = {.fd = -1};
	const struct weir_snapshot_function *function = NULL;
	uint64_t key = 0;

	(void)state;
	(void)publish_test_function(&test, "a/1", "python");
	(void)publish_test_function(&test, "a/2", "python");
	add_specs(&test.functions[0], "cpu=500,memory=64 cpu=500,memory=128");
	add_specs(&test.functions[1], "cpu=500,memory=64");
	publish_test_build(&test);
	function = test.snapshot.functions;
	assert_int_equal(test.snapshot.pool_count, 3);
	assert_int_not_equal(function[0].pool, function[1].pool);
	key = test.snapshot.pools[function[0].pool].key;
	weir_snapshot_detach(&test.snapshot);
	weir_fd_close(&test.fd);
	test.functions[0].is_trial = true;
	publish_test_build(&test);
	function = test.snapshot.functions;
	assert_int_equal(function[0].spec_count, 1); /* the smallest: what runs there runs in all */
	assert_int_equal(test.snapshot.specs[function[0].spec_first].memory_mb, 64);
	assert_int_equal(test.snapshot.pools[function[0].pool].workers_max, 1);
	assert_int_equal(test.snapshot.pools[function[0].pool].key, key);
	publish_test_close(&test);
}

/* The setting is what workers without a spec have; it changes no pool's key. */
static void without_a_spec_the_settings_of_the_instance_hold(void **state)
{
	struct publish_test test = {.fd = -1};
	struct weir_publish_input input;
	uint64_t key = 0;

	(void)state;
	(void)publish_test_function(&test, "a/1", "native");
	publish_test_build(&test);
	key = test.snapshot.pools[0].key;
	weir_snapshot_detach(&test.snapshot);
	weir_fd_close(&test.fd);
	input = publish_test_input(&test);
	input.settings.worker_cpu_millicores = 750;
	assert_int_equal(weir_publish_build(&input, &test.fd), 0);
	assert_int_equal(weir_snapshot_attach(test.fd, &test.snapshot), 0);
	assert_int_equal(test.snapshot.pools[0].key, key);
	assert_int_equal(test.snapshot.pools[0].cpu_millicores, 750);
	assert_int_equal(test.snapshot.specs[0].cpu_millicores, 750);
	assert_int_equal(test.snapshot.specs[0].memory_mb, WEIR_MODEL_MEMORY_MB_DEFAULT);
	assert_int_equal(test.snapshot.specs[0].workers_min, 1);
	assert_int_equal(test.snapshot.specs[0].workers_max, 4);
	publish_test_close(&test);
}

/* A pool's own settings, then those of "*", then the defaults; and what its functions may need. */
static void a_pool_chooses_as_is_set_for_it(void **state)
{
	const struct weir_publish_pool pools[] = {
		{.name = "*",
		 .policy = WEIR_POLICY_RANDOM,
		 .weights = WEIR_WEIGHTS_DEFAULT,
		 .scale = {.step_ms = 100, .samples = 3, .threshold = 500},
		 .workers_min = 9, /* above the maximum of all pools, 4 */
		 .workers_max = WEIR_PUBLISH_WORKERS_UNSET},
		{.name = "a/python/2",
		 .policy = WEIR_POLICY_ROUND_ROBIN,
		 .one_task = true,
		 .scale = WEIR_AUTOSCALE_RULE_DEFAULT,
		 .workers_min = WEIR_PUBLISH_WORKERS_UNSET,
		 .workers_max = 2},
	};
	struct publish_test test = {.fd = -1};
	const struct weir_snapshot_pool *pool = NULL;
	const struct weir_snapshot_function *function = NULL;

	(void)state;
	(void)publish_test_function(&test, "a/1", "native");
	(void)publish_test_function(&test, "a/2", "python");
	(void)publish_test_function(&test, "a/3", "native");
	test.functions[0].memory_mb = 100;
	test.functions[2].memory_mb = 300;
	publish_test_build(&test);
	pool = &test.snapshot.pools[test.snapshot.functions[0].pool];
	assert_int_equal(pool->policy, WEIR_POLICY_SCORE);
	assert_int_equal(pool->weights.alpha, 500);
	assert_int_equal(pool->flags, 0);
	assert_int_equal(pool->memory_bytes, UINT64_C(300) << 20);
	weir_snapshot_detach(&test.snapshot);
	weir_fd_close(&test.fd);
	test.pools = pools;
	test.pool_count = 2;
	publish_test_build(&test);
	function = test.snapshot.functions;
	pool = test.snapshot.pools;
	assert_int_equal(pool[function[0].pool].policy, WEIR_POLICY_RANDOM);
	assert_string_equal(text_of(&test, pool[function[0].pool].function), "");
	assert_int_equal(pool[function[1].pool].policy, WEIR_POLICY_ROUND_ROBIN);
	assert_int_equal(pool[function[1].pool].flags, WEIR_SNAPSHOT_POOL_ONE_TASK);
	assert_string_equal(text_of(&test, pool[function[1].pool].function), "2");
	assert_int_equal(pool[function[0].pool].scale.step_ms, 100);
	assert_int_equal(pool[function[0].pool].scale.samples, 3);
	assert_int_equal(pool[function[0].pool].scale.threshold, 500);
	assert_int_equal(pool[function[0].pool].workers_min, 9);
	assert_int_equal(pool[function[0].pool].workers_max, 9);
	assert_int_equal(pool[function[1].pool].scale.step_ms, 5000);
	assert_int_equal(pool[function[1].pool].workers_min, 0);
	assert_int_equal(pool[function[1].pool].workers_max, 2);
	publish_test_close(&test);
}

static void settings_are_inherited_but_not_numbers_of_workers_by_specs(void **state)
{
	struct weir_publish_pool pools[] = {WEIR_PUBLISH_POOL_DEFAULT, WEIR_PUBLISH_POOL_DEFAULT,
					    WEIR_PUBLISH_POOL_DEFAULT};
	static const char *const names[] = {"*", "a/native", "a/native:500x64"};
	struct weir_publish_pool pool;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(pools[i].name, sizeof(pools[i].name), "%s", names[i]);
		pools[i].scale.step_ms = (uint32_t)(100 * (i + 1));
		pools[i].workers_max = (uint32_t)(i + 1);
	}
	assert_int_equal(weir_publish_pool_settings(pools, 3, "b/native").scale.step_ms, 100);
	assert_int_equal(weir_publish_pool_settings(pools, 3, "b/native").workers_max, 1);
	assert_int_equal(weir_publish_pool_settings(pools, 3, "a/native").workers_max, 2);
	pool = weir_publish_pool_settings(pools, 3, "a/native:100x64");
	assert_int_equal(pool.scale.step_ms, 200);
	assert_int_equal(pool.workers_max, WEIR_PUBLISH_WORKERS_UNSET);
	assert_int_equal(weir_publish_pool_settings(pools, 3, "a/native:500x64").workers_max, 3);
	assert_int_equal(weir_publish_pool_inherited(pools, 3, "a/native:500x64").scale.step_ms, 200);
	assert_int_equal(weir_publish_pool_inherited(pools, 3, "a/native").scale.step_ms, 100);
	assert_int_equal(weir_publish_pool_inherited(pools, 3, "*").scale.step_ms, 5000);
	assert_int_equal(weir_publish_pool_settings(NULL, 0, "a/native:1x1").scale.step_ms, 5000);
}

static void a_row_loses_to_a_route_with_its_host_method_and_pattern(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	/* Rows first and with low ids: neither place nor id lets them win. */
	static const char *const rows[] = {"GET /a", "POST /a", "GET /b", "GET /c"};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		publish_test_route(&test, rows[i], "", function)->from_public_table = true;
	(void)publish_test_route(&test, "GET,PUT /a", "", function);
	(void)publish_test_route(&test, "GET /b", "host", function);
	(void)publish_test_route(&test, "ANY /c", "", function);
	publish_test_build(&test);
	assert_true(test.shadowed[0]);
	for (size_t i = 1; i < test.route_count; i++)
		assert_false(test.shadowed[i]);
	assert_int_equal(test.snapshot.header->targets.count, 3 + 2 + 1 + 1 + 2);
	publish_test_close(&test);
}

static void patterns_that_differ_in_names_only_are_one_and_the_older_stays(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");

	(void)state;
	publish_test_route(&test, "GET,POST /img/{id}/*", "", function)->id = 9;
	publish_test_route(&test, "GET /img/{name}/*", "", function)->id = 4;
	publish_test_route(&test, "GET /img/{id}", "", function)->id = 5;
	publish_test_build(&test);
	assert_true(test.shadowed[0]);
	assert_false(test.shadowed[1]);
	assert_false(test.shadowed[2]);
	publish_test_close(&test);
}

static int compare_edges(const void *left, const void *right)
{
	const struct weir_snapshot_edge *a = left;
	const struct weir_snapshot_edge *b = right;

	return (a->child > b->child) - (a->child < b->child);
}

static void assert_tables_equal(const struct weir_snapshot *a, const struct weir_snapshot *b,
				struct weir_snapshot_table table)
{
	assert_memory_equal((const char *)a->header + table.offset,
			    (const char *)b->header + table.offset,
			    (size_t)table.count * table.stride);
}

static void assert_snapshots_equal(const struct weir_snapshot *a, const struct weir_snapshot *b)
{
	const struct weir_snapshot_header *header = a->header;
	const size_t edges_bytes =
		(size_t)header->edges.count * sizeof(struct weir_snapshot_edge);
	struct weir_snapshot_edge *edges[2] = {malloc(edges_bytes), malloc(edges_bytes)};

	assert_int_equal(header->bytes, b->header->bytes);
	assert_memory_equal(&header->root, &b->header->root,
			    sizeof(*header) - offsetof(struct weir_snapshot_header, root));
	assert_tables_equal(a, b, header->functions);
	assert_tables_equal(a, b, header->pools);
	assert_tables_equal(a, b, header->nodes);
	assert_tables_equal(a, b, header->hosts);
	assert_tables_equal(a, b, header->targets);
	assert_tables_equal(a, b, header->params);
	assert_tables_equal(a, b, header->strings);
	/* Edges are the same set; the seed decides where they stand and their hashes. */
	memcpy(edges[0], a->edges, edges_bytes);
	memcpy(edges[1], b->edges, edges_bytes);
	for (size_t side = 0; side < 2; side++) {
		qsort(edges[side], header->edges.count, sizeof(**edges), compare_edges);
		for (size_t i = 0; i < header->edges.count; i++)
			edges[side][i].hash = 0;
	}
	assert_memory_equal(edges[0], edges[1], edges_bytes);
	free(edges[0]);
	free(edges[1]);
}

static void fill(struct publish_test *test, bool backwards)
{
	for (size_t i = 0; i < 50; i++) {
		const uint64_t id = backwards ? 50 - i : i + 1;
		char text[64];

		(void)snprintf(text, sizeof(text), "ns%d/f%d", (int)(id % 3), (int)id);
		(void)publish_test_function(test, text, id % 4 == 0 ? "php" : "native");
		test->functions[i].id = id;
	}
	for (size_t i = 0; i < 200; i++) {
		const uint64_t id = backwards ? 200 - i : i + 1;
		char text[64];
		char host[16];

		(void)snprintf(text, sizeof(text), "GET,PUT /%d/{a}/%d%s", (int)(id % 7),
			       (int)(id % 11), id % 5 == 0 ? "/*" : "");
		(void)snprintf(host, sizeof(host), "h%d", (int)(id % 4));
		publish_test_route(test, text, id % 4 == 0 ? "" : host, id % 50 + 1)->id = id;
	}
	publish_test_build(test);
}

static void equal_models_make_equal_tables_in_whatever_order_they_come(void **state)
{
	struct publish_test one = {.fd = -1};
	struct publish_test two = {.fd = -1};

	(void)state;
	fill(&one, false);
	fill(&two, true);
	assert_snapshots_equal(&one.snapshot, &two.snapshot);
	assert_int_not_equal(one.snapshot.header->hash_seed, two.snapshot.header->hash_seed);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(one.shadowed[i], two.shadowed[199 - i]);
	publish_test_close(&one);
	publish_test_close(&two);
}

static void a_wrong_input_is_refused_and_leaves_the_descriptor_alone(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	int fd = 77;

	(void)state;
	(void)publish_test_function(&test, "g", "native");
	(void)publish_test_route(&test, "GET /", "", function);
	struct weir_publish_input input = publish_test_input(&test);

	input.generation = 0;
	assert_int_equal(weir_publish_build(&input, &fd), -EINVAL);
	input = publish_test_input(&test);
	input.pool_workers_min = 5;
	assert_int_equal(weir_publish_build(&input, &fd), -EINVAL);
	input = publish_test_input(&test);
	test.routes[0].function_id = 99;
	assert_int_equal(weir_publish_build(&input, &fd), -ENOENT);
	test.routes[0].function_id = function;
	(void)strcpy(test.routes[0].pattern, "none");
	assert_int_equal(weir_publish_build(&input, &fd), -EINVAL);
	(void)strcpy(test.routes[0].pattern, "/");
	test.functions[1].name[0] = '\0';
	assert_int_equal(weir_publish_build(&input, &fd), -EINVAL);
	(void)strcpy(test.functions[1].name, "g");
	test.functions[1].id = function;
	assert_int_equal(weir_publish_build(&input, &fd), -EEXIST);
	assert_int_equal(fd, 77);
	publish_test_close(&test);
}

static void a_snapshot_can_never_change_again(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	publish_test_build(&test);
	assert_int_equal(pwrite(test.fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(test.fd, 0), -1);
	assert_int_equal(ftruncate(test.fd, 1 << 20), -1);
	assert_int_equal(fcntl(test.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fcntl(test.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	publish_test_close(&test);
}

static void every_function_has_its_local_routes_and_the_own_one_wins_a_name(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	(void)publish_test_function(&test, "same", "native");
	(void)publish_test_function(&test, "same", "native");
	(void)publish_test_function(&test, "same", "native");
	test.functions[0].from_public_table = true;
	publish_test_build(&test);
	assert_int_equal(test.snapshot.header->targets.count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct weir_snapshot_target *target = &test.snapshot.targets[i];

		assert_int_equal(test.snapshot.functions[target->function].id, 2);
		assert_int_equal(target->flags, WEIR_SNAPSHOT_TARGET_LOCAL);
		assert_int_equal(target->method, WEIR_SNAPSHOT_METHOD_ANY);
	}
	assert_string_equal(text_of(&test, test.snapshot.targets[0].pattern), "/default/same");
	assert_string_equal(text_of(&test, test.snapshot.targets[1].pattern),
			    "/default/same/*");
	assert_int_equal(test.snapshot.header->hosts.count, 1);
	assert_string_equal(text_of(&test, test.snapshot.hosts[0].name), "function.weir");
	publish_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_model_makes_a_sound_snapshot),
		cmocka_unit_test(segments_that_no_route_leaves_between_make_one_node),
		cmocka_unit_test(default_settings_are_those_that_users_are_told),
		cmocka_unit_test(functions_are_sorted_by_id_and_keep_what_the_data_path_needs),
		cmocka_unit_test(without_its_worker_php_runs_through_exec_and_others_say_so),
		cmocka_unit_test(a_php_row_keeps_its_interpreter),
		cmocka_unit_test(a_runtime_that_is_here_is_taken_by_its_name),
		cmocka_unit_test(functions_that_would_share_a_heap_have_a_pool_each),
		cmocka_unit_test(pools_of_similar_ids_and_namespaces_have_different_keys),
		cmocka_unit_test(a_pool_is_one_namespace_and_one_runtime),
		cmocka_unit_test(functions_share_the_pools_of_the_specs_that_they_share),
		cmocka_unit_test(a_function_with_a_heap_of_its_own_has_a_pool_for_each_spec),
		cmocka_unit_test(without_a_spec_the_settings_of_the_instance_hold),
		cmocka_unit_test(a_pool_chooses_as_is_set_for_it),
		cmocka_unit_test(settings_are_inherited_but_not_numbers_of_workers_by_specs),
		cmocka_unit_test(a_row_loses_to_a_route_with_its_host_method_and_pattern),
		cmocka_unit_test(
			patterns_that_differ_in_names_only_are_one_and_the_older_stays),
		cmocka_unit_test(equal_models_make_equal_tables_in_whatever_order_they_come),
		cmocka_unit_test(a_wrong_input_is_refused_and_leaves_the_descriptor_alone),
		cmocka_unit_test(a_snapshot_can_never_change_again),
		cmocka_unit_test(
			every_function_has_its_local_routes_and_the_own_one_wins_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
