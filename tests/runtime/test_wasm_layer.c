/* layer: what differs from a base is all that is kept, and base and layer together are what was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/runtime/wasm/instance.h"
#include "dataplane/runtime/wasm/pages.h"

#define PAGE       WEIR_WASM_KERNEL_PAGE_BYTES
#define BASE_PAGES 5
#define BYTES      ((size_t)WEIR_WASM_PAGE_BYTES)

static uint8_t base[BASE_PAGES * PAGE];
static uint8_t memory_bytes[BYTES] __attribute__((aligned(4096)));
static struct weir_wasm_memory memory = {.data = memory_bytes, .pages = 1, .bytes = BYTES};
static struct weir_wasm_instance instance = {
	.memory = &memory, .reserved = memory_bytes, .kept = base, .kept_bytes = sizeof(base)};

/* As a fresh instance has it. */
static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(base); i++)
		base[i] = (uint8_t)(i * 31);
	memset(memory_bytes, 0, sizeof(memory_bytes));
	memcpy(memory_bytes, base, sizeof(base));
	return 0;
}

/* Base and layer, side by side with what they are to be. */
static void assert_restores(const struct weir_wasm_layer *layer)
{
	uint8_t *const copy = calloc(1, BYTES);

	assert_non_null(copy);
	memcpy(copy, base, sizeof(base));
	for (uint32_t i = 0; i < layer->count; i++) {
		assert_ptr_equal(weir_wasm_layer_find(layer, layer->patch[i].page), &layer->patch[i]);
		weir_wasm_layer_apply(layer, &layer->patch[i], copy + layer->patch[i].page * PAGE);
	}
	assert_memory_equal(copy, memory_bytes, BYTES);
	free(copy);
}

static void nothing_changed_is_an_empty_layer(void **state)
{
	struct weir_wasm_layer *layer = NULL;

	(void)state;
	assert_int_equal(weir_wasm_layer_make(&instance, NULL, 0, &layer), 0);
	assert_int_equal(layer->count, 0);
	assert_int_equal(layer->pages, 1);
	assert_null(weir_wasm_layer_find(layer, 0));
	weir_wasm_layer_free(layer);
}

static void lines_that_differ_are_kept_and_no_others(void **state)
{
	struct weir_wasm_layer *layer = NULL;

	(void)state;
	memory_bytes[0] ^= 1;                 /* the first line of all */
	memory_bytes[PAGE - 1] ^= 1;          /* the last of a page */
	memory_bytes[3 * PAGE + 64] ^= 1;     /* two beside each other */
	memory_bytes[3 * PAGE + 191] ^= 1;
	memory_bytes[9 * PAGE + 5] = 7;       /* beyond the base */
	assert_int_equal(weir_wasm_layer_make(&instance, NULL, 0, &layer), 0);
	assert_int_equal(layer->count, 3);
	assert_int_equal(layer->bytes, 5 * WEIR_WASM_LINE_BYTES);
	assert_int_equal(layer->patch[1].lines, 6);
	assert_restores(layer);
	weir_wasm_layer_free(layer);
}

static void a_whole_page_is_one_patch(void **state)
{
	struct weir_wasm_layer *layer = NULL;

	(void)state;
	memset(memory_bytes + PAGE, 0xff, PAGE);
	memset(memory_bytes + 15 * PAGE, 0xff, PAGE); /* the last of the memory */
	assert_int_equal(weir_wasm_layer_make(&instance, NULL, 0, &layer), 0);
	assert_int_equal(layer->count, 2);
	assert_true(layer->patch[0].lines == UINT64_MAX);
	assert_restores(layer);
	weir_wasm_layer_free(layer);
}

static void dead_ranges_are_left_out(void **state)
{
	/* Four pages; a line and what is left of two; less than a line. */
	static const struct weir_wasm_range dead[] = {
		{0, 4 * PAGE}, {6 * PAGE + 10, 6 * PAGE + 130}, {8 * PAGE + 1, 8 * PAGE + 64}};
	struct weir_wasm_layer *layer = NULL;

	(void)state;
	memset(memory_bytes, 0xff, BYTES);
	assert_int_equal(weir_wasm_layer_make(&instance, dead, 3, &layer), 0);
	assert_int_equal(layer->count, 12);
	assert_null(weir_wasm_layer_find(layer, 3));
	assert_true(weir_wasm_layer_find(layer, 4)->lines == UINT64_MAX);
	assert_true(weir_wasm_layer_find(layer, 6)->lines == ~UINT64_C(2));
	assert_true(weir_wasm_layer_find(layer, 8)->lines == UINT64_MAX);
	weir_wasm_layer_free(layer);
}

static void any_pattern_comes_back(void **state)
{
	struct weir_wasm_layer *layer = NULL;

	(void)state;
	srand(4);
	for (int round = 0; round < 200; round++) {
		(void)setup(state);
		for (int i = rand() % 64; i > 0; i--)
			memory_bytes[(size_t)rand() % BYTES] ^= (uint8_t)(1 + rand() % 255);
		assert_int_equal(weir_wasm_layer_make(&instance, NULL, 0, &layer), 0);
		assert_restores(layer);
		weir_wasm_layer_free(layer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_changed_is_an_empty_layer, setup),
		cmocka_unit_test_setup(lines_that_differ_are_kept_and_no_others, setup),
		cmocka_unit_test_setup(a_whole_page_is_one_patch, setup),
		cmocka_unit_test_setup(dead_ranges_are_left_out, setup),
		cmocka_unit_test_setup(any_pattern_comes_back, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
