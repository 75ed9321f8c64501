/* The probes against the kernel's own figures: clocks, /proc/PID/io, status and stat of processes that
 * wait at a gate before and after what they do, so that both have counted the same. Skipped where
 * programs cannot be loaded; there is nothing to measure with then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/load_probe.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/load.h"

enum { MIB = 1 << 20 };

static struct weir_probe probe;
static char why[WEIR_LOAD_WHY_BYTES_MAX];
static uint64_t ids;

/* A process that plays a worker: does `job` once the gate opens, then waits for its end. */
struct subject {
	pid_t pid;
	int gate; /* a byte lets it go on */
	int done; /* it says so with a byte */
	uint32_t slot;
	uint64_t id;
	int64_t before[WEIR_LOAD_COUNT]; /* the kernel's own figures, when it was at the gate */
	struct weir_load_sample base;    /* ours, then */
};

static void burn(uint64_t cpu_ns)
{
	struct timespec now;

	do {
		assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
	} while ((uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec < cpu_ns);
}

/* Of a line "name: value" in a file of /proc/PID. */
static int64_t proc_value(pid_t pid, const char *file, const char *name)
{
	char path[64];
	char line[256];
	int64_t value = -1;
	FILE *stream = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	stream = fopen(path, "re");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtoll(line + strlen(name) + 1, NULL, 10);
	}
	(void)fclose(stream);
	assert_true(value >= 0);
	return value;
}

static int64_t cpu_clock_ns(pid_t pid)
{
	struct timespec now;
	clockid_t clock = 0;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &now), 0);
	return (int64_t)now.tv_sec * (int64_t)WEIR_NS_PER_SECOND + now.tv_nsec;
}

/* Wait until the process sleeps, and has left its CPU. */
static void wait_asleep(pid_t pid)
{
	for (int i = 0; i < 2000; i++) {
		char path[64];
		char text[256] = "";
		FILE *stream = NULL;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		stream = fopen(path, "re");
		assert_non_null(stream);
		assert_non_null(fgets(text, sizeof(text), stream));
		(void)fclose(stream);
		(void)usleep(10000);
		if (strstr(text, ") S ") != NULL)
			return;
	}
	fail_msg("process %d never slept", (int)pid);
}

/* The kernel's figures of a process of one thread that sleeps. */
static void figures(pid_t pid, int64_t out[WEIR_LOAD_COUNT])
{
	char path[64];
	char text[512] = "";
	long long run = 0;
	long long delay = 0;
	FILE *stream = NULL;

	memset(out, 0, WEIR_LOAD_COUNT * sizeof(*out));
	out[WEIR_LOAD_ON_CPU_NS] = cpu_clock_ns(pid);
	out[WEIR_LOAD_SWITCHES_VOLUNTARY] = proc_value(pid, "status", "voluntary_ctxt_switches");
	out[WEIR_LOAD_SWITCHES_INVOLUNTARY] = proc_value(pid, "status", "nonvoluntary_ctxt_switches");
	out[WEIR_LOAD_READ_BYTES] = proc_value(pid, "io", "rchar");
	out[WEIR_LOAD_WRITE_BYTES] = proc_value(pid, "io", "wchar");
	out[WEIR_LOAD_DISK_READ_BYTES] = proc_value(pid, "io", "read_bytes");
	out[WEIR_LOAD_DISK_WRITE_BYTES] = proc_value(pid, "io", "write_bytes");
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stream = fopen(path, "re");
	assert_non_null(stream);
	assert_non_null(fgets(text, sizeof(text), stream));
	(void)fclose(stream);
	assert_int_equal(sscanf(strrchr(text, ')') + 1, "%*s %*s %*s %*s %*s %*s %*s %" SCNd64 " %*s %" SCNd64,
				&out[WEIR_LOAD_FAULTS_MINOR], &out[WEIR_LOAD_FAULTS_MAJOR]), 2);
	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	stream = fopen(path, "re");
	assert_non_null(stream);
	assert_int_equal(fscanf(stream, "%lld %lld", &run, &delay), 2);
	(void)fclose(stream);
	out[WEIR_LOAD_RUN_QUEUE_NS] = delay;
}

static void subject_main(int gate, int done, void (*job)(void))
{
	char byte = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(gate, &byte, 1) != 1 || write(done, "r", 1) != 1 || read(gate, &byte, 1) != 1)
		_exit(1);
	job();
	if (write(done, "d", 1) != 1)
		_exit(1);
	_exit(read(gate, &byte, 1) == 1 ? 0 : 1);
}

