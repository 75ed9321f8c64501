#include "dataplane/supervisor/orphans.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void stat_is_read_behind_whatever_the_name_holds(void **state)
{
	struct weir_orphan_stat stat = {0};

	(void)state;
	assert_true(weir_orphan_stat_parse("12 (a) b (c) S 7 9 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0", &stat));
	assert_int_equal(stat.parent, 7);
	assert_int_equal(stat.group, 9);
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.start, 987654);
	assert_false(weir_orphan_stat_parse("12 (a) S 7", &stat));
	assert_false(weir_orphan_stat_parse("", &stat));
}

/* Start a leader of a group with a child that lives on; tell the child's pid, then live as told. */
static pid_t group_start(bool leader_lives, pid_t *out_leader)
{
	int pipe_fd[2];
	pid_t child = 0;

	assert_int_equal(pipe(pipe_fd), 0);
	*out_leader = fork();
	assert_true(*out_leader >= 0);
	if (*out_leader == 0) {
		const pid_t between = setpgid(0, 0) == 0 ? fork() : -1;

		if (between == 0) {
			child = fork(); /* its parent ends at once: ours is its next one */
			if (child != 0) {
				(void)!write(pipe_fd[1], &child, sizeof(child));
				_exit(0);
			}
			(void)pause();
		}
		(void)waitpid(between, NULL, 0);
		if (leader_lives)
			(void)pause();
		_exit(0);
	}
	assert_int_equal(read(pipe_fd[0], &child, sizeof(child)), sizeof(child));
	(void)close(pipe_fd[0]);
	(void)close(pipe_fd[1]);
	return child;
}

/* Until the process is ours (its parent may take a moment to end, or is killed as an orphan itself) and was killed. */
static void wait_killed(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid)
		(void)weir_orphans_kill(getpid(), NULL, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void only_orphans_of_a_group_without_leader_are_killed(void **state)
{
	pid_t dead_leader = 0;
	pid_t live_leader = 0;
	pid_t orphan = 0;
	pid_t member = 0;

	(void)state;
	if (access("/proc/thread-self/children", F_OK) != 0)
		skip(); /* a kernel without CONFIG_PROC_CHILDREN */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	orphan = group_start(false, &dead_leader);
	assert_int_equal(waitpid(dead_leader, NULL, 0), dead_leader);
	member = group_start(true, &live_leader);
	/* Both leaders would be known processes' programs in an instance; here they are ours. */
	(void)weir_orphans_kill(getpid(), &orphan, 1);
	assert_int_equal(kill(orphan, 0), 0); /* it is known */
	wait_killed(orphan);
	assert_int_equal(kill(member, 0), 0);
	assert_int_equal(kill(live_leader, SIGKILL), 0);
	assert_int_equal(waitpid(live_leader, NULL, 0), live_leader);
	wait_killed(member);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_is_read_behind_whatever_the_name_holds),
		cmocka_unit_test(only_orphans_of_a_group_without_leader_are_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
