#include "tests/shm/shm_test.h"

#include "dataplane/shm/chunk.h"

static struct weir_chunk_arena arena;

static int setup(void **state)
{
	(void)state;
	weir_chunk_arena_open(&arena);
	return 0;
}

static void chunk_is_small_if_that_is_enough_else_large(void **state)
{
	(void)state;
	assert_true(weir_chunk_take(&arena, 0, 0) < WEIR_PAIR_CHUNKS_SMALL);
	assert_true(weir_chunk_take(&arena, 0, WEIR_CHUNK_SMALL_BYTES) < WEIR_PAIR_CHUNKS_SMALL);
	const uint32_t large = weir_chunk_take(&arena, 0, WEIR_CHUNK_SMALL_BYTES + 1);

	assert_in_range(large, WEIR_PAIR_CHUNKS_SMALL, WEIR_PAIR_CHUNKS - 1);
	assert_int_equal(arena.used_small, 2);
	assert_int_equal(arena.used_large, 1);
	assert_int_equal(weir_chunk_take(&arena, 0, WEIR_CHUNK_LARGE_BYTES + 1), WEIR_CHUNK_NONE);
}

static void call_holds_at_most_its_share_of_large_chunks(void **state)
{
	(void)state;
	uint32_t ref = 0;

	for (int i = 0; i < WEIR_CALL_CHUNKS_MAX; i++) {
		ref = weir_chunk_take(&arena, 3, WEIR_CHUNK_LARGE_BYTES);
		assert_int_not_equal(ref, WEIR_CHUNK_NONE);
	}
	assert_int_equal(weir_chunk_take(&arena, 3, WEIR_CHUNK_LARGE_BYTES), WEIR_CHUNK_NONE);
	assert_int_not_equal(weir_chunk_take(&arena, 4, WEIR_CHUNK_LARGE_BYTES), WEIR_CHUNK_NONE);
	assert_true(weir_chunk_give(&arena, 3, ref));
	assert_int_not_equal(weir_chunk_take(&arena, 3, WEIR_CHUNK_LARGE_BYTES), WEIR_CHUNK_NONE);
}

static void every_chunk_is_handed_out_once_then_none(void **state)
{
	static bool seen[WEIR_PAIR_CHUNKS];

	(void)state;
	memset(seen, 0, sizeof(seen));
	for (uint16_t i = 0; i < WEIR_PAIR_CHUNKS_SMALL; i++) {
		const uint32_t ref = weir_chunk_take(&arena, i % 8, 1);

		assert_true(ref < WEIR_PAIR_CHUNKS_SMALL);
		assert_false(seen[ref]);
		seen[ref] = true;
	}
	for (uint16_t i = 0; i < WEIR_PAIR_CHUNKS_LARGE; i++) {
		/* Small requests fall back to large chunks. */
		const uint32_t ref = weir_chunk_take(&arena, (uint16_t)(8 + i / 4), 1);

		assert_in_range(ref, WEIR_PAIR_CHUNKS_SMALL, WEIR_PAIR_CHUNKS - 1);
		assert_false(seen[ref]);
		seen[ref] = true;
	}
	assert_int_equal(weir_chunk_take(&arena, 100, 1), WEIR_CHUNK_NONE);
	for (uint16_t call = 0; call < 8; call++)
		assert_int_equal(weir_chunk_give_all(&arena, call), WEIR_PAIR_CHUNKS_SMALL / 8);
	for (uint16_t call = 8; call < 8 + WEIR_PAIR_CHUNKS_LARGE / 4; call++)
		assert_int_equal(weir_chunk_give_all(&arena, call), 4);
	assert_int_equal(arena.used_small + arena.used_large, 0);
}

static void give_refuses_what_the_call_does_not_hold(void **state)
{
	const uint32_t mine = weir_chunk_take(&arena, 1, 1);
	const uint32_t theirs = weir_chunk_take(&arena, 2, 1);

	(void)state;
	assert_false(weir_chunk_give(&arena, 1, theirs));
	assert_false(weir_chunk_give(&arena, 1, theirs + 1)); /* free */
	assert_false(weir_chunk_give(&arena, 1, WEIR_PAIR_CHUNKS));
	assert_false(weir_chunk_give(&arena, 1, WEIR_CHUNK_NONE));
	assert_false(weir_chunk_give(&arena, 1, mine | 0x10000));
	assert_true(weir_chunk_is_held(&arena, 1, mine));
	assert_true(weir_chunk_is_held(&arena, 2, theirs));
	assert_false(weir_chunk_is_held(&arena, 1, theirs));
	assert_false(weir_chunk_is_held(&arena, 1, WEIR_CHUNK_NONE));
	assert_true(weir_chunk_give(&arena, 1, mine));
	assert_false(weir_chunk_give(&arena, 1, mine)); /* twice */
	assert_false(weir_chunk_is_held(&arena, 1, mine));
	assert_int_equal(arena.used_small, 1);
}

static void give_from_the_middle_keeps_the_rest(void **state)
{
	uint32_t refs[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		refs[i] = weir_chunk_take(&arena, 9, i == 2 ? WEIR_CHUNK_LARGE_BYTES : 1);
	assert_true(weir_chunk_give(&arena, 9, refs[2]));
	assert_int_equal(arena.used_large, 0);
	assert_true(weir_chunk_give(&arena, 9, refs[0]));
	assert_true(weir_chunk_give(&arena, 9, refs[4]));
	assert_int_equal(weir_chunk_give_all(&arena, 9), 2);
	assert_int_equal(weir_chunk_give_all(&arena, 9), 0);
	assert_int_equal(arena.used_small, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(chunk_is_small_if_that_is_enough_else_large, setup),
		cmocka_unit_test_setup(call_holds_at_most_its_share_of_large_chunks, setup),
		cmocka_unit_test_setup(every_chunk_is_handed_out_once_then_none, setup),
		cmocka_unit_test_setup(give_refuses_what_the_call_does_not_hold, setup),
		cmocka_unit_test_setup(give_from_the_middle_keeps_the_rest, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
