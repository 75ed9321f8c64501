/* dispatch: from a routed request to a worker.
 *
 *   submit --room at a worker--> bind: chunk, call record, HEAD message
 *      `--no room--> waiting room of the pool (bounded per function) --room--> bind
 *   recalled or never started before its worker died: again, in front of the waiting room
 *
 * A request that asks for resources (ask.h) waits in a room of its own, where it is passed by whoever needs
 * less. Calls that functions wait for stand first in both rooms and are tried before all others. A new
 * configuration may move who waits to another pool.
 * Late binding: a request waits here, where every worker of its pool can take it, and not behind
 * one of them. A function that crashed or hung a worker is suspect for a while: its calls run one
 * per worker with nothing else bound there, and always leave one worker to the others.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_DISPATCH_H
#define WEIR_DATAPLANE_GATEWAY_DISPATCH_H

#include "dataplane/gateway/encode.h"
#include "dataplane/gateway/exchange.h"

/* The shard's view of the pool with this key, made if it is new; NULL if the table is full. */
struct weir_shard_pool *weir_dispatch_pool(struct weir_shard *shard, uint64_t key);

/* Hand over a routed exchange: binds, queues or fails it. `body` is the whole body, or empty with
 * exchange->stream set. */
void weir_dispatch_submit(struct weir_shard *shard, struct weir_exchange *exchange,
			  struct weir_encode_input *input, struct weir_span body);

/* The same with a head that is encoded already, in the newest snapshot's name. */
void weir_dispatch_submit_head(struct weir_shard *shard, struct weir_exchange *exchange,
			       const struct weir_snapshot_function *function, struct weir_span head,
			       struct weir_span body);

/* Its call was recalled (and is finished): queue it again, first in line. */
void weir_dispatch_again(struct weir_shard *shard, struct weir_exchange *exchange);

/* Put it at the end of the waiting room of exchange->pool, its request in its block. */
void weir_dispatch_wait(struct weir_shard *shard, struct weir_exchange *exchange);

/* Take it out of the waiting room. */
void weir_dispatch_leave(struct weir_shard *shard, struct weir_exchange *exchange);

/* The same, if it is there. */
static inline void weir_dispatch_forget(struct weir_shard *shard, struct weir_exchange *exchange)
{
	if (exchange->waiting)
		weir_dispatch_leave(shard, exchange);
}

/* Its function took a worker down or ran past its deadline. */
void weir_dispatch_suspect(struct weir_shard *shard, struct weir_exchange *exchange);

/* Bind what waits wherever there is room now. */
void weir_dispatch_waiting(struct weir_shard *shard);

/* An answer message of `bytes` came: remember how large a grant the function needs. */
void weir_dispatch_answered(struct weir_exchange *exchange, uint32_t bytes);

/* Fail everything that waits: the shard stops. */
void weir_dispatch_fail_all(struct weir_shard *shard, enum weir_http_failure failure);

#endif
