#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/supervisor/clocks.h"

enum { MIB = 1 << 20 };

static void burn(uint64_t cpu_ns)
{
	struct timespec now;

	do {
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec < cpu_ns);
}

/* A process that did `job`, said so, and sleeps. */
static pid_t subject(void (*job)(void))
{
	int done[2];
	char byte = 0;
	pid_t pid = 0;

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		job();
		(void)!write(done[1], "d", 1);
		while (true)
			(void)pause();
	}
	(void)close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	(void)close(done[0]);
	return pid;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void job_busy(void)
{
	static char bytes[MIB];
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	volatile char *const memory = malloc(16 * MIB);

	(void)usleep(1000);
	burn(100 * WEIR_NS_PER_MS);
	for (int i = 0; i < 3; i++)
		(void)!write(null, bytes, sizeof(bytes));
	for (size_t i = 0; i < (size_t)16 * MIB; i += 4096)
		memory[i] = 1;
	(void)close(null);
}

static void process_is_measured_without_probes(void **state)
{
	const pid_t pid = subject(job_busy);
	uint64_t counts[WEIR_LOAD_COUNT];

	(void)state;
	assert_int_equal(weir_clocks_read(pid, counts), 0);
	assert_true(counts[WEIR_LOAD_ON_CPU_NS] >= 100 * WEIR_NS_PER_MS);
	assert_true(counts[WEIR_LOAD_ON_CPU_NS] < 2 * WEIR_NS_PER_SECOND);
	assert_int_equal(counts[WEIR_LOAD_WRITE_BYTES] / MIB, 3);
	assert_true(counts[WEIR_LOAD_FAULTS_MINOR] > 0);
	assert_true(counts[WEIR_LOAD_SWITCHES_VOLUNTARY] > 0);
	assert_true(weir_clocks_rss_bytes(pid) >= 16 * MIB);
	assert_true(weir_clocks_rss_bytes(pid) < 1024 * (uint64_t)MIB);
	end(pid);
}

static void job_parent(void)
{
	int ready[2];
	char byte = 0;

	(void)!pipe(ready);
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fork() == 0) { /* a grandchild that lives */
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			burn(150 * WEIR_NS_PER_MS);
			(void)!write(ready[1], "r", 1);
			(void)pause();
		}
		(void)pause();
	}
	if (fork() == 0) { /* a child that was waited for */
		burn(150 * WEIR_NS_PER_MS);
		(void)!write(ready[1], "r", 1);
		_exit(0);
	}
	(void)!read(ready[0], &byte, 1);
	(void)!read(ready[0], &byte, 1);
	while (waitpid(-1, NULL, WNOHANG) <= 0)
		(void)usleep(1000);
}

static void children_count_while_they_live_and_after(void **state)
{
	const pid_t pid = subject(job_parent);
	uint64_t counts[WEIR_LOAD_COUNT];

	(void)state;
	assert_int_equal(weir_clocks_read(pid, counts), 2);
	assert_true(counts[WEIR_LOAD_ON_CPU_NS] >= 280 * WEIR_NS_PER_MS); /* one of them in ticks of 10 ms */
	end(pid);
}

static void process_that_is_gone_counts_nothing(void **state)
{
	const pid_t pid = subject(job_busy);
	uint64_t counts[WEIR_LOAD_COUNT];

	(void)state;
	end(pid);
	assert_int_equal(weir_clocks_read(pid, counts), 0);
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
		assert_int_equal(counts[i], 0);
	assert_int_equal(weir_clocks_cpu_ns(pid), 0);
	assert_int_equal(weir_clocks_rss_bytes(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_is_measured_without_probes),
		cmocka_unit_test(children_count_while_they_live_and_after),
		cmocka_unit_test(process_that_is_gone_counts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
