/* python_query: name=value&name=value, as in query strings and HTML forms. Pure; any thread. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_QUERY_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_QUERY_H

#include "dataplane/base/span.h"

/* Take the next pair off the front of `text`: false at the end. Empty pieces ("a&&b") are passed by; a
 * piece without '=' has an empty value. Both are still encoded. */
bool weir_python_query_next(struct weir_span *text, struct weir_span *out_name,
			    struct weir_span *out_value);

/* Decode '+' and %XX into out[0 .. text.bytes-1]; returns the bytes written. An escape that is none
 * stays as it is. */
size_t weir_python_query_decode(struct weir_span text, char *out);

#endif
