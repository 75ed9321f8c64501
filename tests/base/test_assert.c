#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "tests/base/base_test.h"

static void broken(void *argument)
{
	WEIR_ASSERT(argument != NULL);
}

static void a_broken_invariant_aborts_and_names_its_place(void **state)
{
	char text[1024];
	const int status = base_run_child(broken, NULL, text, sizeof(text));

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "argument != NULL"));
	assert_non_null(strstr(text, "test_assert.c:"));
}

static void a_true_condition_is_evaluated_once_and_passes(void **state)
{
	int evaluated = 0;

	(void)state;
	WEIR_ASSERT(++evaluated == 1);
	assert_int_equal(evaluated, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_invariant_aborts_and_names_its_place),
		cmocka_unit_test(a_true_condition_is_evaluated_once_and_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
