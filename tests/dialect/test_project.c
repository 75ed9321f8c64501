/* FaaS Project's adapter: what it asks for, what it remembers while nobody can be asked, and how it refuses. */
#include "tests/dialect/dialect_test.h"

#define UUID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define GOOD "{\"name\":\"simon\",\"uuid\":\"" UUID "\",\"role\":\"developer\",\"expires\":9007199254740991}"
#define AWAY "{\"code\":\"away\",\"error\":\"nobody is there\"}"

static void say(struct dialect_test *test, uint32_t status, const char *body, const char *failure)
{
	test->result = (struct weir_dialect_result){.status = status, .body = weir_span_of(body), .failure = failure};
	(void)snprintf(test->result.sentence, sizeof(test->result.sentence), "a sentence");
}

static void answer(struct dialect_test *test, uint16_t status, const char *text)
{
	test->answer[test->answers].status = status;
	test->answer[test->answers++].text = text;
}

static const char *serve(struct dialect_test *test, const char *pattern, const char *body)
{
	return dialect_test_serve(test, &weir_dialect_project, pattern, body);
}

static void a_user_is_registered_into_a_namespace_of_their_own(void **state)
{
	struct dialect_test test = {.answers = 0};

	(void)state;
	answer(&test, 201, "{\"name\":\"simon\",\"uuid\":\"" UUID "\",\"generation\":7}");
	assert_string_equal(serve(&test, "/auth/register", "{\"username\":\"simon\",\"password\":\"p\",}"),
			    "User simon (ID: " UUID ") registered successfully: 7\n");
	assert_int_equal(test.call.reply.status, 200);
	assert_string_equal(test.log, "POST /weir/users {\"name\":\"simon\",\"password\":\"p\",\"new\":true}\n");
	test.answer[0].status = 409;
	test.answer[0].text = "{\"code\":\"exists\",\"error\":\"there is one\"}";
	assert_string_equal(serve(&test, "/auth/register", "{\"username\":\"simon\",\"password\":\"p\"}"),
			    "Username already taken\n");
	test.answer[0].text = "{\"code\":\"limit\",\"error\":\"there are too many\"}";
	assert_string_equal(serve(&test, "/auth/register", "{\"username\":\"simon\",\"password\":\"p\"}"),
			    "there are too many\n");
	test.answer[0].status = 429;
	test.answer[0].text = "{\"code\":\"too_many_attempts\",\"error\":\"later\",\"retry_after_s\":6}";
	assert_string_equal(serve(&test, "/auth/login", "{\"username\":\"simon\",\"password\":\"p\"}"), "later\n");
	assert_true(weir_span_equal(test.call.reply.field[0].name, WEIR_SPAN("retry-after")));
	assert_true(weir_span_equal(test.call.reply.field[0].value, WEIR_SPAN("6")));
	dialect_test_close(&test);
}

static void bodies_that_say_nothing_are_refused_before_anybody_is_asked(void **state)
{
	static const char *const bodies[] = {"{", "[]", "{}", "{\"username\":1,\"password\":\"p\"}", "{\"username\":\"a\"}"};
	struct dialect_test test = {.answers = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_string_equal(serve(&test, "/auth/login", bodies[i]), "Invalid request payload\n");
		assert_int_equal(test.call.reply.status, 400);
		assert_true(weir_span_equal(test.call.reply.field[0].name, WEIR_SPAN("x-weir-error")));
		assert_string_equal(test.log, "");
	}
	dialect_test_close(&test);
}

static void without_a_token_the_registry_asks_nobody(void **state)
{
	static const char *const fields[] = {NULL, "Bearer", "Bearer ", "x.y.z", "Basic x"};
	struct dialect_test test = {.answers = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		test.authorization = fields[i];
		assert_string_equal(serve(&test, "/registry/list", ""), "Unauthorized\n");
		assert_int_equal(test.call.reply.status, 401);
		assert_string_equal(test.log, "");
	}
	dialect_test_close(&test);
}

static void the_registry_shows_and_changes_nothing_of_others(void **state)
{
	static const char other[] = "{\"namespace\":\"simon\",\"name\":\"f\",\"owner\":\"\",\"image\":\"i\"}";
	struct dialect_test test = {.authorization = "Bearer one"};

	(void)state;
	answer(&test, 200, GOOD);
	answer(&test, 200, other);
	assert_string_equal(serve(&test, "/registry/retrieve", "{\"name\":\"f\"}"), "Function not found\n");
	assert_string_equal(serve(&test, "/registry/update", "{\"name\":\"f\",\"payload\":\"j\"}"), "Function not found\n");
	assert_int_equal(test.call.reply.status, 404);
	assert_string_equal(serve(&test, "/registry/delete", "{\"name\":\"f\"}"), "");
	assert_int_equal(test.call.reply.status, 204);
	assert_null(strstr(test.log, "DELETE"));
	test.answer[1].text = "{\"functions\":[{\"namespace\":\"simon\",\"name\":\"f\",\"owner\":\"\"},"
			      "{\"namespace\":\"ann\",\"name\":\"g\",\"owner\":\"ann\"}]}";
	assert_string_equal(serve(&test, "/registry/list", ""), "[]");
	dialect_test_close(&test);
}

