/* The imports of module "weir" (sdk/weir_wasm.h): the request, the response, time, the log. */
#include <errno.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/runtime/wasm/host.h"
#include "dataplane/runtime/wasm/nested.h"

#define IMPORT(function)                                                  \
	uint64_t weir_api_##function(struct weir_wasm_instance *instance, \
				     const uint64_t *arguments)

/* As cells: an i32's upper half is zero. */
#define NONE ((uint64_t)UINT32_MAX)

enum { LOG_BYTES_MAX = 4096 };

/* WASI's number of an error, negated, as an i32. */
static uint64_t error_cell(int result)
{
	uint32_t number = 29; /* EIO */

	switch (-result) {
	case 0:
		return 0;
	case EINVAL:
		number = 28;
		break;
	case EALREADY:
		number = 7;
		break;
	case ENOSPC:
		number = 51;
		break;
	case EMSGSIZE:
		number = 35;
		break;
	case ECANCELED:
		number = 11;
		break;
	case ETIMEDOUT:
		number = 73;
		break;
	case EFAULT:
		number = 21;
		break;
	case E2BIG:
		number = 1;
		break;
	case EPIPE:
		number = 64;
		break;
	case ENOBUFS:
		number = 42;
		break;
	default:
		break;
	}
	return (uint32_t)-number;
}

/* As much of `text` as fits; its whole length. */
static uint64_t text_put(const struct weir_wasm_instance *instance, struct weir_span text,
			 uint64_t address, uint64_t bytes)
{
	const size_t taken = text.bytes < bytes ? text.bytes : bytes;
	uint8_t *const out = weir_wasm_at(instance, address, taken);

	if (out == NULL)
		return NONE;
	if (taken != 0)
		memcpy(out, text.data, taken);
	return text.bytes;
}

/* The request's call; NULL while the module starts. */
static struct weir_runtime_call *call_of(const struct weir_wasm_instance *instance)
{
	const struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	return run->is_starting ? NULL : run->call;
}

static bool span_at(const struct weir_wasm_instance *instance, uint64_t address, uint64_t bytes,
		    struct weir_span *out)
{
	const uint8_t *const at = weir_wasm_at(instance, address, bytes);

	*out = (struct weir_span){.data = (const char *)at, .bytes = bytes};
	return at != NULL;
}

/* ---- the request ---- */

IMPORT(request_text)
{
	const struct weir_runtime_call *const call = call_of(instance);
	struct weir_span text = {0};
	char activation[32];

	if (call == NULL)
		return NONE;
	switch (arguments[0]) {
	case 0:
		text = weir_runtime_method(call);
		break;
	case 1:
		text = weir_runtime_span(call, call->head->path);
		break;
	case 2:
		text = weir_runtime_span(call, call->head->query);
		break;
	case 3:
		text = weir_runtime_span(call, call->head->pattern);
		break;
	case 4:
		text = weir_runtime_span(call, call->head->authority);
		break;
	case 5:
		text = weir_runtime_span(call, call->head->peer);
		break;
	case 6:
		weir_id_format((struct weir_id){.high = call->activation_high,
						.low = call->activation_low},
			       activation);
		text = (struct weir_span){.data = activation, .bytes = sizeof(activation)};
		break;
	case 7:
		text = weir_runtime_span(call, call->head->parent);
		break;
	default:
		return NONE;
	}
	return text_put(instance, text, arguments[1], arguments[2]);
}

/* The value of the row of that name among `count`. */
static uint64_t row_put(const struct weir_wasm_instance *instance,
			const struct weir_head_field *rows, size_t count, bool in_any_case,
			const uint64_t *arguments)
{
	const struct weir_runtime_call *const call = call_of(instance);
	struct weir_span wanted;

	if (!span_at(instance, arguments[0], arguments[1], &wanted))
		return NONE;
	for (size_t i = 0; i < count; i++) {
		const struct weir_span name = weir_runtime_span(call, rows[i].name);

		if (in_any_case ? weir_span_equal_nocase(name, wanted)
				: weir_span_equal(name, wanted))
			return text_put(instance, weir_runtime_span(call, rows[i].value),
					arguments[2], arguments[3]);
	}
	return NONE;
}

