#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/fault.h"
#include "tests/base/base_test.h"

struct walk {
	const char *setting;
	int passes;
};

static void walk_past(void *argument)
{
	const struct walk *walk = argument;

	(void)setenv("WEIR_FAULT", walk->setting, 1);
	for (int i = 0; i < walk->passes; i++) {
		WEIR_FAULT(elsewhere);
		WEIR_FAULT(before_publish);
	}
}

static int walk_status(const char *setting, int passes)
{
	struct walk walk = {.setting = setting, .passes = passes};
	char text[64];

	return base_run_child(walk_past, &walk, text, sizeof(text));
}

static void kill_happens_at_the_named_pass_and_not_before(void **state)
{
	(void)state;
	assert_true(WIFEXITED(walk_status("before_publish:kill:3", 2)));
	assert_true(WIFSIGNALED(walk_status("before_publish:kill:3", 3)));
	assert_int_equal(WTERMSIG(walk_status("before_publish:kill:3", 9)), SIGKILL);
}

static void abort_aborts(void **state)
{
	(void)state;
	assert_int_equal(WTERMSIG(walk_status("elsewhere:abort:1", 1)), SIGABRT);
}

static void another_name_or_a_prefix_or_nonsense_does_nothing(void **state)
{
	(void)state;
	assert_true(WIFEXITED(walk_status("before:kill:1", 2)));
	assert_true(WIFEXITED(walk_status("before_publish_x:kill:1", 2)));
	assert_true(WIFEXITED(walk_status("before_publish", 2)));
	assert_true(WIFEXITED(walk_status(":kill:1", 2)));
	assert_true(WIFEXITED(walk_status("", 2)));
}

static void stop_stops_until_continued(void **state)
{
	int status = 0;
	const pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct walk walk = {.setting = "before_publish:stop:1", .passes = 1};

		walk_past(&walk);
		_exit(5);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
}

static void fails_asked(void *argument)
{
	(void)argument;
	(void)setenv("WEIR_FAULT", "open:fail:2", 1);
	if (WEIR_FAULT_FAILS(elsewhere) || WEIR_FAULT_FAILS(open) || !WEIR_FAULT_FAILS(open) || !WEIR_FAULT_FAILS(open))
		_exit(1);
	WEIR_FAULT(open); /* nothing dies of it */
}

static void fail_is_true_from_the_named_pass_on(void **state)
{
	char text[64];
	const int status = base_run_child(fails_asked, NULL, text, sizeof(text));

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kill_happens_at_the_named_pass_and_not_before),
		cmocka_unit_test(abort_aborts),
		cmocka_unit_test(another_name_or_a_prefix_or_nonsense_does_nothing),
		cmocka_unit_test(stop_stops_until_continued),
		cmocka_unit_test(fail_is_true_from_the_named_pass_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
