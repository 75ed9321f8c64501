/* Pixels-Spike's adapter: what it asks for, and what its clients get where that fails. */
#include "tests/dialect/dialect_test.h"

static const char *serve(struct dialect_test *test, const char *verb, const char *body)
{
	char pattern[64];

	(void)snprintf(pattern, sizeof(pattern), "/v1/%s", verb);
	return dialect_test_serve(test, &weir_dialect_spike, pattern, body);
}

static void assert_error(struct dialect_test *test, const char *reply, int code, uint16_t status, const char *words)
{
	char wanted[64];

	assert_non_null(reply);
	assert_int_equal(test->call.reply.status, status);
	(void)snprintf(wanted, sizeof(wanted), "{\"code\":%d,\"message\":\"", code);
	if (strncmp(reply, wanted, strlen(wanted)) != 0 || strstr(reply, words) == NULL ||
	    strstr(reply, "\"details\":[]}") == NULL)
		fail_msg("%s", reply);
}

static void a_call_needs_no_api(void **state)
{
	struct dialect_test test = {.result = {.status = 200, .body = WEIR_SPAN("a\"\n")}};

	(void)state;
	assert_string_equal(serve(&test, "call_function", "{\"functionName\":\"f\",\"payload\":\"x\",\"cpu\":\"5\"}"),
			    "{\"payload\":\"a\\\"\\n\",\"errorCode\":0}");
	assert_string_equal(test.log, "invoke default/f x\n");
	dialect_test_close(&test);
}

static void each_way_to_fail_has_its_code(void **state)
{
	static const struct {
		uint32_t status;
		struct weir_span body;
		const char *failure;
		int code;
		const char *words;
	} cases[] = {
		{404, {"{}", 2}, "call_unknown", 2, "there is no function 'f'"},
		{503, {"{}", 2}, "no_worker", 14, "a sentence"},
		{504, {"{}", 2}, "timeout", 2, "a sentence"},
		{404, {"not mine", 8}, NULL, 2, "function f failed with status 404: not mine"},
		{500, {"\xff", 1}, NULL, 2, "function f failed with status 500: \""},
		{200, {"a\0b", 3}, NULL, 2, "no text in UTF-8"},
		{200, {"\xc3", 1}, NULL, 2, "no text in UTF-8"},
	};
	struct dialect_test test = {.result = {.sentence = "a sentence"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		test.result.status = cases[i].status;
		test.result.body = cases[i].body;
		test.result.failure = cases[i].failure;
		assert_error(&test, serve(&test, "call_function", "{\"function_name\":\"f\"}"), cases[i].code,
			     cases[i].code == 14 ? 503 : 500, cases[i].words);
	}
	test.invoke_code = -EMSGSIZE;
	assert_error(&test, serve(&test, "call_function", "{\"function_name\":\"f\"}"), 2, 500, "1 MiB");
	test.invoke_code = -ECANCELED;
	assert_null(serve(&test, "call_function", "{\"function_name\":\"f\"}"));
	dialect_test_close(&test);
}

static void what_the_api_refuses_is_told(void **state)
{
	static const char *const verbs[] = {"create_function", "scale_function", "update_function"};
	static const struct {
		uint16_t status;
		const char *text;
		int code;
		const char *words;
	} cases[] = {
		{409, "{\"code\":\"exists\",\"error\":\"it is there\"}", 2, "function has been created"},
		{422, "{\"code\":\"invalid\",\"field\":\"name\",\"error\":\"name is odd\"}", 2, "name is odd"},
		{503, "{\"code\":\"away\",\"error\":\"nobody is there\"}", 14, "nobody is there"},
		{500, "no JSON", 2, "weir-ctrld gave no reason"},
	};
	struct dialect_test test = {.answers = 1};

	(void)state;
	for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
		test.answer[0].status = cases[i / 3].status;
		test.answer[0].text = cases[i / 3].text;
		assert_error(&test, serve(&test, verbs[i % 3], "{\"function_name\":\"f\",\"image_url\":\"i\"}"), cases[i / 3].code,
			     cases[i / 3].code == 14 ? 503 : 500, cases[i / 3].words);
	}
	test.manage_code = -ENOMEM;
	for (size_t i = 0; i < 3; i++)
		assert_null(serve(&test, verbs[i], "{\"function_name\":\"f\",\"image_url\":\"i\"}"));
	dialect_test_close(&test);
}

