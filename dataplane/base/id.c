#include "dataplane/base/id.h"

#include <errno.h>
#include <stddef.h>
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

/* Eight digits of `value`, the highest first, computed side by side in the bytes of one word. */
static void eight_digits(uint32_t value, char out_text[8])
{
	uint64_t nibbles = value;

	nibbles = (nibbles << 16 | nibbles) & UINT64_C(0x0000ffff0000ffff);
	nibbles = (nibbles << 8 | nibbles) & UINT64_C(0x00ff00ff00ff00ff);
	nibbles = (nibbles << 4 | nibbles) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	/* 10 .. 15 carry into bit 4 when 6 is added; they get another 39, which makes ':' an 'a'. */
	const uint64_t letters = ((nibbles + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
	const uint64_t text = __builtin_bswap64(nibbles + UINT64_C(0x3030303030303030) + letters * 39);

	memcpy(out_text, &text, sizeof(text));
}

void weir_id_format(struct weir_id id, char out_text[32])
{
	eight_digits((uint32_t)(id.high >> 32), out_text);
	eight_digits((uint32_t)id.high, out_text + 8);
	eight_digits((uint32_t)(id.low >> 32), out_text + 16);
	eight_digits((uint32_t)id.low, out_text + 24);
}
