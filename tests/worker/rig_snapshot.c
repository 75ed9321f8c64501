#include "tests/worker/rig_snapshot.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/shm/snapshot.h"

struct layout {
	struct weir_snapshot_header header;
	struct weir_snapshot_function functions[RIG_FUNCTIONS_MAX];
	struct weir_snapshot_spec spec;
	struct weir_snapshot_pool pool;
	struct weir_snapshot_node root;
	struct weir_snapshot_edge edges[2];
	char strings[16384];
};

static struct weir_snapshot_string string_add(struct layout *layout, size_t *used,
					      const char *text)
{
	const size_t bytes = text != NULL ? strlen(text) : 0;
	const struct weir_snapshot_string string = {.offset = (uint32_t)*used,
						    .bytes = (uint32_t)bytes};

	assert_true(*used + bytes + 1 <= sizeof(layout->strings));
	if (bytes != 0)
		memcpy(layout->strings + *used, text, bytes);
	layout->strings[*used + bytes] = '\0';
	*used += bytes + 1;
	return string;
}

static struct weir_snapshot_table table(size_t offset, size_t count, size_t stride)
{
	return (struct weir_snapshot_table){
		.offset = offset, .count = (uint32_t)count, .stride = (uint32_t)stride};
}

static void functions_write(struct layout *layout, size_t *used,
			    const struct rig_function *functions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		layout->functions[i] = (struct weir_snapshot_function){
			.id = functions[i].id,
			.version = functions[i].version,
			.timeout_ns = UINT64_C(5000000000),
			.memory_bytes = UINT64_C(1) << 28,
			.pool = 0,
			.runtime = WEIR_RUNTIME_NATIVE,
			.queue_max = 1024,
			.spec_count = 1,
			.space = string_add(layout, used, "default"),
			.name = string_add(layout, used, functions[i].name),
			.code_path = string_add(layout, used, functions[i].code_path),
			.handler = string_add(layout, used, functions[i].handler),
			.interpreter = string_add(layout, used, functions[i].interpreter),
			.reason = string_add(layout, used, functions[i].is_elsewhere ? "elsewhere" : ""),
		};
		if (functions[i].is_elsewhere) {
			layout->functions[i].runtime = WEIR_RUNTIME_MISSING;
			layout->functions[i].pool = WEIR_SNAPSHOT_NONE;
			layout->functions[i].spec_count = 0;
		}
	}
}

int rig_snapshot_build(const struct rig_function *functions, size_t count, uint64_t generation)
{
	static struct layout layout;
	struct weir_snapshot_header *const header = &layout.header;
	size_t used = 0;
	struct weir_snapshot checked;
	int fd = -1;

	assert_true(count <= RIG_FUNCTIONS_MAX);
	memset(&layout, 0, sizeof(layout));
	functions_write(&layout, &used, functions, count);
	layout.pool = (struct weir_snapshot_pool){
		.key = 70, .runtime = WEIR_RUNTIME_NATIVE, .workers_max = 1, .memory_bytes = UINT64_C(1) << 28,
		.scale = WEIR_AUTOSCALE_RULE_DEFAULT};
	layout.spec = (struct weir_snapshot_spec){.memory_mb = 256, .workers_max = 1};
	layout.pool.space = string_add(&layout, &used, "default");
	layout.pool.function = string_add(&layout, &used, "");
	layout.root.param_child = WEIR_SNAPSHOT_NONE;
	layout.edges[0].child = WEIR_SNAPSHOT_NONE;
	layout.edges[1].child = WEIR_SNAPSHOT_NONE;
	header->magic = WEIR_SNAPSHOT_MAGIC;
	header->abi_major = WEIR_SNAPSHOT_ABI_MAJOR;
	header->header_bytes = sizeof(*header);
	header->bytes = sizeof(layout);
	header->generation = generation;
	header->functions =
		table(offsetof(struct layout, functions), count, sizeof(layout.functions[0]));
	header->specs = table(offsetof(struct layout, spec), 1, sizeof(layout.spec));
	header->pools = table(offsetof(struct layout, pool), 1, sizeof(layout.pool));
	header->nodes = table(offsetof(struct layout, root), 1, sizeof(layout.root));
	header->edges = table(offsetof(struct layout, edges), 2, sizeof(layout.edges[0]));
	header->hosts = table(sizeof(*header), 0, sizeof(struct weir_snapshot_host));
	header->targets = table(sizeof(*header), 0, sizeof(struct weir_snapshot_target));
	header->params = table(sizeof(*header), 0, sizeof(struct weir_snapshot_string));
	header->keys = table(sizeof(*header), 0, sizeof(struct weir_snapshot_key));
	header->strings = table(offsetof(struct layout, strings) & ~(size_t)7, 0, 1);
	/* Tables start 8-aligned; the strings' offsets count from there. */
	assert_int_equal(offsetof(struct layout, strings) % 8, 0);
	header->strings.count = (uint32_t)used;
	header->checksum = weir_snapshot_checksum(&layout, sizeof(layout));
	assert_int_equal(weir_snapshot_check(&layout, sizeof(layout), &checked), 0);
	fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd != -1);
	assert_int_equal(write(fd, &layout, sizeof(layout)), sizeof(layout));
	assert_int_equal(fcntl(fd, F_ADD_SEALS,
			       F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			 0);
	return fd;
}
