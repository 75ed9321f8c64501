#include "ctrl/publish/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "ctrl/publish/publish_file.h"
#include "ctrl/publish/publish_plan.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

struct weir_settings weir_publish_settings_default(void)
{
	return (struct weir_settings){
		.target_bytes_max = 8192,
		.head_bytes_max = 16384,
		.headers_max = 100,
		.connections_max = 0,
		.body_bytes_max = UINT64_C(64) << 20,
		.head_timeout_ms = 10000,
		.body_idle_ms = 30000,
		.send_idle_ms = 30000,
		.keep_alive_ms = 60000,
		.kill_grace_ms = 1000,
		.pipeline_max = 32,
		.queue_wait_ms = 400,
		.shared_memory_bytes_max = 0,
		.workers_max = 256,
	};
}

/* One table on its way from the plan to the file. */
struct piece {
	const void *data;
	size_t count;
	size_t stride;
	struct weir_snapshot_table *table;
};

/* Give each table its place behind the header; returns the snapshot's bytes. */
static uint64_t pieces_place(struct piece *pieces, size_t count)
{
	uint64_t offset = sizeof(struct weir_snapshot_header);

	for (size_t i = 0; i < count; i++) {
		offset = (offset + 63) & ~UINT64_C(63); /* no row straddles more lines than it must */
		*pieces[i].table = (struct weir_snapshot_table){
			.offset = offset,
			.count = (uint32_t)pieces[i].count,
			.stride = (uint32_t)pieces[i].stride,
		};
		offset += pieces[i].count * pieces[i].stride;
	}
	return (offset + 7) & ~UINT64_C(7);
}

/* Write all pieces behind the header, each at its place. */
static int pieces_write(int fd, const struct weir_snapshot_header *header,
			const struct piece *pieces, size_t count)
{
	int result = weir_publish_file_write(fd, header, sizeof(*header), 0);

	for (size_t i = 0; result == 0 && i < count; i++)
		result = weir_publish_file_write(fd, pieces[i].data,
						 pieces[i].count * pieces[i].stride,
						 pieces[i].table->offset);
	return result;
}

/* Lay the tables out in a fresh memfd and seal it. Written rather than mapped: a page fault for each
 * 4 KiB costs more than the copy. Mapped once for the checksum, by whoever made it. */
static int write_out(struct weir_snapshot_header *header, struct piece *pieces, size_t count,
		     int *out_fd)
{
	header->bytes = pieces_place(pieces, count);
	header->checksum = 0;
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int result = weir_publish_memfd_create(header->bytes, &fd);

	if (result == 0)
		result = pieces_write(fd, header, pieces, count);
	if (result != 0)
		return result;
	const void *data = mmap(NULL, header->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (data == MAP_FAILED)
		return -errno;
	header->checksum = weir_snapshot_checksum(data, header->bytes);
	(void)munmap((void *)(uintptr_t)data, header->bytes); /* our own mapping: cannot fail */
	result = weir_publish_file_write(fd, header, sizeof(*header), 0);
	if (result == 0)
		result = weir_publish_memfd_seal(fd);
	if (result != 0)
		return result;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static int plan_write(const struct weir_publish_plan *plan, int *out_fd)
{
	struct weir_snapshot_header header = {
		.magic = WEIR_SNAPSHOT_MAGIC,
		.abi_major = WEIR_SNAPSHOT_ABI_MAJOR,
		.header_bytes = sizeof(header),
		.generation = plan->input->generation,
		.hash_seed = plan->edges.seed,
		.built_ns = weir_clock_wall_ns(),
		.settings = plan->input->settings,
		.root = plan->root,
	};
	struct piece pieces[] = {
		{plan->functions.data, plan->functions.count,
		 sizeof(struct weir_snapshot_function), &header.functions},
		{plan->specs.data, plan->specs.count, sizeof(struct weir_snapshot_spec),
		 &header.specs},
		{plan->pools.data, plan->pools.count, sizeof(struct weir_snapshot_pool),
		 &header.pools},
		{plan->nodes.data, plan->nodes.count, sizeof(struct weir_snapshot_node),
		 &header.nodes},
		{plan->edges.cell, plan->edges.cell_count, sizeof(struct weir_snapshot_edge),
		 &header.edges},
		{plan->hosts.data, plan->hosts.count, sizeof(struct weir_snapshot_host),
		 &header.hosts},
		{plan->targets.data, plan->targets.count, sizeof(struct weir_snapshot_target),
		 &header.targets},
		{plan->params.data, plan->params.count, sizeof(struct weir_snapshot_string),
		 &header.params},
		{plan->keys.data, plan->keys.count, sizeof(struct weir_snapshot_key),
		 &header.keys},
		{plan->strings.text, plan->strings.bytes, 1, &header.strings},
	};

	return write_out(&header, pieces, sizeof(pieces) / sizeof(pieces[0]), out_fd);
}

/* Fill the tables and write them. */
static int plan_build(struct weir_publish_plan *plan, struct weir_publish_list *list, int *out_fd)
{
	struct weir_snapshot_string empty;
	/* Absent strings are zeroed slices: let them point to an empty string. */
	int result = weir_publish_strings_intern(&plan->strings, WEIR_SPAN(""), &empty);

	/* Who cannot guess the seed cannot choose paths that collide. */
	if (getrandom(&plan->edges.seed, sizeof(plan->edges.seed), 0) !=
	    sizeof(plan->edges.seed))
		return -EIO;
	if (result == 0)
		result = weir_publish_plan_functions(plan);
	if (result == 0)
		result = weir_publish_plan_routes(plan, list);
	if (result == 0)
		result = weir_publish_plan_keys(plan);
	if (result == 0)
		result = weir_publish_edges_hash(&plan->edges);
	return result == 0 ? plan_write(plan, out_fd) : result;
}

int weir_publish_build_list(const struct weir_publish_input *input,
			    struct weir_publish_list *list, int *out_fd,
			    struct weir_snapshot *out_snapshot)
{
	WEIR_CLEANUP(weir_publish_plan_free) struct weir_publish_plan plan = {.input = input};
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int result = 0;

	if (input->generation == 0 || input->pool_workers_min > input->pool_workers_max)
		return -EINVAL;
	result = plan_build(&plan, list, &fd);
	if (result == 0)
		result = weir_snapshot_attach(fd, out_snapshot);
	if (result != 0)
		return result;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_publish_build(const struct weir_publish_input *input, int *out_fd)
{
	WEIR_CLEANUP(weir_publish_list_release) struct weir_publish_list list = {.count = 0};
	struct weir_snapshot snapshot = {0};
	int result = 0;

	if (input->route_count >= UINT32_MAX)
		return -E2BIG;
	for (size_t i = 0; result == 0 && i < input->route_count; i++)
		result = weir_publish_list_add(
			&list, &input->routes[i],
			input->routes[i].from_public_table ? WEIR_PUBLISH_PUBLIC : WEIR_PUBLISH_STORE, (uint32_t)i);
	if (result == 0)
		result = weir_publish_build_list(input, &list, out_fd, &snapshot);
	if (result != 0)
		return result;
	weir_snapshot_detach(&snapshot);
	for (size_t i = 0; input->out_shadowed != NULL && i < list.count; i++)
		input->out_shadowed[list.entry[i].origin] = list.entry[i].shadowed;
	return 0;
}
