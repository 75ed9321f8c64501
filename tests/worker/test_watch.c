/* A running call is interrupted at its deadline, again until it leaves, and never outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/worker/watch.h"

enum { PATIENCE_S = 20 };

static struct weir_watch watch;
static _Atomic uint32_t interrupts;
static _Atomic uint32_t strangers; /* interrupts of something that does not run */
static int mine;

static void interrupted(void *running)
{
	if (running == &mine)
		atomic_fetch_add(&interrupts, 1);
	else
		atomic_fetch_add(&strangers, 1);
}

/* Spin until so many interrupts came, or for that long. */
static void spin(uint32_t count, uint64_t at_most_ns)
{
	const uint64_t until_ns = weir_clock_now_ns() + at_most_ns;

	while (atomic_load(&interrupts) < count && weir_clock_now_ns() < until_ns)
		;
}

static void a_call_is_interrupted_until_it_leaves(void **state)
{
	const uint64_t deadline_ns = weir_clock_now_ns() + 20 * WEIR_NS_PER_MS;
	uint32_t count = 0;

	(void)state;
	atomic_store(&interrupts, 0);
	weir_watch_enter(&watch, &mine, deadline_ns);
	spin(1, PATIENCE_S * WEIR_NS_PER_SECOND);
	assert_true(weir_clock_now_ns() >= deadline_ns);
	spin(3, PATIENCE_S * WEIR_NS_PER_SECOND);
	weir_watch_leave(&watch);
	count = atomic_load(&interrupts);
	assert_true(count >= 3);
	spin(count + 1, 50 * WEIR_NS_PER_MS);
	assert_int_equal(atomic_load(&interrupts), count);
}

static void a_sooner_deadline_is_kept_while_armed_for_a_later_one(void **state)
{
	(void)state;
	atomic_store(&interrupts, 0);
	for (int i = 0; i < 1000; i++) {
		weir_watch_enter(&watch, &mine, weir_clock_now_ns() + 3600 * WEIR_NS_PER_SECOND);
		weir_watch_leave(&watch);
	}
	weir_watch_enter(&watch, &mine, weir_clock_now_ns() + 5 * WEIR_NS_PER_MS);
	spin(1, PATIENCE_S * WEIR_NS_PER_SECOND);
	weir_watch_leave(&watch);
	assert_true(atomic_load(&interrupts) >= 1);
}

static void calls_that_end_in_time_are_left_alone(void **state)
{
	const uint64_t until_ns = weir_clock_now_ns() + 200 * WEIR_NS_PER_MS;

	(void)state;
	atomic_store(&interrupts, 0);
	while (weir_clock_now_ns() < until_ns) {
		weir_watch_enter(&watch, &mine, weir_clock_now_ns() + 3600 * WEIR_NS_PER_SECOND);
		weir_watch_leave(&watch);
	}
	assert_int_equal(atomic_load(&interrupts), 0);
}

/* Deadlines just before, at and after the end of their call: all in all none is forgotten. */
static void no_deadline_is_forgotten(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		atomic_store(&interrupts, 0);
		weir_watch_enter(&watch, &mine, weir_clock_now_ns() + i * 500);
		weir_watch_leave(&watch);
		weir_watch_enter(&watch, &mine, weir_clock_now_ns() + 100000 + i * 500);
		spin(1, PATIENCE_S * WEIR_NS_PER_SECOND);
		weir_watch_leave(&watch);
		assert_true(atomic_load(&interrupts) >= 1);
	}
	assert_int_equal(atomic_load(&strangers), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_interrupted_until_it_leaves),
		cmocka_unit_test(a_sooner_deadline_is_kept_while_armed_for_a_later_one),
		cmocka_unit_test(calls_that_end_in_time_are_left_alone),
		cmocka_unit_test(no_deadline_is_forgotten),
	};

	if (weir_watch_open(&watch, interrupted) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