static void subject_go(const struct subject *subject)
{
	assert_int_equal(write(subject->gate, "g", 1), 1);
}

static void subject_wait_done(const struct subject *subject)
{
	char byte = 0;

	assert_int_equal(read(subject->done, &byte, 1), 1);
	wait_asleep(subject->pid);
}

/* What was counted since it was opened. */
static struct weir_load_sample sample_of(const struct subject *subject)
{
	struct weir_load_sample sample;

	assert_true(weir_load_read(probe.board, subject->slot, subject->id, weir_clock_now_ns(), &sample));
	assert_int_equal(sample.source, WEIR_LOAD_SOURCE_PROBES);
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
		sample.count[i] -= subject->base.count[i];
	return sample;
}

static struct subject subject_open(void (*job)(void))
{
	struct subject subject = {.id = ++ids};
	int gate[2];
	int done[2];
	int slot = 0;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	subject.pid = fork();
	assert_true(subject.pid >= 0);
	if (subject.pid == 0) {
		(void)close(gate[1]);
		subject_main(gate[0], done[1], job);
	}
	(void)close(gate[0]);
	(void)close(done[1]);
	subject.gate = gate[1];
	subject.done = done[0];
	slot = weir_load_claim(probe.board, subject.id, (uint32_t)subject.id, weir_clock_now_ns());
	assert_true(slot >= 0);
	subject.slot = (uint32_t)slot;
	wait_asleep(subject.pid);
	assert_int_equal(weir_probe_track(&probe, subject.slot, (unsigned)subject.pid), 0);
	/* Once over the gate: what a thread had when it is first seen is where counting begins. */
	subject_go(&subject);
	subject_wait_done(&subject);
	figures(subject.pid, subject.before);
	subject.base = sample_of(&subject);
	return subject;
}

static void subject_close(struct subject *subject)
{
	int status = 0;

	subject_go(subject); /* closing would not do: later subjects have copies */
	(void)close(subject->gate);
	(void)close(subject->done);
	assert_int_equal(waitpid(subject->pid, &status, 0), subject->pid);
	assert_int_equal(status, 0);
	weir_probe_untrack(&probe, subject->slot);
	weir_load_release(probe.board, subject->slot);
}

static void close_to(const char *what, uint64_t measured, int64_t kernel, double part, int64_t slack_ns)
{
	const double allowed = (double)kernel * part + (double)slack_ns;
	const double off = (double)measured - (double)kernel;

	(void)printf("%s: probe %.3f ms, kernel %.3f ms (%+.3f %%)\n", what, (double)measured / 1e6,
		     (double)kernel / 1e6, kernel == 0 ? 0.0 : off / (double)kernel * 100);
	if (off > allowed || -off > allowed)
		fail_msg("%s: %" PRIu64 " ns measured, the kernel has %" PRId64, what, measured, kernel);
}

/* On-CPU time within 2 % of the kernel's. */
static void check_on_cpu(const char *what, const struct subject *subject)
{
	const struct weir_load_sample sample = sample_of(subject);
	const int64_t kernel = cpu_clock_ns(subject->pid) - subject->before[WEIR_LOAD_ON_CPU_NS];

	close_to(what, sample.count[WEIR_LOAD_ON_CPU_NS], kernel, 0.02, 0);
}

static void job_burn(void)
{
	burn(200 * WEIR_NS_PER_MS);
}

static void on_cpu_of_a_burner_is_the_kernels(void **state)
{
	struct subject subject = subject_open(job_burn);

	(void)state;
	subject_go(&subject);
	subject_wait_done(&subject);
	check_on_cpu("alone", &subject);
	subject_close(&subject);
}

