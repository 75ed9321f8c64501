#include "dataplane/runtime/wasm/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/wasm/guard.h"
#include "dataplane/runtime/wasm/pages.h"

/* A 32-bit address and a 32-bit offset in the instruction, and what is read there. */
#define RESERVED_BYTES ((UINT64_C(8) << 30) + (UINT64_C(128) << 10))

enum {
	PAGE_BYTES = WEIR_WASM_KERNEL_PAGE_BYTES,
	/* Pages that were written stay the process's own and are copied back each time. So after much at
	 * once, after a pause, and now and then where they are many, they go to the kernel instead. */
	GIVE_BACK_PAGES = 4096,
	GIVE_BACK_RESETS = 64,
	GUARD_RESETS = 32, /* without another page, before the others are guarded */
};
#define GIVE_BACK_IDLE_NS (UINT64_C(50) * WEIR_NS_PER_MS)

static _Thread_local long
	faults_seen; /* this thread's count of page faults at its last reset */

static void pages_set(struct weir_wasm_memory *memory, uint32_t pages)
{
	memory->pages = pages;
	memory->bytes = pages * WEIR_WASM_PAGE_BYTES; /* at most 65,535 pages */
}

bool weir_wasm_memory_allocate(struct weir_wasm_instance *instance, uint32_t pages,
			       uint32_t pages_max)
{
	struct weir_wasm_memory *const memory = instance->memory;

	if (pages > instance->pages_limit || instance->reserved != NULL)
		return false;
	memory->data = mmap(NULL, RESERVED_BYTES, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->data == MAP_FAILED) {
		memory->data = NULL;
		return false;
	}
	instance->reserved = memory->data;
	(void)madvise(memory->data, RESERVED_BYTES, MADV_NOHUGEPAGE); /* else resets are dear */
	memory->pages_max =
		pages_max < instance->pages_limit ? pages_max : instance->pages_limit;
	if (pages != 0 && mprotect(memory->data, (size_t)pages * WEIR_WASM_PAGE_BYTES,
				   PROT_READ | PROT_WRITE) != 0)
		return false;
	pages_set(memory, pages);
	return true;
}

