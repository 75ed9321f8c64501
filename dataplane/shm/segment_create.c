/* Apart from segment.c: who only maps segments, a worker, is not linked to libnuma. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/numa_memory.h"
#include "dataplane/shm/segment.h"

/* A memfd of the right size, without a page. */
static int memory_create(uint32_t shard_count, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int result = 0;

	if (shard_count == 0 || shard_count > WEIR_SHARDS_MAX)
		return -EINVAL;
	result = weir_fd_create_shared("weir-link", weir_link_segment_bytes(shard_count), &fd);
	if (result != 0)
		return result;
	/* No later seal either: one against writing would make the other end's attach fail. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) != 0)
		return -errno;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static int header_write(int fd, uint64_t link_id, uint64_t worker_id, uint32_t shard_count)
{
	struct weir_link_header *header = NULL;

	header = mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return -errno;
	header->abi_major = WEIR_ABI_MAJOR;
	header->shard_count = shard_count;
	header->segment_bytes = weir_link_segment_bytes(shard_count);
	header->link_id = link_id;
	header->worker_id = worker_id;
	header->magic = WEIR_LINK_MAGIC;
	(void)munmap(header, sizeof(*header)); /* cannot fail for a mapping of ours */
	return 0;
}

/* Tell the kernel the node of each part; the memfd remembers it. */
static int place(int fd, uint32_t shard_count, const struct weir_segment_homes *homes)
{
	const size_t bytes = weir_link_segment_bytes(shard_count);
	struct weir_link_header *const header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct weir_link_pair *pair = NULL;
	int result = 0;

	if (header == MAP_FAILED)
		return -errno;
	pair = (void *)(header + 1); /* both start on pages */
	result = weir_numa_bind(header, sizeof(*header), homes->header);
	for (uint32_t i = 0; result == 0 && i < shard_count; i++)
		result = weir_numa_bind(&pair[i], sizeof(pair[i]), homes->pair[i]);
	(void)munmap(header, bytes); /* cannot fail for a mapping of ours */
	return result;
}

int weir_segment_create_at(uint64_t link_id, uint64_t worker_id, uint32_t shard_count,
			   const struct weir_segment_homes *homes, int *out_fd, int *out_place)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	int placed = 0;
	int result = memory_create(shard_count, &fd);

	if (result == 0 && homes != NULL)
		placed = place(fd, shard_count, homes);
	if (result == 0)
		result = header_write(fd, link_id, worker_id, shard_count);
	if (result != 0)
		return result;
	*out_place = placed;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_segment_create(uint64_t link_id, uint64_t worker_id, uint32_t shard_count, int *out_fd)
{
	int placed = 0;

	return weir_segment_create_at(link_id, worker_id, shard_count, NULL, out_fd, &placed);
}
