/* exchange: one request and its answer, from the parsed head to the last byte in the output.
 * Belongs to its connection, in order of arrival; only the first of a connection writes.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_EXCHANGE_H
#define WEIR_DATAPLANE_GATEWAY_EXCHANGE_H

#include "dataplane/base/id.h"
#include "dataplane/base/span.h"
#include "dataplane/gateway/block.h"
#include "dataplane/gateway/link.h"
#include "dataplane/http/http_failure.h"
#include "dataplane/schedule/fit.h"

struct weir_connection;

/* One piece of answer that waits in a chunk. */
struct weir_piece {
	uint32_t chunk;
	uint32_t start;
	uint32_t bytes;
};

enum weir_framing {
	WEIR_FRAMING_NONE,  /* no body (HEAD, 204, 304): bytes are dropped */
	WEIR_FRAMING_LENGTH,
	WEIR_FRAMING_CHUNKED,
	WEIR_FRAMING_CLOSE,
};

/* What the record of a call will say: activation.h. */
struct weir_exchange_stages {
	uint64_t arrived_ns; /* 0 = it leaves no record */
	uint64_t bound_ns;   /* to a worker, the last time; 0 = not yet */
	uint64_t returned_ns; /* its last message came; 0 = not yet */
	uint64_t worker_id;
	uint64_t route_id;
	uint64_t answer_bytes;
	struct weir_link_usage usage; /* when it was bound */
	uint32_t request_bytes;
	uint32_t parse_units;
	uint32_t run_units;
	uint32_t cpu_units;
	uint32_t version;
	uint16_t status; /* of the answer; 0 = none was begun */
	bool is_cpu_known;
	bool is_cut; /* its answer broke off */
};

struct weir_exchange {
	struct weir_connection *connection;
	struct weir_exchange *next;      /* of the connection */
	struct weir_exchange *wait_next; /* waiting room */
	struct weir_exchange *wait_prev;
	struct weir_shard_pool *pool;
	struct weir_function_state *function;
	struct weir_shard_link *link;    /* bound to, or NULL */
	struct weir_block *request;      /* encoded request while no worker has it */
	struct weir_block *detail;       /* text of a failure */
	struct weir_block *decoder;      /* struct weir_http_chunked of a chunked body */
	struct weir_id activation;
	uint64_t deadline_ns;
	uint64_t waiting_since_ns;
	uint64_t cold_since_ns; /* when it found no worker of its pool; 0 = it found one */
	uint64_t began_ns; /* 0 = nobody asks for its timing */
	uint64_t bound_ns; /* to a worker, the last time; of who asks */
	struct weir_exchange_stages stages;
	uint64_t function_id;
	uint64_t generation;
	uint64_t request_hash;
	uint64_t body_left;    /* of a body received after binding; chunked: 1 until its end was seen */
	uint64_t answer_left;  /* of a length-framed answer */
	uint32_t request_bytes;
	uint32_t request_head_bytes;
	struct weir_schedule_resources ask; /* what the request says that it needs */
	uint32_t ask_part;     /* that, while it waits, as a part of a worker: queues.h */
	uint16_t call;
	uint16_t allow;        /* methods, for 405 */
	uint8_t failure;       /* enum weir_http_failure */
	uint8_t framing;       /* enum weir_framing */
	uint8_t minor;
	uint8_t piece_count;
	uint8_t rebinds;
	bool waiting;
	bool suspect;
	bool head_request;
	bool keep_alive;
	bool stream;           /* body comes after binding */
	bool chunked;          /* ... and must be decoded */
	bool body_wanted;      /* the worker asked for it */
	bool body_ended;       /* DATA with END was pushed */
	bool expect_continue;  /* 100 not sent yet */
	bool head_written;
	bool answer_ended;     /* the last piece is here */
	bool refused_body;     /* answered without reading the body: close after it */
	bool head_waiting;
	bool piece_ready;      /* the first piece is sent from its chunk; nothing may be put before it */
	/* From here on not initialised: valid where head_waiting and piece_count say so. */
	struct weir_message head_message; /* answer's HEAD that waits for its turn */
	struct weir_piece piece[WEIR_CALL_CHUNKS_MAX];
};

/* A fresh exchange at the end of the connection's list; NULL if the table is full. */
struct weir_exchange *weir_exchange_create(struct weir_shard *shard, struct weir_connection *connection);

/* Unlink and free; its call is abandoned, its blocks are given back. */
void weir_exchange_destroy(struct weir_shard *shard, struct weir_exchange *exchange);

/* Give up its call and its blocks, without freeing it. */
void weir_exchange_clear(struct weir_shard *shard, struct weir_exchange *exchange);

/* Answer with an error instead. Before the head is written: a clean JSON answer, when its turn
 * comes; after: the connection is cut. `detail` replaces the failure's sentence (NULL: does not).
 * A waiting exchange leaves its queue, a bound one abandons its call. */
void weir_exchange_fail(struct weir_shard *shard, struct weir_exchange *exchange,
			enum weir_http_failure failure, struct weir_span detail);

/* The deadline passed. */
void weir_exchange_expire(struct weir_shard *shard, struct weir_exchange *exchange);

#endif
