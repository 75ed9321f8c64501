#include "ctrl/store/store_user.h"

#include "ctrl/store/history.h"
#include "ctrl/store/store_examine.h"
#include "tests/store/store_test.h"

#define HASH "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static struct weir_model_user user_of(const char *name)
{
	struct weir_model_user user = {.uuid = "0f8fad5b-d9cb-469f-a165-70867728950e",
				       .role = WEIR_ROLE_DEVELOPER,
				       .created_s = 1700000000,
				       .hash = HASH};

	(void)snprintf(user.name, sizeof(user.name), "%s", name);
	return user;
}

static int add(struct store_test *test, const char *name, bool is_new_space)
{
	const struct weir_model_user user = user_of(name);

	return weir_store_user_add(test->store, &user, is_new_space, &test->error);
}

static int function_of(struct store_test *test, const char *space, const char *name, const char *owner)
{
	struct weir_model_function function = store_test_function(name);

	(void)snprintf(function.space, sizeof(function.space), "%s", space);
	(void)snprintf(function.owner, sizeof(function.owner), "%s", owner);
	return weir_store_function_add(test->store, &function, NULL, &test->error);
}

static void users_are_added_found_listed_and_removed(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_users users = {.user = NULL};
	struct weir_model_user user;

	assert_int_equal(add(test, "simon", true), 0);
	assert_int_equal(add(test, "ann", true), 0);
	assert_int_equal(add(test, "simon", false), -EEXIST);
	assert_int_equal(weir_store_user_find(test->store, "simon", &user, &test->error), 0);
	assert_string_equal(user.uuid, user_of("").uuid);
	assert_string_equal(user.hash, HASH);
	assert_int_equal(user.role, WEIR_ROLE_DEVELOPER);
	assert_int_equal(user.created_s, 1700000000);
	assert_int_equal(weir_store_users_load(test->store, &users, &test->error), 0);
	assert_int_equal(users.count, 2);
	assert_string_equal(users.user[0].name, "ann");
	weir_store_users_release(&users);
	assert_int_equal(weir_store_user_remove(test->store, "simon", &test->error), 0);
	assert_int_equal(weir_store_user_remove(test->store, "simon", &test->error), -ENOENT);
	assert_non_null(strstr(test->error.text, "ctrlctl user list"));
	assert_int_equal(weir_store_user_find(test->store, "simon", &user, &test->error), -ENOENT);
}

static void names_of_everybody_and_of_weir_are_no_users(void **state)
{
	static const char *const names[] = {"default", "weir.system", "", "a/b", "../x", " a", "a\n"};
	struct store_test *test = store_test_opened(state);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(add(test, names[i], false), -EINVAL);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM user"), 0);
}

static void whoever_comes_gets_no_namespace_with_functions(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(function_of(test, "shop", "cart", ""), 0);
	assert_int_equal(add(test, "shop", true), -EEXIST);
	assert_non_null(strstr(test->error.text, "ctrlctl user add shop"));
	assert_int_equal(add(test, "shop", false), 0);
}

static void who_owns_functions_stays(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(add(test, "simon", true), 0);
	assert_int_equal(function_of(test, "simon", "echo", "simon"), 0);
	assert_int_equal(weir_store_user_remove(test->store, "simon", &test->error), -EBUSY);
	assert_int_equal(weir_store_function_remove(test->store, "simon", "echo", &test->error), 0);
	assert_int_equal(weir_store_user_remove(test->store, "simon", &test->error), 0);
}

static void records_that_are_no_users_are_refused_without_their_hash(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_user user = user_of("simon");

	user.hash[1] = 'x';
	assert_int_equal(weir_store_user_add(test->store, &user, false, &test->error), -EINVAL);
	assert_null(strstr(test->error.text, "AAAA"));
	user = user_of("simon");
	user.uuid[3] = 'F';
	assert_int_equal(weir_store_user_add(test->store, &user, false, &test->error), -EINVAL);
	user = user_of("simon");
	user.role = WEIR_ROLES;
	assert_int_equal(weir_store_user_add(test->store, &user, false, &test->error), -EINVAL);
}

