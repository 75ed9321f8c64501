#include "ctrl/store/history.h"
#include "tests/store/store_test.h"

enum { LINES_MAX = 64 };

struct lines {
	size_t count;
	struct weir_history_line line[LINES_MAX];
	char rows[LINES_MAX][128];
};

static struct store_test *opened(void **state)
{
	struct store_test *test = *state;

	assert_int_equal(weir_store_open(test->store, true, &test->error), 0);
	return test;
}

static int line_note(void *context, const struct weir_history_line *line)
{
	struct lines *lines = context;

	assert_true(lines->count < LINES_MAX);
	lines->line[lines->count] = *line;
	(void)snprintf(lines->rows[lines->count], sizeof(lines->rows[0]), "%s", line->rows);
	lines->count++;
	return 0;
}

static struct lines lines_of(struct store_test *test)
{
	struct lines lines = {.count = 0};

	assert_int_equal(weir_history_each(test->store, UINT64_MAX, line_note, &lines, &test->error), 0);
	return lines;
}

static uint64_t oldest(struct store_test *test)
{
	uint64_t generation = 0;

	assert_int_equal(weir_history_oldest(test->store, &generation, &test->error), 0);
	return generation;
}

static struct weir_model_function function_make(const char *name)
{
	struct weir_model_function function = {
		.space = "default",
		.runtime = "native",
		.code_path = "/srv/x.so",
		.timeout_ms = 1000,
		.memory_mb = 64,
		.queue_max = 10,
	};

	(void)snprintf(function.name, sizeof(function.name), "%s", name);
	return function;
}

static int function_add(struct store_test *test, const char *name)
{
	const struct weir_model_function function = function_make(name);

	return weir_store_function_add(test->store, &function, NULL, &test->error);
}

static int setting_set(struct store_test *test, const char *name, uint64_t value)
{
	return weir_store_setting_set(test->store, name, value, &test->error);
}

static int deploy(struct store_test *test, const char *name, const char *code)
{
	const struct weir_store_deployment deployment = {.code = code, .versions_max = 1};
	const struct weir_model_function function = function_make(name);
	uint32_t number = 0;

	return weir_store_deploy(test->store, &function, &deployment, &number, &test->error);
}

static void each_change_leaves_one_line_and_a_refused_one_none(void **state)
{
	static const struct weir_history_author author = {
		.who = "ada", .uid = 1001, .from = "local socket", .what = "add function b"};
	struct store_test *test = opened(state);
	struct lines lines;

	assert_int_equal(function_add(test, "a"), 0);
	assert_int_equal(function_add(test, "a"), -EEXIST);
	assert_int_equal(weir_store_generation_next(test->store, &test->error), 0); /* no row changes */
	weir_history_author_set(test->store, &author);
	assert_false(weir_history_author_offer(test->store, &author));
	assert_int_equal(function_add(test, "b"), 0);
	weir_history_author_set(test->store, NULL);
	assert_int_equal(deploy(test, "b", "one"), 0);
	lines = lines_of(test);
	assert_int_equal(lines.count, 3);
	assert_int_equal(lines.line[0].generation, 4);
	assert_string_equal(lines.rows[0], "{\"versions\":1,\"functions\":1}");
	assert_string_equal(lines.line[0].author.from, "ctrld");
	assert_int_equal(lines.line[0].author.uid, -1);
	assert_int_equal(lines.line[1].generation, 3);
	assert_string_equal(lines.line[1].author.who, "ada");
	assert_int_equal(lines.line[1].author.uid, 1001);
	assert_string_equal(lines.line[1].author.from, "local socket");
	assert_string_equal(lines.line[1].author.what, "add function b");
	assert_string_equal(lines.rows[1], "{\"functions\":1}");
	assert_int_equal(lines.line[2].generation, 1);
	for (size_t i = 0; i < lines.count; i++) {
		assert_true(lines.line[i].is_known);
		assert_true(lines.line[i].bytes > 0);
		assert_true(lines.line[i].created_s > 0);
	}
	assert_int_equal(oldest(test), 0);
}

