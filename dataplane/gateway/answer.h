/* answer: a worker's messages, checked, and what they become for the client.
 * Descriptors and heads are copied once and the copy is checked; the response head is written by
 * the gateway alone. Pieces up to WEIR_GATEWAY_COPY_MAX are copied to the output and their chunk is
 * free at once, larger ones are sent from the chunk. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_ANSWER_H
#define WEIR_DATAPLANE_GATEWAY_ANSWER_H

#include "dataplane/gateway/exchange.h"

/* One message of the worker. False if it is a lie: it names a call, a chunk or a length that the
 * tables do not bear out, or comes out of order. */
bool weir_answer_message(struct weir_shard *shard, struct weir_shard_link *link,
			 const struct weir_message *message);

/* Do what can be done for the first exchange of its connection; true if it is completely in the
 * output (or dropped) and can be destroyed. */
bool weir_answer_progress(struct weir_shard *shard, struct weir_exchange *exchange);

/* Grant what the worker needs to go on, and send it more of the body. The exchange may be gone after
 * it: its connection was closed, or cut. */
void weir_answer_continue(struct weir_shard *shard, struct weir_exchange *exchange);

/* The first piece is done with: give its chunk back, grant another if the worker goes on. */
void weir_answer_piece_drop(struct weir_shard *shard, struct weir_exchange *exchange);

/* `bytes` of the first piece were sent from its chunk. */
void weir_answer_piece_sent(struct weir_shard *shard, struct weir_exchange *exchange, uint32_t bytes);

/* Chunks became free: grant them to calls of the link that wait for one. */
void weir_answer_feed(struct weir_shard *shard, struct weir_shard_link *link);

#endif
