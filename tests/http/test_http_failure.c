#include "dataplane/http/http_failure.h"
#include "tests/http/http_test.h"

#define ACTIVATION "0123456789abcdef0123456789abcdef"

static void assert_body(enum weir_http_failure failure, const char *detail,
			const char *activation, const char *expected)
{
	char out[1024];
	const size_t bytes =
		weir_http_failure_body(failure, detail, activation, out, sizeof(out));

	if (bytes != strlen(expected) || memcmp(out, expected, bytes) != 0)
		fail_msg("body is\n%.*s\nexpected\n%s", (int)bytes, out, expected);
}

static void each_failure_has_a_whole_row(void **state)
{
	(void)state;
	for (unsigned i = WEIR_HTTP_OK + 1; i < WEIR_HTTP_FAILURE_COUNT; i++) {
		const struct weir_http_failure_row *row =
			weir_http_failure_row((enum weir_http_failure)i);

		assert_true(row->status >= 400 && row->status <= 599);
		assert_true(strlen(row->code) > 0 &&
			    strlen(row->code) + strlen(row->part) <= 40);
		assert_true(strlen(row->sentence) > 0);
		assert_string_not_equal(weir_http_reason(row->status), "");
		/* What is never there needs no second try. */
		assert_int_equal(row->retry_after,
				 (row->status == 429 || row->status == 503) && i != WEIR_HTTP_NO_SPEC);
		for (unsigned k = WEIR_HTTP_OK + 1; k < i; k++)
			assert_string_not_equal(
				row->code,
				weir_http_failure_row((enum weir_http_failure)k)->code);
	}
}

static void statuses_are_those_of_the_contract(void **state)
{
	static const struct {
		enum weir_http_failure failure;
		uint16_t status;
		bool close;
	} cases[] = {
		{WEIR_HTTP_BAD_REQUEST, 400, true},
		{WEIR_HTTP_BAD_HOST, 400, true},
		{WEIR_HTTP_BAD_PATH, 400, false},
		{WEIR_HTTP_BAD_FRAMING, 400, true},
		{WEIR_HTTP_BAD_CHUNK, 400, true},
		{WEIR_HTTP_HEAD_TIMEOUT, 408, true},
		{WEIR_HTTP_BODY_TIMEOUT, 408, true},
		{WEIR_HTTP_LENGTH_REQUIRED, 411, true},
		{WEIR_HTTP_BODY_TOO_LARGE, 413, true},
		{WEIR_HTTP_TARGET_TOO_LONG, 414, true},
		{WEIR_HTTP_EXPECTATION, 417, true},
		{WEIR_HTTP_HEAD_TOO_LARGE, 431, true},
		{WEIR_HTTP_METHOD_UNKNOWN, 501, true},
		{WEIR_HTTP_CODING_UNKNOWN, 501, true},
		{WEIR_HTTP_VERSION, 505, true},
		{WEIR_HTTP_NO_ROUTE, 404, false},
		{WEIR_HTTP_METHOD_NOT_ALLOWED, 405, false},
		{WEIR_HTTP_RUNTIME_MISSING, 501, false},
		{WEIR_HTTP_CALL_MALFORMED, 400, false},
		{WEIR_HTTP_CALL_FOREIGN, 403, false},
		{WEIR_HTTP_CALL_UNKNOWN, 404, false},
		{WEIR_HTTP_CALL_BODY, 413, false},
		{WEIR_HTTP_CALL_FAN_OUT, 429, false},
		{WEIR_HTTP_CALL_DEPTH, 508, false},
		{WEIR_HTTP_QUEUE_FULL, 429, false},
		{WEIR_HTTP_OVERLOADED, 503, false},
		{WEIR_HTTP_CONNECTIONS_FULL, 503, true},
		{WEIR_HTTP_CALLS_FULL, 503, false},
		{WEIR_HTTP_NO_WORKER, 503, false},
		{WEIR_HTTP_NO_SPEC, 503, false},
		{WEIR_HTTP_BAD_RESOURCES, 400, false},
		{WEIR_HTTP_NO_MEMORY, 503, false},
		{WEIR_HTTP_QUEUE_TIMEOUT, 504, false},
		{WEIR_HTTP_SHUTTING_DOWN, 503, true},
		{WEIR_HTTP_WORKER_DIED, 502, false},
		{WEIR_HTTP_OUT_OF_MEMORY, 502, false},
		{WEIR_HTTP_FUNCTION_FAILED, 502, false},
		{WEIR_HTTP_FUNCTION_GARBAGE, 502, false},
		{WEIR_HTTP_FUNCTION_LOAD, 502, false},
		{WEIR_HTTP_FUNCTION_TIMEOUT, 504, false},
		{WEIR_HTTP_UNAUTHORIZED, 401, false},
		{WEIR_HTTP_FORBIDDEN, 403, false},
	};

	(void)state;
	assert_int_equal(sizeof(cases) / sizeof(cases[0]), WEIR_HTTP_FAILURE_COUNT - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(weir_http_failure_row(cases[i].failure)->status,
				 cases[i].status);
		assert_int_equal(weir_http_failure_row(cases[i].failure)->close,
				 cases[i].close);
	}
}

static void the_body_of_no_route_is_exactly_that_of_the_seed(void **state)
{
	(void)state;
	assert_body(WEIR_HTTP_NO_ROUTE, NULL, NULL, "{\"error\":\"Function not found\"}");
	assert_body(WEIR_HTTP_NO_ROUTE, "something else", ACTIVATION,
		    "{\"error\":\"Function not found\"}");
}

