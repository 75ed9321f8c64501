/* What adapters share: bodies, paths of the API, replies. */
#include "tests/dialect/dialect_test.h"

static void assert_body(const char *text, bool is_lenient, const char *wanted)
{
	const struct weir_dialect_call call = {.body = weir_span_of(text)};
	char sentence[WEIR_DIALECT_SENTENCE_BYTES] = "";
	cJSON *json = weir_dialect_body(&call, is_lenient, sentence);
	char *printed = json == NULL ? NULL : cJSON_PrintUnformatted(json);

	if (printed != NULL)
		assert_string_equal(printed, wanted);
	else if (strstr(sentence, wanted) == NULL)
		fail_msg("%s: %s", text, sentence);
	cJSON_free(printed);
	cJSON_Delete(json);
}

static void a_body_is_one_object(void **state)
{
	(void)state;
	assert_body("", false, "{}");
	assert_body(" {\"a\" : [1, {\"b\":null}]} ", false, "{\"a\":[1,{\"b\":null}]}");
	assert_body("[]", false, "body must be a JSON object");
	assert_body("3", false, "body must be a JSON object");
	assert_body("{", false, "body ");
	assert_body("{\"a\":1,\"a\":2}", false, "a ");
	assert_body("{\"a\":\"\xff\"}", false, "a ");
	assert_body("{\"a\":1,}", false, "body ");
}

static void a_lenient_one_may_have_a_comma_too_many(void **state)
{
	(void)state;
	assert_body("{\"a\":1,}", true, "{\"a\":1}");
	assert_body("{\"a\":[1,2 , \n ] ,\t}", true, "{\"a\":[1,2]}");
	assert_body("{\"a\":\",}\",\"b\":\"\\\",]\",}", true, "{\"a\":\",}\",\"b\":\"\\\",]\"}");
	assert_body("{,}", true, "{}");
	assert_body("{\"a\":1,,}", true, "body ");
	assert_body("{\"a\":1,", true, "body ");
	assert_body("{\"a\":\"\\", true, "a has an escape");
}

static void values_are_counted(void **state)
{
	const size_t count = WEIR_DIALECT_JSON_VALUES_MAX + 8;
	char *text = malloc(4 * count);
	size_t used = (size_t)sprintf(text, "{\"a\":[0");

	(void)state;
	while (used < 2 * count)
		used += (size_t)sprintf(text + used, ",0");
	(void)strcpy(text + used, "]}");
	assert_body(text, false, "body has more than 65536 values");
	memset(text, ',', 2 * count); /* in a text they are none */
	memcpy(text, "{\"a\":\"", 6);
	(void)strcpy(text + 2 * count, "\"}");
	assert_body(text, false, text);
	free(text);
}

static void paths_of_the_api_are_encoded(void **state)
{
	const char *const parts[] = {"a b/c", "\xc3\xa9?#%"};
	char target[WEIR_DIALECT_TARGET_BYTES];
	char *long_name = malloc(WEIR_DIALECT_TARGET_BYTES);

	(void)state;
	assert_true(weir_dialect_target(target, "/x/%s/y?z=%s&100", parts));
	assert_string_equal(target, "/x/a%20b%2Fc/y?z=%C3%A9%3F%23%25&100");
	memset(long_name, 'x', WEIR_DIALECT_TARGET_BYTES - 1);
	long_name[WEIR_DIALECT_TARGET_BYTES - 1] = '\0';
	assert_false(weir_dialect_target(target, "/%s", (const char *const[]){long_name}));
	free(long_name);
}

static void names_fit_or_are_refused(void **state)
{
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char text[80];

	(void)state;
	memset(text, 'n', sizeof(text));
	assert_true(weir_dialect_name((struct weir_span){.data = text, .bytes = 63}, name));
	assert_int_equal(strlen(name), 63);
	assert_false(weir_dialect_name((struct weir_span){.data = text, .bytes = 64}, name));
	assert_false(weir_dialect_name(WEIR_SPAN(""), name));
}

static void a_name_may_say_its_namespace(void **state)
{
	static const char *const wrong[] = {"", "/", "a/", "/a", "a%", "a%2", "a%2g", "a%00b", "a%2f", "%2fa"};
	struct weir_dialect_named named;
	char text[WEIR_MODEL_NAME_BYTES_MAX + 3];

	(void)state;
	assert_true(weir_dialect_named(WEIR_SPAN("b"), "default", &named));
	assert_string_equal(named.space, "default");
	assert_string_equal(named.name, "b");
	for (int i = 0; i < 3; i++) {
		static const char *const sound[] = {"a/b/c", "a%2Fb/c", "a%2fb/c"};

		assert_true(weir_dialect_named(weir_span_of(sound[i]), "default", &named));
		assert_string_equal(named.space, "a");
		assert_string_equal(named.name, "b/c"); /* which no function is called */
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(weir_dialect_named(weir_span_of(wrong[i]), "default", &named));
	memset(text, 'n', sizeof(text));
	text[1] = '/';
	assert_false(weir_dialect_named((struct weir_span){.data = text, .bytes = sizeof(text)}, "default", &named));
	assert_true(weir_dialect_named((struct weir_span){.data = text, .bytes = sizeof(text) - 1}, "default", &named));
}

static void a_deployment_uploads_and_then_deploys(void **state)
{
	struct dialect_test test = {.answers = 2,
				    .answer = {{201, "{\"code\":\"beef\"}"}, {201, "{\"number\":1}"}}};
	const struct weir_dialect_deployment wanted = {
		.space = "default", .name = "a b", .file = "main.c", .runtime = "c", .code = WEIR_SPAN("int a;"), .is_new = true};
	const struct weir_dialect_ops ops = {.manage = dialect_test_manage};
	struct weir_dialect_verdict verdict;

	(void)state;
	test.call.ops = &ops;
	assert_int_equal(weir_dialect_deploy(&test.call, &wanted, &verdict), 0);
	assert_int_equal(verdict.status, 201);
	assert_string_equal(test.log, "POST /weir/code?name=main.cint a;\n"
				      "POST /weir/functions/default/a%20b/deploy "
				      "{\"code\":\"beef\",\"runtime\":\"c\",\"entry\":\"main.c\",\"new\":true}\n");
	weir_dialect_verdict_release(&verdict);
	test.asked = 0;
	test.answer[0].status = 507; /* what the API says of an upload is the deployment's answer */
	assert_int_equal(weir_dialect_deploy(&test.call, &wanted, &verdict), 0);
	assert_int_equal(verdict.status, 507);
	weir_dialect_verdict_release(&verdict);
	test.manage_code = -ECANCELED;
	assert_int_equal(weir_dialect_deploy(&test.call, &wanted, &verdict), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_one_object),
		cmocka_unit_test(a_lenient_one_may_have_a_comma_too_many),
		cmocka_unit_test(values_are_counted),
		cmocka_unit_test(paths_of_the_api_are_encoded),
		cmocka_unit_test(names_fit_or_are_refused),
		cmocka_unit_test(a_name_may_say_its_namespace),
		cmocka_unit_test(a_deployment_uploads_and_then_deploys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
