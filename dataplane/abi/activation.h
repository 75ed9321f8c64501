/* activation: what became of each call, one record each, from the shards to ctrld.
 *
 *   | header | ring of shard 0 | ring of shard 1 | ...       ring:  | tail, lost | head | record 0, 1, ... |
 *     ctrld:                                                          shard        ctrld  shard
 *     who sleeps
 *
 * A memfd and a pair of sockets for the whole life of an instance: the supervisor makes them, the keeper holds them,
 * so records wait while ctrld is away, and the rings go on where a gateway that died left them. (One gateway
 * writes at a time: the next is started after the one before is gone.)
 * A full ring: the newest record is dropped and counted in `lost`. Times are CLOCK_MONOTONIC.
 * ctrld says in `reader` what it waits for; the shard that finds it there after it published clears it and
 * sends a byte, so a bell costs a system call per awakening, not per record.
 * Peer death: a record that was not published is lost; indices stay valid. Each end checks the other's. */
#ifndef WEIR_DATAPLANE_ABI_ACTIVATION_H
#define WEIR_DATAPLANE_ABI_ACTIVATION_H

#include "dataplane/abi/link.h"

#define WEIR_ACTIVATIONS_MAGIC UINT64_C(0x3176697463617277) /* "wractiv1" */

enum {
	WEIR_ACTIVATION_CELLS = 16384, /* of each ring, power of two */
	WEIR_ACTIVATION_UNIT_SHIFT = 6, /* short times count 64 ns: up to 274 s, longer ones stand at that */
};

enum weir_activation_reader {
	WEIR_ACTIVATION_READER_AWAKE,
	WEIR_ACTIVATION_READER_SLEEPS,  /* wants to know of any record */
	WEIR_ACTIVATION_READER_GATHERS, /* looks by itself in a moment; wants to know when a ring is half full */
};

enum {
	WEIR_ACTIVATION_COLD = 1,      /* no worker of its pool was there when it came */
	WEIR_ACTIVATION_NESTED = 2,    /* a function called it */
	WEIR_ACTIVATION_CUT = 4,       /* the answer did not reach its end */
	WEIR_ACTIVATION_CPU_KNOWN = 8, /* cpu_units was measured */
};

/* The stages of a call, one after the other, add up to total_ns but for the units:
 *
 *   first byte --parse--> head and small body are here --queue--> handed to a worker --dispatch + run-->
 *   its last message is here --reply--> the last byte is on its way to the client
 *
 * `run` is what the worker says, no more than the time that it had the call; of calls much shorter than a
 * look at the clock it is the average of some. `dispatch` is the rest of that time: in the rings, behind other
 * calls, waiting for a CPU. A call without a worker ends in `queue`. The shard reads its clock once a turn. */
struct weir_activation {
	uint64_t id_high;
	uint64_t id_low;
	uint64_t parent_high; /* the call that made this one; 0 and 0 = a client did */
	uint64_t parent_low;
	uint64_t function_id; /* struct weir_snapshot_function.id */
	uint64_t route_id;    /* 0 = none */
	uint64_t worker_id;   /* 0 = none had it */
	uint64_t arrived_ns;  /* when `queue` began */
	uint64_t total_ns;
	uint64_t run_ns;
	uint64_t answer_bytes;
	uint32_t request_bytes; /* body; UINT32_MAX: as many or more */
	uint32_t parse_units;
	uint32_t queue_units;
	uint32_t dispatch_units;
	uint32_t reply_units;
	uint32_t cpu_units; /* what its worker used meanwhile, shared with the calls that it finished meanwhile */
	uint32_t version;   /* low half of struct weir_snapshot_function.version */
	uint16_t status;    /* of the answer; 0 = the client left before */
	uint8_t failure;    /* enum weir_http_failure; 0 = the function answered */
	uint8_t flags;      /* WEIR_ACTIVATION_... */
	uint64_t caller_id; /* the function that made this call; 0 = a client did */
};
static_assert(sizeof(struct weir_activation) == WEIR_LINE_BYTES, "one line");

struct weir_activation_ring {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t tail; /* records published */
	_Atomic uint64_t lost;                           /* records dropped, over all times */
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t head; /* records taken */
	_Alignas(WEIR_LINE_BYTES) struct weir_activation cell[WEIR_ACTIVATION_CELLS];
};
static_assert(sizeof(struct weir_activation_ring) == (2 + WEIR_ACTIVATION_CELLS) * WEIR_LINE_BYTES, "ring layout");

struct weir_activations {
	_Alignas(WEIR_LINE_BYTES) uint64_t magic;
	uint32_t abi_major;
	uint32_t shard_count;
	_Alignas(WEIR_LINE_BYTES) _Atomic uint32_t reader; /* enum weir_activation_reader */
	_Alignas(WEIR_LINE_BYTES) struct weir_activation_ring ring[]; /* shard_count of them */
};
static_assert(sizeof(struct weir_activations) == 2 * WEIR_LINE_BYTES, "header layout");

static inline size_t weir_activations_bytes(uint32_t shard_count)
{
	return sizeof(struct weir_activations) + (size_t)shard_count * sizeof(struct weir_activation_ring);
}

#endif
