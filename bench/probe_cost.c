/* weir-bench-probes: what the eBPF programs (bpf/) cost a switch between two processes.
 *
 *   parent --byte--> child        both on one CPU, so each trip is two switches and two wake-ups
 *          <--byte--
 *
 * Rounds are interleaved: nothing loaded, loaded with a table of processes that are tracked but not these
 * two, and with one of the two tracked. One line a round: what a trip took with each, in ns, by the wall
 * clock and in CPU time of both. Owner: the process. Threads: one, and a child. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/load_probe.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/load.h"

enum {
	VARIANTS = 3, /* nothing, loaded, loaded and one of the two tracked */
	TRACKED = 64, /* other processes in the table */
	PROCESS_FIRST = 4000000, /* numbers that no process can have */
};

static uint64_t cpu_ns(int who)
{
	struct rusage usage;

	(void)getrusage(who, &usage); /* cannot fail for these */
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * WEIR_NS_PER_SECOND +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * WEIR_NS_PER_US;
}

static void echo(int from, int to)
{
	char byte = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from, &byte, 1) == 1) {
		if (write(to, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

/* ns for a trip: by the wall clock, and in CPU time of both. */
static int trips_measure(long trips, double out_ns[2])
{
	const uint64_t cpu_before = cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN);
	const uint64_t began_ns = weir_clock_now_ns();
	int there[2];
	int back[2];
	char byte = 0;
	pid_t child = 0;
	bool good = true;

	if (pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0)
		return -errno;
	child = fork();
	if (child == 0) {
		(void)close(there[1]);
		echo(there[0], back[1]);
	}
	for (long i = 0; i < trips && good; i++)
		good = write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1;
	out_ns[0] = (double)(weir_clock_now_ns() - began_ns) / (double)trips;
	(void)close(there[0]);
	(void)close(there[1]);
	(void)close(back[0]);
	(void)close(back[1]);
	(void)waitpid(child, NULL, 0);
	out_ns[1] = (double)(cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN) - cpu_before) / (double)trips;
	return good ? 0 : -EPIPE;
}

static int worker_add(struct weir_probe *probe, uint64_t id, unsigned process)
{
	const int slot = weir_load_claim(probe->board, id, (uint32_t)id, weir_clock_now_ns());

	return slot < 0 ? slot : weir_probe_track(probe, (unsigned)slot, process);
}

static int variant_measure(int variant, long trips, double out_ns[2])
{
	struct weir_probe probe = {.fd_count = 0};
	char why[WEIR_LOAD_WHY_BYTES_MAX];
	int result = 0;

	if (variant > 0) {
		result = weir_probe_open(&probe, why);
		if (result != 0) {
			(void)fprintf(stderr, "weir-bench-probes: %s\n", why);
			return result;
		}
		for (unsigned i = 1; i <= TRACKED && result == 0; i++)
			result = worker_add(&probe, i, PROCESS_FIRST + i);
	}
	if (result == 0 && variant == 2)
		result = worker_add(&probe, TRACKED + 1, (unsigned)getpid());
	if (result == 0)
		result = trips_measure(trips, out_ns);
	weir_probe_close(&probe);
	return result;
}

static int cpu_pin(void)
{
	cpu_set_t cpus;
	size_t last = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return -errno;
	while (!CPU_ISSET(last, &cpus))
		last--;
	CPU_ZERO(&cpus);
	CPU_SET(last, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) == 0 ? 0 : -errno;
}

int main(int argc, char **argv)
{
	const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 40;
	const long trips = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;
	int result = cpu_pin();

	if (argc > 3 || rounds < 1 || trips < 1) {
		(void)fprintf(stderr, "usage: weir-bench-probes [ROUNDS [TRIPS]]   (40 rounds of 20,000 trips)\n");
		return 2;
	}
	for (long round = 0; round < rounds && result == 0; round++) {
		double ns[VARIANTS][2];

		for (int i = 0; i < VARIANTS && result == 0; i++) {
			const int variant = round % 2 == 0 ? i : VARIANTS - 1 - i;

			result = variant_measure(variant, trips, ns[variant]);
		}
		for (int i = 0; i < VARIANTS && result == 0; i++)
			(void)printf("%.1f %.1f%c", ns[i][0], ns[i][1], i == VARIANTS - 1 ? '\n' : ' ');
	}
	return result == 0 ? 0 : 1;
}
