#include <stdlib.h>

#include "tests/model/model_test.h"

static const char sound_value[] =
	"{\"name\":\"imageConverter\",\"runtime\":\"wasm\",\"module\":"
	"\"/opt/functions/convert.wasm\",\"handler\":\"convert\","
	"\"memory\":512,\"timeout\":30}";

static int parse(const char *key, const char *value, struct weir_model_function *out_function,
		 struct weir_model_route *out_route, struct weir_model_error *error)
{
	return weir_model_row_parse(key, value, strlen(value), out_function, out_route, error);
}

static void assert_refused(const char *key, const char *value, const char *field,
			   const char *words)
{
	struct weir_model_function function = {.name = "old"};
	struct weir_model_route route = {.name = "old"};
	struct weir_model_error error;

	if (parse(key, value, &function, &route, &error) != -EINVAL)
		fail_msg("%s %s passed", key, value);
	assert_error(&error, field, words);
	assert_string_equal(function.name, "old");
	assert_string_equal(route.name, "old");
}

static void the_seeds_published_row_is_read_whole(void **state)
{
	struct weir_model_function function;
	struct weir_model_route route;
	struct weir_model_error error;

	(void)state;
	assert_int_equal(parse("POST:/api/convert", sound_value, &function, &route, &error), 0);
	assert_string_equal(function.space, "default");
	assert_string_equal(function.name, "imageConverter");
	assert_string_equal(function.runtime, "wasm");
	assert_string_equal(function.code_path, "/opt/functions/convert.wasm");
	assert_string_equal(function.handler, "convert");
	assert_int_equal(function.memory_mb, 512);
	assert_int_equal(function.timeout_ms, 30000);
	assert_int_equal(function.queue_max, WEIR_MODEL_QUEUE_DEFAULT);
	assert_true(function.from_public_table);
	assert_int_equal(function.id, 0);
	assert_int_equal(route.methods, 1U << 2);
	assert_string_equal(route.pattern, "/api/convert");
	assert_string_equal(route.space, "default");
	assert_string_equal(route.name, "imageConverter");
	assert_string_equal(route.host, "");
	assert_true(route.from_public_table);
	assert_int_equal(weir_model_route_check(&route, &error), 0);
}

static void what_is_left_out_gets_a_default(void **state)
{
	static const char value[] =
		" {\"module\": \"/m\", \"handler\": \"h\", \"other\": [1, {}], \"other\": 2}\n";
	struct weir_model_function function;
	struct weir_model_route route;
	struct weir_model_error error;

	(void)state;
	assert_int_equal(parse("GET:/api/a.b/c-d", value, &function, &route, &error), 0);
	assert_string_equal(function.name, "get-api-a-b-c-d");
	assert_string_equal(function.runtime, "wasm");
	assert_int_equal(function.memory_mb, WEIR_MODEL_MEMORY_MB_DEFAULT);
	assert_int_equal(function.timeout_ms, WEIR_MODEL_TIMEOUT_MS_DEFAULT);
	assert_int_equal(parse("GET:/", value, &function, &route, &error), 0);
	assert_string_equal(function.name, "get");
	assert_int_equal(parse("GET:/x", "{\"name\":\"\",\"module\":\"/m\",\"handler\":\"h\"}",
			       &function, &route, &error),
			 0);
	assert_string_equal(function.name, "get-x");
}

static void a_made_name_stays_within_its_limit(void **state)
{
	char key[200] = "GET:/";
	struct weir_model_function function;
	struct weir_model_route route;

	(void)state;
	for (int i = 0; i < 45; i++)
		(void)strcat(key, "a.");
	assert_int_equal(
		parse(key, "{\"module\":\"/m\",\"handler\":\"h\"}", &function, &route, NULL),
		0);
	assert_in_range(strlen(function.name), 50, WEIR_MODEL_NAME_BYTES_MAX);
}

static void a_key_that_is_no_exact_route_is_refused(void **state)
{
	char longer[WEIR_MODEL_PATTERN_BYTES_MAX + 10];

	(void)state;
	assert_refused("", sound_value, "k", "METHOD:/path");
	assert_refused("/x", sound_value, "k", "METHOD:/path");
	assert_refused(":/x", sound_value, "k", "begin with GET");
	assert_refused("get:/x", sound_value, "k", "begin with GET");
	assert_refused("ANY:/x", sound_value, "k", "begin with GET");
	assert_refused("GET,POST:/x", sound_value, "k", "begin with GET");
	assert_refused("GET:x", sound_value, "k", "begin with '/'");
	assert_refused("GET:", sound_value, "k", "begin with '/'");
	assert_refused("GET:/ping?x=1", sound_value, "k", "query");
	assert_refused("GET:/img/{id}", sound_value, "k", "exact paths");
	assert_refused("GET:/img/*", sound_value, "k", "exact paths");
	assert_refused("GET:/a%20b", sound_value, "k", "'%'");
	assert_refused("GET:/a//b", sound_value, "k", "empty segment");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memcpy(longer, "GET:/", 5);
	assert_refused(longer, sound_value, "k", "longer than 1023");
}

