#include "dataplane/base/clock.h"
#include "dataplane/base/span.h"
#include "tests/base/base_test.h"

static void spans_compare_by_bytes_not_by_address_or_terminator(void **state)
{
	const char text[] = "abcabc";
	const struct weir_span head = {.data = text, .bytes = 3};
	const struct weir_span tail = {.data = text + 3, .bytes = 3};
	const struct weir_span longer = {.data = text, .bytes = 4};

	(void)state;
	assert_true(weir_span_equal(head, tail));
	assert_false(weir_span_equal(head, longer));
	assert_true(weir_span_equal(WEIR_SPAN("abc"), head));
	assert_int_equal(WEIR_SPAN("abc").bytes, 3);
	assert_true(weir_span_equal(weir_span_of("abc"), head));
}

static void empty_spans_are_equal_even_without_an_address(void **state)
{
	const struct weir_span nothing = {.data = NULL, .bytes = 0};

	(void)state;
	assert_true(weir_span_equal(nothing, WEIR_SPAN("")));
	assert_true(weir_span_equal_nocase(WEIR_SPAN(""), nothing));
	assert_false(weir_span_equal(nothing, WEIR_SPAN("a")));
}

static void case_is_ignored_only_where_asked(void **state)
{
	(void)state;
	assert_true(weir_span_equal_nocase(WEIR_SPAN("Content-Length"),
					   WEIR_SPAN("content-length")));
	assert_false(weir_span_equal(WEIR_SPAN("Content-Length"), WEIR_SPAN("content-length")));
	assert_false(weir_span_equal_nocase(WEIR_SPAN("content-length"),
					    WEIR_SPAN("content_length")));
}

static void the_clock_never_goes_back(void **state)
{
	uint64_t last_ns = weir_clock_now_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		const uint64_t now_ns = weir_clock_now_ns();

		assert_true(now_ns >= last_ns);
		last_ns = now_ns;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_compare_by_bytes_not_by_address_or_terminator),
		cmocka_unit_test(empty_spans_are_equal_even_without_an_address),
		cmocka_unit_test(case_is_ignored_only_where_asked),
		cmocka_unit_test(the_clock_never_goes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
