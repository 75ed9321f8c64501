/* call: the state word of a call record (picture: abi/message.h). Every transition is one
 * compare-and-swap on (sequence << 8 | state), so shard and worker can't both have a call. */
#ifndef WEIR_DATAPLANE_SHM_CALL_H
#define WEIR_DATAPLANE_SHM_CALL_H

#include <stdbool.h>

#include "dataplane/abi/link.h"

/* Shard: FREE or RECALLED (older sequence) -> QUEUED. The shard owns the record in these states, so
 * this is a plain store, published by the ring that carries the HEAD. `sequence` < 2^56, never 0. */
void weir_call_queue(struct weir_link_call *call, uint64_t sequence);

/* Worker: QUEUED -> RUNNING. False if the shard took it back or the message is stale: then neither
 * the record nor its chunks may be touched. */
bool weir_call_accept(struct weir_link_call *call, uint64_t sequence);

/* Shard: QUEUED -> RECALLED. True: the worker never started it and never will; record and chunks
 * are the shard's at once. False: it runs (or ran). */
bool weir_call_recall(struct weir_link_call *call, uint64_t sequence);

/* Shard: after the last message, a recall, or the worker's death -> FREE. */
void weir_call_release(struct weir_link_call *call, uint64_t sequence);

/* What the word says now; a hint for decisions that a transition confirms, and for inspectors. */
enum weir_call_state weir_call_peek(const struct weir_link_call *call, uint64_t *out_sequence);

#endif
