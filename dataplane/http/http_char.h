/* http_char: which bytes may stand where in a head, as one table of bits (RFC 9110 section 5.6.2,
 * RFC 3986 sections 2 and 3.2.2). Constant data; any thread. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_CHAR_H
#define WEIR_DATAPLANE_HTTP_HTTP_CHAR_H

#include "dataplane/base/span.h"

enum {
	WEIR_HTTP_CHAR_TOKEN = 1, /* of a method, field name or coding */
	WEIR_HTTP_CHAR_VALUE =
		2, /* of a field value: no control but the tab; obs-text is allowed */
	WEIR_HTTP_CHAR_HOST =
		4, /* of a registered name: unreserved or sub-delimiter, not '%' */
	WEIR_HTTP_CHAR_HEX = 8,
	WEIR_HTTP_CHAR_PATH = 16, /* of a path: means itself; no control, '%' or '.' */
};

extern const uint8_t weir_http_char_class[256];

/* True if `byte` has one of `bits`. */
static inline bool weir_http_char_is(char byte, unsigned bits)
{
	return (weir_http_char_class[(unsigned char)byte] & bits) != 0;
}

/* True if every byte of `text` has `bit`, one of the above (also of an empty text). */
bool weir_http_char_all(struct weir_span text, unsigned bit);

/* True if `text` is a token: one byte or more, all of them token bytes. */
bool weir_http_char_is_token(struct weir_span text);

/* 0 .. 15, or -1 if `byte` is no hex digit. */
int weir_http_char_hex(char byte);

#endif
