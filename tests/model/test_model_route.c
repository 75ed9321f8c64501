#include "dataplane/http/http_request.h"
#include "tests/model/model_test.h"

static void assert_route(const char *text, uint16_t methods, const char *pattern)
{
	struct weir_model_route route = {.id = 5};
	struct weir_model_error error = {.reason = ""};

	if (weir_model_route_parse(text, &route, &error) != 0)
		fail_msg("'%s': %s", text, error.reason);
	assert_int_equal(route.methods, methods);
	assert_string_equal(route.pattern, pattern);
	assert_int_equal(route.id, 5);
	assert_int_equal(weir_model_route_check(&route, &error), 0);
}

static void assert_refused(const char *text, const char *field, const char *words)
{
	struct weir_model_route route = {.pattern = "/old", .methods = 3};
	struct weir_model_error error;

	if (weir_model_route_parse(text, &route, &error) != -EINVAL)
		fail_msg("'%s' passed", text);
	assert_error(&error, field, words);
	assert_string_equal(route.pattern, "/old");
	assert_int_equal(route.methods, 3);
}

static void method_bits_follow_the_http_enumeration(void **state)
{
	uint16_t all = 0;

	(void)state;
	for (int method = 0; method < WEIR_HTTP_METHOD_COUNT; method++) {
		const struct weir_span name =
			weir_http_method_name((enum weir_http_method)method);
		char text[32];
		char formatted[WEIR_MODEL_METHODS_BYTES_MAX];

		(void)snprintf(text, sizeof(text), "%.*s /x", (int)name.bytes, name.data);
		assert_route(text, (uint16_t)(1U << method), "/x");
		(void)snprintf(text, sizeof(text), "%.*s", (int)name.bytes, name.data);
		assert_string_equal(weir_model_methods_format((uint16_t)(1U << method),
							      formatted, sizeof(formatted)),
				    text);
		all |= (uint16_t)(1U << method);
	}
	/* And there is no eighth. */
	struct weir_model_route route = {.pattern = "/x", .methods = all};
	struct weir_model_error error;

	assert_int_equal(weir_model_route_check(&route, &error), 0);
	route.methods = (uint16_t)(all + 1);
	assert_int_equal(weir_model_route_check(&route, &error), -EINVAL);
	assert_error(&error, "methods", "does not know");
}

static void methods_are_one_several_or_any(void **state)
{
	char text[WEIR_MODEL_METHODS_BYTES_MAX];
	char small[6];

	(void)state;
	assert_route("GET,POST /x", 1U << WEIR_HTTP_GET | 1U << WEIR_HTTP_POST, "/x");
	assert_route("POST,GET,POST /x", 1U << WEIR_HTTP_GET | 1U << WEIR_HTTP_POST, "/x");
	assert_route("ANY   /x", 0, "/x");
	assert_refused("get /x", "methods", "'get'");
	assert_refused("GET, /x", "methods", "''");
	assert_refused(",GET /x", "methods", "known are");
	assert_refused("ANY,GET /x", "methods", "ANY alone");
	assert_refused("TRACE /x", "methods", "'TRACE'");
	assert_refused("/x", "route", "method and a pattern");
	assert_refused("/x /y", "route", "method and a pattern");
	assert_refused("GET", "route", "method and a pattern");
	assert_refused("", "route", "method and a pattern");
	assert_refused(" /x", "methods", "''");

	assert_string_equal(weir_model_methods_format(0, text, sizeof(text)), "ANY");
	assert_string_equal(weir_model_methods_format(5, text, sizeof(text)), "GET,POST");
	assert_string_equal(weir_model_methods_format(127, text, sizeof(text)),
			    "GET,HEAD,POST,PUT,DELETE,PATCH,OPTIONS");
	assert_string_equal(weir_model_methods_format(5, small, sizeof(small)), "GET,P");
}

static void patterns_are_literals_parameters_and_a_last_star(void **state)
{
	(void)state;
	assert_route("GET /", 1, "/");
	assert_route("GET /*", 1, "/*");
	assert_route("GET /img/{id}", 1, "/img/{id}");
	assert_route("GET /img/{id}/", 1, "/img/{id}/");
	assert_route("GET /{a}/{b_2}/c/*", 1, "/{a}/{b_2}/c/*");
	assert_route("GET /a b/caf\xc3\xa9/x.y,z;=+!$&'()@:~-_", 1,
		     "/a b/caf\xc3\xa9/x.y,z;=+!$&'()@:~-_");
	assert_route("GET /.../.a", 1, "/.../.a");
}

