/* What a run's end means, how long is waited, and limits as a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctrl/queue/queue_policy.h"

static void limits_travel_as_a_text(void **state)
{
	static const struct weir_queue_limits limits = {
		.rows_max = 10000000,
		.bytes_max = UINT64_C(1) << 40,
		.body_bytes_max = 1 << 20,
		.running_max = 64,
		.retries_max = 100,
		.retry_ms = 600000,
		.keep_s = 316224000,
		.key_keep_s = 316224000,
	};
	static const char *const unsound[] = {"", "1:2:3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8x", "a:2:3:4:5:6:7:8"};
	struct weir_queue_limits read;
	char text[WEIR_QUEUE_LIMITS_BYTES];

	(void)state;
	assert_true(weir_queue_limits_format(&limits, text));
	assert_true(weir_queue_limits_parse(text, &read));
	assert_memory_equal(&read, &limits, sizeof(limits));
	for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++)
		assert_false(weir_queue_limits_parse(unsound[i], &read));
}

static void what_would_be_the_same_again_is_not_tried_again(void **state)
{
	static const struct {
		uint32_t status;
		const char *failure;
		enum weir_queue_verdict verdict;
	} rows[] = {
		{200, NULL, WEIR_QUEUE_VERDICT_ANSWERED},
		{500, NULL, WEIR_QUEUE_VERDICT_ANSWERED},
		{502, "worker_died", WEIR_QUEUE_VERDICT_FAILED},
		{502, "function_failed", WEIR_QUEUE_VERDICT_FAILED},
		{504, "function_timeout", WEIR_QUEUE_VERDICT_FAILED},
		{502, "answer_broken", WEIR_QUEUE_VERDICT_FAILED},
		{500, "program_failed", WEIR_QUEUE_VERDICT_FAILED},
		{503, "no_worker", WEIR_QUEUE_VERDICT_REFUSED},
		{429, "queue_full", WEIR_QUEUE_VERDICT_REFUSED},
		{504, "queue_timeout", WEIR_QUEUE_VERDICT_REFUSED},
		{501, "runtime_missing", WEIR_QUEUE_VERDICT_REFUSED},
		{503, "cancelled", WEIR_QUEUE_VERDICT_REFUSED},
		{404, "call_unknown", WEIR_QUEUE_VERDICT_HOPELESS},
		{413, "call_body", WEIR_QUEUE_VERDICT_HOPELESS},
		{502, "answer_too_large", WEIR_QUEUE_VERDICT_HOPELESS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (weir_queue_verdict_of(rows[i].status, rows[i].failure) != rows[i].verdict)
			fail_msg("%u %s", rows[i].status, rows[i].failure == NULL ? "-" : rows[i].failure);
	}
}

static void each_wait_is_twice_as_long_up_to_a_bound(void **state)
{
	(void)state;
	assert_int_equal(weir_queue_back_off_ms(1000, 1, 0), 1000);
	assert_int_equal(weir_queue_back_off_ms(1000, 2, 0), 2000);
	assert_int_equal(weir_queue_back_off_ms(1000, 5, 0), 16000);
	assert_int_equal(weir_queue_back_off_ms(1000, 4000000000U, 0), WEIR_QUEUE_BACK_OFF_MS_MAX);
	assert_int_equal(weir_queue_back_off_ms(600000, 2, 0), WEIR_QUEUE_BACK_OFF_MS_MAX);
	assert_int_equal(weir_queue_back_off_ms(1, 1, UINT64_MAX), 1);
	for (uint64_t random = 0; random < 3000; random++) {
		const uint32_t wait_ms = weir_queue_back_off_ms(1000, 2, random);

		assert_in_range(wait_ms, 1000, 2000);
	}
	assert_int_equal(weir_queue_back_off_ms(1000, 2, 1000), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_travel_as_a_text),
		cmocka_unit_test(what_would_be_the_same_again_is_not_tried_again),
		cmocka_unit_test(each_wait_is_twice_as_long_up_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
