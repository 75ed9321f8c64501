/* multipart: a form's body (multipart/form-data, RFC 7578) in its parts, which stay where they are.
 *
 *   --B CRLF fields CRLF CRLF content CRLF --B ... CRLF --B-- [CRLF]
 *
 * Strict: nothing stands before the first boundary or behind the last, lines end in CRLF, every part has one
 * Content-Disposition with a name, and no other encoding than none. Pure; any thread. */
#ifndef WEIR_CTRL_DIALECT_MULTIPART_H
#define WEIR_CTRL_DIALECT_MULTIPART_H

#include <stddef.h>

#include "dataplane/base/span.h"

enum {
	WEIR_MULTIPART_PARTS_MAX = 8,
	WEIR_MULTIPART_FIELDS_MAX = 8, /* of a part */
	WEIR_MULTIPART_LINE_BYTES_MAX = 1024,
	WEIR_MULTIPART_BOUNDARY_BYTES_MAX = 70,
};

struct weir_multipart_part {
	struct weir_span name; /* as sent, between the quotes */
	struct weir_span content;
};

struct weir_multipart {
	struct weir_multipart_part part[WEIR_MULTIPART_PARTS_MAX];
	size_t count;
};

/* Read a body by its content-type. NULL: *out_form points into `body`; else a sentence's end: what the form is
 * or has that it must not. */
const char *weir_multipart_read(struct weir_span type, struct weir_span body, struct weir_multipart *out_form);

/* The only part of that name. NULL: there is none, or *out_is_twice. */
const struct weir_multipart_part *weir_multipart_find(const struct weir_multipart *form, const char *name,
						      bool *out_is_twice);

#endif
