#include "dataplane/runtime/python/python_memory.h"

#include "dataplane/runtime/python/python.h"

#include <malloc.h>
#include <stdatomic.h>

#define RESERVE_BYTES (INT64_C(4) << 20)

static struct {
	PyMemAllocatorEx plain;
	PyObjectArenaAllocator arenas;
	/* What Python freed while its start had put other hooks in place was never counted: it may be a
	 * little below the truth. */
	_Atomic int64_t used_bytes;
	_Atomic int64_t limit_bytes;
	_Atomic int64_t reserve_bytes;
	_Atomic bool is_refused;
} memory = {.limit_bytes = INT64_MAX};

static int64_t add(int64_t bytes)
{
	return atomic_fetch_add_explicit(&memory.used_bytes, bytes, memory_order_relaxed) + bytes;
}

static void subtract(size_t bytes)
{
	(void)add(-(int64_t)bytes);
}

/* Take `bytes` more, if the limit allows it. */
static bool take(size_t bytes)
{
	const int64_t limit = atomic_load_explicit(&memory.limit_bytes, memory_order_relaxed);

	if (bytes > (size_t)PTRDIFF_MAX / 2)
		return false;
	if (add((int64_t)bytes) <= limit ||
	    add(0) <= limit + atomic_load_explicit(&memory.reserve_bytes, memory_order_relaxed))
		return true;
	subtract(bytes);
	atomic_store_explicit(&memory.is_refused, true, memory_order_relaxed);
	return false;
}

/* The allocator rounds up: count what it really gave, which is what free() will find. */
static void *settle(void *block, size_t asked_bytes)
{
	if (block == NULL)
		subtract(asked_bytes);
	else
		(void)add((int64_t)malloc_usable_size(block) - (int64_t)asked_bytes);
	return block;
}

static void *plain_malloc(void *context, size_t bytes)
{
	(void)context;
	return take(bytes) ? settle(memory.plain.malloc(memory.plain.ctx, bytes), bytes) : NULL;
}

static void *plain_calloc(void *context, size_t count, size_t bytes)
{
	size_t all = 0;

	(void)context;
	if (__builtin_mul_overflow(count, bytes, &all) || !take(all))
		return NULL;
	return settle(memory.plain.calloc(memory.plain.ctx, count, bytes), all);
}

static void *plain_realloc(void *context, void *block, size_t bytes)
{
	const size_t before = block != NULL ? malloc_usable_size(block) : 0;
	void *moved = NULL;

	(void)context;
	if (bytes > before && !take(bytes - before))
		return NULL;
	moved = memory.plain.realloc(memory.plain.ctx, block, bytes);
	if (moved == NULL) {
		if (bytes > before)
			subtract(bytes - before);
		return NULL;
	}
	(void)add((int64_t)malloc_usable_size(moved) - (int64_t)(bytes > before ? bytes : before));
	return moved;
}

static void plain_free(void *context, void *block)
{
	(void)context;
	if (block != NULL)
		subtract(malloc_usable_size(block));
	memory.plain.free(memory.plain.ctx, block);
}

static void *arena_alloc(void *context, size_t bytes)
{
	void *arena = NULL;

	(void)context;
	if (!take(bytes))
		return NULL;
	arena = memory.arenas.alloc(memory.arenas.ctx, bytes);
	if (arena == NULL)
		subtract(bytes);
	return arena;
}

static void arena_free(void *context, void *arena, size_t bytes)
{
	(void)context;
	subtract(bytes);
	memory.arenas.free(memory.arenas.ctx, arena, bytes);
}

void weir_python_memory_open(void)
{
	PyMemAllocatorEx plain = {.malloc = plain_malloc,
				  .calloc = plain_calloc,
				  .realloc = plain_realloc,
				  .free = plain_free};
	PyObjectArenaAllocator arenas = {.alloc = arena_alloc, .free = arena_free};

	PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &memory.plain);
	PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &plain);
	PyObject_GetArenaAllocator(&memory.arenas);
	PyObject_SetArenaAllocator(&arenas);
}

void weir_python_memory_limit(uint64_t bytes)
{
	const int64_t limit = bytes == 0 || bytes > INT64_MAX - RESERVE_BYTES
				      ? INT64_MAX - RESERVE_BYTES
				      : (int64_t)bytes;

	atomic_store_explicit(&memory.limit_bytes, limit, memory_order_relaxed);
}

void weir_python_memory_reserve(bool is_open)
{
	atomic_store_explicit(&memory.reserve_bytes, is_open ? RESERVE_BYTES : 0,
			      memory_order_relaxed);
}

bool weir_python_memory_was_refused(void)
{
	return atomic_exchange_explicit(&memory.is_refused, false, memory_order_relaxed);
}
