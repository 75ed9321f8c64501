/* crash: one line in the log when a function takes the process with it:
 *   weir-worker: crashed with signal 11 in default/crash activation 0123456789abcdef0123456789abcdef
 * Then `rescue` publishes answers that are finished, and the signal does what it does by default, so the
 * exit status tells the truth.
 * Threads: enter and leave mark the calling thread's function; each thread opens its own stack, since
 * a function may have used up its first one. */
#ifndef WEIR_DATAPLANE_WORKER_CRASH_H
#define WEIR_DATAPLANE_WORKER_CRASH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEIR_CRASH_STACK_BYTES = 65536 };

struct weir_crash_stack {
	_Alignas(16) unsigned char bytes[WEIR_CRASH_STACK_BYTES];
};

/* Once, before threads. `rescue` runs in the signal handler: only system calls and memory that exists;
 * if that is damaged too, the process ends there. Before all that, `trap` (or NULL) may take the signal
 * for its own, and then does not return, or returns true: struct weir_runtime_ops. */
void weir_crash_open(void (*rescue)(void),
		     bool (*trap)(int number, const siginfo_t *info));

/* Use `stack`, which lives as long as the thread, for the message. */
void weir_crash_thread_open(struct weir_crash_stack *stack);

/* This thread runs `function` (NUL-terminated, valid until leave) for an activation. */
void weir_crash_enter(const char *function, uint64_t activation_high, uint64_t activation_low);
void weir_crash_leave(void);

#endif
