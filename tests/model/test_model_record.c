#include "tests/model/model_test.h"

static void assert_refused(struct weir_model_function function, const char *field,
			   const char *words)
{
	struct weir_model_error error;

	assert_int_equal(weir_model_function_check(&function, &error), -EINVAL);
	assert_error(&error, field, words);
	assert_int_equal(weir_model_function_check(&function, NULL), -EINVAL);
}

static void a_sound_function_passes(void **state)
{
	static const char *const names[] = {"hello", "Hello_2", "_",
					    "9",     "a@b.c-d", "image converter"};
	struct weir_model_function function = model_function();

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(function.name, sizeof(function.name), "%s", names[i]);
		assert_int_equal(weir_model_function_check(&function, NULL), 0);
	}
	(void)strcpy(function.handler, "weir_handle");
	assert_int_equal(weir_model_function_check(&function, NULL), 0);
}

static void a_name_with_other_characters_is_refused(void **state)
{
	static const char *const names[] = {"a/b", ".hidden",     "-x",   " x",
					    "x ",  "caf\xc3\xa9", "a\nb", "a*"};
	struct weir_model_function function = model_function();

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(function.name, sizeof(function.name), "%s", names[i]);
		assert_refused(function, "name", "letters, digits");
	}
	function.name[0] = '\0';
	assert_refused(function, "name", "is empty");
	memset(function.name, 'a', sizeof(function.name));
	assert_refused(function, "name", "longer than 63");
	function = model_function();
	(void)strcpy(function.space, "a/b");
	assert_refused(function, "namespace", "'a/b'");
}

static void every_runtime_of_the_plan_is_a_valid_name(void **state)
{
	static const char *const runtimes[] = {"native", "exec", "php", "c",      "cpp", "c++",
					       "python", "rust", "go",  "tinygo", "wasm"};
	struct weir_model_function function = model_function();

	(void)state;
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		(void)strcpy(function.runtime, runtimes[i]);
		assert_int_equal(weir_model_function_check(&function, NULL), 0);
	}
	(void)strcpy(function.runtime, "WASM");
	assert_refused(function, "runtime", "'WASM'");
	memset(function.runtime, 'a', sizeof(function.runtime));
	assert_refused(function, "runtime", "native, c, exec, wasm, js, node, php, python; not here yet");
}

static void code_needs_an_absolute_clean_path_of_bounded_length(void **state)
{
	struct weir_model_function function = model_function();

	(void)state;
	(void)strcpy(function.code_path, "hello.so");
	assert_refused(function, "file", "absolute");
	function.code_path[0] = '\0';
	assert_refused(function, "file", "absolute");
	(void)strcpy(function.code_path, "/a\nb");
	assert_refused(function, "file", "UTF-8");
	(void)strcpy(function.code_path, "/\xff");
	assert_refused(function, "file", "UTF-8");
	memset(function.code_path, '/', sizeof(function.code_path));
	assert_refused(function, "file", "longer than 4095");
}

static void an_image_stands_for_the_code_of_a_container(void **state)
{
	static const char *const good[] = {"upper", "builtin:sleep", "1234.dkr.ecr.eu-west-1.amazonaws.com/test:latest",
					   "a/b@sha256:00ff", "file:/srv/a+b.tar", "-x", "a\"b'$(c)"};
	static const char *const bad[] = {"a b", " ", "a\tb", "a\nb", "a\177", "a\xc3\xa9"};
	struct weir_model_function function = model_function();

	(void)state;
	(void)strcpy(function.image, "upper");
	assert_refused(function, "image", "runtime container");
	(void)strcpy(function.runtime, "container");
	assert_refused(function, "image", "exclude each other");
	function.code_path[0] = '\0';
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)strcpy(function.image, good[i]);
		assert_int_equal(weir_model_function_check(&function, NULL), 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)strcpy(function.image, bad[i]);
		assert_refused(function, "image", "printable ASCII");
	}
	memset(function.image, 'a', sizeof(function.image));
	assert_refused(function, "image", "longer than 512");
	function.image[WEIR_MODEL_IMAGE_BYTES_MAX] = '\0';
	assert_int_equal(weir_model_function_check(&function, NULL), 0);
	(void)strcpy(function.handler, "main");
	assert_refused(function, "image", "handler exclude each other");
	function.image[0] = '\0';
	assert_refused(function, "file", "absolute");
	assert_int_equal(weir_model_image_check("", NULL), -EINVAL);
}

