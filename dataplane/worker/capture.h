/* capture: what functions write to descriptors 1 and 2, themselves or by C's stdio.
 *
 *   printf ---> stdout, stderr are streams of ours ------------------> print.h     the call that runs
 *   write(1) -> pipe --end of the call, or the thread of this module-> print.h     the same, see below
 *   Weir's own log goes to what descriptor 2 was at the start
 *
 * One call at a time runs, so what arrives while it does is its own. stdio is exact (only where the
 * runtime's functions are C: prints_by_stdio). A pipe is looked into at the end of each call of a
 * function that is new or wrote there in its last WEIR_CAPTURE_WATCHED calls; that costs two system
 * calls. For others the thread reads, as a rule while the call still runs; output of a call that is
 * over by then goes to the call that runs, or to none if nothing runs: such a line has no activation.
 * The thread also sends lines that wait in the outlet, and exists so that a full pipe never blocks.
 * Owns: descriptors 1 and 2, the pipes, the thread. One in a process.
 * Threads: enter and leave: the baton's holder. open and start: the main thread. */
#ifndef WEIR_DATAPLANE_WORKER_CAPTURE_H
#define WEIR_DATAPLANE_WORKER_CAPTURE_H

#include "dataplane/worker/print.h"

enum { WEIR_CAPTURE_WATCHED = 1000 };

/* Take descriptors 1 and 2 over; then Weir's log goes where 2 led. `with_stdio`: replace the C
 * library's streams. Before threads and before anything is printed. 0 or -errno. */
int weir_capture_open(bool with_stdio);

/* Start the thread. Lines go to `socket_fd`; -1: to Weir's log. Before the first call. Also in a worker
 * that leaves its descriptors as they are, for the lines that it prints itself. 0 or -errno. */
int weir_capture_start(int socket_fd);

/* What is written while no call runs is this function's, as what it writes while it is loaded. */
void weir_capture_name(const char *function);

/* The calling thread runs the call of `print` until leave. `quiet_calls` is the function's: calls since
 * one wrote to a descriptor; starts at 0. */
void weir_capture_enter(struct weir_print *print);
void weir_capture_leave(struct weir_print *print, uint16_t *quiet_calls);

/* In a crash's signal handler, and when a function calls exit(): send what is still there. Only system
 * calls. */
void weir_capture_rescue(void);

#endif
