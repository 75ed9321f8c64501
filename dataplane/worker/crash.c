#include "dataplane/worker/crash.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/id.h"
#include "dataplane/base/log.h"

struct running {
	const char *function;
	struct weir_id activation;
};

static _Thread_local struct running running;
static void (*rescue_answers)(void);
static bool (*trap_take)(int number, const siginfo_t *info);

struct line {
	char text[400];
	size_t bytes;
};

static void line_add(struct line *line, const char *text)
{
	while (*text != '\0' && line->bytes < sizeof(line->text) - 1)
		line->text[line->bytes++] = *text++;
}

/* Only async-signal-safe calls from here on. */
static void signal_report(int number, siginfo_t *info, void *context)
{
	struct line line = {.bytes = 0};
	char digits[3] = {(char)('0' + number / 10 % 10), (char)('0' + number % 10), '\0'};
	char activation[33] = {0};

	(void)context;
	if (trap_take != NULL && trap_take(number, info))
		return;
	(void)signal(number, SIG_DFL);
	line_add(&line, "weir-worker: crashed with signal ");
	line_add(&line, digits[0] == '0' ? digits + 1 : digits);
	if (running.function != NULL) {
		weir_id_format(running.activation, activation);
		line_add(&line, " in ");
		line_add(&line, running.function);
		line_add(&line, " activation ");
		line_add(&line, activation);
	}
	line_add(&line, "\n");
	if (write(weir_log_fd(), line.text, line.bytes) < 0)
		line.bytes = 0; /* nobody reads it: die without words */
	rescue_answers();
	/* A fault happens again on return, with the default action; a sent signal must be sent again.
	 * The first process of a pid namespace does not die of that one, so it says it by its status. */
	if (info->si_code <= 0 && getpid() == 1)
		_exit(128 + number);
	if (info->si_code <= 0)
		(void)raise(number);
}

void weir_crash_open(void (*rescue)(void),
		     bool (*trap)(int number, const siginfo_t *info))
{
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
	struct sigaction action;

	rescue_answers = rescue;
	trap_take = trap;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = signal_report;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	(void)sigfillset(&action.sa_mask); /* a trap that is being taken is not left for a deadline */
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const int result = sigaction(numbers[i], &action, NULL);

		WEIR_ASSERT(result == 0);
	}
}

void weir_crash_thread_open(struct weir_crash_stack *stack)
{
	const stack_t signal_stack = {.ss_sp = stack->bytes, .ss_size = sizeof(stack->bytes)};
	const int result = sigaltstack(&signal_stack, NULL);

	WEIR_ASSERT(result == 0);
}

void weir_crash_enter(const char *function, uint64_t activation_high, uint64_t activation_low)
{
	running = (struct running){
		.function = function,
		.activation = {.high = activation_high, .low = activation_low}};
}

void weir_crash_leave(void)
{
	running.function = NULL;
}
