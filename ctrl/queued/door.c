#include "ctrl/queued/door.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/role.h"

enum { METHOD_POST = 2 /* in a request's head */ };

/* ---- the request ---- */

struct weir_span weir_door_field(const struct weir_door *door, const char *name)
{
	const struct weir_head_field *const field = weir_runtime_fields(door->call);

	for (uint16_t i = 0; i < door->call->head->field_count; i++) {
		if (weir_span_equal_nocase(weir_runtime_span(door->call, field[i].name), weir_span_of(name)))
			return weir_runtime_span(door->call, field[i].value);
	}
	return WEIR_SPAN("");
}

bool weir_door_may(const struct weir_door *door, const char *space)
{
	const struct weir_request_head *const head = door->call->head;

	if (head->caller_role == WEIR_ROLE_NOBODY)
		return (head->caller_flags & WEIR_HEAD_CALLER_REQUIRED) == 0;
	return weir_role_may(head->caller_role, weir_runtime_span(door->call, head->caller), WEIR_ROLE_INVOKER,
			     weir_span_of(space));
}

bool weir_door_may_list(const struct weir_door *door, const char *space)
{
	const struct weir_request_head *const head = door->call->head;

	if (!weir_door_may(door, space))
		return false;
	return head->caller_role == WEIR_ROLE_NOBODY || head->caller_role == WEIR_ROLE_ADMIN ||
	       weir_span_equal(weir_runtime_span(door->call, head->caller), weir_span_of(space));
}

bool weir_door_id_read(struct weir_span text, struct weir_id *out_id)
{
	char digits[33] = "";
	int used = 0;

	if (text.bytes != 32)
		return false;
	memcpy(digits, text.data, 32);
	return strspn(digits, "0123456789abcdef") == 32 &&
	       sscanf(digits, "%16" SCNx64 "%16" SCNx64 "%n", &out_id->high, &out_id->low, &used) == 2 && used == 32;
}

/* A field of a runner's that is a number in hex, or two in decimal. */
static bool runner_read(const struct weir_door *door, uint64_t *out_runner)
{
	const struct weir_span text = weir_door_field(door, WEIR_QUEUED_RUNNER);
	char copy[17] = "";

	if (text.bytes == 0 || text.bytes >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.bytes);
	return sscanf(copy, "%" SCNx64, out_runner) == 1;
}

static bool call_read(const struct weir_door *door, struct weir_queue_call *call)
{
	const struct weir_span text = weir_door_field(door, WEIR_QUEUED_CALL);
	char copy[WEIR_DOOR_TEXT_BYTES] = "";

	if (text.bytes == 0 || text.bytes >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.bytes);
	return sscanf(copy, "%" SCNd64 " %u", &call->number, &call->attempt) == 2;
}

/* ---- operations ---- */

int weir_door_operation(struct weir_door *door, enum weir_operation_kind kind)
{
	weir_operation_free(door->operation);
	door->operation = weir_operation_create(kind);
	return door->operation == NULL ? -ENOMEM : 0;
}

int weir_door_do(struct weir_door *door)
{
	const int result = weir_writer_do(door->writer, door->call, door->operation);

	if (result != 0)
		door->operation = NULL;
	return result;
}

/* Send for runners: they start when this call has been answered. One that cannot be sent for is given up in a
 * moment, and sent for again. */
static void runners_send(struct weir_door *door)
{
	for (size_t i = 0; door->operation != NULL && i < door->operation->start_count; i++) {
		char runner[17];
		const struct weir_runtime_field field = {
			.name = WEIR_SPAN(WEIR_QUEUED_RUNNER),
			.value = {.data = runner, .bytes = 16},
		};
		const struct weir_runtime_target target = {
			.name = WEIR_SPAN("runner"),
			.path = WEIR_SPAN("/run"),
			.fields = &field,
			.field_count = 1,
			.method = METHOD_POST,
			.is_one_way = true,
		};
		struct weir_runtime_answer answer;
		uint32_t nested = 0;

		(void)snprintf(runner, sizeof(runner), "%016" PRIx64, door->operation->start[i]); /* fits */
		if (door->call->ops->nested_start(door->call, &target, &nested) != 0)
			return;
		if (weir_runtime_nested_wait(door->call, nested, &answer) == 0)
			door->call->ops->nested_free(door->call, &answer);
	}
}

/* ---- answers ---- */

