/* fuzz: what the fuzzers share. Each gives LLVMFuzzerTestOneInput and aborts where its property
 * does not hold; libFuzzer or fuzz_replay.c calls it. */
#ifndef WEIR_TESTS_FUZZ_FUZZ_H
#define WEIR_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The property under test; the failed one is named before the abort. */
#define FUZZ_CHECK(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

/* Returns 0. Any thread; the input is the caller's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A copy of exactly `bytes` bytes, so that AddressSanitizer sees a read behind them. */
static inline char *fuzz_copy(const void *data, size_t bytes)
{
	char *copy = malloc(bytes > 0 ? bytes : 1);

	FUZZ_CHECK(copy != NULL);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	return copy;
}

/* A pseudo-random number that the input decides, so that a finding can be repeated. */
static inline uint32_t fuzz_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

#endif
