#include "dataplane/worker/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dataplane/base/memory_events.h"

enum { TRIED_BYTES = 1 << 20 };

static _Atomic int events_fd = -1;
static _Atomic uint64_t pool_key;

void weir_memory_open(int fd)
{
	atomic_store_explicit(&events_fd, fd, memory_order_relaxed);
}

void weir_memory_pool(uint64_t key)
{
	atomic_store_explicit(&pool_key, key, memory_order_relaxed);
}

static const struct weir_snapshot_spec *spec_find(const struct weir_snapshot *snapshot,
						   const struct weir_snapshot_function *function)
{
	return weir_snapshot_spec_find(snapshot, function, atomic_load_explicit(&pool_key, memory_order_relaxed));
}

bool weir_memory_is_of_pool(const struct weir_snapshot *snapshot, const struct weir_snapshot_function *function)
{
	return spec_find(snapshot, function) != NULL;
}

uint64_t weir_memory_of(const struct weir_snapshot *snapshot, const struct weir_snapshot_function *function)
{
	const struct weir_snapshot_spec *const spec = spec_find(snapshot, function);

	return spec == NULL ? function->memory_bytes : (uint64_t)spec->memory_mb << 20;
}

uint64_t weir_memory_kills(struct weir_runtime_call *call)
{
	(void)call;
	return weir_memory_events_kills(atomic_load_explicit(&events_fd, memory_order_relaxed));
}

bool weir_memory_is_used_up(void)
{
	void *const tried =
		mmap(NULL, TRIED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (tried == MAP_FAILED)
		return errno == ENOMEM;
	(void)munmap(tried, TRIED_BYTES); /* it is ours */
	return false;
}
