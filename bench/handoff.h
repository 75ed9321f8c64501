/* handoff: one call's way from gateway to worker and back, without HTTP, over the real code.
 *
 *   gateway's side (a real shard, no socket)          worker's side (a real port)
 *     exchange, dispatch: pick, encode, bind, push ~~>  next, accept, check
 *     poll, check, settle                          <~~  write 26 bytes, seal, push
 *
 * Both sides may stand in one thread, in two processes on one CPU, or on two.
 * Owns: everything in it; one per process. Threads: one a side. Peer death: the worker is a child that
 * ends with its parent; a parent whose worker ended waits for WEIR_HANDOFF_PATIENCE_S, then fails. */
#ifndef WEIR_BENCH_HANDOFF_H
#define WEIR_BENCH_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WEIR_HANDOFF_CALLS_MAX = 16, /* under way at once */
	WEIR_HANDOFF_PATIENCE_S = 5,
};

/* Make the gateway's side and the link. Ends the program on failure, as all of these do. */
void weir_handoff_open(void);

/* Either side: the calling thread is the one that uses it from now on. A worker in a process of its
 * own begins after the fork: a child does not see a mapping of its parent's link. */
void weir_handoff_gateway_begin(void);
void weir_handoff_worker_begin(void);

/* Gateway: bind `count` calls (at most WEIR_HANDOFF_CALLS_MAX), push and publish them. */
void weir_handoff_submit(uint32_t count);

/* Gateway: take what came. True if all calls are answered; then they are over. */
bool weir_handoff_poll(void);

/* Gateway: sleep as a shard does until the worker rings, unless something is there. */
void weir_handoff_gateway_sleep(void);

/* Worker: run the calls that are there; returns how many. */
uint32_t weir_handoff_serve(void);

/* Worker: sleep as a worker does until the gateway rings, unless something is there. */
void weir_handoff_worker_sleep(void);

#endif
