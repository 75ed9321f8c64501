#include "ctrl/publish/publish_image.h"

#include <string.h>

#include "tests/publish/publish_test.h"

/* A function as the store lists it, by name; `code` begins with '/', or is an image. */
static struct weir_model_function function(const char *name, uint64_t version, const char *code)
{
	struct weir_model_function made = {
		.id = version,
		.version = version,
		.space = "default",
		.runtime = "native",
		.timeout_ms = 1000,
		.memory_mb = 64,
		.queue_max = 10,
	};

	(void)strcpy(made.name, name);
	if (code[0] == '/') {
		(void)strcpy(made.code_path, code);
		return made;
	}
	(void)strcpy(made.image, code);
	(void)strcpy(made.runtime, "container");
	return made;
}

static struct weir_model_alias alias(const char *image, const char *name)
{
	struct weir_model_alias made = {.space = "default"};

	(void)strcpy(made.image, image);
	(void)strcpy(made.name, name);
	return made;
}

static void an_image_gives_code_and_leaves_everything_else(void **state)
{
	struct weir_model_function functions[] = {function("code", 7, "/srv/x.so"), function("user", 3, "img")};
	const struct weir_model_alias aliases[] = {alias("img", "code")};

	(void)state;
	(void)strcpy(functions[0].handler, "run");
	functions[0].timeout_ms = 9;
	functions[0].spec_count = 1;
	functions[1].memory_mb = 99;
	(void)strcpy(functions[1].space, "other");
	weir_publish_images_resolve(functions, 2, aliases, 1);
	assert_string_equal(functions[1].runtime, "native");
	assert_string_equal(functions[1].code_path, "/srv/x.so");
	assert_string_equal(functions[1].handler, "run");
	assert_string_equal(functions[1].image, "");
	assert_string_equal(functions[1].problem, "");
	assert_string_equal(functions[1].space, "other");
	assert_string_equal(functions[1].name, "user");
	assert_int_equal(functions[1].timeout_ms, 1000);
	assert_int_equal(functions[1].memory_mb, 99);
	assert_int_equal(functions[1].spec_count, 0);
	assert_int_equal(functions[1].id, 3);
	assert_int_equal(weir_model_function_check(&functions[1], NULL), 0);
	assert_int_equal(functions[0].version, 7);
}

static void the_newer_version_of_both_is_the_version(void **state)
{
	struct weir_model_function functions[] = {function("code", 7, "/srv/x.so"), function("new", 9, "img"),
						  function("old", 3, "img")};
	const struct weir_model_alias aliases[] = {alias("img", "code")};

	(void)state;
	weir_publish_images_resolve(functions, 3, aliases, 1);
	assert_int_equal(functions[1].version, 9);
	assert_int_equal(functions[2].version, 7);
}

static void without_code_a_function_says_so_and_keeps_its_image(void **state)
{
	struct weir_model_function functions[] = {function("a", 1, "none"), function("b", 2, "gone"),
						  function("c", 3, "elsewhere"), function("code", 4, "/srv/x.so")};
	struct weir_model_alias aliases[] = {alias("elsewhere", "code"), alias("gone", "nobody")};

	(void)state;
	(void)strcpy(aliases[0].space, "elsewhere");
	weir_publish_images_resolve(functions, 4, aliases, 2);
	assert_non_null(strstr(functions[0].problem, "No function is set for the image 'none'"));
	assert_non_null(strstr(functions[1].problem, "default/nobody, which is not there"));
	assert_non_null(strstr(functions[2].problem, "elsewhere/code, which is not there"));
	for (int i = 0; i < 3; i++) {
		assert_non_null(strstr(functions[i].problem, "ctrlctl image alias set"));
		assert_string_equal(functions[i].runtime, "container");
		assert_string_not_equal(functions[i].image, "");
		assert_int_equal(weir_model_function_check(&functions[i], NULL), 0);
	}
	assert_string_equal(functions[3].problem, "");
}

static void images_do_not_lead_to_images(void **state)
{
	struct weir_model_function functions[] = {function("a", 1, "two"), function("b", 2, "one"),
						  function("c", 3, "two"), function("self", 4, "self"),
						  function("z", 5, "/srv/x.so")};
	const struct weir_model_alias aliases[] = {alias("one", "z"), alias("self", "self"), alias("two", "b")};

	(void)state;
	weir_publish_images_resolve(functions, 5, aliases, 3);
	assert_string_equal(functions[1].code_path, "/srv/x.so");
	for (int i = 0; i < 4; i++) {
		if (i != 1)
			assert_non_null(strstr(functions[i].problem, "has an image itself"));
	}
	assert_string_equal(functions[0].code_path, "");
	assert_string_equal(functions[2].code_path, "");
}

static void what_is_wrong_with_the_code_is_wrong_with_the_image(void **state)
{
	struct weir_model_function functions[] = {function("a", 1, "img"), function("code", 2, "/")};
	const struct weir_model_alias aliases[] = {alias("img", "code")};

	(void)state;
	(void)strcpy(functions[1].problem, "The function's row in weir.db is damaged");
	weir_publish_images_resolve(functions, 2, aliases, 1);
	assert_string_equal(functions[0].problem, "The function's row in weir.db is damaged");
}

static void a_snapshot_has_code_where_an_image_stands_for_it_and_a_reason_where_not(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t code = publish_test_function(&test, "code", "native");
	const uint64_t none = publish_test_function(&test, "none", "container");
	const uint64_t user = publish_test_function(&test, "user", "container");
	const struct weir_model_alias aliases[] = {alias("img", "code")};
	const struct weir_snapshot_function *found = NULL;

	(void)state;
	for (int i = 1; i < 3; i++) {
		test.functions[i].code_path[0] = '\0';
		(void)strcpy(test.functions[i].image, i == 1 ? "no'ne\"\\" : "img");
	}
	weir_publish_images_resolve(test.functions, test.function_count, aliases, 1);
	publish_test_build(&test);
	found = weir_snapshot_function_find(&test.snapshot, user);
	assert_int_equal(found->runtime, WEIR_RUNTIME_NATIVE);
	assert_string_equal(test.snapshot.strings + found->code_path.offset, "/srv/code");
	assert_int_equal(found->pool, weir_snapshot_function_find(&test.snapshot, code)->pool);
	found = weir_snapshot_function_find(&test.snapshot, none);
	assert_int_equal(found->runtime, WEIR_RUNTIME_MISSING);
	assert_non_null(strstr(test.snapshot.strings + found->reason.offset, "the image 'no'ne\"\\'"));
	publish_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_gives_code_and_leaves_everything_else),
		cmocka_unit_test(the_newer_version_of_both_is_the_version),
		cmocka_unit_test(without_code_a_function_says_so_and_keeps_its_image),
		cmocka_unit_test(images_do_not_lead_to_images),
		cmocka_unit_test(what_is_wrong_with_the_code_is_wrong_with_the_image),
		cmocka_unit_test(a_snapshot_has_code_where_an_image_stands_for_it_and_a_reason_where_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
