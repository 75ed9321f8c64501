#include "tests/shm/shm_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "dataplane/base/fd.h"
#include "tests/shm/snapshot_sample.h"

static struct snapshot_sample sample;
static struct weir_snapshot view;

static int setup(void **state)
{
	(void)state;
	sample_build(&sample);
	return 0;
}

/* Check the sample as it stands now, with the right checksum. */
static int check(void)
{
	sample_checksum(&sample);
	return weir_snapshot_check(&sample, sizeof(sample), &view);
}

/* The sample with one damage: it must be refused; then a sound one again. */
#define ASSERT_REFUSED(damage)                                                                 \
	do {                                                                                   \
		damage;                                                                        \
		assert_int_equal(check(), -EBADMSG);                                           \
		sample_build(&sample);                                                         \
	} while (0)

static void sound_snapshot_passes_and_its_tables_are_found(void **state)
{
	(void)state;
	assert_int_equal(check(), 0);
	assert_int_equal(view.function_count, 3);
	assert_int_equal(view.pool_count, 2);
	assert_int_equal(view.edge_mask, 3);
	assert_ptr_equal(view.targets, sample.targets);
	assert_true(weir_span_equal(weir_snapshot_span(&view, view.params[0]), WEIR_SPAN("id")));
	assert_true(weir_span_equal(weir_snapshot_span(&view, view.pools[1].space), WEIR_SPAN("default")));
}

static void function_is_found_by_id_only(void **state)
{
	(void)state;
	assert_int_equal(check(), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_ptr_equal(weir_snapshot_function_find(&view, 10 * (i + 1)), &sample.functions[i]);
	assert_null(weir_snapshot_function_find(&view, 0));
	assert_null(weir_snapshot_function_find(&view, 15));
	assert_null(weir_snapshot_function_find(&view, UINT64_MAX));
	sample.header.functions.count = 0;
	sample.header.targets.count = 0;
	memset(sample.nodes, 0, sizeof(sample.nodes));
	memset(sample.edges, 0xff, sizeof(sample.edges));
	assert_int_equal(check(), 0); /* nothing configured is sound too */
	assert_null(weir_snapshot_function_find(&view, 10));
}

static void edge_hash_depends_on_seed_parent_and_segment(void **state)
{
	const uint64_t hash = weir_snapshot_edge_hash(1, 2, WEIR_SPAN("a"));

	(void)state;
	assert_int_equal(hash, weir_snapshot_edge_hash(1, 2, WEIR_SPAN("a")));
	assert_int_not_equal(hash, weir_snapshot_edge_hash(2, 2, WEIR_SPAN("a")));
	assert_int_not_equal(hash, weir_snapshot_edge_hash(1, 3, WEIR_SPAN("a")));
	assert_int_not_equal(hash, weir_snapshot_edge_hash(1, 2, WEIR_SPAN("b")));
}

static void any_changed_byte_fails_the_checksum(void **state)
{
	uint8_t *const bytes = (uint8_t *)&sample;

	(void)state;
	for (size_t i = 0; i < sizeof(sample); i++) {
		if (i >= offsetof(struct weir_snapshot_header, abi_major) &&
		    i < offsetof(struct weir_snapshot_header, header_bytes))
			continue; /* another version: its own error */
		bytes[i] ^= 0x10;
		assert_int_equal(weir_snapshot_check(&sample, sizeof(sample), &view), -EBADMSG);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(weir_snapshot_check(&sample, sizeof(sample), &view), 0);
}

static void damaged_header_is_refused(void **state)
{
	(void)state;
	assert_int_equal(weir_snapshot_check(&sample, sizeof(sample) - 1, &view), -EBADMSG);
	assert_int_equal(weir_snapshot_check(&sample, sizeof(sample.header) - 1, &view), -EBADMSG);
	assert_int_equal(weir_snapshot_check(&sample, 0, &view), -EBADMSG);
	ASSERT_REFUSED(sample.header.magic++);
	ASSERT_REFUSED(sample.header.header_bytes--);
	ASSERT_REFUSED(sample.header.generation = 0);
	ASSERT_REFUSED(sample.header.reserved = 1);
	ASSERT_REFUSED(sample.header.root = 4);
	sample.header.bytes = sizeof(sample.header) - 1;
	assert_int_equal(weir_snapshot_check(&sample, sizeof(sample), &view), -EBADMSG);
	sample_build(&sample);
	sample.header.abi_major++;
	assert_int_equal(check(), -EPROTO);
}

static void tables_outside_the_snapshot_or_of_other_rows_are_refused(void **state)
{
	struct weir_snapshot_table *const tables = &sample.header.functions;

	(void)state;
	for (int i = 0; i < 9; i++) {
		ASSERT_REFUSED(tables[i].offset = sizeof(sample) + 8);
		ASSERT_REFUSED(tables[i].offset = UINT64_MAX - 7);
		ASSERT_REFUSED(tables[i].offset += 4);
		ASSERT_REFUSED(tables[i].offset = 8); /* in the header */
		ASSERT_REFUSED(tables[i].count = UINT32_MAX);
		ASSERT_REFUSED(tables[i].stride++);
		ASSERT_REFUSED(tables[i].stride = 0);
	}
}

static void damaged_functions_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.functions[1].id = 10);
	ASSERT_REFUSED(sample.functions[1].id = 9);
	ASSERT_REFUSED(sample.functions[0].runtime = WEIR_RUNTIME_COUNT);
	ASSERT_REFUSED(sample.functions[0].pool = 2);
	ASSERT_REFUSED(sample.functions[0].pool = 1); /* of another runtime */
	ASSERT_REFUSED(sample.functions[0].pool = WEIR_SNAPSHOT_NONE);
	ASSERT_REFUSED(sample.functions[2].pool = 0);
	ASSERT_REFUSED(sample.functions[0].flags = 4);
	ASSERT_REFUSED(sample.functions[2].spec_count = 1);
	ASSERT_REFUSED(sample.functions[2].spec_first = 1);
	for (int i = 0; i < 6; i++)
		ASSERT_REFUSED((&sample.functions[1].space)[i].offset = sizeof(sample.strings));
}