static void what_is_asked_of_the_api(void **state)
{
	struct dialect_test test = {
		.answers = 3,
		.answer = {{200, "{\"specs\":[{\"cpu_millicores\":5,\"memory_mb\":6},{\"cpu_millicores\":7,\"memory_mb\":8}],"
				 "\"pools\":[{\"workers_min\":0},{\"workers_min\":3}]}"},
			   {200, "{}"},
			   {200, "{}"}}};

	(void)state;
	assert_non_null(serve(&test, "create_function",
			      "{\"function_name\":\"a\",\"imageUrl\":\"i\",\"resources\":[{\"cpu\":\"1\",\"memory\":2e0,"
			      "\"minReplica\":3,\"max_replica\":4},{}]}"));
	assert_string_equal(test.log, "POST /weir/functions {\"specs\":[{\"cpu_millicores\":1,\"memory_mb\":2,\"min\":3,\"max\":4},"
				      "{\"cpu_millicores\":0,\"memory_mb\":0,\"min\":0}],\"namespace\":\"default\",\"name\":\"a\","
				      "\"image\":\"i\",\"timeout_ms\":600000}\n");
	assert_string_equal(serve(&test, "scale_function", "{\"function_name\":\"a b\",\"cpu\":1,\"memory\":2,\"scale_cnt\":-3}"),
			    "{}");
	assert_string_equal(test.log, "PATCH /weir/functions/default/a%20b/scale "
				      "{\"cpu_millicores\":1,\"memory_mb\":2,\"by\":-3}\n");
	assert_string_equal(serve(&test, "update_function", "{\"function_name\":\"a\",\"enableAutoScaling\":false}"),
			    "{\"code\":0,\"message\":\"Function updated\"}");
	assert_string_equal(test.log,
			    "GET /weir/functions/default/a\n"
			    "PATCH /weir/functions/default/a/scale "
			    "{\"workers_min\":1,\"workers_max\":1,\"cpu_millicores\":5,\"memory_mb\":6}\n"
			    "PATCH /weir/functions/default/a/scale "
			    "{\"workers_min\":3,\"workers_max\":3,\"cpu_millicores\":7,\"memory_mb\":8}\n");
	assert_non_null(serve(&test, "update_function", "{\"function_name\":\"a\",\"task_version\":4}"));
	assert_string_equal(test.log, "POST /weir/functions/default/a/rollback {\"number\":4}\n");
	assert_non_null(serve(&test, "update_function", "{\"function_name\":\"a\",\"image_url\":\"j\"}"));
	assert_string_equal(test.log, "GET /weir/functions/default/a\n"
				      "POST /weir/functions/default/a/deploy {\"image\":\"j\"}\n");
	assert_non_null(serve(&test, "update_function", "{\"function_name\":\"a\",\"resources\":[]}"));
	assert_string_equal(test.log, "GET /weir/functions/default/a\nPATCH /weir/functions/default/a {\"specs\":[]}\n");
	dialect_test_close(&test);
}

static void what_cannot_be_read_asks_nobody(void **state)
{
	static const char *const bodies[] = {
		"{\"function_name\":3}",    "{\"cpu\":1.5}",	    "{\"cpu\":\"0x1\"}", "{\"cpu\":2147483648}",
		"{\"memory\":\"\"}",	    "{\"memory\":\"1 \"}",  "{\"cpu\":[]}",	 "{\"memory\":\"--1\"}",
		"{\"cpu\":\"1e400\"}",
	};
	struct dialect_test test = {.answers = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_error(&test, serve(&test, "call_function", bodies[i]), 3, 400, " must be ");
		assert_error(&test, serve(&test, "scale_function", bodies[i]), 3, 400, " must be ");
	}
	assert_error(&test, serve(&test, "call_function", "{"), 3, 400, "body");
	assert_error(&test, serve(&test, "get_all_functions", "{"), 12, 501, "Method Not Allowed");
	assert_error(&test, serve(&test, "*", "{"), 5, 404, "Not Found");
	assert_string_equal(test.log, "");
	dialect_test_close(&test);
}

#define REPLICA(last, desired)                                                                                         \
	"{\"ipv4\":\"127.0.0.1\",\"cpu\":5,\"memory\":6,\"launchType\":\"EC2\",\"lastStatus\":\"" last                       \
	"\",\"desiredStatus\":\"" desired "\"}"

static void replicas_are_what_the_api_tells(void **state)
{
	struct dialect_test test = {
		.call = {.pattern = WEIR_SPAN("/v1/get_function_resources/{function_name}")},
		.name = "a b",
		.answers = 2,
		.answer = {{200, "{\"specs\":[{\"cpu_millicores\":5,\"memory_mb\":6,\"min\":1}],\"pools\":[{}]}"},
			   {200, "{\"workers\":[{\"state\":\"starting\",\"cpu_millicores\":5,\"memory_mb\":6},"
				 "{\"state\":\"draining\",\"cpu_millicores\":5,\"memory_mb\":6},"
				 "{\"state\":\"backoff\",\"cpu_millicores\":5,\"memory_mb\":6},{\"state\":\"unknown\"}]}"}}};

	(void)state;
	assert_string_equal(dialect_test_serve_as(&test, &weir_dialect_spike, "GET", ""),
			    "{\"functionName\":\"a b\",\"resources\":[" REPLICA("PENDING", "RUNNING") "," REPLICA(
				    "DEACTIVATING", "STOPPED") "," REPLICA("PROVISIONING", "RUNNING") "]}");
	assert_string_equal(test.log, "GET /weir/functions/default/a%20b\nGET /weir/functions/default/a%20b/workers\n");
	test.answer[0].text = "{\"specs\":[{\"cpu_millicores\":5,\"memory_mb\":6,\"min\":1}],\"pools\":[]}";
	test.answer[1].text = "{\"workers\":[]}";
	assert_string_equal(dialect_test_serve_as(&test, &weir_dialect_spike, "GET", ""),
			    "{\"functionName\":\"a b\",\"resources\":[" REPLICA("NOT_CREATED", "RUNNING") "]}");
	test.answer[1].status = 503;
	test.answer[1].text = "{\"code\":\"no_workers\",\"error\":\"not now\"}";
	assert_error(&test, dialect_test_serve_as(&test, &weir_dialect_spike, "GET", ""), 14, 503, "not now");
	test.answer[0].status = 404;
	test.answer[0].text = "{\"code\":\"not_found\",\"error\":\"there is none\"}";
	assert_error(&test, dialect_test_serve_as(&test, &weir_dialect_spike, "GET", ""), 2, 500, "there is none");
	test.manage_code = -ECANCELED;
	assert_null(dialect_test_serve_as(&test, &weir_dialect_spike, "GET", ""));
	dialect_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_needs_no_api),
		cmocka_unit_test(each_way_to_fail_has_its_code),
		cmocka_unit_test(what_the_api_refuses_is_told),
		cmocka_unit_test(what_is_asked_of_the_api),
		cmocka_unit_test(what_cannot_be_read_asks_nobody),
		cmocka_unit_test(replicas_are_what_the_api_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
