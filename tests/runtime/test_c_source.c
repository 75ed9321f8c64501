#include <errno.h>
#include <string.h>

#include "dataplane/runtime/c/source.h"
#include "tests/base/base_test.h"

static struct weir_c_source source;
static char problem[WEIR_C_PROBLEM_BYTES];

static void sources_with_weirs_header_are_left_to_the_compiler(void **state)
{
	(void)state;
	assert_int_equal(weir_c_source_scan("#include \"weir_function.h\"\nint x(double y) {}", &source, problem), 0);
	assert_true(source.has_handler);
}

static void a_function_of_ints_beside_a_handler_is_found(void **state)
{
	static const char text[] = "#include \"weir_function.h\"\nstruct pair half(int a) { }\ndouble d(int a) { }\n"
				   "int weir_handle(const struct weir_request *q, struct weir_response *s) { }\n"
				   "int third(int a, char *b) { }\nint main(void) { }\nint fourth(int a, int b) { }\n"
				   "int fifth(int a) { }\n";
	(void)state;
	assert_int_equal(weir_c_source_scan(text, &source, problem), 0);
	assert_true(source.has_handler);
	assert_string_equal(source.name, "fourth");
	assert_int_equal(source.param_count, 2);
	assert_int_equal(weir_c_source_scan("int weir_handle(int a) { }", &source, problem), 0);
	assert_true(source.has_handler);
	assert_string_equal(source.name, "");
}

static void the_first_function_that_is_not_static_is_taken(void **state)
{
	static const char text[] = "/* int no(int a) { } */\n// int no(int a) {\n"
				   "#define NO(a) \\\n int no(int a) { }\n"
				   "static const char *s = \"int no(int a) {\";\n"
				   "static int helper(double x) { if (x) { return '{'; } return 1; }\n"
				   "struct pair { int a; int b; };\nint declared(int z);\n"
				   "virtine int\nfib(int n, /* why */ const int  limit)\n{ return n; }\n"
				   "int second(char *x) { return 0; }";
	(void)state;
	assert_int_equal(weir_c_source_scan(text, &source, problem), 0);
	assert_false(source.has_handler);
	assert_string_equal(source.name, "fib");
	assert_int_equal(source.line, 10);
}

static void parameters_are_named(void **state)
{
	(void)state;
	assert_int_equal(weir_c_source_scan("int sum(int a, const int b,\n int c_3) { return a; }", &source, problem), 0);
	assert_int_equal(source.param_count, 3);
	assert_string_equal(source.param[0], "a");
	assert_string_equal(source.param[1], "b");
	assert_string_equal(source.param[2], "c_3");
	assert_int_equal(weir_c_source_scan("int none(void) { return 1; }", &source, problem), 0);
	assert_int_equal(source.param_count, 0);
	assert_int_equal(weir_c_source_scan("int none() { return 1; }", &source, problem), 0);
	assert_int_equal(source.param_count, 0);
}

static void what_is_no_function_of_ints_is_refused_with_its_line(void **state)
{
	static const char *const wrong[] = {
		"\n\nint f(double x) { }", "\n\nint f(int *x) { }", "\n\nint f(int a, ...) { }",
		"\n\nint f(int) { }",	   "\n\ndouble f(int a) { }", "\n\nint *f(int a) { }",
		"\n\nvoid f(int a) { }",   "\n\nint main(void) { }",  "\n\nint f(int a, int b c) { }",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		problem[0] = '\0';
		assert_int_equal(weir_c_source_scan(wrong[i], &source, problem), -EINVAL);
		assert_int_equal(source.line, 3);
		assert_string_not_equal(problem, "");
	}
}

static void texts_that_end_anywhere_are_no_trouble(void **state)
{
	static const char text[] = "/* a */ static int x = 'a'; \"s\\\"\" int f(int a, int b) /* c */ { }";
	char cut[sizeof(text)];
	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		memcpy(cut, text, i);
		cut[i] = '\0';
		(void)weir_c_source_scan(cut, &source, problem);
	}
	assert_int_equal(weir_c_source_scan("", &source, problem), -EINVAL);
	assert_int_equal(weir_c_source_scan("#\\", &source, problem), -EINVAL);
	assert_int_equal(weir_c_source_scan("}}}}", &source, problem), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_with_weirs_header_are_left_to_the_compiler),
		cmocka_unit_test(a_function_of_ints_beside_a_handler_is_found),
		cmocka_unit_test(the_first_function_that_is_not_static_is_taken),
		cmocka_unit_test(parameters_are_named),
		cmocka_unit_test(what_is_no_function_of_ints_is_refused_with_its_line),
		cmocka_unit_test(texts_that_end_anywhere_are_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