static void job_burn_pinned(void)
{
	cpu_set_t cpus;
	size_t first = 0;

	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	while (!CPU_ISSET(first, &cpus))
		first++;
	CPU_ZERO(&cpus);
	CPU_SET(first, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	burn(200 * WEIR_NS_PER_MS);
}

static void on_cpu_and_waiting_are_right_on_a_shared_cpu(void **state)
{
	struct subject subject[2] = {subject_open(job_burn_pinned), subject_open(job_burn_pinned)};

	(void)state;
	subject_go(&subject[0]);
	subject_go(&subject[1]);
	for (int i = 0; i < 2; i++) {
		int64_t after[WEIR_LOAD_COUNT];

		subject_wait_done(&subject[i]);
		check_on_cpu("shared", &subject[i]);
		figures(subject[i].pid, after);
		close_to("shared, waiting", sample_of(&subject[i]).count[WEIR_LOAD_RUN_QUEUE_NS],
			 after[WEIR_LOAD_RUN_QUEUE_NS] - subject[i].before[WEIR_LOAD_RUN_QUEUE_NS], 0.02,
			 (int64_t)WEIR_NS_PER_MS);
	}
	subject_close(&subject[0]);
	subject_close(&subject[1]);
}

static void *thread_burn(void *argument)
{
	(void)argument;
	burn(100 * WEIR_NS_PER_MS);
	return NULL;
}

static void job_threads(void)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		(void)pthread_create(&thread[i], NULL, thread_burn, NULL);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(thread[i], NULL);
}

static void threads_count(void **state)
{
	struct subject subject = subject_open(job_threads);

	(void)state;
	subject_go(&subject);
	subject_wait_done(&subject);
	check_on_cpu("threads", &subject);
	subject_close(&subject);
}

static uint64_t *children_ns; /* what the kernel has of the job's children; shared with it */

static void burn_in_child(uint64_t cpu_ns)
{
	if (fork() == 0) {
		burn(cpu_ns);
		_exit(0);
	}
}

/* Until none is left: of each what it had, its end included, which can be long where the machine is another's
 * guest; so it is reaped when its clock stands. */
static void children_reap(void)
{
	siginfo_t ended;

	while (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT) == 0) {
		int64_t before = -1;
		int64_t now = cpu_clock_ns(ended.si_pid);

		while (now != before) {
			before = now;
			(void)usleep(10000);
			now = cpu_clock_ns(ended.si_pid);
		}
		*children_ns += (uint64_t)now;
		(void)waitpid(ended.si_pid, NULL, 0);
	}
}

/* A child that burns 500 ms, one whose parent left it behind, one in a pid namespace, where it is 1. */
static void job_children(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	burn_in_child(500 * WEIR_NS_PER_MS);
	if (fork() == 0) {
		burn_in_child(100 * WEIR_NS_PER_MS);
		_exit(0);
	}
	children_reap();
	(void)unshare(CLONE_NEWPID);
	burn_in_child(200 * WEIR_NS_PER_MS);
	children_reap();
}

