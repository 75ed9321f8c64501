/* OpenWhisk's adapter: what it asks for, and what its clients get where that fails. */
#include "tests/dialect/dialect_test.h"

#include "ctrl/dialect/openwhisk.h"

#define ACTIONS "/api/v1/namespaces/_/actions/"
#define HELLO                                                                                                          \
	"{\"namespace\":\"guest\",\"name\":\"hello\",\"runtime\":\"node\",\"timeout_ms\":1000,\"memory_mb\":256,"      \
	"\"version\":3,\"parameters\":{\"a\":1,\"b\":1},\"annotations\":{\"openwhisk\":{\"version\":\"0.0.7\"}}}"

static const char *serve(struct dialect_test *test, const char *method, const char *path, const char *query, const char *body)
{
	test->authorization = "Basic dXVpZDprZXk=";
	test->call.path = weir_span_of(path);
	test->call.query = weir_span_of(query);
	return dialect_test_serve_as(test, &weir_dialect_openwhisk, method, body);
}

static const char *call(struct dialect_test *test, const char *action, const char *body)
{
	char path[128];

	(void)snprintf(path, sizeof(path), ACTIONS "%s", action);
	return serve(test, "POST", path, "blocking=true&result=true", body);
}

static void say(struct dialect_test *test, uint32_t status, const char *body, const char *failure)
{
	test->result = (struct weir_dialect_result){.status = status, .body = weir_span_of(body), .failure = failure};
	(void)snprintf(test->result.sentence, sizeof(test->result.sentence), "a sentence");
}

static void bound_parameters_are_asked_for_once_and_remembered(void **state)
{
	struct dialect_test test = {.answers = 1, .answer = {{200, HELLO}}};

	(void)state;
	say(&test, 200, "{ \"x\": 12345678901234567890 }", NULL);
	assert_string_equal(call(&test, "hello", "{\"b\":2}"), "{\"x\":12345678901234567890}");
	const char *const asked = "GET /weir/functions/guest/hello\ninvoke guest/hello {\"a\":1,\"b\":2}\nkeep ";

	assert_memory_equal(test.log, asked, strlen(asked));
	assert_non_null(strstr(test.log, "\"result\":{\"x\":12345678901234567890}"));
	test.answer[0].status = 503; /* if it is asked at all */
	test.answer[0].text = "{\"code\":\"away\"}";
	assert_string_equal(call(&test, "hello", ""), "{\"x\":12345678901234567890}");
	assert_non_null(strstr(test.log, "invoke guest/hello {\"a\":1,\"b\":1}\n"));
	dialect_test_close(&test);
}

static void without_the_api_nothing_runs_whose_parameters_are_unknown(void **state)
{
	struct dialect_test test = {.answers = 1, .answer = {{503, "{\"code\":\"away\",\"error\":\"it is away\"}"}}};

	(void)state;
	assert_non_null(strstr(call(&test, "unseen", "{}"), "it is away"));
	assert_int_equal(test.call.reply.status, 503);
	assert_string_equal(test.log, "GET /weir/functions/guest/unseen\n");
	dialect_test_close(&test);
}

static void each_end_has_its_status_and_result(void **state)
{
	static const struct {
		uint32_t status;
		const char *body;
		const char *failure;
		uint16_t wanted_status;
		const char *wanted;
	} cases[] = {
		{200, "{}", NULL, 200, "{}"},
		{204, "", NULL, 200, "{}"},
		{200, "[1]", NULL, 200, "[1]"},
		{502, "{\"error\":\"boom\"}", NULL, 502, "{\"error\":\"boom\"}"},
		{404, "not mine", NULL, 502, "{\"error\":\"not mine\"}"},
		{200, "text", NULL, 502, "{\"error\":\"The action did not return a dictionary or array.\"}"},
		{200, "\xff", NULL, 502, "{\"error\":\"The action did not return a dictionary or array.\"}"},
		{504, "{}", "function_timeout", 502, "{\"error\":\"The action exceeded its time limits of 1000 milliseconds.\"}"},
		{502, "{}", "worker_died", 502, "{\"error\":\"An error has occurred: a sentence\"}"},
		{502, "{}", "function_load", 502, "{\"error\":\"Initialization has failed due to: a sentence\"}"},
		{429, "{}", "queue_full", 429, "{\"error\":\"a sentence\",\"code\":\"\"}"},
		{503, "{}", "no_worker", 503, "{\"error\":\"a sentence\",\"code\":\"\"}"},
		{504, "{}", "queue_timeout", 500, "{\"error\":\"There was an internal server error: a sentence\",\"code\":\"\"}"},
		{404, "{}", "call_unknown", 404, "{\"error\":\"The requested resource does not exist.\",\"code\":\"\"}"},
	};
	struct dialect_test test = {.answers = 1, .answer = {{200, HELLO}}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say(&test, cases[i].status, cases[i].body, cases[i].failure);
		assert_string_equal(call(&test, "hello", "{}"), cases[i].wanted);
		assert_int_equal(test.call.reply.status, cases[i].wanted_status);
	}
	dialect_test_close(&test);
}

static void a_sequence_without_components_that_are_texts_is_none(void **state)
{
	cJSON *function = cJSON_Parse("{\"annotations\":{\"openwhisk\":{\"components\":[\"/_/a\",3]}}}");

	(void)state;
	assert_non_null(function);
	assert_null(weir_whisk_components(function));
	cJSON_Delete(function);
}

static void base64_is_decoded_or_refused(void **state)
{
	static const char *const wrong[] = {"a", "ab", "abc", "ab!=", "=abc", "a===", "ab=c"};
	char text[] = "UEsDBAA=";
	size_t bytes = 0;
	char out[2] = "";

	(void)state;
	assert_true(weir_whisk_base64(WEIR_SPAN("UEsD"), out, sizeof(out), &bytes));
	assert_int_equal(bytes, 3);
	assert_memory_equal(out, "PK", 2);
	assert_true(weir_whisk_base64(WEIR_SPAN("UEsDBAA="), text, sizeof(text), &bytes)); /* in its place, too */
	assert_int_equal(bytes, 5);
	assert_memory_equal(text, "PK\3\4\0", 5);
	assert_true(weir_whisk_base64(WEIR_SPAN(""), out, sizeof(out), &bytes));
	assert_int_equal(bytes, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(weir_whisk_base64(weir_span_of(wrong[i]), out, sizeof(out), &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_parameters_are_asked_for_once_and_remembered),
		cmocka_unit_test(without_the_api_nothing_runs_whose_parameters_are_unknown),
		cmocka_unit_test(each_end_has_its_status_and_result),
		cmocka_unit_test(a_sequence_without_components_that_are_texts_is_none),
		cmocka_unit_test(base64_is_decoded_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
