#include "dataplane/worker/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dataplane/base/memory_events.h"

enum { TRIED_BYTES = 1 << 20 };

static _Atomic int events_fd = -1;

void weir_memory_open(int fd)
{
	atomic_store_explicit(&events_fd, fd, memory_order_relaxed);
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