IMPORT(request_header)
{
	const struct weir_runtime_call *const call = call_of(instance);

	if (call == NULL)
		return NONE;
	return row_put(instance, weir_runtime_fields(call), call->head->field_count, true,
		       arguments);
}

IMPORT(request_param)
{
	const struct weir_runtime_call *const call = call_of(instance);

	if (call == NULL)
		return NONE;
	return row_put(instance, weir_runtime_fields(call) + call->head->field_count,
		       call->head->param_count, false, arguments);
}

IMPORT(request_header_at)
{
	const struct weir_runtime_call *const call = call_of(instance);
	const struct weir_head_field *field = NULL;

	if (call == NULL || arguments[0] >= call->head->field_count)
		return NONE;
	field = &weir_runtime_fields(call)[arguments[0]];
	return text_put(instance,
			weir_runtime_span(call, arguments[1] == 0 ? field->name : field->value),
			arguments[2], arguments[3]);
}

IMPORT(request_number)
{
	const struct weir_runtime_call *const call = call_of(instance);
	const uint64_t now_ns = weir_clock_now_ns();

	if (call == NULL)
		return 0;
	switch (arguments[0]) {
	case 0:
		return call->head->content_length;
	case 1:
		return call->deadline_ns > now_ns
			       ? (call->deadline_ns - now_ns) / WEIR_NS_PER_MS
			       : 0;
	default:
		return call->deadline_ns;
	}
}

IMPORT(request_read)
{
	uint8_t *const out = weir_wasm_at(instance, arguments[0], arguments[1]);
	int64_t got = 0;

	if (out == NULL)
		return error_cell(-EFAULT);
	got = weir_wasm_body(instance, out, arguments[1], true);
	return got < 0 ? error_cell((int)got) : (uint64_t)got;
}

/* ---- time and log ---- */

IMPORT(sleep_ms)
{
	const uint64_t now_ns = weir_clock_now_ns();
	const uint64_t ms = arguments[0];

	return error_cell(weir_wasm_sleep(instance, ms > (UINT64_MAX - now_ns) / WEIR_NS_PER_MS
							    ? UINT64_MAX
							    : now_ns + ms * WEIR_NS_PER_MS));
}

IMPORT(log_line)
{
	struct weir_runtime_call *const call = weir_wasm_run_of(instance)->call;
	const uint64_t bytes = arguments[2] < LOG_BYTES_MAX ? arguments[2] : LOG_BYTES_MAX;
	struct weir_span text;

	if (span_at(instance, arguments[1], bytes, &text))
		call->ops->log(call, arguments[0] > 3 ? 1 : (int)arguments[0], text);
	return 0;
}

/* ---- the response ---- */

IMPORT(response_status)
{
	struct weir_runtime_call *const call = call_of(instance);

	if (call == NULL)
		return error_cell(-EINVAL);
	return error_cell(call->ops->status(call, (uint32_t)arguments[0]));
}

IMPORT(response_header)
{
	struct weir_runtime_call *const call = call_of(instance);
	struct weir_span name;
	struct weir_span value;
	int result = 0;

	if (call == NULL)
		return error_cell(-EINVAL);
	if (!span_at(instance, arguments[0], arguments[1], &name) ||
	    !span_at(instance, arguments[2], arguments[3], &value))
		return error_cell(-EFAULT);
	result = call->ops->field(call, name, value);
	if (result == 0 && weir_span_equal_nocase(name, WEIR_SPAN("content-type")))
		weir_wasm_run_of(instance)->has_type = true;
	return error_cell(result);
}

IMPORT(response_length)
{
	struct weir_runtime_call *const call = call_of(instance);

	if (call == NULL)
		return error_cell(-EINVAL);
	return error_cell(call->ops->length(call, arguments[0]));
}

