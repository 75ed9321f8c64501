#include "dataplane/runtime/wasm/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"

/* The request's head twice (its fields, and slices that repeat), the function's own, and the names. */
#define TEXT_BYTES_MAX (2 * WEIR_HEAD_REQUEST_BYTES_MAX + 65536)

/* A wait ended badly: the module shall, too. */
static int stop_for(struct weir_wasm_instance *instance, int error)
{
	enum weir_wasm_trap trap = WEIR_WASM_TRAP_FAILED;

	if (error == -ETIMEDOUT)
		trap = WEIR_WASM_TRAP_TIMEOUT;
	else if (error == -ECANCELED)
		trap = WEIR_WASM_TRAP_CANCELLED;
	weir_wasm_run_of(instance)->error = error;
	weir_wasm_stop(instance, trap);
	return error;
}

int64_t weir_wasm_answer(struct weir_wasm_instance *instance, const void *data, size_t bytes)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);
	struct weir_runtime_call *const call = run->call;
	const uint8_t *from = data;
	size_t left = bytes < WEIR_WASM_PIECE_BYTES_MAX ? bytes : WEIR_WASM_PIECE_BYTES_MAX;

	if (run->row != NULL) {
		const int result = weir_exec_answer_add_output(run->row, data, left);

		return result != 0 ? stop_for(instance, result) : (int64_t)left;
	}
	if (!run->is_answered && !run->has_type && run->kind == WEIR_WASM_COMMAND)
		/* Refused only after the head, which is not out yet. */
		(void)call->ops->field(call, WEIR_SPAN("content-type"),
				       WEIR_SPAN("text/plain; charset=utf-8"));
	run->is_answered = true;
	while (left != 0) {
		size_t taken = 0;
		int result = call->ops->append(call, from, left, &taken);

		if (result == -EAGAIN)
			result = call->ops->wait(call, NULL, 0, call->deadline_ns);
		if (result != 0)
			return stop_for(instance, result);
		from += taken;
		left -= taken;
	}
	return from - (const uint8_t *)data;
}

int64_t weir_wasm_body(struct weir_wasm_instance *instance, void *data, size_t bytes,
		       bool may_wait)
{
	struct weir_runtime_call *const call = weir_wasm_run_of(instance)->call;
	struct weir_span piece = {.data = ""};
	size_t used = 0;

	if (weir_wasm_run_of(instance)->is_starting)
		return 0;
	if (bytes > WEIR_WASM_PIECE_BYTES_MAX)
		bytes = WEIR_WASM_PIECE_BYTES_MAX;
	while (used < bytes) {
		int result = call->ops->body_peek(call, &piece);
		size_t taken = 0;

		if (result == 0 || (result == -EAGAIN && (used != 0 || !may_wait)))
			break;
		if (result == -EAGAIN) {
			result = call->ops->wait(call, NULL, 0, call->deadline_ns);
			if (result == 0)
				continue;
		}
		if (result < 0)
			return stop_for(instance, result);
		taken = piece.bytes < bytes - used ? piece.bytes : bytes - used;
		memcpy((uint8_t *)data + used, piece.data, taken);
		call->ops->body_consume(call, taken);
		used += taken;
	}
	return (int64_t)used;
}

int weir_wasm_sleep(struct weir_wasm_instance *instance, uint64_t until_ns)
{
	struct weir_runtime_call *const call = weir_wasm_run_of(instance)->call;
	int result = 0;

	while (result == 0) /* other things of the call may arrive meanwhile */
		result = call->ops->wait(call, NULL, 0, until_ns);
	if (result == -ETIMEDOUT && until_ns <= weir_clock_now_ns())
		return 0;
	return stop_for(instance, result);
}

void weir_wasm_print(struct weir_wasm_run *run, enum weir_runtime_stream stream,
		     struct weir_span text)
{
	if (run->call == NULL) {
		/* As it is loaded: the worker takes what comes by the descriptors. */
		(void)!write(stream == WEIR_RUNTIME_STDERR ? STDERR_FILENO : STDOUT_FILENO,
			     text.data, text.bytes);
		return;
	}
	run->call->ops->print(run->call, stream, text);
	if (stream != WEIR_RUNTIME_STDERR)
		return;
	if (run->row != NULL)
		weir_exec_answer_add_error(run->row, text.data, text.bytes);
	for (size_t i = 0; i < text.bytes; i++) {
		const char c = text.data[i];

		/* A line ends when the next one starts, so that the last one stays. */
		if (run->words_bytes != 0 && run->words[run->words_bytes - 1] == '\n')
			run->words_bytes = 0;
		if (run->words_bytes < sizeof(run->words) || c == '\n')
			run->words[run->words_bytes < sizeof(run->words)
					   ? run->words_bytes++
					   : sizeof(run->words) - 1] = c;
	}
}

/* ---- environment ---- */

static void text_add(struct weir_wasm_run *run, struct weir_span text)
{
	if (text.bytes > TEXT_BYTES_MAX - run->text_bytes)
		return; /* only a head whose slices overlap is that long */
	if (text.bytes != 0)
		memcpy(run->text + run->text_bytes, text.data, text.bytes);
	run->text_bytes += text.bytes;
}

