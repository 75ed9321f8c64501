#include "dataplane/http/http_char.h"

/* Bits of http_char.h by byte value, sixteen to a row. */
/* clang-format off: a table */
const uint8_t weir_http_char_class[256] = {
	/* 00 */ 0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
	/* 10 */ 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
	/* 20 */ 18, 23, 18, 19, 23, 3,  23, 23, 22, 22, 23, 23, 22, 23, 7,  18,
	/* 30 */ 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 18, 22, 18, 22, 18, 18,
	/* 40 */ 18, 31, 31, 31, 31, 31, 31, 23, 23, 23, 23, 23, 23, 23, 23, 23,
	/* 50 */ 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 18, 18, 18, 19, 23,
	/* 60 */ 19, 31, 31, 31, 31, 31, 31, 23, 23, 23, 23, 23, 23, 23, 23, 23,
	/* 70 */ 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 18, 19, 18, 23, 0,
	/* 80 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* 90 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* a0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* b0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* c0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* d0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* e0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	/* f0 */ 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
};
/* clang-format on */

bool weir_http_char_all(struct weir_span text, unsigned bit)
{
	const unsigned char *at = (const unsigned char *)text.data;
	unsigned all = bit;
	size_t left = text.bytes;

	/* No branch for each byte: nearly every text is a good one. */
	for (; left >= 4; left -= 4, at += 4)
		all &= (unsigned)weir_http_char_class[at[0]] & weir_http_char_class[at[1]] &
		       weir_http_char_class[at[2]] & weir_http_char_class[at[3]];
	for (; left > 0; left--)
		all &= weir_http_char_class[*at++];
	return all != 0;
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
