#include "dataplane/port/port_nested.h"

#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/port/port_private.h"

static_assert(WEIR_PORT_NESTED_SLOTS == (int)WEIR_NESTED_SLOTS, "one state for each slot");

/* Closed = no chunk yet; the others as in abi/nested.h. */
enum state {
	STATE_CLOSED,
	STATE_ASKED,    /* OPEN is sent */
	STATE_REFUSED,  /* said once, then closed again */
	STATE_WRITING,  /* the chunk is here, for a request */
	STATE_PUT,      /* a part is sent, the chunk will come back for the next */
	STATE_RUNNING,
	STATE_READING,  /* the chunk is here, with a part of the answer */
	STATE_LAST,     /* ... the last one */
	STATE_DROPPED,  /* DROP is sent, the chunk will come back */
};

static struct weir_port_nested *slot_of(struct weir_port_call *call, uint32_t slot)
{
	WEIR_ASSERT(slot < WEIR_NESTED_SLOTS);
	if (!call->is_nested_open) { /* the first of this call */
		call->is_nested_open = true;
		for (size_t i = 0; i < WEIR_NESTED_SLOTS; i++)
			call->nested[i] = (struct weir_port_nested){.state = STATE_CLOSED,
								    .chunk = WEIR_CHUNK_NONE};
	}
	return &call->nested[slot];
}

static int send(struct weir_port_call *call, uint32_t slot, enum weir_nested_op op,
		struct weir_message message)
{
	message.kind = WEIR_MESSAGE_CALL;
	message.grant = WEIR_CHUNK_NONE;
	message.code = weir_nested_code(slot, op);
	return weir_port_push(call, message) ? 0 : -EBADMSG;
}

int weir_port_nested_room(struct weir_port_call *call, uint32_t slot, uint8_t **out_data,
			  size_t *out_bytes)
{
	struct weir_port_nested *const nested = slot_of(call, slot);
	int result = 0;

	if (call->is_cancelled)
		return -ECANCELED;
	switch ((enum state)nested->state) {
	case STATE_CLOSED:
		result = send(call, slot, WEIR_NESTED_OPEN,
			      (struct weir_message){.chunk = WEIR_CHUNK_NONE});
		if (result != 0)
			return result;
		nested->state = STATE_ASKED;
		return -EAGAIN;
	case STATE_ASKED:
	case STATE_PUT:
	case STATE_DROPPED:
		return -EAGAIN;
	case STATE_REFUSED:
		nested->state = STATE_CLOSED;
		return -ENOBUFS;
	case STATE_RUNNING:
	case STATE_READING:
		return -EBUSY;
	case STATE_LAST:
		nested->state = STATE_WRITING;
		break;
	case STATE_WRITING:
		break;
	}
	*out_data = weir_segment_chunk(call->pair->shm, nested->chunk, out_bytes);
	return 0;
}

int weir_port_nested_put(struct weir_port_call *call, uint32_t slot, uint32_t head_bytes,
			 uint32_t bytes, uint8_t flags)
{
	struct weir_port_nested *const nested = slot_of(call, slot);

	if (call->is_cancelled)
		return -ECANCELED;
	WEIR_ASSERT(nested->state == STATE_WRITING && head_bytes <= bytes);
	nested->state = (flags & WEIR_MESSAGE_FLAG_END) != 0 ? STATE_RUNNING : STATE_PUT;
	nested->is_begun = false;
	return send(call, slot, WEIR_NESTED_PUT,
		    (struct weir_message){.flags = flags,
					  .chunk = nested->chunk,
					  .bytes = bytes,
					  .head_bytes = head_bytes});
}

int weir_port_nested_part(struct weir_port_call *call, uint32_t slot,
			  struct weir_port_nested_part *out_part)
{
	struct weir_port_nested *const nested = slot_of(call, slot);
	size_t size = 0;
	const char *data = NULL;