uint32_t weir_wasm_memory_grow(struct weir_wasm_instance *instance, uint32_t pages)
{
	struct weir_wasm_memory *const memory = instance->memory;
	const uint32_t before = memory->pages;

	if (pages == 0)
		return before;
	if (pages > memory->pages_max - before ||
	    mprotect(memory->data + (size_t)before * WEIR_WASM_PAGE_BYTES,
		     (size_t)pages * WEIR_WASM_PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) {
		instance->is_growth_refused = true;
		return UINT32_MAX;
	}
	pages_set(memory, before + pages);
	return before;
}

bool weir_wasm_memory_has(const struct weir_wasm_instance *instance, uintptr_t address)
{
	return instance->reserved != NULL && address >= (uintptr_t)instance->reserved &&
	       address - (uintptr_t)instance->reserved < RESERVED_BYTES;
}

/* ---- keep ---- */

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

static void keep_page(struct weir_wasm_scan *scan, size_t offset)
{
	const uint8_t *const page = scan->start + offset;
	const int *const fd = scan->context;

	if (is_zero(page))
		return;
	if (pwrite(*fd, page, PAGE_BYTES, (off_t)offset) != PAGE_BYTES)
		scan->error = -EIO;
}

/* Write the pages that are not zero to `fd`; *out_bytes reach to the last of them. */
static int keep_write(struct weir_wasm_instance *instance, int fd, size_t *out_bytes)
{
	const size_t bytes = instance->memory->bytes;
	struct weir_wasm_scan scan = {
		.start = instance->reserved, .found = keep_page, .context = &fd};

	if (!weir_wasm_pages_scan(&scan, bytes)) {
		scan.error = 0;
		for (size_t offset = 0; offset < bytes; offset += PAGE_BYTES)
			keep_page(&scan, offset);
	}
	*out_bytes = (size_t)lseek(fd, 0, SEEK_END); /* pages written, with holes between */
	return scan.error;
}

static int tables_keep(struct weir_wasm_instance *instance)
{
	for (uint32_t i = 0; i < instance->table_count; i++) {
		struct weir_wasm_kept_table *const kept = &instance->table[i];
		const size_t table_bytes = (size_t)kept->table->count * kept->element_bytes;

		if (kept->block != kept->table->data)
			free(kept->block); /* it grew while it started */
		kept->block = kept->table->data;
		kept->count_first = kept->table->count;
		kept->capacity_first = kept->capacity;
		kept->copy = malloc(table_bytes + 1);
		if (kept->copy == NULL)
			return -ENOMEM;
		memcpy(kept->copy, kept->block, table_bytes);
	}
	return 0;
}

/* The start of the memory is the file's, until it is written. */
static int file_map(struct weir_wasm_instance *instance, int fd, size_t bytes)
{
	return mmap(instance->reserved, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		    fd, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

int weir_wasm_memory_keep(struct weir_wasm_instance *instance)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	size_t bytes = 0;
	void *view = NULL;
	int result = tables_keep(instance);

	if (result != 0 || instance->memory == NULL)
		return result;
	instance->pages_first = instance->memory->pages;
	fd = memfd_create("weir-wasm", MFD_CLOEXEC);
	if (fd == -1)
		return -errno;
	result = keep_write(instance, fd, &bytes);
	if (result == 0 && bytes != 0) {
		view = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		if (view == MAP_FAILED)
			return -errno;
		instance->kept = view;
		instance->kept_bytes = bytes;
		result = file_map(instance, fd, bytes);
	}
	if (result == 0 && instance->is_base) {
		instance->kept_fd = fd;
		fd = -1;
	}
	return result;
}

int weir_wasm_memory_share(struct weir_wasm_instance *instance,
			   const struct weir_wasm_instance *base)
{
	struct weir_wasm_memory *const memory = instance->memory;
	const int result = tables_keep(instance);

	if (result != 0)
		return result;
	if (madvise(memory->data, memory->bytes, MADV_DONTNEED) != 0)
		return -errno;
	if (memory->pages > base->pages_first ||
	    weir_wasm_memory_grow(instance, base->pages_first - memory->pages) == UINT32_MAX)
		return -EFBIG;
	instance->is_growth_refused = false;
	instance->pages_first = base->pages_first;
	instance->base = base;
	instance->kept = base->kept;
	instance->kept_bytes = base->kept_bytes;
	return file_map(instance, base->kept_fd, base->kept_bytes);
}

/* ---- reset ---- */

/* Compilers make of a copy of known size an instruction that takes twice the time of the library's. */
static size_t page_bytes(void)
{
	size_t bytes = PAGE_BYTES;

	__asm__("" : "+r"(bytes));
	return bytes;
}

static void page_write(const struct weir_wasm_instance *instance, size_t offset)
{
	const struct weir_wasm_layer *const layer = instance->layer;
	const struct weir_wasm_patch *const patch =
		layer != NULL && !instance->is_settled
			? weir_wasm_layer_find(layer, (uint32_t)(offset / PAGE_BYTES))
			: NULL;

	if (patch == NULL || patch->lines != UINT64_MAX) {
		if (offset < instance->kept_bytes)
			memcpy(instance->reserved + offset, instance->kept + offset,
			       page_bytes());
		else
			memset(instance->reserved + offset, 0, page_bytes());
	}
	if (patch != NULL)
		weir_wasm_layer_apply(layer, patch, instance->reserved + offset);
}

/* All pages that the layer has something of, but those that were just written as the process's own. */
static void layer_write(const struct weir_wasm_instance *instance, uint32_t own_count)
{
	uint32_t own = 0;

	for (uint32_t i = 0; instance->layer != NULL && i < instance->layer->count; i++) {
		const uint32_t page = instance->layer->patch[i].page;

		while (own < own_count && instance->own[own] < page)
			own++;
		if (own == own_count || instance->own[own] != page)
			page_write(instance, (size_t)page * PAGE_BYTES);
	}
}

static void reset_page(struct weir_wasm_scan *scan, size_t offset)
{
	struct weir_wasm_instance *const instance = scan->context;

	if (scan->pages <= WEIR_WASM_OWN_PAGES)
		instance->own[scan->pages - 1] = (uint32_t)(offset / PAGE_BYTES);
	page_write(instance, offset);
}

static void own_write(const struct weir_wasm_instance *instance)
{
	for (uint32_t i = 0; i < instance->own_count; i++)
		page_write(instance, (size_t)instance->own[i] * PAGE_BYTES);
}

/* A page becomes the process's own by a fault. So without one in this thread since its last reset, the
 * pages that were written are among those that are known; asking for faults costs a fifth of reading the
 * pagemap. True if that was enough. */
static bool reset_known(struct weir_wasm_instance *instance)
{
	struct rusage usage;
	long faults = 0;

	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return false;
	faults = usage.ru_minflt + usage.ru_majflt;
	if (faults != faults_seen || instance->own_count > WEIR_WASM_OWN_PAGES) {
		faults_seen = faults;
		return false;
	}
	own_write(instance);
	return true;
}

/* What was written goes back to the kernel: the next touch finds the memfd's page, or a zero one. */
static void give_back(struct weir_wasm_instance *instance, size_t bytes)
{
	int result = 0;

	weir_wasm_guard_end(instance);
	result = madvise(instance->reserved, bytes, MADV_DONTNEED);
	WEIR_ASSERT(result == 0); /* else a call would see another's data */
	instance->resets = 0;
	instance->own_count = 0;
	if (instance->layer != NULL && !instance->is_settled) {
		layer_write(instance, 0);
		instance->own_count = UINT32_MAX;
	}
}

/* Would the next call cost less, or the process less memory? An instance with a layer is one of a few. */
static bool gives_back(const struct weir_wasm_instance *instance, bool was_idle)
{
	const bool has_many = instance->own_count > WEIR_WASM_OWN_PAGES;

	/* One that was bound, or gave back, has the layer's pages at least: to write those anew is a fault for
	 * each. How many there are is known after this reset. */
	if (instance->base != NULL)
		return has_many && was_idle && instance->own_count != UINT32_MAX;
	return was_idle || (has_many && instance->resets > GIVE_BACK_RESETS);
}

/* Each of the process's own pages as it was, whoever wrote it. */
static void pages_restore(struct weir_wasm_instance *instance, size_t bytes)
{
	struct weir_wasm_scan scan = {
		.start = instance->reserved, .found = reset_page, .context = instance};

	if (weir_wasm_pages_scan(&scan, bytes) && scan.pages <= GIVE_BACK_PAGES)
		instance->own_count = scan.pages;
	else
		give_back(instance, bytes);
}

/* Restore what was written. An instance with a base is read into by its host, so it is not guarded. */
static void written_restore(struct weir_wasm_instance *instance, size_t bytes)
{
	if (instance->is_guarded) {
		own_write(instance);
	} else if (!reset_known(instance)) {
		instance->calm = 0;
		pages_restore(instance, bytes);
	} else if (instance->base == NULL && ++instance->calm == GUARD_RESETS) {
		instance->calm = 0;
		(void)weir_wasm_guard_begin(instance); /* else it goes on as before */
	}
}

/* What memory.grow added. */
static void shrink(struct weir_wasm_instance *instance, size_t bytes_first)
{
	struct weir_wasm_memory *const memory = instance->memory;
	const size_t bytes = (size_t)memory->pages * WEIR_WASM_PAGE_BYTES;
	int result = 0;

	if (bytes > bytes_first) {
		result =
			madvise(memory->data + bytes_first, bytes - bytes_first, MADV_DONTNEED);
		WEIR_ASSERT(result == 0);
		result = mprotect(memory->data + bytes_first, bytes - bytes_first, PROT_NONE);
		WEIR_ASSERT(result == 0);
	}
	pages_set(memory, instance->pages_first);
}

void weir_wasm_memory_reset(struct weir_wasm_instance *instance)
{
	const size_t bytes = (size_t)instance->pages_first * WEIR_WASM_PAGE_BYTES;
	const uint64_t now_ns = weir_clock_now_ns();
	const bool was_idle = now_ns - instance->used_ns > GIVE_BACK_IDLE_NS;

	for (uint32_t i = 0; i < instance->table_count; i++)
		if (instance->table[i].table->data != instance->table[i].block)
			free(instance->table[i].table->data);
	if (instance->memory == NULL)
		return;
	shrink(instance, bytes);
	instance->used_ns = now_ns;
	instance->resets++;
	if (bytes == 0)
		return;
	if (gives_back(instance, was_idle))
		give_back(instance, bytes);
	else
		written_restore(instance, bytes);
}

/* The base's memory again, in place of its own. */
static int unsettle(struct weir_wasm_instance *instance)
{
	const struct weir_wasm_instance *const base = instance->base;
	const size_t bytes = instance->kept_bytes;

	(void)munmap((void *)(uintptr_t)instance->kept, bytes); /* a mapping of ours */
	instance->kept = base->kept;
	instance->kept_bytes = base->kept_bytes;
	instance->is_settled = false;
	if (bytes > base->kept_bytes &&
	    mmap(instance->reserved + base->kept_bytes, bytes - base->kept_bytes,
		 PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return -errno;
	return file_map(instance, base->kept_fd, base->kept_bytes);
}

int weir_wasm_memory_bind(struct weir_wasm_instance *instance,
			  const struct weir_wasm_layer *layer, uint32_t pages_limit)
{
	struct weir_wasm_memory *const memory = instance->memory;
	const uint32_t pages = layer != NULL ? layer->pages : instance->base->pages_first;
	int result = 0;

	if (pages > pages_limit)
		return -EFBIG;
	if (instance->is_settled)
		result = unsettle(instance);
	if (result != 0)
		return result;
	instance->pages_limit = pages_limit;
	memory->pages_max = pages_limit;
	if (pages < memory->pages)
		shrink(instance, (size_t)pages * WEIR_WASM_PAGE_BYTES);
	else if (weir_wasm_memory_grow(instance, pages - memory->pages) == UINT32_MAX)
		return -ENOMEM;
	instance->pages_first = pages;
	pages_set(memory, pages); /* shrink() goes back to what was first before */
	instance->layer = layer;
	pages_restore(instance, memory->bytes);
	if (instance->own_count <= WEIR_WASM_OWN_PAGES)
		layer_write(instance, instance->own_count);
	else
		layer_write(instance, 0);
	instance->own_count = UINT32_MAX; /* those of the layer, too */
	return 0;
}

/* Base and layer into what `view` maps, but for pages of zeros. */
static void settled_write(const struct weir_wasm_instance *instance, uint8_t *view)
{
	const struct weir_wasm_layer *const layer = instance->layer;

	for (size_t offset = 0; offset < instance->kept_bytes; offset += PAGE_BYTES)
		if (!is_zero(instance->kept + offset))
			memcpy(view + offset, instance->kept + offset, PAGE_BYTES);
	for (uint32_t i = 0; i < layer->count; i++)
		weir_wasm_layer_apply(layer, &layer->patch[i],
				      view + (size_t)layer->patch[i].page * PAGE_BYTES);
}

int weir_wasm_memory_settle(struct weir_wasm_instance *instance)
{
	const struct weir_wasm_layer *const layer = instance->layer;
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	size_t bytes = instance->kept_bytes;
	void *view = NULL;
	int result = 0;

	if (instance->is_settled || layer == NULL || layer->count == 0)
		return 0;
	if (bytes < ((size_t)layer->patch[layer->count - 1].page + 1) * PAGE_BYTES)
		bytes = ((size_t)layer->patch[layer->count - 1].page + 1) * PAGE_BYTES;
	fd = memfd_create("weir-wasm", MFD_CLOEXEC);
	if (fd == -1 || ftruncate(fd, (off_t)bytes) != 0)
		return -errno;
	view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED)
		return -errno;
	settled_write(instance, view);
	(void)mprotect(view, bytes, PROT_READ); /* it only guards against ourselves */
	result = file_map(instance, fd, bytes);
	if (result != 0) {
		(void)munmap(view, bytes); /* a mapping of ours */
		return result;
	}
	instance->kept = view;
	instance->kept_bytes = bytes;
	instance->is_settled = true;
	instance->own_count = UINT32_MAX; /* of what lies beyond */
	return 0;
}

void weir_wasm_memory_free(struct weir_wasm_instance *instance)
{
	weir_wasm_guard_end(instance);
	if (instance->reserved != NULL)
		(void)munmap(instance->reserved, RESERVED_BYTES); /* it is a mapping of ours */
	if (instance->kept != NULL && (instance->base == NULL || instance->is_settled))
		(void)munmap((void *)(uintptr_t)instance->kept, instance->kept_bytes); /* too */
	if (instance->is_base)
		weir_fd_close(&instance->kept_fd);
	instance->reserved = NULL;
	instance->kept = NULL;
	for (uint32_t i = 0; i < instance->table_count; i++) {
		struct weir_wasm_kept_table *const kept = &instance->table[i];

		if (kept->table->data != kept->block)
			free(kept->table->data);
		free(kept->block);
		free(kept->copy);
	}
	instance->table_count = 0;
}

/* ---- tables ---- */

bool weir_wasm_table_allocate(struct weir_wasm_instance *instance,
			      struct weir_wasm_table *table, uint32_t count, uint32_t count_max,
			      uint32_t element_bytes)
{
	struct weir_wasm_kept_table *const kept = &instance->table[instance->table_count];

	if (count > WEIR_WASM_TABLE_COUNT_MAX || instance->table_count == WEIR_WASM_TABLES_MAX)
		return false;
	table->data = calloc((size_t)count + 1, element_bytes);
	if (table->data == NULL)
		return false;
	table->count = count;
	table->count_max = count_max;
	*kept = (struct weir_wasm_kept_table){.table = table,
					      .block = table->data,
					      .element_bytes = element_bytes,
					      .capacity = count};
	instance->table_count++;
	return true;
}

static struct weir_wasm_kept_table *table_find(struct weir_wasm_instance *instance,
					       const struct weir_wasm_table *table)
{
	for (uint32_t i = 0; i < instance->table_count; i++)
		if (instance->table[i].table == table)
			return &instance->table[i];
	return NULL;
}

/* Room for `count` elements. The first block stays until reset. */
static bool table_reserve(struct weir_wasm_kept_table *kept, uint32_t count)
{
	struct weir_wasm_table *const table = kept->table;
	uint32_t capacity = kept->capacity < 16 ? 16 : kept->capacity;
	void *block = NULL;

	if (count <= kept->capacity)
		return true;
	while (capacity < count)
		capacity *= 2; /* count is at most 2^20 */
	block = calloc(capacity, kept->element_bytes);
	if (block == NULL)
		return false;
	memcpy(block, table->data, (size_t)table->count * kept->element_bytes);
	if (table->data != kept->block)
		free(table->data);
	table->data = block;
	kept->capacity = capacity;
	return true;
}

uint32_t weir_wasm_table_grow(struct weir_wasm_instance *instance,
			      struct weir_wasm_table *table, uint32_t count,
			      const void *element)
{
	struct weir_wasm_kept_table *const kept = table_find(instance, table);
	const uint32_t before = table->count;

	if (kept == NULL || count > WEIR_WASM_TABLE_COUNT_MAX - before ||
	    count > table->count_max - before || !table_reserve(kept, before + count))
		return UINT32_MAX;
	for (uint32_t i = 0; i < count; i++)
		memcpy((uint8_t *)table->data + (size_t)(before + i) * kept->element_bytes,
		       element, kept->element_bytes);
	table->count = before + count;
	return before;
}

void weir_wasm_tables_reset(struct weir_wasm_instance *instance)
{
	for (uint32_t i = 0; i < instance->table_count; i++) {
		struct weir_wasm_kept_table *const kept = &instance->table[i];
		const size_t bytes = (size_t)kept->count_first * kept->element_bytes;

		kept->table->data = kept->block;
		kept->table->count = kept->count_first;
		kept->capacity = kept->capacity_first;
		if (bytes != 0 && memcmp(kept->block, kept->copy, bytes) != 0)
			memcpy(kept->block, kept->copy, bytes);
	}
}
