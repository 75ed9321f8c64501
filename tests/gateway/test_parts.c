/* Timer wheel, blocks, mailbox and request encoding, each alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "dataplane/abi/head.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/block.h"
#include "dataplane/gateway/encode.h"
#include "dataplane/gateway/mailbox.h"
#include "dataplane/gateway/timer.h"
#include "dataplane/shm/head_check.h"

enum { TICK_NS = 1 << WEIR_TIMER_TICK_SHIFT, TIMERS = 500, STEPS = 20000 };

static void timer_fires_after_its_time_and_within_two_ticks(void **state)
{
	static struct weir_timer_wheel wheel;
	struct weir_timer timer = {0};
	const uint64_t start = 1000 * UINT64_C(1000000000);

	(void)state;
	for (uint64_t ahead = 0; ahead < 3 * WEIR_TIMER_SLOTS; ahead += 37) {
		const uint64_t due = start + ahead * TICK_NS + 12345;
		uint64_t now = start, next;

		weir_timer_wheel_open(&wheel, start);
		weir_timer_arm(&wheel, &timer, due);
		while (!weir_timer_pop(&wheel, now)) { /* sleep as a shard does */
			next = weir_timer_next_ns(&wheel);
			assert_true(next > now);
			now = next;
		}
		assert_true(now >= due);
		assert_true(now <= due + 2 * TICK_NS);
		assert_true(weir_timer_next_ns(&wheel) == UINT64_MAX);
	}
}

static void disarmed_timer_never_fires(void **state)
{
	static struct weir_timer_wheel wheel;
	struct weir_timer timer = {0};

	(void)state;
	weir_timer_wheel_open(&wheel, 0);
	weir_timer_arm(&wheel, &timer, 5 * TICK_NS);
	weir_timer_disarm(&wheel, &timer);
	weir_timer_disarm(&wheel, &timer);
	assert_null(weir_timer_pop(&wheel, UINT64_C(1) << 40));
}

