/* The supervisor dies again and again at one place in its code, each time a step further: in the end
 * the instance is whole. Needs a build with fault points. */
#include "tests/supervisor/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct instance instance;

/* Start with `fault` in every process's environment (the fakes have no such points). */
static void run_with(const char *fault)
{
	instance_open(&instance);
	assert_int_equal(setenv("WEIR_FAULT", fault, 1), 0);
	instance_start(&instance);
	assert_int_equal(unsetenv("WEIR_FAULT"), 0);
	instance_wait_ready(&instance, 1, 1);
	/* At least one died there: the first one has the first place. */
	assert_true(instance.board.process[1].restarts > 0);
	instance_close(&instance);
}

static void dies_after_a_process_exists_before_it_is_stored(void **state)
{
	(void)state;
	run_with("supervisor_spawned:kill:2");
}

static void dies_after_a_link_is_stored_before_anybody_has_it(void **state)
{
	(void)state;
	run_with("supervisor_link_kept:kill:2");
}

static void dies_when_only_the_worker_has_a_link(void **state)
{
	(void)state;
	run_with("supervisor_link_half_open:kill:2");
}

static void dies_after_it_handled_a_message_before_it_took_it(void **state)
{
	(void)state;
	run_with("supervisor_message_handled:kill:2");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_after_a_process_exists_before_it_is_stored),
		cmocka_unit_test(dies_after_a_link_is_stored_before_anybody_has_it),
		cmocka_unit_test(dies_when_only_the_worker_has_a_link),
		cmocka_unit_test(dies_after_it_handled_a_message_before_it_took_it),
	};

	if (argc != 3) {
		(void)fprintf(stderr, "usage: test_supervisor_fault BIN_DIRECTORY FAKE_PROCESS\n");
		return 2;
	}
	instance_programs(argv[1], argv[2]);
#ifndef WEIR_FAULT_POINTS
	(void)fprintf(stderr, "skipped: built without WEIR_FAULT_POINTS\n");
	(void)tests;
	return 77;
#else
	return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