static void a_value_that_is_not_json_says_where(void **state)
{
	(void)state;
	/* The seed's printed update: its value ends in a literal "...". */
	assert_refused("POST:/resize", "{\"module\":\"/new/path.wasm\",...}", "v",
		       "is not JSON (near byte 28 of 31)");
	assert_refused("GET:/x", "", "v", "is not JSON");
	assert_refused("GET:/x", "{\"module\":\"/m\",}", "v", "is not JSON");
	assert_refused("GET:/x", "{} {}", "v", "behind its JSON (near byte 3 of 5)");
	assert_refused("GET:/x", "[]", "v", "must be a JSON object");
	assert_refused("GET:/x", "null", "v", "must be a JSON object");
	assert_refused("GET:/x", "\"{}\"", "v", "must be a JSON object");
}

static void fields_have_their_types_and_ranges(void **state)
{
#define WITH(more) "{\"module\":\"/m\",\"handler\":\"h\"," more "}"
	(void)state;
	assert_refused("GET:/x", "{\"handler\":\"h\"}", "v.module", "is missing");
	assert_refused("GET:/x", "{\"module\":\"/m\"}", "v.handler", "is missing");
	assert_refused("GET:/x", "{\"Module\":\"/m\",\"handler\":\"h\"}", "v.module",
		       "is missing");
	assert_refused("GET:/x", "{\"module\":\"\",\"handler\":\"h\"}", "v.module", "is empty");
	assert_refused("GET:/x", "{\"module\":\"/m\",\"handler\":\"\"}", "v.handler",
		       "is empty");
	assert_refused("GET:/x", "{\"module\":\"m\",\"handler\":\"h\"}", "v.module",
		       "absolute");
	assert_refused("GET:/x", "{\"module\":1,\"handler\":\"h\"}", "v.module",
		       "must be a string");
	assert_refused("GET:/x", "{\"module\":\"/\\u0007\",\"handler\":\"h\"}", "v.module",
		       "control");
	assert_refused("GET:/x", WITH("\"timeout\":\"30\""), "v.timeout",
		       "must be a number of seconds between 0.001 and 3600");
	assert_refused("GET:/x", WITH("\"timeout\":0"), "v.timeout", "between");
	assert_refused("GET:/x", WITH("\"timeout\":-1"), "v.timeout", "between");
	assert_refused("GET:/x", WITH("\"timeout\":1e999"), "v.timeout", "between");
	assert_refused("GET:/x", WITH("\"timeout\":null"), "v.timeout", "between");
	assert_refused("GET:/x", WITH("\"timeout\":3600.001"), "v.timeout", "between");
	assert_refused("GET:/x", WITH("\"memory\":0"), "v.memory", "whole number of MB");
	assert_refused("GET:/x", WITH("\"memory\":1.5"), "v.memory", "whole number of MB");
	assert_refused("GET:/x", WITH("\"memory\":1048577"), "v.memory", "whole number of MB");
	assert_refused("GET:/x", WITH("\"memory\":true"), "v.memory", "whole number of MB");
	assert_refused("GET:/x", WITH("\"runtime\":\"perl\""), "v.runtime", "'perl'");
	assert_refused("GET:/x", WITH("\"runtime\":\"a-very-long-runtime\""), "v.runtime",
		       "longer than 15");
	assert_refused("GET:/x", WITH("\"name\":\"a/b\""), "v.name", "'a/b'");
	assert_refused("GET:/x", WITH("\"name\":7"), "v.name", "must be a string");
}

static void a_field_given_twice_is_refused_rather_than_guessed(void **state)
{
	(void)state;
	assert_refused("GET:/x", WITH("\"module\":\"/n\""), "v.module", "given 2 times");
	assert_refused("GET:/x", WITH("\"timeout\":1,\"timeout\":1"), "v.timeout",
		       "given 2 times");
}

static void json_that_is_too_deep_or_too_long_never_reaches_the_parser(void **state)
{
	static char value[WEIR_MODEL_ROW_BYTES_MAX + 2];
	char deep[256] = "{\"module\":\"/m\",\"handler\":\"h\",\"x\":";
	struct weir_model_function function;
	struct weir_model_route route;

	(void)state;
	for (int i = 1; i < WEIR_MODEL_JSON_DEPTH_MAX; i++)
		(void)strcat(deep, "[");
	for (int i = 1; i < WEIR_MODEL_JSON_DEPTH_MAX; i++)
		(void)strcat(deep, "]");
	(void)strcat(deep, "}");
	assert_int_equal(parse("GET:/x", deep, &function, &route, NULL), 0);
	memset(value, '[', sizeof(value) - 2);
	assert_refused("GET:/x", value, "v", "deeper than 16");
	/* Brackets inside strings are no levels. */
	assert_int_equal(parse("GET:/x",
			       WITH("\"x\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[\\\\\",\"y\":\"{{{{{{{"
				    "{{{{{{{{{{\""),
			       &function, &route, NULL),
			 0);
	memset(value, ' ', sizeof(value) - 1);
	assert_refused("GET:/x", value, "v", "longer than 65536");
}

