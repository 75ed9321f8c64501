#include "tests/shm/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
	STACK_BYTES = 256 * 1024,
	BUFFER_MAX = 8,   /* stores that wait in one thread's buffer; one more pushes the oldest out */
	PATH_MAX_STEPS = 4096, /* steps of a run; more means that it does not end */
	EVENTS_MAX = 8,
	OPTIONS_MAX = 2 * SIM_THREADS_MAX,
};

static const uint64_t runs_max = 20 * 1000 * 1000;

struct stored {
	void *where;
	size_t bytes;
	uint64_t value;
	bool release;
};

struct thread {
	ucontext_t context;
	enum { RUNNABLE, ASLEEP, ENDED } state;
	const void *futex; /* ASLEEP: on this word, or NULL for an eventfd */
	int event;
	const void *touches; /* the word of its next step; NULL: none */
	struct stored buffer[BUFFER_MAX];
	uint32_t buffered;
};

/* What may happen next: thread `thread` goes on, or its buffered store `flush` gets out. */
struct option {
	uint32_t thread;
	int flush; /* -1: go on */
};

struct choice {
	uint32_t chosen;
	uint32_t count;
};

static struct {
	const struct sim_scenario *scenario;
	ucontext_t explorer;
	struct thread thread[SIM_THREADS_MAX];
	uint32_t thread_count;
	uint32_t current;
	uint32_t preemptions;
	bool switched; /* the current thread was just chosen: it takes its step, maybe after stores */
	bool running; /* a thread's code runs, not the explorer's */
	uint64_t events[EVENTS_MAX];
	struct choice path[PATH_MAX_STEPS];
	uint32_t path_length; /* choices known from earlier runs */
	uint32_t step;
	const char *failure;
} sim;

static char stacks[SIM_THREADS_MAX][STACK_BYTES];

static void memory_write(const struct stored *stored)
{
	memcpy(stored->where, &stored->value, stored->bytes); /* little-endian */
}

static void buffer_flush(struct thread *thread, uint32_t index)
{
	memory_write(&thread->buffer[index]);
	thread->buffered--;
	memmove(&thread->buffer[index], &thread->buffer[index + 1],
		(thread->buffered - index) * sizeof(thread->buffer[0]));
}

static void buffer_drain(struct thread *thread)
{
	while (thread->buffered > 0)
		buffer_flush(thread, 0);
}

/* Let the `index`-th buffered store out: a release with all older ones, a relaxed one alone. */
static void buffer_let_out(struct thread *thread, uint32_t index)
{
	if (!thread->buffer[index].release) {
		buffer_flush(thread, index);
		return;
	}
	for (uint32_t i = 0; i <= index; i++)
		buffer_flush(thread, 0);
}

/* The oldest buffered store to `where`, or -1. */
static int buffered_find(const struct thread *thread, const void *where)
{
	for (uint32_t i = 0; i < thread->buffered; i++)
		if (thread->buffer[i].where == where)
			return (int)i;
	return -1;
}

static void to_explorer(void)
{
	struct thread *const thread = &sim.thread[sim.current];

	sim.running = false;
	(void)swapcontext(&thread->context, &sim.explorer);
	sim.running = true;
}

/* The next step of this thread touches `where`: let the explorer choose what comes before it. */
static void step_on(const void *where)
{
	if (!sim.running)
		return;
	sim.thread[sim.current].touches = where;
	to_explorer();
}

void sim_step(void)
{
	step_on(NULL);
}

void sim_check(bool condition, const char *what)
{
	if (condition)
		return;
	sim.failure = what;
	if (sim.running)
		to_explorer(); /* and never back */
}

uint64_t sim_load(const void *where, size_t bytes, memory_order order)
{
	uint64_t value = 0;

	(void)order;
	step_on(where);
	if (sim.running) {
		const struct thread *const thread = &sim.thread[sim.current];

		for (uint32_t i = thread->buffered; i > 0; i--)
			if (thread->buffer[i - 1].where == where)
				return thread->buffer[i - 1].value;
	}
	memcpy(&value, where, bytes);
	return value;
}