static void changes_within_one_leave_one_line(void **state)
{
	struct store_test *test = opened(state);
	struct lines lines;

	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(function_add(test, "a"), 0);
	assert_int_equal(setting_set(test, "workers_max", 7), 0);
	assert_int_equal(weir_store_finish(test->store, &test->error), 0);
	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(function_add(test, "b"), 0);
	weir_store_undo(test->store);
	lines = lines_of(test);
	assert_int_equal(lines.count, 1);
	assert_int_equal(lines.line[0].generation, 1);
	assert_string_equal(lines.rows[0], "{\"functions\":1,\"settings\":1}");
}

static void rows_of_the_public_table_are_said_to_come_from_there(void **state)
{
	struct store_test *test = opened(state);
	struct lines lines;

	test->rows.unsaved = true;
	test->rows.rows = calloc(1, sizeof(*test->rows.rows));
	assert_non_null(test->rows.rows);
	test->rows.count = 1;
	test->rows.rows[0].key = strdup("GET:/x");
	test->rows.rows[0].value = strdup("{}");
	assert_int_equal(weir_public_rows_save(&test->rows, test->store, &test->error), 0);
	assert_int_equal(function_add(test, "a"), 0);
	lines = lines_of(test);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.line[1].author.from, "public table");
	assert_string_equal(lines.rows[1], "{\"public_rows\":1}");
	assert_string_equal(lines.line[0].author.from, "ctrld");
}

static void oldest_lines_go_beyond_the_number_that_is_set(void **state)
{
	struct store_test *test = opened(state);
	struct lines lines;

	assert_int_equal(setting_set(test, WEIR_HISTORY_GENERATIONS_SETTING, 3), 0);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(setting_set(test, "workers_max", 10 + i), 0);
	lines = lines_of(test);
	assert_int_equal(lines.count, 3);
	assert_int_equal(lines.line[0].generation, 11);
	assert_int_equal(lines.line[2].generation, 9);
	assert_int_equal(oldest(test), 8);
	weir_store_destroy(test->store);
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(oldest(test), 8);
}

/* A function whose environment has so many bytes. */
static int environment_set(struct store_test *test, const char *name, size_t bytes, char letter)
{
	struct weir_store_variables variables = {.count = 1};
	char *value = malloc(bytes);
	int code = 0;

	assert_non_null(value);
	memset(value, letter, bytes);
	variables.variable[0] = (struct weir_store_variable){.name = "A", .value = value, .bytes = bytes};
	code = weir_store_variables_change(test->store, "default", name, &variables, &test->error);
	free(value);
	return code;
}

