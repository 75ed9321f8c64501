/* histogram: latencies in logarithmic buckets, each at most 1.6 % wide, in constant time and space.
 *
 *   value 0..63: a bucket each; above: 64 buckets to each power of two
 *   | 0 | 1 | ... | 63 | 64 | 65 | ... | 126-127 in one | ... | 2^63.. |
 *
 * Owner: the program that embeds it, zeroed. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_HISTOGRAM_H
#define WEIR_BENCH_HISTOGRAM_H

#include <stdint.h>

#define WEIR_HISTOGRAM_SUB_BITS 6
#define WEIR_HISTOGRAM_SUB      (1u << WEIR_HISTOGRAM_SUB_BITS)
#define WEIR_HISTOGRAM_BUCKETS  ((64 - WEIR_HISTOGRAM_SUB_BITS + 1) * WEIR_HISTOGRAM_SUB)

struct weir_histogram {
	uint64_t count[WEIR_HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max;
};

/* Which bucket holds `value`; below WEIR_HISTOGRAM_BUCKETS. */
static inline uint32_t weir_histogram_bucket(uint64_t value)
{
	if (value < WEIR_HISTOGRAM_SUB)
		return (uint32_t)value;
	const uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - WEIR_HISTOGRAM_SUB_BITS;

	return (shift << WEIR_HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

/* Add `times` observations of `value`. */
static inline void weir_histogram_add(struct weir_histogram *histogram, uint64_t value,
				      uint64_t times)
{
	histogram->count[weir_histogram_bucket(value)] += times;
	histogram->total += times;
	if (value > histogram->max)
		histogram->max = value;
}

/* The highest value in `bucket`. */
uint64_t weir_histogram_bucket_high(uint32_t bucket);

/* The value that `part_per_million` millionths of all observations do not exceed (rounded up to
 * its bucket's end, never above the maximum seen); 0 where nothing was added. */
uint64_t weir_histogram_quantile(const struct weir_histogram *histogram,
				 uint32_t part_per_million);

#endif
