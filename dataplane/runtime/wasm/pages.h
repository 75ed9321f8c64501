/* pages: which pages of a private mapping are the process's own, that is, were written.
 *
 * Such a page is present or swapped out, and not of the mapped file: /proc/self/pagemap tells.
 * Owns: the pagemap's descriptor, as long as the process lives. Threads: the worker's baton holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_PAGES_H
#define WEIR_DATAPLANE_RUNTIME_WASM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's; every architecture that wasm2c's code runs on here. */
#define WEIR_WASM_KERNEL_PAGE_BYTES ((size_t)4096)

/* One run over [0, bytes) of what lies at `start`, both multiples of a page. */
struct weir_wasm_scan {
	const uint8_t *start;
	/* Called for each of the process's own pages, in order. */
	void (*found)(struct weir_wasm_scan *scan, size_t offset);
	void *context; /* found()'s */
	uint32_t pages; /* that were found, the one that found() is called for included */
	int error;      /* found()'s */
};

/* Once, before the first scan: open the pagemap, while that is allowed. */
void weir_wasm_pages_open(void);

/* False: the pagemap does not tell; some pages may have been found. */
bool weir_wasm_pages_scan(struct weir_wasm_scan *scan, size_t bytes);

#endif
