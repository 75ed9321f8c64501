/* chunk: the shard's private allocator over one pair's chunks. Nothing of it lies in shared memory;
 * a worker names chunks, but what is free and who holds what only this table says.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_SHM_CHUNK_H
#define WEIR_DATAPLANE_SHM_CHUNK_H

#include <stdbool.h>

#include "dataplane/abi/link.h"

enum { WEIR_PAIR_CHUNKS = WEIR_PAIR_CHUNKS_SMALL + WEIR_PAIR_CHUNKS_LARGE };

#define WEIR_CHUNK_NOBODY UINT16_MAX /* owner: the chunk is free */

struct weir_chunk_arena {
	uint16_t owner[WEIR_PAIR_CHUNKS]; /* call index, or WEIR_CHUNK_NOBODY */
	uint16_t next[WEIR_PAIR_CHUNKS];  /* free lists and each call's list */
	uint16_t free_small;
	uint16_t free_large;
	uint16_t used_small;
	uint16_t used_large;
	uint16_t call_first[WEIR_PAIR_CALLS];      /* head of each call's list */
	uint16_t call_large[WEIR_PAIR_CALLS];      /* large chunks that the call holds */
};

/* All chunks free. */
void weir_chunk_arena_open(struct weir_chunk_arena *arena);

/* Take a chunk for call `call` that holds at least `bytes_min` bytes (small if that is enough).
 * Returns its reference, or WEIR_CHUNK_NONE: none free, bytes_min over WEIR_CHUNK_LARGE_BYTES, or
 * the call already holds WEIR_CALL_CHUNKS_MAX large ones. */
uint32_t weir_chunk_take(struct weir_chunk_arena *arena, uint16_t call, size_t bytes_min);

/* Give back one chunk: false (nothing changed) if `call` does not hold `ref`; `ref` may be any
 * number that a worker sent. */
bool weir_chunk_give(struct weir_chunk_arena *arena, uint16_t call, uint32_t ref);

/* True if `call` holds `ref`; any `ref`. */
bool weir_chunk_is_held(const struct weir_chunk_arena *arena, uint16_t call, uint32_t ref);

/* Give back everything that `call` holds. Returns how many. */
uint32_t weir_chunk_give_all(struct weir_chunk_arena *arena, uint16_t call);

#endif
