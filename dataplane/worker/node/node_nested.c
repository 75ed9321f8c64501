#include "dataplane/worker/node/node_nested.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/port/port_nested.h"

struct request {
	uint8_t *bytes; /* head and body; NULL = sent */
	size_t head_bytes;
	size_t byte_count;
	size_t sent;
	uint8_t end_flags;
};

struct weir_node_nested {
	struct weir_nested answers;
	struct request request[WEIR_NESTED_SLOTS];
};

static void request_free(struct request *request)
{
	free(request->bytes);
	request->bytes = NULL;
}

/* Send what there is room for. 0 = all of it, -EAGAIN, or the port's errors. */
static int request_send(struct weir_port_call *call, uint32_t i, struct request *request)
{
	while (request->bytes != NULL) {
		const bool is_first = request->sent == 0;
		uint8_t *data = NULL;
		size_t room = 0;
		size_t part = request->byte_count - request->sent;
		int result = weir_port_nested_room(call, i, &data, &room);

		if (result != 0)
			return result;
		if (is_first && request->head_bytes > room)
			return -EBADMSG; /* no gateway gives so little */
		if (part > room)
			part = room;
		memcpy(data, request->bytes + request->sent, part);
		request->sent += part;
		result = weir_port_nested_put(call, i, is_first ? (uint32_t)request->head_bytes : 0,
					      (uint32_t)part,
					      request->sent == request->byte_count ? request->end_flags : 0);
		if (result != 0)
			return result;
		if (request->sent == request->byte_count)
			request_free(request);
	}
	return 0;
}

/* One of them, as far as it goes now. */
static void go_on(struct weir_node_slot *slot, uint32_t i)
{
	struct weir_node_nested *const nested = slot->nested;
	struct weir_runtime_answer answer = {.status = 0};
	int result = request_send(slot->call, i, &nested->request[i]);

	if (result == 0)
		result = weir_nested_answer(&nested->answers, slot->call, i, &answer);
	if (result == -EAGAIN)
		return;
	if (result != 0) { /* the answer's own errors have freed the slot already */
		request_free(&nested->request[i]);
		weir_nested_drop(&nested->answers, slot->call, i);
	}
	weir_node_nested_answered(slot, i, result, &answer);
}

void weir_node_nested_events(struct weir_node_slot *slot)
{
	const struct weir_port_call *const call = slot->call;
	const uint32_t id = slot->id;

	for (uint32_t i = 0; i < WEIR_NESTED_SLOTS; i++) {
		if (slot->call != call || slot->id != id || slot->nested == NULL)
			return; /* what it promised ran, and it is over */
		if (slot->nested->answers.is_used[i])
			go_on(slot, i);
	}
}

static int target_check(const struct weir_runtime_target *target)
{
	if (target->name.bytes == 0 || target->field_count > WEIR_RUNTIME_TARGET_FIELDS_MAX)
		return -EINVAL;
	if (target->body.bytes > WEIR_NESTED_BODY_BYTES_MAX)
		return -EMSGSIZE;
	return weir_nested_head_bytes(target) > WEIR_NESTED_HEAD_BYTES_MAX ? -E2BIG : 0;
}

static int request_make(struct request *request, const struct weir_runtime_target *target)
{
	request->bytes = malloc(weir_nested_head_bytes(target) + target->body.bytes);
	if (request->bytes == NULL)
		return -ENOMEM;
	request->head_bytes = weir_nested_head_encode(target, request->bytes);
	request->byte_count = request->head_bytes + target->body.bytes;
	request->sent = 0;
	request->end_flags = target->is_one_way ? WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_ONE_WAY
						: WEIR_MESSAGE_FLAG_END;
	if (target->body.bytes != 0)
		memcpy(request->bytes + request->head_bytes, target->body.data, target->body.bytes);
	return 0;
}

int weir_node_nested_start(struct weir_node_slot *slot, const struct weir_runtime_target *target,
			   uint32_t *out_nested)
{
	uint32_t i = 0;
	int result = target_check(target);

	if (result != 0)
		return result;
	if (slot->nested == NULL)
		slot->nested = calloc(1, sizeof(*slot->nested));
	if (slot->nested == NULL)
		return -ENOMEM;
	while (i < WEIR_NESTED_SLOTS && slot->nested->answers.is_used[i])
		i++;
	if (i == WEIR_NESTED_SLOTS)
		return -EBUSY;
	result = request_make(&slot->nested->request[i], target);
	if (result != 0)
		return result;
	slot->nested->answers.is_used[i] = true;
	slot->has_event = true; /* the first step is taken with the others' */
	slot->host->has_events = true;
	*out_nested = i;
	return 0;
}

void weir_node_nested_end(struct weir_node_nested *nested)
{
	if (nested == NULL)
		return;
	for (size_t i = 0; i < WEIR_NESTED_SLOTS; i++)
		request_free(&nested->request[i]);
	weir_nested_end(&nested->answers);
	free(nested);
}
