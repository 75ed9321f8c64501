/* weir-bench-micro: run the small benchmarks, or the hand-off between two processes.
 *
 *   weir-bench-micro [--only PREFIX] [--milliseconds N]   one JSON line each: name, title, ns per operation
 *   weir-bench-micro --only PREFIX --passes N          exactly N passes, counted by callgrind
 *   weir-bench-micro --list                            names only
 *   weir-bench-micro --handoff awake|asleep --gateway-cpu A --worker-cpu B [--calls N]
 *
 * Exit: 0, 1 something failed, 2 usage. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT      ((void)0)
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

#include "dataplane/base/clock.h"
#include "dataplane/base/cpu.h"

#include "bench/handoff.h"
#include "bench/histogram.h"
#include "bench/micro.h"

enum {
	SAMPLE_NS = 2000000,
	SAMPLES_MAX = 4096,
	WARM_UP_CALLS = 10000,
	NO_CPU = -1,
	CALLS_MAX = 100000000
};

struct options {
	const char *only;
	const char *handoff;
	double seconds;
	long passes;
	long calls;
	long gateway_cpu;
	long worker_cpu;
	bool list;
};

static const struct weir_micro *const table[] = {weir_micro_shm, weir_micro_http,
						 weir_micro_route, weir_micro_pick,
						 weir_micro_call, weir_micro_caller};
static struct weir_histogram latency_ns;

void weir_micro_fail(const char *what, int error)
{
	(void)fprintf(stderr, "weir-bench-micro: %s", what);
	if (error < 0)
		(void)fprintf(stderr, ": %s", strerror(-error));
	(void)fputs("\n", stderr);
	exit(1);
}

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double passes_ns(const struct weir_micro *micro, uint64_t passes)
{
	const uint64_t started_ns = weir_clock_now_ns();

	for (uint64_t i = 0; i < passes; i++)
		micro->pass(micro->argument);
	return (double)(weir_clock_now_ns() - started_ns);
}

/* Samples of about 2 ms until the time is over; the median, so that an interruption costs nothing. */
static void measure(const struct weir_micro *micro, double seconds)
{
	static double sample[SAMPLES_MAX];
	const uint64_t end_ns =
		weir_clock_now_ns() + (uint64_t)(seconds * (double)WEIR_NS_PER_SECOND);
	const double one_ns = passes_ns(micro, 1);
	const uint64_t passes =
		one_ns > SAMPLE_NS ? 1 : (uint64_t)(SAMPLE_NS / (one_ns + 1)) + 1;
	size_t count = 0;

	do {
		sample[count++] = passes_ns(micro, passes) / (double)passes / micro->operations;
	} while (count < SAMPLES_MAX && (weir_clock_now_ns() < end_ns || count < 3));
	qsort(sample, count, sizeof(sample[0]), compare);
	(void)printf("{\"name\":\"%s\",\"title\":\"%s\",\"ns\":%.3f,\"low_ns\":%.3f}\n",
		     micro->name, micro->title, sample[count / 2], sample[0]);
	(void)fflush(stdout);
}

/* Under callgrind: count nothing but the passes; its dump carries the name. */
static void count(const struct weir_micro *micro, long passes)
{
	micro->pass(micro->argument);
	CALLGRIND_TOGGLE_COLLECT;
	for (long i = 0; i < passes; i++)
		micro->pass(micro->argument);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(micro->name);
	(void)printf("{\"name\":\"%s\",\"title\":\"%s\",\"operations\":%ld}\n", micro->name,
		     micro->title, passes * (long)micro->operations);
}

static int run_all(const struct options *options)
{
	bool found = false;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (const struct weir_micro *micro = table[i]; micro->name; micro++) {
			if (options->only &&
			    strncmp(micro->name, options->only, strlen(options->only)) != 0)
				continue;
			found = true;
			if (options->list) {
				(void)puts(micro->name);
				continue;
			}
			if (micro->open)
				micro->open(micro->argument);
			if (options->passes > 0)
				count(micro, options->passes);
			else
				measure(micro, options->seconds);
		}
	}
	if (!found)
		(void)fprintf(
			stderr,
			"weir-bench-micro: no benchmark begins with '%s'; --list shows all\n",
			options->only);
	return found ? 0 : 2;
}

static void bind_cpu(long cpu)
{
	int result;

	if (cpu == NO_CPU)
		return;
	result = weir_cpu_bind((uint16_t)cpu);
	if (result != 0)
		weir_micro_fail("cannot run on the CPU that was given", result);
}

/* Between two looks at a ring that is empty. */
static void stay_awake(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	__asm__ volatile("" : : : "memory");
#endif
}

_Noreturn static void worker(const struct options *options, bool asleep, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it ended before that was said */
		_exit(1);
	bind_cpu(options->worker_cpu);
	weir_handoff_worker_begin();
	for (;;) {
		if (weir_handoff_serve() > 0)
			continue;
		if (asleep)
			weir_handoff_worker_sleep();
		else
			stay_awake();
	}
}

