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

#endif
