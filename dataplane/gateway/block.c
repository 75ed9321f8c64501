#include "dataplane/gateway/block.h"

#include <errno.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"

static size_t small_total_bytes(void)
{
	return (size_t)WEIR_BLOCKS_SMALL * WEIR_BLOCK_SMALL_BYTES;
}

int weir_block_pool_open(struct weir_block_pool *pool)
{
	const size_t bytes = small_total_bytes() + (size_t)WEIR_BLOCKS_LARGE * WEIR_BLOCK_LARGE_BYTES;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*pool = (struct weir_block_pool){.memory = memory, .memory_bytes = bytes};
	return 0;
}

void weir_block_pool_close(struct weir_block_pool *pool)
{
	if (pool->memory)
		(void)munmap(pool->memory, pool->memory_bytes); /* cannot fail on our own mapping */
	*pool = (struct weir_block_pool){0};
}

static struct weir_block *take_small(struct weir_block_pool *pool)
{
	struct weir_block *block = pool->free_small;

	if (block) {
		pool->free_small = block->next;
		return block;
	}
	if (pool->fresh_small == WEIR_BLOCKS_SMALL)
		return NULL;
	block = (void *)(pool->memory + (size_t)pool->fresh_small++ * WEIR_BLOCK_SMALL_BYTES);
	block->capacity = WEIR_BLOCK_SMALL_BYTES - sizeof(*block);
	return block;
}

static struct weir_block *take_large(struct weir_block_pool *pool)
{
	struct weir_block *block = pool->free_large;

	if (block) {
		pool->free_large = block->next;
		return block;
	}
	if (pool->fresh_large == WEIR_BLOCKS_LARGE)
		return NULL;
	block = (void *)(pool->memory + small_total_bytes() +
			 (size_t)pool->fresh_large++ * WEIR_BLOCK_LARGE_BYTES);
	block->capacity = WEIR_BLOCK_LARGE_BYTES - sizeof(*block);
	return block;
}

struct weir_block *weir_block_take(struct weir_block_pool *pool, size_t bytes_min)
{
	struct weir_block *block;

	if (bytes_min <= WEIR_BLOCK_SMALL_BYTES - sizeof(*block))
		block = take_small(pool);
	else if (bytes_min <= WEIR_BLOCK_LARGE_BYTES - sizeof(*block))
		block = take_large(pool);
	else
		return NULL;
	if (!block)
		return NULL;
	block->next = NULL;
	block->start = 0;
	block->end = 0;
	block->sending = 0;
	pool->used++;
	pool->used_large += block->capacity > WEIR_BLOCK_SMALL_BYTES;
	return block;
}

struct weir_block *weir_block_take_input(struct weir_block_pool *pool, size_t bytes_min)
{
	const bool small = bytes_min <= WEIR_BLOCK_SMALL_BYTES - sizeof(struct weir_block);

	if (small ? pool->used - pool->used_large >= WEIR_BLOCKS_SMALL - WEIR_BLOCKS_SMALL_RESERVE
		  : pool->used_large >= WEIR_BLOCKS_LARGE - WEIR_BLOCKS_LARGE_RESERVE)
		return NULL;
	return weir_block_take(pool, bytes_min);
}

struct weir_block *weir_block_take_copy(struct weir_block_pool *pool, struct weir_span text)
{
	struct weir_block *block = weir_block_take(pool, text.bytes);

	if (!block)
		return NULL;
	memcpy(block->data, text.data, text.bytes);
	block->end = (uint32_t)text.bytes;
	return block;
}

void weir_block_give(struct weir_block_pool *pool, struct weir_block *block)
{
	if (!block)
		return;
	WEIR_ASSERT(block->sending == 0);
	WEIR_ASSERT(pool->used > 0);
	pool->used--;
	if (block->capacity > WEIR_BLOCK_SMALL_BYTES) {
		pool->used_large--;
		block->next = pool->free_large;
		pool->free_large = block;
	} else {
		block->next = pool->free_small;
		pool->free_small = block;
	}
}

void weir_block_give_chain(struct weir_block_pool *pool, struct weir_block *first)
{
	while (first) {
		struct weir_block *next = first->next;

		weir_block_give(pool, first);
		first = next;
	}
}

void weir_block_pool_trim(struct weir_block_pool *pool)
{
	for (struct weir_block *block = pool->free_large; block; block = block->next) {
		const uintptr_t page = ((uintptr_t)block->data + 4095) & ~(uintptr_t)4095;
		const uintptr_t end = ((uintptr_t)block + WEIR_BLOCK_LARGE_BYTES) & ~(uintptr_t)4095;

		if (end > page) /* advice: failing changes nothing */
			(void)madvise((void *)page, end - page, MADV_DONTNEED);
	}
}
