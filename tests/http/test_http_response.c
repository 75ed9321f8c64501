#include <stdio.h>
#include <time.h>

#include "dataplane/http/http_response.h"
#include "tests/http/http_test.h"

#define DATE       "Sun, 06 Nov 1994 08:49:37 GMT"
#define ACTIVATION "0123456789abcdef0123456789abcdef"

static void assert_head(const struct weir_http_response_head *head, const char *expected)
{
	const size_t expected_bytes = strlen(expected);

	/* Exactly as much room as it needs is enough, one byte less is not; more changes nothing. */
	for (size_t max = 0; max <= expected_bytes + 300; max++) {
		char *out = malloc(max > 0 ? max : 1);
		const size_t bytes = weir_http_response_head_write(head, out, max);

		assert_non_null(out);
		if (max < expected_bytes)
			assert_int_equal(bytes, 0);
		else if (bytes != expected_bytes || memcmp(out, expected, bytes) != 0)
			fail_msg("head is\n%.*s\nexpected\n%s", (int)bytes, out, expected);
		free(out);
	}
}

static void a_full_head_is_written_in_order(void **state)
{
	const struct weir_http_field fields[] = {
		{WEIR_SPAN("Content-Type"), WEIR_SPAN("text/plain")},
		{WEIR_SPAN("X-Empty"), WEIR_SPAN("")},
	};
	const struct weir_http_response_head head = {
		.status = 200,
		.minor = 1,
		.keep_alive = true,
		.content_length = 1234567890123,
		.activation = ACTIVATION,
		.date = DATE,
		.fields = fields,
		.field_count = 2,
	};

	(void)state;
	assert_head(&head,
		    "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Length: 1234567890123\r\n"
		    "x-openwhisk-activation-id: " ACTIVATION "\r\nContent-Type: text/plain\r\n"
		    "X-Empty: \r\n\r\n");
}

