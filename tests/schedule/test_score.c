/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "dataplane/schedule/score.h"

/* A worker whose counters a test turns, and a clock. */
struct board {
	uint64_t now_ns;
	struct weir_schedule_sample sample;
	struct weir_schedule_load load;
	struct weir_schedule_capacity capacity;
};

enum { MS = 1000000, EMA = 700 };

static struct board board_open(void)
{
	return (struct board){.now_ns = 1000 * (uint64_t)MS};
}

static void board_sample(struct board *board)
{
	board->sample.at_ns = board->now_ns;
	weir_schedule_load_take(&board->load, &board->sample, &board->capacity, EMA);
}

/* `ns` pass in which the worker runs for `cpu_ns`; then it is looked at. */
static void board_pass(struct board *board, uint64_t ns, uint64_t cpu_ns)
{
	board->now_ns += ns;
	board->sample.cpu_ns += cpu_ns;
	board_sample(board);
}

static struct weir_schedule_terms terms(const struct board *board)
{
	return weir_schedule_load_terms(&board->load, board->now_ns);
}

static void assert_share(uint32_t term, double share)
{
	const double seen = (double)term / WEIR_SCHEDULE_UNIT;

	assert_true(seen > share - 0.001 && seen < share + 0.001);
}

static void what_nobody_measured_costs_nothing(void **state)
{
	struct board board = board_open();
	const struct weir_weights weights = WEIR_WEIGHTS_DEFAULT;

	(void)state;
	board.sample.cpu_ns = 5;
	weir_schedule_load_take(&board.load, &board.sample, &board.capacity, EMA); /* at 0: no sample */
	const struct weir_schedule_terms none = terms(&board);

	assert_int_equal(none.cpu + none.memory + none.io + none.remote, 0);
	assert_int_equal(weir_schedule_terms_price(&none, &weights), 0);
}

static void the_first_share_stands_and_later_ones_are_averaged(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	assert_share(terms(&board).cpu, 0);
	board_pass(&board, 20 * MS, 10 * MS);
	assert_share(terms(&board).cpu, 0.5);
	board_pass(&board, 20 * MS, 20 * MS);
	assert_share(terms(&board).cpu, 0.7 * 0.5 + 0.3 * 1);
	board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).cpu, 0.7 * 0.65);
}

static void late_samples_weigh_as_much_as_the_ones_that_lack(void **state)
{
	struct board often = board_open(), seldom = board_open();

	(void)state;
	board_sample(&often);
	board_sample(&seldom);
	board_pass(&often, 20 * MS, 0);
	board_pass(&seldom, 20 * MS, 0);
	for (int i = 0; i < 5; i++)
		board_pass(&often, 20 * MS, 8 * MS);
	board_pass(&seldom, 100 * MS, 40 * MS);
	assert_share(terms(&often).cpu, (double)terms(&seldom).cpu / WEIR_SCHEDULE_UNIT);
	board_pass(&seldom, 60 * (uint64_t)1000 * MS, 30 * (uint64_t)1000 * MS); /* a minute */
	assert_share(terms(&seldom).cpu, 0.5);
}

static void waiting_for_a_cpu_counts_like_having_it(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board.sample.wait_ns = 5 * MS;
	board_pass(&board, 20 * MS, 5 * MS);
	assert_share(terms(&board).cpu, 0.5);
}

/* 1 ms passes: it runs for 200 us and waits for 300. */
static void board_crowd(struct board *board, int times)
{
	while (times-- > 0) {
		board->sample.wait_ns += 3 * MS / 10;
		board_pass(board, MS, 2 * MS / 10);
	}
}

static void a_worker_that_runs_little_and_waits_long_is_dear(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	for (int i = 0; i < 50; i++) { /* 5 % of a CPU, and half as much again of waiting */
		board.sample.wait_ns += MS * 6 / 4;
		board_pass(&board, 20 * (uint64_t)MS, MS);
	}
	assert_true(terms(&board).cpu > WEIR_SCHEDULE_UNIT / 2); /* its share is an eighth */
	assert_true(terms(&board).cpu < WEIR_SCHEDULE_UNIT * 6 / 10);
}

static void a_little_waiting_says_nothing_yet(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board.sample.wait_ns += MS / 20;
	board_pass(&board, 20 * (uint64_t)MS, MS / 20); /* waited as long as it ran, 50 us of each */
	assert_true(terms(&board).cpu < WEIR_SCHEDULE_UNIT / 10);
}

static void what_crowds_a_worker_is_seen_soon_and_remembered_while_it_rests(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	for (int i = 0; i < 2000; i++) /* two seconds of running without waiting */
		board_pass(&board, MS, 2 * MS / 10);
	assert_share(terms(&board).cpu, 0.2);
	board_crowd(&board, 40);
	assert_share(terms(&board).cpu, 0.5); /* its share: what it wants */
	for (int i = 0; i < 25; i++) /* half a second in which it gets no calls */
		board_pass(&board, 20 * (uint64_t)MS, 0);
	assert_true(terms(&board).cpu > WEIR_SCHEDULE_UNIT * 3 / 10);
	for (int i = 0; i < 1000; i++) /* 20 s: it is tried again */
		board_pass(&board, 20 * (uint64_t)MS, 0);
	assert_true(terms(&board).cpu < WEIR_SCHEDULE_UNIT / 50);
	for (int i = 0; i < 400; i++) /* who crowded it is gone */
		board_pass(&board, MS, 2 * MS / 10);
	assert_share(terms(&board).cpu, 0.2);
}

