/* port_call: one started call: its request, its body as it comes, its answer as it goes.
 *
 *   request   head (checked, in the HEAD's chunk)   piece[0] piece[1] ...  -> body_peek, body_consume
 *   answer    status, fields -> written in place -> seal at first room -> chunk: | head | body ... |
 *             room, commit, flush: HEAD, DATA ... ; finish: END; abort: ABORT with a text
 *
 * Nothing here waits: -EAGAIN means that the call must wait until the port's wake() names it.
 * After CANCEL, or when the link closes, everything returns -ECANCELED; finish and abort still work.
 * Owns: chunks named by pieces and grants until a message names them back.
 * Threads: the port's one. Messages are pushed, not published, except by flush and a full chunk. */
#ifndef WEIR_DATAPLANE_PORT_PORT_CALL_H
#define WEIR_DATAPLANE_PORT_PORT_CALL_H

#include <stdbool.h>

#include "dataplane/abi/head.h"
#include "dataplane/abi/link.h"
#include "dataplane/base/span.h"

struct weir_port;
struct weir_port_pair;

enum {
	WEIR_PORT_CALL_HEAD_BYTES_MAX = WEIR_CHUNK_SMALL_BYTES, /* an answer's encoded head */
	WEIR_PORT_CALL_QUEUE = 4, /* pieces, and grants, that a shard may have given at once */
	WEIR_PORT_CALL_REASON_BYTES_MAX = 200,
	WEIR_PORT_NESTED_SLOTS = 4, /* calls that one call may await at once */
};

/* A slot for calls that the call makes. Private to port_nested.c. */
struct weir_port_nested {
	uint8_t state;
	bool is_begun; /* the head of the answer came */
	bool is_broken;
	uint32_t chunk;
	uint32_t bytes; /* of the part that is here */
	uint32_t head_bytes;
};

struct weir_port_piece {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t chunk; /* goes back by CREDIT; WEIR_CHUNK_NONE for the part behind the head */
};

/* Small calls touch the first five lines only. */
struct weir_port_call {
	/* Constant while the call runs. */
	const struct weir_request_head *head;
	uint64_t sequence;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	uint64_t activation_high;
	uint64_t activation_low;
	uint64_t function_id;
	uint64_t generation;
	/* The starter's. NULL at the start. */
	void *context;

	/* Read freely. */
	bool is_cancelled;
	bool is_head_sent;     /* a failure can no longer become a clean error answer */
	bool is_body_complete; /* no more pieces will come */
	uint32_t refused;      /* fields, statuses and lengths refused with -EINVAL */

	/* Private to port*.c. */
	struct weir_port *port;
	struct weir_port_pair *pair;
	uint16_t index; /* of the call record */
	bool is_body_asked;
	bool is_sealed;
	bool is_nested_open; /* `nested` means something */
	uint8_t piece_count;
	uint8_t grant_count;
	uint16_t status;
	uint8_t *out; /* the chunk being filled, NULL = none */
	uint32_t out_chunk;
	uint32_t out_size;
	uint32_t out_bytes; /* filled, the head included */
	uint32_t head_bytes;
	uint64_t body_bytes; /* of the answer, committed so far */
	uint64_t length;     /* announced, or WEIR_HEAD_LENGTH_UNKNOWN */
	uint8_t *head_out;   /* where fields go: `out`, or `spare` without a grant; NULL = no field yet */
	uint16_t row_count_max; /* rows between the head and its text */
	uint16_t field_count;
	uint16_t text_bytes;
	uint32_t run_units; /* for the last message */
	uint32_t grant[WEIR_PORT_CALL_QUEUE];
	struct weir_port_piece piece[WEIR_PORT_CALL_QUEUE];
	struct weir_port_nested nested[WEIR_PORT_NESTED_SLOTS];
	_Alignas(8) uint8_t spare[WEIR_PORT_CALL_HEAD_BYTES_MAX];
};

/* The bytes of a slice of the request's head. */
static inline struct weir_span weir_port_call_span(const struct weir_port_call *call,
						   struct weir_head_slice slice)
{
	return (struct weir_span){.data = (const char *)call->head + slice.offset,
				  .bytes = slice.bytes};
}

/* The next bytes of the body, without taking them: 1 = written, 0 = the body ended, -EAGAIN = not
 * here yet (the first such call asks the shard for it), -ECANCELED. */
int weir_port_call_body_peek(struct weir_port_call *call, struct weir_span *out_piece);

/* Done with the first `bytes` bytes of what peek returned; its chunk goes back when all are. */
void weir_port_call_body_consume(struct weir_port_call *call, size_t bytes);

/* Status 200 .. 599; 200 if never set. 0, -EINVAL, -EALREADY (the head is sealed), -ECANCELED. */
int weir_port_call_status(struct weir_port_call *call, uint32_t status);

/* Add a field: a token, and a value without control characters other than tab. 0, -EINVAL (counted
 * in `refused`), -ENOSPC (64 fields, or 4 KiB of head), -EALREADY, -ECANCELED. */
int weir_port_call_field(struct weir_port_call *call, struct weir_span name,
			 struct weir_span value);

/* Announce the answer's body bytes. 0, -EALREADY, -ECANCELED, -EINVAL (fewer than committed). */
int weir_port_call_length(struct weir_port_call *call, uint64_t bytes);

/* Where the answer's next bytes go: *out_data holds *out_bytes (at least 1). Seals the head. 0,
 * -EAGAIN (no grant), -EINVAL (status 204 or 304 has no body), -ECANCELED, -EBADMSG (the shard's ring
 * is full: a lie). */
int weir_port_call_room(struct weir_port_call *call, uint8_t **out_data, size_t *out_bytes);

/* `bytes` of that room are written. 0, -EINVAL (more than the room), -EMSGSIZE (more than announced;
 * nothing is taken), -ECANCELED. */
int weir_port_call_commit(struct weir_port_call *call, size_t bytes);

/* Room and commit in one: copy of `data` what fits now. 0 and *out_bytes (at least 1 of `bytes`, which
 * are at least 1) were taken, or the errors of both; then nothing was. */
int weir_port_call_append(struct weir_port_call *call, const void *data, size_t bytes,
			  size_t *out_bytes);

/* Send what is committed now, at least the head. 0, -EAGAIN (no grant for the head), -ECANCELED,
 * -EBADMSG. */
int weir_port_call_flush(struct weir_port_call *call);

/* How long the function ran: told with the last message. Unset, nobody knows. */
static inline void weir_port_call_ran(struct weir_port_call *call, uint64_t run_ns)
{
	const uint64_t units = run_ns >> WEIR_MESSAGE_RUN_SHIFT;

	call->run_units = units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
}

/* The answer is complete. True if it counts as one: an answer shorter than announced (but for an empty
 * one to HEAD), or one that had no grant for its head, is aborted. The call is the port's again. */
bool weir_port_call_finish(struct weir_port_call *call);

/* The call failed: `text` (at most 200 bytes are used) says why. The call is the port's again. */
void weir_port_call_abort(struct weir_port_call *call, enum weir_abort code,
			  struct weir_span text);

#endif