int weir_door_answer(struct weir_door *door, uint32_t status, const char *type, struct weir_span body,
		     const struct weir_runtime_field *fields, size_t field_count)
{
	const struct weir_whole_answer answer = {
		.status = status,
		.type = type == NULL ? WEIR_SPAN("") : weir_span_of(type),
		.body = body,
		.fields = fields,
		.field_count = field_count,
	};

	runners_send(door);
	return weir_whole_answer_send(door->call, &answer);
}

int weir_door_answer_json(struct weir_door *door, uint32_t status, cJSON *json,
			  const struct weir_runtime_field *fields, size_t field_count)
{
	char *const text = json == NULL ? NULL : cJSON_PrintUnformatted(json);
	int result = -ENOMEM;

	cJSON_Delete(json);
	if (text != NULL)
		result = weir_door_answer(door, status, "application/json", weir_span_of(text), fields, field_count);
	cJSON_free(text);
	return result;
}

int weir_door_refuse(struct weir_door *door, uint32_t status, const char *word, const char *format, ...)
{
	static const struct weir_runtime_field again = {{"retry-after", 11}, {"1", 1}};
	cJSON *const json = cJSON_CreateObject();
	char sentence[768];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* cut is fine */
	va_end(arguments);
	(void)cJSON_AddStringToObject(json, "error", sentence); /* or members lack */
	(void)cJSON_AddStringToObject(json, "code", word);
	(void)cJSON_AddStringToObject(json, "part", "async");
	return weir_door_answer_json(door, status, json, &again, status == 429 || status == 503);
}

int weir_door_trouble(struct weir_door *door)
{
	return weir_door_refuse(door, 503, "async_store", "Asynchronous calls cannot be kept now: %s",
				door->operation->sentence);
}

/* ---- runners ---- */

/* The call that a runner gets, or none: then it ends. */
static int call_send(struct weir_door *door)
{
	const struct weir_operation *const operation = door->operation;
	const struct weir_queue_call *const call = &operation->call;
	char number[48];
	char id[32];
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	struct weir_runtime_field field[WEIR_DOOR_FIELDS_MAX];
	size_t count = 0;

	if (operation->result == -ENOENT)
		return weir_door_answer(door, 204, NULL, WEIR_SPAN(""), NULL, 0);
	if (operation->result != 0)
		return weir_door_trouble(door);
	(void)snprintf(number, sizeof(number), "%" PRId64 " %u", call->number, call->attempt); /* fits, as the next */
	(void)snprintf(function, sizeof(function), "%s/%s", call->space, call->name);
	weir_id_format(call->id, id);
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_CALL), weir_span_of(number)};
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_ID), {.data = id, .bytes = sizeof(id)}};
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_FUNCTION), weir_span_of(function)};
	if (call->query != NULL)
		field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_QUERY), weir_span_of(call->query)};
	return weir_door_answer(door, 200, call->type, (struct weir_span){.data = call->body, .bytes = call->body_bytes},
				field, count);
}

/* Copy a field's text; NULL where it is empty or not there. False: no memory. */
static bool field_copy(const struct weir_door *door, const char *name, char **out)
{
	const struct weir_span text = weir_door_field(door, name);

	*out = text.bytes == 0 ? NULL : strndup(text.data, text.bytes);
	return text.bytes == 0 || *out != NULL;
}

/* What came of a run, out of the request. 0, -EINVAL, -ENOMEM, or the body's. */
static int end_read(struct weir_door *door, struct weir_operation *operation)
{
	struct weir_queue_call *const call = &operation->call;
	char *status = NULL;
	int result = weir_whole_body_read(door->call, &door->body, WEIR_RUNTIME_ANSWER_BYTES_MAX);

	if (result != 0)
		return result;
	if (!call_read(door, call))
		return -EINVAL;
	if (!field_copy(door, WEIR_QUEUED_FAILURE, &call->failure) ||
	    !field_copy(door, "content-type", &call->answer_type) || !field_copy(door, WEIR_QUEUED_STATUS, &status))
		return -ENOMEM;
	call->status = status == NULL ? 0 : (uint32_t)strtoul(status, NULL, 10);
	free(status);
	call->answer = malloc(door->body.bytes + 1);
	if (call->answer == NULL)
		return -ENOMEM;
	if (door->body.bytes > 0)
		memcpy(call->answer, door->body.data, door->body.bytes);
	call->answer_bytes = door->body.bytes;
	operation->is_last = weir_door_field(door, WEIR_QUEUED_LAST).bytes > 0;
	return 0;
}

static int runner_unsound(struct weir_door *door)
{
	return weir_door_refuse(door, 400, "bad_runner", "a runner's request lacks its fields");
}

