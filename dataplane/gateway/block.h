/* block: the shard's private buffers for bytes that wait: partial requests, requests without a
 * worker, answers on their way out. Two sizes, a fixed number of each, reserved at start and
 * touched at first use; when they are used up the request gets 503, nothing else grows.
 *   | struct weir_block | data: capacity bytes, used from `start` to `end` |
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_BLOCK_H
#define WEIR_DATAPLANE_GATEWAY_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dataplane/base/span.h"

enum {
	WEIR_BLOCK_SMALL_BYTES = 4096, /* header included */
	WEIR_BLOCK_LARGE_BYTES = 65536 + 512,
	WEIR_BLOCKS_SMALL = 24576, /* 96 MiB of address space: one per slow client and the reserve */
	WEIR_BLOCKS_LARGE = 512,   /* 32 MiB */
	WEIR_BLOCKS_SMALL_RESERVE = 4096, /* of these, kept from what clients send: for answers */
	WEIR_BLOCKS_LARGE_RESERVE = 64,
};

struct weir_block {
	struct weir_block *next; /* in a chain, or the free list */
	uint32_t start;
	uint32_t end;
	uint32_t capacity;
	uint32_t sending;    /* bytes from `start` that the kernel reads now */
	struct msghdr message; /* for a send with a second part; must live until it completes */
	struct iovec part[2];
	char data[];
};

struct weir_block_pool {
	char *memory;
	size_t memory_bytes;
	struct weir_block *free_small;
	struct weir_block *free_large;
	uint32_t fresh_small; /* first one never used: its page is untouched */
	uint32_t fresh_large;
	uint32_t used;
	uint32_t used_large; /* of these */
};

/* Reserve address space. 0 or -errno. */
int weir_block_pool_open(struct weir_block_pool *pool);
void weir_block_pool_close(struct weir_block_pool *pool);

/* Take an empty block with at least `bytes_min` bytes of room; NULL if none is left or
 * `bytes_min` is over what a large one holds. */
struct weir_block *weir_block_take(struct weir_block_pool *pool, size_t bytes_min);

/* The same for bytes that a client sent: leaves a reserve, so that clients who send parts of
 * requests and nothing more can't keep others from being answered. */
struct weir_block *weir_block_take_input(struct weir_block_pool *pool, size_t bytes_min);

/* Take one with a copy of `text` in it; NULL if none is left. */
struct weir_block *weir_block_take_copy(struct weir_block_pool *pool, struct weir_span text);

/* Give one back; NULL is accepted. */
void weir_block_give(struct weir_block_pool *pool, struct weir_block *block);

/* Give a whole chain back; NULL is accepted. */
void weir_block_give_chain(struct weir_block_pool *pool, struct weir_block *first);

/* Return the pages of free large blocks to the kernel; after a burst. */
void weir_block_pool_trim(struct weir_block_pool *pool);

static inline size_t weir_block_room(const struct weir_block *block)
{
	return block->capacity - block->end;
}

static inline size_t weir_block_used(const struct weir_block *block)
{
	return block->end - block->start;
}

/* What is in it; empty for NULL. */
static inline struct weir_span weir_block_span(const struct weir_block *block)
{
	return block ? (struct weir_span){.data = block->data + block->start, .bytes = weir_block_used(block)}
		     : (struct weir_span){0};
}

#endif
