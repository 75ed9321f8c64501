/* error_answer: answers that the gateway itself gives, and the head of every answer. */
#ifndef WEIR_DATAPLANE_GATEWAY_ERROR_ANSWER_H
#define WEIR_DATAPLANE_GATEWAY_ERROR_ANSWER_H

#include "dataplane/gateway/exchange.h"
#include "dataplane/http/http_response.h"

/* Write the error of a failed exchange (exchange->failure) to its connection's output. True when
 * done; false if no block was left (the connection is aborted then). */
bool weir_error_answer_write(struct weir_shard *shard, struct weir_exchange *exchange);

/* Write a response head to the output and count it by status class. False: no block left. */
bool weir_error_answer_write_head(struct weir_shard *shard, struct weir_exchange *exchange,
				  const struct weir_http_response_head *head);

/* Write a complete 503 for a client that gets no connection of its own; at least 1,024 bytes of
 * room. Returns its bytes. */
size_t weir_error_answer_refused(struct weir_shard *shard, char *out, size_t max);

#endif
