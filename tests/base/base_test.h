/* base_test: run a function in a child process and read what it writes to standard error.
 * Also brings in cmocka with the headers that it needs first. */
#ifndef WEIR_TESTS_BASE_BASE_TEST_H
#define WEIR_TESTS_BASE_BASE_TEST_H

/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run `body(argument)` in a child whose standard error is a pipe; store what came out, NUL-terminated
 * and cut at `max`, in `text`. Returns the wait status. */
static inline int base_run_child(void (*body)(void *), void *argument, char *text, size_t max)
{
	int pipe_fds[2];
	size_t used = 0;
	int status = -1;
	pid_t child = -1;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(pipe_fds[1], STDERR_FILENO);
		(void)close(pipe_fds[1]);
		body(argument);
		_exit(0);
	}
	(void)close(pipe_fds[1]);
	while (used + 1 < max) {
		const ssize_t got = read(pipe_fds[0], text + used, max - 1 - used);

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

#endif
