#include <errno.h>

#include "dataplane/http/http_path.h"
#include "tests/http/http_test.h"

static void assert_path(struct weir_span raw, const char *expected)
{
	char *copy = exact_copy(raw.data, raw.bytes);
	char *out = malloc(raw.bytes + 1);
	size_t bytes = 12345;
	int result;

	assert_non_null(out);
	out[raw.bytes] = '\x55';
	result = weir_http_path_normalize((struct weir_span){.data = copy, .bytes = raw.bytes},
					  out, &bytes);
	if (expected == NULL) {
		if (result != -EINVAL || bytes != 12345)
			fail_msg("\"%.*s\" gave %d, expected -EINVAL", (int)raw.bytes, raw.data,
				 result);
	} else if (result != 0 ||
		   !weir_span_equal((struct weir_span){out, bytes}, weir_span_of(expected))) {
		fail_msg("\"%.*s\" gave %d \"%.*s\", expected \"%s\"", (int)raw.bytes, raw.data,
			 result, (int)bytes, out, expected);
	}
	assert_int_equal(out[raw.bytes], '\x55');
	free(out);
	free(copy);
}

static void dot_segments_are_removed_as_rfc_3986_says(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/"), "/");
	assert_path(WEIR_SPAN("/a/b/c/./../../g"), "/a/g");
	assert_path(WEIR_SPAN("/b/c/./g"), "/b/c/g");
	assert_path(WEIR_SPAN("/b/c/."), "/b/c/");
	assert_path(WEIR_SPAN("/b/c/./"), "/b/c/");
	assert_path(WEIR_SPAN("/b/c/.."), "/b/");
	assert_path(WEIR_SPAN("/b/c/../"), "/b/");
	assert_path(WEIR_SPAN("/b/c/../.."), "/");
	assert_path(WEIR_SPAN("/b/c/../../g"), "/g");
	assert_path(WEIR_SPAN("/b/c/./../g"), "/b/g");
	assert_path(WEIR_SPAN("/b/c/g/./h"), "/b/c/g/h");
	assert_path(WEIR_SPAN("/b/c/g/../h"), "/b/c/h");
	assert_path(WEIR_SPAN("/."), "/");
	assert_path(WEIR_SPAN("/./"), "/");
}

static void other_dots_are_kept(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/g."), "/g.");
	assert_path(WEIR_SPAN("/.g"), "/.g");
	assert_path(WEIR_SPAN("/g.."), "/g..");
	assert_path(WEIR_SPAN("/..g"), "/..g");
	assert_path(WEIR_SPAN("/.../a"), "/.../a");
	assert_path(WEIR_SPAN("/..;/a"), "/..;/a");
}

static void empty_segments_are_kept(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("//"), "//");
	assert_path(WEIR_SPAN("//a///b/"), "//a///b/");
	assert_path(WEIR_SPAN("/a//../b"), "/a/b");
	assert_path(WEIR_SPAN("//.."), "/");
	assert_path(WEIR_SPAN("/a//./b"), "/a//b");
}

static void climbing_above_the_root_is_refused(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/.."), NULL);
	assert_path(WEIR_SPAN("/../"), NULL);
	assert_path(WEIR_SPAN("/../a"), NULL);
	assert_path(WEIR_SPAN("/a/../.."), NULL);
	assert_path(WEIR_SPAN("/a/../../b"), NULL);
	assert_path(WEIR_SPAN("/./../a"), NULL);
	assert_path(WEIR_SPAN("/%2e%2e/etc/passwd"), NULL);
	assert_path(WEIR_SPAN("/.%2E/"), NULL);
}

static void escapes_are_decoded_once(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/a%20b"), "/a b");
	assert_path(WEIR_SPAN("/%41%7a%7E"), "/Az~");
	assert_path(WEIR_SPAN("/%c3%a4"), "/\xc3\xa4");
	assert_path(WEIR_SPAN("/%2541"), "/%41");
	assert_path(WEIR_SPAN("/%252e%252e/a"), "/%2e%2e/a");
	assert_path(WEIR_SPAN("/%3Fa%23"), "/?a#");
	assert_path(WEIR_SPAN("/a/%2e/b/%2E%2e/c"), "/a/c");
	assert_path(WEIR_SPAN("/%25"), "/%");
}

static void an_encoded_slash_stays_encoded_in_upper_case(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/a%2Fb"), "/a%2Fb");
	assert_path(WEIR_SPAN("/a%2fb"), "/a%2Fb");
	assert_path(WEIR_SPAN("/%2f"), "/%2F");
	assert_path(WEIR_SPAN("/a/..%2f..%2fb"), "/a/..%2F..%2Fb");
	assert_path(WEIR_SPAN("/a%2F/../b"), "/b");
}

static void malformed_escapes_and_control_bytes_are_refused(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("/%"), NULL);
	assert_path(WEIR_SPAN("/%4"), NULL);
	assert_path(WEIR_SPAN("/%4g"), NULL);
	assert_path(WEIR_SPAN("/%g4"), NULL);
	assert_path(WEIR_SPAN("/%%34"), NULL);
	assert_path(WEIR_SPAN("/%+1"), NULL);
	assert_path(WEIR_SPAN("/%00"), NULL);
	assert_path(WEIR_SPAN("/a%00.php"), NULL);
	assert_path(WEIR_SPAN("/%0d%0a"), NULL);
	assert_path(WEIR_SPAN("/%1f"), NULL);
	assert_path(WEIR_SPAN("/%7F"), NULL);
	assert_path(WEIR_SPAN("/a\tb"), NULL);
	assert_path(WEIR_SPAN("/\x7f"), NULL);
	assert_path((struct weir_span){"/\0", 2}, NULL);
}

static void only_a_rooted_path_or_an_asterisk_is_a_path(void **state)
{
	(void)state;
	assert_path(WEIR_SPAN("*"), "*");
	assert_path(WEIR_SPAN("**"), NULL);
	assert_path(WEIR_SPAN(""), NULL);
	assert_path(WEIR_SPAN("a"), NULL);
	assert_path(WEIR_SPAN("%2Fa"), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dot_segments_are_removed_as_rfc_3986_says),
		cmocka_unit_test(other_dots_are_kept),
		cmocka_unit_test(empty_segments_are_kept),
		cmocka_unit_test(climbing_above_the_root_is_refused),
		cmocka_unit_test(escapes_are_decoded_once),
		cmocka_unit_test(an_encoded_slash_stays_encoded_in_upper_case),
		cmocka_unit_test(malformed_escapes_and_control_bytes_are_refused),
		cmocka_unit_test(only_a_rooted_path_or_an_asterisk_is_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
