/* snapshot: attaching the configuration (layout: abi/snapshot.h).
 * Attach checks everything once, so that later readers follow offsets without checks. Immutable:
 * any number of threads may read. Owns: attach maps, detach unmaps; the descriptor stays the
 * caller's. Publisher death: nothing changes. */
#ifndef WEIR_DATAPLANE_SHM_SNAPSHOT_H
#define WEIR_DATAPLANE_SHM_SNAPSHOT_H

#include "dataplane/abi/snapshot.h"
#include "dataplane/base/span.h"

struct weir_snapshot {
	const struct weir_snapshot_header *header;
	const struct weir_snapshot_function *functions;
	const struct weir_snapshot_spec *specs;
	const struct weir_snapshot_pool *pools;
	const struct weir_snapshot_node *nodes;
	const struct weir_snapshot_edge *edges;
	const struct weir_snapshot_host *hosts;
	const struct weir_snapshot_target *targets;
	const struct weir_snapshot_string *params;
	const struct weir_snapshot_key *keys;
	const char *strings;
	uint32_t function_count;
	uint32_t pool_count;
	uint32_t key_count;
	uint32_t edge_mask; /* edges.count - 1 */
	size_t bytes;
};

/* Map a sealed memfd read-only and check it whole. 0, -EBADMSG (seals, size, magic, checksum or any
 * reference out of range), -EPROTO (other ABI major) or -errno. Control thread. */
int weir_snapshot_attach(int fd, struct weir_snapshot *out_snapshot);

/* The same over memory that the caller keeps (a checked file, a fuzzer's bytes); detach is then not
 * called. `data` is 8-aligned. */
int weir_snapshot_check(const void *data, size_t bytes, struct weir_snapshot *out_snapshot);

/* For a process that looks up functions and never routes, of which there may be hundreds: check and
 * give functions, specs, pools, strings and settings only; the other tables are NULL, the checksum is not
 * computed, pages are mapped as they are used. Errors as above. */
int weir_snapshot_attach_functions(int fd, struct weir_snapshot *out_snapshot);
int weir_snapshot_check_functions(const void *data, size_t bytes,
				  struct weir_snapshot *out_snapshot);

/* Unmap; accepts a zeroed struct. */
void weir_snapshot_detach(struct weir_snapshot *snapshot);

static inline struct weir_span weir_snapshot_span(const struct weir_snapshot *snapshot,
						  struct weir_snapshot_string string)
{
	return (struct weir_span){.data = snapshot->strings + string.offset, .bytes = string.bytes};
}

/* Function by id, or NULL. Binary search: functions are sorted by id. Any thread. */
const struct weir_snapshot_function *weir_snapshot_function_find(const struct weir_snapshot *snapshot,
								 uint64_t id);

/* Key by id, or NULL. Binary search. Any thread. */
const struct weir_snapshot_key *weir_snapshot_key_find(const struct weir_snapshot *snapshot, const uint8_t id[16]);

/* The function's spec whose workers are the pool `pool_key`; NULL if that pool does not run it. Any thread. */
const struct weir_snapshot_spec *weir_snapshot_spec_find(const struct weir_snapshot *snapshot,
							 const struct weir_snapshot_function *function,
							 uint64_t pool_key);

/* Checksum of a whole snapshot of `bytes` bytes (at least a header), its checksum field taken as
 * zero: what the builder stores and the check compares. */
uint64_t weir_snapshot_checksum(const void *data, size_t bytes);

/* Hash of one path segment below `parent`: where its edge's probe sequence starts. */
uint64_t weir_snapshot_edge_hash(uint64_t seed, uint32_t parent, struct weir_span segment);

#endif