static void a_token_is_asked_for_once_in_a_while_and_known_while_nobody_can_be_asked(void **state)
{
	struct dialect_test test = {.authorization = "Bearer two"};

	(void)state;
	say(&test, 200, "ABC\n", NULL);
	answer(&test, 200, GOOD);
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"up\",\"argument\":\"abc\",}"), "ABC\n");
	assert_string_equal(test.log, "POST /weir/token {\"token\":\"two\"}\ninvoke simon/up abc\n");
	assert_string_equal(test.call.reply.type, "application/json");
	test.answers = 0;
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"up\",\"argument\":\"abc\"}"), "ABC\n");
	assert_string_equal(test.log, "invoke simon/up abc\n");
	/* Who validates wants to know it now; while nobody is there, what was known is. */
	answer(&test, 503, AWAY);
	assert_string_equal(serve(&test, "/auth/validate", ""), "Token is valid. Username: simon, ID: " UUID "\n");
	test.answer[0].status = 401;
	test.answer[0].text = "{\"error\":\"the token is of a user who is gone\"}";
	assert_non_null(strstr(serve(&test, "/auth/validate", ""), "Invalid token: "));
	/* And is forgotten. */
	test.answer[0].status = 503;
	test.answer[0].text = AWAY;
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"up\",\"argument\":\"abc\"}"), "nobody is there\n");
	assert_int_equal(test.call.reply.status, 503);
	dialect_test_close(&test);
}

static void without_a_token_a_name_must_be_one_function_alone(void **state)
{
	struct dialect_test test = {.answers = 0};

	(void)state;
	say(&test, 200, "7", NULL);
	answer(&test, 200, "{\"functions\":[{\"namespace\":\"a\",\"name\":\"one\"},{\"namespace\":\"a\",\"name\":\"two\"},"
			   "{\"namespace\":\"b\",\"name\":\"two\"}]}");
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"two\"}"), "Unauthorized\n");
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"none\"}"), "Unauthorized\n");
	assert_int_equal(test.call.reply.status, 401);
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"one\",\"argument\":\"x\"}"), "7");
	assert_non_null(strstr(test.log, "invoke a/one x\n"));
	test.answers = 0; /* it is remembered */
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"one\",\"argument\":\"x\"}"), "7");
	dialect_test_close(&test);
}

static void each_way_to_fail_has_its_text(void **state)
{
	static const struct {
		uint32_t status;
		const char *body;
		const char *failure;
		const char *wanted;
	} cases[] = {
		{504, "{}", "function_timeout", "Error submission worker nats: timeout\n"},
		{503, "{}", "no_worker", "Error submission worker: a sentence\n"},
		{500, "broken", NULL, "Error submission worker: broken\n"},
		{404, "{}", "call_unknown", "Error retrieve function: Function not found\n"},
	};
	struct dialect_test test = {.authorization = "Bearer three"};

	(void)state;
	answer(&test, 200, GOOD);
	say(&test, 200, "", NULL);
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"f\"}"), ""); /* the token is known now */
	test.answers = 0;
	answer(&test, 200, "{\"functions\":[]}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say(&test, cases[i].status, cases[i].body, cases[i].failure);
		assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"f\"}"), cases[i].wanted);
		assert_int_equal(test.call.reply.status, 500);
	}
	assert_string_equal(serve(&test, "/publisher/publish", "{\"name\":\"f\",\"argument\":7}"), "Invalid request body\n");
	test.invoke_code = -ECANCELED;
	assert_null(serve(&test, "/publisher/publish", "{\"name\":\"f\"}"));
	dialect_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_registered_into_a_namespace_of_their_own),
		cmocka_unit_test(bodies_that_say_nothing_are_refused_before_anybody_is_asked),
		cmocka_unit_test(without_a_token_the_registry_asks_nobody),
		cmocka_unit_test(the_registry_shows_and_changes_nothing_of_others),
		cmocka_unit_test(a_token_is_asked_for_once_in_a_while_and_known_while_nobody_can_be_asked),
		cmocka_unit_test(without_a_token_a_name_must_be_one_function_alone),
		cmocka_unit_test(each_way_to_fail_has_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
