/* link: the shared-memory segment between one gateway incarnation and one worker.
 *
 *   0            4096                      4096 + stride             4096 + stride * shard_count
 *   | header     | pair of shard 0         | pair of shard 1  ...    |
 *
 *   header:  line 0  identity      written by the supervisor before anybody else maps it
 *            line 1  worker line   written by the worker only, read by every shard at pick
 *            line 2  worker bell   the futex word that wakes the worker (doorbell.h)
 *   pair:    ring to the worker | ring to the shard | call records | small chunks | large chunks
 *
 * Life: created by the supervisor (memfd, sealed against resizing), mapped by both ends, never used
 * again after either end dies: reclaiming is unmapping. Pages come into being at first touch, so a
 * pair that is not used costs address space only.
 * Owners: the shard alone allocates and frees call records and chunks; its private tables are the
 * truth and what stands here is a hint. A chunk named in a message belongs to the receiver until a
 * message names it back, the call finishes, or the worker's pidfd fires.
 * Numbers are offsets and indices, little-endian, never pointers. A changed layout changes
 * WEIR_ABI_MAJOR, tests/shm/layout.golden and the changelog. */
#ifndef WEIR_DATAPLANE_ABI_LINK_H
#define WEIR_DATAPLANE_ABI_LINK_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/abi/message.h"

#define WEIR_LINK_MAGIC UINT64_C(0x316b6e696c726577) /* "werlink1" */

enum {
	WEIR_ABI_MAJOR = 1,
	WEIR_LINE_BYTES = 128, /* two 64-byte lines: the adjacent-line prefetcher fetches pairs */
	WEIR_SHARDS_MAX = 64,
	WEIR_RING_CELLS = 1024, /* power of two */
	WEIR_RING_CELLS_RESERVED = 512, /* of the ring to the worker, kept for DATA, CREDIT and CANCEL */
	WEIR_PAIR_CALLS = 256,
	WEIR_PAIR_CHUNKS_SMALL = 512,
	WEIR_PAIR_CHUNKS_LARGE = 96,
	WEIR_CHUNK_SMALL_BYTES = 4096,
	WEIR_CHUNK_LARGE_BYTES = 65536,
	WEIR_CALL_CHUNKS_MAX = 4, /* large chunks that one call may hold: 256 KiB */
	WEIR_LINK_HEADER_BYTES = 4096,
};

/* One direction of a pair. Each index has one writer; free-running, masked at use. */
struct weir_link_ring {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint32_t head; /* consumer writes */
	_Alignas(WEIR_LINE_BYTES) _Atomic uint32_t tail; /* producer writes */
	_Alignas(WEIR_LINE_BYTES) struct weir_message cell[WEIR_RING_CELLS]; /* producer writes */
};
static_assert(sizeof(struct weir_link_ring) == 256 + 32 * WEIR_RING_CELLS, "ring layout");
static_assert(offsetof(struct weir_link_ring, tail) == 128, "ring layout");
static_assert(offsetof(struct weir_link_ring, cell) == 256, "ring layout");

/* One call record. `state` is the word that decides who may start the call: (sequence << 8) | one
 * of enum weir_call_state; the other fields are written by the shard before it queues the call and
 * read by the worker after it accepted. One line, two writers of one word: it is handed over once
 * each way, and a second line would cost every call one more cache miss. */
struct weir_link_call {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t state;
	uint64_t deadline_ns;       /* CLOCK_MONOTONIC */
	uint64_t activation_high;
	uint64_t activation_low;
	uint64_t function_id;       /* struct weir_snapshot_function.id */
	uint64_t generation;        /* of the snapshot that routed the call; the worker waits for it */
	uint64_t reserved[10];      /* zero */
};
static_assert(sizeof(struct weir_link_call) == 128, "call layout");

struct weir_link_pair {
	struct weir_link_ring to_worker;
	struct weir_link_ring to_shard;
	struct weir_link_call call[WEIR_PAIR_CALLS];
	_Alignas(4096) uint8_t small[WEIR_PAIR_CHUNKS_SMALL][WEIR_CHUNK_SMALL_BYTES];
	_Alignas(4096) uint8_t large[WEIR_PAIR_CHUNKS_LARGE][WEIR_CHUNK_LARGE_BYTES];
};
static_assert(sizeof(struct weir_link_pair) % 4096 == 0, "pairs start on pages");

#define WEIR_LINK_PARKED_MAX_SHUT UINT32_MAX /* more than any worker has */

struct weir_link_header {
	/* Line 0, supervisor. `magic` is written last. */
	_Alignas(WEIR_LINE_BYTES) uint64_t magic;
	uint32_t abi_major;
	uint32_t shard_count;
	uint64_t segment_bytes;
	uint64_t link_id;   /* unique in this instance's life */
	uint64_t worker_id; /* unique in this instance's life */

	/* Line 1, worker: what every shard reads at pick. Sums over all shards of this link. */
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t accepted; /* calls started */
	_Atomic uint64_t finished;                           /* calls returned */
	_Atomic uint64_t service_ns; /* running time of a call, moving average; 0 = none yet */
	_Atomic uint32_t parked;     /* started calls that wait for their client or a child process */
	_Atomic uint32_t parked_max; /* the worker starts nothing more when `parked` reaches this;
				      * WEIR_LINK_PARKED_MAX_SHUT: nothing until another number stands here */
	_Atomic uint32_t out_of_memory; /* 1 = its last word: it got no more memory, and crashes */

	/* Line 2, both: 1 = the worker sleeps or is about to, 0 = awake. Futex, shared. */
	_Alignas(WEIR_LINE_BYTES) _Atomic uint32_t worker_bell;

	_Alignas(WEIR_LINE_BYTES) uint8_t reserved[WEIR_LINK_HEADER_BYTES - 3 * WEIR_LINE_BYTES];
};
static_assert(sizeof(struct weir_link_header) == WEIR_LINK_HEADER_BYTES, "header layout");
static_assert(offsetof(struct weir_link_header, accepted) == 128, "header layout");
static_assert(offsetof(struct weir_link_header, worker_bell) == 256, "header layout");

/* Size of a segment for `shard_count` shards (1 .. WEIR_SHARDS_MAX), bytes. */
static inline size_t weir_link_segment_bytes(uint32_t shard_count)
{
	return sizeof(struct weir_link_header) + (size_t)shard_count * sizeof(struct weir_link_pair);
}

/* The shard board: one memfd per gateway incarnation, one line per shard, written by the shards and
 * sealed (F_SEAL_FUTURE_WRITE) before workers get it, so that they can only read.
 * `sleep_count` is odd while the shard sleeps or is about to: a worker that published something
 * rings the shard's eventfd then, once per value. */
struct weir_shard_board_line {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t sleep_count;
	uint64_t reserved[15];
};
static_assert(sizeof(struct weir_shard_board_line) == WEIR_LINE_BYTES, "board layout");

struct weir_shard_board {
	struct weir_shard_board_line shard[WEIR_SHARDS_MAX];
};

#endif
