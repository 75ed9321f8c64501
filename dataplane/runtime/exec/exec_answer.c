#include "dataplane/runtime/exec/exec_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/runtime/exec/json_text.h"

enum { OUTPUT_BYTES_FIRST = 16384 };

int weir_exec_answer_open(struct weir_exec_answer *answer, struct weir_runtime_call *call)
{
	*answer = (struct weir_exec_answer){.call = call};
	answer->output_capacity = OUTPUT_BYTES_FIRST;
	answer->output = malloc(answer->output_capacity);
	return answer->output != NULL ? 0 : -ENOMEM;
}

void weir_exec_answer_close(struct weir_exec_answer *answer)
{
	free(answer->output);
}

/* ---- to the client ---- */

/* Room for at least one byte, waiting for the client. */
static int room_wait(struct weir_runtime_call *call, uint8_t **out_data, size_t *out_bytes)
{
	int result = call->ops->room(call, out_data, out_bytes);

	while (result == -EAGAIN) {
		result = call->ops->wait(call, NULL, 0, call->deadline_ns);
		if (result == 0)
			result = call->ops->room(call, out_data, out_bytes);
	}
	return result;
}

static int write_plain(struct weir_runtime_call *call, struct weir_span text)
{
	int result = 0;

	while (text.bytes != 0 && result == 0) {
		uint8_t *place = NULL;
		size_t room = 0;

		result = room_wait(call, &place, &room);
		if (result != 0)
			return result;
		if (room > text.bytes)
			room = text.bytes;
		memcpy(place, text.data, room);
		result = call->ops->commit(call, room);
		text.data += room;
		text.bytes -= room;
	}
	return result;
}

/* Write escaped; *out_taken is less than text.bytes only for a character cut off at the end. */
static int write_escaped(struct weir_runtime_call *call, struct weir_span text, bool is_last,
			 size_t *out_taken)
{
	size_t total = 0;

	for (;;) {
		char escaped[4096];
		size_t taken = 0;
		const size_t bytes =
			weir_json_text_escape(text, is_last, escaped, sizeof(escaped), &taken);
		const int result =
			write_plain(call, (struct weir_span){.data = escaped, .bytes = bytes});

		if (result != 0)
			return result;
		text.data += taken;
		text.bytes -= taken;
		total += taken;
		if (taken == 0 || text.bytes == 0)
			break;
	}
	*out_taken = total;
	return 0;
}

static int head_write(struct weir_runtime_call *call, uint32_t status)
{
	const int result = call->ops->status(call, status);

	if (result != 0)
		return result;
	return call->ops->field(call, WEIR_SPAN("content-type"), WEIR_SPAN("application/json"));
}

/* Send what is kept of the output; the first time with what goes before it. */
static int output_send(struct weir_exec_answer *answer, bool is_last)
{
	struct weir_span kept = {.data = answer->output, .bytes = answer->output_bytes};
	size_t taken = kept.bytes;
	int result = 0;

	if (!answer->is_begun) {
		answer->is_begun = true;
		answer->is_wrapped = kept.data[0] != '{' && kept.data[0] != '[';
		result = head_write(answer->call, 200);
		if (result == 0 && is_last && !answer->is_wrapped)
			result = answer->call->ops->length(answer->call, kept.bytes);
		if (result == 0 && answer->is_wrapped)
			result = write_plain(answer->call, WEIR_SPAN("{\"result\":\""));
	}
	if (result == 0 && answer->is_wrapped)
		result = write_escaped(answer->call, kept, is_last, &taken);
	else if (result == 0)
		result = write_plain(answer->call, kept);
	if (result != 0)
		return result;
	answer->output_bytes = kept.bytes - taken;
	memmove(answer->output, answer->output + taken,
		answer->output_bytes); /* at most 3 bytes */
	return 0;
}

/* ---- from the program ---- */

static int output_grow(struct weir_exec_answer *answer)
{
	const size_t capacity = 2 * answer->output_capacity;
	char *output = NULL;

	if (answer->output_capacity >= WEIR_EXEC_OUTPUT_BYTES_MAX)
		return output_send(answer, false);
	output = realloc(answer->output, capacity);
	if (output == NULL)
		return -ENOMEM;
	answer->output = output;
	answer->output_capacity = capacity;
	return 0;
}