static void damaged_specs_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.functions[0].spec_count = 0);
	ASSERT_REFUSED(sample.functions[0].spec_count = 3); /* the third is of another runtime */
	ASSERT_REFUSED(sample.functions[1].spec_count = 2);
	ASSERT_REFUSED(sample.functions[1].spec_first = 3);
	ASSERT_REFUSED(sample.functions[1].spec_first = UINT32_MAX);
	ASSERT_REFUSED(sample.specs[0].pool = 2);
	ASSERT_REFUSED(sample.specs[0].pool = 1);
	ASSERT_REFUSED(sample.specs[0].workers_min = 3);
	ASSERT_REFUSED(sample.specs[0].reserved = 1);
	ASSERT_REFUSED(sample.specs[0].cpu_millicores = 1);
	ASSERT_REFUSED(sample.specs[0].memory_mb = 2); /* as the next */
	ASSERT_REFUSED(sample.specs[0].memory_mb = 3); /* before a smaller one */
}

static void a_spec_without_a_limit_of_cpu_time_is_the_largest(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		sample.functions[0].spec_count = 2;
		sample.functions[1].spec_first = 1;
		sample.functions[1].runtime = WEIR_RUNTIME_NATIVE;
		sample.pools[1].runtime = WEIR_RUNTIME_NATIVE;
		sample.functions[1].pool = 1;
		sample.specs[i] = (struct weir_snapshot_spec){.memory_mb = 1, .workers_max = 1, .pool = i};
		sample.specs[1 - i] = (struct weir_snapshot_spec){
			.cpu_millicores = 1000, .memory_mb = 1, .workers_max = 1, .pool = 1 - i};
		sample.pools[i].cpu_millicores = 0;
		sample.pools[1 - i].cpu_millicores = 1000;
		sample_checksum(&sample);
		assert_int_equal(check(), i == 1 ? 0 : -EBADMSG);
	}
	assert_ptr_equal(weir_snapshot_spec_find(&view, &sample.functions[0], 1), &sample.specs[1]);
	assert_ptr_equal(weir_snapshot_spec_find(&view, &sample.functions[0], 0), &sample.specs[0]);
	assert_null(weir_snapshot_spec_find(&view, &sample.functions[1], 0));
	assert_null(weir_snapshot_spec_find(&view, &sample.functions[2], 0));
}

