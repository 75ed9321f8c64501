/* Waiting awake for workers: it happens where answers come at once, whether the worker shares the
 * shard's CPU or has its own; it stops by itself where they do not; it is never tried for functions
 * that take their time. The rig pins shard 0 to CPU 0; the played worker is this process. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "tests/gateway/rig.h"

enum {
	CALLS = 200,
	SHORT_NS = 1000,
	LONG_NS = 1000000,
	PATIENCE_S = 20,
	SLOW_US = 3000, /* how long the worker takes that claims to be fast */
};

/* Run on this CPU only. False: it is not ours to use. */
static bool stay_on(size_t cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
}

static void stay_anywhere(void)
{
	cpu_set_t cpus;

	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* Serve CALLS requests of one client, each answered after `delay_us` (0: as soon as it is seen). */
static void serve(struct rig *rig, uint64_t service_ns, unsigned delay_us)
{
	struct rig_worker worker;
	const int client = rig_client(rig);
	char answer[1024];

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->service_ns, service_ns);
	for (int i = 0; i < CALLS; i++) {
		struct weir_message head;

		rig_send(client, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n");
		while (weir_ring_is_empty(&worker.rx))
			(void)sched_yield(); /* cannot fail on Linux */
		head = rig_worker_accept(&worker);
		if (delay_us > 0)
			usleep(delay_us);
		rig_worker_answer(&worker, &head, 200, "ok");
		rig_read_answer(client, answer, sizeof(answer));
	}
	rig_reset(client);
	print_message("lingers %lu, in vain %lu\n", rig_metric(rig, WEIR_METRIC_lingers),
		      rig_metric(rig, WEIR_METRIC_lingers_vain));
	rig_worker_kill(&worker);
}

/* Lingers that brought an answer. */
static uint64_t paid(const struct rig *rig)
{
	return rig_metric(rig, WEIR_METRIC_lingers) - rig_metric(rig, WEIR_METRIC_lingers_vain);
}

/* Others may take the CPUs for a while, which turns it off for a while: then once more. */
static void answers_are_awaited_awake(struct rig *rig, size_t worker_cpu)
{
	const uint64_t until_ns = weir_clock_now_ns() + PATIENCE_S * WEIR_NS_PER_SECOND;

	if (!stay_on(worker_cpu)) {
		print_message("CPU %zu is not ours: skipped\n", worker_cpu);
		skip();
	}
	do {
		serve(rig, SHORT_NS, 0);
	} while (paid(rig) < CALLS / 10 && weir_clock_now_ns() < until_ns);
	stay_anywhere();
	assert_true(paid(rig) >= CALLS / 10);
}

static void quick_answers_are_awaited_awake_on_the_same_cpu(void **state)
{
	answers_are_awaited_awake(*state, 0);
}

static void quick_answers_are_awaited_awake_from_another_cpu(void **state)
{
	answers_are_awaited_awake(*state, 1);
}

static void slow_answers_turn_it_off(struct rig *rig, size_t worker_cpu)
{
	if (!stay_on(worker_cpu)) {
		print_message("CPU %zu is not ours: skipped\n", worker_cpu);
		skip();
	}
	serve(rig, SHORT_NS, SLOW_US);
	stay_anywhere();
	assert_in_range(rig_metric(rig, WEIR_METRIC_lingers), 1, CALLS / 5);
}

static void slow_answers_turn_it_off_on_the_same_cpu(void **state)
{
	slow_answers_turn_it_off(*state, 0);
}

static void slow_answers_turn_it_off_from_another_cpu(void **state)
{
	slow_answers_turn_it_off(*state, 1);
}

static void functions_that_take_their_time_are_slept_for(void **state)
{
	serve(*state, LONG_NS, 0);
	assert_int_equal(rig_metric(*state, WEIR_METRIC_lingers), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(quick_answers_are_awaited_awake_on_the_same_cpu, rig_setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(quick_answers_are_awaited_awake_from_another_cpu, rig_setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(slow_answers_turn_it_off_on_the_same_cpu, rig_setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(slow_answers_turn_it_off_from_another_cpu, rig_setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(functions_that_take_their_time_are_slept_for, rig_setup,
						rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
