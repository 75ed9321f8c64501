#include <time.h>

#include "ctrl/store/history.h"
#include "tests/store/store_test.h"

enum { LINES_MAX = 64 };

struct lines {
	size_t count;
	struct weir_history_line line[LINES_MAX];
	char rows[LINES_MAX][128];
};

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

static int deploy(struct store_test *test, const char *name, const char *code)
{
	const struct weir_store_deployment deployment = {.code = code, .versions_max = 1};
	const struct weir_model_function function = store_test_function(name);
	uint32_t number = 0;

	return weir_store_deploy(test->store, &function, &deployment, &number, &test->error);
}

static void each_change_leaves_one_line_and_a_refused_one_none(void **state)
{
	static const struct weir_history_author author = {
		.who = "ada", .uid = 1001, .from = "local socket", .what = "add function b"};
	struct store_test *test = store_test_opened(state);
	struct lines lines;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "a"), -EEXIST);
	assert_int_equal(weir_store_generation_next(test->store, &test->error), 0); /* no row changes */
	weir_history_author_set(test->store, &author);
	assert_false(weir_history_author_offer(test->store, &author));
	assert_int_equal(store_test_function_add(test, "b"), 0);
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
	struct store_test *test = store_test_opened(state);
	struct lines lines;

	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 7), 0);
	assert_int_equal(weir_store_finish(test->store, &test->error), 0);
	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	weir_store_undo(test->store);
	lines = lines_of(test);
	assert_int_equal(lines.count, 1);
	assert_int_equal(lines.line[0].generation, 1);
	assert_string_equal(lines.rows[0], "{\"functions\":1,\"settings\":1}");
}

static void rows_of_the_public_table_are_said_to_come_from_there(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct lines lines;

	test->rows.unsaved = true;
	test->rows.rows = calloc(1, sizeof(*test->rows.rows));
	assert_non_null(test->rows.rows);
	test->rows.count = 1;
	test->rows.rows[0].key = strdup("GET:/x");
	test->rows.rows[0].value = strdup("{}");
	assert_int_equal(weir_public_rows_save(&test->rows, test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	lines = lines_of(test);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.line[1].author.from, "public table");
	assert_string_equal(lines.rows[1], "{\"public_rows\":1}");
	assert_string_equal(lines.line[0].author.from, "ctrld");
}

static void oldest_lines_go_beyond_the_number_that_is_set(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct lines lines;

	assert_int_equal(store_test_setting_set(test, WEIR_HISTORY_GENERATIONS_SETTING, 3), 0);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(store_test_setting_set(test, "workers_max", 10 + i), 0);
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
	struct store_test *test = store_test_opened(state);
	struct lines lines;
	uint64_t bytes = 0;

	assert_int_equal(store_test_setting_set(test, WEIR_HISTORY_BYTES_SETTING,
						WEIR_HISTORY_BYTES_MIN),
			 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
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
	struct store_test *test = store_test_opened(state);

	assert_int_equal(store_test_setting_set(test, WEIR_HISTORY_GENERATIONS_SETTING, 2), 0);
	assert_int_equal(deploy(test, "a", "one"), 0);
	assert_int_equal(deploy(test, "a", "two"), 0); /* one version is kept */
	assert_true(weir_store_code_used(test->store, "one"));
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_true(weir_store_code_used(test->store, "one"));
	assert_true(weir_store_code_used(test->store, "two")); /* gone with its function */
	assert_int_equal(store_test_setting_set(test, "workers_max", 1), 0);
	assert_false(weir_store_code_used(test->store, "one"));
	assert_true(weir_store_code_used(test->store, "two"));
	assert_int_equal(store_test_setting_set(test, "workers_max", 2), 0);
	assert_false(weir_store_code_used(test->store, "two"));
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM history_code"), 0);
}

static void changes_of_another_program_get_a_line_of_their_own(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct lines lines;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_false(weir_history_look(test->store));
	store_test_run(test, "weir.db", "INSERT INTO settings VALUES ('workers_max', 3)");
	assert_int_equal(store_test_function_add(test, "b"), 0);
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
	struct store_test *test = store_test_opened(state);

	assert_int_equal(store_test_function_add(test, "a"), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 1);
		store_test_run(test, "weir.db", "PRAGMA wal_checkpoint(PASSIVE)");
		assert_false(weir_history_look(test->store));
		assert_int_equal(store_test_setting_set(test, "workers_max", (uint64_t)i), 0);
	}
	assert_int_equal(lines_of(test).count, 6);
}

static void a_line_stands_and_falls_with_its_change(void **state)
{
	struct store_test *test = store_test_opened(state);
	sqlite3 *other = NULL;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	other = store_test_foreign(test, "weir.db");
	store_test_sql(other, "BEGIN IMMEDIATE");
	assert_int_equal(store_test_function_add(test, "b"), -EAGAIN);
	store_test_sql(other, "ROLLBACK");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(lines_of(test).count, 1);
	/* Where the line cannot be written the change is not made. */
	store_test_run(test, "weir.db",
		       "CREATE TRIGGER no BEFORE INSERT ON history WHEN new.origin = 'ctrld' "
		       "BEGIN SELECT raise(ABORT, 'no'); END");
	assert_int_equal(store_test_function_add(test, "b"), -EEXIST);
	store_test_run(test, "weir.db", "DROP TRIGGER no");
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 1);
	assert_int_equal(store_test_function_add(test, "b"), 0);
}

