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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(function_with_an_image_needs_neither_file_nor_runtime),
		TEST(image_is_deployed_untried_and_code_takes_its_place_again),
		TEST(image_is_not_deployed_together_with_what_belongs_to_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
