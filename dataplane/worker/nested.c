#include "dataplane/worker/nested.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/port/port_nested.h"
#include "dataplane/shm/head_check.h"

/* ---- the request ---- */

static struct weir_head_slice put(uint8_t *out, size_t *at, struct weir_span text)
{
	const struct weir_head_slice slice = {.offset = (uint16_t)*at,
					      .bytes = (uint16_t)text.bytes};

	if (text.bytes != 0)
		memcpy(out + *at, text.data, text.bytes);
	*at += text.bytes;
	return slice;
}

size_t weir_nested_head_bytes(const struct weir_runtime_target *target)
{
	size_t bytes = sizeof(struct weir_request_head) + target->name.bytes + target->path.bytes +
		       target->query.bytes + 1;

	for (size_t i = 0; i < target->field_count; i++)
		bytes += sizeof(struct weir_head_field) + target->fields[i].name.bytes +
			 target->fields[i].value.bytes;
	return bytes;
}

size_t weir_nested_head_encode(const struct weir_runtime_target *target, uint8_t *out)
{
	struct weir_request_head head = {
		.method = target->method,
		.minor = 1,
		.field_count = (uint16_t)target->field_count,
		.content_length = target->body.bytes,
	};
	size_t row_at = sizeof(head);
	size_t at = row_at + target->field_count * sizeof(struct weir_head_field);

	for (size_t i = 0; i < target->field_count; i++) {
		struct weir_head_field row;

		row.name = put(out, &at, target->fields[i].name);
		row.value = put(out, &at, target->fields[i].value);
		memcpy(out + row_at, &row, sizeof(row));
		row_at += sizeof(row);
	}
	head.target = put(out, &at, target->name);
	head.path = put(out, &at,
			target->path.bytes != 0 ? target->path : WEIR_SPAN("/"));
	head.query = put(out, &at, target->query);
	head.bytes = (uint32_t)at;
	memcpy(out, &head, sizeof(head));
	return at;
}

static int room_wait(struct weir_runtime_call *base, struct weir_port_call *port_call,
		     uint32_t slot, uint8_t **out_data, size_t *out_bytes)
{
	int result = weir_port_nested_room(port_call, slot, out_data, out_bytes);

	while (result == -EAGAIN) {
		result = base->ops->wait(base, NULL, 0, UINT64_MAX);
		if (result == 0)
			result = weir_port_nested_room(port_call, slot, out_data, out_bytes);
	}
	return result;
}

/* Send the request in as many parts as it takes. */
static int request_put(struct weir_runtime_call *base, struct weir_port_call *port_call,
		       uint32_t slot, const struct weir_runtime_target *target)
{
	struct weir_span body = target->body;
	bool is_first = true;
	int result = 0;

	do {
		uint8_t *data = NULL;
		size_t room = 0;
		size_t head = 0;
		size_t part = 0;
		uint8_t flags = 0;

		result = room_wait(base, port_call, slot, &data, &room);
		if (result != 0)
			return result;
		if (is_first)
			head = weir_nested_head_encode(target, data);
		part = body.bytes < room - head ? body.bytes : room - head;
		if (part != 0)
			memcpy(data + head, body.data, part);
		body.data += part;
		body.bytes -= part;
		if (body.bytes == 0)
			flags = target->is_one_way ? WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_ONE_WAY
						   : WEIR_MESSAGE_FLAG_END;
		result = weir_port_nested_put(port_call, slot, (uint32_t)head,
					      (uint32_t)(head + part), flags);
		is_first = false;
	} while (result == 0 && body.bytes != 0);
	return result;
}

int weir_nested_start(struct weir_nested *nested, struct weir_runtime_call *base,
		      struct weir_port_call *port_call, const struct weir_runtime_target *target,
		      uint32_t *out_slot)
{
	uint32_t slot = 0;
	int result = 0;

	while (slot < WEIR_NESTED_SLOTS && nested->is_used[slot])
		slot++;
	if (slot == WEIR_NESTED_SLOTS)
		return -EBUSY;
	if (target->name.bytes == 0 || target->field_count > WEIR_RUNTIME_TARGET_FIELDS_MAX)
		return -EINVAL;
	if (target->body.bytes > WEIR_NESTED_BODY_BYTES_MAX)
		return -EMSGSIZE;
	if (weir_nested_head_bytes(target) > WEIR_NESTED_HEAD_BYTES_MAX)
		return -E2BIG;
	nested->is_used[slot] = true; /* others of this call may start while this one waits */
	result = request_put(base, port_call, slot, target);
	if (result != 0) {
		nested->is_used[slot] = false;
		return result;
	}
	*out_slot = slot;
	return 0;
}

/* ---- the answer ---- */

