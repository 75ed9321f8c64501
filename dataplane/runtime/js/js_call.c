#include "dataplane/runtime/js/js_call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"

enum { HAS_PARAMETERS = 1, HAS_BODY = 2, IS_FORM = 4 }; /* run()'s flags */

static void fail(struct weir_js_call *call, int result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct weir_js_call *call, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(call->reason, WEIR_RUNTIME_REASON_BYTES, format,
			arguments); /* cut where too long */
	va_end(arguments);
	call->result = result;
}

static void fail_memory(struct weir_js_call *call)
{
	fail(call, -EIO, "the function ran out of memory: it may have %u MiB",
	     call->function->pages_limit / 16);
}

/* QuickJS itself has failed: most likely there was no memory to say so in. */
static void fail_hard(struct weir_js_call *call, const struct weir_wasm_instance *instance)
{
	if (instance->is_growth_refused)
		fail_memory(call);
	else if (call->until_ns != 0 && weir_clock_now_ns() >= call->until_ns)
		fail(call, -EIO, "the function's file does not come to its end as it is loaded");
	else
		fail(call, -EIO, "the function threw something that cannot be shown");
}

/* ---- until it is settled ---- */

/* Stop for a wait that ended so. */
static void stop_for(struct weir_wasm_instance *instance, int result)
{
	weir_wasm_stop(instance, result == -ETIMEDOUT ? WEIR_WASM_TRAP_TIMEOUT
						      : WEIR_WASM_TRAP_CANCELLED);
}

static void jobs_run(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	while (WEIR_JS_DO(instance, has_job, 0) != 0 && call->result == 0)
		if ((int32_t)(uint32_t)WEIR_JS_DO(instance, job, 0) < 0)
			fail_hard(call, instance);
	if (call->unhandled > 0)
		(void)weir_js_call(instance, weir_js_api.unhandled, 0, NULL);
	call->unhandled = 0;
}

/* An answer's activation and fields, with NULs between. */
static uint64_t answer_text(struct weir_wasm_instance *instance,
			    const struct weir_runtime_answer *answer)
{
	static char text[WEIR_HEAD_RESPONSE_BYTES_MAX + 2 * WEIR_HEAD_RESPONSE_FIELDS_MAX +
			 32]; /* the baton holder's */
	const char *const from = (const char *)answer->head;
	const struct weir_head_field *const rows = (const void *)(answer->head + 1);
	size_t used = 32;

	weir_id_format((struct weir_id){.high = answer->activation_high,
					.low = answer->activation_low},
		       text);
	for (uint32_t i = 0; i < 2U * answer->head->field_count; i++) {
		const struct weir_head_slice slice =
			i % 2 == 0 ? rows[i / 2].name : rows[i / 2].value;

		if (slice.bytes + 1U > sizeof(text) - used)
			break; /* only of slices that overlap */
		text[used++] = '\0';
		memcpy(text + used, from + slice.offset, slice.bytes);
		used += slice.bytes;
	}
	return weir_js_string(instance, (struct weir_span){.data = text, .bytes = used});
}

/* Tell called() what came of nested call `number`. */
static void deliver(struct weir_js_call *call, struct weir_wasm_instance *instance,
		    uint32_t number, int error)
{
	struct weir_wasm_run *const run = &call->run;
	uint64_t arguments[] = {weir_js_number((int32_t)number), weir_js_number(error),
				weir_js_number(0), WEIR_JS_UNDEFINED, weir_js_number(0)};

	if (error == 0) {
		run->has_nested = true;
		arguments[2] = weir_js_number((int32_t)run->nested.status);
		arguments[3] = answer_text(instance, &run->nested);
		arguments[4] = weir_js_number((int32_t)run->nested.body.bytes);
	}
	if (weir_js_is_exception(weir_js_call(instance, weir_js_api.called, 5, arguments)))
		fail_hard(call, instance);
	if (run->has_nested)
		run->call->ops->nested_free(run->call, &run->nested);
	run->has_nested = false;
}

/* The answers that are there. True: there was one. */
static bool answers_take(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_runtime_call *const outer = call->run.call;

	for (uint32_t i = 0; i < call->awaited_count; i++) {
		const uint32_t number = call->awaited[i];
		const int result = outer->ops->nested_answer(outer, number, &call->run.nested);

		if (result == -EAGAIN)
			continue;
		call->awaited[i] = call->awaited[--call->awaited_count];
		if (result == -ECANCELED)
			stop_for(instance, result);
		else
			deliver(call, instance, number, result);
		return true;
	}
	return false;
}

/* Wait for what the function waits for. False: nothing is to come. */
static bool wait_once(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_runtime_call *const outer = call->run.call;
	const double next_ms = weir_js_double(
		instance, weir_js_call(instance, weir_js_api.tick, 0, NULL));
	uint64_t until_ns = UINT64_MAX;
	int result = 0;

	if (next_ms == 0)
		return true; /* one ran */
	if (outer == NULL || (next_ms < 0 && call->awaited_count == 0))
		return false;
	if (answers_take(call, instance))
		return true;
	if (next_ms > 0)
		until_ns = weir_clock_now_ns() + (uint64_t)(next_ms * 1e6) + 1000;
	result = outer->ops->wait(outer, NULL, 0, until_ns);
	if (result == -ECANCELED ||
	    (result == -ETIMEDOUT && weir_clock_now_ns() < until_ns))
		stop_for(instance, result);
	return true;
}

