#include "ctrl/store/store_alias.h"

#include "ctrl/store/history.h"
#include "ctrl/store/store_examine.h"
#include "tests/store/store_test.h"

static int set(struct store_test *test, const char *image, const char *name)
{
	struct weir_model_alias alias = {.space = "default"};

	(void)snprintf(alias.image, sizeof(alias.image), "%s", image);
	(void)snprintf(alias.name, sizeof(alias.name), "%s", name);
	return weir_store_alias_set(test->store, &alias, &test->error);
}

/* What the image stands for, or "". */
static const char *stands_for(struct store_test *test, const char *image)
{
	static struct weir_model_alias alias;
	const int code = weir_store_alias_find(test->store, image, &alias, &test->error);

	assert_true(code == 0 || code == -ENOENT);
	return code == 0 ? alias.name : "";
}

static void function_add(struct store_test *test, const char *name, const char *image)
{
	struct weir_model_function function = store_test_function(name);

	(void)strcpy(function.runtime, "container");
	(void)strcpy(function.image, image);
	function.code_path[0] = '\0';
	assert_int_equal(weir_store_function_add(test->store, &function, NULL, &test->error), 0);
}

static uint64_t version_of(struct store_test *test, const char *name)
{
	struct weir_model_function function = {0};

	assert_int_equal(weir_store_function_find(test->store, "default", name, &function, &test->error), 0);
	return function.version;
}

static void aliases_are_set_changed_listed_and_removed(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_aliases aliases = {.alias = NULL};

	assert_int_equal(set(test, "b:1", "f"), 0); /* there is no such function, nor need be */
	assert_int_equal(set(test, "a:1", "f"), 0);
	assert_int_equal(set(test, "a:1", "g"), 0);
	assert_string_equal(stands_for(test, "a:1"), "g");
	assert_string_equal(stands_for(test, "A:1"), "");
	assert_non_null(strstr(test->error.text, "ctrlctl image alias list"));
	assert_int_equal(weir_store_aliases_load(test->store, &aliases, &test->error), 0);
	assert_int_equal(aliases.count, 2);
	assert_string_equal(aliases.alias[0].image, "a:1");
	assert_string_equal(aliases.alias[1].image, "b:1");
	assert_string_equal(aliases.alias[1].space, "default");
	weir_store_aliases_release(&aliases);
	assert_int_equal(weir_store_alias_remove(test->store, "a:1", &test->error), 0);
	assert_int_equal(weir_store_alias_remove(test->store, "a:1", &test->error), -ENOENT);
	assert_string_equal(stands_for(test, "a:1"), "");
	assert_int_equal(set(test, "a b", "f"), -EINVAL);
	assert_int_equal(set(test, "", "f"), -EINVAL);
	assert_int_equal(set(test, "a", ""), -EINVAL);
}