/* Append to what is gathered. 0, -ENOMEM or -EMSGSIZE. */
static int gather(struct weir_nested_answer **answer, struct weir_span data)
{
	const size_t used = *answer != NULL ? (*answer)->bytes : 0;
	const size_t wanted = used + data.bytes;
	size_t capacity = *answer != NULL ? (*answer)->capacity : 1024;

	if (wanted > WEIR_RUNTIME_ANSWER_BYTES_MAX + WEIR_HEAD_RESPONSE_BYTES_MAX)
		return -EMSGSIZE;
	while (capacity < wanted)
		capacity *= 2;
	if (*answer == NULL || capacity != (*answer)->capacity) {
		struct weir_nested_answer *const larger =
			realloc(*answer, sizeof(*larger) + capacity);

		if (larger == NULL)
			return -ENOMEM;
		if (*answer == NULL)
			*larger = (struct weir_nested_answer){.next = NULL};
		larger->capacity = capacity;
		*answer = larger;
	}
	if (data.bytes != 0)
		memcpy((*answer)->data + used, data.data, data.bytes);
	(*answer)->bytes = wanted;
	return 0;
}

/* The first part: copy the head, check the copy. */
static int head_take(struct weir_nested_answer **answer, const struct weir_port_nested_part *part)
{
	int result = gather(answer, part->head);

	if (result != 0)
		return result;
	(*answer)->activation_high = part->reply.activation_high;
	(*answer)->activation_low = part->reply.activation_low;
	(*answer)->head_bytes = part->head.bytes;
	if (weir_head_check_response((*answer)->data, (*answer)->head_bytes) != 0)
		return -EPIPE;
	return 0;
}

static int part_take(struct weir_nested_answer **answer, const struct weir_port_nested_part *part)
{
	int result = 0;

	if (part->is_broken)
		return -EPIPE;
	if (part->head.bytes != 0)
		result = head_take(answer, part);
	if (result == 0 && *answer == NULL)
		result = -EPIPE;
	return result == 0 ? gather(answer, part->body) : result;
}

static struct weir_runtime_answer view(struct weir_nested_answer *answer)
{
	const struct weir_response_head *const head = (const void *)answer->data;

	return (struct weir_runtime_answer){
		.status = head->status,
		.activation_high = answer->activation_high,
		.activation_low = answer->activation_low,
		.head = head,
		.body = {.data = (const char *)answer->data + answer->head_bytes,
			 .bytes = answer->bytes - answer->head_bytes},
		.memory = answer,
	};
}

int weir_nested_answer(struct weir_nested *nested, struct weir_port_call *port_call, uint32_t slot,
		       struct weir_runtime_answer *out_answer)
{
	struct weir_nested_answer **const answer = &nested->gathering[slot];
	struct weir_port_nested_part part;
	int result = 0;

	if (slot >= WEIR_NESTED_SLOTS || !nested->is_used[slot])
		return -EINVAL;
	for (;;) {
		result = weir_port_nested_part(port_call, slot, &part);
		if (result != 0)
			return result;
		result = part_take(answer, &part);
		if (result != 0 || part.is_last)
			break;
		result = weir_port_nested_more(port_call, slot);
		if (result != 0)
			break;
	}
	weir_port_nested_drop(port_call, slot);
	nested->is_used[slot] = false;
	if (result != 0) {
		free(*answer);
		*answer = NULL;
		return result;
	}
	(*answer)->next = nested->answers;
	nested->answers = *answer;
	*out_answer = view(*answer);
	*answer = NULL;
	return 0;
}

void weir_nested_drop(struct weir_nested *nested, struct weir_port_call *port_call, uint32_t slot)
{
	if (slot >= WEIR_NESTED_SLOTS || !nested->is_used[slot])
		return;
	weir_port_nested_drop(port_call, slot);
	nested->is_used[slot] = false;
	free(nested->gathering[slot]);
	nested->gathering[slot] = NULL;
}

void weir_nested_answer_free(struct weir_nested *nested, struct weir_runtime_answer *answer)
{
	struct weir_nested_answer **place = &nested->answers;

	while (*place != NULL && *place != answer->memory)
		place = &(*place)->next; /* at most WEIR_NESTED_CALLS_MAX */
	if (*place == NULL)
		return;
	*place = (*place)->next;
	free(answer->memory);
	*answer = (struct weir_runtime_answer){.status = 0};
}

void weir_nested_end(struct weir_nested *nested)
{
	for (size_t i = 0; i < WEIR_NESTED_SLOTS; i++)
		free(nested->gathering[i]);
	while (nested->answers != NULL) {
		struct weir_nested_answer *const answer = nested->answers;

		nested->answers = answer->next;
		free(answer);
	}
}