static uint64_t one_call(bool asleep)
{
	const uint64_t started_ns = weir_clock_now_ns();

	weir_handoff_submit(1);
	while (!weir_handoff_poll()) {
		if (asleep)
			weir_handoff_gateway_sleep();
		if (weir_clock_now_ns() - started_ns >
		    WEIR_HANDOFF_PATIENCE_S * WEIR_NS_PER_SECOND)
			weir_micro_fail("the worker does not answer", 0);
	}
	return weir_clock_now_ns() - started_ns;
}

static double clock_ns(void)
{
	const uint64_t started_ns = weir_clock_now_ns();

	for (int i = 0; i < 1000; i++)
		weir_micro_keep(weir_clock_now_ns());
	return (double)(weir_clock_now_ns() - started_ns) / 1000;
}

static int handoff(const struct options *options)
{
	const bool asleep = strcmp(options->handoff, "asleep") == 0;
	const pid_t parent = getpid();
	pid_t child;

	weir_handoff_open();
	bind_cpu(options->gateway_cpu);
	child = fork();
	if (child == -1)
		weir_micro_fail("no second process", -errno);
	if (child == 0)
		worker(options, asleep, parent);
	weir_handoff_gateway_begin();
	for (long i = 0; i < (options->calls < WARM_UP_CALLS ? options->calls : WARM_UP_CALLS);
	     i++)
		(void)one_call(asleep);
	for (long i = 0; i < options->calls; i++)
		weir_histogram_add(&latency_ns, one_call(asleep), 1);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)printf("{\"calls\":%ld,\"p50_ns\":%lu,\"p90_ns\":%lu,\"p99_ns\":%lu,\"p999_ns\":%"
		     "lu,\"max_ns\":%lu,"
		     "\"clock_ns\":%.1f}\n",
		     options->calls,
		     (unsigned long)weir_histogram_quantile(&latency_ns, 500000),
		     (unsigned long)weir_histogram_quantile(&latency_ns, 900000),
		     (unsigned long)weir_histogram_quantile(&latency_ns, 990000),
		     (unsigned long)weir_histogram_quantile(&latency_ns, 999000),
		     (unsigned long)latency_ns.max, clock_ns());
	return 0;
}

static long number(const char *text, long least, long most, bool *good)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	*good = *good && errno == 0 && *end == '\0' && end != text && value >= least &&
		value <= most;
	return value;
}

static bool options_parse(int argument_count, char **arguments, struct options *out)
{
	static const struct option names[] = {
		{"only", required_argument, NULL, 'o'},
		{"milliseconds", required_argument, NULL, 's'},
		{"passes", required_argument, NULL, 'p'},
		{"list", no_argument, NULL, 'l'},
		{"handoff", required_argument, NULL, 'h'},
		{"gateway-cpu", required_argument, NULL, 'g'},
		{"worker-cpu", required_argument, NULL, 'w'},
		{"calls", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	bool good = true;
	int name;

	*out = (struct options){
		.seconds = 0.1, .calls = 1000000, .gateway_cpu = NO_CPU, .worker_cpu = NO_CPU};
	while ((name = getopt_long(argument_count, arguments, "", names, NULL)) != -1) {
		if (name == 'o')
			out->only = optarg;
		else if (name == 's')
			out->seconds = (double)number(optarg, 1, 60000, &good) / 1000;
		else if (name == 'p')
			out->passes = number(optarg, 1, 1000000, &good);
		else if (name == 'l')
			out->list = true;
		else if (name == 'h')
			out->handoff = optarg;
		else if (name == 'g')
			out->gateway_cpu = number(optarg, 0, WEIR_CPU_MAX - 1, &good);
		else if (name == 'w')
			out->worker_cpu = number(optarg, 0, WEIR_CPU_MAX - 1, &good);
		else if (name == 'c')
			out->calls = number(optarg, 1, CALLS_MAX, &good);
		else
			good = false;
	}
	return good && optind == argument_count &&
	       (!out->handoff || strcmp(out->handoff, "awake") == 0 ||
		strcmp(out->handoff, "asleep") == 0);
}

int main(int argument_count, char **arguments)
{
	struct options options;

	if (!options_parse(argument_count, arguments, &options)) {
		(void)fputs(
			"usage: weir-bench-micro [--list] [--only PREFIX] [--milliseconds N | "
			"--passes N]\n"
			"       weir-bench-micro --handoff awake|asleep [--gateway-cpu A] "
			"[--worker-cpu B] "
			"[--calls N]\n"
			"Use bench/micro, which runs this in rounds and makes a table of it.\n",
			stderr);
		return 2;
	}
	return options.handoff ? handoff(&options) : run_all(&options);
}
