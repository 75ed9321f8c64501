/* room: how much of a worker is given away to calls that ask for resources (ask.h).
 *
 *   capacity of its spec   |################|################|................|
 *                            held by calls    held by calls     still to be
 *                            that await       that will end     given away
 *                            others           by themselves
 *                          |<-- awaiting -->|
 *                          |<------------ used ------------>|
 *
 * A call has its room from being bound until its record is free, also while it waits for functions that it
 * called: their memory is in use. So where `awaiting` leaves too little there will be no room before one of
 * those calls is answered (weir_pick_is_full()); all else gets free by itself.
 * Owns: the room of the call records of a link. Threads: each shard for its own calls; the words are
 * shared by the shards of one gateway, and a moment old when they are read. A worker's death: its calls
 * give their room back like all others. */
#ifndef WEIR_DATAPLANE_GATEWAY_ROOM_H
#define WEIR_DATAPLANE_GATEWAY_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_exchange;
struct weir_shard;
struct weir_shard_link;

/* Of one worker, over all shards; words as in schedule/fit.h. */
struct weir_room {
	_Atomic uint64_t used;
	_Atomic uint64_t awaiting; /* of these, by calls that await others */
	_Atomic uint32_t overdue;  /* calls past their deadline that it has not given back: it may have to be killed */
};

static inline bool weir_room_is_overdue(const struct weir_room *room)
{
	return atomic_load_explicit(&room->overdue, memory_order_relaxed) > 0;
}

/* Take what the exchange asks for of the worker's room, for its call there; false: another shard was
 * faster, or it was never there. */
__attribute__((noinline, cold)) bool weir_room_take(struct weir_shard *shard, struct weir_shard_link *link,
						    const struct weir_exchange *exchange);

/* The record of a call that has room is free: give it back. */
__attribute__((noinline, cold)) void weir_room_give(struct weir_shard *shard, struct weir_shard_link *link,
						    uint16_t call);

/* A call that has room awaits others now, or does not any more. */
__attribute__((noinline, cold)) void weir_room_await(struct weir_shard_link *link, uint16_t call, bool awaits);

#endif
