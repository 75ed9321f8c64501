#include <errno.h>

#include "ctrl/store/history.h"
#include "ctrl/store/store_key.h"
#include "ctrl/store/store_user.h"
#include "dataplane/base/cleanup.h"
#include "tests/store/store_test.h"

static struct weir_model_key key_of(const char *name, char last)
{
	struct weir_model_key key = {.id = "0f8fad5b-d9cb-469f-a165-70867728950e",
				     .space = "shop",
				     .role = WEIR_ROLE_INVOKER,
				     .created_s = 1700000000,
				     .digest = {1, 2, 3}};

	(void)snprintf(key.name, sizeof(key.name), "%s", name);
	key.id[WEIR_MODEL_UUID_BYTES - 2] = last;
	return key;
}

static int add(struct store_test *test, const char *name, char last)
{
	const struct weir_model_key key = key_of(name, last);

	return weir_store_key_add(test->store, &key, &test->error);
}

static void keys_are_added_found_listed_and_removed(void **state)
{
	WEIR_CLEANUP(weir_store_keys_release) struct weir_store_keys keys = {.key = NULL};
	struct store_test *test = store_test_opened(state);
	struct weir_model_key key;
	const uint64_t before = weir_store_generation(test->store);

	assert_int_equal(add(test, "b", '1'), 0);
	assert_int_equal(add(test, "a", '2'), 0);
	assert_int_equal(weir_store_generation(test->store), before + 2);
	assert_int_equal(add(test, "a", '3'), -EEXIST);
	assert_int_equal(add(test, "c", '2'), -EEXIST); /* the same id */
	assert_int_equal(weir_store_key_find(test->store, key_of("", '1').id, &key, &test->error), 0);
	assert_string_equal(key.name, "b");
	assert_string_equal(key.space, "shop");
	assert_int_equal(key.role, WEIR_ROLE_INVOKER);
	assert_memory_equal(key.digest, key_of("", '1').digest, sizeof(key.digest));
	assert_int_equal(weir_store_keys_load(test->store, &keys, &test->error), 0);
	assert_int_equal(keys.count, 2);
	assert_string_equal(keys.key[0].name, "a");
	assert_int_equal(weir_store_key_remove(test->store, "a", &test->error), 0);
	assert_int_equal(weir_store_key_remove(test->store, key_of("", '1').id, &test->error), 0);
	assert_int_equal(weir_store_key_remove(test->store, "b", &test->error), -ENOENT);
	assert_int_equal(weir_store_key_find(test->store, key_of("", '1').id, &key, &test->error), -ENOENT);
}

static void a_name_goes_before_an_id_that_is_the_same(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_key key;

	assert_int_equal(add(test, "a", '1'), 0);
	assert_int_equal(add(test, key_of("", '1').id, '2'), 0); /* is called what the other's id is */
	assert_int_equal(weir_store_key_remove(test->store, key_of("", '1').id, &test->error), 0);
	assert_int_equal(weir_store_key_find(test->store, key_of("", '1').id, &key, &test->error), 0);
}

static void records_that_are_no_keys_are_refused(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_key keys[] = {key_of("", '1'), key_of("a", '1'), key_of("a", 'g'), key_of("a", '1'), key_of("a", '1')};

	(void)snprintf(keys[1].space, sizeof(keys[1].space), "weir.system");
	keys[3].role = WEIR_ROLE_NOBODY;
	keys[4].expires_s = -1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(weir_store_key_add(test->store, &keys[i], &test->error), -EINVAL);
}

static void a_user_whose_namespace_a_key_opens_stays(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_user user = {.name = "shop",
					     .uuid = "0f8fad5b-d9cb-469f-a165-70867728950e",
					     .role = WEIR_ROLE_DEVELOPER,
					     .hash = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA"};

	assert_int_equal(weir_store_user_add(test->store, &user, true, &test->error), 0);
	assert_int_equal(add(test, "a", '1'), 0);
	assert_int_equal(weir_store_user_remove(test->store, "shop", &test->error), -EBUSY);
	assert_non_null(strstr(test->error.text, "ctrlctl key rm"));
	assert_int_equal(weir_store_key_remove(test->store, "a", &test->error), 0);
	assert_int_equal(weir_store_user_remove(test->store, "shop", &test->error), 0);
}

static void rows_of_another_program_are_left_out_and_told_of(void **state)
{
	WEIR_CLEANUP(weir_store_keys_release) struct weir_store_keys keys = {.key = NULL};
	struct store_test *test = store_test_opened(state);

	assert_int_equal(add(test, "a", '1'), 0);
	store_test_run(test, "weir.db", "INSERT INTO api_key SELECT 'b', 'x', space, role, created, expires, digest FROM api_key");
	store_test_run(test, "weir.db",
		       "INSERT INTO api_key SELECT 'c', substr(id, 1, 35) || '7', space, role, created, expires, x'00' FROM api_key "
		       "WHERE name = 'a'");
	assert_int_equal(weir_store_keys_load(test->store, &keys, &test->error), 0);
	assert_int_equal(keys.count, 1);
	assert_int_equal(weir_store_bad_rows(test->store, WEIR_STORE_BAD_KEYS)->count, 2);
}

static void history_has_a_line_without_the_row(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(add(test, "a", '1'), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT rows = '{\"api_key\":1}' FROM history ORDER BY place DESC LIMIT 1"), 1);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT coalesce(length(changes), 0) FROM history ORDER BY place DESC LIMIT 1"),
			 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(keys_are_added_found_listed_and_removed),
		TEST(a_name_goes_before_an_id_that_is_the_same),
		TEST(records_that_are_no_keys_are_refused),
		TEST(a_user_whose_namespace_a_key_opens_stays),
		TEST(rows_of_another_program_are_left_out_and_told_of),
		TEST(history_has_a_line_without_the_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