static void variable_add(struct weir_wasm_run *run, struct weir_span name,
			 struct weir_span value)
{
	if (name.bytes + value.bytes + 2 > TEXT_BYTES_MAX - run->text_bytes)
		return;
	text_add(run, name);
	text_add(run, WEIR_SPAN("="));
	text_add(run, value);
	text_add(run, (struct weir_span){.data = "", .bytes = 1});
	run->text_count++;
}

/* "prefix" and the name as CGI writes it: capitals, '_' for '-'. Names with other characters are left
 * out; so is Proxy, which some libraries would take for a setting of theirs. */
static void named_add(struct weir_wasm_run *run, const char *prefix, struct weir_span name,
		      bool in_capitals, struct weir_span value)
{
	char text[128];
	size_t used = strlen(prefix);

	if (name.bytes == 0 || name.bytes + used > sizeof(text) ||
	    weir_span_equal_nocase(name, WEIR_SPAN("proxy")))
		return;
	memcpy(text, prefix, used);
	for (size_t i = 0; i < name.bytes; i++) {
		char c = name.data[i];

		if (in_capitals && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (in_capitals && c == '-')
			c = '_';
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_'))
			return;
		text[used++] = c;
	}
	variable_add(run, (struct weir_span){.data = text, .bytes = used}, value);
}

static void fields_add(struct weir_wasm_run *run)
{
	const struct weir_runtime_call *const call = run->call;
	const struct weir_head_field *const fields = weir_runtime_fields(call);

	for (size_t i = 0; i < call->head->field_count; i++) {
		const struct weir_span name = weir_runtime_span(call, fields[i].name);
		const struct weir_span value = weir_runtime_span(call, fields[i].value);

		if (weir_span_equal_nocase(name, WEIR_SPAN("content-type")))
			variable_add(run, WEIR_SPAN("CONTENT_TYPE"), value);
		else if (!weir_span_equal_nocase(name, WEIR_SPAN("host")))
			named_add(run, "HTTP_", name, true, value);
	}
	for (size_t i = 0; i < call->head->param_count; i++) {
		const struct weir_head_field *const param =
			fields + call->head->field_count + i;

		named_add(run, "WEIR_PARAM_", weir_runtime_span(call, param->name), false,
			  weir_runtime_span(call, param->value));
	}
}

static void number_add(struct weir_wasm_run *run, struct weir_span name, uint64_t number)
{
	char text[24];
	const int bytes = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);

	variable_add(run, name, (struct weir_span){.data = text, .bytes = (size_t)bytes});
}

static void request_add(struct weir_wasm_run *run)
{
	const struct weir_runtime_call *const call = run->call;
	const struct weir_request_head *const head = call->head;
	const uint64_t now_ns = weir_clock_now_ns();
	char activation[32];

	weir_id_format(
		(struct weir_id){.high = call->activation_high, .low = call->activation_low},
		activation);
	variable_add(run, WEIR_SPAN("GATEWAY_INTERFACE"), WEIR_SPAN("CGI/1.1"));
	variable_add(run, WEIR_SPAN("SERVER_PROTOCOL"), WEIR_SPAN("HTTP/1.1"));
	variable_add(run, WEIR_SPAN("SERVER_SOFTWARE"), WEIR_SPAN("weir/" WEIR_VERSION));
	variable_add(run, WEIR_SPAN("REQUEST_METHOD"), weir_runtime_method(call));
	variable_add(run, WEIR_SPAN("PATH_INFO"), weir_runtime_span(call, head->path));
	variable_add(run, WEIR_SPAN("QUERY_STRING"), weir_runtime_span(call, head->query));
	variable_add(run, WEIR_SPAN("REMOTE_ADDR"), weir_runtime_span(call, head->peer));
	variable_add(run, WEIR_SPAN("HTTP_HOST"), weir_runtime_span(call, head->authority));
	if (head->content_length != UINT64_MAX)
		number_add(run, WEIR_SPAN("CONTENT_LENGTH"), head->content_length);
	variable_add(run, WEIR_SPAN("WEIR_PATTERN"), weir_runtime_span(call, head->pattern));
	variable_add(run, WEIR_SPAN("WEIR_ACTIVATION_ID"),
		     (struct weir_span){.data = activation, .bytes = sizeof(activation)});
	number_add(run, WEIR_SPAN("WEIR_DEADLINE_MS"),
		   call->deadline_ns > now_ns ? (call->deadline_ns - now_ns) / WEIR_NS_PER_MS
					      : 0);
	fields_add(run);
}

int weir_wasm_environment(struct weir_wasm_run *run)
{
	if (run->text != NULL)
		return 0;
	run->text = malloc(TEXT_BYTES_MAX);
	if (run->text == NULL)
		return -ENOMEM;
	run->text_bytes = 0;
	run->text_count = 0;
	for (size_t i = 0; run->environment[i] != NULL; i++) {
		const struct weir_span line = weir_span_of(run->environment[i]);

		if (line.bytes + 1 > TEXT_BYTES_MAX - run->text_bytes)
			break;
		text_add(run, (struct weir_span){.data = line.data, .bytes = line.bytes + 1});
		run->text_count++;
	}
	variable_add(run, WEIR_SPAN("WEIR_FUNCTION"), weir_span_of(run->name));
	if (!run->is_starting && run->kind == WEIR_WASM_COMMAND)
		request_add(run);
	return 0;
}
