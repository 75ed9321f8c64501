#include "ctrl/publish/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
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

static uint64_t realtime_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	return (uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Give each table its place behind the header; returns the snapshot's bytes. */
static uint64_t pieces_place(struct piece *pieces, size_t count)
{
	uint64_t offset = sizeof(struct weir_snapshot_header);

	for (size_t i = 0; i < count; i++) {
		offset = (offset + 7) & ~UINT64_C(7);
		*pieces[i].table = (struct weir_snapshot_table){
			.offset = offset,
			.count = (uint32_t)pieces[i].count,
			.stride = (uint32_t)pieces[i].stride,
		};
		offset += pieces[i].count * pieces[i].stride;
	}
	return (offset + 7) & ~UINT64_C(7);
}

/* Lay the tables out in a fresh memfd and seal it. */
static int write_out(struct weir_snapshot_header *header, struct piece *pieces, size_t count,
		     int *out_fd)
{
	header->bytes = pieces_place(pieces, count);
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int result = weir_publish_memfd_create(header->bytes, &fd);

	if (result != 0)
		return result;
	char *data = mmap(NULL, header->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (data == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].count > 0)
			memcpy(data + pieces[i].table->offset, pieces[i].data,
			       pieces[i].count * pieces[i].stride);
	}
	header->checksum = 0;
	memcpy(data, header, sizeof(*header));
	header->checksum = weir_snapshot_checksum(data, header->bytes);
	memcpy(data, header, sizeof(*header));
	(void)munmap(data, header->bytes); /* our own mapping: cannot fail */
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
		.built_ns = realtime_ns(),
		.settings = plan->input->settings,
		.root = plan->root,
	};
	struct piece pieces[] = {
		{plan->functions.data, plan->functions.count,
		 sizeof(struct weir_snapshot_function), &header.functions},
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
		{plan->strings.text, plan->strings.bytes, 1, &header.strings},
	};

	return write_out(&header, pieces, sizeof(pieces) / sizeof(pieces[0]), out_fd);
}

int weir_publish_build(const struct weir_publish_input *input, int *out_fd)
{
	WEIR_CLEANUP(weir_publish_plan_free) struct weir_publish_plan plan = {.input = input};
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct weir_snapshot snapshot = {0};
	struct weir_snapshot_string empty;

	if (input->generation == 0 || input->pool_workers_min > input->pool_workers_max)
		return -EINVAL;
	/* Who cannot guess the seed cannot choose paths that collide. */
	if (getrandom(&plan.edges.seed, sizeof(plan.edges.seed), 0) != sizeof(plan.edges.seed))
		return -EIO;
	/* Absent strings are zeroed slices: let them point to an empty string. */
	int result = weir_publish_strings_intern(&plan.strings, WEIR_SPAN(""), &empty);

	if (result == 0)
		result = weir_publish_edges_open(&plan.edges);
	if (result == 0)
		result = weir_publish_plan_functions(&plan);
	if (result == 0)
		result = weir_publish_plan_routes(&plan);
	if (result == 0)
		result = plan_write(&plan, &fd);
	if (result == 0)
		result = weir_snapshot_attach(fd, &snapshot);
	if (result != 0)
		return result;
	weir_snapshot_detach(&snapshot);
	*out_fd = fd;
	fd = -1;
	return 0;
}