int weir_exec_answer_read_output(struct weir_exec_answer *answer, int fd)
{
	ssize_t taken = 0;

	if (answer->output_bytes == answer->output_capacity) {
		const int result = output_grow(answer);

		if (result != 0)
			return result;
	}
	taken = read(fd, answer->output + answer->output_bytes,
		     answer->output_capacity - answer->output_bytes);
	if (taken == -1)
		return errno == EINTR ? -EAGAIN : -errno;
	answer->output_bytes += (size_t)taken;
	answer->output_total += (uint64_t)taken;
	return taken != 0 ? 1 : 0;
}

int weir_exec_answer_add_output(struct weir_exec_answer *answer, const void *data, size_t bytes)
{
	const char *from = data;

	while (bytes > 0) {
		const size_t room = answer->output_capacity - answer->output_bytes;
		const size_t taken = bytes < room ? bytes : room;
		const int result = room == 0 ? output_grow(answer) : 0;

		if (result != 0)
			return result;
		memcpy(answer->output + answer->output_bytes, from, taken);
		answer->output_bytes += taken;
		answer->output_total += taken;
		from += taken;
		bytes -= taken;
	}
	return 0;
}

void weir_exec_answer_add_error(struct weir_exec_answer *answer, const void *data, size_t bytes)
{
	const size_t room = sizeof(answer->error) - answer->error_bytes;

	memcpy(answer->error + answer->error_bytes, data, bytes < room ? bytes : room);
	answer->error_bytes += bytes < room ? bytes : room;
	answer->error_total += bytes;
}

int weir_exec_answer_read_error(struct weir_exec_answer *answer, int fd)
{
	char piece[4096];
	const ssize_t taken = read(fd, piece, sizeof(piece));

	if (taken == -1)
		return errno == EINTR ? -EAGAIN : -errno;
	answer->call->ops->print(answer->call, WEIR_RUNTIME_STDERR,
				 (struct weir_span){.data = piece, .bytes = (size_t)taken});
	weir_exec_answer_add_error(answer, piece, (size_t)taken);
	return taken != 0 ? 1 : 0;
}

/* The beginning of output and standard error, escaped, into out (at most 6 times as long). */
static size_t shown_escape(const struct weir_exec_answer *answer, char *out, size_t out_max)
{
	char shown[WEIR_EXEC_SHOWN_BYTES_MAX];
	size_t bytes =
		answer->output_bytes < sizeof(shown) ? answer->output_bytes : sizeof(shown);
	size_t rest = sizeof(shown) - bytes;
	bool is_cut = true;
	size_t taken = 0;

	memcpy(shown, answer->output, bytes);
	if (rest > answer->error_bytes)
		rest = answer->error_bytes;
	memcpy(shown + bytes, answer->error, rest);
	bytes += rest;
	/* A character that the limit cuts in two is left out; one that the program cut is shown as such. */
	is_cut = bytes < answer->output_total + answer->error_total;
	return weir_json_text_escape((struct weir_span){.data = shown, .bytes = bytes}, !is_cut,
				     out, out_max, &taken);
}

static int failure_send(struct weir_exec_answer *answer, int exit_code)
{
	char shown[WEIR_EXEC_SHOWN_BYTES_MAX * WEIR_JSON_TEXT_GROWTH_MAX];
	char text[sizeof(shown) + 200];
	const size_t shown_bytes = shown_escape(answer, shown, sizeof(shown));
	const int bytes = snprintf(
		text, sizeof(text),
		"{\"error\":\"Function "
		"failed\",\"exit_code\":%d,\"output_bytes\":%llu,\"output\":\"%.*s\"}",
		exit_code, (unsigned long long)(answer->output_total + answer->error_total),
		(int)shown_bytes, shown);
	const int result = head_write(answer->call, 500);

	if (result != 0)
		return result;
	return write_plain(answer->call,
			   (struct weir_span){.data = text, .bytes = (size_t)bytes});
}

int weir_exec_answer_finish(struct weir_exec_answer *answer, int exit_code)
{
	const bool is_good = exit_code == 0 && answer->output_total != 0;
	int result = 0;

	if (!is_good && !answer->is_begun)
		return failure_send(answer, exit_code);
	if (!is_good)
		return -EIO;
	result = output_send(answer, true);
	if (result == 0 && answer->is_wrapped)
		result = write_plain(answer->call, WEIR_SPAN("\"}"));
	return result;
}
