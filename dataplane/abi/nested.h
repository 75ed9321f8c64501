/* nested: how a running function calls another: the CALL messages of the parent's call.
 *
 *   worker -> shard                               shard -> worker
 *   OPEN   a chunk for this slot, please          CHUNK    grant = the slot's chunk, to write to
 *   PUT    chunk = the request or a part of it;   REFUSED  there is no chunk: no call can be made now
 *          the last one has the END flag          REPLY    chunk = the answer or a part of it; the
 *   MORE   chunk = done with this part of the              last one has the END flag, and BROKEN if
 *          answer                                          the answer is not whole
 *   DROP   the answer is no longer wanted
 *
 *   slot:  free --OPEN/CHUNK--> WRITING --PUT..PUT|END--> RUNNING --REPLY--> READING
 *                                  ^  ^                    ^   |               |  |
 *                                  |  +---- REPLY|END -----|---+               |  |
 *                                  +-------- DROP ---------|-------------------+  |
 *                                                          +-------- MORE --------+
 *
 * One chunk per slot, taken before anything is forwarded, carries the request there and the answer
 * back: whoever waits for an answer holds the memory for it, so waiting for memory can't be a part of
 * a cycle. The message's `code` is weir_nested_code(slot, op).
 *   first PUT     | weir_request_head: target = name, path, query, fields | body ...
 *   first REPLY   | weir_nested_reply | weir_response_head | body ...   (head_bytes: both heads)
 *   next ones     | body ...
 * The fields may ask for resources, as a client's may: x-weir-cpu-millicores, x-weir-memory-mb.
 * A one-way call (flag ONE_WAY on PUT) is answered with 202 when it is accepted; it starts after its
 * parent finished, and only then. Whatever goes wrong is a REPLY with the status and the body that an
 * HTTP client would get. All slots end with the parent's call. */
#ifndef WEIR_DATAPLANE_ABI_NESTED_H
#define WEIR_DATAPLANE_ABI_NESTED_H

#include <assert.h>
#include <stdint.h>

enum {
	WEIR_NESTED_SLOTS = 4,        /* answers that one call may await at once */
	WEIR_NESTED_CALLS_MAX = 64,   /* calls that one call may make in all */
	WEIR_NESTED_DEPTH_MAX = 16,   /* a client's call has depth 0 */
	WEIR_NESTED_HEAD_BYTES_MAX = 3072, /* of a PUT */
	WEIR_NESTED_BODY_BYTES_MAX = 1 << 20, /* of a request; answers have no limit here */
};

enum weir_nested_op {
	WEIR_NESTED_OPEN = 1,
	WEIR_NESTED_PUT = 2,
	WEIR_NESTED_MORE = 3,
	WEIR_NESTED_DROP = 4,
	WEIR_NESTED_CHUNK = 5,
	WEIR_NESTED_REFUSED = 6,
	WEIR_NESTED_REPLY = 7,
};

/* Flags of CALL messages, next to WEIR_MESSAGE_FLAG_END. */
enum {
	WEIR_NESTED_FLAG_ONE_WAY = 2,
	WEIR_NESTED_FLAG_BROKEN = 4,
};

/* What stands before the head of an answer. */
struct weir_nested_reply {
	uint64_t activation_high; /* of the call that was made; 0 if none was */
	uint64_t activation_low;
};
static_assert(sizeof(struct weir_nested_reply) == 16, "reply layout");

static inline uint32_t weir_nested_code(uint32_t slot, enum weir_nested_op op)
{
	return slot << 8 | (uint32_t)op;
}

static inline uint32_t weir_nested_slot(uint32_t code)
{
	return code >> 8;
}

static inline uint32_t weir_nested_op(uint32_t code)
{
	return code & 0xff;
}

#endif