static void aliases_survive_opening_again(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(set(test, "a", "f"), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_string_equal(stands_for(test, "a"), "f");
}

static void functions_with_the_image_are_another_version_and_others_stay(void **state)
{
	struct store_test *test = store_test_opened(state);
	uint64_t version = 0;

	function_add(test, "a", "img");
	function_add(test, "b", "other");
	version = version_of(test, "b");
	assert_int_equal(set(test, "img", "f"), 0);
	assert_int_equal(version_of(test, "a"), weir_store_generation(test->store));
	assert_int_equal(set(test, "unused", "f"), 0);
	assert_int_equal(set(test, "img", "f"), 0); /* as it is */
	assert_int_equal(version_of(test, "a"), weir_store_generation(test->store) - 2);
	assert_int_equal(set(test, "img", "g"), 0);
	assert_int_equal(version_of(test, "a"), weir_store_generation(test->store));
	assert_int_equal(weir_store_alias_remove(test->store, "img", &test->error), 0);
	assert_int_equal(version_of(test, "a"), weir_store_generation(test->store));
	assert_int_equal(version_of(test, "b"), version);
}

static void there_are_no_more_than_the_limit(void **state)
{
	struct store_test *test = store_test_opened(state);

	store_test_run(test, "weir.db",
		       "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4096) "
		       "INSERT INTO image_alias SELECT 'i' || i, 'default', 'f' FROM n");
	assert_int_equal(set(test, "more", "f"), -EDQUOT);
	assert_string_equal(stands_for(test, "more"), "");
	assert_int_equal(set(test, "i7", "g"), 0); /* no more than before */
	assert_string_equal(stands_for(test, "i7"), "g");
}

static void found_count(void *context, const struct weir_store_bad_row *row)
{
	if (strcmp(row->table, "image_alias") == 0)
		++*(int *)context;
}

static bool stop_never(void *context)
{
	(void)context;
	return false;
}

static void version_ignore(void *context, const struct weir_store_version *version)
{
	(void)context;
	(void)version;
}

static void damaged_rows_are_named_and_left_out(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_aliases aliases = {.alias = NULL};
	const struct weir_store_bad_rows *bad = NULL;
	struct weir_store_examined examined;
	struct weir_model_alias alias;
	bool made = false;
	int found = 0;
	const struct weir_store_examiner examiner = {
		.context = &found, .stop = stop_never, .found = found_count, .version = version_ignore};

	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &test->error), 0);
	assert_int_equal(set(test, "good", "f"), 0);
	store_test_run(test, "weir.db",
		       "INSERT INTO image_alias VALUES ('a b', 'default', 'f'), ('c', '../x', 'f'), "
		       "('d', 'default', ''), (printf('%.600c', 'e'), 'default', 'f')");
	assert_int_equal(weir_store_aliases_load(test->store, &aliases, &test->error), 0);
	assert_int_equal(aliases.count, 1);
	assert_string_equal(aliases.alias[0].image, "good");
	weir_store_aliases_release(&aliases);
	bad = weir_store_bad_rows(test->store, WEIR_STORE_BAD_ALIASES);
	assert_int_equal(bad->count, 4);
	assert_string_equal(bad->row[0].table, "image_alias");
	assert_string_equal(bad->row[0].row, "a b");
	assert_string_equal(bad->row[0].field, "image");
	assert_string_equal(bad->row[1].field, "namespace");
	assert_string_equal(bad->row[2].field, "function");
	assert_int_equal(weir_store_alias_find(test->store, "c", &alias, &test->error), -EBADMSG);
	assert_int_equal(weir_store_examine(test->directory, &examiner, &examined, &test->error), 0);
	assert_int_equal(found, 4);
	assert_int_equal(weir_store_alias_remove(test->store, "a b", &test->error), 0);
	assert_int_equal(set(test, "c", "f"), 0); /* repaired */
	assert_string_equal(stands_for(test, "c"), "f");
}

/* What a difference says of images. */
static int change_see(void *context, const struct weir_history_change *change)
{
	char *text = context;

	if (strcmp(change->kind, "image") == 0)
		(void)snprintf(text, 128, "%d %s %zu", (int)change->operation, change->name, change->field_count);
	return 0;
}

static void history_shows_aliases_and_brings_them_back(void **state)
{
	struct store_test *test = store_test_opened(state);
	char text[128] = "";
	const struct weir_history_rollback rollback = {.generation = 2, .visit = change_see, .context = text};
	struct weir_history_outcome outcome;
	char wanted[32];
	uint64_t before = 0;
	bool made = false;

	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &test->error), 0);
	function_add(test, "a", "img");
	assert_int_equal(set(test, "img", "f"), 0);
	assert_int_equal(weir_store_generation(test->store), 2);
	assert_int_equal(set(test, "img", "g"), 0);
	assert_int_equal(weir_store_alias_remove(test->store, "img", &test->error), 0);
	assert_int_equal(weir_history_diff(test->store, 2, 3, change_see, text, &test->error), 0);
	(void)snprintf(wanted, sizeof(wanted), "%d img 1", (int)WEIR_HISTORY_CHANGED);
	assert_string_equal(text, wanted);
	before = weir_store_generation(test->store);
	assert_int_equal(weir_history_rollback(test->store, test->table, &rollback, &outcome, &test->error), 0);
	assert_true(outcome.is_committed);
	assert_string_equal(stands_for(test, "img"), "f");
	assert_int_equal(version_of(test, "a"), before + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(aliases_are_set_changed_listed_and_removed),
		TEST(aliases_survive_opening_again),
		TEST(functions_with_the_image_are_another_version_and_others_stay),
		TEST(there_are_no_more_than_the_limit),
		TEST(damaged_rows_are_named_and_left_out),
		TEST(history_shows_aliases_and_brings_them_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
