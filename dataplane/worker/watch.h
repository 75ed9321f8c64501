/* watch: tells the thread that runs a call that the call's deadline has passed.
 *
 *   runner    enter(deadline) ........ leave       two stores, as a rule no system call
 *   watcher   sleeps until the time it is armed for, looks whose deadline is due, signals the runner
 *   runner    signal handler: interrupt(running); again every 10 ms until it leaves
 *
 * Arming is lazy: the watcher is woken only for a deadline that is earlier than what it sleeps for. With
 * one timeout for all, that is once in a timeout's time.
 * Owns: the watcher thread, which lives as long as the process. At most one watch in a process.
 * Threads: enter, leave: one at a time runs (the baton's holder). `interrupt`: the runner, in a signal
 * handler: async-signal-safe functions only. */
#ifndef WEIR_DATAPLANE_WORKER_WATCH_H
#define WEIR_DATAPLANE_WORKER_WATCH_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define WEIR_WATCH_AGAIN_NS UINT64_C(10000000)

struct weir_watch {
	_Atomic uint64_t deadline_ns; /* of what runs; UINT64_MAX = nothing does */
	_Atomic uint64_t armed_ns;    /* when the watcher looks; UINT64_MAX = when it is woken */
	_Atomic uint32_t bell;
	_Atomic pid_t runner; /* thread, while deadline_ns is set */
	void *_Atomic running;
	void (*interrupt)(void *running);
};

/* Start the watcher and install the signal's handler. 0 or -errno. */
int weir_watch_open(struct weir_watch *watch, void (*interrupt)(void *running));

/* The calling thread runs something until leave; it is due at `deadline_ns` (CLOCK_MONOTONIC). */
void weir_watch_enter(struct weir_watch *watch, void *running, uint64_t deadline_ns);
void weir_watch_leave(struct weir_watch *watch);

#endif