/* Random arms, disarms and sleeps against a plain list of due times. */
static void wheel_agrees_with_a_plain_list(void **state)
{
	static struct weir_timer_wheel wheel;
	static struct weir_timer timer[TIMERS];
	static uint64_t due[TIMERS]; /* 0 = not armed */
	uint64_t now = 77 * UINT64_C(1000000007);
	unsigned seed;

	(void)state;
	assert_int_equal(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	print_message("seed %u\n", seed);
	srand(seed);
	weir_timer_wheel_open(&wheel, now);
	for (int step = 0; step < STEPS; step++) {
		const int i = rand() % TIMERS;
		struct weir_timer *fired;

		if (rand() % 4 == 0) {
			weir_timer_disarm(&wheel, &timer[i]);
			due[i] = 0;
		} else if (due[i] == 0) {
			due[i] = now + (uint64_t)(rand() % 6000) * TICK_NS / 4;
			weir_timer_arm(&wheel, &timer[i], due[i]);
		}
		now += (uint64_t)(rand() % 3) * TICK_NS;
		while ((fired = weir_timer_pop(&wheel, now)) != NULL) {
			assert_true(due[fired - timer] != 0);
			assert_true(due[fired - timer] <= now);
			due[fired - timer] = 0;
		}
		for (int k = step % 7; k < TIMERS; k += 7)
			assert_true(due[k] == 0 || due[k] + 2 * TICK_NS > now);
	}
}

static void blocks_are_bounded_and_come_back(void **state)
{
	struct weir_block_pool pool;
	struct weir_block *first = NULL, *block;
	uint32_t count = 0;

	(void)state;
	assert_int_equal(weir_block_pool_open(&pool), 0);
	assert_null(weir_block_take(&pool, WEIR_BLOCK_LARGE_BYTES));
	while ((block = weir_block_take(&pool, WEIR_BLOCK_SMALL_BYTES)) != NULL) {
		assert_true(weir_block_room(block) >= 65536);
		block->next = first;
		first = block;
		count++;
	}
	assert_int_equal(count, WEIR_BLOCKS_LARGE);
	block = weir_block_take(&pool, 1); /* small ones are counted apart */
	assert_non_null(block);
	weir_block_give(&pool, block);
	weir_block_give(&pool, NULL);
	first->end = 10;
	weir_block_give_chain(&pool, first);
	assert_int_equal(pool.used, 0);
	weir_block_pool_trim(&pool);
	block = weir_block_take(&pool, WEIR_BLOCK_SMALL_BYTES);
	assert_int_equal(weir_block_used(block), 0);
	weir_block_give(&pool, block);
	weir_block_pool_close(&pool);
}

static void a_full_mailbox_takes_nothing(void **state)
{
	static struct weir_mailbox mailbox;
	struct weir_letter letter = {.kind = WEIR_LETTER_DEMAND};

	(void)state;
	assert_int_equal(weir_mailbox_open(&mailbox), 0);
	for (uint32_t i = 0; i < WEIR_MAILBOX_LETTERS; i++) {
		letter.count = i;
		assert_true(weir_mailbox_put(&mailbox, &letter));
	}
	assert_false(weir_mailbox_put(&mailbox, &letter));
	for (uint32_t i = 0; i < WEIR_MAILBOX_LETTERS; i++) {
		assert_true(weir_mailbox_take(&mailbox, &letter));
		assert_int_equal(letter.count, i);
	}
	assert_false(weir_mailbox_take(&mailbox, &letter));
	weir_mailbox_close(&mailbox);
}

static void check_slice(const char *out, struct weir_head_slice slice, const char *want)
{
	assert_int_equal(slice.bytes, strlen(want));
	assert_memory_equal(out + slice.offset, want, strlen(want));
}

static void an_encoded_request_holds_what_was_parsed(void **state)
{
	static const char raw[] = "PUT /img/7%20b?x=1 HTTP/1.1\r\nHost: a.example\r\nX-Y:  z \r\n\r\n";
	static const char strings[] = "id\0/img/{id}";
	const struct weir_snapshot_string params[] = {{.offset = 0, .bytes = 2}};
	const struct weir_snapshot_target target = {.param_count = 1,
						    .pattern = {.offset = 3, .bytes = 9}};
	const struct weir_snapshot snapshot = {.strings = strings, .params = params};
	struct weir_route_match match = {
		.target = &target, .param_count = 1, .param = {WEIR_SPAN("7 b")}};
	const struct weir_http_limits limits = {.target_bytes_max = 100,
						.head_bytes_max = 1000,
						.headers_max = 10,
						.body_bytes_max = 1000};
	static struct weir_http_parser parser;
	struct weir_encode_input input = {.parser = &parser,
					  .head = raw,
					  .path = WEIR_SPAN("/img/7 b"),
					  .peer = WEIR_SPAN("::1"),
					  .snapshot = &snapshot,
					  .match = &match,
					  .content_length = 0};
	_Alignas(8) char out[2048];
	const struct weir_request_head *head = (const void *)out;
	const struct weir_head_field *field = (const void *)(out + sizeof(*head));
	size_t bytes;

	(void)state;
	weir_http_parser_reset(&parser, &limits);
	assert_int_equal(weir_http_parser_execute(&parser, raw, sizeof(raw) - 1), WEIR_HTTP_PARSE_HEAD);
	bytes = weir_encode_request(&input, out);
	assert_int_equal(bytes, weir_encode_bytes(&input));
	assert_int_equal(weir_head_check_request(out, bytes), 0);
	assert_int_equal(head->method, WEIR_HTTP_PUT);
	assert_int_equal(head->field_count, 2);
	check_slice(out, head->path, "/img/7 b");
	check_slice(out, head->query, "x=1");
	check_slice(out, head->target, "/img/7%20b?x=1");
	check_slice(out, head->authority, "a.example");
	check_slice(out, head->peer, "::1");
	check_slice(out, head->pattern, "/img/{id}");
	check_slice(out, field[1].name, "X-Y");
	check_slice(out, field[1].value, "z");
	check_slice(out, field[2].name, "id");
	check_slice(out, field[2].value, "7 b");
	/* A head that would outgrow 16-bit slices is refused, not cut. */
	match.param[0] = (struct weir_span){.data = raw, .bytes = WEIR_HEAD_REQUEST_BYTES_MAX};
	assert_int_equal(weir_encode_request(&input, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_fires_after_its_time_and_within_two_ticks),
		cmocka_unit_test(disarmed_timer_never_fires),
		cmocka_unit_test(wheel_agrees_with_a_plain_list),
		cmocka_unit_test(blocks_are_bounded_and_come_back),
		cmocka_unit_test(a_full_mailbox_takes_nothing),
		cmocka_unit_test(an_encoded_request_holds_what_was_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
