/* port_nested: calls that a started call makes: the worker's side of the CALL messages of
 * abi/nested.h, where the states are drawn.
 *
 *   open -> room, put ... put(end) -> part, more, part ... part(last) -> room, put ...
 *
 * Each of the WEIR_NESTED_SLOTS slots of a call carries one such call after another. Nothing here
 * waits: -EAGAIN means that the call must wait until the port's wake() names it.
 * Owns: the slot's chunk between CHUNK or REPLY and the next PUT or MORE. Threads: the port's one.
 * Peer death: -ECANCELED, like everything of a call. */
#ifndef WEIR_DATAPLANE_PORT_PORT_NESTED_H
#define WEIR_DATAPLANE_PORT_PORT_NESTED_H

#include "dataplane/abi/nested.h"
#include "dataplane/port/port_call.h"

/* Where the next part of the slot's request goes: *out_data holds *out_bytes. Opens the slot if it
 * has no chunk yet. 0, -EAGAIN, -ENOBUFS (the gateway has no memory for it now; asking again may help
 * later), -EBUSY (its last answer is not read to the end), -ECANCELED, -EBADMSG (ring full: a lie). */
int weir_port_nested_room(struct weir_port_call *call, uint32_t slot, uint8_t **out_data,
			  size_t *out_bytes);

/* That room's first `bytes` bytes are the next part; `head_bytes` of them the head (first part only).
 * `flags`: WEIR_MESSAGE_FLAG_END, WEIR_NESTED_FLAG_ONE_WAY. 0, -ECANCELED or -EBADMSG. */
int weir_port_nested_put(struct weir_port_call *call, uint32_t slot, uint32_t head_bytes,
			 uint32_t bytes, uint8_t flags);

/* The part of the answer that is here; valid until more() or the next put(). `reply` and `head` are
 * set in the first one: checked against the chunk's size, but shared memory all the same. */
struct weir_port_nested_part {
	struct weir_nested_reply reply;
	struct weir_span head; /* a struct weir_response_head; copy and check it; empty: not the first */
	struct weir_span body;
	bool is_last;
	bool is_broken; /* last, and the answer is not whole */
};

/* 0, -EAGAIN, -ECANCELED, -EINVAL (no call was put). */
int weir_port_nested_part(struct weir_port_call *call, uint32_t slot,
			  struct weir_port_nested_part *out_part);

/* Done with that part, which was not the last. 0, -ECANCELED or -EBADMSG. */
int weir_port_nested_more(struct weir_port_call *call, uint32_t slot);

/* The answer is not wanted (any more): the slot is free at once, or soon (room() says -EAGAIN). */
void weir_port_nested_drop(struct weir_port_call *call, uint32_t slot);

#endif
