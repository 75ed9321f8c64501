/* shm_test: what the tests of shared memory share: cmocka with the headers that it needs first, a
 * link that both ends use in one process, and a printed, settable seed. */
#ifndef WEIR_TESTS_SHM_SHM_TEST_H
#define WEIR_TESTS_SHM_SHM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/shm/segment.h"

/* A fresh segment of `shard_count` shards; release with weir_segment_detach(). */
static inline struct weir_segment shm_segment_open(uint32_t shard_count)
{
	struct weir_segment segment = {0};
	int fd = -1;

	assert_int_equal(weir_segment_create(7, 9, shard_count, &fd), 0);
	assert_int_equal(weir_segment_attach(fd, &segment), 0);
	(void)close(fd);
	return segment;
}

/* splitmix64: small, and every seed is a good one. */
struct shm_random {
	uint64_t state;
};

static inline uint64_t shm_random_next(struct shm_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t shm_random_below(struct shm_random *random, uint32_t bound)
{
	return (uint32_t)(shm_random_next(random) % bound);
}

/* The seed: WEIR_SEED, or another one each time; printed so that a failure can be repeated. */
static inline uint64_t shm_seed(void)
{
	const char *const text = getenv("WEIR_SEED"); /* NOLINT(concurrency-mt-unsafe): one thread */
	struct timespec now;
	uint64_t seed = 0;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 32;
	(void)printf("WEIR_SEED=%llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	return seed;
}

#endif
