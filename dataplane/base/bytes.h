/* bytes: copying and comparing short runs of bytes, for which a call of memcpy() or memcmp() costs more
 * than the work: two halves that may overlap instead of a loop. Any thread. */
#ifndef WEIR_DATAPLANE_BASE_BYTES_H
#define WEIR_DATAPLANE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What memcpy() does; the runs may not overlap. `from` may be NULL if `bytes` is 0. */
static inline void weir_bytes_copy(void *to, const void *from, size_t bytes)
{
	char *const out = (char *)to;
	const char *const in = (const char *)from;

	if (bytes >= 8 && bytes <= 16) {
		uint64_t first;
		uint64_t last;

		memcpy(&first, in, sizeof(first));
		memcpy(&last, in + bytes - sizeof(last), sizeof(last));
		memcpy(out, &first, sizeof(first));
		memcpy(out + bytes - sizeof(last), &last, sizeof(last));
	} else if (bytes >= 4 && bytes < 8) {
		uint32_t first;
		uint32_t last;

		memcpy(&first, in, sizeof(first));
		memcpy(&last, in + bytes - sizeof(last), sizeof(last));
		memcpy(out, &first, sizeof(first));
		memcpy(out + bytes - sizeof(last), &last, sizeof(last));
	} else if (bytes > 0) {
		memcpy(out, in, bytes);
	}
}

/* memcmp() == 0. Either may be NULL if `bytes` is 0. */
static inline bool weir_bytes_equal(const void *a, const void *b, size_t bytes)
{
	const char *const one = (const char *)a;
	const char *const other = (const char *)b;

	if (bytes >= 8 && bytes <= 16) {
		uint64_t first[2];
		uint64_t last[2];

		memcpy(&first[0], one, sizeof(first[0]));
		memcpy(&first[1], other, sizeof(first[1]));
		memcpy(&last[0], one + bytes - sizeof(last[0]), sizeof(last[0]));
		memcpy(&last[1], other + bytes - sizeof(last[1]), sizeof(last[1]));
		return first[0] == first[1] && last[0] == last[1];
	}
	if (bytes >= 4 && bytes < 8) {
		uint32_t first[2];
		uint32_t last[2];

		memcpy(&first[0], one, sizeof(first[0]));
		memcpy(&first[1], other, sizeof(first[1]));
		memcpy(&last[0], one + bytes - sizeof(last[0]), sizeof(last[0]));
		memcpy(&last[1], other + bytes - sizeof(last[1]), sizeof(last[1]));
		return first[0] == first[1] && last[0] == last[1];
	}
	return bytes == 0 || memcmp(one, other, bytes) == 0;
}

#endif
