/* Faasm's adapter: what its clients get where something fails, and why. */
#include "tests/dialect/dialect_test.h"

static const char *call(struct dialect_test *test, const char *body)
{
	return dialect_test_serve(test, &weir_dialect_faasm, "/f/{user}/{function}", body);
}

static void check_error(struct dialect_test *test, const char *reason)
{
	const struct weir_dialect_reply *reply = &test->call.reply;

	assert_string_equal(call(test, "in"), "Error\n");
	assert_int_equal(reply->status, 500);
	assert_int_equal(reply->field_count, 1);
	assert_true(weir_span_equal(reply->field[0].name, WEIR_SPAN("x-weir-error")));
	assert_int_equal(reply->field[0].value.bytes, strlen(reason));
	assert_memory_equal(reply->field[0].value.data, reason, strlen(reason));
}

static void output_gets_a_line_end(void **state)
{
	struct dialect_test test = {.user = "ann", .name = "f", .result = {.status = 204}};

	(void)state;
	assert_string_equal(call(&test, "in"), "\n");
	assert_string_equal(test.log, "invoke ann/f in\n");
	test.result = (struct weir_dialect_result){.status = 200, .body = WEIR_SPAN("out\n")};
	assert_string_equal(call(&test, "in"), "out\n\n");
	assert_int_equal(test.call.reply.status, 200);
	dialect_test_close(&test);
}

static void each_failure_is_an_error_with_its_reason(void **state)
{
	struct dialect_test test = {.user = "ann", .name = "f", .result = {.status = 404, .body = WEIR_SPAN("x")}};

	(void)state;
	check_error(&test, "the function answered with status 404");
	test.result = (struct weir_dialect_result){.status = 404, .failure = "call_unknown"};
	check_error(&test, "there is no function ann/f: upload it");
	test.result = (struct weir_dialect_result){
		.status = 504, .failure = "timeout", .sentence = "It took\r\nx-more: too long\x7f"};
	check_error(&test, "It took  x-more: too long ");
	test.invoke_code = -EMSGSIZE;
	check_error(&test, "the output of a function has at most 1 MiB");
	test.invoke_code = -ECANCELED;
	assert_null(call(&test, "in"));
	test.invoke_code = 0;
	test.user = "";
	check_error(&test, "user and function have 1 to 63 bytes each");
	assert_string_equal(test.log, "");
	dialect_test_close(&test);
}

static void an_upload_that_is_refused_says_why(void **state)
{
	struct dialect_test test = {
		.user = "ann",
		.name = "f",
		.answers = 2,
		.answer = {{201, "{\"code\":\"abc\"}"},
			   {422, "{\"error\":\"the code cannot be built\",\"log\":\"no module\\n\"}"}}};

	(void)state;
	assert_string_equal(dialect_test_serve_as(&test, &weir_dialect_faasm, "PUT", "no module"),
			    "Error: the code cannot be built\nno module\n");
	assert_int_equal(test.call.reply.status, 422);
	assert_non_null(strstr(test.log, "POST /weir/functions/ann/f/deploy {\"code\":\"abc\",\"runtime\":\"wasm\""));
	test.answers = 0;
	test.manage_code = -ECANCELED;
	assert_null(dialect_test_serve_as(&test, &weir_dialect_faasm, "PUT", ""));
	dialect_test_close(&test);
}

static void a_call_that_nobody_waits_for_is_kept_or_refused(void **state)
{
	struct dialect_test test = {
		.user = "ann",
		.name = "f",
		.result = {.status = 202, .body = WEIR_SPAN("{\"activation\":\"0123456789abcdef0123456789abcdef\"}")}};

	(void)state;
	assert_string_equal(dialect_test_serve(&test, &weir_dialect_faasm, "/fa/{user}/{function}", "in"),
			    "Async request submitted\n");
	assert_int_equal(test.call.reply.status, 201);
	assert_string_equal(test.log, "POST /weir/async/ann/f in\n");
	assert_memory_equal(test.call.reply.field[0].value.data, "/fa/ann/f/0123456789abcdef0123456789abcdef", 42);
	test.result = (struct weir_dialect_result){.status = 429, .body = WEIR_SPAN("{\"error\":\"too many\"}")};
	assert_string_equal(dialect_test_serve(&test, &weir_dialect_faasm, "/fa/{user}/{function}", "in"),
			    "Error: too many\n");
	assert_int_equal(test.call.reply.status, 429);
	test.user = "weir.system";
	assert_string_equal(dialect_test_serve(&test, &weir_dialect_faasm, "/fa/{user}/{function}", "in"), "Error\n");
	assert_string_equal(test.log, ""); /* nobody is asked */
	dialect_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_gets_a_line_end),
		cmocka_unit_test(each_failure_is_an_error_with_its_reason),
		cmocka_unit_test(an_upload_that_is_refused_says_why),
		cmocka_unit_test(a_call_that_nobody_waits_for_is_kept_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
