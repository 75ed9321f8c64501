/* node_v8: what Node-API leaves out and a function's limits need: ending JavaScript that runs, and a
 * limit of the heap. V8's own functions do both; they are looked up by name in the running process, as
 * Node 18 to 22 have them. Where one is missing, its limit is kept by ending the process.
 * Threads: terminate: any. The rest: JavaScript's. */
#ifndef WEIR_DATAPLANE_WORKER_NODE_NODE_V8_H
#define WEIR_DATAPLANE_WORKER_NODE_NODE_V8_H

#include <stdbool.h>
#include <stdint.h>

/* Look the functions up, for the JavaScript of the calling thread. */
void weir_node_v8_open(void);

/* Can JavaScript be ended from outside? */
bool weir_node_v8_can_terminate(void);

/* Have JavaScript throw what nothing catches, at its next loop or call. */
void weir_node_v8_terminate(void);

/* The end was reached, or is not wanted any more: JavaScript may run again. */
void weir_node_v8_go_on(void);

/* Let the heap grow to `bytes`; then `full` is called, which must not return. False: there is no such
 * limit here. May be called again. */
bool weir_node_v8_limit(uint64_t bytes, void (*full)(void));

#endif
