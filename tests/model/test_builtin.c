/* What Weir brings itself is sound, and who may have which route beside it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctrl/model/builtin.h"

static void each_function_and_route_passes_the_checks(void **state)
{
	struct weir_model_function function;
	struct weir_model_function other;
	struct weir_model_route route;
	size_t functions = 0;

	(void)state;
	for (; weir_builtin_function(functions, "/data", &function); functions++) {
		assert_int_equal(weir_model_function_check(&function, NULL), 0);
		assert_string_equal(function.space, WEIR_BUILTIN_SPACE);
		assert_true((function.id & WEIR_BUILTIN_ID_BIT) != 0);
		assert_true(functions == 0 || function.id > other.id);
		other = function;
	}
	assert_true(functions > 0);
	for (size_t i = 0; weir_builtin_route(i, &route); i++) {
		assert_int_equal(weir_model_route_check(&route, NULL), 0);
		assert_true(weir_builtin_function((route.function_id & ~WEIR_BUILTIN_ID_BIT) - 1, "/data", &function));
		assert_string_equal(function.name, route.name);
		assert_int_equal(weir_builtin_route_check(&route, NULL), weir_builtin_yields(i) ? 0 : -EINVAL);
	}
}

static void the_queue_gets_its_limits_and_another_version_with_them(void **state)
{
	struct weir_model_function function;
	uint64_t version = 0;
	size_t i = 0;

	(void)state;
	for (; weir_builtin_function(i, "/data", &function) && strcmp(function.name, WEIR_BUILTIN_QUEUE) != 0; i++)
		assert_false(weir_builtin_is_silent(function.id));
	assert_string_equal(function.code_path, "/data/" WEIR_BUILTIN_QUEUE_DIRECTORY);
	assert_int_equal(function.workers_max, 1); /* two would wait for each other */
	assert_true(weir_builtin_is_silent(function.id));
	assert_false(weir_builtin_is_silent(7));
	weir_builtin_queue_settle(&function, "1:2");
	assert_string_equal(function.handler, "1:2");
	version = function.version;
	weir_builtin_queue_settle(&function, "1:3");
	assert_true(function.version != version && version != 0);
	assert_true(weir_builtin_function(0, "/data", &function));
	weir_builtin_queue_settle(&function, "1:3");
	assert_string_equal(function.handler, "");
}

static void nobody_else_gets_the_namespace(void **state)
{
	struct weir_model_error wrong;
	struct weir_model_function function;

	(void)state;
	assert_true(weir_builtin_function(0, "/data", &function));
	function.is_builtin = false;
	(void)strcpy(function.runtime, "native");
	assert_int_equal(weir_model_function_check(&function, &wrong), -EINVAL);
	assert_string_equal(wrong.field, "namespace");
}

static int check(const char *text, const char *host, struct weir_model_error *wrong)
{
	struct weir_model_route route = {0};

	assert_int_equal(weir_model_route_parse(text, &route, NULL), 0);
	assert_int_equal(weir_model_host_parse(host, route.host, NULL), 0);
	return weir_builtin_route_check(&route, wrong);
}

static void a_route_that_would_take_requests_away_is_refused(void **state)
{
	static const char *const refused[] = {"POST /actions/{name}/invoke", "GET /actions/{x}/invoke",
					      "POST /actions/add/invoke",    "POST /actions/add/{verb}",
					      "ANY /actions/add/*",	     "POST /actions/list"};
	static const char *const free_ones[] = {"ANY /*",	  "ANY /actions/*",  "GET /actions",
						"POST /{a}/{b}/invoke", "POST /actions/add/invoke/x",
						"POST /actions/{name}/run", "GET /ping"};
	struct weir_model_error wrong;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (check(refused[i], "", &wrong) != -EINVAL)
			fail_msg("%s is let through", refused[i]);
		assert_string_equal(wrong.field, "route");
		assert_non_null(strstr(wrong.reason, "vespid"));
		assert_int_equal(check(refused[i], "mine.example", &wrong), 0);
	}
	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++) {
		if (check(free_ones[i], "", &wrong) != 0)
			fail_msg("%s is refused: %s", free_ones[i], wrong.reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_function_and_route_passes_the_checks),
		cmocka_unit_test(the_queue_gets_its_limits_and_another_version_with_them),
		cmocka_unit_test(nobody_else_gets_the_namespace),
		cmocka_unit_test(a_route_that_would_take_requests_away_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