static void a_wrong_pattern_says_what_is_wrong(void **state)
{
	(void)state;
	assert_refused("GET x", "pattern", "begin with '/'");
	assert_refused("GET ", "pattern", "begin with '/'");
	assert_refused("GET /a?b=1", "pattern", "query");
	assert_refused("GET /a%20b", "pattern", "'%'");
	assert_refused("GET /a#b", "pattern", "'#'");
	assert_refused("GET //a", "pattern", "empty segment");
	assert_refused("GET /a//b", "pattern", "empty segment");
	assert_refused("GET /a/./b", "pattern", "'..'");
	assert_refused("GET /a/..", "pattern", "'..'");
	assert_refused("GET /a*", "pattern", "last segment");
	assert_refused("GET /*/a", "pattern", "last segment");
	assert_refused("GET /**", "pattern", "last segment");
	assert_refused("GET /{}", "pattern", "whole segment");
	assert_refused("GET /{a", "pattern", "whole segment");
	assert_refused("GET /{a}b", "pattern", "'{a}b'");
	assert_refused("GET /a{b}", "pattern", "'a{b}'");
	assert_refused("GET /a}", "pattern", "whole segment");
	assert_refused("GET /{A}", "pattern", "a-z");
	assert_refused("GET /{a-b}", "pattern", "a-z");
	assert_refused("GET /{a}/{b}/{a}", "pattern", "'a' twice");
	assert_refused("GET /a\tb", "pattern", "control");
	assert_refused("GET /\xff", "pattern", "UTF-8");
	assert_refused("GET /a ", "pattern", "blank");
}

static void pattern_limits_are_what_the_snapshot_can_hold(void **state)
{
	char text[2048] = "GET ";
	struct weir_model_route route = {.methods = 1};

	(void)state;
	for (int i = 0; i < WEIR_MODEL_SEGMENTS_MAX; i++)
		(void)strcat(text, "/a");
	assert_route(text, 1, text + 4);
	(void)strcat(text, "/");
	assert_refused(text, "pattern", "32 segments");

	(void)strcpy(text, "GET ");
	for (int i = 0; i < WEIR_MODEL_PARAMS_MAX; i++)
		(void)sprintf(text + strlen(text), "/{p%d}", i);
	assert_route(text, 1, text + 4);
	(void)strcat(text, "/{more}");
	assert_refused(text, "pattern", "16 parameters");

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "GET /", 5);
	assert_refused(text, "pattern", "1023 bytes");
	text[4 + WEIR_MODEL_PATTERN_BYTES_MAX] = '\0';
	assert_route(text, 1, text + 4);

	memset(route.pattern, '/', sizeof(route.pattern)); /* no NUL */
	assert_int_equal(weir_model_route_check(&route, NULL), -EINVAL);
}

static void assert_host(const char *text, const char *wanted, const char *words)
{
	char host[WEIR_MODEL_HOST_BYTES_MAX + 1] = "old";
	struct weir_model_error error;
	const int result = weir_model_host_parse(text, host, &error);

	assert_string_equal(host, wanted != NULL ? wanted : "old");
	assert_int_equal(result, wanted != NULL ? 0 : -EINVAL);
	if (wanted == NULL)
		assert_error(&error, "host", words);
}

static void hosts_are_lower_case_and_have_no_port(void **state)
{
	char text[300];
	struct weir_model_route route = {.pattern = "/", .host = "UPPER"};
	struct weir_model_error error;

	(void)state;
	assert_host("", "", NULL);
	assert_host("Example.COM", "example.com", NULL);
	assert_host("10.0.0.1", "10.0.0.1", NULL);
	assert_host("[::1]", "[::1]", NULL);
	assert_host("my_host-1", "my_host-1", NULL);
	assert_host("a:80", NULL, "port");
	assert_host("[::1]:80", NULL, "port");
	assert_host("::1", NULL, "[]");
	assert_host("a b", NULL, "a host holds");
	assert_host("*.a", NULL, "a host holds");
	assert_host("a/b", NULL, "a host holds");
	assert_host("a.", NULL, "'.'");
	assert_host(".a", NULL, "'.'");
	assert_host("function.weir", NULL, "Weir's own");
	assert_host("Function.Weir", NULL, "Weir's own");
	memset(text, 'a', sizeof(text));
	text[WEIR_MODEL_HOST_BYTES_MAX] = '\0';
	assert_host(text, text, NULL);
	text[WEIR_MODEL_HOST_BYTES_MAX] = 'a';
	text[sizeof(text) - 1] = '\0';
	assert_host(text, NULL, "253");

	assert_int_equal(weir_model_route_check(&route, &error), -EINVAL);
	assert_error(&error, "host", "'UPPER'");
	memset(route.host, 'a', sizeof(route.host));
	assert_int_equal(weir_model_route_check(&route, &error), -EINVAL);
	assert_error(&error, "host", "253");
}

static void a_route_may_have_a_timeout_within_limits(void **state)
{
	struct weir_model_route route = {.pattern = "/",
					 .timeout_ms = WEIR_MODEL_TIMEOUT_MS_MAX};
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_route_check(&route, &error), 0);
	route.timeout_ms++;
	assert_int_equal(weir_model_route_check(&route, &error), -EINVAL);
	assert_error(&error, "timeout", "3600 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(method_bits_follow_the_http_enumeration),
		cmocka_unit_test(methods_are_one_several_or_any),
		cmocka_unit_test(patterns_are_literals_parameters_and_a_last_star),
		cmocka_unit_test(a_wrong_pattern_says_what_is_wrong),
		cmocka_unit_test(pattern_limits_are_what_the_snapshot_can_hold),
		cmocka_unit_test(hosts_are_lower_case_and_have_no_port),
		cmocka_unit_test(a_route_may_have_a_timeout_within_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
