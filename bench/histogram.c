#include "bench/histogram.h"

uint64_t weir_histogram_bucket_high(uint32_t bucket)
{
	if (bucket < WEIR_HISTOGRAM_SUB)
		return bucket;
	const uint32_t shift = (bucket >> WEIR_HISTOGRAM_SUB_BITS) - 1;
	const uint64_t leading = WEIR_HISTOGRAM_SUB + (bucket & (WEIR_HISTOGRAM_SUB - 1));

	return ((leading + 1) << shift) - 1;
}

uint64_t weir_histogram_quantile(const struct weir_histogram *histogram,
				 uint32_t part_per_million)
{
	/* Rank of the observation asked for, rounded up; 128 bits: total may be large. */
	const uint64_t rank =
		(uint64_t)(((unsigned __int128)histogram->total * part_per_million + 999999) /
			   1000000);
	uint64_t seen = 0;

	for (uint32_t bucket = 0; bucket < WEIR_HISTOGRAM_BUCKETS; bucket++) {
		seen += histogram->count[bucket];
		if (seen >= rank && seen > 0) {
			const uint64_t high = weir_histogram_bucket_high(bucket);

			return high < histogram->max ? high : histogram->max;
		}
	}
	return 0;
}
