/* node_watch: what happens when JavaScript does not come back.
 *
 *   enter(HANDLER, deadline)  a call's handler runs: at its deadline JavaScript is ended (node_v8.h), so
 *                             this call fails and all others go on
 *   enter(LOOP, until)        whatever else Node's loop runs, of any call: nothing can be said to be
 *                             guilty, so the process ends a moment after `until`, when all its calls are
 *                             past their deadlines and their callers have their answers
 *   leave()                   it came back
 *
 * A handler that can't be ended (a blocking system call) has its worker killed by the gateway.
 * Owns: a thread, which lives as long as the process. At most one watch in a process.
 * Threads: open, enter and leave: JavaScript's. */
#ifndef WEIR_DATAPLANE_WORKER_NODE_NODE_WATCH_H
#define WEIR_DATAPLANE_WORKER_NODE_NODE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Callers whose deadline is the same get their answers before. */
#define WEIR_NODE_WATCH_SLACK_NS UINT64_C(200000000)

enum weir_node_watch_kind { WEIR_NODE_WATCH_HANDLER, WEIR_NODE_WATCH_LOOP };

/* 0 or -errno. */
int weir_node_watch_open(void);

/* Something runs until leave() or the next enter(); it is due at `deadline_ns` (CLOCK_MONOTONIC). */
void weir_node_watch_enter(enum weir_node_watch_kind kind, uint64_t deadline_ns);

/* True if JavaScript was told to end since the last enter(HANDLER); it may go on now. */
bool weir_node_watch_leave(void);

#endif
