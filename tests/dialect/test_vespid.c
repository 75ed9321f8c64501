/* Vespid's adapter: what it asks for, and what its clients get where that fails. */
#include "tests/dialect/dialect_test.h"

#define ACTION(verb) "/actions/{name}/" verb

static void say(struct dialect_test *test, uint32_t status, const char *body, const char *failure)
{
	test->result = (struct weir_dialect_result){.status = status, .body = weir_span_of(body), .failure = failure};
	(void)snprintf(test->result.sentence, sizeof(test->result.sentence), "a sentence");
}

static const char *serve(struct dialect_test *test, const char *pattern, const char *body)
{
	return dialect_test_serve(test, &weir_dialect_vespid, pattern, body);
}

static void an_invocation_needs_no_api_but_for_numbers(void **state)
{
	struct dialect_test test = {.name = "hello", .answers = 1};
	const char *reply = NULL;

	(void)state;
	say(&test, 200, "Hello, Ada!\n", NULL);
	reply = serve(&test, ACTION("invoke"), "{\"vargs\":{\"name\":\"Ada\"}}");
	assert_string_equal(reply, "{\"result\":\"Hello, Ada!\",\"runTime\":0,\"deployTime\":0}");
	assert_string_equal(test.log, "invoke default/hello {\"name\":\"Ada\"}\n");
	test.name = "add";
	say(&test, 200, "-7\n", NULL);
	test.answer[0].status = 200;
	test.answer[0].text = "{\"annotations\":{\"vespid\":\"cnative\"}}";
	reply = serve(&test, ACTION("invoke"), "{\"vargs\":{}}");
	assert_string_equal(reply, "{\"result\":-7,\"runTime\":0,\"deployTime\":0}");
	assert_string_equal(test.log, "invoke default/add {}\nGET /weir/functions/default/add\n");
	test.answers = 0; /* it remembers */
	assert_string_equal(serve(&test, ACTION("invoke"), "{\"vargs\":{}}"),
			    "{\"result\":-7,\"runTime\":0,\"deployTime\":0}");
	assert_string_equal(test.log, "invoke default/add {}\n");
	dialect_test_close(&test);
}

static void without_the_api_a_number_is_a_text(void **state)
{
	struct dialect_test test = {.name = "unseen", .answers = 1, .answer = {{503, "{\"code\":\"away\"}"}}};

	(void)state;
	say(&test, 200, "7", NULL);
	assert_non_null(strstr(serve(&test, ACTION("invoke"), "{\"vargs\":{}}"), "\"result\":\"7\""));
	dialect_test_close(&test);
}

static void each_way_to_fail_has_its_message(void **state)
{
	static const struct {
		uint32_t status;
		const char *body;
		const char *failure;
		const char *wanted;
	} cases[] = {
		{404, "{}", "call_unknown", "InvalidActionError: Action does not exist: f"},
		{404, "not mine", NULL, "ActionInvokeError: not mine"},
		{503, "{}", "no_worker", "ActionInvokeError: a sentence"},
		{400, "{\"error\":\"it takes 2\"}", NULL, "InvalidSignatureError: Mismatch in arguments for action f"},
		{500, "broken\n", NULL, "ActionInvokeError: broken"},
	};
	struct dialect_test test = {.name = "f"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char wanted[256];

		say(&test, cases[i].status, cases[i].body, cases[i].failure);
		(void)snprintf(wanted, sizeof(wanted), "{\"msg\":\"%s\"}", cases[i].wanted);
		assert_string_equal(serve(&test, ACTION("invoke"), "{\"vargs\":{}}"), wanted);
		assert_int_equal(test.call.reply.status, 500);
	}
	test.invoke_code = -EMSGSIZE;
	assert_non_null(strstr(serve(&test, ACTION("invoke"), "{\"vargs\":{}}"), "up to 1 MiB"));
	test.invoke_code = -ECANCELED;
	assert_null(serve(&test, ACTION("invoke"), "{\"vargs\":{}}"));
	dialect_test_close(&test);
}

static void what_the_api_refuses_is_told(void **state)
{
	static const struct {
		uint16_t status;
		const char *text;
		const char *wanted;
	} cases[] = {
		{409, "{\"code\":\"exists\"}", "ActionAlreadyExists: Action already exists: f"},
		{422, "{\"code\":\"build_failed\",\"error\":\"no\",\"log\":\"line 1\"}", "ActionCompileError: no line 1"},
		{503, "{\"code\":\"away\",\"error\":\"nobody is there\"}", "ActionError: nobody is there"},
		{500, "no JSON", "ActionError: weir-ctrld gave no reason"},
	};
	struct dialect_test test = {.name = "f", .answers = 2, .answer = {{201, "{\"code\":\"beef\"}"}}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		test.answer[1].status = cases[i].status;
		test.answer[1].text = cases[i].text;
		assert_non_null(strstr(serve(&test, ACTION("create"), "{\"vcode\":\"x\",\"runtime\":\"c\"}"), cases[i].wanted));
		assert_int_equal(test.call.reply.status, 500);
	}
	test.manage_code = -ENOMEM;
	assert_null(serve(&test, ACTION("create"), "{\"vcode\":\"x\",\"runtime\":\"c\"}"));
	assert_null(serve(&test, ACTION("get"), ""));
	assert_null(serve(&test, ACTION("delete"), ""));
	assert_null(serve(&test, "/actions/list", ""));
	dialect_test_close(&test);
}

static void a_list_leaves_out_other_namespaces_and_what_went_meanwhile(void **state)
{
	struct dialect_test test = {
		.answers = 4,
		.answer = {{200, "{\"functions\":[{\"namespace\":\"default\",\"name\":\"a\"},{\"namespace\":\"x\",\"name\":"
				 "\"b\"},{\"namespace\":\"default\",\"name\":\"gone\"}]}"},
			   {200, "{\"name\":\"a\",\"runtime\":\"js\"}"},
			   {200, "function a() {}"},
			   {404, "{\"code\":\"not_found\"}"}}};

	(void)state;
	assert_string_equal(serve(&test, "/actions/list", "{}"),
			    "{\"actions\":[{\"vname\":\"a\",\"runtime\":\"js\",\"vcode\":\"function a() {}\"}]}");
	dialect_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invocation_needs_no_api_but_for_numbers),
		cmocka_unit_test(without_the_api_a_number_is_a_text),
		cmocka_unit_test(each_way_to_fail_has_its_message),
		cmocka_unit_test(what_the_api_refuses_is_told),
		cmocka_unit_test(a_list_leaves_out_other_namespaces_and_what_went_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