/* A difference as text, one thing in a line, sorted: what tests compare. */
struct difference {
	size_t count;
	char line[64][512];
};

static const char *value_text(const struct weir_history_value *value, char out[128])
{
	static const char *const nothing[] = {"", "", "", "(secret)"};

	(void)snprintf(out, 128, "%s", nothing[value->kind]);
	if (value->kind == WEIR_HISTORY_NUMBER)
		(void)snprintf(out, 128, "%lld", (long long)value->number);
	if (value->kind == WEIR_HISTORY_TEXT)
		(void)snprintf(out, 128, "%.*s", (int)value->bytes, value->text);
	return out;
}

static int change_note(void *context, const struct weir_history_change *change)
{
	struct difference *difference = context;
	char *line = difference->line[difference->count++];
	int used = snprintf(line, 512, "%c%s %s", "+-~"[change->operation], change->kind, change->name);
	char from[128];
	char to[128];

	assert_true(difference->count <= 64);
	for (size_t i = 0; i < change->field_count && change->operation == WEIR_HISTORY_CHANGED; i++)
		used += snprintf(line + used, 512 - (size_t)used, " %s %s>%s", change->fields[i].name,
				 value_text(&change->fields[i].from, from),
				 value_text(&change->fields[i].to, to));
	for (size_t i = 0; i < change->field_count && change->operation == WEIR_HISTORY_ADDED; i++) {
		if (strcmp(change->fields[i].name, "value") == 0 ||
		    strcmp(change->fields[i].name, "function") == 0)
			used += snprintf(line + used, 512 - (size_t)used, " %s",
					 value_text(&change->fields[i].to, to));
	}
	return 0;
}

static int compare_lines(const void *left, const void *right)
{
	return strcmp(left, right);
}

static struct difference diff(struct store_test *test, uint64_t from, uint64_t to)
{
	struct difference difference = {.count = 0};

	if (weir_history_diff(test->store, from, to, change_note, &difference, &test->error) != 0)
		fail_msg("%s", test->error.text);
	qsort(difference.line, difference.count, sizeof(difference.line[0]), compare_lines);
	return difference;
}

static void assert_lines(struct difference difference, const char *const *lines)
{
	size_t count = 0;

	for (; lines[count] != NULL; count++) {
		assert_true(count < difference.count);
		assert_string_equal(difference.line[count], lines[count]);
	}
	assert_int_equal(difference.count, count);
}

static int route_add(struct store_test *test, const char *text, const char *name)
{
	struct weir_model_route route = {.space = "default"};
	struct weir_model_error wrong;

	assert_int_equal(weir_model_route_parse(text, &route, &wrong), 0);
	(void)snprintf(route.name, sizeof(route.name), "%s", name);
	return weir_store_route_add(test->store, &route, &test->error);
}

static int variable_set(struct store_test *test, const char *name, const char *value, bool is_secret)
{
	const struct weir_store_variables variables = {
		.variable = {{"KEY", value, value == NULL ? 0 : strlen(value), is_secret}}, .count = 1};

	return weir_store_variables_change(test->store, "default", name, &variables, &test->error);
}

