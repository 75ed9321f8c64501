/* nested: calls that functions make: the shard's side of the CALL messages of abi/nested.h.
 *
 *   parent's call --slot 0--> nested --> exchange --> dispatch --> a worker of the pool
 *                 --slot 1--> ...    <-- answer, copied to the slot's chunk when the parent has read
 *                 --one-way-> nested ... waits for its parent's end, then runs on its own
 *
 * A nested call is an exchange like any other. Instead of a socket its connection has the parent's
 * slot: what it writes to is the slot's chunk, and only when the parent gave that back. It goes before
 * ordinary calls and may use the places of a worker that these leave free, for its parent holds one;
 * if no worker of its pool has a place left, it is refused at once. It may ask for resources, as a client
 * may (ask.h). Of a worker's room nothing is kept free for it, since one call may ask for all of it: where
 * calls that await others have too much of it, on every worker of its pool, it is refused at once, too.
 * Owns: its entry in the shard's table, its exchange, the blocks of its request.
 * Threads: the owning shard. Peer death: when the parent ends, however it does, what it awaits is
 * cancelled at the turn's end; calls of those end the same way, a turn of the list later. */
#ifndef WEIR_DATAPLANE_GATEWAY_NESTED_H
#define WEIR_DATAPLANE_GATEWAY_NESTED_H

#include "dataplane/abi/head.h"
#include "dataplane/abi/nested.h"
#include "dataplane/abi/snapshot.h"
#include "dataplane/gateway/ask.h"
#include "dataplane/gateway/connection.h"

enum {
	WEIR_GATEWAY_NESTED_MAX = 4096, /* of one shard, slots and one-way calls that wait included */
	WEIR_GATEWAY_NESTED_NAMES = 256, /* functions found by name lately; power of two */
};

enum weir_nested_state {
	WEIR_NESTED_WRITING, /* the worker has the chunk, for a request */
	WEIR_NESTED_RUNNING, /* the shard has it */
	WEIR_NESTED_READING, /* the worker has it, with a part of the answer */
};

/* What a turn has to do first, other than bringing the answer on. */
enum weir_nested_task { WEIR_NESTED_TASK_NONE, WEIR_NESTED_TASK_START, WEIR_NESTED_TASK_END };

struct weir_nested {
	struct weir_connection connection; /* without a socket; its exchange is the one below, or none */
	struct weir_exchange exchange;
	struct weir_nested *next;            /* of its parent, or in the free list */
	struct weir_shard_link *parent_link; /* NULL: the parent ended */
	struct weir_id parent;
	struct weir_id chosen; /* the activation's id, where the caller may choose it; else zero */
	struct weir_block *head; /* encoded request head, until the call starts */
	struct weir_block *reason; /* sentence of `failure`; NULL = the general one */
	uint64_t function_id;
	uint64_t caller_id; /* the parent's function */
	uint64_t reply_left; /* bytes of the body still to come, or WEIR_HEAD_LENGTH_UNKNOWN */
	struct weir_schedule_resources ask; /* of the request, until the call starts */
	uint32_t body_bytes; /* of the request */
	uint32_t chunk;
	uint16_t parent_call;
	uint8_t slot;
	uint8_t state;   /* enum weir_nested_state */
	uint8_t task;    /* enum weir_nested_task */
	uint8_t failure; /* enum weir_http_failure, found while the request came */
	bool one_way;
	bool put;        /* the first part of the request is here */
	bool running;    /* the exchange is one */
	bool reply_begun;
	bool bodyless;
	bool broken;     /* the worker has to be told that the answer broke off */
};

/* Kept out of the loops that call it: most requests have nothing to do with all this. */
#define WEIR_NESTED_APART __attribute__((noinline))

/* Reserve the table. 0 or -ENOMEM. */
int weir_nested_open(struct weir_shard *shard);

/* The nested call that this connection belongs to (connection->special says that it does). */
static inline struct weir_nested *weir_nested_of(struct weir_connection *connection)
{
	return (struct weir_nested *)(void *)connection;
}

/* Is the exchange a nested call whose parent waits for it? */
static inline bool weir_nested_is_awaited(const struct weir_exchange *exchange)
{
	return (exchange->connection->special & WEIR_CONNECTION_AWAITED) != 0;
}

