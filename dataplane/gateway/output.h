/* output: bytes on their way to one client. Small things are copied into the connection's blocks and
 * leave together, in one send per connection and turn; one large piece of answer may follow them in
 * the same send, straight from its chunk. One send is in flight per connection.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_OUTPUT_H
#define WEIR_DATAPLANE_GATEWAY_OUTPUT_H

#include "dataplane/gateway/connection.h"

/* Room for `bytes` contiguous bytes at the output's end, to be followed by
 * weir_output_commit() with what was used; NULL if no block is left. */
char *weir_output_reserve(struct weir_shard *shard, struct weir_connection *connection, size_t bytes);
void weir_output_commit(struct weir_connection *connection, size_t bytes);

/* Append a copy. False if no block is left (then part of it may have been appended: abort). */
bool weir_output_append(struct weir_shard *shard, struct weir_connection *connection,
			const void *data, size_t bytes);

/* Append "100 Continue". False if no block is left. */
bool weir_output_continue(struct weir_shard *shard, struct weir_connection *connection);

/* Send what is there, if nothing is being sent. */
void weir_output_flush(struct weir_shard *shard, struct weir_connection *connection);

/* Start a period of send_idle_ms in which the client must acknowledge a minimum, and whether it
 * acknowledged less. The first one starts when a send has lasted a second. */
void weir_output_watch(struct weir_shard *shard, struct weir_connection *connection);
bool weir_output_is_slow(const struct weir_shard *shard, const struct weir_connection *connection);

/* A send completed with `result`. */
void weir_output_sent(struct weir_shard *shard, struct weir_connection *connection, int result);

#endif
