/* json_text: bytes of a program as the inside of a JSON string (RFC 8259 section 7), always valid
 * UTF-8: each byte that belongs to no well-formed sequence becomes U+FFFD. Any thread. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_JSON_TEXT_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_JSON_TEXT_H

#include "dataplane/base/span.h"

enum { WEIR_JSON_TEXT_GROWTH_MAX = 6 }; /* out bytes for one in byte, at most */

/* Escape the beginning of `text` into out[0 .. out_max-1]; returns the bytes written, *out_taken says
 * how many bytes of `text` they stand for. Stops where the next character does not fit, and before
 * a sequence that `text` cuts off, unless `is_last` says that nothing follows. */
size_t weir_json_text_escape(struct weir_span text, bool is_last, char *out, size_t out_max,
			     size_t *out_taken);

#endif
