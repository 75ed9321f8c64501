#include <stdlib.h>
#include <time.h>

#include "tests/bench/bench_test.h"

#include "bench/histogram.h"

static struct weir_histogram histogram;

static int setup(void **state)
{
	(void)state;
	histogram = (struct weir_histogram){0};
	return 0;
}

static void buckets_cover_all_values_without_gap(void **state)
{
	(void)state;
	uint64_t low = 0;

	for (uint32_t bucket = 0; bucket < WEIR_HISTOGRAM_BUCKETS; bucket++) {
		const uint64_t high = weir_histogram_bucket_high(bucket);

		assert_int_equal(weir_histogram_bucket(low), bucket);
		assert_int_equal(weir_histogram_bucket(high), bucket);
		assert_true(high - low <= low / WEIR_HISTOGRAM_SUB);
		low = high + 1;
	}
	assert_true(low == 0); /* the last bucket ends with the last value */
}

static void quantiles_of_nothing_are_zero(void **state)
{
	(void)state;
	assert_int_equal(weir_histogram_quantile(&histogram, 990000), 0);
}

static void quantiles_of_small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t value = 1; value <= 100; value++)
		weir_histogram_add(&histogram, value, 1);
	assert_int_equal(weir_histogram_quantile(&histogram, 500000), 50);
	assert_int_equal(weir_histogram_quantile(&histogram, 990000), 99);
	assert_int_equal(weir_histogram_quantile(&histogram, 1000000), 100);
}

static void one_slow_answer_in_a_thousand_shows_only_above_its_rank(void **state)
{
	(void)state;
	weir_histogram_add(&histogram, 10, 999);
	weir_histogram_add(&histogram, 5000000, 1);
	assert_int_equal(weir_histogram_quantile(&histogram, 999000), 10);
	assert_int_equal(weir_histogram_quantile(&histogram, 999001), 5000000);
}

static int compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void quantiles_agree_with_sorting_within_a_bucket(void **state)
{
	(void)state;
	enum { COUNT = 10000 };
	static uint64_t value[COUNT];
	const unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srandom(seed);
	for (size_t i = 0; i < COUNT; i++) {
		value[i] = (uint64_t)random() >> (random() % 31);
		weir_histogram_add(&histogram, value[i], 1);
	}
	qsort(value, COUNT, sizeof(value[0]), compare);
	for (uint32_t percent = 1; percent <= 100; percent++) {
		const uint64_t exact = value[percent * COUNT / 100 - 1];
		const uint64_t found = weir_histogram_quantile(&histogram, percent * 10000);

		assert_true(found >= exact);
		assert_true(found - exact <= exact / WEIR_HISTOGRAM_SUB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(buckets_cover_all_values_without_gap, setup),
		cmocka_unit_test_setup(quantiles_of_nothing_are_zero, setup),
		cmocka_unit_test_setup(quantiles_of_small_values_are_exact, setup),
		cmocka_unit_test_setup(one_slow_answer_in_a_thousand_shows_only_above_its_rank,
				       setup),
		cmocka_unit_test_setup(quantiles_agree_with_sorting_within_a_bucket, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
