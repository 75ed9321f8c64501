#include "dataplane/worker/node/node_watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/node/node_v8.h"

#define NEVER UINT64_MAX

enum { STACK_BYTES = 262144 }; /* with the thread-local memory of all that Node links */

static struct {
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t bell;
	uint64_t due_ns;   /* when something happens to what runs; NEVER = nothing runs */
	uint64_t armed_ns; /* when the thread looks by itself */
	enum weir_node_watch_kind kind;
	bool has_ended; /* JavaScript was told to end */
	uint64_t memory_bytes_max; /* 0 = no limit */
	uint64_t looked_ns;
	int statm_fd;
	_Atomic bool is_memory_over;
} watch = {.due_ns = NEVER, .armed_ns = NEVER, .statm_fd = -1};

static void lock(void)
{
	const int error = pthread_mutex_lock(&watch.lock);

	WEIR_ASSERT(error == 0);
}

static void unlock(void)
{
	const int error = pthread_mutex_unlock(&watch.lock);

	WEIR_ASSERT(error == 0);
}

/* The process's own memory: what is resident and not a file's or shared. 0 if that cannot be read. */
static uint64_t memory_bytes(void)
{
	char text[128];
	const ssize_t bytes = pread(watch.statm_fd, text, sizeof(text) - 1, 0);
	unsigned long long resident = 0, shared = 0;

	if (bytes <= 0)
		return 0;
	text[bytes] = '\0';
	if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || resident < shared)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Something runs, and it is time to look how much memory it takes. */
static void memory_look(uint64_t now_ns)
{
	watch.looked_ns = now_ns;
	if (atomic_load_explicit(&watch.is_memory_over, memory_order_relaxed) ||
	    memory_bytes() <= watch.memory_bytes_max + WEIR_NODE_WATCH_OWN_BYTES)
		return;
	/* Relaxed: JavaScript's thread looks again and again, and under the lock when it was ended. */
	atomic_store_explicit(&watch.is_memory_over, true, memory_order_relaxed);
	watch.due_ns = now_ns + (watch.kind == WEIR_NODE_WATCH_HANDLER ? 0 : WEIR_NODE_WATCH_SLACK_NS);
}

/* What runs is overdue. */
static void act(void)
{
	if (watch.kind == WEIR_NODE_WATCH_HANDLER && weir_node_v8_can_terminate()) {
		watch.has_ended = true;
		watch.due_ns = NEVER; /* it ends, or the gateway has the worker killed */
		weir_node_v8_terminate();
		return;
	}
	weir_log(WEIR_LOG_WARN, "JavaScript does not come back, the worker ends", "kind=%s",
		 watch.kind == WEIR_NODE_WATCH_HANDLER ? "handler" : "loop");
	_exit(EXIT_FAILURE);
}

static void *watcher_main(void *argument)
{
	(void)argument;
	lock();
	for (;;) {
		const uint64_t now_ns = weir_clock_now_ns();
		const bool is_looking = watch.memory_bytes_max != 0 && watch.due_ns != NEVER;
		struct timespec until;

		if (is_looking && now_ns >= watch.looked_ns + WEIR_NODE_WATCH_LOOK_NS)
			memory_look(now_ns);
		if (watch.due_ns <= now_ns)
			act();
		watch.armed_ns = watch.due_ns;
		if (is_looking && watch.armed_ns > now_ns + WEIR_NODE_WATCH_LOOK_NS)
			watch.armed_ns = now_ns + WEIR_NODE_WATCH_LOOK_NS;
		until = (struct timespec){.tv_sec = (time_t)(watch.armed_ns / WEIR_NS_PER_SECOND),
					  .tv_nsec = (long)(watch.armed_ns % WEIR_NS_PER_SECOND)};
		/* However it ends: look again. */
		if (watch.armed_ns == NEVER)
			(void)pthread_cond_wait(&watch.bell, &watch.lock);
		else
			(void)pthread_cond_timedwait(&watch.bell, &watch.lock, &until);
	}
	return NULL;
}

int weir_node_watch_open(void)
{
	pthread_condattr_t clock;
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int error = pthread_mutex_init(&watch.lock, NULL);

	WEIR_ASSERT(error == 0); /* cannot fail without attributes */
	watch.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC); /* without: no limit, see memory_bytes() */
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	error = pthread_cond_init(&watch.bell, &clock);
	WEIR_ASSERT(error == 0);
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&id, &attributes, watcher_main, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	(void)pthread_condattr_destroy(&clock);
	return -error;
}

void weir_node_watch_limit(uint64_t bytes)
{
	lock();
	watch.memory_bytes_max = bytes;
	(void)pthread_cond_signal(&watch.bell);
	unlock();
}

bool weir_node_watch_is_memory_over(void)
{
	return atomic_load_explicit(&watch.is_memory_over, memory_order_relaxed);
}

void weir_node_watch_enter(enum weir_node_watch_kind kind, uint64_t deadline_ns)
{
	const bool can_end = kind == WEIR_NODE_WATCH_HANDLER && weir_node_v8_can_terminate();

	lock();
	watch.kind = kind;
	watch.due_ns = can_end || deadline_ns >= NEVER - WEIR_NODE_WATCH_SLACK_NS
			       ? deadline_ns
			       : deadline_ns + WEIR_NODE_WATCH_SLACK_NS;
	/* As a rule there is nothing to do: deadlines only grow, the thread wakes once in a timeout. */
	if (watch.due_ns < watch.armed_ns) {
		watch.armed_ns = watch.due_ns;
		(void)pthread_cond_signal(&watch.bell);
	}
	unlock();
}

bool weir_node_watch_leave(void)
{
	bool has_ended = false;

	lock();
	watch.due_ns = NEVER;
	has_ended = watch.has_ended;
	watch.has_ended = false;
	unlock();
	if (has_ended)
		weir_node_v8_go_on();
	return has_ended;
}