void sim_store(void *where, size_t bytes, uint64_t value, memory_order order)
{
	const struct stored stored = {
		.where = where, .bytes = bytes, .value = value, .release = order != memory_order_relaxed};
	struct thread *const thread = &sim.thread[sim.current];

	step_on(where);
	if (!sim.running) {
		memory_write(&stored);
		return;
	}
	/* ORDER sim seq_cst: not an access, but the simulated one's order. */
	if (order == memory_order_seq_cst) {
		buffer_drain(thread);
		memory_write(&stored);
		return;
	}
	if (thread->buffered == BUFFER_MAX)
		buffer_flush(thread, 0);
	thread->buffer[thread->buffered++] = stored;
}

uint64_t sim_exchange(void *where, size_t bytes, uint64_t value)
{
	const struct stored stored = {.where = where, .bytes = bytes, .value = value};
	uint64_t before = 0;

	step_on(where);
	if (sim.running)
		buffer_drain(&sim.thread[sim.current]);
	memcpy(&before, where, bytes);
	memory_write(&stored);
	return before;
}

bool sim_compare_exchange(void *where, size_t bytes, void *expected, uint64_t value)
{
	const struct stored stored = {.where = where, .bytes = bytes, .value = value};

	step_on(where);
	if (sim.running)
		buffer_drain(&sim.thread[sim.current]);
	if (memcmp(where, expected, bytes) != 0) {
		memcpy(expected, where, bytes);
		return false;
	}
	memory_write(&stored);
	return true;
}

/* FUTEX_WAIT and FUTEX_WAKE; a call into the kernel empties the store buffer. */
long sim_syscall(long number, void *address, ...)
{
	struct thread *const thread = &sim.thread[sim.current];
	va_list arguments;
	int operation = 0;
	uint32_t value = 0;
	uint32_t word = 0;
	long woken = 0;

	va_start(arguments, address);
	operation = va_arg(arguments, int);
	value = va_arg(arguments, uint32_t);
	va_end(arguments);
	if (number != SYS_futex || !sim.running)
		abort();
	step_on(address);
	buffer_drain(thread);
	if (operation == FUTEX_WAKE) {
		for (uint32_t i = 0; i < sim.thread_count && woken < (long)value; i++) {
			if (sim.thread[i].state != ASLEEP || sim.thread[i].futex != address)
				continue;
			sim.thread[i].state = RUNNABLE;
			woken++;
		}
		return woken;
	}
	memcpy(&word, address, sizeof(word));
	if (word != value) {
		errno = EAGAIN;
		return -1;
	}
	thread->state = ASLEEP;
	thread->futex = address;
	to_explorer();
	return 0;
}

ssize_t sim_write(int fd, const void *data, size_t bytes)
{
	(void)data;
	sim_step();
	buffer_drain(&sim.thread[sim.current]);
	sim.events[fd]++;
	for (uint32_t i = 0; i < sim.thread_count; i++)
		if (sim.thread[i].state == ASLEEP && sim.thread[i].futex == NULL && sim.thread[i].event == fd)
			sim.thread[i].state = RUNNABLE;
	return (ssize_t)bytes;
}

void sim_event_wait(int fd)
{
	struct thread *const thread = &sim.thread[sim.current];

	sim_step();
	buffer_drain(thread);
	if (sim.events[fd] == 0) {
		thread->state = ASLEEP;
		thread->futex = NULL;
		thread->event = fd;
		to_explorer();
	}
	sim.events[fd] = 0;
}

void sim_kill(uint32_t index)
{
	sim_step();
	buffer_drain(&sim.thread[sim.current]);
	buffer_drain(&sim.thread[index]);
	sim.thread[index].state = ENDED;
}

static void thread_main(void)
{
	sim.scenario->thread[sim.current]();
	sim.thread[sim.current].state = ENDED;
	to_explorer();
}