static void oldest_lines_go_beyond_the_bytes_that_are_set(void **state)
{
	struct store_test *test = opened(state);
	struct lines lines;
	uint64_t bytes = 0;

	assert_int_equal(setting_set(test, WEIR_HISTORY_BYTES_SETTING, WEIR_HISTORY_BYTES_MIN), 0);
	assert_int_equal(function_add(test, "a"), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(environment_set(test, "a", 150000, (char)('a' + i)), 0);
	lines = lines_of(test);
	assert_in_range(lines.count, 2, 9);
	for (size_t i = 0; i < lines.count; i++)
		bytes += lines.line[i].bytes;
	assert_in_range(bytes, WEIR_HISTORY_BYTES_MIN / 2, WEIR_HISTORY_BYTES_MIN);
	/* One that is too large alone leaves its line, but not its values. */
	assert_int_equal(environment_set(test, "a", WEIR_HISTORY_BYTES_MIN, 'z'), 0);
	lines = lines_of(test);
	assert_false(lines.line[0].is_known);
	assert_string_equal(lines.rows[0], "{\"variables\":1,\"functions\":1}");
}

static void code_of_a_removed_version_is_kept_as_long_as_its_line(void **state)
{
	struct store_test *test = opened(state);

	assert_int_equal(setting_set(test, WEIR_HISTORY_GENERATIONS_SETTING, 2), 0);
	assert_int_equal(deploy(test, "a", "one"), 0);
	assert_int_equal(deploy(test, "a", "two"), 0); /* one version is kept */
	assert_true(weir_store_code_used(test->store, "one"));
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_true(weir_store_code_used(test->store, "one"));
	assert_true(weir_store_code_used(test->store, "two")); /* gone with its function */
	assert_int_equal(setting_set(test, "workers_max", 1), 0);
	assert_false(weir_store_code_used(test->store, "one"));
	assert_true(weir_store_code_used(test->store, "two"));
	assert_int_equal(setting_set(test, "workers_max", 2), 0);
	assert_false(weir_store_code_used(test->store, "two"));
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM history_code"), 0);
}

static void changes_of_another_program_get_a_line_of_their_own(void **state)
{
	struct store_test *test = opened(state);
	struct lines lines;

	assert_int_equal(function_add(test, "a"), 0);
	assert_false(weir_history_look(test->store));
	store_test_run(test, "weir.db", "INSERT INTO settings VALUES ('workers_max', 3)");
	assert_int_equal(function_add(test, "b"), 0);
	assert_true(weir_history_look(test->store)); /* it was noticed there */
	assert_false(weir_history_look(test->store));
	lines = lines_of(test);
	assert_int_equal(lines.count, 3);
	assert_int_equal(lines.line[0].generation, 3);
	assert_int_equal(lines.line[1].generation, 2);
	assert_string_equal(lines.line[1].author.from, "another program");
	assert_false(lines.line[1].is_known);
	store_test_run(test, "weir.db", "DELETE FROM settings");
	assert_true(weir_history_look(test->store));
	assert_int_equal(weir_store_generation(test->store), 4);
	assert_int_equal(lines_of(test).count, 4);
}

static void reading_by_another_program_leaves_no_line(void **state)
{
	struct store_test *test = opened(state);

	assert_int_equal(function_add(test, "a"), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 1);
		store_test_run(test, "weir.db", "PRAGMA wal_checkpoint(PASSIVE)");
		assert_false(weir_history_look(test->store));
		assert_int_equal(setting_set(test, "workers_max", (uint64_t)i), 0);
	}
	assert_int_equal(lines_of(test).count, 6);
}

static void a_line_stands_and_falls_with_its_change(void **state)
{
	struct store_test *test = opened(state);
	sqlite3 *other = NULL;

	assert_int_equal(function_add(test, "a"), 0);
	other = store_test_foreign(test, "weir.db");
	store_test_sql(other, "BEGIN IMMEDIATE");
	assert_int_equal(function_add(test, "b"), -EAGAIN);
	store_test_sql(other, "ROLLBACK");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(lines_of(test).count, 1);
	/* Where the line cannot be written the change is not made. */
	store_test_run(test, "weir.db",
		       "CREATE TRIGGER no BEFORE INSERT ON history WHEN new.origin = 'ctrld' "
		       "BEGIN SELECT raise(ABORT, 'no'); END");
	assert_int_equal(function_add(test, "b"), -EEXIST);
	store_test_run(test, "weir.db", "DROP TRIGGER no");
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 1);
	assert_int_equal(function_add(test, "b"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HISTORY_TEST(function) \
	cmocka_unit_test_setup_teardown(function, store_test_setup, store_test_teardown)
		HISTORY_TEST(each_change_leaves_one_line_and_a_refused_one_none),
		HISTORY_TEST(changes_within_one_leave_one_line),
		HISTORY_TEST(rows_of_the_public_table_are_said_to_come_from_there),
		HISTORY_TEST(oldest_lines_go_beyond_the_number_that_is_set),
		HISTORY_TEST(oldest_lines_go_beyond_the_bytes_that_are_set),
		HISTORY_TEST(code_of_a_removed_version_is_kept_as_long_as_its_line),
		HISTORY_TEST(changes_of_another_program_get_a_line_of_their_own),
		HISTORY_TEST(reading_by_another_program_leaves_no_line),
		HISTORY_TEST(a_line_stands_and_falls_with_its_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
