#include "ctrl/model/model_details.h"
#include "ctrl/model/model_json.h"
#include "tests/model/model_test.h"

enum { LEVELS = 4, TEXT_MAX = 512 };

/* What becomes of a text, in the buffer that it stands in; NULL if it is refused, with *error. */
static const char *canonical(const char *text, struct weir_model_error *error)
{
	static char out[TEXT_MAX];
	size_t bytes = strlen(text);

	memcpy(out, text, bytes + 1);
	if (weir_model_json_canonicalize((struct weir_span){out, bytes}, "body", LEVELS, out, &bytes, error) != 0)
		return NULL;
	assert_int_equal(strlen(out), bytes);
	return out;
}

static void one_value_has_one_text(void **state)
{
	static const char *const pairs[][2] = {
		{" { } ", "{}"},
		{"[ ]", "[]"},
		{"\t[1 , -0.5e+3,true,\r\nfalse , null]\n", "[1,-0.5e+3,true,false,null]"},
		{"{\"b\" : 1, \"a\":\"x\"}", "{\"b\":1,\"a\":\"x\"}"},
		{"\"\\u0041\\/\\u00e9\\ud83d\\ude00\"", "\"A/\xc3\xa9\xf0\x9f\x98\x80\""},
		{"\"\\u000a\\n\\u0001\\u001F\\\"\\\\\"", "\"\\n\\n\\u0001\\u001f\\\"\\\\\""},
		{"\"\\u20ac\x7f\"", "\"\xe2\x82\xac\x7f\""},
		{"12345678901234567890123", "12345678901234567890123"},
		{"[[[[1]]]]", "[[[[1]]]]"},
		{"{\"a\":{\"a\":1},\"A\":{\"a\":1}}", "{\"a\":{\"a\":1},\"A\":{\"a\":1}}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct weir_model_error error;
		const char *text = canonical(pairs[i][0], &error);

		if (text == NULL)
			fail_msg("%s: %s %s", pairs[i][0], error.field, error.reason);
		assert_string_equal(text, pairs[i][1]);
	}
}

static void what_is_wrong_is_named_with_its_path(void **state)
{
	static const struct {
		const char *text;
		const char *field;
		const char *words;
	} cases[] = {
		{"", "body", "ends in the middle"},
		{"{", "body", "name in quotes"},
		{"{\"a\":1,}", "body", "name in quotes"},
		{"{\"a\" 1}", "body", "':' is missing"},
		{"{\"a\":}", "a", "no value begins"},
		{"{\"a\":1 \"b\":2}", "a", "',' or the end"},
		{"[1}", "[0]", "',' or the end"},
		{"{\"a\":[1,2,tru]}", "a[2]", "no value begins"},
		{"{} x", "body", "behind its JSON"},
		{"{\"a\":{\"b\":1,\"b\":2}}", "a.b", "given twice"},
		{"{\"a\":1,\"\\u0061\":2}", "a", "given twice"},
		{"{\"a\":01}", "a", "',' or the end"},
		{"{\"a\":-}", "a", "a number is not written"},
		{"{\"a\":1.}", "a", "a number is not written"},
		{"{\"a\":1e999}", "a", "too large"},
		{"{\"a\":1234567890123456789012345678901234567890123456789012345678901234}", "a", "more than 63"},
		{"{\"a\":\"\\u0000\"}", "a", "NUL"},
		{"{\"a\":\"\\ud800\"}", "a", "surrogate"},
		{"{\"a\":\"\\ud800\\n\"}", "a", "surrogate"},
		{"{\"a\":\"\\udc00\\ud800\"}", "a", "surrogate"},
		{"{\"a\":\"\\u12g4\"}", "a", "four hexadecimal"},
		{"{\"a\":\"\\x\"}", "a", "escape"},
		{"{\"a\":\"", "a", "without an end"},
		{"{\"a\":\"\xff\"}", "a", "not UTF-8"},
		{"{\"a\":\"\xc0\xaf\"}", "a", "not UTF-8"},
		{"{\"a\":\"x\ny\"}", "a", "control character"},
		{"[[[[[1]]]]]", "[0][0][0][0]", "too deeply"},
		{"{\"x\n\":1}", "body", "control character"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_model_error error = {{0}, {0}};

		if (canonical(cases[i].text, &error) != NULL)
			fail_msg("taken: %s", cases[i].text);
		assert_error(&error, cases[i].field, cases[i].words);
	}
}

static void nul_bytes_are_no_json(void **state)
{
	struct weir_model_error error;
	char out[16];
	size_t bytes = 0;

	(void)state;
	assert_int_equal(weir_model_json_canonicalize((struct weir_span){"{}\0", 3}, "v", 4, out, &bytes, &error),
			 -EINVAL);
	assert_error(&error, "v", "behind its JSON");
	assert_int_equal(
		weir_model_json_canonicalize((struct weir_span){"\"a\0b\"", 5}, "v", 4, out, &bytes, &error),
		-EINVAL);
	assert_error(&error, "v", "control character");
}

static void long_paths_are_cut(void **state)
{
	struct weir_model_error error = {{0}, {0}};

	(void)state;
	assert_null(canonical("{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":"
			      "{\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":{\"c\":x}}}",
			      &error));
	assert_int_equal(strlen(error.field), sizeof(error.field) - 1);
	assert_memory_equal(error.field, "aaaaaaaa", 8);
}

static void walk_gives_members_and_elements_in_order(void **state)
{
	static const char text[] = "{\"a\":[1,\"]\",{}],\"b\\\"\":\"x,}\",\"c\":{\"a\":2}}";
	struct weir_model_json_walk walk = weir_model_json_walk(weir_span_of(text));
	struct weir_span name;
	struct weir_span value;

	(void)state;
	assert_true(weir_model_json_next(&walk, &name, &value));
	assert_true(weir_span_equal(name, WEIR_SPAN("a")));
	assert_true(weir_span_equal(value, WEIR_SPAN("[1,\"]\",{}]")));
	assert_true(weir_model_json_next(&walk, &name, &value));
	assert_true(weir_span_equal(name, WEIR_SPAN("b\\\"")));
	assert_true(weir_span_equal(value, WEIR_SPAN("\"x,}\"")));
	assert_true(weir_model_json_next(&walk, &name, &value));
	assert_false(weir_model_json_next(&walk, &name, &value));
	assert_false(weir_model_json_next(&walk, &name, &value));
	assert_true(weir_model_json_member(weir_span_of(text), "c", &value));
	assert_true(weir_span_equal(value, WEIR_SPAN("{\"a\":2}")));
	assert_false(weir_model_json_member(weir_span_of(text), "d", &value));
	assert_false(weir_model_json_member(WEIR_SPAN("[1]"), "d", &value));
	walk = weir_model_json_walk(WEIR_SPAN("7"));
	assert_false(weir_model_json_next(&walk, &name, &value));
}

static void parameters_are_an_object_or_a_list_of_key_and_value(void **state)
{
	struct weir_model_details details = {.parameters = NULL};
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_parameters_read(&details, WEIR_SPAN("{ \"b\": 1, \"a\": [null] }"), &error), 0);
	assert_string_equal(details.parameters, "{\"b\":1,\"a\":[null]}");
	assert_int_equal(weir_model_parameters_read(
				 &details, WEIR_SPAN("[{\"value\":{\"x\":\"]\"},\"key\":\"a\\u0062\"},{\"key\":\"c\",\"value\":2}]"),
				 &error),
			 0);
	assert_string_equal(details.parameters, "{\"ab\":{\"x\":\"]\"},\"c\":2}");
	assert_int_equal(weir_model_annotations_read(&details, WEIR_SPAN("{\"k\":\"v\"}"), &error), 0);
	assert_int_equal(weir_model_details_check(&details, &error), 0);
	assert_int_equal(weir_model_parameters_read(&details, WEIR_SPAN("[]"), &error), 0);
	assert_null(details.parameters);
	assert_int_equal(weir_model_annotations_read(&details, WEIR_SPAN(" {} "), &error), 0);
	assert_null(details.annotations);
	assert_int_equal(weir_model_details_check(&details, &error), 0);
	weir_model_details_release(&details);
}

static void details_that_are_refused_change_nothing(void **state)
{
	static const struct {
		const char *text;
		const char *field;
		const char *words;
	} cases[] = {
		{"7", "parameters", "must be an object"},
		{"null", "parameters", "must be an object"},
		{"{\"a\":1,\"a\":2}", "parameters.a", "given twice"},
		{"[{\"key\":\"a\",\"value\":1},{\"key\":\"a\",\"value\":2}]", "parameters.a", "given twice"},
		{"[1]", "parameters", "element 0"},
		{"[{\"key\":\"a\",\"value\":1},{\"key\":7,\"value\":1}]", "parameters", "element 1"},
		{"[{\"key\":\"a\",\"value\":1,\"init\":true}]", "parameters", "element 0"},
		{"[{\"key\":\"a\"}]", "parameters", "element 0"},
		{"{\"\":1}", "parameters", "name is empty"},
		{"{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "parameters.a[0]", "too deeply"},
		{"[1,", "parameters[1]", "ends in the middle"},
	};
	struct weir_model_details details = {.parameters = NULL};
	struct weir_model_error error = {{0}, {0}};

	(void)state;
	assert_int_equal(weir_model_parameters_read(&details, WEIR_SPAN("{\"old\":1}"), &error), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(weir_model_parameters_read(&details, weir_span_of(cases[i].text), &error), -EINVAL);
		if (strncmp(error.field, cases[i].field, strlen(cases[i].field)) != 0 ||
		    strstr(error.reason, cases[i].words) == NULL)
			fail_msg("%s: %s %s", cases[i].text, error.field, error.reason);
		assert_string_equal(details.parameters, "{\"old\":1}");
	}
	weir_model_details_release(&details);
}

/* {"a":"xxx..."} of `bytes`. */
static char *object_of(size_t bytes)
{
	char *text = malloc(bytes + 1);

	assert_non_null(text);
	memset(text, 'x', bytes);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + bytes - 2, "\"}", 3);
	return text;
}

static void details_have_sizes(void **state)
{
	struct weir_model_details details = {.parameters = NULL};
	struct weir_model_error error;
	char *largest = object_of(WEIR_MODEL_ANNOTATIONS_BYTES_MAX);
	char *larger = object_of(WEIR_MODEL_ANNOTATIONS_BYTES_MAX + 1);
	char *huge = object_of(WEIR_MODEL_PARAMETERS_BYTES_MAX + 1);

	(void)state;
	assert_int_equal(weir_model_annotations_read(&details, weir_span_of(largest), &error), 0);
	assert_int_equal(weir_model_annotations_read(&details, weir_span_of(larger), &error), -EINVAL);
	assert_error(&error, "annotations", "65536 are allowed");
	assert_int_equal(weir_model_parameters_read(&details, weir_span_of(larger), &error), 0);
	assert_int_equal(weir_model_parameters_read(&details, weir_span_of(huge), &error), -EINVAL);
	assert_error(&error, "parameters", "1048576 are allowed");
	weir_model_details_release(&details);
	free(largest);
	free(larger);
	free(huge);
}

static void details_from_elsewhere_are_checked(void **state)
{
	char blanks[] = "{ \"a\":1}";
	char empty[] = "{}";
	struct weir_model_details details = {.parameters = blanks};
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_details_check(&details, &error), -EINVAL);
	assert_error(&error, "parameters", "canonical");
	details = (struct weir_model_details){.annotations = empty};
	assert_int_equal(weir_model_details_check(&details, &error), -EINVAL);
	assert_error(&error, "annotations", "canonical");
	details = (struct weir_model_details){.description = "two\nlines"};
	assert_int_equal(weir_model_details_check(&details, &error), -EINVAL);
	assert_error(&error, "description", "one line");
	memset(details.description, 'x', sizeof(details.description));
	assert_int_equal(weir_model_details_check(&details, &error), -EINVAL);
	assert_error(&error, "description", "longer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_value_has_one_text),
		cmocka_unit_test(what_is_wrong_is_named_with_its_path),
		cmocka_unit_test(nul_bytes_are_no_json),
		cmocka_unit_test(long_paths_are_cut),
		cmocka_unit_test(walk_gives_members_and_elements_in_order),
		cmocka_unit_test(parameters_are_an_object_or_a_list_of_key_and_value),
		cmocka_unit_test(details_that_are_refused_change_nothing),
		cmocka_unit_test(details_have_sizes),
		cmocka_unit_test(details_from_elsewhere_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