static void threads_start(void)
{
	for (sim.thread_count = 0;
	     sim.thread_count < SIM_THREADS_MAX && sim.scenario->thread[sim.thread_count] != NULL;
	     sim.thread_count++) {
		struct thread *const thread = &sim.thread[sim.thread_count];

		(void)getcontext(&thread->context); /* cannot fail on Linux */
		thread->context.uc_stack.ss_sp = stacks[sim.thread_count];
		thread->context.uc_stack.ss_size = STACK_BYTES;
		thread->context.uc_link = NULL;
		makecontext(&thread->context, thread_main, 0);
		thread->state = RUNNABLE;
		thread->touches = NULL;
		thread->buffered = 0;
	}
}

/* The current thread first, so that the first run of all has no switch that is not needed. A store
 * of another thread comes out only where that can be seen: before a step on the same word. */
static uint32_t options_collect(struct option *options)
{
	const struct thread *const current = &sim.thread[sim.current];
	const bool goes_on = current->state == RUNNABLE;
	const bool may_switch =
		!goes_on || (!sim.switched && sim.preemptions < sim.scenario->preemptions_max);
	uint32_t count = 0;

	if (goes_on)
		options[count++] = (struct option){.thread = sim.current, .flush = -1};
	for (uint32_t i = 0; i < sim.thread_count; i++) {
		const int store = buffered_find(&sim.thread[i], current->touches);

		if (i == sim.current)
			continue;
		if (may_switch && sim.thread[i].state == RUNNABLE)
			options[count++] = (struct option){.thread = i, .flush = -1};
		if (goes_on && store >= 0)
			options[count++] = (struct option){.thread = i, .flush = store};
	}
	return count;
}

/* The choice at this step: a known one, or the first of a new place. */
static uint32_t option_choose(uint32_t count)
{
	if (count == 1)
		return 0;
	if (sim.step == sim.path_length)
		sim.path[sim.path_length++] = (struct choice){.chosen = 0, .count = count};
	return sim.path[sim.step++].chosen;
}

static void run_once(void)
{
	uint32_t steps = 0;

	sim.scenario->start();
	memset(sim.events, 0, sizeof(sim.events));
	sim.current = 0;
	sim.preemptions = 0;
	sim.switched = false;
	sim.step = 0;
	threads_start();
	while (sim.failure == NULL) {
		struct option options[OPTIONS_MAX];
		const uint32_t count = options_collect(options);
		struct option option = {0};

		if (count == 0)
			break;
		if (++steps == PATH_MAX_STEPS) {
			sim.failure = "runs without end";
			return;
		}
		option = options[option_choose(count)];
		if (option.flush >= 0) {
			buffer_let_out(&sim.thread[option.thread], (uint32_t)option.flush);
			continue;
		}
		if (option.thread != sim.current) {
			sim.preemptions += sim.thread[sim.current].state == RUNNABLE;
			sim.current = option.thread;
			sim.switched = true;
			continue;
		}
		sim.switched = false;
		sim.running = true;
		(void)swapcontext(&sim.explorer, &sim.thread[sim.current].context);
		sim.running = false;
	}
	for (uint32_t i = 0; i < sim.thread_count && sim.failure == NULL; i++)
		buffer_drain(&sim.thread[i]);
	for (uint32_t i = 0; i < sim.thread_count && sim.failure == NULL; i++)
		sim_check(sim.thread[i].state == ENDED, "a thread sleeps for ever");
	if (sim.failure == NULL)
		sim.scenario->finish();
}

/* Step to the next path not walked yet; false if there is none. */
static bool path_advance(void)
{
	while (sim.path_length > 0) {
		struct choice *const last = &sim.path[sim.path_length - 1];

		if (++last->chosen < last->count)
			return true;
		sim.path_length--;
	}
	return false;
}

struct sim_result sim_explore(const struct sim_scenario *scenario)
{
	struct sim_result result = {0};

	sim.scenario = scenario;
	sim.path_length = 0;
	sim.failure = NULL;
	do {
		run_once();
		result.runs++;
		if (result.runs == runs_max)
			sim.failure = "too many interleavings: the scenario is too large";
	} while (sim.failure == NULL && path_advance());
	result.failure = sim.failure;
	(void)printf("%s: %llu interleavings: %s\n", scenario->name, (unsigned long long)result.runs,
		     result.failure != NULL ? result.failure : "all good");
	(void)fflush(stdout);
	return result;
}
