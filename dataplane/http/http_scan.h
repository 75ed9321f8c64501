/* http_scan: finds the byte at which a run of the usual bytes ends, sixteen at a time.
 * Of x86-64's base instructions alone; elsewhere the same blocks are looked up byte by byte.
 * Private to dataplane/http. Any thread; never reads beyond `end`. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_SCAN_H
#define WEIR_DATAPLANE_HTTP_HTTP_SCAN_H

#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { WEIR_HTTP_SCAN_BYTES = 16 };

/* Bit i: block[i] ends a field's value, being a control other than the tab. */
static inline unsigned weir_http_scan_value_mask_bytewise(const char *block)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < WEIR_HTTP_SCAN_BYTES; i++) {
		const unsigned char byte = (unsigned char)block[i];

		mask |= (unsigned)((byte < 0x20 && byte != '\t') || byte == 0x7f) << i;
	}
	return mask;
}

/* Bit i: block[i] ends a path, being '?' or '#' or no printable character of ASCII. */
static inline unsigned weir_http_scan_path_mask_bytewise(const char *block)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < WEIR_HTTP_SCAN_BYTES; i++) {
		const unsigned char byte = (unsigned char)block[i];

		mask |= (unsigned)(byte <= ' ' || byte >= 0x7f || byte == '?' || byte == '#')
			<< i;
	}
	return mask;
}

/* Bit i: block[i] is no letter, digit, '-' or '.', of which most field names and hosts are. What else
 * may stand in them is rare, and left to the caller. */
static inline unsigned weir_http_scan_word_mask_bytewise(const char *block)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < WEIR_HTTP_SCAN_BYTES; i++) {
		const unsigned char byte = (unsigned char)block[i];
		const unsigned char lower = byte | 0x20;

		mask |= (unsigned)!((lower >= 'a' && lower <= 'z') ||
				    (byte >= '0' && byte <= '9') || byte == '-' || byte == '.')
			<< i;
	}
	return mask;
}

/* Bit i: block[i] does not mean itself in a path, or may not: a control, '%' or '.'. */
static inline unsigned weir_http_scan_escape_mask_bytewise(const char *block)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < WEIR_HTTP_SCAN_BYTES; i++) {
		const unsigned char byte = (unsigned char)block[i];

		mask |= (unsigned)(byte < 0x20 || byte == 0x7f || byte == '%' || byte == '.')
			<< i;
	}
	return mask;
}

#ifdef __SSE2__

/* As weir_http_scan_value_mask_bytewise(). */
static inline unsigned weir_http_scan_value_mask(const char *block)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
	const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
	const __m128i control =
		_mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')), low);

	return (unsigned)_mm_movemask_epi8(
		_mm_or_si128(control, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}

/* As weir_http_scan_path_mask_bytewise(). */
static inline unsigned weir_http_scan_path_mask(const char *block)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
	/* As signed numbers 0x80 .. 0xff are below the space too. */
	const __m128i blank = _mm_cmplt_epi8(bytes, _mm_set1_epi8('!'));
	const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('?')),
					  _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(
		_mm_or_si128(blank, mark), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}

/* As weir_http_scan_word_mask_bytewise(). */
static inline unsigned weir_http_scan_word_mask(const char *block)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
	/* A range test: less than the range's first byte wraps around to a large number. */
	const __m128i letter =
		_mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
	const __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
	const __m128i good = _mm_or_si128(
		_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
			     _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit)),
		_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')),
			     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))));

	return (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
}

/* As weir_http_scan_escape_mask_bytewise(). */
static inline unsigned weir_http_scan_escape_mask(const char *block)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
	const __m128i control =
		_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes),
			     _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
	const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('%')),
					  _mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, mark));
}

#else
#define weir_http_scan_escape_mask weir_http_scan_escape_mask_bytewise
#define weir_http_scan_word_mask   weir_http_scan_word_mask_bytewise
#define weir_http_scan_value_mask  weir_http_scan_value_mask_bytewise
#define weir_http_scan_path_mask   weir_http_scan_path_mask_bytewise
#endif

/* Where in text[at .. end-1] the first byte stands for which `mask_of` has a bit, or `end`. There are
 * WEIR_HTTP_SCAN_BYTES bytes or more in text[0 .. end-1]: the last block reaches back to seen ones.
 * Always inlined, so that `mask_of` is no call. */
static inline __attribute__((always_inline)) size_t
weir_http_scan(const char *text, size_t at, size_t end, unsigned (*mask_of)(const char *block))
{
	unsigned mask;

	while (end - at >= WEIR_HTTP_SCAN_BYTES) {
		mask = mask_of(text + at);
		if (mask != 0)
			return at + (size_t)__builtin_ctz(mask);
		at += WEIR_HTTP_SCAN_BYTES;
	}
	if (at == end)
		return end;
	mask = mask_of(text + end - WEIR_HTTP_SCAN_BYTES) >>
	       (WEIR_HTTP_SCAN_BYTES - (end - at));
	return mask != 0 ? at + (size_t)__builtin_ctz(mask) : end;
}

#endif
