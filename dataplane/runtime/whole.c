#include "dataplane/runtime/whole.h"

#include <errno.h>
#include <stdlib.h>

enum { BODY_BYTES_FIRST = 4096 };

static size_t bodies_bytes; /* in this worker; the baton's */

/* Room for the body's next bytes. */
static int body_reserve(struct weir_whole_body *body, size_t more, size_t bytes_max)
{
	size_t wanted = body->room == 0 ? BODY_BYTES_FIRST : body->room;
	char *grown = NULL;

	if (body->bytes + more > bytes_max)
		return -EMSGSIZE;
	while (wanted < body->bytes + more)
		wanted *= 2;
	if (wanted == body->room)
		return 0;
	if (bodies_bytes + wanted - body->room > WEIR_WHOLE_BODIES_BYTES_MAX)
		return -ENOBUFS;
	grown = realloc(body->data, wanted);
	if (grown == NULL)
		return -ENOMEM;
	bodies_bytes += wanted - body->room;
	body->data = grown;
	body->room = wanted;
	return 0;
}

void weir_whole_body_free(struct weir_whole_body *body)
{
	bodies_bytes -= body->room;
	free(body->data);
	*body = (struct weir_whole_body){.data = NULL};
}

int weir_whole_body_read(struct weir_runtime_call *call, struct weir_whole_body *body, size_t bytes_max)
{
	struct weir_span piece;
	int result = 0;

	for (;;) {
		result = call->ops->body_peek(call, &piece);
		if (result == -EAGAIN) {
			result = call->ops->wait(call, NULL, 0, UINT64_MAX);
		} else if (result == 1) {
			result = body_reserve(body, piece.bytes, bytes_max);
			if (result != 0)
				return result;
			memcpy(body->data + body->bytes, piece.data, piece.bytes);
			body->bytes += piece.bytes;
			call->ops->body_consume(call, piece.bytes);
		} else {
			return result;
		}
		if (result != 0)
			return result;
	}
}

static int body_send(struct weir_runtime_call *call, struct weir_span body)
{
	int result = call->ops->length(call, body.bytes);

	while (result == 0 && body.bytes > 0) {
		size_t taken = 0;

		result = call->ops->append(call, body.data, body.bytes, &taken);
		if (result == -EAGAIN) {
			result = call->ops->wait(call, NULL, 0, UINT64_MAX);
			continue;
		}
		body.data += taken;
		body.bytes -= result == 0 ? taken : 0;
	}
	return result;
}

int weir_whole_answer_send(struct weir_runtime_call *call, const struct weir_whole_answer *answer)
{
	int result = call->ops->status(call, answer->status);

	if (result == 0 && answer->type.bytes > 0)
		result = call->ops->field(call, WEIR_SPAN("content-type"), answer->type);
	for (size_t i = 0; result == 0 && i < answer->field_count; i++)
		result = call->ops->field(call, answer->fields[i].name, answer->fields[i].value);
	return result == 0 ? body_send(call, answer->body) : result;
}
