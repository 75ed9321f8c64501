/* segment: creating, checking and mapping a link's shared memory (layout: abi/link.h).
 * Owns: attach maps, detach unmaps; the descriptor stays the caller's. Control threads only; may
 * block. Peer death: the mapping stays valid (sealed against shrinking), its contents are stale. */
#ifndef WEIR_DATAPLANE_SHM_SEGMENT_H
#define WEIR_DATAPLANE_SHM_SEGMENT_H

#include "dataplane/abi/link.h"

struct weir_segment {
	struct weir_link_header *header;
	struct weir_link_pair *pair; /* shard_count of them */
	size_t bytes;
	uint32_t shard_count; /* copied from the header and checked against the size */
	uint64_t link_id;
	uint64_t worker_id;
};

/* Where the parts of a segment are to lie: the kernel's numbers of nodes (base/numa_memory.h). */
struct weir_segment_homes {
	uint16_t header;                /* the worker's: it writes there */
	uint16_t pair[WEIR_SHARDS_MAX]; /* each shard's */
};

/* Create the memfd of a link: sealed against resizing, header written, everything else zero.
 * 0 and *out_fd (the caller's), -EINVAL (shard_count outside 1 .. WEIR_SHARDS_MAX) or -errno. */
int weir_segment_create(uint64_t link_id, uint64_t worker_id, uint32_t shard_count, int *out_fd);

/* The same, where nobody has touched its pages before they got their nodes. *out_place is 0, or why the
 * kernel did not take them (-errno): the segment is as good, only its pages lie where they are touched. */
int weir_segment_create_at(uint64_t link_id, uint64_t worker_id, uint32_t shard_count,
			   const struct weir_segment_homes *homes, int *out_fd, int *out_place);

/* Map a link read-write. Identity fields are copied once and checked; later the copies count.
 * DONTFORK: children of a worker never see it. 0, -EBADMSG (seal, size, magic, bounds), -EPROTO
 * (other ABI major) or -errno. */
int weir_segment_attach(int fd, struct weir_segment *out_segment);

/* The same, read-only: for inspectors. */
int weir_segment_attach_readonly(int fd, struct weir_segment *out_segment);

/* Unmap; accepts a zeroed struct. */
void weir_segment_detach(struct weir_segment *segment);

/* Touch the rings, the call records and the first `small_count` small chunks of one pair, so that
 * the request path meets no page fault and the pages are charged to the caller, not to the worker. */
void weir_segment_prefault_pair(struct weir_segment *segment, uint32_t shard, uint32_t small_count);

/* Give the pages of a pair's chunks back to the kernel. The pair must be without calls. */
void weir_segment_trim_pair(struct weir_segment *segment, uint32_t shard);

/* Address of the chunk `ref` in a pair and its size; NULL and 0 for a reference out of range. */
uint8_t *weir_segment_chunk(struct weir_link_pair *pair, uint32_t ref, size_t *out_bytes);

#endif
