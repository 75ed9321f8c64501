#include "dataplane/worker/watch.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"

#define NEVER UINT64_MAX

enum { STACK_BYTES = 65536 };

static struct weir_watch *only; /* for the signal handler */
static _Thread_local pid_t own_thread;

/* A signal that no language's run-time library uses. */
static int signal_number(void)
{
	return SIGRTMAX - 2;
}

/* ORDER watch_arm seq_cst: either the watcher, which says what it is armed for and then looks at the
 * deadline, sees a new one; or the runner, which sets it and then looks, sees what the watcher is armed for. */
static uint64_t word_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_seq_cst); /* ORDER watch_arm seq_cst */
}

static void word_store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_seq_cst); /* ORDER watch_arm seq_cst */
}

static void on_signal(int number)
{
	const int error = errno;
	struct weir_watch *const watch = only;

	(void)number;
	/* It may come late: then something else runs, or another thread. */
	if (word_load(&watch->deadline_ns) <= weir_clock_now_ns() &&
	    atomic_load_explicit(&watch->runner, memory_order_relaxed) == own_thread)
		watch->interrupt(atomic_load_explicit(&watch->running, memory_order_relaxed));
	errno = error;
}

static void sleep_until(struct weir_watch *watch, uint32_t bell, uint64_t until_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / WEIR_NS_PER_SECOND),
				       .tv_nsec = (long)(until_ns % WEIR_NS_PER_SECOND)};

	/* FUTEX_WAIT_BITSET takes an absolute time. However it returns, the caller looks again. */
	(void)syscall(SYS_futex, &watch->bell, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, bell,
		      until_ns == NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Signal the runner if its deadline, as it was seen, has passed. When to look again. */
static uint64_t look(struct weir_watch *watch, uint64_t deadline_ns)
{
	const uint64_t now_ns = weir_clock_now_ns();

	if (deadline_ns > now_ns)
		return deadline_ns; /* NEVER too */
	/* A worker's threads never end, so the number is still that thread's. */
	(void)syscall(SYS_tgkill, getpid(), atomic_load_explicit(&watch->runner, memory_order_relaxed),
		      signal_number());
	return now_ns + WEIR_WATCH_AGAIN_NS;
}

static void *watcher_main(void *argument)
{
	struct weir_watch *const watch = argument;

	for (;;) {
		const uint32_t bell = atomic_load_explicit(&watch->bell, memory_order_relaxed);
		const uint64_t seen_ns = word_load(&watch->deadline_ns);
		const uint64_t next_ns = look(watch, seen_ns);
		uint64_t deadline_ns = 0;

		word_store(&watch->armed_ns, next_ns);
		deadline_ns = word_load(&watch->deadline_ns);
		if (deadline_ns == seen_ns || deadline_ns >= next_ns)
			sleep_until(watch, bell, next_ns);
	}
	return NULL;
}

static int watcher_start(struct weir_watch *watch)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&id, &attributes, watcher_main, watch);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

int weir_watch_open(struct weir_watch *watch, void (*interrupt)(void *running))
{
	/* No SA_RESTART: what waits in the kernel is woken, too. */
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	WEIR_ASSERT(only == NULL);
	watch->interrupt = interrupt;
	word_store(&watch->deadline_ns, NEVER);
	word_store(&watch->armed_ns, NEVER);
	only = watch;
	if (sigaction(signal_number(), &action, NULL) != 0)
		return -errno;
	return watcher_start(watch);
}

void weir_watch_enter(struct weir_watch *watch, void *running, uint64_t deadline_ns)
{
	if (own_thread == 0)
		own_thread = gettid();
	atomic_store_explicit(&watch->runner, own_thread, memory_order_relaxed);
	atomic_store_explicit(&watch->running, running, memory_order_relaxed);
	word_store(&watch->deadline_ns, deadline_ns);
	if (deadline_ns >= word_load(&watch->armed_ns))
		return;
	(void)atomic_fetch_add_explicit(&watch->bell, 1, memory_order_relaxed);
	(void)syscall(SYS_futex, &watch->bell, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void weir_watch_leave(struct weir_watch *watch)
{
	/* The deadline guards nothing: the handler runs on this thread. */
	atomic_store_explicit(&watch->deadline_ns, NEVER, memory_order_relaxed);
}
