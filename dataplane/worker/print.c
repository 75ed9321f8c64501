#include "dataplane/worker/print.h"

#include <stdio.h>
#include <string.h>

static_assert((int)WEIR_RUNTIME_KEPT_BYTES_MAX == (int)WEIR_OUTPUT_ANSWER_BYTES_MAX, "one limit");

static void line_send(struct weir_print *print, enum weir_runtime_stream stream)
{
	weir_outlet_line(print->function, print->activation,
			 stream == WEIR_RUNTIME_STDERR ? WEIR_OUTPUT_STDERR : WEIR_OUTPUT_STDOUT,
			 (struct weir_span){.data = print->line[stream],
					    .bytes = print->line_bytes[stream]});
	print->line_bytes[stream] = 0;
}

/* Put `text`, which has no newline, at the end of the stream's line. */
static void line_add(struct weir_print *print, enum weir_runtime_stream stream,
		     struct weir_span text)
{
	while (text.bytes != 0) {
		const size_t used = print->line_bytes[stream];
		size_t bytes = WEIR_PRINT_LINE_BYTES_MAX - used;

		if (bytes > text.bytes)
			bytes = text.bytes;
		memcpy(print->line[stream] + used, text.data, bytes);
		print->line_bytes[stream] = (uint16_t)(used + bytes);
		text.data += bytes;
		text.bytes -= bytes;
		if (print->line_bytes[stream] == WEIR_PRINT_LINE_BYTES_MAX)
			line_send(print, stream);
	}
}

/* Take `text` as part of what is kept; returns how much of it. */
static size_t part_take(struct weir_print *print, size_t bytes)
{
	const size_t room = WEIR_PRINT_CALL_BYTES_MAX - print->total_bytes;

	print->is_used = true;
	if (bytes > room)
		bytes = room;
	print->total_bytes += (uint32_t)bytes;
	return bytes;
}

/* Once: there was more than is kept. */
static void limit_say(struct weir_print *print)
{
	char text[100];
	const int bytes = snprintf(text, sizeof(text),
				   "this call printed more than %d bytes; the rest was dropped",
				   WEIR_PRINT_CALL_BYTES_MAX);

	print->is_over = true;
	for (int stream = 0; stream < WEIR_PRINT_STREAMS; stream++) {
		if (print->line_bytes[stream] != 0)
			line_send(print, (enum weir_runtime_stream)stream);
	}
	weir_outlet_line(print->function, print->activation, WEIR_OUTPUT_WARN,
			 (struct weir_span){.data = text, .bytes = (size_t)bytes});
}

static void text_add(struct weir_print *print, enum weir_runtime_stream stream,
		     struct weir_span text)
{
	const size_t asked = text.bytes;

	if (print->is_over)
		return;
	text.bytes = part_take(print, text.bytes);
	const bool is_over = text.bytes < asked;

	while (text.bytes != 0) {
		const char *const end = memchr(text.data, '\n', text.bytes);
		const size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;

		line_add(print, stream, (struct weir_span){.data = text.data, .bytes = bytes});
		if (end == NULL)
			break;
		line_send(print, stream);
		text.data += bytes + 1;
		text.bytes -= bytes + 1;
	}
	if (is_over)
		limit_say(print);
}

void weir_print_add(struct weir_print *print, enum weir_runtime_stream stream, struct weir_span text)
{
	weir_outlet_lock();
	text_add(print, stream, text);
	weir_outlet_unlock();
}

/* A line of the function's own log, cut where it is too long. */
static void level_line_add(struct weir_print *print, enum weir_output_stream stream,
			   struct weir_span text)
{
	const size_t bytes = part_take(print, text.bytes);
	size_t sent = 0;

	(void)part_take(print, 1); /* an empty line is something, too */

	do {
		size_t part = bytes - sent;

		if (part > WEIR_PRINT_LINE_BYTES_MAX)
			part = WEIR_PRINT_LINE_BYTES_MAX;
		weir_outlet_line(print->function, print->activation, stream,
				 (struct weir_span){.data = text.data + sent, .bytes = part});
		sent += part;
	} while (sent < bytes);
	if (bytes < text.bytes)
		limit_say(print);
}

void weir_print_log(struct weir_print *print, int level, struct weir_span text)
{
	static const enum weir_output_stream streams[] = {WEIR_OUTPUT_DEBUG, WEIR_OUTPUT_INFO,
							  WEIR_OUTPUT_WARN, WEIR_OUTPUT_ERROR};
	const enum weir_output_stream stream =
		level >= 0 && level <= 3 ? streams[level] : WEIR_OUTPUT_INFO;

	weir_outlet_lock();
	while (!print->is_over) {
		const char *const end =
			text.bytes != 0 ? memchr(text.data, '\n', text.bytes) : NULL;
		const size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;

		level_line_add(print, stream,
			       (struct weir_span){.data = text.data, .bytes = bytes});
		if (end == NULL || bytes + 1 == text.bytes)
			break;
		text.data += bytes + 1;
		text.bytes -= bytes + 1;
	}
	weir_outlet_unlock();
}

void weir_print_keep(const struct weir_print *print, struct weir_id activation, struct weir_span text)
{
	char length[24];
	size_t sent = 0;

	(void)snprintf(length, sizeof(length), "%zu", text.bytes); /* fits */
	weir_outlet_lock();
	weir_outlet_line(print->function, activation, WEIR_OUTPUT_ANSWER, weir_span_of(length));
	while (sent < text.bytes) {
		size_t part = text.bytes - sent;

		if (part > WEIR_OUTPUT_TEXT_BYTES_MAX)
			part = WEIR_OUTPUT_TEXT_BYTES_MAX;
		weir_outlet_line(print->function, activation, WEIR_OUTPUT_ANSWER,
				 (struct weir_span){.data = text.data + sent, .bytes = part});
		sent += part;
	}
	weir_outlet_flush();
	weir_outlet_unlock();
}

void weir_print_close(struct weir_print *print)
{
	weir_outlet_lock();
	for (int stream = 0; stream < WEIR_PRINT_STREAMS; stream++) {
		if (print->line_bytes[stream] != 0)
			line_send(print, (enum weir_runtime_stream)stream);
	}
	weir_outlet_flush();
	weir_outlet_unlock();
	print->is_used = false;
}