static void who_wants_functions_only_gets_them_checked_and_nothing_else(void **state)
{
	(void)state;
	sample.header.checksum++; /* over bytes that are not looked at */
	sample.nodes[1].routes_first = 3;
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), 0);
	assert_int_equal(view.function_count, 3);
	assert_ptr_equal(weir_snapshot_function_find(&view, 20), &sample.functions[1]);
	assert_null(view.nodes);
	assert_null(view.edges);
	assert_null(view.hosts);
	assert_null(view.targets);
	assert_null(view.params);
	assert_null(view.keys);
	sample.functions[1].id = 10;
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), -EBADMSG);
	sample_build(&sample);
	sample.functions[2].reason.offset = sizeof(sample.strings);
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), -EBADMSG);
	sample_build(&sample);
	sample.pools[0].runtime = WEIR_RUNTIME_COUNT;
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), -EBADMSG);
	sample_build(&sample);
	sample.header.functions.offset += 4;
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), -EBADMSG);
	sample_build(&sample);
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample) - 1, &view), -EBADMSG);
	sample.header.abi_major++;
	assert_int_equal(weir_snapshot_check_functions(&sample, sizeof(sample), &view), -EPROTO);
}

static void strings_outside_or_without_an_end_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.params[0].bytes--); /* no NUL there */
	ASSERT_REFUSED(sample.params[0].bytes = UINT32_MAX);
	ASSERT_REFUSED(sample.params[0].offset = UINT32_MAX);
	ASSERT_REFUSED(sample.params[0].bytes = sizeof(sample.strings) - sample.params[0].offset);
	ASSERT_REFUSED(sample.pools[0].space.offset = sizeof(sample.strings));
	ASSERT_REFUSED(sample.targets[0].pattern.bytes++);
	ASSERT_REFUSED(sample.hosts[0].name.bytes++);
	ASSERT_REFUSED(sample.header.strings.count = 0);
}

static void damaged_pools_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.pools[0].runtime = WEIR_RUNTIME_MISSING);
	ASSERT_REFUSED(sample.pools[0].runtime = WEIR_RUNTIME_COUNT);
	ASSERT_REFUSED(sample.pools[0].workers_min = 3);
	ASSERT_REFUSED(sample.pools[0].cpu_millicores = 500); /* not what its specs have */
	ASSERT_REFUSED(sample.pools[0].memory_bytes = UINT64_C(1) << 20); /* less than one wants */
	ASSERT_REFUSED(sample.pools[0].policy = WEIR_POLICY_COUNT);
	ASSERT_REFUSED(sample.pools[0].flags = WEIR_SNAPSHOT_POOL_SPEC); /* with another memory than its specs */
	ASSERT_REFUSED(sample.pools[0].flags = 4);
	ASSERT_REFUSED(sample.pools[1].weights.epsilon = WEIR_WEIGHT_MAX + 1);
	ASSERT_REFUSED(sample.pools[1].weights.ema = WEIR_WEIGHT_ONE);
	ASSERT_REFUSED(sample.pools[0].function.offset = sizeof(sample.strings));
}

static void damaged_nodes_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.nodes[2].param_child = 4);
	ASSERT_REFUSED(sample.nodes[1].routes_first = 3);
	ASSERT_REFUSED(sample.nodes[1].routes_count = 4);
	ASSERT_REFUSED(sample.nodes[0].wildcard_first = UINT32_MAX);
	ASSERT_REFUSED(sample.nodes[0].wildcard_count = 2);
	ASSERT_REFUSED(sample.nodes[0].literal_count = 3);
	ASSERT_REFUSED(sample.nodes[0].literal_count = 0);
}

/* Give node 1 the label "items/list" with this many segments said. */
static void label_set(uint32_t segments)
{
	sample.nodes[1].label = sample_string(&sample, "items/list");
	sample.nodes[1].label_segments = segments;
}

static void labels_are_taken_only_with_as_many_segments_as_they_have(void **state)
{
	(void)state;
	label_set(2);
	assert_int_equal(check(), 0);
	sample.nodes[1].label.bytes = 0;
	sample.nodes[1].label_segments = 1; /* one empty segment */
	assert_int_equal(check(), 0);
	sample_build(&sample);
	ASSERT_REFUSED(label_set(1));
	ASSERT_REFUSED(label_set(3));
	ASSERT_REFUSED(label_set(0));
	ASSERT_REFUSED(label_set(UINT32_MAX));
	ASSERT_REFUSED(label_set(2); sample.nodes[1].label.offset = sizeof(sample.strings));
	ASSERT_REFUSED(label_set(2); sample.nodes[1].label.bytes = sizeof(sample.strings));
	ASSERT_REFUSED(label_set(2); sample.nodes[1].label.bytes = UINT32_MAX);
}

