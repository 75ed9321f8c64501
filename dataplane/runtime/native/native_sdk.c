#include "dataplane/runtime/native/native_sdk.h"

#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/sdk/weir_call.h"

static struct weir_text text_of(struct weir_span span)
{
	return (struct weir_text){.data = span.data, .bytes = span.bytes};
}

static struct weir_text slice_text(const struct weir_runtime_call *call,
				   struct weir_head_slice slice)
{
	return text_of(weir_runtime_span(call, slice));
}

/* Value of the row with that name among `count` rows; fields compare without case, parameters with. */
static struct weir_text row_find(const struct weir_runtime_call *call,
				 const struct weir_head_field *rows, size_t count,
				 const char *name, bool any_case)
{
	const struct weir_span wanted = weir_span_of(name);

	for (size_t i = 0; i < count; i++) {
		const struct weir_span found = weir_runtime_span(call, rows[i].name);

		if (any_case ? weir_span_equal_nocase(found, wanted)
			     : weir_span_equal(found, wanted))
			return slice_text(call, rows[i].value);
	}
	return (struct weir_text){0};
}

static struct weir_text request_header(const struct weir_request *request, const char *name)
{
	const struct weir_runtime_call *const call = request->worker;

	return row_find(call, weir_runtime_fields(call), call->head->field_count, name, true);
}

static int request_header_at(const struct weir_request *request, size_t index,
			     struct weir_text *out_name, struct weir_text *out_value)
{
	const struct weir_runtime_call *const call = request->worker;
	const struct weir_head_field *const fields = weir_runtime_fields(call);

	if (index >= call->head->field_count)
		return 0;
	*out_name = slice_text(call, fields[index].name);
	*out_value = slice_text(call, fields[index].value);
	return 1;
}

static struct weir_text request_param(const struct weir_request *request, const char *name)
{
	const struct weir_runtime_call *const call = request->worker;

	return row_find(call, weir_runtime_fields(call) + call->head->field_count,
			call->head->param_count, name, false);
}

/* `environ` while the function runs, and while the worker or other functions do. */
struct variables {
	char **own;
	char **others;
};

static int wait_until(struct weir_runtime_call *call, uint64_t until_ns)
{
	const struct variables *const variables = call->running;
	int result = 0;

	environ = variables->others;
	result = call->ops->wait(call, NULL, 0, until_ns);
	environ = variables->own;
	return result;
}

static int request_body(const struct weir_request *request, struct weir_text *out_body)
{
	struct weir_runtime_call *const call = request->worker;
	struct weir_span piece = {.data = ""};
	int result = 0;

	if (!call->is_body_whole)
		return -EAGAIN;
	result = call->ops->body_peek(call, &piece);
	if (result < 0)
		return result;
	*out_body = text_of(piece);
	return 0;
}

static ssize_t request_read(const struct weir_request *request, void *data, size_t bytes)
{
	struct weir_runtime_call *const call = request->worker;
	struct weir_span piece = {0};
	int result = call->ops->body_peek(call, &piece);

	while (result == -EAGAIN) {
		result = wait_until(call, call->deadline_ns);
		if (result == 0)
			result = call->ops->body_peek(call, &piece);
	}
	if (result <= 0)
		return result;
	if (bytes > piece.bytes)
		bytes = piece.bytes;
	memcpy(data, piece.data, bytes);
	call->ops->body_consume(call, bytes);
	return (ssize_t)bytes;
}

static int request_sleep_ms(const struct weir_request *request, uint64_t ms)
{
	struct weir_runtime_call *const call = request->worker;
	const uint64_t now_ns = weir_clock_now_ns();
	const uint64_t until_ns = ms > (UINT64_MAX - now_ns) / WEIR_NS_PER_MS
					  ? UINT64_MAX
					  : now_ns + ms * WEIR_NS_PER_MS;
	int result = 0;

	while (result == 0) /* other things of the call may arrive meanwhile */
		result = wait_until(call, until_ns);
	if (result == -ETIMEDOUT && until_ns <= weir_clock_now_ns())
		return 0;
	return result;
}

static void request_log(const struct weir_request *request, int level, const char *text)
{
	struct weir_runtime_call *const call = request->worker;

	call->ops->log(call, level, weir_span_of(text));
}

static int response_status(struct weir_response *response, unsigned int status)
{
	struct weir_runtime_call *const call = response->worker;

	return call->ops->status(call, status);
}

static int response_field(struct weir_response *response, struct weir_text name,
			  struct weir_text value)
{
	struct weir_runtime_call *const call = response->worker;

	return call->ops->field(call,
				(struct weir_span){.data = name.data, .bytes = name.bytes},
				(struct weir_span){.data = value.data, .bytes = value.bytes});
}

static int response_length(struct weir_response *response, uint64_t bytes)
{
	struct weir_runtime_call *const call = response->worker;

	return call->ops->length(call, bytes);
}

/* Room for the answer, waiting for a grant. */
static int room_wait(struct weir_runtime_call *call, uint8_t **out_data, size_t *out_bytes)
{
	int result = call->ops->room(call, out_data, out_bytes);

	while (result == -EAGAIN) {
		result = wait_until(call, call->deadline_ns);
		if (result == 0)
			result = call->ops->room(call, out_data, out_bytes);
	}
	return result;
}

