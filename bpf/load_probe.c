#include "bpf/load_probe_map.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"

void weir_probe_close(struct weir_probe *probe)
{
	if (probe->board != NULL)
		(void)munmap(probe->board, sizeof(*probe->board)); /* cannot fail for ours */
	if (probe->table != NULL)
		(void)munmap(probe->table, sizeof(*probe->table));
	weir_fd_close_all(probe->fd, probe->fd_count);
	*probe = (struct weir_probe){.fd_count = 0};
}

static int map(int fd, size_t bytes, void **out_memory)
{
	void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*out_memory = memory;
	return 0;
}

int weir_probe_map(struct weir_probe *probe)
{
	void *memory = NULL;
	int result = map(probe->fd[0], sizeof(*probe->board), &memory);

	if (result != 0)
		return result;
	probe->board = memory;
	result = map(probe->fd[1], sizeof(*probe->table), &memory);
	if (result == 0)
		probe->table = memory;
	return result;
}

int weir_probe_adopt(struct weir_probe *out_probe, const int *fds, size_t fd_count)
{
	struct weir_probe probe = {.fd_count = fd_count};
	int result = 0;

	if (fd_count < 3 || fd_count > WEIR_PROBE_FDS_MAX)
		return -EINVAL;
	memcpy(probe.fd, fds, fd_count * sizeof(*fds));
	result = weir_probe_map(&probe);
	if (result == 0 && probe.board->magic != WEIR_LOAD_MAGIC)
		result = -EBADMSG;
	if (result != 0) {
		probe.fd_count = 0; /* still the caller's */
		weir_probe_close(&probe);
		return result;
	}
	*out_probe = probe;
	return 0;
}

unsigned int weir_probe_choose(unsigned int count, bool (*loads)(void *context, unsigned int on), void *context)
{
	const unsigned int all = (unsigned int)((1ull << count) - 1);
	unsigned int on = 0;

	if (loads(context, all))
		return all;
	for (unsigned int i = 0; i < count; i++) {
		if (loads(context, on | 1u << i))
			on |= 1u << i;
	}
	return on;
}

/* Never 0, and rarely that of the slot's last owner. */
static uint32_t tag_of(uint32_t slot, uint64_t worker_id)
{
	const uint32_t owner = (uint32_t)((worker_id * UINT64_C(0x9e3779b97f4a7c15)) >> 32);

	return (owner | 1u << 31) - owner % WEIR_LOAD_SLOTS + slot;
}

static bool entry_take(weir_load_word *set, uint64_t value)
{
	for (size_t i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) {
		uint64_t expected = 0;

		/* Nothing is published with it: what a program reads of the slot is checked against the tag. */
		if (atomic_compare_exchange_strong_explicit(&set[i], &expected, value, memory_order_relaxed,
							    memory_order_relaxed))
			return true;
	}
	return false;
}

int weir_probe_track(struct weir_probe *probe, unsigned int slot, unsigned int tgid)
{
	struct weir_load_slot *const place = &probe->board->slot[slot];
	const uint64_t worker_id = atomic_load_explicit(&place->worker_id, memory_order_relaxed);
	const uint32_t tag = tag_of(slot, worker_id);

	WEIR_ASSERT(slot < WEIR_LOAD_SLOTS && worker_id != 0 && tgid != 0);
	atomic_store_explicit(&place->tgid, tgid, memory_order_relaxed);
	/* ORDER load_tag release: a program that finds the tag in the slot finds its epoch and cleared counts. */
	atomic_store_explicit(&place->tag, tag, memory_order_release);
	if (!entry_take(probe->table->entry[weir_probe_set(tgid)], (uint64_t)tag << 32 | tgid)) {
		atomic_store_explicit(&place->tag, 0, memory_order_relaxed);
		atomic_fetch_add_explicit(&probe->board->unplaced, 1, memory_order_relaxed);
		return -ENOSPC;
	}
	atomic_store_explicit(&place->source, WEIR_LOAD_SOURCE_PROBES, memory_order_relaxed);
	return 0;
}

void weir_probe_untrack(struct weir_probe *probe, unsigned int slot)
{
	struct weir_load_slot *const place = &probe->board->slot[slot % WEIR_LOAD_SLOTS];
	const uint32_t tag = atomic_exchange_explicit(&place->tag, 0, memory_order_relaxed);

	for (size_t i = 0; i < WEIR_PROBE_SETS && tag != 0; i++) {
		for (size_t k = 0; k < WEIR_PROBE_SET_ENTRIES; k++) {
			weir_load_word *const entry = &probe->table->entry[i][k];
			uint64_t found = atomic_load_explicit(entry, memory_order_relaxed);

			if (found >> 32 != tag)
				continue;
			/* Or it went meanwhile, and the place is another's. */
			(void)atomic_compare_exchange_strong_explicit(entry, &found, 0, memory_order_relaxed,
								      memory_order_relaxed);
		}
	}
}