/* The cell of the edge to `child`. */
static struct weir_snapshot_edge *edge_to(uint32_t child)
{
	for (int i = 0; i < SAMPLE_EDGES; i++)
		if (sample.edges[i].child == child)
			return &sample.edges[i];
	fail_msg("no edge to node %u", child);
	return NULL;
}

/* Move the edge to node 1 into an empty cell that its probe sequence does not reach. */
static void edge_misplace(void)
{
	struct weir_snapshot_edge *const edge = edge_to(1);
	const struct weir_snapshot_edge copy = *edge;

	edge_to(2)->child = WEIR_SNAPSHOT_NONE;
	sample.nodes[0].literal_count--;
	edge->child = WEIR_SNAPSHOT_NONE;
	sample.edges[(copy.hash + 1) % SAMPLE_EDGES] = copy;
}

static void damaged_edges_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(edge_to(1)->child = 4);
	ASSERT_REFUSED(edge_to(1)->child = WEIR_SNAPSHOT_NONE);
	ASSERT_REFUSED(edge_to(1)->parent = 4);
	ASSERT_REFUSED(edge_to(1)->parent = 3); /* that one has no literals */
	ASSERT_REFUSED(edge_to(1)->hash++);
	ASSERT_REFUSED(edge_to(1)->segment.bytes++);
	ASSERT_REFUSED(edge_to(1)->segment = (struct weir_snapshot_string){0});
	ASSERT_REFUSED(edge_misplace());
	ASSERT_REFUSED(sample.header.edges.count = 3);
	ASSERT_REFUSED(sample.header.edges.count = 0);
	ASSERT_REFUSED(sample.header.edges.count = 2);
	ASSERT_REFUSED(sample.header.hash_seed++);
}

static void full_edge_table_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < SAMPLE_EDGES; i++)
		if (sample.edges[i].child == WEIR_SNAPSHOT_NONE)
			sample.edges[i] = *edge_to(1);
	sample.nodes[0].literal_count = SAMPLE_EDGES;
	assert_int_equal(check(), -EBADMSG);
}

static void hosts_swap(void)
{
	const struct weir_snapshot_host first = sample.hosts[0];

	sample.hosts[0] = sample.hosts[1];
	sample.hosts[1] = first;
}

static void damaged_hosts_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.hosts[0].root = 4);
	ASSERT_REFUSED(sample.hosts[1] = sample.hosts[0]); /* twice */
	ASSERT_REFUSED(sample.hosts[1].name.offset += 1; sample.hosts[1].name.bytes -= 1); /* "." < "a" */
	ASSERT_REFUSED(hosts_swap()); /* the longer of two equal beginnings comes second */
}

static void damaged_targets_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.targets[0].function = 3);
	ASSERT_REFUSED(sample.targets[0].method = 16);
	ASSERT_REFUSED(sample.targets[0].method = 254);
	ASSERT_REFUSED(sample.targets[0].flags = 8);
	ASSERT_REFUSED(sample.targets[0].flags = WEIR_SNAPSHOT_TARGET_ASKS); /* its function is somebody's */
	ASSERT_REFUSED(sample.targets[0].role = 4);
	ASSERT_REFUSED(sample.targets[1].param_count = 2);
	ASSERT_REFUSED(sample.targets[1].params_first = 1);
	ASSERT_REFUSED(sample.header.params.count = 0);
}

static void damaged_keys_are_refused(void **state)
{
	(void)state;
	ASSERT_REFUSED(sample.keys[0].id[0] = 2); /* not sorted */
	ASSERT_REFUSED(sample.keys[1] = sample.keys[0]); /* twice */
	ASSERT_REFUSED(sample.keys[0].role = 0);
	ASSERT_REFUSED(sample.keys[0].role = 4);
	ASSERT_REFUSED(sample.keys[1].reserved = 1);
	ASSERT_REFUSED(sample.keys[1].space.offset = UINT32_MAX);
	ASSERT_REFUSED(sample.header.keys.count = WEIR_SNAPSHOT_KEYS_MAX + 1);
}