static void difference_names_what_people_know_in_both_directions(void **state)
{
	static const char *const forth[] = {"+route GET,POST /x/{id} default/a", "+setting workers_max 7",
					    "+variable default/a KEY one", "~function default/a timeout_ms 1000>2000 number 0>2",
					    NULL};
	static const char *const back[] = {"-route GET,POST /x/{id}", "-setting workers_max",
					   "-variable default/a KEY", "-version default/a 2",
					   "~function default/a timeout_ms 2000>1000 number 2>0", NULL};
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a");
	const struct weir_store_deployment deployment = {.code = "one", .versions_max = 1};
	uint32_t number = 0;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 6), 0);
	assert_int_equal(weir_store_setting_unset(test->store, "workers_max", &test->error), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 7), 0);
	assert_int_equal(route_add(test, "GET,POST /x/{id}", "a"), 0);
	assert_int_equal(variable_set(test, "a", "one", false), 0);
	assert_lines(diff(test, 3, 6), (const char *const[]){forth[0], forth[1], forth[2], NULL});
	assert_lines(diff(test, 6, 6), (const char *const[]){NULL});
	function.timeout_ms = 2000;
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	assert_lines(diff(test, 7, 1), back);
	assert_lines(diff(test, 1, 7), (const char *const[]){forth[0], forth[1], forth[2],
							     "+version default/a 2", forth[3], NULL});
	assert_int_equal(weir_store_generation(test->store), 7); /* looking changes nothing */
	assert_int_equal(lines_of(test).count, 7);
}

static void what_is_gone_is_named_too(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(deploy(test, "a", "one"), 0);
	assert_int_equal(variable_set(test, "a", "one", false), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_lines(diff(test, 2, 3), (const char *const[]){"-function default/a", "-variable default/a KEY",
							     "-version default/a 1", NULL});
	assert_lines(diff(test, 0, 3), (const char *const[]){NULL});
	assert_lines(diff(test, 3, 2),
		     (const char *const[]){"+function default/a", "+variable default/a KEY one",
					   "+version default/a 1", NULL});
}

static void secrets_are_never_shown(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(variable_set(test, "a", "sealed-1", true), 0);
	assert_int_equal(variable_set(test, "a", "sealed-2", true), 0);
	assert_int_equal(variable_set(test, "a", "plain", false), 0);
	assert_lines(diff(test, 1, 2), (const char *const[]){"+variable default/a KEY (secret)", NULL});
	assert_lines(diff(test, 2, 3),
		     (const char *const[]){"~variable default/a KEY value (secret)>(secret)", NULL});
	assert_lines(diff(test, 3, 4),
		     (const char *const[]){"~variable default/a KEY value (secret)>(secret)", NULL});
	assert_int_equal(variable_set(test, "a", "open", false), 0);
	assert_lines(diff(test, 4, 5),
		     (const char *const[]){"~variable default/a KEY value plain>open", NULL});
}

static void what_history_does_not_know_is_refused_with_the_reason(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct difference none = {.count = 0};

	assert_int_equal(weir_history_diff(test->store, 0, 1, change_note, &none, &test->error), -ENOENT);
	assert_non_null(strstr(test->error.text, "no generation 1 yet; the newest is 0"));
	for (uint64_t i = 1; i < 8; i++)
		assert_int_equal(store_test_setting_set(test, WEIR_HISTORY_GENERATIONS_SETTING,
							i == 7 ? 3 : 100 + i),
				 0);
	assert_int_equal(weir_history_diff(test->store, 3, 7, change_note, &none, &test->error), -ENOENT);
	assert_non_null(strstr(test->error.text, "generation 3 is no longer there; history goes back to 4"));
	assert_int_equal(diff(test, 4, 7).count, 1);
	store_test_run(test, "weir.db", "UPDATE settings SET value = 5");
	assert_int_equal(store_test_function_add(test, "a"), 0); /* 8: the other's, 9: this */
	assert_int_equal(diff(test, 8, 9).count, 1);
	assert_int_equal(weir_history_diff(test->store, 7, 9, change_note, &none, &test->error), -ESTALE);
	assert_non_null(strstr(test->error.text, "generation 8 (another program: weir.db was changed from outside)"));
	assert_int_equal(none.count, 0);
	assert_int_equal(store_test_function_add(test, "b"), 0); /* nothing is left open */
}

static void a_row_that_was_changed_while_nobody_looked_is_met(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct difference none = {.count = 0};

	assert_int_equal(store_test_setting_set(test, "workers_max", 1), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 2), 0);
	weir_store_destroy(test->store);
	store_test_run(test, "weir.db", "UPDATE settings SET value = 5");
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_history_diff(test->store, 1, 2, change_note, &none, &test->error), -ESTALE);
	assert_non_null(strstr(test->error.text, "generation 2 cannot be undone: table settings"));
	assert_int_equal(store_test_setting_set(test, "workers_max", 3), 0);
	assert_int_equal(diff(test, 2, 3).count, 1);
}

