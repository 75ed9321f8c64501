#include "tests/shm/shm_test.h"

#include "dataplane/shm/call.h"

static void assert_word(const struct weir_link_call *call, uint64_t sequence, enum weir_call_state state)
{
	uint64_t seen = 0;

	assert_int_equal(weir_call_peek(call, &seen), state);
	assert_int_equal(seen, sequence);
}

static void call_goes_round_queued_running_free(void **state)
{
	struct weir_link_call call = {0};

	(void)state;
	assert_word(&call, 0, WEIR_CALL_FREE);
	weir_call_queue(&call, 41);
	assert_word(&call, 41, WEIR_CALL_QUEUED);
	assert_true(weir_call_accept(&call, 41));
	assert_word(&call, 41, WEIR_CALL_RUNNING);
	assert_false(weir_call_accept(&call, 41));
	assert_false(weir_call_recall(&call, 41));
	assert_word(&call, 41, WEIR_CALL_RUNNING);
	weir_call_release(&call, 41);
	assert_word(&call, 41, WEIR_CALL_FREE);
	assert_false(weir_call_accept(&call, 41));
	assert_false(weir_call_recall(&call, 41));
}

static void recalled_call_cannot_be_accepted_or_recalled_again(void **state)
{
	struct weir_link_call call = {0};

	(void)state;
	weir_call_queue(&call, 5);
	assert_true(weir_call_recall(&call, 5));
	assert_word(&call, 5, WEIR_CALL_RECALLED);
	assert_false(weir_call_accept(&call, 5));
	assert_false(weir_call_recall(&call, 5));
	assert_word(&call, 5, WEIR_CALL_RECALLED);
	weir_call_release(&call, 5);
	assert_word(&call, 5, WEIR_CALL_FREE);
}

static void stale_sequence_changes_nothing(void **state)
{
	struct weir_link_call call = {0};

	(void)state;
	weir_call_queue(&call, 5);
	assert_true(weir_call_recall(&call, 5));
	weir_call_queue(&call, 6); /* straight from RECALLED */
	assert_false(weir_call_accept(&call, 5));
	assert_false(weir_call_recall(&call, 5));
	assert_word(&call, 6, WEIR_CALL_QUEUED);
	assert_true(weir_call_accept(&call, 6));
}

static void largest_sequence_is_kept_whole(void **state)
{
	struct weir_link_call call = {0};
	const uint64_t largest = (UINT64_C(1) << 56) - 1;

	(void)state;
	weir_call_queue(&call, largest);
	assert_word(&call, largest, WEIR_CALL_QUEUED);
	assert_true(weir_call_accept(&call, largest));
	assert_word(&call, largest, WEIR_CALL_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_goes_round_queued_running_free),
		cmocka_unit_test(recalled_call_cannot_be_accepted_or_recalled_again),
		cmocka_unit_test(stale_sequence_changes_nothing),
		cmocka_unit_test(largest_sequence_is_kept_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
