#include "dataplane/base/id.h"

#include <errno.h>
#include <stddef.h>
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

void weir_id_format(struct weir_id id, char out_text[32])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < 16; i++) {
		out_text[i] = digits[(id.high >> (60 - 4 * i)) & 15];
		out_text[16 + i] = digits[(id.low >> (60 - 4 * i)) & 15];
	}
}