static void key_is_found_by_id_only(void **state)
{
	const uint8_t ids[][16] = {{1}, {1, 1}, {0}, {1, 0, 1}, {2}};

	(void)state;
	assert_int_equal(check(), 0);
	assert_ptr_equal(weir_snapshot_key_find(&view, ids[0]), &sample.keys[0]);
	assert_ptr_equal(weir_snapshot_key_find(&view, ids[1]), &sample.keys[1]);
	for (size_t i = 2; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_null(weir_snapshot_key_find(&view, ids[i]));
}

/* A memfd with the sample and the seals `seals`. */
static int memfd_of_sample(int seals)
{
	const int fd = memfd_create("sample", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, &sample, sizeof(sample)), sizeof(sample));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void attach_maps_a_sealed_snapshot_and_detach_unmaps_it(void **state)
{
	struct weir_snapshot attached = {0};
	const int fd = memfd_of_sample(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	unsigned char present = 0;
	const void *where = NULL;

	(void)state;
	assert_int_equal(weir_snapshot_attach(fd, &attached), 0);
	(void)close(fd);
	assert_int_equal(attached.header->generation, 1);
	assert_non_null(weir_snapshot_function_find(&attached, 30));
	where = attached.header;
	weir_snapshot_detach(&attached);
	assert_null(attached.header);
	assert_int_equal(mincore((void *)(uintptr_t)where, 1, &present), -1);
	weir_snapshot_detach(&attached);
}

static void attach_refuses_missing_seals_and_damage(void **state)
{
	static const int missing[] = {F_SEAL_WRITE | F_SEAL_SHRINK, F_SEAL_WRITE | F_SEAL_GROW,
				      F_SEAL_SHRINK | F_SEAL_GROW, 0};
	struct weir_snapshot attached = {0};
	int fd = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		fd = memfd_of_sample(missing[i]);
		assert_int_equal(weir_snapshot_attach(fd, &attached), -EBADMSG);
		(void)close(fd);
	}
	sample.header.generation = 2; /* against the checksum */
	fd = memfd_of_sample(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(weir_snapshot_attach(fd, &attached), -EBADMSG);
	(void)close(fd);
	sample.header.abi_major = 9;
	fd = memfd_of_sample(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(weir_snapshot_attach(fd, &attached), -EPROTO);
	(void)close(fd);
	assert_int_equal(weir_snapshot_attach(-1, &attached), -EBADMSG);
	assert_null(attached.header);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sound_snapshot_passes_and_its_tables_are_found, setup),
		cmocka_unit_test_setup(function_is_found_by_id_only, setup),
		cmocka_unit_test_setup(edge_hash_depends_on_seed_parent_and_segment, setup),
		cmocka_unit_test_setup(any_changed_byte_fails_the_checksum, setup),
		cmocka_unit_test_setup(damaged_header_is_refused, setup),
		cmocka_unit_test_setup(tables_outside_the_snapshot_or_of_other_rows_are_refused, setup),
		cmocka_unit_test_setup(damaged_functions_are_refused, setup),
		cmocka_unit_test_setup(who_wants_functions_only_gets_them_checked_and_nothing_else, setup),
		cmocka_unit_test_setup(strings_outside_or_without_an_end_are_refused, setup),
		cmocka_unit_test_setup(damaged_specs_are_refused, setup),
		cmocka_unit_test_setup(a_spec_without_a_limit_of_cpu_time_is_the_largest, setup),
		cmocka_unit_test_setup(damaged_pools_are_refused, setup),
		cmocka_unit_test_setup(damaged_nodes_are_refused, setup),
		cmocka_unit_test_setup(labels_are_taken_only_with_as_many_segments_as_they_have, setup),
		cmocka_unit_test_setup(damaged_edges_are_refused, setup),
		cmocka_unit_test_setup(full_edge_table_is_refused, setup),
		cmocka_unit_test_setup(damaged_hosts_are_refused, setup),
		cmocka_unit_test_setup(damaged_targets_are_refused, setup),
		cmocka_unit_test_setup(damaged_keys_are_refused, setup),
		cmocka_unit_test_setup(key_is_found_by_id_only, setup),
		cmocka_unit_test_setup(attach_maps_a_sealed_snapshot_and_detach_unmaps_it, setup),
		cmocka_unit_test_setup(attach_refuses_missing_seals_and_damage, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
