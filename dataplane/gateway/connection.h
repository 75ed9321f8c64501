/* connection: one client's socket: receiving, timers, closing.
 * Work on a connection is collected during a turn (weir_connection_mark) and done once at its end
 * (weir_connection_turn), so that answers of one turn leave in one send.
 * Threads: the owning shard. Idle cost: this struct and the kernel's socket. */
#ifndef WEIR_DATAPLANE_GATEWAY_CONNECTION_H
#define WEIR_DATAPLANE_GATEWAY_CONNECTION_H

#include <liburing.h>

#include "dataplane/gateway/exchange.h"

enum weir_phase {
	WEIR_PHASE_IDLE,  /* between requests */
	WEIR_PHASE_HEAD,  /* part of a head is here */
	WEIR_PHASE_BODY,  /* part of a small body is here */
	WEIR_PHASE_STREAM, /* a body goes to a worker */
	WEIR_PHASE_LINGER, /* answered and shut down; reading until the client closes */
};

/* What makes an entry other than a client's; bits of `special`. */
enum {
	WEIR_CONNECTION_RELEASED = 1, /* free, but still on the turn's list */
	WEIR_CONNECTION_NESTED = 2,   /* a call that a function makes: nested.h */
	WEIR_CONNECTION_AWAITED = 4,  /* ... which waits for the answer */
};

struct weir_connection {
	int fd; /* -1 = free entry, or no socket */
	uint32_t index;
	struct weir_timer timer;
	uint64_t phase_deadline_ns;  /* of reading */
	uint64_t send_deadline_ns;   /* when enough must have been taken; 0 = nothing is being sent */
	struct weir_exchange_list exchanges;
	struct weir_exchange *streaming; /* whose body is being read */
	struct weir_block *in_first; /* unread bytes */
	struct weir_block *in_last;
	struct weir_block *head_parser; /* struct weir_http_parser of a head that is partly here */
	struct weir_block *out_first; /* bytes to send */
	struct weir_block *out_last;
	struct weir_connection *next; /* flush list or free list */
	struct weir_shard_link *body_link; /* whose chunk a body is being received into, or NULL */
	struct weir_block *body_block;     /* or the block that chunked bytes are received into */
	uint32_t body_chunk;
	uint16_t body_call;
	struct weir_shard_link *sending_link; /* whose chunk is part of the send in flight, or NULL */
	uint32_t need_bytes;   /* input that must be there before parsing again */
	uint32_t head_units;   /* that a slow head took, while its small body is awaited: shm/activation.h */
	uint32_t out_bytes;
	uint64_t sent_bytes;   /* since the send deadline was set */
	uint32_t unacknowledged_bytes; /* by the client, when the send deadline was set */
	uint32_t lingered_bytes;
	uint16_t exchange_count;
	uint16_t sending_call;
	uint8_t phase; /* enum weir_phase */
	uint8_t peer_bytes;
	uint8_t operations; /* kernel operations outstanding */
	bool local;
	bool receiving;       /* multishot receive armed */
	bool receive_stopping; /* its cancellation is under way */
	bool body_receiving;  /* exact receive into a chunk, or decode buffer, under way */
	bool sending;
	bool send_measured;   /* the two counts above go back to one moment */
	bool in_flush;
	uint8_t special;      /* 0 = a client's */
	uint8_t depth;        /* of its calls: how many functions stand between them and a client */
	bool input_ended;     /* the client sent its last byte */
	bool close_after;     /* no request is read any more; close when everything is sent */
	bool closing;         /* waits for its operations */
	bool paused;          /* too many requests in flight */
	bool continue_sent;
	char peer[WEIR_GATEWAY_PEER_BYTES];
};

static_assert(sizeof(struct weir_connection) <= 256, "all that an idle connection costs");

/* Take over an accepted socket; over the limit it gets 503 and is closed. */
void weir_connection_open(struct weir_shard *shard, int fd, bool local);

/* Completions. */
void weir_connection_received(struct weir_shard *shard, struct weir_connection *connection,
			      const struct io_uring_cqe *cqe);
void weir_connection_operation_done(struct weir_shard *shard, struct weir_connection *connection);

/* Put it on the list of connections that have something to do at the end of this turn. */
void weir_connection_mark(struct weir_shard *shard, struct weir_connection *connection);

/* Do it: answers to the output, more requests from the input, output to the socket. */
void weir_connection_turn(struct weir_shard *shard, struct weir_connection *connection);

/* Close at once: exchanges are abandoned, kernel operations cancelled and waited for. */
void weir_connection_abort(struct weir_shard *shard, struct weir_connection *connection);

/* Read again / stop reading (multishot receive). */
void weir_connection_receive_start(struct weir_shard *shard, struct weir_connection *connection);
void weir_connection_receive_stop(struct weir_shard *shard, struct weir_connection *connection);

/* Some deadline of the connection changed: make sure its timer looks in time. */
void weir_connection_watch(struct weir_shard *shard, struct weir_connection *connection,
			   uint64_t deadline_ns);

/* Its timer fired. */
void weir_connection_timer(struct weir_shard *shard, struct weir_connection *connection);

#endif