static void framing_and_connection_follow_version_status_and_length(void **state)
{
	static const struct {
		uint16_t status;
		uint8_t minor;
		bool keep_alive;
		uint64_t length;
		const char *text;
	} cases[] = {
		{404, 1, true, 0, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{503, 1, false, 7,
		 "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\nConnection: "
		 "close\r\n\r\n"},
		{200, 0, true, 7,
		 "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"},
		{200, 0, false, 7,
		 "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"},
		{200, 1, true, WEIR_HTTP_LENGTH_UNKNOWN,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{200, 1, false, WEIR_HTTP_LENGTH_UNKNOWN,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
		/* Only the connection's end can delimit this, whatever the caller hoped. */
		{200, 0, true, WEIR_HTTP_LENGTH_UNKNOWN,
		 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{204, 1, true, 0, "HTTP/1.1 204 No Content\r\n\r\n"},
		{204, 1, true, WEIR_HTTP_LENGTH_UNKNOWN, "HTTP/1.1 204 No Content\r\n\r\n"},
		{304, 0, true, 99,
		 "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"},
		{299, 1, true, 1, "HTTP/1.1 299 \r\nContent-Length: 1\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct weir_http_response_head head = {
			.status = cases[i].status,
			.minor = cases[i].minor,
			.keep_alive = cases[i].keep_alive,
			.content_length = cases[i].length,
		};

		assert_head(&head, cases[i].text);
	}
}

static void fields_of_a_function_are_kept_dropped_or_refused(void **state)
{
	static const char *const dropped[] = {
		"Connection",
		"CONTENT-LENGTH",
		"transfer-encoding",
		"Keep-Alive",
		"TE",
		"Trailer",
		"Upgrade",
		"Proxy-Connection",
		"Date",
		"X-OpenWhisk-Activation-Id",
	};
	static const char *const bad_names[] = {"",     "a b", "a:",   "a\r", "a\n",
						"\xe4", "(",   "a\tb", " a"};
	static const struct weir_span bad_values[] = {
		{"a\r\nX: y", 7}, {"a\nb", 3}, {"a\rb", 3},
		{"a\0b", 3},      {"\x7f", 1}, {"\x1b[0m", 4},
	};
	const struct weir_span value = WEIR_SPAN("text/html; charset=\"utf-8\"\t\xc3\xa4");

	(void)state;
	assert_int_equal(weir_http_field_check(WEIR_SPAN("Content-Type"), value),
			 WEIR_HTTP_FIELD_KEEP);
	assert_int_equal(weir_http_field_check(WEIR_SPAN("Set-Cookie"), WEIR_SPAN("")),
			 WEIR_HTTP_FIELD_KEEP);
	assert_int_equal(weir_http_field_check(WEIR_SPAN("Dates"), value),
			 WEIR_HTTP_FIELD_KEEP);
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		assert_int_equal(weir_http_field_check(weir_span_of(dropped[i]), value),
				 WEIR_HTTP_FIELD_DROP);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		assert_int_equal(weir_http_field_check(weir_span_of(bad_names[i]), value),
				 WEIR_HTTP_FIELD_REFUSE);
	for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
		assert_int_equal(weir_http_field_check(WEIR_SPAN("X"), bad_values[i]),
				 WEIR_HTTP_FIELD_REFUSE);
		assert_int_equal(weir_http_field_check(WEIR_SPAN("Date"), bad_values[i]),
				 WEIR_HTTP_FIELD_REFUSE);
	}
}

/* The rules of http_response.h, byte by byte and name by name. */
static enum weir_http_field_verdict reference_check(struct weir_span name, struct weir_span value)
{
	static const char *const ours[] = {
		"Connection", "Content-Length",   "Transfer-Encoding", "Keep-Alive", "TE",
		"Trailer",    "Upgrade",          "Proxy-Connection",  "Date",
		"x-openwhisk-activation-id",
	};

	if (name.bytes == 0)
		return WEIR_HTTP_FIELD_REFUSE;
	for (size_t i = 0; i < name.bytes; i++) {
		const unsigned char byte = (unsigned char)name.data[i];

		if (byte <= ' ' || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte) != NULL)
			return WEIR_HTTP_FIELD_REFUSE;
	}
	for (size_t i = 0; i < value.bytes; i++) {
		const unsigned char byte = (unsigned char)value.data[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return WEIR_HTTP_FIELD_REFUSE;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (weir_span_equal_nocase(name, weir_span_of(ours[i])))
			return WEIR_HTTP_FIELD_DROP;
	}
	return WEIR_HTTP_FIELD_KEEP;
}

static void assert_verdict(const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
	char *name_copy = exact_copy(name, name_bytes);
	char *value_copy = exact_copy(value, value_bytes);
	const struct weir_span name_span = {name_copy, name_bytes};
	const struct weir_span value_span = {value_copy, value_bytes};

	if (weir_http_field_check(name_span, value_span) != reference_check(name_span, value_span))
		fail_msg("%.*s: %.*s", (int)name_bytes, name, (int)value_bytes, value);
	free(name_copy);
	free(value_copy);
}

static void every_byte_in_a_field_has_the_verdict_of_the_rules(void **state)
{
	static const char *const names[] = {
		"content-type", "Connection", "Content-Length", "transfer-encoding", "Keep-Alive",
		"tE", "Trailer", "upgrade", "Proxy-Connection", "Date", "X", "content-typed",
		"X-OpenWhisk-Activation-Id", "set-cookie", "server-timing"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t bytes = strlen(names[i]);
		char text[32];

		for (size_t at = 0; at < bytes; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				memcpy(text, names[i], bytes);
				text[at] = (char)byte;
				assert_verdict(text, bytes, "v", 1);
				assert_verdict("x", 1, text, bytes);
				assert_verdict(names[i], at, text, bytes);
			}
		}
	}
}

static void some_answers_have_no_body(void **state)
{
	(void)state;
	assert_true(weir_http_response_bodyless(200, true));
	assert_true(weir_http_response_bodyless(204, false));
	assert_true(weir_http_response_bodyless(304, false));
	assert_true(weir_http_response_bodyless(100, false));
	assert_false(weir_http_response_bodyless(200, false));
	assert_false(weir_http_response_bodyless(205, false));
	assert_false(weir_http_response_bodyless(404, false));
}

static void chunk_prefixes_are_hex_without_leading_zeros(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{1, "1\r\n"},
		{15, "f\r\n"},
		{16, "10\r\n"},
		{0x1a2b, "1a2b\r\n"},
		{0x100000, "100000\r\n"},
		{UINT64_MAX, "ffffffffffffffff\r\n"},
		{UINT64_C(1) << 60, "1000000000000000\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[WEIR_HTTP_CHUNK_PREFIX_MAX];

		assert_int_equal(weir_http_chunk_prefix(cases[i].bytes, out),
				 strlen(cases[i].text));
		assert_memory_equal(out, cases[i].text, strlen(cases[i].text));
	}
}

static void assert_date(int64_t epoch_seconds, const char *expected)
{
	char out[30] = {0};

	weir_http_date_format(epoch_seconds, out);
	assert_string_equal(out, expected);
}

static void dates_are_imf_fixdates(void **state)
{
	(void)state;
	assert_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	assert_date(784111777, DATE);
	assert_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
	assert_date(1709251199, "Thu, 29 Feb 2024 23:59:59 GMT");
	assert_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
	assert_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_date(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_date(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void dates_agree_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t at = 0; at < 253402300800; at += 86400 * 37 + 12345) {
		const time_t seconds = at;
		struct tm tm;
		char expected[64];

		assert_non_null(gmtime_r(&seconds, &tm));
		assert_true(strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT",
				     &tm) > 0);
		assert_date(at, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_head_is_written_in_order),
		cmocka_unit_test(framing_and_connection_follow_version_status_and_length),
		cmocka_unit_test(fields_of_a_function_are_kept_dropped_or_refused),
		cmocka_unit_test(every_byte_in_a_field_has_the_verdict_of_the_rules),
		cmocka_unit_test(some_answers_have_no_body),
		cmocka_unit_test(chunk_prefixes_are_hex_without_leading_zeros),
		cmocka_unit_test(dates_are_imf_fixdates),
		cmocka_unit_test(dates_agree_with_the_c_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
