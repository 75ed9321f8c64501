/* print: what a call's function prints becomes lines of its log.
 *
 *   pieces of any size --> line buffer of the stream --newline, full, end of the call--> outlet (a line)
 *
 * Limits: WEIR_PRINT_CALL_BYTES_MAX of a call's output are kept, then one line says that the rest is
 * not; a longer line than WEIR_PRINT_LINE_BYTES_MAX is cut into several.
 * Owns: nothing. Threads: add and log: any, each takes the outlet's lock; the rest: the baton's holder. */
#ifndef WEIR_DATAPLANE_WORKER_PRINT_H
#define WEIR_DATAPLANE_WORKER_PRINT_H

#include "dataplane/base/id.h"
#include "dataplane/runtime/runtime.h"
#include "dataplane/worker/outlet.h"

enum {
	WEIR_PRINT_LINE_BYTES_MAX = WEIR_OUTPUT_TEXT_BYTES_MAX,
	WEIR_PRINT_CALL_BYTES_MAX = 65536,
	WEIR_PRINT_STREAMS = 2,
};

struct weir_print {
	const char *function; /* "namespace/name"; valid until end */
	struct weir_id activation;
	uint32_t total_bytes; /* kept */
	bool is_used;         /* something was printed */
	bool is_over;         /* more than is kept */
	uint16_t line_bytes[WEIR_PRINT_STREAMS];
	char line[WEIR_PRINT_STREAMS][WEIR_PRINT_LINE_BYTES_MAX];
};

/* Nothing printed yet, of a call of `function`. Costs next to nothing: most calls print nothing. */
static inline void weir_print_open(struct weir_print *print, const char *function,
				   struct weir_id activation)
{
	print->function = function;
	print->activation = activation;
	print->total_bytes = 0;
	print->is_used = false;
	print->is_over = false;
	print->line_bytes[WEIR_RUNTIME_STDOUT] = 0;
	print->line_bytes[WEIR_RUNTIME_STDERR] = 0;
}

/* It printed `text` to that stream. */
void weir_print_add(struct weir_print *print, enum weir_runtime_stream stream, struct weir_span text);

/* One line (or several, if `text` has newlines) of the function's own log; level as call_ops.log(). */
void weir_print_log(struct weir_print *print, int level, struct weir_span text);

/* What the call of `activation` was answered, at most WEIR_OUTPUT_ANSWER_BYTES_MAX bytes: sent at once, by the function
 * that `print` is of. */
void weir_print_keep(const struct weir_print *print, struct weir_id activation, struct weir_span text);

/* For weir_print_end(). */
void weir_print_close(struct weir_print *print);

/* The call ended: what waits for a newline is a line, and all lines are sent. */
static inline void weir_print_end(struct weir_print *print)
{
	if (print->is_used)
		weir_print_close(print);
}

#endif