static void children_count_for_their_worker(void **state)
{
	struct subject subject;
	int64_t kernel = 0;

	(void)state;
	children_ns = mmap(NULL, sizeof(*children_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(children_ns, MAP_FAILED);
	subject = subject_open(job_children);
	subject_go(&subject);
	subject_wait_done(&subject);
	assert_true(*children_ns >= 780 * WEIR_NS_PER_MS);
	kernel = (int64_t)*children_ns + cpu_clock_ns(subject.pid) - subject.before[WEIR_LOAD_ON_CPU_NS];
	close_to("children", sample_of(&subject).count[WEIR_LOAD_ON_CPU_NS], kernel, 0.02, 2 * (int64_t)WEIR_NS_PER_MS);
	subject_close(&subject);
	assert_int_equal(munmap(children_ns, sizeof(*children_ns)), 0);
}

static char bytes[MIB];

static void job_bytes(void)
{
	char path[] = "load_probe.XXXXXX";
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const int file = mkstemp(path);

	(void)unlink(path);
	for (int i = 0; i < 8; i++) {
		(void)!write(null, bytes, 4096 + (size_t)i);
		(void)!write(file, bytes, sizeof(bytes));
		(void)!pread(file, bytes, 12345, 0);
	}
	(void)fsync(file);
	(void)close(null);
	(void)close(file);
}

static void bytes_are_exact(void **state)
{
	struct subject subject = subject_open(job_bytes);
	struct weir_load_sample sample;
	int64_t after[WEIR_LOAD_COUNT];

	(void)state;
	subject_go(&subject);
	subject_wait_done(&subject);
	sample = sample_of(&subject);
	figures(subject.pid, after);
	for (int i = WEIR_LOAD_READ_BYTES; i <= WEIR_LOAD_DISK_WRITE_BYTES; i++)
		assert_int_equal(sample.count[i], after[i] - subject.before[i]);
	/* The gate's byte and ours, and what the job says. */
	assert_int_equal(sample.count[WEIR_LOAD_READ_BYTES], 1 + 8 * 12345);
	assert_int_equal(sample.count[WEIR_LOAD_WRITE_BYTES], 1 + 8 * (4096 + MIB) + 28);
	subject_close(&subject);
}

static void job_faults(void)
{
	struct timespec pause = {.tv_nsec = 100000};
	char *const memory = malloc(4 * MIB);

	for (size_t i = 0; i < (size_t)4 * MIB; i += 4096)
		((volatile char *)memory)[i] = 1;
	for (int i = 0; i < 100; i++)
		(void)nanosleep(&pause, NULL);
	free(memory);
}

static void faults_and_switches_are_exact(void **state)
{
	struct subject subject = subject_open(job_faults);
	struct weir_load_sample sample;
	int64_t after[WEIR_LOAD_COUNT];

	(void)state;
	subject_go(&subject);
	subject_wait_done(&subject);
	sample = sample_of(&subject);
	figures(subject.pid, after);
	for (int i = WEIR_LOAD_SWITCHES_VOLUNTARY; i <= WEIR_LOAD_FAULTS_MAJOR; i++)
		assert_int_equal(sample.count[i], after[i] - subject.before[i]);
	assert_true(sample.count[WEIR_LOAD_SWITCHES_VOLUNTARY] > 0);
	subject_close(&subject);
}

static void job_disk(void)
{
	char path[] = "load_probe.XXXXXX";
	void *block = NULL;
	const int file = mkostemp(path, O_DIRECT | O_SYNC);

	if (file == -1) /* a file system in memory */
		return;
	(void)unlink(path);
	if (posix_memalign(&block, 4096, 65536) == 0) {
		memset(block, 7, 65536);
		for (int i = 0; i < 64; i++)
			(void)!write(file, block, 65536);
	}
	free(block);
	(void)close(file);
}

static void waiting_for_storage_is_seen(void **state)
{
	const uint64_t began_ns = weir_clock_now_ns();
	struct subject subject = subject_open(job_disk);
	struct weir_load_sample sample;

	(void)state;
	subject_go(&subject);
	subject_wait_done(&subject);
	sample = sample_of(&subject);
	(void)printf("storage: %" PRIu64 " bytes, waited %.3f ms; device: %" PRIu64 " requests, %.3f ms\n",
		     sample.count[WEIR_LOAD_DISK_WRITE_BYTES], (double)sample.count[WEIR_LOAD_IO_WAIT_NS] / 1e6,
		     sample.count[WEIR_LOAD_DEVICE_REQUESTS], (double)sample.count[WEIR_LOAD_DEVICE_NS] / 1e6);
	if (sample.count[WEIR_LOAD_DISK_WRITE_BYTES] > 0)
		assert_true(sample.count[WEIR_LOAD_IO_WAIT_NS] > 0);
	assert_true(sample.count[WEIR_LOAD_IO_WAIT_NS] < weir_clock_now_ns() - began_ns);
	subject_close(&subject);
}

static void job_burn_long(void)
{
	job_burn_pinned();
	burn(600 * WEIR_NS_PER_MS);
}

static void reading_is_live_between_switches(void **state)
{
	struct subject subject = subject_open(job_burn_long);
	int64_t last = 0;
	int readings = 0;
	int wrong = 0;

	(void)state;
	subject_go(&subject);
	while (last < 500 * (int64_t)WEIR_NS_PER_MS) {
		const int64_t low = cpu_clock_ns(subject.pid) - subject.before[WEIR_LOAD_ON_CPU_NS];
		const int64_t seen = (int64_t)sample_of(&subject).count[WEIR_LOAD_ON_CPU_NS];
		const int64_t high = cpu_clock_ns(subject.pid) - subject.before[WEIR_LOAD_ON_CPU_NS];
		/* What a hypervisor steals counts until the switch, and a switch may go unseen: a slice or two. */
		const int64_t slack = high / 50 + 30 * (int64_t)WEIR_NS_PER_MS;

		readings++;
		if (seen < low - slack || seen > high + slack) {
			(void)printf("live: %" PRId64 " is not between %" PRId64 " and %" PRId64 "\n", seen, low, high);
			wrong++;
		}
		last = high;
		(void)usleep(7000);
	}
	/* It may steal more than that for a moment; a reading that is not live is wrong nearly every time. */
	assert_true(readings >= 8 && wrong <= readings / 4);
	subject_wait_done(&subject);
	check_on_cpu("live, then asleep", &subject);
	subject_close(&subject);
}

/* The last CPU it may use, for itself. */
static void job_burn_undisturbed(void)
{
	const struct sched_param priority = {.sched_priority = 1};
	cpu_set_t cpus;
	size_t last = CPU_SETSIZE - 1;

	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	while (!CPU_ISSET(last, &cpus))
		last--;
	CPU_ZERO(&cpus);
	CPU_SET(last, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	(void)sched_setscheduler(0, SCHED_FIFO, &priority);
	burn(200 * WEIR_NS_PER_MS);
}

/* As if the switch to the slot's thread, which runs, had not been reported. False: it does not run. */
static bool unreport(uint32_t slot)
{
	const uint32_t tag = atomic_load(&probe.board->slot[slot].tag);

	for (int cpu = 0; cpu < WEIR_PROBE_CPUS_MAX; cpu++) {
		volatile struct weir_probe_run *const run = &probe.table->run[cpu]; /* programs write it */

		if (run->tag != tag)
			continue;
		run->tag = 0;
		run->next_pid = 0x7fffffff;
		atomic_fetch_add(&probe.board->slot[slot].probe[WEIR_LOAD_ON_CPU_NS],
				 run->start - (UINT64_C(1) << WEIR_LOAD_RUNNING_SHIFT));
		return true;
	}
	return false;
}

static void who_came_by_a_switch_that_was_not_reported_counts_when_it_leaves(void **state)
{
	struct subject subject;
	cpu_set_t cpus;
	int tries = 0;

	(void)state;
	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	if (CPU_COUNT(&cpus) < 2)
		skip(); /* nobody could look while it burns */
	subject = subject_open(job_burn_undisturbed);
	subject_go(&subject);
	while (cpu_clock_ns(subject.pid) - subject.before[WEIR_LOAD_ON_CPU_NS] < 100 * (int64_t)WEIR_NS_PER_MS)
		(void)usleep(1000);
	while (!unreport(subject.slot) && tries++ < 100) /* never: it was indeed not reported */
		(void)usleep(100);
	subject_wait_done(&subject);
	check_on_cpu("unreported", &subject);
	subject_close(&subject);
}

static void end_of_a_worker_is_seen_and_leaves_no_entry(void **state)
{
	struct subject subject = subject_open(job_burn);
	struct weir_load_sample sample;
	const weir_load_word *const set = probe.table->entry[weir_probe_set((unsigned)subject.pid)];

	(void)state;
	assert_false(sample_of(&subject).exited);
	(void)kill(subject.pid, SIGKILL);
	(void)waitpid(subject.pid, NULL, 0);
	assert_true(sample_of(&subject).exited);
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++)
		assert_int_not_equal((uint32_t)atomic_load(&set[i]), (uint32_t)subject.pid);
	weir_probe_untrack(&probe, subject.slot);
	weir_load_release(probe.board, subject.slot);
	assert_false(weir_load_read(probe.board, subject.slot, subject.id, weir_clock_now_ns(), &sample));
	(void)close(subject.gate);
	(void)close(subject.done);
}

static void next_owner_of_a_slot_does_not_pay_for_the_last(void **state)
{
	struct subject first = subject_open(job_burn_long);
	struct subject second = first;

	(void)state;
	subject_go(&first);
	(void)usleep(50000);
	weir_probe_untrack(&probe, first.slot); /* it burns on */
	weir_load_release(probe.board, first.slot);
	second.id = ++ids;
	memset(&second.base, 0, sizeof(second.base));
	assert_int_equal(weir_load_claim(probe.board, second.id, first.slot, weir_clock_now_ns()), first.slot);
	assert_int_equal(weir_probe_track(&probe, second.slot, 1), 0); /* init: it does next to nothing */
	subject_wait_done(&first);
	assert_true(sample_of(&second).count[WEIR_LOAD_ON_CPU_NS] < 100 * WEIR_NS_PER_MS);
	assert_true(cpu_clock_ns(first.pid) > 500 * (int64_t)WEIR_NS_PER_MS);
	subject_close(&first);
}

static void process_without_a_place_is_left_to_clocks(void **state)
{
	const uint64_t unplaced = atomic_load(&probe.board->unplaced);
	const uint64_t id = ++ids;
	const int slot = weir_load_claim(probe.board, id, (uint32_t)id, 1);
	weir_load_word *const set = probe.table->entry[weir_probe_set(4000001)];
	struct weir_load_sample sample;

	(void)state;
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) /* processes that cannot be: above PID_MAX_LIMIT */
		atomic_store(&set[i], UINT64_C(0x1fffffff0) + (unsigned)i);
	assert_int_equal(weir_probe_track(&probe, (unsigned)slot, 4000001), -ENOSPC);
	assert_int_equal(atomic_load(&probe.board->unplaced), unplaced + 1);
	assert_int_equal(atomic_load(&probe.board->slot[slot].tag), 0);
	assert_false(weir_load_read(probe.board, (uint32_t)slot, id, 2, &sample)); /* until clocks fill it */
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++)
		atomic_store(&set[i], 0);
	assert_int_equal(weir_probe_track(&probe, (unsigned)slot, 4000001), 0);
	weir_probe_untrack(&probe, (unsigned)slot);
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++)
		assert_int_equal(atomic_load(&set[i]), 0);
	weir_load_release(probe.board, (uint32_t)slot);
}

