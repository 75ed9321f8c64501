#include "tests/api/api_test.h"

static void function_with_an_image_needs_neither_file_nor_runtime(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":\"up\",\"image\":\"a.example/up:1\"}", NULL), 201);
	assert_int_equal(request(test, "GET", "/weir/functions/default/up", "", &text), 200);
	assert_non_null(strstr(text, "\"image\":\"a.example/up:1\""));
	assert_non_null(strstr(text, "\"runtime\":\"container\""));
	assert_non_null(strstr(text, "\"file\":\"\""));
	assert_null(strstr(text, "code_bytes"));
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":\"a\",\"image\":\"a b\"}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"image\""));
	assert_int_equal(
		request(test, "POST", "/weir/functions", "{\"name\":\"a\",\"image\":\"x\",\"file\":\"/bin/true\"}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"image\""));
	assert_int_equal(
		request(test, "POST", "/weir/functions", "{\"name\":\"a\",\"image\":\"x\",\"runtime\":\"exec\"}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"image\""));
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":\"a\",\"image\":\"\"}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"runtime\""));
}

static void image_is_deployed_untried_and_code_takes_its_place_again(void **state)
{
	static const char deploy[] = "/weir/functions/default/f/deploy";
	struct api_test *test = *state;
	struct weir_model_function function;
	struct weir_store_error error;
	const char *text = NULL;
	char hash[WEIR_CODE_HASH_BYTES];
	char body[160];

	test->trial_fails = true; /* nobody asks */
	assert_int_equal(request(test, "POST", deploy, "{\"image\":\"up\",\"memory_mb\":99}", &text), 201);
	assert_non_null(strstr(text, "\"image\":\"up\""));
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_string_equal(function.image, "up");
	assert_string_equal(function.runtime, "container");
	assert_int_equal(function.number, 1);
	assert_int_equal(function.memory_mb, 99);
	assert_int_equal(request(test, "POST", "/weir/code?name=f.sh", "#!/bin/sh\n", &text), 201);
	assert_int_equal(sscanf(strstr(text, "\"code\":\""), "\"code\":\"%64[0-9a-f]", hash), 1);
	(void)snprintf(body, sizeof(body), "{\"code\":\"%s\",\"trial\":false}", hash);
	assert_int_equal(request(test, "POST", deploy, body, NULL), 201);
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_string_equal(function.image, "");
	assert_string_equal(function.runtime, "exec");
	assert_int_equal(request(test, "POST", deploy, "{\"image\":\"down\"}", NULL), 201);
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_string_equal(function.image, "down");
	assert_string_equal(function.code_path, "");
	assert_int_equal(function.memory_mb, 99);
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/rollback", "{\"number\":1}", NULL), 200);
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_string_equal(function.image, "up");
}

static void image_is_not_deployed_together_with_what_belongs_to_code(void **state)
{
	static const char *const bodies[] = {"{\"image\":\"x\",\"code\":\"1\"}", "{\"image\":\"x\",\"entry\":\"a\"}",
					     "{\"image\":\"x\",\"health\":\"/\"}", "{\"image\":\"x\",\"handler\":\"h\"}",
					     "{\"image\":\"x\",\"runtime\":\"exec\"}", "{\"image\":\"a b\"}"};
	struct api_test *test = *state;
	const char *text = NULL;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", bodies[i], &text), 422);
		assert_non_null(strstr(text, "\"field\":\"image\""));
	}
	assert_int_equal(request(test, "GET", "/weir/functions/default/f", "", NULL), 404);
}

static void aliases_are_set_shown_and_removed(void **state)
{
	static const char target[] = "/weir/image-aliases";
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/functions",
				 "{\"name\":\"true\",\"runtime\":\"exec\",\"file\":\"/bin/true\"}", NULL),
			 201);
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":\"up\",\"image\":\"a/b:1\"}", NULL), 201);
	assert_int_equal(request(test, "GET", "/weir/functions/default/up", "", &text), 200);
	assert_null(strstr(text, "\"runs\""));
	assert_int_equal(request(test, "PUT", target, "{\"image\":\"a/b:1\",\"function\":\"true\"}", NULL), 200);
	assert_int_equal(request(test, "GET", target, "", &text), 200);
	assert_non_null(strstr(text, "{\"image\":\"a/b:1\",\"function\":\"default/true\"}"));
	assert_int_equal(request(test, "GET", "/weir/functions/default/up", "", &text), 200);
	assert_non_null(strstr(text, "\"runs\":\"default/true\""));
	assert_int_equal(request(test, "GET", "/weir/history", "", &text), 200);
	assert_non_null(strstr(text, "set image a/b:1"));
	assert_int_equal(request(test, "DELETE", "/weir/image-aliases?image=a%2Fb:1", "", NULL), 200);
	assert_int_equal(request(test, "GET", target, "", &text), 200);
	assert_non_null(strstr(text, "{\"aliases\":[]}"));
	assert_int_equal(request(test, "DELETE", "/weir/image-aliases?image=a%2Fb:1", "", &text), 404);
	assert_int_equal(request(test, "DELETE", target, "", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"image\""));
}

static void aliases_name_a_function_with_code(void **state)
{
	static const struct {
		const char *body;
		int status;
		const char *words;
	} refused[] = {
		{"{\"image\":\"x\",\"function\":\"nobody\"}", 404, "there is no function default/nobody"},
		{"{\"image\":\"x\",\"function\":\"up\"}", 422, "\"field\":\"function\""},
		{"{\"image\":\"x\",\"function\":\"a/b/c\"}", 422, "\"field\":\"function\""},
		{"{\"image\":\"x\"}", 422, "\"field\":\"function\""},
		{"{\"function\":\"up\"}", 422, "\"field\":\"image\""},
		{"{\"image\":\"x y\",\"function\":\"up\"}", 422, "\"field\":\"image\""},
	};
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":\"up\",\"image\":\"a\"}", NULL), 201);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(request(test, "PUT", "/weir/image-aliases", refused[i].body, &text), refused[i].status);
		assert_non_null(strstr(text, refused[i].words));
	}
}

static void aliases_that_lead_nowhere_are_problems(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/functions",
				 "{\"name\":\"true\",\"runtime\":\"exec\",\"file\":\"/bin/true\"}", NULL),
			 201);
	assert_int_equal(request(test, "PUT", "/weir/image-aliases", "{\"image\":\"x\",\"function\":\"true\"}", NULL), 200);
	assert_int_equal(request(test, "GET", "/weir/status", "", &text), 200);
	assert_non_null(strstr(text, "\"problems\":[]"));
	assert_int_equal(request(test, "DELETE", "/weir/functions/default/true", "", NULL), 200);
	assert_int_equal(request(test, "GET", "/weir/status", "", &text), 200);
	assert_non_null(strstr(text, "{\"what\":\"image\",\"row\":\"x\",\"field\":\"function\",\"reason\":\"The image 'x' stands "
				     "for default/true, which is not there"));
	assert_int_equal(request(test, "GET", "/weir/image-aliases", "", &text), 200);
	assert_non_null(strstr(text, "\"problem\":\"The image 'x' stands for"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(function_with_an_image_needs_neither_file_nor_runtime),
		TEST(image_is_deployed_untried_and_code_takes_its_place_again),
		TEST(image_is_not_deployed_together_with_what_belongs_to_code),
		TEST(aliases_are_set_shown_and_removed),
		TEST(aliases_name_a_function_with_code),
		TEST(aliases_that_lead_nowhere_are_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
