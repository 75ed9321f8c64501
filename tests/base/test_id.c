#include <stdlib.h>
#include <string.h>

#include <inttypes.h>
#include <stdio.h>

#include "dataplane/base/id.h"
#include "tests/base/base_test.h"

#define IDS 100000

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct weir_id));
}

static void a_hundred_thousand_ids_of_one_source_differ(void **state)
{
	struct weir_id *ids = calloc(IDS, sizeof(*ids));
	struct weir_id_source source;

	(void)state;
	assert_non_null(ids);
	assert_int_equal(weir_id_source_open(&source), 0);
	for (size_t i = 0; i < IDS; i++)
		ids[i] = weir_id_next(&source);
	qsort(ids, IDS, sizeof(*ids), id_compare);
	for (size_t i = 1; i < IDS; i++)
		assert_int_not_equal(id_compare(&ids[i - 1], &ids[i]), 0);
	free(ids);
}

static void two_sources_give_different_ids(void **state)
{
	struct weir_id_source a;
	struct weir_id_source b;
	struct weir_id first;
	struct weir_id second;

	(void)state;
	assert_int_equal(weir_id_source_open(&a), 0);
	assert_int_equal(weir_id_source_open(&b), 0);
	first = weir_id_next(&a);
	second = weir_id_next(&b);
	assert_int_not_equal(id_compare(&first, &second), 0);
}

static void the_generator_gives_the_published_sequence(void **state)
{
	/* xoshiro256** from the state {1, 2, 3, 4}: worked out by hand for the first two values. */
	struct weir_id_source source = {.state = {1, 2, 3, 4}};
	const struct weir_id id = weir_id_next(&source);

	(void)state;
	assert_int_equal(id.high, 11520);
	assert_int_equal(id.low, 0);
}

static void format_writes_32_lower_case_digits_and_nothing_after(void **state)
{
	const struct weir_id id = {.high = UINT64_C(0x0123456789abcdef),
				   .low = UINT64_C(0xfedcba9876543210)};
	char text[33] = {0};

	(void)state;
	text[32] = '!';
	weir_id_format(id, text);
	assert_memory_equal(text, "0123456789abcdeffedcba9876543210!", 33);
}

static void format_says_what_printf_says(void **state)
{
	struct weir_id_source source;

	(void)state;
	assert_int_equal(weir_id_source_open(&source), 0);
	for (size_t i = 0; i < 10000; i++) {
		const struct weir_id id = weir_id_next(&source);
		char text[33] = {0};
		char expected[33];

		weir_id_format(id, text);
		(void)snprintf(expected, sizeof(expected), "%016" PRIx64 "%016" PRIx64, id.high, id.low);
		assert_string_equal(text, expected);
	}
}

static void parse_reads_what_format_wrote_and_nothing_else(void **state)
{
	static const char *const wrong[] = {"", "0", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
					    "0123456789abcdef0123456789abcdeg", "0x23456789abcdef0123456789abcdef",
					    " 123456789abcdef0123456789abcdef", "-123456789abcdef+123456789abcdef"};
	struct weir_id id = {.high = 1, .low = 2};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(weir_id_parse(wrong[i], &id));
	assert_true(id.high == 1 && id.low == 2);
	assert_true(weir_id_parse("0123456789abcdefFEDCBA9876543210", &id));
	assert_true(id.high == UINT64_C(0x0123456789abcdef) && id.low == UINT64_C(0xfedcba9876543210));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_ids_of_one_source_differ),
		cmocka_unit_test(two_sources_give_different_ids),
		cmocka_unit_test(the_generator_gives_the_published_sequence),
		cmocka_unit_test(format_writes_32_lower_case_digits_and_nothing_after),
		cmocka_unit_test(format_says_what_printf_says),
		cmocka_unit_test(parse_reads_what_format_wrote_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