/* Run what is to run until the function has said what it has to say, or never will. */
static void settle(struct weir_js_call *call, struct weir_wasm_instance *instance,
		   const char *otherwise)
{
	while (call->result == 0) {
		jobs_run(call, instance);
		if (weir_wasm_is_stopped(instance) ||
		    weir_js_engine_out(instance)->state != WEIR_JS_PENDING)
			break;
		if (!wait_once(call, instance))
			fail(call, -EIO, "%s", otherwise);
	}
}

/* ---- what came of it ---- */

/* One line, whatever it has. */
static void fail_text(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_span text;
	uint32_t address = 0;

	if (!weir_js_text(instance, weir_js_call(instance, weir_js_api.take, 0, NULL), &text,
			  &address)) {
		fail_hard(call, instance);
		return;
	}
	if (instance->is_growth_refused &&
	    memmem(text.data, text.bytes, "out of memory", 13) != NULL) {
		fail_memory(call);
		return;
	}
	while (text.bytes >= WEIR_RUNTIME_REASON_BYTES)
		do
			text.bytes--;
		while (text.bytes != 0 && ((uint8_t)text.data[text.bytes] & 0xc0) == 0x80);
	fail(call, -EIO, "%.*s", (int)text.bytes, text.data);
	for (char *at = call->reason; *at != '\0'; at++)
		if ((uint8_t)*at < 0x20 || *at == 0x7f)
			*at = ' ';
}

static const struct weir_span types[] = {
	[WEIR_JS_TYPE_TEXT] = WEIR_SPAN("text/plain; charset=utf-8"),
	[WEIR_JS_TYPE_JSON] = WEIR_SPAN("application/json"),
	[WEIR_JS_TYPE_BYTES] = WEIR_SPAN("application/octet-stream"),
};

/* The function's own fields: names and values with NULs between. */
static int fields_send(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_runtime_call *const outer = call->run.call;
	struct weir_span text;
	uint32_t address = 0;
	int result = 0;

	if (!weir_js_text(instance, weir_js_call(instance, weir_js_api.fields, 0, NULL), &text,
			  &address))
		return -ENOMEM;
	while (result == 0) {
		const char *const end = text.data + text.bytes;
		const char *const middle = memchr(text.data, '\0', text.bytes);
		const char *last = NULL;

		if (middle == NULL)
			break;
		last = memchr(middle + 1, '\0', (size_t)(end - middle - 1));
		if (last == NULL)
			last = end;
		result = outer->ops->field(
			outer,
			(struct weir_span){.data = text.data, .bytes = (size_t)(middle - text.data)},
			(struct weir_span){.data = middle + 1,
					   .bytes = (size_t)(last - middle - 1)});
		if (result != 0)
			fail(call, -EIO, "the answer's header '%.*s' cannot be sent: %s",
			     (int)(middle - text.data), text.data, strerror(-result));
		if (last == end)
			break;
		text = (struct weir_span){.data = last + 1, .bytes = (size_t)(end - last - 1)};
	}
	return result;
}

static int head_send(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_runtime_call *const outer = call->run.call;
	const struct weir_js_out out = *weir_js_engine_out(instance);
	int result = outer->ops->status(outer, (uint32_t)out.status);

	if (result != 0)
		fail(call, -EIO, "the answer's status %d is none", (int)out.status);
	else if (out.has_fields != 0)
		result = fields_send(call, instance);
	if (result == 0 && out.type > 0 && out.type <= WEIR_JS_TYPE_BYTES)
		result = outer->ops->field(outer, WEIR_SPAN("content-type"), types[out.type]);
	if (result != 0 && call->result == 0)
		fail(call, result, "the answer's headers cannot be sent: %s", strerror(-result));
	return result;
}

static bool body_find(struct weir_wasm_instance *instance, struct weir_span *out_body)
{
	const int32_t kind = weir_js_engine_out(instance)->body;
	uint64_t value = 0;
	uint8_t *data = NULL;
	uint32_t address = 0;

	*out_body = (struct weir_span){.data = ""};
	if (kind == WEIR_JS_BODY_NONE)
		return true;
	value = weir_js_call(instance, weir_js_api.take, 0, NULL);
	if (kind == WEIR_JS_BODY_TEXT)
		return weir_js_text(instance, value, out_body, &address);
	if (!weir_js_bytes(instance, value, &data, &out_body->bytes))
		return false;
	out_body->data = (const char *)data;
	return true;
}

