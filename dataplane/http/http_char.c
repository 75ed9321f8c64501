#include "dataplane/http/http_char.h"

/* Bits of http_char.h by byte value, sixteen to a row. */
/* clang-format off: a table */
const uint8_t weir_http_char_class[256] = {
	/* 00 */ 0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0, 0, 0, 0, 0, 0,
	/* 10 */ 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, 0, 0, 0, 0, 0,
	/* 20 */ 2,  7,  2,  3,  7,  3,  7,  7,  6,  6,  7, 7, 6, 7, 7, 2,
	/* 30 */ 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 2, 6, 2, 6, 2, 2,
	/* 40 */ 2,  15, 15, 15, 15, 15, 15, 7,  7,  7,  7, 7, 7, 7, 7, 7,
	/* 50 */ 7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7, 2, 2, 2, 3, 7,
	/* 60 */ 3,  15, 15, 15, 15, 15, 15, 7,  7,  7,  7, 7, 7, 7, 7, 7,
	/* 70 */ 7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7, 2, 3, 2, 7, 0,
	/* 80 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* 90 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* a0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* b0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* c0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* d0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* e0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
	/* f0 */ 2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, 2, 2, 2, 2, 2,
};
/* clang-format on */

bool weir_http_char_all(struct weir_span text, unsigned bits)
{
	for (size_t i = 0; i < text.bytes; i++) {
		if (!weir_http_char_is(text.data[i], bits))
			return false;
	}
	return true;
}

bool weir_http_char_is_token(struct weir_span text)
{
	return text.bytes > 0 && weir_http_char_all(text, WEIR_HTTP_CHAR_TOKEN);
}

int weir_http_char_hex(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}
