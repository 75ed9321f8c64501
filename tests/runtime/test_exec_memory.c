/* What a call's programs use, as /proc tells it. Pid namespaces: tests/runtime/limits.py exec. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/runtime/exec/exec_memory.h"

#define MIB (UINT64_C(1) << 20)

static void lines_are_found_by_their_whole_name(void **state)
{
	static const char text[] = "00400000-7ffd ---p 00000000 00:00 0  [rollup]\nRss:  884 kB\nPss:  385 kB\n"
				   "Pss_Dirty: 68 kB\nPss_Anon:            68 kB\nPss_File: 316 kB\n";

	(void)state;
	assert_int_equal(weir_exec_memory_line(text, "Pss_Anon:"), 68 * 1024);
	assert_int_equal(weir_exec_memory_line(text, "Pss:"), 385 * 1024);
	assert_int_equal(weir_exec_memory_line(text, "Anon:"), 0);
	assert_int_equal(weir_exec_memory_line("", "Pss:"), 0);
}

static void what_a_child_wrote_to_is_its_own(void **state)
{
	int ready[2];
	char byte = 0;
	pid_t pid = 0;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) { /* it ends with this process, should a check fail */
		char *const memory = malloc(32 * MIB);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (memory != NULL)
			memset(memory, 1, 32 * MIB);
		(void)!write(ready[1], memory, memory == NULL ? 0 : 1);
		(void)pause();
		_exit(memory == NULL);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(weir_exec_memory_is_beyond(pid, 30 * MIB));
	assert_false(weir_exec_memory_is_beyond(pid, 1024 * MIB));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(weir_exec_memory_is_beyond(pid, 0)); /* it is gone: nothing is known */
	(void)close(ready[0]);
	(void)close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_found_by_their_whole_name),
		cmocka_unit_test(what_a_child_wrote_to_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
