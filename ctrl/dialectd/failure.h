/* failure: is an answer of a function's own, or one of Weir's errors in its place? Weir's have a word, a part, a
 * sentence; a function that says the same means the same. Any thread. */
#ifndef WEIR_CTRL_DIALECTD_FAILURE_H
#define WEIR_CTRL_DIALECTD_FAILURE_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/span.h"

/* The word of Weir's error (static storage), and its sentence, cut where it does not fit into `max` bytes. NULL: the
 * function answered. */
const char *weir_failure_read(uint32_t status, struct weir_span body, char *out_sentence, size_t max);

#endif