static void a_function_with_an_image_is_a_container_unless_it_says_otherwise(void **state)
{
	struct weir_model_function function = {.image = "upper"};

	(void)state;
	weir_model_image_settle(&function);
	assert_string_equal(function.runtime, "container");
	(void)strcpy(function.runtime, "exec");
	weir_model_image_settle(&function);
	assert_string_equal(function.runtime, "exec");
	function = (struct weir_model_function){.name = "f"};
	weir_model_image_settle(&function);
	assert_string_equal(function.runtime, "");
}

static void an_alias_names_an_image_and_a_function(void **state)
{
	const struct weir_model_alias good = {.image = "a:1", .space = "default", .name = "f"};
	struct weir_model_alias alias = good;
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_alias_check(&alias, &error), 0);
	alias.image[0] = '\0';
	assert_int_equal(weir_model_alias_check(&alias, &error), -EINVAL);
	assert_string_equal(error.field, "image");
	alias = good;
	(void)strcpy(alias.space, "a/b");
	assert_int_equal(weir_model_alias_check(&alias, &error), -EINVAL);
	assert_string_equal(error.field, "namespace");
	alias = good;
	memset(alias.name, 'f', sizeof(alias.name));
	assert_int_equal(weir_model_alias_check(&alias, &error), -EINVAL);
	assert_string_equal(error.field, "function");
}

static void an_image_without_code_says_what_to_do(void **state)
{
	struct weir_model_alias alias = {.image = "a:1", .space = "shop", .name = "f"};
	struct weir_model_function function = model_function();
	char out[WEIR_MODEL_PROBLEM_BYTES_MAX + 1];

	(void)state;
	assert_string_equal(weir_model_image_problem("a:1", &alias, &function, out), "");
	assert_string_equal(weir_model_image_problem("a:1", NULL, NULL, out),
			    "No function is set for the image 'a:1'; name one: ctrlctl image alias set IMAGE "
			    "NAMESPACE/FUNCTION");
	assert_non_null(strstr(weir_model_image_problem("a:1", &alias, NULL, out), "stands for shop/f, which is not there"));
	assert_non_null(strstr(out, "ctrlctl image alias set"));
	(void)strcpy(function.image, "b");
	memset(alias.image, 'i', sizeof(alias.image) - 1);
	memset(alias.space, 's', sizeof(alias.space) - 1);
	memset(alias.name, 'n', sizeof(alias.name) - 1);
	assert_non_null(strstr(weir_model_image_problem(alias.image, &alias, &function, out), "has an image itself"));
	assert_non_null(strstr(out, "iii...'"));
	assert_string_equal(out + strlen(out) - 8, "FUNCTION"); /* whole, with the longest names */
	assert_non_null(strstr(weir_model_image_problem(alias.image, &alias, NULL, out), "NAMESPACE/FUNCTION"));
}

static void an_owner_is_a_name_or_nobody(void **state)
{
	struct weir_model_function function = model_function();

	(void)state;
	(void)strcpy(function.owner, "ann@example.org");
	assert_int_equal(weir_model_function_check(&function, NULL), 0);
	(void)strcpy(function.owner, "../ann");
	assert_refused(function, "owner", "a name holds");
	memset(function.owner, 'a', sizeof(function.owner));
	assert_refused(function, "owner", "longer than 63");
}

static void a_native_handler_is_a_c_name_others_are_free(void **state)
{
	struct weir_model_function function = model_function();

	(void)state;
	(void)strcpy(function.handler, "not-c");
	assert_refused(function, "handler", "C function");
	(void)strcpy(function.handler, "1st");
	assert_refused(function, "handler", "C function");
	(void)strcpy(function.runtime, "php");
	assert_int_equal(weir_model_function_check(&function, NULL), 0);
	(void)strcpy(function.handler, "a\tb");
	assert_refused(function, "handler", "control");
	memset(function.handler, 'h', sizeof(function.handler));
	assert_refused(function, "handler", "longer than 127");
}

static void limits_have_both_ends(void **state)
{
	const struct weir_model_function sound = model_function();
	struct weir_model_function function = sound;

	(void)state;
	function.timeout_ms = 0;
	assert_refused(function, "timeout", "between 1 ms and 3600 s");
	function.timeout_ms = WEIR_MODEL_TIMEOUT_MS_MAX + 1;
	assert_refused(function, "timeout", "between");
	function = sound;
	function.memory_mb = 0;
	assert_refused(function, "memory", "between 1 and");
	function.memory_mb = WEIR_MODEL_MEMORY_MB_MAX + 1;
	assert_refused(function, "memory", "between");
	function = sound;
	function.queue_max = 0;
	assert_refused(function, "queue", "between 1 and");
	function.queue_max = WEIR_MODEL_QUEUE_MAX + 1;
	assert_refused(function, "queue", "between");
}