static void rows_of_another_program_are_left_out_and_told_of(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_users users = {.user = NULL};
	struct weir_model_user user;
	const struct weir_store_bad_rows *bad = NULL;

	assert_int_equal(add(test, "good", true), 0);
	store_test_run(test, "weir.db",
		       "INSERT INTO user SELECT 'bad', uuid, 'king', created, hash FROM user;"
		       "INSERT INTO user SELECT 'worse', uuid, role, created, 'secret' FROM user WHERE name = 'good'");
	assert_int_equal(weir_store_users_load(test->store, &users, &test->error), 0);
	assert_int_equal(users.count, 1);
	weir_store_users_release(&users);
	bad = weir_store_bad_rows(test->store, WEIR_STORE_BAD_USERS);
	assert_int_equal(bad->count, 2);
	assert_string_equal(bad->row[0].row, "bad");
	assert_string_equal(bad->row[0].field, "role");
	assert_string_equal(bad->row[1].field, "hash");
	assert_null(strstr(bad->row[1].reason, "secret"));
	assert_int_equal(weir_store_user_find(test->store, "worse", &user, &test->error), -EBADMSG);
	assert_null(strstr(test->error.text, "secret"));
	assert_int_equal(weir_store_user_remove(test->store, "worse", &test->error), 0);
}

struct newest {
	struct weir_history_line line;
	char rows[128];
};

static int line_keep(void *context, const struct weir_history_line *line)
{
	struct newest *newest = context;

	newest->line = *line;
	(void)snprintf(newest->rows, sizeof(newest->rows), "%s", line->rows);
	return 0;
}

static int change_count(void *context, const struct weir_history_change *change)
{
	(void)change;
	++*(int *)context;
	return 0;
}

static void history_has_a_line_without_the_row_and_undoing_passes_over_it(void **state)
{
	const struct weir_history_author author = {.who = "ann", .uid = 7, .from = "local socket", .what = "add user simon"};
	struct store_test *test = store_test_opened(state);
	struct weir_history_outcome outcome = {0};
	struct weir_history_rollback rollback = {.generation = 0};
	struct newest newest = {.rows = ""};
	struct weir_model_user user;
	uint64_t before = 0;
	int changes = 0;

	assert_int_equal(store_test_setting_set(test, "a", 1), 0);
	before = weir_store_generation(test->store);
	weir_history_author_set(test->store, &author);
	assert_int_equal(add(test, "simon", true), 0);
	assert_int_equal(weir_history_each(test->store, 1, line_keep, &newest, &test->error), 0);
	assert_string_equal(newest.line.author.what, "add user simon");
	assert_string_equal(newest.rows, "{\"user\":1}");
	assert_true(newest.line.is_known);
	assert_int_equal(newest.line.bytes, 0);
	assert_int_equal(store_test_setting_set(test, "a", 2), 0);
	assert_int_equal(weir_history_diff(test->store, before, weir_store_generation(test->store), change_count, &changes,
					   &test->error),
			 0);
	assert_int_equal(changes, 1); /* the setting */
	rollback.generation = before;
	rollback.visit = change_count;
	rollback.context = &changes;
	assert_int_equal(weir_history_rollback(test->store, test->table, &rollback, &outcome, &test->error), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT value FROM settings WHERE name = 'a'"), 1);
	assert_int_equal(weir_store_user_find(test->store, "simon", &user, &test->error), 0);
	/* Nothing of it is anywhere in history. */
	assert_int_equal(store_test_number(test, "weir.db",
					   "SELECT count(*) FROM history WHERE instr(changes, CAST('argon2id' AS BLOB)) > 0"),
			 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(users_are_added_found_listed_and_removed),
		TEST(names_of_everybody_and_of_weir_are_no_users),
		TEST(whoever_comes_gets_no_namespace_with_functions),
		TEST(who_owns_functions_stays),
		TEST(records_that_are_no_users_are_refused_without_their_hash),
		TEST(rows_of_another_program_are_left_out_and_told_of),
		TEST(history_has_a_line_without_the_row_and_undoing_passes_over_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