static int response_write(struct weir_response *response, const void *data, size_t bytes)
{
	struct weir_runtime_call *const call = response->worker;
	const uint8_t *from = data;

	while (bytes != 0) {
		size_t taken = 0;
		int result = call->ops->append(call, from, bytes, &taken);

		if (result == -EAGAIN)
			result = wait_until(call, call->deadline_ns);
		if (result != 0)
			return result;
		from += taken;
		bytes -= taken;
	}
	return 0;
}

static int response_flush(struct weir_response *response)
{
	struct weir_runtime_call *const call = response->worker;
	int result = call->ops->flush(call);

	while (result == -EAGAIN) {
		result = wait_until(call, call->deadline_ns);
		if (result == 0)
			result = call->ops->flush(call);
	}
	return result;
}

static int response_reserve(struct weir_response *response, void **out_data, size_t *out_bytes)
{
	uint8_t *place = NULL;
	const int result = room_wait(response->worker, &place, out_bytes);

	if (result == 0)
		*out_data = place;
	return result;
}

static int response_commit(struct weir_response *response, size_t bytes)
{
	struct weir_runtime_call *const call = response->worker;

	return call->ops->commit(call, bytes);
}

/* ---- calls to other functions ---- */

static struct weir_span span_of(const char *text)
{
	return text == NULL ? (struct weir_span){0} : weir_span_of(text);
}

static int request_call_start(const struct weir_request *request, const struct weir_call *call,
			      unsigned int *out_handle)
{
	struct weir_runtime_call *const worker = request->worker;
	const struct variables *const variables = worker->running;
	const int method = weir_runtime_method_find(weir_span_of(call->method != NULL ? call->method : "POST"));
	const struct weir_runtime_field content_type = {
		.name = WEIR_SPAN("content-type"), .value = span_of(call->content_type)};
	const struct weir_runtime_target target = {
		.name = span_of(call->name),
		.path = span_of(call->path),
		.query = span_of(call->query),
		.body = {.data = call->body, .bytes = call->body_bytes},
		.fields = &content_type,
		.field_count = call->content_type != NULL ? 1 : 0,
		.method = (uint8_t)method,
		.is_one_way = call->one_way != 0,
	};
	uint32_t nested = 0;
	int result = 0;

	if (method < 0)
		return method;
	environ = variables->others; /* it may wait */
	result = worker->ops->nested_start(worker, &target, &nested);
	environ = variables->own;
	if (result == 0)
		*out_handle = nested;
	return result;
}

static void answer_copy(const struct weir_runtime_answer *answer, struct weir_call_answer *out)
{
	const struct weir_request ids = {.activation_high = answer->activation_high,
					 .activation_low = answer->activation_low};

	out->status = answer->status;
	out->content_type =
		text_of(weir_runtime_answer_field(answer, WEIR_SPAN("content-type")));
	out->body = text_of(answer->body);
	out->memory = answer->memory;
	weir_request_activation(&ids, out->activation);
}

static int request_call_wait(const struct weir_request *request, unsigned int handle,
			     struct weir_call_answer *out_answer)
{
	struct weir_runtime_call *const call = request->worker;
	const struct variables *const variables = call->running;
	struct weir_runtime_answer answer;
	int result = 0;

	environ = variables->others;
	result = weir_runtime_nested_wait(call, handle, &answer);
	environ = variables->own;
	if (result == 0)
		answer_copy(&answer, out_answer);
	return result;
}

static void request_call_free(const struct weir_request *request, struct weir_call_answer *answer)
{
	struct weir_runtime_call *const call = request->worker;
	struct weir_runtime_answer freed = {.memory = answer->memory};

	call->ops->nested_free(call, &freed);
	*answer = (struct weir_call_answer){.memory = NULL};
}

static const struct weir_function_ops sdk_ops = {
	.header = request_header,
	.header_at = request_header_at,
	.param = request_param,
	.body = request_body,
	.read = request_read,
	.sleep_ms = request_sleep_ms,
	.log = request_log,
	.status = response_status,
	.field = response_field,
	.length = response_length,
	.write = response_write,
	.flush = response_flush,
	.reserve = response_reserve,
	.commit = response_commit,
	.call_start = request_call_start,
	.call_wait = request_call_wait,
	.call_free = request_call_free,
};

int weir_native_sdk_run(weir_native_handler *handler, char **variables,
			struct weir_runtime_call *call)
{
	const struct weir_request request = {
		.ops = &sdk_ops,
		.worker = call,
		.method = text_of(weir_runtime_method(call)),
		.path = slice_text(call, call->head->path),
		.query = slice_text(call, call->head->query),
		.pattern = slice_text(call, call->head->pattern),
		.host = slice_text(call, call->head->authority),
		.peer = slice_text(call, call->head->peer),
		.body_bytes = call->head->content_length,
		.deadline_ns = call->deadline_ns,
		.activation_high = call->activation_high,
		.activation_low = call->activation_low,
		.parent = slice_text(call, call->head->parent),
		.depth = call->head->depth,
	};
	struct weir_response response = {.ops = &sdk_ops, .worker = call};
	struct variables both = {.own = variables, .others = environ};
	int result = 0;

	call->running = &both;
	environ = both.own;
	result = handler(&request, &response);
	environ = both.others;
	return result;
}
