/* span: a borrowed run of bytes; never owns, never NUL-terminated. */
#ifndef WEIR_DATAPLANE_BASE_SPAN_H
#define WEIR_DATAPLANE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct weir_span {
	const char *data;
	size_t bytes;
};

/* A span over a string literal. */
#define WEIR_SPAN(literal) ((struct weir_span){.data = (literal), .bytes = sizeof(literal) - 1})

/* A span over a NUL-terminated string, without the NUL. */
static inline struct weir_span weir_span_of(const char *text)
{
	return (struct weir_span){.data = text, .bytes = strlen(text)};
}

/* The same bytes, wherever they lie; empty spans are equal. */
static inline bool weir_span_equal(struct weir_span a, struct weir_span b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* ASCII case-insensitive, as HTTP field names compare (RFC 9110 section 5.1). */
static inline bool weir_span_equal_nocase(struct weir_span a, struct weir_span b)
{
	return a.bytes == b.bytes &&
	       (a.bytes == 0 || strncasecmp(a.data, b.data, a.bytes) == 0);
}

/* Four bytes of a text and of a word for weir_span_equal_word(). Of the bytes that a word has, letters
 * alone have bit 6; in them bit 5 is the case. */
static inline bool weir_span_equal_word4(const char *text, const char *word)
{
	uint32_t have;
	uint32_t want;

	memcpy(&have, text, sizeof(have));
	memcpy(&want, word, sizeof(want));
	return (have | (want & UINT32_C(0x40404040)) >> 1) == want;
}

/* The same of eight bytes. */
static inline bool weir_span_equal_word8(const char *text, const char *word)
{
	uint64_t have;
	uint64_t want;

	memcpy(&have, text, sizeof(have));
	memcpy(&want, word, sizeof(want));
	return (have | (want & UINT64_C(0x4040404040404040)) >> 1) == want;
}

/* `text` is `word` in whatever case, for a constant `word` of lower-case letters, digits and '-': few
 * comparisons of whole registers, where strncasecmp() is a call. Always inlined: the word folds. */
static inline __attribute__((always_inline)) bool weir_span_equal_word(struct weir_span text,
								       struct weir_span word)
{
	if (text.bytes != word.bytes)
		return false;
	if (word.bytes < 4) {
		for (size_t i = 0; i < word.bytes; i++) {
			if ((text.data[i] | (word.data[i] & 0x40) >> 1) != word.data[i])
				return false;
		}
		return true;
	}
	if (word.bytes < 8)
		return weir_span_equal_word4(text.data, word.data) &&
		       weir_span_equal_word4(text.data + word.bytes - 4,
					     word.data + word.bytes - 4);
#pragma GCC unroll 4
	for (size_t i = 0; i + 8 < word.bytes; i += 8) {
		if (!weir_span_equal_word8(text.data + i, word.data + i))
			return false;
	}
	return weir_span_equal_word8(text.data + word.bytes - 8, word.data + word.bytes - 8);
}

#endif