static void answer_send(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	struct weir_runtime_call *const outer = call->run.call;
	struct weir_span body;

	if (!body_find(instance, &body)) {
		fail_hard(call, instance);
		return;
	}
	if (head_send(call, instance) != 0)
		return;
	(void)outer->ops->length(outer, body.bytes); /* refused only after the head */
	while (body.bytes != 0) {
		const int64_t taken = weir_wasm_answer(instance, body.data, body.bytes);

		if (taken < 0)
			return; /* it is stopped */
		body.data += taken;
		body.bytes -= (size_t)taken;
	}
}

/* ---- the errands ---- */

static bool is_form(const struct weir_runtime_call *call)
{
	const struct weir_span form = WEIR_SPAN("application/x-www-form-urlencoded");
	const struct weir_head_field *const fields = weir_runtime_fields(call);

	for (uint32_t i = 0; i < call->head->field_count; i++) {
		const struct weir_span value = weir_runtime_span(call, fields[i].value);

		if (weir_span_equal_nocase(weir_runtime_span(call, fields[i].name),
					   WEIR_SPAN("content-type")))
			return value.bytes >= form.bytes &&
			       strncasecmp(value.data, form.data, form.bytes) == 0;
	}
	return false;
}

static int32_t flags_of(const struct weir_runtime_call *call)
{
	const struct weir_request_head *const head = call->head;
	int32_t flags = 0;

	if (head->query.bytes != 0 || head->param_count != 0)
		flags |= HAS_PARAMETERS;
	if (head->content_length != 0)
		flags |= is_form(call) ? HAS_BODY | IS_FORM : HAS_BODY;
	return flags;
}

static void run_body(struct weir_wasm_instance *instance, void *context)
{
	struct weir_js_call *const call = context;
	const uint64_t flags = weir_js_number(flags_of(call->run.call));

	if (weir_js_is_exception(weir_js_call(instance, weir_js_api.run, 1, &flags))) {
		fail_hard(call, instance);
		return;
	}
	settle(call, instance,
	       "the function's promise is never settled: nothing is left that it could wait for");
	if (call->result != 0 || weir_wasm_is_stopped(instance))
		return;
	if (weir_js_engine_out(instance)->state == WEIR_JS_DONE)
		answer_send(call, instance);
	else
		fail_text(call, instance);
}

static void load_body(struct weir_wasm_instance *instance, void *context)
{
	struct weir_js_call *const call = context;
	const struct weir_span *const text = call->text;
	uint64_t arguments[4];

	(void)WEIR_JS_DO(instance, interrupts, 1);
	for (size_t i = 0; i < 4; i++)
		arguments[i] = weir_js_string(instance, text[i]);
	if (weir_js_is_exception(weir_js_call(instance, weir_js_api.load, 4, arguments))) {
		fail_hard(call, instance);
		return;
	}
	settle(call, instance, "the function's file waits for something as it is loaded");
	if (call->result != 0)
		return;
	if (weir_js_engine_out(instance)->state != WEIR_JS_DONE) {
		fail_text(call, instance);
		return;
	}
	(void)WEIR_JS_DO(instance, interrupts, 0);
}

/* How QuickJS was left, as the call's result. */
static int outcome(struct weir_js_call *call, const struct weir_wasm_instance *instance,
		   enum weir_wasm_trap trap)
{
	switch ((int)trap) {
	case WEIR_WASM_TRAP_NONE:
		break;
	case WEIR_WASM_TRAP_EXIT:
		fail(call, -EIO, "the function exited with status %d",
		     (int)(int32_t)call->run.exit_code);
		break;
	case WEIR_WASM_TRAP_TIMEOUT:
		call->result = -ETIMEDOUT;
		break;
	case WEIR_WASM_TRAP_CANCELLED:
		call->result = -ECANCELED;
		break;
	case WEIR_WASM_TRAP_STACK:
		fail(call, -EIO, "the function ran out of stack: its recursion has no end");
		break;
	case WEIR_WASM_TRAP_FAILED:
		fail(call, -EIO, "the answer could not be written: %s",
		     strerror(-call->run.error));
		break;
	default:
		if (instance->is_growth_refused)
			fail_memory(call);
		else
			fail(call, -EIO, "QuickJS stopped (trap %d)", (int)trap);
		break;
	}
	return call->result;
}

static int errand_run(struct weir_js_call *call, struct weir_wasm_instance *instance,
		      void (*body)(struct weir_wasm_instance *, void *))
{
	enum weir_wasm_trap trap = WEIR_WASM_TRAP_NONE;

	atomic_store_explicit(&call->inside, instance, memory_order_relaxed);
	trap = weir_wasm_instance_host(instance, body, call);
	atomic_store_explicit(&call->inside, NULL, memory_order_relaxed);
	if (call->run.has_nested)
		call->run.call->ops->nested_free(call->run.call, &call->run.nested);
	return outcome(call, instance, trap);
}

int weir_js_call_run(struct weir_js_call *call, struct weir_wasm_instance *instance)
{
	return errand_run(call, instance, run_body);
}

int weir_js_call_load(struct weir_js_call *call, struct weir_wasm_instance *instance,
		      const struct weir_span text[4])
{
	call->text = text;
	return errand_run(call, instance, load_body);
}
