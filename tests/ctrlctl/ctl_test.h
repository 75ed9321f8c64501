/* ctl_test: a played supervisor for weir-ctrld, and running programs. The thread behind it answers
 * every snapshot as the data path would, as long as `acknowledge` is set, and serves a board where a
 * test asks for one. Owner: the test. */
#ifndef WEIR_TESTS_CTRLCTL_CTL_TEST_H
#define WEIR_TESTS_CTRLCTL_CTL_TEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane/abi/board.h"
#include "dataplane/shm/control.h"
#include "tests/base/base_test.h"

enum { CTL_TEST_SHARDS = 3, CTL_TEST_OUTPUT_MAX = 65536 };

struct ctl_test {
	char home[64];
	char data[80];
	pid_t ctrld;
	int control_fd;  /* our end */
	int snapshot_fd; /* newest that came; -1 none. Read it after ctl_test_stop(). */
	pthread_t thread;
	bool thread_runs;
	atomic_bool acknowledge;
	atomic_bool ready;
	_Atomic uint64_t generation; /* newest snapshot */
	_Atomic uint32_t snapshots;
};

struct ctl_output {
	int status; /* exit code; -1 if a signal ended it */
	char out[CTL_TEST_OUTPUT_MAX];
	char err[CTL_TEST_OUTPUT_MAX];
};

/* Programs as the build gives them: CTRLCTL_PROGRAM, CTRLD_PROGRAM. */
int ctl_test_setup(void **state);
int ctl_test_teardown(void **state);

/* Start weir-ctrld on test->data, with or without the newest snapshot; wait until it is ready. */
void ctl_test_start(struct ctl_test *test, int snapshot_fd);

/* Wait until it ended by itself, with this exit code. */
void ctl_test_reap(struct ctl_test *test, int code);

/* End it: by STOP, or by SIGKILL. The former asserts exit code 0. */
void ctl_test_stop(struct ctl_test *test);
void ctl_test_kill(struct ctl_test *test);

/* Run a shell command in test->home and collect what it prints. DATA and CTRLCTL are set. */
void ctl_test_shell(const struct ctl_test *test, const char *command,
		    struct ctl_output *output);

/* Run `ctrlctl --data DATA ARGUMENTS` through the shell and require an exit code. */
void ctl_test_run(const struct ctl_test *test, const char *arguments, int status,
		  struct ctl_output *output);

/* Wait until the condition holds; fails with its text after 20 s. */
#define CTL_TEST_UNTIL(condition)                                                \
	do {                                                                     \
		int tries = 0;                                                   \
		while (!(condition)) {                                           \
			if (++tries > 4000)                                      \
				fail_msg("waited in vain until %s", #condition); \
			(void)usleep(5000);                                      \
		}                                                                \
	} while (0)

/* Serve `board` once on DATA/run/supervisor.sock, from a child; returns its pid, to be reaped. */
pid_t ctl_test_board_serve(const struct ctl_test *test, int board_fd, int times);

#endif
