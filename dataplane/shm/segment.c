#include "dataplane/shm/segment.h"

#include <errno.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"

/* Copy the identity out of a fresh mapping of `bytes` bytes and check the copies. */
static int identity_check(struct weir_segment *segment)
{
	const struct weir_link_header *const header = segment->header;
	const uint64_t magic = header->magic;
	const uint32_t abi_major = header->abi_major;
	const uint64_t segment_bytes = header->segment_bytes;

	segment->shard_count = header->shard_count;
	segment->link_id = header->link_id;
	segment->worker_id = header->worker_id;
	if (magic != WEIR_LINK_MAGIC)
		return -EBADMSG;
	if (abi_major != WEIR_ABI_MAJOR)
		return -EPROTO;
	if (segment->shard_count == 0 || segment->shard_count > WEIR_SHARDS_MAX)
		return -EBADMSG;
	if (segment_bytes != weir_link_segment_bytes(segment->shard_count) ||
	    segment_bytes != segment->bytes)
		return -EBADMSG;
	return 0;
}

static int segment_map(int fd, int protection, struct weir_segment *out_segment)
{
	struct weir_segment segment = {0};
	int result = weir_fd_check_shared(fd, weir_link_segment_bytes(1), &segment.bytes);

	if (result != 0)
		return result;
	segment.header = mmap(NULL, segment.bytes, protection, MAP_SHARED, fd, 0);
	if (segment.header == MAP_FAILED)
		return -errno;
	segment.pair = (void *)(segment.header + 1); /* both start on pages */
	result = identity_check(&segment);
	if (result == 0 && madvise(segment.header, segment.bytes, MADV_DONTFORK) != 0)
		result = -errno;
	if (result != 0) {
		weir_segment_detach(&segment);
		return result;
	}
	*out_segment = segment;
	return 0;
}

int weir_segment_attach(int fd, struct weir_segment *out_segment)
{
	return segment_map(fd, PROT_READ | PROT_WRITE, out_segment);
}

int weir_segment_attach_readonly(int fd, struct weir_segment *out_segment)
{
	return segment_map(fd, PROT_READ, out_segment);
}

void weir_segment_detach(struct weir_segment *segment)
{
	if (segment->header == NULL)
		return;
	(void)munmap(segment->header, segment->bytes); /* cannot fail for a mapping of ours */
	*segment = (struct weir_segment){0};
}

void weir_segment_prefault_pair(struct weir_segment *segment, uint32_t shard, uint32_t small_count)
{
	struct weir_link_pair *const pair = &segment->pair[shard];

	WEIR_ASSERT(shard < segment->shard_count);
	WEIR_ASSERT(small_count <= WEIR_PAIR_CHUNKS_SMALL);
	/* Linux 5.14. Where memory is short this does less and the first use faults instead. */
	(void)madvise(pair,
		      offsetof(struct weir_link_pair, small) + (size_t)small_count * WEIR_CHUNK_SMALL_BYTES,
		      MADV_POPULATE_WRITE);
}

void weir_segment_trim_pair(struct weir_segment *segment, uint32_t shard)
{
	struct weir_link_pair *const pair = &segment->pair[shard];

	WEIR_ASSERT(shard < segment->shard_count);
	/* A kernel that refuses keeps the pages; they stay usable. */
	(void)madvise(pair->small, sizeof(*pair) - offsetof(struct weir_link_pair, small), MADV_REMOVE);
}

uint8_t *weir_segment_chunk(struct weir_link_pair *pair, uint32_t ref, size_t *out_bytes)
{
	if (ref < WEIR_PAIR_CHUNKS_SMALL) {
		*out_bytes = WEIR_CHUNK_SMALL_BYTES;
		return pair->small[ref];
	}
	if (ref - WEIR_PAIR_CHUNKS_SMALL < WEIR_PAIR_CHUNKS_LARGE) {
		*out_bytes = WEIR_CHUNK_LARGE_BYTES;
		return pair->large[ref - WEIR_PAIR_CHUNKS_SMALL];
	}
	*out_bytes = 0;
	return NULL;
}
