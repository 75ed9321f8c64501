#include "tests/store/store_test.h"

static struct weir_model_function function_find(struct store_test *test)
{
	struct weir_model_function function = {0};

	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	return function;
}

/* Deploy the function that is there, with other parameters if they are named. */
static void deploy(struct store_test *test, const char *parameters, uint32_t versions_max)
{
	const struct weir_model_function function = function_find(test);
	struct weir_model_details details = {.description = "of a version"};
	const struct weir_store_deployment deployment = {.code = "",
							 .details = parameters == NULL ? NULL : &details,
							 .versions_max = versions_max};
	uint32_t number = 0;

	if (parameters != NULL)
		assert_int_equal(weir_model_parameters_read(&details, weir_span_of(parameters), NULL), 0);
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	weir_model_details_release(&details);
}

static void assert_parameters(struct store_test *test, const struct weir_model_function *function,
			      const char *parameters)
{
	struct weir_model_details details = {.parameters = NULL};

	assert_int_equal(weir_store_details_get(test->store, function, &details, &test->error), 0);
	if (parameters == NULL)
		assert_null(details.parameters);
	else
		assert_string_equal(details.parameters, parameters);
	weir_model_details_release(&details);
}

static void function_carries_what_it_was_added_with(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a");
	struct weir_model_details details = {.description = "sells things"};

	(void)strcpy(function.owner, "ann");
	assert_int_equal(weir_model_parameters_read(&details, WEIR_SPAN("{\"a\": [1, {}]}"), NULL), 0);
	assert_int_equal(weir_model_annotations_read(&details, WEIR_SPAN("{\"web\": true}"), NULL), 0);
	assert_int_equal(weir_store_function_add(test->store, &function, &details, &test->error), 0);
	weir_model_details_release(&details);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	function = function_find(test);
	assert_string_equal(function.owner, "ann");
	assert_int_equal(weir_store_details_get(test->store, &function, &details, &test->error), 0);
	assert_string_equal(details.description, "sells things");
	assert_string_equal(details.parameters, "{\"a\":[1,{}]}");
	assert_string_equal(details.annotations, "{\"web\":true}");
	weir_model_details_release(&details);
}

static void function_that_carries_nothing_has_no_row(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_function function = store_test_function("a");
	struct weir_model_function found;

	assert_int_equal(weir_store_function_add(test->store, &function, NULL, &test->error), 0);
	found = function_find(test);
	assert_int_equal(found.details, 0);
	assert_parameters(test, &found, NULL);
	deploy(test, "{}", 10);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM details"), 1); /* its description */
}

static void versions_bring_back_what_they_carried_and_not_the_owner(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a");
	struct weir_store_deployment deployment = {.code = "", .versions_max = 10};
	struct weir_store_version version;
	uint32_t number = 0;

	assert_int_equal(weir_store_function_add(test->store, &function, NULL, &test->error), 0);
	deploy(test, "{\"n\":2}", 10);
	deploy(test, NULL, 10); /* keeps it: the same row */
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM details"), 1);
	deploy(test, "{\"n\":4}", 10);
	function = function_find(test);
	assert_parameters(test, &function, "{\"n\":4}");
	(void)strcpy(function.owner, "ann");
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 3, &version, &test->error), 0);
	assert_parameters(test, &version.function, "{\"n\":2}");
	function = function_find(test);
	assert_parameters(test, &function, "{\"n\":2}");
	assert_string_equal(function.owner, "ann");
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 1, &version, &test->error), 0);
	function = function_find(test);
	assert_parameters(test, &function, NULL);
}

static void what_nobody_refers_to_any_more_is_forgotten(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_function function = store_test_function("a");

	assert_int_equal(weir_store_function_add(test->store, &function, NULL, &test->error), 0);
	deploy(test, "{\"n\":1}", 2);
	deploy(test, "{\"n\":2}", 2);
	deploy(test, "{\"n\":3}", 2);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM details"), 2);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM details"), 0);
}

static void details_that_are_not_sound_are_refused_and_found(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_function function = store_test_function("a");
	struct weir_model_function found;
	struct weir_model_details details = {.description = "a\nb"};

	assert_int_equal(weir_store_function_add(test->store, &function, &details, &test->error), -EINVAL);
	assert_non_null(strstr(test->error.text, "description"));
	details = (struct weir_model_details){.description = "fine"};
	assert_int_equal(weir_store_function_add(test->store, &function, &details, &test->error), 0);
	store_test_run(test, "weir.db", "UPDATE details SET parameters = '{ \"a\":1}'");
	found = function_find(test);
	assert_int_equal(weir_store_details_get(test->store, &found, &details, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "default/a: parameters"));
	store_test_run(test, "weir.db", "DELETE FROM details");
	assert_int_equal(weir_store_details_get(test->store, &found, &details, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "missing"));
}

/* The largest that there may be; and the tables themselves refuse what is no object. */
static void largest_parameters_are_kept(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_function function = store_test_function("a");
	struct weir_model_function found;
	struct weir_model_details details = {.parameters = malloc(WEIR_MODEL_PARAMETERS_BYTES_MAX + 1)};
	sqlite3 *db = store_test_foreign(test, "weir.db");

	assert_non_null(details.parameters);
	memset(details.parameters, 'x', WEIR_MODEL_PARAMETERS_BYTES_MAX);
	memcpy(details.parameters, "{\"a\":\"", 6);
	memcpy(details.parameters + WEIR_MODEL_PARAMETERS_BYTES_MAX - 2, "\"}", 3);
	assert_int_equal(weir_store_function_add(test->store, &function, &details, &test->error), 0);
	found = function_find(test);
	assert_parameters(test, &found, details.parameters);
	assert_int_not_equal(sqlite3_exec(db, "UPDATE details SET parameters = '[1]'", NULL, NULL, NULL), SQLITE_OK);
	assert_int_not_equal(sqlite3_exec(db, "UPDATE details SET annotations = 'x'", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	weir_model_details_release(&details);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(function_carries_what_it_was_added_with),
		TEST(function_that_carries_nothing_has_no_row),
		TEST(versions_bring_back_what_they_carried_and_not_the_owner),
		TEST(what_nobody_refers_to_any_more_is_forgotten),
		TEST(details_that_are_not_sound_are_refused_and_found),
		TEST(largest_parameters_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
