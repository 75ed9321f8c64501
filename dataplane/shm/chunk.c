#include "dataplane/shm/chunk.h"

#include <string.h>

#include "dataplane/base/assert.h"

#define LIST_END UINT16_MAX
static_assert(WEIR_PAIR_CHUNKS < LIST_END, "a chunk's number fits a list link");
static_assert(WEIR_PAIR_CALLS < WEIR_CHUNK_NOBODY, "a call's number fits an owner");

static bool is_large(uint32_t ref)
{
	return ref >= WEIR_PAIR_CHUNKS_SMALL;
}

void weir_chunk_arena_open(struct weir_chunk_arena *arena)
{
	memset(arena, 0, sizeof(*arena));
	for (size_t i = 0; i < WEIR_PAIR_CHUNKS; i++) {
		arena->owner[i] = WEIR_CHUNK_NOBODY;
		arena->next[i] = (uint16_t)(i + 1);
	}
	arena->next[WEIR_PAIR_CHUNKS_SMALL - 1] = LIST_END;
	arena->next[WEIR_PAIR_CHUNKS - 1] = LIST_END;
	arena->free_small = 0;
	arena->free_large = WEIR_PAIR_CHUNKS_SMALL;
	for (size_t i = 0; i < WEIR_PAIR_CALLS; i++)
		arena->call_first[i] = LIST_END;
}

/* Move the first chunk of the free list `free_first` to `call`'s list. */
static uint32_t chunk_move_to(struct weir_chunk_arena *arena, uint16_t call, uint16_t *free_first)
{
	const uint16_t ref = *free_first;

	WEIR_DEBUG_ASSERT(arena->owner[ref] == WEIR_CHUNK_NOBODY);
	*free_first = arena->next[ref];
	arena->owner[ref] = call;
	arena->next[ref] = arena->call_first[call];
	arena->call_first[call] = ref;
	return ref;
}

uint32_t weir_chunk_take(struct weir_chunk_arena *arena, uint16_t call, size_t bytes_min)
{
	WEIR_DEBUG_ASSERT(call < WEIR_PAIR_CALLS);
	if (bytes_min <= WEIR_CHUNK_SMALL_BYTES && arena->free_small != LIST_END) {
		arena->used_small++;
		return chunk_move_to(arena, call, &arena->free_small);
	}
	if (bytes_min > WEIR_CHUNK_LARGE_BYTES || arena->free_large == LIST_END ||
	    arena->call_large[call] >= WEIR_CALL_CHUNKS_MAX)
		return WEIR_CHUNK_NONE;
	arena->call_large[call]++;
	arena->used_large++;
	return chunk_move_to(arena, call, &arena->free_large);
}

/* Put a chunk that is on no list any more on its free list. */
static void chunk_free(struct weir_chunk_arena *arena, uint16_t call, uint16_t ref)
{
	uint16_t *const free_first = is_large(ref) ? &arena->free_large : &arena->free_small;

	WEIR_DEBUG_ASSERT(arena->owner[ref] == call);
	arena->owner[ref] = WEIR_CHUNK_NOBODY;
	arena->next[ref] = *free_first;
	*free_first = ref;
	if (is_large(ref)) {
		arena->call_large[call]--;
		arena->used_large--;
	} else {
		arena->used_small--;
	}
}

bool weir_chunk_is_held(const struct weir_chunk_arena *arena, uint16_t call, uint32_t ref)
{
	WEIR_DEBUG_ASSERT(call < WEIR_PAIR_CALLS);
	return ref < WEIR_PAIR_CHUNKS && arena->owner[ref] == call;
}

bool weir_chunk_give(struct weir_chunk_arena *arena, uint16_t call, uint32_t ref)
{
	uint16_t *link = &arena->call_first[call];

	if (!weir_chunk_is_held(arena, call, ref))
		return false;
	/* At most WEIR_PAIR_CHUNKS steps, two or three as a rule: the list holds what we look for. */
	while (*link != ref)
		link = &arena->next[*link];
	*link = arena->next[ref];
	chunk_free(arena, call, (uint16_t)ref);
	return true;
}

uint32_t weir_chunk_give_all(struct weir_chunk_arena *arena, uint16_t call)
{
	uint16_t ref = arena->call_first[call];
	uint32_t count = 0;

	WEIR_DEBUG_ASSERT(call < WEIR_PAIR_CALLS);
	arena->call_first[call] = LIST_END;
	while (ref != LIST_END) {
		const uint16_t next = arena->next[ref];

		chunk_free(arena, call, ref);
		ref = next;
		count++;
	}
	return count;
}