/* The change of the newest line, as bytes: read, and written by another program. */
static int changes_read(const struct store_test *test, unsigned char *out, int max)
{
	sqlite3 *db = store_test_foreign(test, "weir.db");
	sqlite3_stmt *statement = NULL;
	int bytes = 0;

	assert_int_equal(sqlite3_prepare_v2(db, "SELECT changes FROM history ORDER BY place DESC LIMIT 1", -1,
					    &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	bytes = sqlite3_column_bytes(statement, 0);
	assert_in_range(bytes, 1, max);
	memcpy(out, sqlite3_column_blob(statement, 0), (size_t)bytes);
	(void)sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return bytes;
}

static void changes_write(const struct store_test *test, const unsigned char *data, int bytes)
{
	sqlite3 *db = store_test_foreign(test, "weir.db");
	sqlite3_stmt *statement = NULL;

	assert_int_equal(sqlite3_prepare_v2(db,
					    "UPDATE history SET changes = ?1 WHERE place = (SELECT max(place) FROM "
					    "history)",
					    -1, &statement, NULL),
			 SQLITE_OK);
	(void)sqlite3_bind_blob(statement, 1, data, bytes, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	(void)sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* SQLite would not come back from some of them. */
static void damaged_lines_are_refused_and_harmless(void **state)
{
	enum { BYTES_MAX = 4096, ROUNDS = 60 };
	struct store_test *test = store_test_opened(state);
	unsigned char sound[BYTES_MAX];
	unsigned char bad[BYTES_MAX];
	const unsigned seed = (unsigned)time(NULL);
	unsigned random = seed;
	size_t refused = 0;
	int bytes = 0;

	print_message("seed %u\n", seed);
	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(deploy(test, "a", "one"), 0);
	assert_int_equal(variable_set(test, "a", "value", false), 0);
	assert_int_equal(route_add(test, "GET /x", "a"), 0);
	assert_int_equal(weir_store_finish(test->store, &test->error), 0);
	bytes = changes_read(test, sound, BYTES_MAX);
	for (int i = 0; i < ROUNDS; i++) {
		struct difference difference = {.count = 0};
		const int kept = i % 4 == 0 ? (int)((unsigned)rand_r(&random) % (unsigned)bytes) : bytes;

		memcpy(bad, sound, sizeof(bad));
		for (int flips = i % 4; flips > 0; flips--)
			bad[(unsigned)rand_r(&random) % (unsigned)bytes] = (unsigned char)rand_r(&random);
		weir_store_destroy(test->store);
		changes_write(test, bad, kept);
		assert_int_equal(weir_store_create(test->directory, &test->store), 0);
		assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
		if (kept == bytes && memcmp(bad, sound, (size_t)bytes) == 0)
			continue;
		assert_int_equal(weir_history_diff(test->store, 0, 1, change_note, &difference, &test->error),
				 -EBADMSG);
		assert_non_null(strstr(test->error.text, "what generation 1 changed is damaged"));
		assert_int_equal(weir_store_generation(test->store), 1);
		refused++;
	}
	assert_in_range(refused, ROUNDS / 2, ROUNDS);
	assert_int_equal(store_test_function_add(test, "b"), 0);
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
		HISTORY_TEST(difference_names_what_people_know_in_both_directions),
		HISTORY_TEST(what_is_gone_is_named_too),
		HISTORY_TEST(secrets_are_never_shown),
		HISTORY_TEST(what_history_does_not_know_is_refused_with_the_reason),
		HISTORY_TEST(a_row_that_was_changed_while_nobody_looked_is_met),
		HISTORY_TEST(damaged_lines_are_refused_and_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