static void a_body_names_sentence_code_part_and_activation(void **state)
{
	(void)state;
	assert_body(WEIR_HTTP_QUEUE_TIMEOUT, "", ACTIVATION,
		    "{\"error\":\"The deadline passed before a worker was "
		    "free\",\"code\":\"queue_timeout\","
		    "\"part\":\"queue\",\"activation\":\"" ACTIVATION "\"}");
	assert_body(WEIR_HTTP_WORKER_DIED, "worker 7 died by signal 9", NULL,
		    "{\"error\":\"worker 7 died by signal "
		    "9\",\"code\":\"worker_died\",\"part\":\"worker\"}");
}

static void details_are_escaped_as_json_needs(void **state)
{
	(void)state;
	assert_body(WEIR_HTTP_WORKER_DIED, "a\"b\\c/d\n\t\x01\x1f\x7f", NULL,
		    "{\"error\":\"a\\\"b\\\\c/"
		    "d\\u000a\\u0009\\u0001\\u001f\x7f\",\"code\":\"worker_died\","
		    "\"part\":\"worker\"}");
	/* Two, three and four bytes long, then each way to be malformed: a lone continuation, overlong
	 * forms, a surrogate, beyond the last character, cut short. */
	assert_body(WEIR_HTTP_WORKER_DIED, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\x89", NULL,
		    "{\"error\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\x89\",\"code\":\"worker_"
		    "died\",\"part\":\"worker\"}");
	assert_body(
		WEIR_HTTP_WORKER_DIED, "\x80\xc0\x41", NULL,
		"{\"error\":\"\\ufffd\\ufffdA\",\"code\":\"worker_died\",\"part\":\"worker\"}");
	assert_body(WEIR_HTTP_WORKER_DIED, "\xe0\x9f\xbf", NULL,
		    "{\"error\":\"\\ufffd\\ufffd\\ufffd\",\"code\":\"worker_died\",\"part\":"
		    "\"worker\"}");
	assert_body(WEIR_HTTP_WORKER_DIED, "\xed\xa0\x80", NULL,
		    "{\"error\":\"\\ufffd\\ufffd\\ufffd\",\"code\":\"worker_died\",\"part\":"
		    "\"worker\"}");
	assert_body(WEIR_HTTP_WORKER_DIED, "\xf4\x90\x80\x80", NULL,
		    "{\"error\":\"\\ufffd\\ufffd\\ufffd\\ufffd\",\"code\":\"worker_died\","
		    "\"part\":\"worker\"}");
	assert_body(
		WEIR_HTTP_WORKER_DIED, "x\xe2\x82", NULL,
		"{\"error\":\"x\\ufffd\\ufffd\",\"code\":\"worker_died\",\"part\":\"worker\"}");
}

static void a_long_detail_is_shortened_at_a_character(void **state)
{
	static const char tail[] =
		"\",\"code\":\"worker_died\",\"part\":\"worker\",\"activation\":\"" ACTIVATION
		"\"}";
	static const char *const units[] = {"x", "\xc3\xa4", "\"", "\x01", "\xf0\x9f\x8e\x89"};
	static const size_t unit_bytes[] = {1, 2, 2, 6, 4};
	char detail[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		detail[0] = '\0';
		for (size_t k = 0; k < 400; k++)
			strcat(detail, units[i]);
		for (size_t max = 256; max < 300; max++) {
			char *out = malloc(max);
			const size_t room = max - 10 - (sizeof(tail) - 1);

			assert_non_null(out);
			const size_t bytes = weir_http_failure_body(
				WEIR_HTTP_WORKER_DIED, detail, ACTIVATION, out, max);
			assert_int_equal(bytes, 10 + room / unit_bytes[i] * unit_bytes[i] +
							sizeof(tail) - 1);
			assert_memory_equal(out, "{\"error\":\"", 10);
			assert_memory_equal(out + bytes - (sizeof(tail) - 1), tail,
					    sizeof(tail) - 1);
			free(out);
		}
	}
}

static void every_own_sentence_fits_into_512_bytes(void **state)
{
	(void)state;
	for (unsigned i = WEIR_HTTP_NO_ROUTE + 1; i < WEIR_HTTP_FAILURE_COUNT; i++) {
		const struct weir_http_failure_row *row =
			weir_http_failure_row((enum weir_http_failure)i);
		char out[512];
		const size_t bytes = weir_http_failure_body((enum weir_http_failure)i, NULL,
							    ACTIVATION, out, sizeof(out));

		assert_true(bytes < sizeof(out));
		assert_memory_equal(out + 10, row->sentence, strlen(row->sentence));
	}
}

static void reasons_are_those_of_the_registry(void **state)
{
	(void)state;
	assert_string_equal(weir_http_reason(200), "OK");
	assert_string_equal(weir_http_reason(413), "Content Too Large");
	assert_string_equal(weir_http_reason(431), "Request Header Fields Too Large");
	assert_string_equal(weir_http_reason(299), "");
	assert_string_equal(weir_http_reason(0), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_has_a_whole_row),
		cmocka_unit_test(statuses_are_those_of_the_contract),
		cmocka_unit_test(the_body_of_no_route_is_exactly_that_of_the_seed),
		cmocka_unit_test(a_body_names_sentence_code_part_and_activation),
		cmocka_unit_test(details_are_escaped_as_json_needs),
		cmocka_unit_test(a_long_detail_is_shortened_at_a_character),
		cmocka_unit_test(every_own_sentence_fits_into_512_bytes),
		cmocka_unit_test(reasons_are_those_of_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
