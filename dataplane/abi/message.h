/* message: the 32-byte cells of both rings of a pair, and the states of a call.
 *
 *   shard -> worker                          worker -> shard
 *   HEAD    a new call; chunk = request      HEAD    the answer begins; chunk = head (+ data)
 *   DATA    more of the request body         DATA    more of the answer
 *   CREDIT  grant = chunk the worker may     CREDIT  chunk = request chunk done with (or none:
 *           fill                                     "send me the body")
 *   CANCEL  nobody wants the answer          END     finished without more data
 *                                            ABORT   finished, failed; code = enum weir_abort
 *   CALL    about a call that it makes, nested.h CALL    the same
 *   A message with WEIR_MESSAGE_END is the last of its direction. The worker's last message (END
 *   flag, END or ABORT) finishes the call: every chunk of it is the shard's again.
 *
 * States of a call record (one word with the call's sequence, changed by compare-and-swap):
 *
 *   FREE --shard: queue--> QUEUED --worker: accept--> RUNNING --shard, after the last message or
 *     ^                      |                           |      the worker's death: release--+
 *     |                      +--shard: recall--> RECALLED                                    |
 *     +--shard: release-----------------------------+----------------------------------------+
 *
 * A recalled call was never started: it may be bound again elsewhere. Its stale HEAD stays in the
 * ring; the worker's accept fails on the state or the sequence and it must not touch the chunk. */
#ifndef WEIR_DATAPLANE_ABI_MESSAGE_H
#define WEIR_DATAPLANE_ABI_MESSAGE_H

#include <assert.h>
#include <stdint.h>

#define WEIR_CHUNK_NONE UINT32_MAX

enum weir_message_kind {
	WEIR_MESSAGE_HEAD = 1,
	WEIR_MESSAGE_DATA = 2,
	WEIR_MESSAGE_END = 3,
	WEIR_MESSAGE_CREDIT = 4,
	WEIR_MESSAGE_CANCEL = 5,
	WEIR_MESSAGE_ABORT = 6,
	WEIR_MESSAGE_CALL = 7,
};

enum {
	WEIR_MESSAGE_FLAG_END = 1, /* last message of this direction */
	WEIR_MESSAGE_FLAG_ALONE = 64, /* HEAD: to be started only while the worker runs nothing else */
	WEIR_MESSAGE_RUN_SHIFT = 6,   /* 64 ns */
};

enum weir_call_state {
	WEIR_CALL_FREE = 0,
	WEIR_CALL_QUEUED = 1,
	WEIR_CALL_RUNNING = 2,
	WEIR_CALL_RECALLED = 3,
};

/* Why a worker gave up on a call. */
enum weir_abort {
	WEIR_ABORT_FAILED = 1,    /* the function reported failure: 502 */
	WEIR_ABORT_GARBAGE = 2,   /* the function's answer was unusable: 502 */
	WEIR_ABORT_LOAD = 3,      /* the code could not be loaded: 502 */
	WEIR_ABORT_TIMEOUT = 4,   /* the worker stopped it at its deadline: 504 */
	WEIR_ABORT_CANCELLED = 5, /* after CANCEL; nobody reads it */
	WEIR_ABORT_UNKNOWN = 6,   /* the function is not in the worker's snapshot: 503 */
};

/* One ring cell. Fields that a kind does not use are zero (chunks: WEIR_CHUNK_NONE).
 * Chunk references: 0 .. WEIR_PAIR_CHUNKS_SMALL-1 small, then the large ones. */
struct weir_message {
	uint8_t kind;        /* enum weir_message_kind */
	uint8_t flags;
	uint16_t call;       /* index of the call record in the pair */
	uint32_t chunk;      /* HEAD, DATA: holds the payload; CREDIT to the shard: returned */
	uint64_t sequence;   /* must equal the call's */
	uint32_t bytes;      /* payload in `chunk`, head included */
	uint32_t head_bytes; /* HEAD: the encoded head (head.h) at the payload's start */
	uint32_t grant;      /* shard -> worker, HEAD and CREDIT: a chunk to write the answer to;
			      * worker -> shard, the last message: how long the function ran, in units of
			      * WEIR_MESSAGE_RUN_SHIFT, UINT32_MAX = not known, or longer */
	uint32_t code;       /* ABORT: enum weir_abort; a text of `bytes` bytes may stand in `chunk`.
			      * CALL: weir_nested_code() */
};
static_assert(sizeof(struct weir_message) == 32, "message layout");

#endif
