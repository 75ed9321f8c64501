#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "dataplane/http/http_path.h"
#include "tests/http/http_test.h"

static void assert_path(struct weir_span raw, const char *expected)
{
	char *copy = exact_copy(raw.data, raw.bytes);
	char *out = malloc(raw.bytes + 1);
	struct weir_span path = {.data = NULL, .bytes = 12345};
	int result;

	assert_non_null(out);
	out[raw.bytes] = '\x55';
	result = weir_http_path_normalize((struct weir_span){.data = copy, .bytes = raw.bytes},
					  out, &path);
	if (expected == NULL) {
		if (result != -EINVAL || path.bytes != 12345)
			fail_msg("\"%.*s\" gave %d, expected -EINVAL", (int)raw.bytes, raw.data,
				 result);
	} else if (result != 0 ||
		   !weir_span_equal(path, weir_span_of(expected)) ||
		   (path.data != copy && path.data != out)) {
		fail_msg("\"%.*s\" gave %d \"%.*s\", expected \"%s\"", (int)raw.bytes, raw.data,
			 result, (int)path.bytes, path.data, expected);
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

/* The rules one after the other, each in its simplest form. Returns -1, or the bytes of `out`. */
static int reference_normalize(const char *raw, size_t bytes, char *out)
{
	char decoded[64]; /* an encoded slash is a NUL here, which may not come out of decoding */
	size_t starts[64];
	size_t count = 0;
	size_t used = 0;
	size_t length = 0;

	if (bytes == 1 && raw[0] == '*') {
		out[0] = '*';
		return 1;
	}
	if (bytes == 0 || raw[0] != '/')
		return -1;
	for (size_t i = 0; i < bytes; i++) {
		unsigned byte = (unsigned char)raw[i];

		if (byte == '%') {
			char hex[3] = {0};

			if (i + 2 >= bytes)
				return -1;
			memcpy(hex, raw + i + 1, 2);
			if (strspn(hex, "0123456789abcdefABCDEF") != 2)
				return -1;
			byte = (unsigned)strtoul(hex, NULL, 16);
			i += 2;
			decoded[used++] = byte == '/' ? '\0' : (char)byte;
		} else {
			decoded[used++] = (char)byte;
		}
		if (byte < 0x20 || byte == 0x7f)
			return -1;
	}
	for (size_t at = 0; at < used;) { /* at a slash; the segment behind it */
		size_t end = at + 1;

		while (end < used && decoded[end] != '/')
			end++;
		const bool dot = end - at == 2 && decoded[at + 1] == '.';
		const bool dots = end - at == 3 && memcmp(decoded + at, "/..", 3) == 0;

		if (dots && count == 0)
			return -1;
		if (dots)
			length = starts[--count];
		if ((dot || dots) && end == used)
			out[length++] = '/';
		if (!dot && !dots) {
			starts[count++] = length;
			for (size_t i = at; i < end; i++) {
				if (decoded[i] != '\0') {
					out[length++] = decoded[i];
					continue;
				}
				memcpy(out + length, "%2F", 3);
				length += 3;
			}
		}
		at = end;
	}
	return (int)length;
}

static void random_paths_are_what_the_rules_say(void **state)
{
	static const char bytes_often[] = "//////....%%22eEfFabc0123456789-_~*?\x01\x7f\xe4";
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (size_t i = 0; i < 400000; i++) {
		char raw[48];
		char expected[64];
		/* Few of the odd bytes, or nearly no path would be sound. */
		const size_t kinds = random() % 8 == 0 ? sizeof(bytes_often) - 1 : sizeof(bytes_often) - 4;
		const size_t bytes = (size_t)random() % (sizeof(raw) + 1);
		const size_t first = random() % 2 == 0 ? 0 : 12;

		for (size_t at = 0; at < bytes; at++)
			raw[at] = bytes_often[first + (size_t)random() % (kinds - first)];
		if (bytes > 0 && random() % 16 != 0)
			raw[0] = '/';
		if (bytes > 0 && random() % 4 == 0)
			raw[(size_t)random() % bytes] = '.';
		const int length = reference_normalize(raw, bytes, expected);

		if (length >= 0)
			expected[length] = '\0';
		assert_path((struct weir_span){raw, bytes}, length < 0 ? NULL : expected);
	}
}

static void a_path_in_normal_form_is_not_copied(void **state)
{
	static const char *const plain[] = {"/", "*", "/hello", "//a/", "/a.b/c..d/0123456789abcdef",
					    "/0123456789abcde/f.g", "/\xc3\xa4/0123456789abcdef"};
	char out[64];
	struct weir_span path;

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		const struct weir_span raw = weir_span_of(plain[i]);

		assert_int_equal(weir_http_path_normalize(raw, out, &path), 0);
		assert_ptr_equal(path.data, raw.data);
		assert_int_equal(path.bytes, raw.bytes);
	}
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
		cmocka_unit_test(random_paths_are_what_the_rules_say),
		cmocka_unit_test(a_path_in_normal_form_is_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
