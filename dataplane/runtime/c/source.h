/* source: what a C source is, seen without compiling it: a function with Weir's header, one plain
 * function of ints, as Vespid takes it, or both. Comments, strings and preprocessor lines are stepped over; it
 * is the compiler that says whether the rest is C. Pure; any thread. */
#ifndef WEIR_DATAPLANE_RUNTIME_C_SOURCE_H
#define WEIR_DATAPLANE_RUNTIME_C_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

enum { WEIR_C_NAME_BYTES = 64, WEIR_C_PARAMS_MAX = 16, WEIR_C_PROBLEM_BYTES = 256 };

struct weir_c_source {
	bool has_handler; /* it includes weir_function.h or names weir_handle */
	char name[WEIR_C_NAME_BYTES]; /* the first function that is not static; beside a handler the first
					 of ints, or empty: there is none */
	unsigned line;
	size_t param_count;
	char param[WEIR_C_PARAMS_MAX][WEIR_C_NAME_BYTES];
};

/* Look at `text`, NUL-terminated. 0, or -EINVAL with a sentence and, in out_source->line, its line. */
int weir_c_source_scan(const char *text, struct weir_c_source *out_source,
		       char out_problem[WEIR_C_PROBLEM_BYTES]);

#endif
