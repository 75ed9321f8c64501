#include "dataplane/supervisor/pages.h"

#include <errno.h>
#include <sys/mman.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/numa_memory.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/pool.h"

enum { PAGE_BYTES = 4096 }; /* of the formats in shared memory, and of the machines that Weir runs on */

static const uint64_t again_ns = 200 * WEIR_NS_PER_MS;

/* Pages that belong to one node and are about to be asked for. */
struct batch {
	struct weir_pages *pages;
	struct weir_worker *worker;
	uint32_t home; /* index of the node where they belong */
	size_t count;
	void *page[WEIR_NUMA_WHERE_MAX];
};

static uint32_t node_index(const struct weir_numa *numa, int number)
{
	for (uint32_t i = 0; i < numa->node_count; i++) {
		if (numa->node[i].number == number)
			return i;
	}
	return 0; /* a node that was added since: the first stands for all that we do not know */
}

static void ask(const struct weir_numa *numa, struct batch *batch)
{
	int nodes[WEIR_NUMA_WHERE_MAX];
	const int result = weir_numa_where(batch->page, batch->count, nodes);

	if (result != 0)
		batch->pages->error = result;
	for (size_t i = 0; result == 0 && i < batch->count; i++) {
		const uint32_t index = nodes[i] < 0 ? 0 : node_index(numa, nodes[i]);

		if (nodes[i] < 0) { /* it went, or was never ours to see */
			batch->pages->left_out++;
			continue;
		}
		batch->pages->looked++;
		batch->pages->on_node[index]++;
		batch->worker->pages++;
		if (index == batch->home)
			continue;
		batch->pages->astray[index]++;
		batch->worker->pages_astray++;
	}
	batch->count = 0;
}

/* All pages of [memory, memory + bytes) that are there. */
static void part_look(const struct weir_numa *numa, struct batch *batch, const void *memory, size_t bytes)
{
	unsigned char is_there[WEIR_NUMA_WHERE_MAX];
	const char *at = memory;

	for (size_t left = bytes / PAGE_BYTES; left > 0;) {
		const size_t count = left < WEIR_NUMA_WHERE_MAX ? left : WEIR_NUMA_WHERE_MAX;

		if (mincore((void *)(uintptr_t)at, count * PAGE_BYTES, is_there) != 0) {
			batch->pages->error = -errno;
			return;
		}
		for (size_t i = 0; i < count; i++) {
			if ((is_there[i] & 1) == 0)
				continue;
			if (batch->pages->looked + batch->count >= WEIR_PAGES_LOOKED_MAX) {
				batch->pages->left_out++;
				continue;
			}
			/* Reading maps it; the value is whatever its owner writes there. */
			(void)atomic_load_explicit((const _Atomic uint8_t *)(at + i * PAGE_BYTES), memory_order_relaxed);
			batch->page[batch->count++] = (void *)(uintptr_t)(at + i * PAGE_BYTES);
		}
		if (batch->count > 0)
			ask(numa, batch);
		at += count * PAGE_BYTES;
		left -= count;
	}
}

static void link_look(struct weir_supervisor *supervisor, const struct weir_link *link, struct weir_worker *worker)
{
	const struct weir_numa *const numa = &supervisor->nodes.numa;
	const uint8_t *const of_shard = supervisor->nodes.of_shard;
	const struct weir_segment *const segment = &link->segment;
	struct batch batch = {.pages = &supervisor->pages, .worker = worker};

	batch.home = numa->node[of_shard[worker->home]].memory_index;
	part_look(numa, &batch, segment->header, sizeof(*segment->header));
	for (uint32_t i = 0; i < segment->shard_count && i < supervisor->shard_count; i++) {
		batch.home = numa->node[of_shard[i]].memory_index;
		part_look(numa, &batch, &segment->pair[i], sizeof(segment->pair[i]));
	}
	(void)madvise(segment->header, segment->bytes, MADV_DONTNEED); /* unmapped from here again: it is no use of ours */
}

void weir_pages_look(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	if (supervisor->pages.at_ns != 0 && now_ns - supervisor->pages.at_ns < again_ns)
		return;
	supervisor->pages = (struct weir_pages){.at_ns = now_ns};
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		supervisor->worker[i].pages = 0;
		supervisor->worker[i].pages_astray = 0;
	}
	for (size_t i = 0; i < supervisor->link_places; i++) {
		const struct weir_link *const link = &supervisor->link[i];
		struct weir_worker *const worker =
			link->id == 0 ? NULL : weir_worker_find(supervisor, link->worker_id);

		if (worker != NULL && link->segment.header != NULL)
			link_look(supervisor, link, worker);
	}
}

void weir_pages_show(const struct weir_supervisor *supervisor, struct weir_board *board)
{
	const struct weir_pages *const pages = &supervisor->pages;

	board->pages_ns = pages->at_ns;
	board->pages_left_out = pages->left_out;
	board->pages_error = pages->error;
	for (uint32_t i = 0; i < board->node_count; i++) {
		board->node[i].pages = pages->on_node[i];
		board->node[i].pages_astray = pages->astray[i];
	}
}
