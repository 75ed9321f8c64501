#include "dataplane/base/numa_memory.h"

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"

enum { MASK_BITS = 1024, LONG_BITS = sizeof(unsigned long) * CHAR_BIT }; /* CONFIG_NODES_SHIFT is at most 10 */

struct mask {
	unsigned long word[MASK_BITS / LONG_BITS];
};

static struct mask mask_of(uint16_t number)
{
	struct mask mask = {.word = {0}};

	WEIR_ASSERT(number < MASK_BITS);
	mask.word[number / LONG_BITS] = 1UL << (number % LONG_BITS);
	return mask;
}

static void mems_free(struct bitmask **mems)
{
	numa_bitmask_free(*mems);
}

/* Bind `memory` to the first node that this process may use. */
static int bind_try(void *memory, size_t bytes)
{
	WEIR_CLEANUP(mems_free) struct bitmask *mems = numa_get_mems_allowed();

	for (uint16_t node = 0; node < MASK_BITS; node++) {
		if (numa_bitmask_isbitset(mems, node) != 0)
			return weir_numa_bind(memory, bytes, node);
	}
	return -ENOSYS;
}

int weir_numa_memory_check(void)
{
	const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = NULL;
	int result = 0;

	if (WEIR_FAULT_FAILS(numa_memory))
		return -EPERM;
	if (numa_available() == -1)
		return -ENOSYS;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	result = bind_try(memory, bytes);
	if (result == 0)
		result = weir_numa_prefer_own();
	(void)munmap(memory, bytes); /* our own mapping: cannot fail */
	return result;
}

void weir_numa_memory_allow(struct weir_numa *numa)
{
	WEIR_CLEANUP(mems_free) struct bitmask *mems = numa_get_mems_allowed();

	for (uint32_t i = 0; i < numa->node_count; i++) {
		if (numa_bitmask_isbitset(mems, numa->node[i].number) == 0)
			weir_numa_memory_forbid(numa, i);
	}
}

int weir_numa_prefer(uint16_t number)
{
	const struct mask mask = mask_of(number);

	return set_mempolicy(MPOL_PREFERRED, mask.word, MASK_BITS) == 0 ? 0 : -errno;
}

int weir_numa_prefer_own(void)
{
	return set_mempolicy(MPOL_DEFAULT, NULL, 0) == 0 ? 0 : -errno;
}

int weir_numa_bind(void *memory, size_t bytes, uint16_t number)
{
	const struct mask mask = mask_of(number);

	return mbind(memory, bytes, MPOL_PREFERRED, mask.word, MASK_BITS, 0) == 0 ? 0 : -errno;
}

int weir_numa_where(void *const *pages, size_t count, int *out_nodes)
{
	WEIR_ASSERT(count <= WEIR_NUMA_WHERE_MAX);
	/* Without nodes to move them to the kernel only answers; it writes to no element of the list. */
	return move_pages(0, count, (void **)(uintptr_t)pages, NULL, out_nodes, 0) == 0 ? 0 : -errno;
}
