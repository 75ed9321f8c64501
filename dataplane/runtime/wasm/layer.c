#include "dataplane/runtime/wasm/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/runtime/wasm/instance.h"
#include "dataplane/runtime/wasm/pages.h"

#define PAGE_BYTES      WEIR_WASM_KERNEL_PAGE_BYTES
#define LINES           (PAGE_BYTES / WEIR_WASM_LINE_BYTES)
#define LAYER_BYTES_MAX ((size_t)1 << 30)

/* A layer while it grows. */
struct draft {
	const struct weir_wasm_instance *instance;
	const struct weir_wasm_range *dead; /* those that are still to come */
	size_t dead_count;
	struct weir_wasm_patch *patch;
	size_t count;
	size_t count_max;
	uint8_t *data;
	size_t bytes;
	size_t bytes_max;
};

/* Room for `bytes` more in a block that grows by doubling. */
static int room_make(void **block, size_t used, size_t bytes, size_t *bytes_max)
{
	size_t wanted = *bytes_max < PAGE_BYTES ? PAGE_BYTES : *bytes_max;
	void *larger = NULL;

	if (used + bytes > LAYER_BYTES_MAX)
		return -EFBIG;
	while (wanted < used + bytes)
		wanted *= 2;
	if (wanted == *bytes_max)
		return 0;
	larger = realloc(*block, wanted);
	if (larger == NULL)
		return -ENOMEM;
	*block = larger;
	*bytes_max = wanted;
	return 0;
}

/* In which lines two pages differ. */
static uint64_t lines_differ(const uint8_t *page, const uint8_t *base)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < LINES; i++)
		if (memcmp(page + i * WEIR_WASM_LINE_BYTES, base + i * WEIR_WASM_LINE_BYTES,
			   WEIR_WASM_LINE_BYTES) != 0)
			lines |= UINT64_C(1) << i;
	return lines;
}

static int patch_add(struct draft *draft, size_t offset, uint64_t lines)
{
	const uint8_t *const page = draft->instance->reserved + offset;
	void *patches = draft->patch;
	void *data = draft->data;
	int result = room_make(&patches, draft->count * sizeof(*draft->patch),
			       sizeof(*draft->patch), &draft->count_max);

	draft->patch = patches;
	if (result == 0)
		result = room_make(&data, draft->bytes, PAGE_BYTES, &draft->bytes_max);
	draft->data = data;
	if (result != 0)
		return result;
	draft->patch[draft->count++] =
		(struct weir_wasm_patch){.page = (uint32_t)(offset / PAGE_BYTES),
					 .first = (uint32_t)draft->bytes,
					 .lines = lines};
	for (size_t i = 0; i < LINES; i++) {
		if ((lines >> i & 1) == 0)
			continue;
		memcpy(draft->data + draft->bytes, page + i * WEIR_WASM_LINE_BYTES,
		       WEIR_WASM_LINE_BYTES);
		draft->bytes += WEIR_WASM_LINE_BYTES;
	}
	return 0;
}

/* Which lines of the page at `offset` hold nothing. Pages come by rising address. */
static uint64_t lines_dead(struct draft *draft, size_t offset)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < LINES; i++) {
		const size_t first = offset + i * WEIR_WASM_LINE_BYTES;

		while (draft->dead_count != 0 && draft->dead->end < first + WEIR_WASM_LINE_BYTES) {
			draft->dead++;
			draft->dead_count--;
		}
		if (draft->dead_count != 0 && draft->dead->first <= first)
			lines |= UINT64_C(1) << i;
	}
	return lines;
}

static void page_compare(struct weir_wasm_scan *scan, size_t offset)
{
	static const uint8_t zeros[PAGE_BYTES];
	struct draft *const draft = scan->context;
	const struct weir_wasm_instance *const instance = draft->instance;
	const uint8_t *const base =
		offset < instance->kept_bytes ? instance->kept + offset : zeros;
	uint64_t lines = 0;

	if (scan->error != 0)
		return;
	lines = ~lines_dead(draft, offset);
	if (lines != 0)
		lines &= lines_differ(scan->start + offset, base);
	if (lines != 0)
		scan->error = patch_add(draft, offset, lines);
}

/* One block of what was drafted. */
static struct weir_wasm_layer *layer_finish(const struct draft *draft)
{
	const size_t patch_bytes = draft->count * sizeof(*draft->patch);
	struct weir_wasm_layer *const layer =
		malloc(sizeof(*layer) + patch_bytes + draft->bytes);
	uint8_t *data = NULL;

	if (layer == NULL)
		return NULL;
	data = (uint8_t *)layer + sizeof(*layer) + patch_bytes;
	*layer = (struct weir_wasm_layer){.pages = draft->instance->memory->pages,
					  .count = (uint32_t)draft->count,
					  .bytes = (uint32_t)draft->bytes,
					  .data = data};
	if (draft->count != 0) {
		memcpy(layer->patch, draft->patch, patch_bytes);
		memcpy(data, draft->data, draft->bytes);
	}
	return layer;
}

int weir_wasm_layer_make(const struct weir_wasm_instance *instance,
			 const struct weir_wasm_range *dead, size_t dead_count,
			 struct weir_wasm_layer **out_layer)
{
	const size_t bytes = instance->memory->bytes;
	struct draft draft = {.instance = instance, .dead = dead, .dead_count = dead_count};
	struct weir_wasm_scan scan = {
		.start = instance->reserved, .found = page_compare, .context = &draft};

	if (!weir_wasm_pages_scan(&scan, bytes)) {
		scan.error = 0;
		draft.count = 0;
		draft.bytes = 0;
		draft.dead = dead;
		draft.dead_count = dead_count;
		for (size_t offset = 0; offset < bytes; offset += PAGE_BYTES)
			page_compare(&scan, offset);
	}
	if (scan.error == 0) {
		*out_layer = layer_finish(&draft);
		scan.error = *out_layer != NULL ? 0 : -ENOMEM;
	}
	free(draft.patch);
	free(draft.data);
	return scan.error;
}

void weir_wasm_layer_free(struct weir_wasm_layer *layer)
{
	free(layer);
}

const struct weir_wasm_patch *weir_wasm_layer_find(const struct weir_wasm_layer *layer,
						   uint32_t page)
{
	uint32_t low = 0;
	uint32_t high = layer->count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (layer->patch[middle].page < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low < layer->count && layer->patch[low].page == page ? &layer->patch[low] : NULL;
}

void weir_wasm_layer_apply(const struct weir_wasm_layer *layer,
			   const struct weir_wasm_patch *patch, uint8_t *page)
{
	const uint8_t *from = layer->data + patch->first;
	uint64_t lines = patch->lines;

	while (lines != 0) {
		const size_t line = (size_t)__builtin_ctzll(lines);
		const uint64_t run = ~(lines >> line); /* its lowest bit ends the run */
		const size_t count = run != 0 ? (size_t)__builtin_ctzll(run) : LINES;

		memcpy(page + line * WEIR_WASM_LINE_BYTES, from, count * WEIR_WASM_LINE_BYTES);
		from += count * WEIR_WASM_LINE_BYTES;
		lines = line + count >= LINES ? 0
					      : lines & (UINT64_MAX << (line + count));
	}
}
