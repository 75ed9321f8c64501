#include "dataplane/runtime/wasm/pages.h"

#include <fcntl.h>
#include <unistd.h>

enum { SCAN_PAGES = 1024 }; /* pagemap entries read at a time */

#define PAGEMAP_FILE    (UINT64_C(1) << 61)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

static int pagemap_fd = -1;

void weir_wasm_pages_open(void)
{
	if (sysconf(_SC_PAGESIZE) == (long)WEIR_WASM_KERNEL_PAGE_BYTES && pagemap_fd == -1)
		pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC); /* or none */
}

static void scan_entries(struct weir_wasm_scan *scan, const uint64_t *entries, size_t count,
			 size_t first)
{
	for (size_t i = 0; i < count; i++) {
		if ((entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) == 0 ||
		    (entries[i] & PAGEMAP_FILE) != 0)
			continue;
		scan->pages++;
		scan->found(scan, (first + i) * WEIR_WASM_KERNEL_PAGE_BYTES);
	}
}

bool weir_wasm_pages_scan(struct weir_wasm_scan *scan, size_t bytes)
{
	static uint64_t entries[SCAN_PAGES]; /* the baton holder's */
	const size_t pages = bytes / WEIR_WASM_KERNEL_PAGE_BYTES;
	const uintptr_t start = (uintptr_t)scan->start / WEIR_WASM_KERNEL_PAGE_BYTES;

	if (pagemap_fd == -1)
		return false;
	for (size_t page = 0; page < pages; page += SCAN_PAGES) {
		const size_t count = pages - page < SCAN_PAGES ? pages - page : SCAN_PAGES;

		if (pread(pagemap_fd, entries, count * sizeof(entries[0]),
			  (off_t)((start + page) * sizeof(entries[0]))) !=
		    (ssize_t)(count * sizeof(entries[0])))
			return false;
		scan_entries(scan, entries, count, page);
	}
	return true;
}