static void programs_go_on_with_the_descriptors(void **state)
{
	struct subject subject = subject_open(job_burn);
	struct weir_probe next = {.fd_count = 0};
	int fds[WEIR_PROBE_FDS_MAX];
	const size_t count = probe.fd_count;

	(void)state;
	for (size_t i = 0; i < count; i++) /* the keeper's copies */
		fds[i] = fcntl(probe.fd[i], F_DUPFD_CLOEXEC, 0);
	weir_probe_close(&probe);
	subject_go(&subject);
	(void)usleep(20000);
	assert_int_equal(weir_probe_adopt(&next, fds, 2), -EINVAL);
	assert_int_equal(weir_probe_adopt(&next, fds, count), 0);
	probe = next;
	subject_wait_done(&subject);
	check_on_cpu("adopted", &subject);
	subject_close(&subject);
}

static void rights_limit(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)capabilities, .permitted = (uint32_t)capabilities},
		{.effective = (uint32_t)(capabilities >> 32), .permitted = (uint32_t)(capabilities >> 32)}};

	if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresuid(65534, 65534, 65534) != 0 ||
	    syscall(SYS_capset, &header, data) != 0)
		_exit(99);
}

/* What opening says with these capabilities and no others. */
static int opened_with(uint64_t capabilities)
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0) {
		struct weir_probe other = {.fd_count = 0};
		int result = 0;

		weir_probe_close(&probe);
		rights_limit(capabilities);
		result = weir_probe_open(&other, why);
		if (result != 0)
			(void)printf("with %#" PRIx64 ": %s\n", capabilities, why);
		(void)fflush(stdout);
		_exit(-result);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void two_capabilities_are_enough_and_needed(void **state)
{
	const uint64_t bpf = UINT64_C(1) << CAP_BPF;
	const uint64_t perfmon = UINT64_C(1) << CAP_PERFMON;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(opened_with(bpf | perfmon), 0);
	assert_int_equal(opened_with(bpf), -EPERM);
	assert_int_equal(opened_with(perfmon), -EPERM);
	assert_int_equal(opened_with(0), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_cpu_of_a_burner_is_the_kernels),
		cmocka_unit_test(on_cpu_and_waiting_are_right_on_a_shared_cpu),
		cmocka_unit_test(threads_count),
		cmocka_unit_test(children_count_for_their_worker),
		cmocka_unit_test(bytes_are_exact),
		cmocka_unit_test(faults_and_switches_are_exact),
		cmocka_unit_test(waiting_for_storage_is_seen),
		cmocka_unit_test(reading_is_live_between_switches),
		cmocka_unit_test(who_came_by_a_switch_that_was_not_reported_counts_when_it_leaves),
		cmocka_unit_test(end_of_a_worker_is_seen_and_leaves_no_entry),
		cmocka_unit_test(next_owner_of_a_slot_does_not_pay_for_the_last),
		cmocka_unit_test(process_without_a_place_is_left_to_clocks),
		cmocka_unit_test(programs_go_on_with_the_descriptors),
		cmocka_unit_test(two_capabilities_are_enough_and_needed),
	};
	int result = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* children copy the buffer */
	result = weir_probe_open(&probe, why);

	if (result == -EPERM || result == -ENOSYS || result == -EXDEV || result == -ENOENT) {
		(void)printf("skipped: no eBPF here: %s\n", why);
		return 77;
	}
	if (result != 0) {
		(void)printf("cannot load the programs: %s\n", why);
		return 1;
	}
	(void)printf("attended to: %s\n", why);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
