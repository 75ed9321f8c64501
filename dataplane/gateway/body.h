/* body: large and chunked request bodies, received once a worker is bound and asked for them.
 * Exact receives land in the worker's chunks; what came with the head, and chunked bodies, are
 * copied (decoded) there. At most WEIR_GATEWAY_WINDOW chunks of a call are with the worker or the
 * kernel. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_BODY_H
#define WEIR_DATAPLANE_GATEWAY_BODY_H

#include "dataplane/gateway/connection.h"

/* Move the body on as far as it goes. The exchange is the first of its connection. */
void weir_body_continue(struct weir_shard *shard, struct weir_exchange *exchange);

/* The receive that weir_body_continue() started completed with `result`. */
void weir_body_received(struct weir_shard *shard, struct weir_connection *connection, int result);

#endif
