#include "dataplane/worker/print.h"

#include <string.h>

#include "dataplane/base/log.h"

static void line_send(struct weir_print *print, const char *function, struct weir_id activation,
		      enum weir_runtime_stream stream)
{
	char id[32];

	weir_id_format(activation, id);
	weir_log(WEIR_LOG_INFO, "function", "name=%s activation=%.32s stream=%s text=%.*s", function, id,
		 stream == WEIR_RUNTIME_STDERR ? "stderr" : "stdout", (int)print->line_bytes[stream],
		 print->line[stream]);
	print->line_bytes[stream] = 0;
}

static void limit_say(const char *function, struct weir_id activation)
{
	char id[32];

	weir_id_format(activation, id);
	weir_log(WEIR_LOG_WARN, "function prints too much, the rest is dropped",
		 "name=%s activation=%.32s kept_bytes=%d", function, id, WEIR_PRINT_CALL_BYTES_MAX);
}

/* Put `text`, which has no newline, at the end of the stream's line. */
static void line_add(struct weir_print *print, const char *function, struct weir_id activation,
		     enum weir_runtime_stream stream, struct weir_span text)
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
			line_send(print, function, activation, stream);
	}
}

void weir_print_add(struct weir_print *print, const char *function, struct weir_id activation,
		    enum weir_runtime_stream stream, struct weir_span text)
{
	const bool is_over = text.bytes > WEIR_PRINT_CALL_BYTES_MAX - print->total_bytes;

	if (print->is_over)
		return;
	if (is_over)
		text.bytes = WEIR_PRINT_CALL_BYTES_MAX - print->total_bytes;
	print->is_over = is_over;
	print->total_bytes += (uint32_t)text.bytes;
	while (text.bytes != 0) {
		const char *const end = memchr(text.data, '\n', text.bytes);
		const size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;

		line_add(print, function, activation, stream,
			 (struct weir_span){.data = text.data, .bytes = bytes});
		if (end == NULL)
			break;
		line_send(print, function, activation, stream);
		text.data += bytes + 1;
		text.bytes -= bytes + 1;
	}
	if (is_over)
		limit_say(function, activation);
}

void weir_print_end(struct weir_print *print, const char *function, struct weir_id activation)
{
	for (int stream = 0; stream < WEIR_PRINT_STREAMS; stream++) {
		if (print->line_bytes[stream] != 0)
			line_send(print, function, activation, (enum weir_runtime_stream)stream);
	}
}