static void shares_are_of_what_the_worker_may_have_and_end_at_one(void **state)
{
	struct board board = board_open();

	(void)state;
	board.capacity = (struct weir_schedule_capacity){.cpu_millicores = 2000, .memory_bytes = 64 << 20};
	board.sample.memory_bytes = 16 << 20;
	board_sample(&board);
	assert_share(terms(&board).memory, 0.25);
	board_pass(&board, 20 * MS, 20 * MS);
	assert_share(terms(&board).cpu, 0.5);
	board.capacity.cpu_millicores = 250;
	board.sample.memory_bytes = 640 << 20;
	for (int i = 0; i < 50; i++)
		board_pass(&board, 20 * MS, 20 * MS);
	assert_share(terms(&board).cpu, 1);
	assert_share(terms(&board).memory, 1);
	board.capacity.memory_bytes = 0; /* not limited: of 512 MB */
	board.sample.memory_bytes = 128 << 20;
	for (int i = 0; i < 50; i++)
		board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).memory, 0.25);
	assert_share(terms(&board).cpu, 0);
}

static void io_is_the_larger_of_waiting_and_bytes(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board.sample.block_ns = 10 * MS;
	board.sample.io_bytes = WEIR_SCHEDULE_IO_BYTES_MAX / 50 / 4; /* a quarter of what 20 ms allow */
	board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).io, 0.5);
	board = board_open();
	board_sample(&board);
	board.sample.io_bytes = WEIR_SCHEDULE_IO_BYTES_MAX / 50 / 4;
	board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).io, 0.25);
}

static void a_sample_that_is_not_newer_changes_nothing(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board_pass(&board, 20 * MS, 10 * MS);
	board.sample.cpu_ns += 1000 * (uint64_t)MS;
	board_sample(&board);
	board.sample.at_ns--;
	weir_schedule_load_take(&board.load, &board.sample, &board.capacity, EMA);
	assert_share(terms(&board).cpu, 0.5);
}

static void counters_that_went_back_begin_anew(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board_pass(&board, 20 * MS, 20 * MS);
	assert_share(terms(&board).cpu, 1);
	board.sample.cpu_ns = 3; /* another process */
	board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).cpu, 0);
	board_pass(&board, 20 * MS, 5 * MS);
	assert_share(terms(&board).cpu, 0.25);
}

static void a_running_threads_time_may_be_corrected_a_little(void **state)
{
	struct board board = board_open();

	(void)state;
	board.sample.cpu_ns = 100 * MS;
	board_sample(&board);
	board_pass(&board, 20 * MS, 10 * MS);
	board.sample.cpu_ns -= MS / 2;
	board_pass(&board, 20 * MS, 0);
	assert_share(terms(&board).cpu, 0.7 * 0.5);
}

static void old_samples_expire(void **state)
{
	struct board board = board_open();

	(void)state;
	board.sample.memory_bytes = 128 << 20;
	board_sample(&board);
	board_pass(&board, 20 * MS, 20 * MS);
	board.now_ns += WEIR_SCHEDULE_SAMPLE_AGE_MAX_NS;
	assert_share(terms(&board).cpu, 1);
	board.now_ns++;
	assert_int_equal(terms(&board).cpu + terms(&board).memory + terms(&board).io, 0);
	board_pass(&board, 20 * MS, 0); /* it is back: the gap counts as what it was */
	assert_share(terms(&board).memory, 0.25);
	assert_share(terms(&board).cpu, 0);
}

static void a_clock_that_is_behind_the_sample_is_not_an_age(void **state)
{
	struct board board = board_open();

	(void)state;
	board_sample(&board);
	board_pass(&board, 20 * MS, 20 * MS);
	board.now_ns -= 30 * MS;
	assert_share(terms(&board).cpu, 1);
}

static void the_price_is_the_weighed_sum(void **state)
{
	const struct weir_schedule_terms term = {.cpu = WEIR_SCHEDULE_UNIT,
						 .memory = WEIR_SCHEDULE_UNIT / 2,
						 .io = WEIR_SCHEDULE_UNIT / 4,
						 .remote = WEIR_SCHEDULE_UNIT};
	const struct weir_weights weights = WEIR_WEIGHTS_DEFAULT;

	(void)state;
	assert_share(weir_schedule_terms_price(&term, &weights), 0.5 + 0.15 + 0.05 + 0.2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_measured_costs_nothing),
		cmocka_unit_test(the_first_share_stands_and_later_ones_are_averaged),
		cmocka_unit_test(late_samples_weigh_as_much_as_the_ones_that_lack),
		cmocka_unit_test(waiting_for_a_cpu_counts_like_having_it),
		cmocka_unit_test(a_worker_that_runs_little_and_waits_long_is_dear),
		cmocka_unit_test(a_little_waiting_says_nothing_yet),
		cmocka_unit_test(what_crowds_a_worker_is_seen_soon_and_remembered_while_it_rests),
		cmocka_unit_test(shares_are_of_what_the_worker_may_have_and_end_at_one),
		cmocka_unit_test(io_is_the_larger_of_waiting_and_bytes),
		cmocka_unit_test(a_sample_that_is_not_newer_changes_nothing),
		cmocka_unit_test(counters_that_went_back_begin_anew),
		cmocka_unit_test(a_running_threads_time_may_be_corrected_a_little),
		cmocka_unit_test(old_samples_expire),
		cmocka_unit_test(a_clock_that_is_behind_the_sample_is_not_an_age),
		cmocka_unit_test(the_price_is_the_weighed_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
