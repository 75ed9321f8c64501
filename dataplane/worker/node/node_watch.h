/* node_watch: what happens when JavaScript does not come back.
 *
 *   enter(HANDLER, deadline)  a call's handler runs: at its deadline JavaScript is ended (node_v8.h), so
 *                             this call fails and all others go on
 *   enter(LOOP, until)        whatever else Node's loop runs, of any call: nothing can be said to be
 *                             guilty, so the process ends a moment after `until`, when all its calls are
 *                             past their deadlines and their callers have their answers
 *   leave()                   it came back
 *   limit(bytes)              memory of the process's own that lies outside of V8's heap (Buffers, threads)
 *                             is looked at every WEIR_NODE_WATCH_LOOK_NS while something runs; too much
 *                             ends JavaScript as a deadline does, or is told by is_memory_over()
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

/* How often memory is looked at, */
#define WEIR_NODE_WATCH_LOOK_NS UINT64_C(20000000)
/* and what Node and V8 need beside the function's heap. */
#define WEIR_NODE_WATCH_OWN_BYTES (UINT64_C(96) << 20)

enum weir_node_watch_kind { WEIR_NODE_WATCH_HANDLER, WEIR_NODE_WATCH_LOOP };

/* 0 or -errno. */
int weir_node_watch_open(void);

/* Something runs until leave() or the next enter(); it is due at `deadline_ns` (CLOCK_MONOTONIC). */
void weir_node_watch_enter(enum weir_node_watch_kind kind, uint64_t deadline_ns);

/* The process may use `bytes`, and what Node needs. Any number of times; 0 = without limit. */
void weir_node_watch_limit(uint64_t bytes);

/* Did it use more? Then it must end soon; a moment later it is ended. */
bool weir_node_watch_is_memory_over(void);

/* True if JavaScript was told to end since the last enter(HANDLER); it may go on now. */
bool weir_node_watch_leave(void);

#endif
