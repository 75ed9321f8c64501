/* The load board's owner without a supervisor around it: workers are children that sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/load.h"
#include "dataplane/supervisor/measure.h"

static struct weir_supervisor first;
static struct weir_supervisor second;

static void supervisor_open(struct weir_supervisor *supervisor, bool probes)
{
	memset(supervisor, 0, sizeof(*supervisor));
	supervisor->options.probes = probes;
	supervisor->keeper_lost = true; /* nothing is kept */
	supervisor->load_fd = -1;
}

static struct weir_worker *worker_open(struct weir_supervisor *supervisor, uint64_t id)
{
	struct weir_worker *const worker = &supervisor->worker[supervisor->worker_places++];
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (true)
			(void)pause();
	}
	worker->process.pid = pid;
	worker->process.id = id;
	return worker;
}

static void worker_close(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	(void)kill(worker->process.pid, SIGKILL);
	assert_int_equal(waitpid(worker->process.pid, NULL, 0), worker->process.pid);
	weir_measure_worker_ended(supervisor, worker);
	worker->process.pid = 0;
}

static void board_close(struct weir_supervisor *supervisor)
{
	if (supervisor->probe.board != NULL) {
		weir_probe_close(&supervisor->probe);
		return;
	}
	weir_load_detach(supervisor->load);
	weir_fd_close(&supervisor->load_fd);
}

static uint32_t source_of(const struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	struct weir_load_sample sample;

	if (!weir_load_read(supervisor->load, worker->load_slot, worker->process.id, weir_clock_now_ns(), &sample))
		return WEIR_LOAD_SOURCE_NONE;
	return sample.source;
}

static void clocks_measure_where_probes_are_off(void **state)
{
	const uint64_t now_ns = weir_clock_now_ns();
	struct weir_board_process row = {.pid = 1};
	struct weir_worker *worker = NULL;

	(void)state;
	supervisor_open(&first, false);
	assert_int_equal(weir_measure_open(&first), 0);
	assert_int_equal(first.load->source, WEIR_LOAD_SOURCE_CLOCKS);
	worker = worker_open(&first, 77);
	weir_measure_worker_started(&first, worker);
	assert_int_equal(source_of(&first, worker), WEIR_LOAD_SOURCE_NONE);
	weir_measure_turn(&first, now_ns);
	assert_int_equal(source_of(&first, worker), WEIR_LOAD_SOURCE_CLOCKS);
	assert_int_equal(first.load_ns, now_ns + WEIR_MEASURE_PERIOD_MS * WEIR_NS_PER_MS);
	weir_measure_row(&first, worker, now_ns, &row);
	assert_int_equal(row.load_source, WEIR_LOAD_SOURCE_CLOCKS);
	assert_int_equal(row.load_at_ns, now_ns);
	assert_true(row.rss_bytes > 0);
	/* Not due: nothing. Due, but it slept: the sample is younger. */
	weir_measure_turn(&first, now_ns + 1);
	weir_measure_turn(&first, first.load_ns);
	weir_measure_row(&first, worker, now_ns, &row);
	assert_int_equal(row.load_at_ns, now_ns + WEIR_MEASURE_PERIOD_MS * WEIR_NS_PER_MS);
	worker_close(&first, worker);
	assert_int_equal(weir_load_find(first.load, 77), -ENOENT);
	board_close(&first);
}

/* Slots of workers that live stay, others' are given back; one that has none gets it. */
static void take_over(bool probes)
{
	const uint64_t now_ns = weir_clock_now_ns();
	struct weir_worker *kept = NULL;
	int fds[WEIR_PROBE_FDS_MAX];
	size_t count = 1;

	supervisor_open(&first, probes);
	assert_int_equal(weir_measure_open(&first), 0);
	kept = worker_open(&first, 5);
	weir_measure_worker_started(&first, kept);
	assert_true(weir_load_claim(first.load, 6, 9, now_ns) >= 0); /* died with the last supervisor */
	if (first.probe.board != NULL)
		count = first.probe.fd_count;
	for (size_t i = 0; i < count; i++)
		fds[i] = fcntl(count == 1 ? first.load_fd : first.probe.fd[i], F_DUPFD_CLOEXEC, 0);
	supervisor_open(&second, probes);
	assert_true(weir_measure_adopt(&second, fds, count));
	assert_int_equal(fds[0], -1);
	assert_false(weir_measure_adopt(&second, fds, count)); /* there is one already */
	assert_int_equal(weir_measure_open(&second), 0);
	second.worker[0] = *kept;
	second.worker[0].load_slot = 0;
	second.worker_places = 1;
	weir_measure_taken_over(&second);
	assert_int_equal(second.worker[0].load_slot, kept->load_slot);
	assert_int_equal(weir_load_find(second.load, 6), -ENOENT);
	weir_measure_worker_started(&second, worker_open(&second, 8));
	assert_int_equal(weir_load_find(first.load, 8), second.worker[1].load_slot);
	worker_close(&second, &second.worker[1]);
	worker_close(&second, &second.worker[0]);
	board_close(&second);
	board_close(&first);
}

static void successor_goes_on_with_the_board(void **state)
{
	(void)state;
	take_over(false);
	take_over(true); /* probes, where they may be had */
}

static void worker_without_a_place_is_measured_by_clocks_as_often_as_any(void **state)
{
	const uint64_t now_ns = weir_clock_now_ns();
	struct weir_worker *probed = NULL;
	struct weir_worker *clocked = NULL;
	weir_load_word *set = NULL;

	(void)state;
	supervisor_open(&first, true);
	assert_int_equal(weir_measure_open(&first), 0);
	if (first.load->source != WEIR_LOAD_SOURCE_PROBES) {
		board_close(&first);
		skip();
	}
	probed = worker_open(&first, 1);
	weir_measure_worker_started(&first, probed);
	weir_measure_turn(&first, now_ns);
	assert_int_equal(source_of(&first, probed), WEIR_LOAD_SOURCE_PROBES);
	assert_int_equal(first.load_ns, now_ns + WEIR_MEASURE_RSS_PERIOD_MS * WEIR_NS_PER_MS);
	clocked = worker_open(&first, 2);
	set = first.probe.table->entry[weir_probe_set((unsigned)clocked->process.pid)];
	for (unsigned i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) { /* numbers that no process has */
		uint64_t none = 0;

		(void)atomic_compare_exchange_strong(&set[i], &none, UINT64_C(0x1fffffff0) + i);
	}
	weir_measure_worker_started(&first, clocked);
	weir_measure_turn(&first, now_ns);
	assert_int_equal(source_of(&first, clocked), WEIR_LOAD_SOURCE_CLOCKS);
	assert_int_equal(source_of(&first, probed), WEIR_LOAD_SOURCE_PROBES);
	assert_int_equal(first.load_ns, now_ns + WEIR_MEASURE_PERIOD_MS * WEIR_NS_PER_MS);
	worker_close(&first, clocked);
	worker_close(&first, probed);
	board_close(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_measure_where_probes_are_off),
		cmocka_unit_test(successor_goes_on_with_the_board),
		cmocka_unit_test(worker_without_a_place_is_measured_by_clocks_as_often_as_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
