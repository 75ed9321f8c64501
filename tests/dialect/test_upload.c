/* The adapter of /upload: what it asks the API for, and that nothing stays of what failed. */
#include "tests/dialect/dialect_test.h"

#define FORM(descriptor)                                                               \
	"--b\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\ncode\r\n"         \
	"--b\r\nContent-Disposition: form-data; name=\"descriptor\"\r\n\r\n" descriptor \
	"\r\n--b--\r\n"

#define DEPLOYED {201, "{\"code\":\"abc\"}"}, {201, "{\"file\":\"/data/code/abc/main.py\"}"}

static const char *post(struct dialect_test *test, const char *body)
{
	test->content_type = "multipart/form-data; boundary=b";
	return dialect_test_serve(test, &weir_dialect_upload, "/upload", body);
}

static void a_form_becomes_a_function_and_a_row(void **state)
{
	struct dialect_test test = {.answers = 3, .answer = {DEPLOYED, {201, "{}"}}};
	const char *reply = NULL;

	(void)state;
	reply = post(&test, FORM("{\"runtime\":\"python\",\"memory\":64,\"timeout\":0.0015}"));
	assert_non_null(strstr(reply, "{\"status\":\"success\",\"message\":\"Function compiled and deployed\","
				      "\"uri\":\"/api/func_"));
	assert_int_equal(test.call.reply.status, 200);
	assert_non_null(strstr(test.log, "POST /weir/code?name=main.py#!/usr/bin/env python3\ncode\n"));
	assert_non_null(strstr(test.log, "\"timeout_ms\":2,\"memory_mb\":64"));
	assert_non_null(strstr(test.log, "\"runtime\":\"exec\",\"module\":\"/data/code/abc/main.py\","
					 "\"handler\":\"main\",\"memory\":64,\"timeout\":0.0015}"));
	assert_non_null(strstr(test.log, "\"route\":\"POST:/api/func_"));
	dialect_test_close(&test);
}

static void a_row_that_is_refused_takes_its_function_with_it(void **state)
{
	struct dialect_test test = {.answers = 4, .answer = {DEPLOYED, {503, "{\"error\":\"locked\"}"}, {200, "{}"}}};

	(void)state;
	assert_string_equal(post(&test, FORM("{\"runtime\":\"python\"}")), "{\"error\":\"locked\"}");
	assert_int_equal(test.call.reply.status, 500);
	assert_non_null(strstr(test.log, "\nDELETE /weir/functions/default/func_"));
	dialect_test_close(&test);
}

static void what_the_api_refuses_is_a_500(void **state)
{
	struct dialect_test test = {.answers = 1, .answer = {{507, "{\"error\":\"the disk is full\"}"}}};

	(void)state;
	assert_string_equal(post(&test, FORM("{\"runtime\":\"c\"}")), "{\"error\":\"the disk is full\"}");
	test.answers = 2;
	test.answer[0].status = 201;
	test.answer[0].text = "{\"code\":\"abc\"}";
	test.answer[1].status = 422;
	test.answer[1].text = "{\"error\":\"the code cannot be built\",\"log\":\"line 1\"}";
	assert_string_equal(post(&test, FORM("{\"runtime\":\"c\"}")),
			    "{\"error\":\"the code cannot be built: line 1\"}");
	assert_int_equal(test.call.reply.status, 500);
	test.manage_code = -ECANCELED;
	assert_null(post(&test, FORM("{\"runtime\":\"c\"}")));
	dialect_test_close(&test);
}

static void nothing_is_asked_for_what_is_unsound(void **state)
{
	static const char *const bodies[] = {"", "--b--", FORM(""), FORM("{}"), FORM("[]"), FORM("{\"runtime\":\"go\"}"),
					     FORM("{\"runtime\":\"c\",\"timeout\":4000001}")};
	struct dialect_test test = {.answers = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_non_null(strstr(post(&test, bodies[i]), "{\"error\":\""));
		assert_int_equal(test.call.reply.status, 500);
		assert_string_equal(test.log, "");
	}
	dialect_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_form_becomes_a_function_and_a_row),
		cmocka_unit_test(a_row_that_is_refused_takes_its_function_with_it),
		cmocka_unit_test(what_the_api_refuses_is_a_500),
		cmocka_unit_test(nothing_is_asked_for_what_is_unsound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
