#include "dataplane/runtime/php/php_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/runtime/exec/exec_answer.h"

enum { OUTPUT_BYTES_FIRST = 16384 };

/* A row's exit code decides what its answer is, so all of it is kept, up to its memory limit. */
static size_t kept_max(const struct weir_php_call *running)
{
	return running->instance->is_row ? SIZE_MAX : WEIR_PHP_OUTPUT_BYTES_MAX;
}

static bool is_bodiless(const struct weir_php_call *running)
{
	return running->status == 204 || running->status == 304;
}

/* Send what is kept, waiting for the client. */
static int kept_send(struct weir_php_call *running)
{
	struct weir_runtime_call *const base = running->base;
	const char *data = running->output;
	size_t bytes = is_bodiless(running) ? 0 : running->output_bytes;
	int result = 0;

	while (bytes != 0 && result == 0) {
		size_t taken = 0;

		result = base->ops->append(base, data, bytes, &taken);
		if (result == 0) {
			data += taken;
			bytes -= taken;
		} else if (result == -EAGAIN) {
			result = base->ops->wait(base, NULL, 0, base->deadline_ns);
		}
	}
	running->output_bytes = 0;
	return result;
}

static bool is_sent(struct weir_php_call *running, int result)
{
	if (result != 0 && running->send_result == 0)
		running->send_result = result;
	return result == 0;
}

bool weir_php_answer_flush(struct weir_php_call *running)
{
	struct weir_runtime_call *const base = running->base;
	int result = 0;

	if (running->send_result != 0)
		return false;
	running->is_streaming = true;
	result = kept_send(running);
	while (result == 0) {
		result = base->ops->flush(base);
		if (result != -EAGAIN)
			break;
		result = base->ops->wait(base, NULL, 0, base->deadline_ns);
	}
	return is_sent(running, result);
}

/* Room for `bytes` more. */
static bool output_reserve(struct weir_php_call *running, size_t bytes)
{
	size_t capacity = running->output_capacity;
	char *output = NULL;

	if (running->output_bytes + bytes <= capacity)
		return true;
	if (capacity == 0)
		capacity = OUTPUT_BYTES_FIRST;
	while (capacity < running->output_bytes + bytes)
		capacity *= 2;
	output = realloc(running->output, capacity);
	if (output == NULL)
		return false;
	running->output = output;
	running->output_capacity = capacity;
	return true;
}

bool weir_php_answer_add(struct weir_php_call *running, const char *data, size_t bytes)
{
	running->output_total += bytes;
	if (running->send_result != 0)
		return false;
	if (running->instance->is_row && running->output_total > running->instance->memory_bytes) {
		weir_php_call_blame(running, "the answer is larger than the function's memory");
		return is_sent(running, -EFBIG);
	}
	while (bytes != 0) {
		const size_t room = kept_max(running) - running->output_bytes;
		const size_t part = bytes < room ? bytes : room;

		if (!output_reserve(running, part))
			return is_sent(running, -ENOMEM);
		memcpy(running->output + running->output_bytes, data, part);
		running->output_bytes += part;
		data += part;
		bytes -= part;
		if (running->output_bytes == kept_max(running) && !weir_php_answer_flush(running))
			return false;
	}
	return true;
}

void weir_php_answer_error(struct weir_php_call *running, const char *data, size_t bytes)
{
	const struct weir_span text = {.data = data, .bytes = bytes};
	size_t room = sizeof(running->error) - running->error_bytes;

	running->base->ops->print(running->base, WEIR_RUNTIME_STDERR, text);
	running->error_total += bytes;
	if (room > bytes)
		room = bytes;
	memcpy(running->error + running->error_bytes, data, room);
	running->error_bytes += room;
}

void weir_php_answer_status(struct weir_php_call *running, int status)
{
	running->status = status < 200 || status > 599 ? 500 : (uint32_t)status;
	(void)running->base->ops->status(running->base, running->status); /* refused: logged by the host */
}

void weir_php_answer_field(struct weir_php_call *running, struct weir_span name,
			   struct weir_span value)
{
	static const struct weir_span passed_by[] = {
		{"connection", 10}, {"keep-alive", 10}, {"transfer-encoding", 17},
		{"upgrade", 7},	    {"content-length", 14}};

	for (size_t i = 0; i < sizeof(passed_by) / sizeof(passed_by[0]); i++) {
		if (weir_span_equal_nocase(name, passed_by[i]))
			return;
	}
	if (running->base->ops->field(running->base, name, value) == -ENOSPC) {
		static const char text[] = "Weir: no room in the answer's head for ";

		weir_php_answer_error(running, text, sizeof(text) - 1);
		weir_php_answer_error(running, name.data, name.bytes);
		weir_php_answer_error(running, "\n", 1);
	}
}

int weir_php_answer_finish(struct weir_php_call *running)
{
	struct weir_runtime_call *const base = running->base;

	if (running->send_result == 0 && !running->is_streaming && !is_bodiless(running) &&
	    !weir_span_equal(weir_runtime_method(base), WEIR_SPAN("HEAD")))
		(void)base->ops->length(base, running->output_bytes); /* only a cancelled call refuses it */
	if (running->send_result == 0)
		running->send_result = kept_send(running);
	return running->send_result;
}

int weir_php_answer_finish_row(struct weir_php_call *running, int exit_code)
{
	struct weir_exec_answer answer = {
		.call = running->base,
		.output = running->output,
		.output_bytes = running->output_bytes,
		.output_capacity = running->output_capacity,
		.output_total = running->output_total,
		.error_bytes = running->error_bytes,
		.error_total = running->error_total,
	};

	if (running->send_result != 0)
		return running->send_result;
	memcpy(answer.error, running->error, running->error_bytes);
	return weir_exec_answer_finish(&answer, exit_code);
}
