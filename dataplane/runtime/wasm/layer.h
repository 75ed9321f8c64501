/* layer: what one memory has on top of another that many share: the lines of 64 bytes in which they
 * differ. So many functions whose memories grew from one are kept at the price of their differences.
 *
 *   base, a memfd      | page 0 | page 1 | page 2 | ...        mapped by all, written by none
 *   layer                        patch: page 1, lines 0 and 5 | its bytes
 *   an instance        = base, and over it the layer that it is bound to; reset() makes it so again
 *
 * Owns: one block of memory. Threads: any, while nobody frees it. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_LAYER_H
#define WEIR_DATAPLANE_RUNTIME_WASM_LAYER_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_WASM_LINE_BYTES ((size_t)64)

struct weir_wasm_instance;

/* What one of the kernel's pages has of its own. */
struct weir_wasm_patch {
	uint32_t page;  /* its number */
	uint32_t first; /* of its bytes, in the layer's */
	uint64_t lines; /* bit n: the 64 bytes at 64 * n */
};

struct weir_wasm_layer {
	uint32_t pages; /* WebAssembly's, of the whole memory */
	uint32_t count;
	uint32_t bytes; /* of all lines */
	uint32_t reserved;
	const uint8_t *data;
	struct weir_wasm_patch patch[]; /* by rising page */
};

/* Memory that holds nothing: whatever stands there is as good. */
struct weir_wasm_range {
	uint32_t first;
	uint32_t end; /* the address after it */
};

/* The difference between `instance`, which shares a base, and that base; lines that lie in the `dead_count`
 * ranges `dead` (by rising address) are left out. 0, -ENOMEM, -EFBIG (over 1 GiB). */
int weir_wasm_layer_make(const struct weir_wasm_instance *instance,
			 const struct weir_wasm_range *dead, size_t dead_count,
			 struct weir_wasm_layer **out_layer);

/* May be NULL. */
void weir_wasm_layer_free(struct weir_wasm_layer *layer);

/* The patch of a page, or NULL. */
const struct weir_wasm_patch *weir_wasm_layer_find(const struct weir_wasm_layer *layer,
						   uint32_t page);

/* Write a patch's lines to its page, which is as in the base. */
void weir_wasm_layer_apply(const struct weir_wasm_layer *layer,
			   const struct weir_wasm_patch *patch, uint8_t *page);

#endif