static int runner_serve(struct weir_door *door, enum weir_operation_kind kind)
{
	int result = weir_door_operation(door, kind);

	if (result != 0)
		return result;
	if (!runner_read(door, &door->operation->runner))
		return runner_unsound(door);
	if (kind == WEIR_OPERATION_DONE)
		result = end_read(door, door->operation);
	else if (kind == WEIR_OPERATION_RENEW && !call_read(door, &door->operation->call))
		result = -EINVAL;
	if (result == -EINVAL)
		return runner_unsound(door);
	if (result == 0)
		result = weir_door_do(door);
	if (result != 0)
		return result;
	if (kind != WEIR_OPERATION_RENEW)
		return call_send(door);
	result = door->operation->result;
	if (door->operation->sentence[0] != '\0')
		return weir_door_trouble(door);
	return weir_door_answer(door, result == 0 ? 204 : result == -ECANCELED ? 410 : 409, NULL, WEIR_SPAN(""), NULL, 0);
}

/* ---- all requests ---- */

/* "/A/B" -> "A", and "/B" stays. Empty: there is none. */
static struct weir_span segment_take(struct weir_span *path)
{
	struct weir_span segment = {.data = path->data, .bytes = 0};
	const char *end = NULL;

	if (path->bytes == 0 || path->data[0] != '/')
		return segment;
	segment.data++;
	end = memchr(segment.data, '/', path->bytes - 1);
	segment.bytes = end == NULL ? path->bytes - 1 : (size_t)(end - segment.data);
	path->data += segment.bytes + 1;
	path->bytes -= segment.bytes + 1;
	return segment;
}

static int people_serve(struct weir_door *door)
{
	struct weir_span rest = door->path;
	const struct weir_span first = segment_take(&rest);
	const struct weir_span second = segment_take(&rest);
	const bool is_post = weir_span_equal(door->method, WEIR_SPAN("POST"));
	const bool is_get = weir_span_equal(door->method, WEIR_SPAN("GET"));
	struct weir_id id;

	if (first.bytes == 0 && second.bytes == 0 && rest.bytes == 0)
		return weir_door_status(door);
	if (is_get && rest.bytes == 0 && weir_span_equal(second, WEIR_SPAN("result")) && weir_door_id_read(first, &id))
		return weir_door_result_get(door, id);
	if (second.bytes > 0 && rest.bytes == 0)
		return is_post ? weir_door_accept(door, first, second)
			       : weir_door_refuse(door, 405, "method_not_allowed",
						  "POST /weir/async/NAMESPACE/NAME calls a function");
	if (second.bytes > 0 || rest.bytes > 0 || !weir_door_id_read(first, &id))
		return weir_door_refuse(door, 404, "not_found",
					"Asynchronous calls are /weir/async/NAMESPACE/NAME, and then /weir/async/ID");
	return is_get ? weir_door_call_get(door, id) : weir_door_call_change(door, id);
}

/* Runners come by paths that no route leads to. */
static int serve(struct weir_door *door)
{
	static const struct weir_span prefix = {"/weir/async", 11};
	const struct weir_span path = door->path;

	if (weir_span_equal(path, WEIR_SPAN("/take")))
		return runner_serve(door, WEIR_OPERATION_TAKE);
	if (weir_span_equal(path, WEIR_SPAN("/renew")))
		return runner_serve(door, WEIR_OPERATION_RENEW);
	if (weir_span_equal(path, WEIR_SPAN("/done")))
		return runner_serve(door, WEIR_OPERATION_DONE);
	if (path.bytes >= prefix.bytes && memcmp(path.data, prefix.data, prefix.bytes) == 0) {
		door->path.data += prefix.bytes;
		door->path.bytes -= prefix.bytes;
	}
	return people_serve(door);
}

int weir_queued_door(struct weir_runtime_call *call, struct weir_writer *writer, const struct weir_queue_limits *limits)
{
	struct weir_door door = {
		.call = call,
		.writer = writer,
		.limits = limits,
		.method = weir_runtime_method(call),
		.path = weir_runtime_span(call, call->head->path),
	};
	int result = serve(&door);

	if (result == -ENOMEM || result == -ENOBUFS)
		result = weir_door_refuse(&door, 503, "no_memory", "Not enough memory for this call; try again later");
	weir_operation_free(door.operation);
	weir_whole_body_free(&door.body);
	if (result == 0)
		return 0;
	call->abort_code = WEIR_ABORT_FAILED;
	(void)snprintf(call->abort_reason, sizeof(call->abort_reason), "%s", strerror(-result)); /* fits */
	return -1;
}
