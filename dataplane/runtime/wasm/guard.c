#include "dataplane/runtime/wasm/guard.h"

#include <errno.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"
#include "dataplane/runtime/wasm/pages.h"

enum {
	PAGE_BYTES = WEIR_WASM_KERNEL_PAGE_BYTES,
	GUARDED_MAX = 256, /* with RUNS_MAX, far from the kernel's 65,530 mappings of a process */
	RUNS_MAX = 8,      /* of neighbouring pages: each is a mapping */
};

static struct weir_wasm_instance *guarded[GUARDED_MAX];
static uint32_t guarded_count;

static size_t bytes_of(const struct weir_wasm_instance *instance)
{
	return (size_t)instance->pages_first * WEIR_WASM_PAGE_BYTES;
}

static void forget(struct weir_wasm_instance *instance)
{
	for (uint32_t i = 0; i < guarded_count; i++) {
		if (guarded[i] == instance) {
			guarded[i] = guarded[--guarded_count];
			break;
		}
	}
	instance->is_guarded = false;
	instance->calm = 0;
}

/* The first page of the run that begins at own[i] is there; *out_end is behind its last. */
static uint32_t run_end(const struct weir_wasm_instance *instance, uint32_t i, uint32_t *out_end)
{
	*out_end = instance->own[i] + 1;
	while (++i < instance->own_count && instance->own[i] == *out_end)
		++*out_end;
	return i;
}

static uint32_t runs_count(const struct weir_wasm_instance *instance)
{
	uint32_t runs = 0;
	uint32_t end = 0;

	for (uint32_t i = 0; i < instance->own_count; runs++)
		i = run_end(instance, i, &end);
	return runs;
}

static bool own_allow(const struct weir_wasm_instance *instance)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < instance->own_count;) {
		const uint32_t first = instance->own[i];

		i = run_end(instance, i, &end);
		if (mprotect(instance->reserved + (size_t)first * PAGE_BYTES,
			     (size_t)(end - first) * PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
			return false;
	}
	return true;
}

bool weir_wasm_guard_begin(struct weir_wasm_instance *instance)
{
	if (guarded_count == GUARDED_MAX || instance->own_count > WEIR_WASM_OWN_PAGES ||
	    runs_count(instance) > RUNS_MAX)
		return false;
	guarded[guarded_count++] = instance;
	instance->is_guarded = true;
	if (mprotect(instance->reserved, bytes_of(instance), PROT_READ) == 0 && own_allow(instance))
		return true;
	weir_wasm_guard_end(instance);
	return false;
}

void weir_wasm_guard_end(struct weir_wasm_instance *instance)
{
	int result = 0;

	if (!instance->is_guarded)
		return;
	forget(instance);
	/* Whole mappings: this only joins what begin() had split. */
	result = mprotect(instance->reserved, bytes_of(instance), PROT_READ | PROT_WRITE);
	WEIR_ASSERT(result == 0);
}

static struct weir_wasm_instance *guarded_find(uintptr_t address)
{
	for (uint32_t i = 0; i < guarded_count; i++) {
		const uintptr_t start = (uintptr_t)guarded[i]->reserved;

		if (address >= start && address - start < bytes_of(guarded[i]))
			return guarded[i];
	}
	return NULL;
}

bool weir_wasm_guard_take(uintptr_t address)
{
	struct weir_wasm_instance *const instance = guarded_find(address);
	const int before = errno;
	uint32_t page = 0;

	if (instance == NULL)
		return false;
	page = (uint32_t)((address - (uintptr_t)instance->reserved) / PAGE_BYTES);
	if (instance->own_count == WEIR_WASM_OWN_PAGES ||
	    mprotect(instance->reserved + (size_t)page * PAGE_BYTES, PAGE_BYTES,
		     PROT_READ | PROT_WRITE) != 0) {
		weir_wasm_guard_end(instance);
		instance->own_count = UINT32_MAX; /* the pagemap tells */
	} else {
		instance->own[instance->own_count++] = page;
	}
	errno = before;
	return true;
}
