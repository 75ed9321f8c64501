/* print: what a call's function prints becomes lines of its log.
 *
 *   pieces of any size --> line buffer of the stream --newline, full, end of the call--> one log entry
 *
 * Limits: WEIR_PRINT_CALL_BYTES_MAX of a call's output are kept, then one entry says that the rest is
 * not; a longer line than WEIR_PRINT_LINE_BYTES_MAX is cut into several.
 * Owns: nothing. Threads: the baton's holder. */
#ifndef WEIR_DATAPLANE_WORKER_PRINT_H
#define WEIR_DATAPLANE_WORKER_PRINT_H

#include "dataplane/base/id.h"
#include "dataplane/runtime/runtime.h"

enum {
	WEIR_PRINT_LINE_BYTES_MAX = 1024,
	WEIR_PRINT_CALL_BYTES_MAX = 65536,
	WEIR_PRINT_STREAMS = 2,
};

struct weir_print {
	uint32_t total_bytes; /* kept */
	bool is_over;         /* there was more */
	uint16_t line_bytes[WEIR_PRINT_STREAMS];
	char line[WEIR_PRINT_STREAMS][WEIR_PRINT_LINE_BYTES_MAX];
};

/* Nothing printed yet. Costs next to nothing: most calls print nothing. */
static inline void weir_print_open(struct weir_print *print)
{
	print->total_bytes = 0;
	print->is_over = false;
	print->line_bytes[WEIR_RUNTIME_STDOUT] = 0;
	print->line_bytes[WEIR_RUNTIME_STDERR] = 0;
}

/* `text`, of a call of `function` ("namespace/name"). */
void weir_print_add(struct weir_print *print, const char *function, struct weir_id activation,
		    enum weir_runtime_stream stream, struct weir_span text);

/* The call ended: what waits for a newline is a line. */
void weir_print_end(struct weir_print *print, const char *function, struct weir_id activation);

#endif
