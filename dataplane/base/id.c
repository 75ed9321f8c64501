#include "dataplane/base/id.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t rotate_left(uint64_t value, unsigned int bits)
{
	return (value << bits) | (value >> (64 - bits));
}

/* xoshiro256**: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2018). */
static uint64_t source_next(struct weir_id_source *source)
{
	uint64_t *s = source->state;
	const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	const uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

int weir_id_source_open(struct weir_id_source *source)
{
	struct weir_id_source fresh = {0};
	size_t have = 0;

	while (have < sizeof(fresh.state)) {
		const ssize_t got =
			getrandom((char *)fresh.state + have, sizeof(fresh.state) - have, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -errno;
		have += (size_t)got;
	}
	/* The all-zero state is the one from which the generator never leaves. */
	if ((fresh.state[0] | fresh.state[1] | fresh.state[2] | fresh.state[3]) == 0)
		fresh.state[0] = 1;
	*source = fresh;
	return 0;
}

struct weir_id weir_id_next(struct weir_id_source *source)
{
	struct weir_id id = {.high = source_next(source), .low = source_next(source)};

	if ((id.high | id.low) == 0)
		id.low = 1;
	return id;
}

bool weir_id_parse(const char *text, struct weir_id *out_id)
{
	char half[17] = {0};

	if (strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32)
		return false;
	memcpy(half, text, 16);
	out_id->high = strtoull(half, NULL, 16);
	memcpy(half, text + 16, 16);
	out_id->low = strtoull(half, NULL, 16);
	return true;
}

/* Sixteen bytes side by side, in one register where the machine has such. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));

void weir_id_format(struct weir_id id, char out_text[32])
{
	const uint64_t words[2] = {htobe64(id.high), htobe64(id.low)};
	bytes16 high;

	memcpy(&high, words, sizeof(high));
	const bytes16 low = high & 15;

	high >>= 4;
	/* The digits in their order: high and low half of each byte in turn. */
	bytes16 first = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
						6, 22, 7, 23);
	bytes16 last = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
					       29, 14, 30, 15, 31);

	/* A comparison gives all ones where it holds. */
	first += '0' + ((bytes16)(first > 9) & ('a' - '0' - 10));
	last += '0' + ((bytes16)(last > 9) & ('a' - '0' - 10));
	memcpy(out_text, &first, sizeof(first));
	memcpy(out_text + sizeof(first), &last, sizeof(last));
}