static void nul_bytes_cannot_cut_a_path_short(void **state)
{
	static const char bare[] = "{\"module\":\"/m\",\"handler\":\"h\"}\0";
	struct weir_model_function function;
	struct weir_model_route route;
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_row_parse("GET:/x", bare, sizeof(bare) - 1, &function,
					      &route, &error),
			 -EINVAL);
	assert_error(&error, "v", "NUL byte at offset 29");
	assert_refused("GET:/x", "{\"module\":\"/bin/a\\u0000b\",\"handler\":\"h\"}", "v",
		       "\\u0000 at offset 17");
	/* An escaped backslash before u0000 is only text. */
	assert_int_equal(parse("GET:/x", "{\"module\":\"/a\\\\u0000\",\"handler\":\"h\"}",
			       &function, &route, &error),
			 0);
	assert_string_equal(function.code_path, "/a\\u0000");
}

static void the_value_need_not_end_in_a_nul(void **state)
{
	const size_t bytes = strlen(sound_value);
	char *exact = malloc(bytes);
	struct weir_model_function function;
	struct weir_model_route route;

	(void)state;
	assert_non_null(exact);
	memcpy(exact, sound_value, bytes);
	assert_int_equal(weir_model_row_parse("GET:/x", exact, bytes, &function, &route, NULL),
			 0);
	assert_int_equal(
		weir_model_row_parse("GET:/x", exact, bytes - 1, &function, &route, NULL),
		-EINVAL);
	free(exact);
}

static void a_row_survives_format_and_parse(void **state)
{
	struct weir_model_function function = model_function();
	struct weir_model_function again;
	struct weir_model_route route;
	char text[WEIR_MODEL_ROW_BYTES_MAX];

	(void)state;
	(void)strcpy(function.runtime, "php");
	(void)strcpy(function.handler, "a \"quoted\" \\ handler/\xc3\xa9");
	(void)strcpy(function.code_path, "/srv/\"x\"\\.php");
	function.timeout_ms = 1050;
	const size_t bytes = weir_model_row_format(&function, text, sizeof(text));

	assert_int_equal(bytes, strlen(text));
	assert_non_null(strstr(text, "\"timeout\":1.050"));
	assert_int_equal(weir_model_row_parse("GET:/x", text, bytes, &again, &route, NULL), 0);
	assert_string_equal(again.name, function.name);
	assert_string_equal(again.runtime, function.runtime);
	assert_string_equal(again.code_path, function.code_path);
	assert_string_equal(again.handler, function.handler);
	assert_int_equal(again.timeout_ms, function.timeout_ms);
	assert_int_equal(again.memory_mb, function.memory_mb);
}

static void the_seeds_row_is_written_as_the_seed_writes_it(void **state)
{
	struct weir_model_function function;
	struct weir_model_route route;
	char text[WEIR_MODEL_ROW_BYTES_MAX];

	(void)state;
	assert_int_equal(parse("POST:/api/convert", sound_value, &function, &route, NULL), 0);
	assert_int_equal(weir_model_row_format(&function, text, sizeof(text)),
			 strlen(sound_value));
	assert_string_equal(text, sound_value);
}

static void too_little_room_writes_nothing_behind_it(void **state)
{
	const struct weir_model_function function = model_function();
	char text[WEIR_MODEL_ROW_BYTES_MAX];
	const size_t bytes = weir_model_row_format(&function, text, sizeof(text));
	char small[512];

	(void)state;
	assert_in_range(bytes, 1, sizeof(small) - 2);
	for (size_t max = 0; max <= bytes; max++) {
		memset(small, 0x55, sizeof(small));
		assert_int_equal(weir_model_row_format(&function, small, max), 0);
		assert_int_equal(small[max], 0x55);
	}
	assert_int_equal(weir_model_row_format(&function, small, bytes + 1), bytes);
	assert_string_equal(small, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seeds_published_row_is_read_whole),
		cmocka_unit_test(what_is_left_out_gets_a_default),
		cmocka_unit_test(a_made_name_stays_within_its_limit),
		cmocka_unit_test(a_key_that_is_no_exact_route_is_refused),
		cmocka_unit_test(a_value_that_is_not_json_says_where),
		cmocka_unit_test(fields_have_their_types_and_ranges),
		cmocka_unit_test(a_field_given_twice_is_refused_rather_than_guessed),
		cmocka_unit_test(json_that_is_too_deep_or_too_long_never_reaches_the_parser),
		cmocka_unit_test(nul_bytes_cannot_cut_a_path_short),
		cmocka_unit_test(the_value_need_not_end_in_a_nul),
		cmocka_unit_test(a_row_survives_format_and_parse),
		cmocka_unit_test(the_seeds_row_is_written_as_the_seed_writes_it),
		cmocka_unit_test(too_little_room_writes_nothing_behind_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
