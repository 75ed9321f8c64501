/* reveal: before a function is loaded its file must be in the worker's view; the supervisor puts it there.
 *
 *   leader --REVEAL--> supervisor          supervisor --REVEALED--> control thread --> leader goes on
 *
 * Without a view there is nothing to do. Peer death: a supervisor that is being replaced finds the
 * question in its socket, and one that was lost is asked again. Without an answer the load fails after
 * half a minute.
 * Threads: open: main thread, before others. ask: the baton's holder. answered: the control thread. */
#ifndef WEIR_DATAPLANE_WORKER_REVEAL_H
#define WEIR_DATAPLANE_WORKER_REVEAL_H

#include <stdbool.h>
#include <stdint.h>

/* This worker has a view; its control socket; its functions see the directories of their files. */
void weir_reveal_open(int control_fd, bool directory);

/* Ask, and wait: blocks. 0, the supervisor's -errno, or -ETIMEDOUT. */
int weir_reveal_ask(uint64_t function_id);

/* The supervisor's answer. */
void weir_reveal_answered(uint64_t function_id, int error);

#endif