	if (call->is_cancelled)
		return -ECANCELED;
	if (nested->state == STATE_RUNNING)
		return -EAGAIN;
	if (nested->state != STATE_READING && nested->state != STATE_LAST)
		return -EINVAL;
	data = (const char *)weir_segment_chunk(call->pair->shm, nested->chunk, &size);
	*out_part = (struct weir_port_nested_part){
		.body = {.data = data + nested->head_bytes,
			 .bytes = nested->bytes - nested->head_bytes},
		.is_last = nested->state == STATE_LAST,
		.is_broken = nested->is_broken,
	};
	if (nested->head_bytes != 0) {
		memcpy(&out_part->reply, data, sizeof(out_part->reply));
		out_part->head = (struct weir_span){
			.data = data + sizeof(out_part->reply),
			.bytes = nested->head_bytes - sizeof(out_part->reply)};
	}
	return 0;
}

int weir_port_nested_more(struct weir_port_call *call, uint32_t slot)
{
	struct weir_port_nested *const nested = slot_of(call, slot);

	if (call->is_cancelled)
		return -ECANCELED;
	WEIR_ASSERT(nested->state == STATE_READING);
	nested->state = STATE_RUNNING;
	return send(call, slot, WEIR_NESTED_MORE, (struct weir_message){.chunk = nested->chunk});
}

void weir_port_nested_drop(struct weir_port_call *call, uint32_t slot)
{
	struct weir_port_nested *const nested = slot_of(call, slot);

	if (nested->state == STATE_LAST)
		nested->state = STATE_WRITING;
	if (nested->state != STATE_RUNNING && nested->state != STATE_READING)
		return;
	/* A full ring is counted by push; the call's end drops it anyway. */
	(void)send(call, slot, WEIR_NESTED_DROP, (struct weir_message){.chunk = WEIR_CHUNK_NONE});
	nested->state = nested->state == STATE_READING ? STATE_WRITING : STATE_DROPPED;
}

/* A part of the answer: copied numbers, checked against the chunk. */
static bool reply_take(struct weir_port_call *call, struct weir_port_nested *nested,
		       const struct weir_message *message)
{
	size_t size = 0;

	if (nested->state == STATE_DROPPED) {
		nested->state = STATE_WRITING;
		return true;
	}
	if (nested->state != STATE_RUNNING || message->chunk != nested->chunk ||
	    weir_segment_chunk(call->pair->shm, nested->chunk, &size) == NULL ||
	    message->bytes > size || message->head_bytes > message->bytes)
		return false;
	nested->is_broken = (message->flags & WEIR_NESTED_FLAG_BROKEN) != 0;
	if (!nested->is_broken && nested->is_begun == (message->head_bytes != 0))
		return false;
	if (message->head_bytes != 0 &&
	    message->head_bytes < sizeof(struct weir_nested_reply) + sizeof(struct weir_response_head))
		return false;
	nested->is_begun = true;
	nested->bytes = message->bytes;
	nested->head_bytes = message->head_bytes;
	nested->state = (message->flags & WEIR_MESSAGE_FLAG_END) != 0 ? STATE_LAST : STATE_READING;
	return true;
}

bool weir_port_nested_take(struct weir_port_call *call, const struct weir_message *message)
{
	const uint32_t slot = weir_nested_slot(message->code);
	struct weir_port_nested *nested = NULL;
	size_t size = 0;

	if (!call->is_nested_open || slot >= WEIR_NESTED_SLOTS)
		return false;
	nested = &call->nested[slot];
	switch (weir_nested_op(message->code)) {
	case WEIR_NESTED_CHUNK:
		if ((nested->state != STATE_ASKED && nested->state != STATE_PUT) ||
		    weir_segment_chunk(call->pair->shm, message->grant, &size) == NULL)
			return false;
		nested->chunk = message->grant;
		nested->state = STATE_WRITING;
		return true;
	case WEIR_NESTED_REFUSED:
		if (nested->state != STATE_ASKED)
			return false;
		nested->state = STATE_REFUSED;
		return true;
	case WEIR_NESTED_REPLY:
		return reply_take(call, nested, message);
	default:
		return false;
	}
}