/* A CALL message about a call whose exchange is still wanted. False if it is a lie. */
WEIR_NESTED_APART bool weir_nested_message(struct weir_shard *shard, struct weir_shard_link *link,
			 const struct weir_message *message);

/* The call ended, or nobody wants it any more. `well`: it was answered in full, so that its one-way
 * calls run; otherwise they are dropped. */
WEIR_NESTED_APART void weir_nested_parent_ended(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			      bool well);

/* Does the call await an answer? Then it is not the one that is slow. */
WEIR_NESTED_APART bool weir_nested_is_awaiting(const struct weir_shard *shard, const struct weir_shard_link *link,
			     uint16_t call);

/* connection.c: do what can be done now; the answer can't be finished. */
WEIR_NESTED_APART void weir_nested_turn(struct weir_shard *shard, struct weir_connection *connection);
WEIR_NESTED_APART void weir_nested_cut(struct weir_shard *shard, struct weir_connection *connection);

/* The owner of a timer that lies in the table, or NULL. */
WEIR_NESTED_APART struct weir_connection *weir_nested_of_timer(struct weir_shard *shard, const struct weir_timer *timer);

/* nested.c for nested_reply.c: the exchange is over, the slot may be used again. */
void weir_nested_end_exchange(struct weir_shard *shard, struct weir_nested *nested);

/* nested_reply.c: bring the answer on. */
void weir_nested_reply(struct weir_shard *shard, struct weir_nested *nested);

/* Answer with a failure, or with 202 and the activation id. The chunk is here. */
void weir_nested_reply_failure(struct weir_shard *shard, struct weir_nested *nested,
			       enum weir_http_failure failure, struct weir_span detail);
void weir_nested_reply_accepted(struct weir_shard *shard, struct weir_nested *nested,
				struct weir_id activation);

/* Send the chunk to the parent's worker; `flags` as in abi/nested.h. */
void weir_nested_send(struct weir_shard *shard, struct weir_nested *nested, enum weir_nested_op op,
		      struct weir_message message);

/* nested_head.c: what a checked copy of the head of a PUT names. WEIR_HTTP_OK and *out_function, or
 * why it can't be called. `caller` is the function that calls. Weir's own functions call each other by
 * name alone; "NAMESPACE/NAME" may come from a client and never means one of them. */
enum weir_http_failure weir_nested_head_resolve(struct weir_shard *shard,
						const struct weir_request_head *head,
						uint64_t caller_id,
						const struct weir_snapshot_function **out_function);

/* How deep the call stands, and how many its caller may make, keep functions from calling in circles: sets
 * nested->connection.depth, counts it. WEIR_HTTP_OK, or which of the two is exceeded. Weir's own functions make as
 * many as they need; what they call of each other stands no deeper than they do; and they may choose a call's
 * activation id (x-weir-activation -> nested->chosen), so that a call which is tried again leaves its traces under
 * one id. `function`: NULL where there is none to call. */
enum weir_http_failure weir_nested_head_count(struct weir_shard *shard, struct weir_nested *nested,
					      const struct weir_request_head *head,
					      const struct weir_snapshot_function *function);

/* What it asks for: WEIR_HTTP_OK and *out_ask, or why the function can't have that, with a sentence. */
enum weir_http_failure weir_nested_head_ask(const struct weir_request_head *head,
					    const struct weir_snapshot *snapshot,
					    const struct weir_snapshot_function *function,
					    struct weir_schedule_resources *out_ask,
					    char reason[WEIR_ASK_REASON_BYTES]);

enum { WEIR_NESTED_ENCODED_BYTES_MAX = 3 * WEIR_NESTED_HEAD_BYTES_MAX + 512 };

/* Write the head that the called function gets to `out` (WEIR_NESTED_ENCODED_BYTES_MAX bytes); its
 * length is patched in by weir_nested_head_length(). Returns its bytes. */
size_t weir_nested_head_encode(const struct weir_request_head *head, struct weir_id parent,
			       uint16_t depth, char *out);
void weir_nested_head_length(char *encoded, uint64_t body_bytes);

#endif