static void utf8_is_judged_as_unicode_does(void **state)
{
	static const struct {
		const char *bytes;
		int result;
	} cases[] = {
		{"/\xc3\xa9", 0},
		{"/\xe2\x82\xac", 0},
		{"/\xf0\x9f\x98\x80", 0},
		{"/\xf4\x8f\xbf\xbf", 0},
		{"/\xc0\x80", -EINVAL},
		{"/\xc1\xbf", -EINVAL},
		{"/\xc2\x85", -EINVAL},
		{"/\xe0\x9f\xbf", -EINVAL},
		{"/\xed\xa0\x80", -EINVAL},
		{"/\xf0\x8f\xbf\xbf", -EINVAL},
		{"/\xf4\x90\x80\x80", -EINVAL},
		{"/\xf5\x80\x80\x80", -EINVAL},
		{"/\xc3", -EINVAL},
		{"/\xe2\x82", -EINVAL},
		{"/\xe2\x82g", -EINVAL},
		{"/\x80", -EINVAL},
		{"/\x7f", -EINVAL},
		{"/\x1f", -EINVAL},
	};
	struct weir_model_function function = model_function();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(function.code_path, sizeof(function.code_path), "%s",
			       cases[i].bytes);
		if (weir_model_function_check(&function, NULL) != cases[i].result)
			fail_msg("case %zu", i);
	}
}

static void names_come_with_or_without_their_namespace(void **state)
{
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error error;

	(void)state;
	assert_int_equal(weir_model_name_parse("hello", space, name, &error), 0);
	assert_string_equal(space, "default");
	assert_string_equal(name, "hello");
	assert_int_equal(weir_model_name_parse("team-1/hello", space, name, &error), 0);
	assert_string_equal(space, "team-1");
	assert_string_equal(name, "hello");

	assert_int_equal(weir_model_name_parse("a/b/c", space, name, &error), -EINVAL);
	assert_error(&error, "name", "'b/c'");
	assert_int_equal(weir_model_name_parse("/b", space, name, &error), -EINVAL);
	assert_error(&error, "namespace", "empty");
	assert_int_equal(weir_model_name_parse("a/", space, name, &error), -EINVAL);
	assert_error(&error, "name", "empty");
	assert_int_equal(weir_model_name_parse("", space, name, &error), -EINVAL);
	assert_string_equal(space, "team-1"); /* untouched on failure */
	assert_string_equal(name, "hello");
}

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} cases[] = {
		{"5s", 5000},      {"250ms", 250}, {"2m", 120000}, {"1h", 3600000},
		{"3", 3000},       {"1.5s", 1500}, {"0.001", 1},   {"0.5m", 30000},
		{"3600", 3600000}, {"1.5ms", 0},   {"0", 0},       {"0s", 0},
		{"", 0},           {"s", 0},       {"-1s", 0},     {"1 s", 0},
		{"1.s", 0},        {".5s", 0},     {"1.2345s", 0}, {"3601s", 0},
		{"2h", 0},         {"1d", 0},      {"1e3", 0},     {"99999999999999999999s", 0},
		{"0x10", 0},       {"5s ", 0},     {" 5s", 0},     {"nan", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_model_error error;
		uint32_t ms = 77;
		const int result = weir_model_duration_parse(cases[i].text, &ms, &error);

		if (cases[i].ms != 0 ? result != 0 || ms != cases[i].ms
				     : result != -EINVAL || ms != 77)
			fail_msg("'%s' -> %d, %u ms", cases[i].text, result, ms);
		if (result != 0)
			assert_string_equal(error.field, "duration");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_function_passes),
		cmocka_unit_test(a_name_with_other_characters_is_refused),
		cmocka_unit_test(every_runtime_of_the_plan_is_a_valid_name),
		cmocka_unit_test(code_needs_an_absolute_clean_path_of_bounded_length),
		cmocka_unit_test(a_native_handler_is_a_c_name_others_are_free),
		cmocka_unit_test(an_image_stands_for_the_code_of_a_container),
		cmocka_unit_test(a_function_with_an_image_is_a_container_unless_it_says_otherwise),
		cmocka_unit_test(an_alias_names_an_image_and_a_function),
		cmocka_unit_test(an_image_without_code_says_what_to_do),
		cmocka_unit_test(an_owner_is_a_name_or_nobody),
		cmocka_unit_test(limits_have_both_ends),
		cmocka_unit_test(utf8_is_judged_as_unicode_does),
		cmocka_unit_test(names_come_with_or_without_their_namespace),
		cmocka_unit_test(durations_have_units),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