IMPORT(response_write)
{
	const uint8_t *const data = weir_wasm_at(instance, arguments[0], arguments[1]);
	int64_t taken = 0;

	if (call_of(instance) == NULL)
		return error_cell(-EINVAL);
	if (data == NULL)
		return error_cell(-EFAULT);
	taken = weir_wasm_answer(instance, data, arguments[1]);
	return taken < 0 ? error_cell((int)taken) : (uint64_t)taken;
}

IMPORT(response_flush)
{
	struct weir_runtime_call *const call = call_of(instance);
	int result = 0;

	(void)arguments;
	if (call == NULL)
		return error_cell(-EINVAL);
	result = call->ops->flush(call);
	while (result == -EAGAIN) {
		result = call->ops->wait(call, NULL, 0, call->deadline_ns);
		if (result == 0)
			result = call->ops->flush(call);
	}
	return error_cell(result);
}

/* ---- other functions ---- */

IMPORT(call_option)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	if (arguments[0] >= WEIR_WASM_OPTIONS)
		return error_cell(-EINVAL);
	return error_cell(span_at(instance, arguments[1], arguments[2], &run->option[arguments[0]])
				  ? 0
				  : -EFAULT);
}

/* What was set for this call, which uses it up. */
static int options_take(struct weir_wasm_run *run, struct weir_runtime_target *target,
			struct weir_runtime_field *type)
{
	const struct weir_span method = run->option[WEIR_WASM_OPTION_METHOD];
	const int number = method.bytes == 0 ? WEIR_WASM_POST : weir_runtime_method_find(method);

	target->method = (uint8_t)number;
	target->path = run->option[WEIR_WASM_OPTION_PATH];
	target->query = run->option[WEIR_WASM_OPTION_QUERY];
	type->name = WEIR_SPAN("content-type");
	type->value = run->option[WEIR_WASM_OPTION_TYPE];
	target->fields = type;
	target->field_count = type->value.bytes != 0 ? 1 : 0;
	memset(run->option, 0, sizeof(run->option));
	return number < 0 ? number : 0;
}

IMPORT(call)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);
	struct weir_runtime_target target = {.is_one_way = arguments[4] != 0};
	struct weir_runtime_field type;
	int result = options_take(run, &target, &type);

	if (run->is_starting || result != 0)
		return error_cell(-EINVAL);
	if (!span_at(instance, arguments[0], arguments[1], &target.name) ||
	    !span_at(instance, arguments[2], arguments[3], &target.body))
		return error_cell(-EFAULT);
	if (run->has_nested)
		run->call->ops->nested_free(run->call, &run->nested);
	result = weir_wasm_nested(run->call, &target, &run->nested);
	run->has_nested = result == 0;
	if (result == -ETIMEDOUT)
		weir_wasm_stop(instance, WEIR_WASM_TRAP_TIMEOUT);
	else if (result == -ECANCELED)
		weir_wasm_stop(instance, WEIR_WASM_TRAP_CANCELLED);
	return result != 0 ? error_cell(result) : run->nested.status;
}

IMPORT(call_text)
{
	const struct weir_wasm_run *const run = weir_wasm_run_of(instance);
	struct weir_span text = {.data = NULL};
	char activation[32];

	if (!run->has_nested)
		return NONE;
	if (arguments[0] == 0)
		text = weir_runtime_answer_field(&run->nested, WEIR_SPAN("content-type"));
	if (arguments[0] == 1) {
		weir_id_format((struct weir_id){.high = run->nested.activation_high,
						.low = run->nested.activation_low},
			       activation);
		text = (struct weir_span){.data = activation, .bytes = sizeof(activation)};
	}
	return text.data == NULL ? NONE : text_put(instance, text, arguments[1], arguments[2]);
}

IMPORT(call_body)
{
	const struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	if (!run->has_nested)
		return NONE;
	return text_put(instance, run->nested.body, arguments[0], arguments[1]);
}
