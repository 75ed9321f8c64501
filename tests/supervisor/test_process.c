#include "dataplane/supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/program_path.h"
#include "dataplane/supervisor/program.h"

static void long_lived_process_is_replaced_at_once(void **state)
{
	struct weir_restart restart = {.delay_ns = 640 * WEIR_NS_PER_MS};
	const uint64_t now_ns = 100 * WEIR_NS_PER_SECOND;

	(void)state;
	weir_restart_note(&restart, now_ns - WEIR_NS_PER_SECOND - 1, now_ns, false);
	assert_int_equal(restart.next_ns, now_ns);
	assert_int_equal(restart.restarts, 1);
	weir_restart_note(&restart, now_ns, now_ns, false);
	assert_int_equal(restart.next_ns, now_ns + 10 * WEIR_NS_PER_MS);
}

static void failing_starts_wait_twice_as_long_up_to_a_second(void **state)
{
	static const uint64_t expected_ms[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
	struct weir_restart restart = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
		weir_restart_note(&restart, 5, 5, false);
		assert_int_equal(restart.next_ns, 5 + expected_ms[i] * WEIR_NS_PER_MS);
	}
	assert_int_equal(restart.restarts, sizeof(expected_ms) / sizeof(expected_ms[0]));
}

static void process_that_was_ready_waits_a_tenth_of_a_second_at_most(void **state)
{
	struct weir_restart restart = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		weir_restart_note(&restart, 5, 5, true);
	assert_int_equal(restart.next_ns, 5 + 100 * WEIR_NS_PER_MS);
}

static void started_program_gets_three_descriptors_and_its_socket(void **state)
{
	struct weir_process process = {.kind = WEIR_PROCESS_CTRLD};
	/* Counts its descriptors (ls has one more for the directory) and says so on descriptor 3. */
	char shell[] = "/bin/sh";
	char option[] = "-c";
	char script[] = "ls /proc/self/fd | tr '\\n' ' ' >&3; exit 7";
	char *const arguments[] = {shell, option, script, NULL};
	char text[64] = {0};
	char how[64];
	int pipe_fd[2];
	int extra = -1;
	ssize_t bytes = 0;

	(void)state;
	/* What this test's own caller left open is not its subject. */
	assert_int_equal(syscall(SYS_close_range, 3U, ~0U, 1U << 2), 0);
	weir_process_clear(&process);
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	extra = dup3(pipe_fd[0], 77, O_CLOEXEC);
	assert_int_equal(weir_program_start(shell, arguments, pipe_fd[1], false, &process.pid, &process.pidfd), 0);
	weir_fd_close(&pipe_fd[1]);
	process.child = true;
	while ((bytes = read(pipe_fd[0], text + strlen(text), sizeof(text) - 1 - strlen(text))) > 0)
		continue;
	assert_string_equal(text, "0 1 2 3 4 ");
	for (int i = 0; i < 2000 && process.pidfd != -1; i++) {
		struct pollfd polled = {.fd = process.pidfd, .events = POLLIN};

		if (poll(&polled, 1, 10000) == 1)
			weir_process_reap(&process, how);
	}
	assert_string_equal(how, "status=7");
	weir_fd_close(&pipe_fd[0]);
	weir_fd_close(&extra);
}

static void missing_program_is_an_error(void **state)
{
	char name[] = "/nowhere/weir-nothing";
	char *const arguments[] = {name, NULL};
	char path[PATH_MAX];
	pid_t pid = 0;
	int pidfd = -1;

	(void)state;
	assert_int_equal(weir_program_start(name, arguments, 0, false, &pid, &pidfd), -ENOENT);
	assert_int_equal(pidfd, -1);
	assert_int_equal(weir_program_path_find("weir-nothing", path), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_lived_process_is_replaced_at_once),
		cmocka_unit_test(failing_starts_wait_twice_as_long_up_to_a_second),
		cmocka_unit_test(process_that_was_ready_waits_a_tenth_of_a_second_at_most),
		cmocka_unit_test(started_program_gets_three_descriptors_and_its_socket),
		cmocka_unit_test(missing_program_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
