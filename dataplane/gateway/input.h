/* input: from received bytes to exchanges. Whole requests are parsed where they were received and
 * nothing is kept; what is incomplete is copied to the connection's blocks. A head, or a head with a
 * small body, always ends up contiguous in one block. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_INPUT_H
#define WEIR_DATAPLANE_GATEWAY_INPUT_H

#include "dataplane/gateway/connection.h"

/* Bytes arrived (borrowed for this call). */
void weir_input_bytes(struct weir_shard *shard, struct weir_connection *connection, const char *data,
		      size_t bytes);

/* Parse what is kept, as far as the connection takes requests now. True if anything was consumed. */
bool weir_input_resume(struct weir_shard *shard, struct weir_connection *connection);

/* Drop `bytes` from the front of the first kept block. */
void weir_input_consume(struct weir_shard *shard, struct weir_connection *connection, uint32_t bytes);

/* Keep bytes; a first small block grows into a large one. False: no block left. */
bool weir_input_keep(struct weir_shard *shard, struct weir_connection *connection, const char *data,
		     size_t bytes);

/* Keep a block that was received into. */
void weir_input_append_block(struct weir_connection *connection, struct weir_block *block);

#endif
