/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/runtime/exec/json_text.h"

static void check(const char *in, size_t in_bytes, bool is_last, const char *expected,
		  size_t taken_expected)
{
	char out[256];
	size_t taken = 999;
	const size_t bytes =
		weir_json_text_escape((struct weir_span){.data = in, .bytes = in_bytes},
				      is_last, out, sizeof(out) - 1, &taken);

	out[bytes] = '\0';
	assert_string_equal(out, expected);
	assert_int_equal(taken, taken_expected);
}

#define CHECK(in, expected) check((in), sizeof(in) - 1, true, (expected), sizeof(in) - 1)

static void plain_text_stays_and_special_characters_are_escaped(void **state)
{
	(void)state;
	CHECK("", "");
	CHECK("hello /", "hello /");
	CHECK("a\"b\\c", "a\\\"b\\\\c");
	CHECK("\b\f\n\r\t", "\\b\\f\\n\\r\\t");
	CHECK("\0\x1f\x7f", "\\u0000\\u001f\\u007f");
}

static void sound_utf8_stays_and_each_other_byte_becomes_a_replacement(void **state)
{
	(void)state;
	CHECK("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	      "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	CHECK("a\x80z", "a\xef\xbf\xbdz");
	CHECK("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
	CHECK("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
	CHECK("\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd");                 /* beyond U+10FFFF */
	CHECK("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"); /* cut off, nothing follows */
}

static void a_character_cut_off_is_left_until_its_rest_comes(void **state)
{
	(void)state;
	check("ab\xe2\x82", 4, false, "ab", 2);
	check("ab\xf0\x9f\x98", 5, false, "ab", 2);
	check("\xc3", 1, false, "", 0);
	check("\xc3\"", 2, false, "\xef\xbf\xbd\\\"",
	      2); /* its second byte is no continuation */
}

static void what_does_not_fit_is_left(void **state)
{
	char out[7];
	size_t taken = 0;

	(void)state;
	assert_int_equal(weir_json_text_escape(WEIR_SPAN("a\x01z"), true, out, 7, &taken), 7);
	assert_int_equal(taken, 2);
	assert_int_equal(weir_json_text_escape(WEIR_SPAN("a\x01z"), true, out, 6, &taken), 1);
	assert_int_equal(taken, 1);
	assert_int_equal(weir_json_text_escape(WEIR_SPAN("\x01"), true, out, 5, &taken), 0);
	assert_int_equal(taken, 0);
}

/* Escaping in two steps at any place gives the same as in one. */
static void splitting_anywhere_changes_nothing(void **state)
{
	static const char alphabet[] = "a\"\\\n\x01\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff";
	unsigned int seed = 0;

	(void)state;
	assert_int_equal(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	print_message("seed %u\n", seed);
	for (int round = 0; round < 2000; round++) {
		char in[24];
		char whole[24 * 6];
		char parts[24 * 6];
		size_t taken = 0;
		size_t used = 0;
		const size_t split = (size_t)rand_r(&seed) % (sizeof(in) + 1);
		size_t whole_bytes = 0;

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		whole_bytes = weir_json_text_escape(
			(struct weir_span){.data = in, .bytes = sizeof(in)}, true, whole,
			sizeof(whole), &taken);
		assert_int_equal(taken, sizeof(in));
		used = weir_json_text_escape((struct weir_span){.data = in, .bytes = split},
					     false, parts, sizeof(parts), &taken);
		assert_true(taken <= split && taken + 3 >= split);
		used += weir_json_text_escape(
			(struct weir_span){.data = in + taken, .bytes = sizeof(in) - taken},
			true, parts + used, sizeof(parts) - used, &taken);
		assert_int_equal(used, whole_bytes);
		assert_memory_equal(parts, whole, used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays_and_special_characters_are_escaped),
		cmocka_unit_test(sound_utf8_stays_and_each_other_byte_becomes_a_replacement),
		cmocka_unit_test(a_character_cut_off_is_left_until_its_rest_comes),
		cmocka_unit_test(what_does_not_fit_is_left),
		cmocka_unit_test(splitting_anywhere_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
