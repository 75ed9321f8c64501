#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "ctrl/store/history_internal.h"
#include "tests/store/store_test.h"

enum { GENERATIONS_MAX = 1024, STEPS = 400, NAMES = 5 };

static void report_nothing(void *context, const struct weir_public_row *row, enum weir_public_event event)
{
	(void)context;
	(void)row;
	(void)event;
}

/* Take the public table's rows in, as weir-ctrld does. True: something changed. */
static bool rows_sync(struct store_test *test)
{
	bool changed = false;

	test->rows.report = report_nothing;
	assert_int_equal(weir_public_rows_sync(&test->rows, test->table, weir_store_generation(test->store) + 1,
					       &changed, &test->error),
			 0);
	if (changed)
		assert_int_equal(weir_public_rows_save(&test->rows, test->store, &test->error), 0);
	return changed;
}

/* With a public table, in which the other program's rows are. */
static struct store_test *opened_with_table(void **state)
{
	struct store_test *test = store_test_opened(state);
	bool made = false;

	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &test->error), 0);
	assert_false(rows_sync(test));
	return test;
}

static void row_write(struct store_test *test, const char *key, const char *file)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "INSERT OR REPLACE INTO functions (k, v) VALUES "
		       "('%s', '{\"module\":\"/srv/%s\",\"handler\":\"main\"}')",
		       key, file);
	store_test_run(test, "faas_meta.db", text);
}

static int change_count(void *context, const struct weir_history_change *change)
{
	assert_true(change->name[0] != '\0');
	++*(size_t *)context;
	return 0;
}

static int rollback(struct store_test *test, uint64_t generation, bool is_dry,
		    struct weir_history_outcome *outcome)
{
	size_t count = 0;
	const struct weir_history_rollback wanted = {
		.generation = generation, .is_dry = is_dry, .visit = change_count, .context = &count};
	const int code = weir_history_rollback(test->store, test->table, &wanted, outcome, &test->error);

	assert_true(code != 0 || count == outcome->changes);
	return code;
}

/* And what its caller does then: the rows in memory are those that came back. */
static void rollback_well(struct store_test *test, uint64_t generation)
{
	struct weir_history_outcome outcome;

	if (rollback(test, generation, false, &outcome) != 0)
		fail_msg("%s", test->error.text);
	if (!outcome.is_committed)
		return;
	assert_int_equal(weir_public_rows_load(&test->rows, test->store, &test->error), 0);
	assert_false(rows_sync(test)); /* the table has the same */
}

/* Everything that is configured, as text; versions of functions and rows only grow, and are left out. */
static char *dump(const struct store_test *test, const char *name, const char *query)
{
	sqlite3 *db = store_test_foreign(test, name);
	sqlite3_stmt *statement = NULL;
	char *text = NULL;

	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(statement, 0));
	assert_non_null(text);
	(void)sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return text;
}

#define ROWS(columns, table, order)                                                       \
	"coalesce((SELECT group_concat('" table " ' || " columns ", char(10)) FROM (SELECT * " \
	"FROM " table " ORDER BY " order ")), '') || char(10) || "

static char *store_dump(const struct store_test *test)
{
	return dump(test, "weir.db",
		    "SELECT " ROWS("id || space || name || code_path || timeout_ms || number || owner || details",
				   "functions", "id")
			    ROWS("id || ' ' || function_id || ' ' || methods || pattern || timeout_ms", "routes", "id")
				    ROWS("name || value", "settings", "name")
					    ROWS("k || v", "public_rows", "k")
						    ROWS("function_id || ' ' || number || ' ' || created || code",
							 "versions", "function_id, number")
							    ROWS("function_id || name || value || secret",
								 "variables", "function_id, name")
								    ROWS("pool || name || value",
									 "pool_settings", "pool, name")
									    ROWS("id || description",
										 "details", "id") "''");
}

/* The rows that serve, from either file. */
static void assert_rows_agree(const struct store_test *test)
{
	char *kept = dump(test, "weir.db", "SELECT " ROWS("k || v", "public_rows", "k") "''");
	char *there = dump(test, "faas_meta.db",
			   "SELECT coalesce((SELECT group_concat('public_rows ' || k || v, char(10)) FROM "
			   "(SELECT * FROM functions ORDER BY k)), '') || char(10)");

	assert_string_equal(kept, there);
	free(kept);
	free(there);
}

/* One step of somebody's day; may be refused, as days are. */
static void step_play(struct store_test *test, unsigned pick, unsigned *random)
{
	static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};
	const char *name = names[(unsigned)rand_r(random) % NAMES];
	struct weir_store_version version;
	struct weir_model_function function = store_test_function(name);
	const struct weir_model_details details = {.description = "said"};
	const struct weir_store_variables variables = {
		.variable = {{"KEY", pick % 3 == 0 ? NULL : name, pick % 3 == 0 ? 0 : 1, pick % 2 == 0}},
		.count = 1};
	const struct weir_store_deployment deployment = {
		.code = name, .versions_max = 2, .variables = &variables, .details = pick % 2 == 0 ? &details : NULL};
	const struct weir_store_pool_setting setting = {.name = "alpha", .is_unset = pick % 2 == 0, .value = pick};
	struct weir_model_route route = {.space = "default", .methods = 1, .timeout_ms = pick};
	uint32_t number = 0;

	(void)snprintf(route.pattern, sizeof(route.pattern), "/%s", names[(unsigned)rand_r(random) % NAMES]);
	(void)snprintf(route.name, sizeof(route.name), "%s", name);
	function.timeout_ms = pick + 1;
	switch (pick % 11) {
	case 0:
		(void)store_test_function_add(test, name);
		break;
	case 1:
		(void)weir_store_function_remove(test->store, "default", name, &test->error);
		break;
	case 2:
	case 3:
		(void)weir_store_deploy(test->store, &function, &deployment, &number, &test->error);
		break;
	case 4:
		(void)weir_store_variables_change(test->store, "default", name, &variables, &test->error);
		break;
	case 5:
		(void)weir_store_route_add(test->store, &route, &test->error);
		break;
	case 6:
		(void)weir_store_route_update(test->store, &route, &test->error);
		break;
	case 7:
		(void)weir_store_route_remove(test->store, &route, &test->error);
		break;
	case 8:
		(void)store_test_setting_set(test, "workers_max", pick);
		(void)weir_store_pool_change(test->store, "default/native", false, &setting, 1, &test->error);
		break;
	case 9:
		(void)weir_store_rollback(test->store, "default", name, 0, &version, &test->error);
		break;
	default:
		if (pick % 2 == 0)
			row_write(test, name[0] < 'c' ? "GET:/one" : "GET:/two", name);
		else
			store_test_run(test, "faas_meta.db", "DELETE FROM functions WHERE k = 'GET:/one'");
		(void)rows_sync(test);
		break;
	}
}

static void any_generation_can_be_made_again(void **state)
{
	struct store_test *test = opened_with_table(state);
	char *was[GENERATIONS_MAX] = {NULL};
	const unsigned seed = getenv("WEIR_TEST_SEED") == NULL ? (unsigned)time(NULL)
						      : (unsigned)atol(getenv("WEIR_TEST_SEED"));
	unsigned random = seed;
	uint64_t newest = 0;

	print_message("seed %u\n", seed);
	was[0] = store_dump(test);
	for (int i = 0; i < STEPS; i++) {
		const uint64_t before = weir_store_generation(test->store);
		const int64_t ids = store_test_number(test, "weir.db", "SELECT value FROM meta WHERE name = 'id'");
		const uint64_t back = (unsigned)rand_r(&random) % (before + 1);

		if (rand_r(&random) % 6 != 0) {
			step_play(test, (unsigned)rand_r(&random) % 1000, &random);
		} else if (was[back] != NULL) {
			char *now = NULL;

			rollback_well(test, back);
			now = store_dump(test);
			assert_string_equal(now, was[back]);
			free(now);
			assert_rows_agree(test);
			assert_int_equal(store_test_number(test, "weir.db",
							   "SELECT count(*) FROM pragma_foreign_key_check"),
					 0);
			assert_true(weir_store_generation(test->store) <= before + 1);
		}
		assert_true(store_test_number(test, "weir.db", "SELECT value FROM meta WHERE name = 'id'") >= ids);
		newest = weir_store_generation(test->store);
		assert_true(newest >= before && newest < GENERATIONS_MAX);
		if (was[newest] == NULL)
			was[newest] = store_dump(test);
	}
	for (uint64_t i = 0; i <= newest; i++)
		free(was[i]);
}

static void rollback_is_one_change_with_a_line_and_can_be_undone(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_history_outcome outcome;
	struct weir_model_function function;
	uint64_t version = 0;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 7), 0);
	assert_int_equal(rollback(test, 1, true, &outcome), 0);
	assert_int_equal(outcome.changes, 2);
	assert_false(outcome.is_committed);
	assert_int_equal(weir_store_generation(test->store), 3);
	assert_int_equal(rollback(test, 1, false, &outcome), 0);
	assert_true(outcome.is_committed);
	assert_int_equal(weir_store_generation(test->store), 4);
	assert_int_equal(weir_store_function_find(test->store, "default", "b", &function, &test->error), -ENOENT);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM history"), 4);
	assert_int_equal(rollback(test, 3, false, &outcome), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "b", &function, &test->error), 0);
	assert_int_equal(function.version, 5); /* whoever has it loads it anew */
	version = function.id;
	assert_int_equal(store_test_function_add(test, "c"), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "c", &function, &test->error), 0);
	assert_true(function.id > version);
	/* Where nothing differs nothing is done. */
	assert_int_equal(rollback(test, 6, false, &outcome), 0);
	assert_int_equal(outcome.changes, 0);
	assert_false(outcome.is_committed);
	assert_int_equal(weir_store_generation(test->store), 6);
}

static void code_that_is_not_there_any_more_is_named(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_model_function function = store_test_function("a");
	const struct weir_store_deployment deployment = {.code = "hash", .versions_max = 3};
	struct weir_history_outcome outcome;
	uint32_t number = 0;

	(void)snprintf(function.code_path, sizeof(function.code_path), "%s/code/hash/f.so", test->directory);
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_int_equal(rollback(test, 1, true, &outcome), -ENODATA);
	assert_int_equal(rollback(test, 1, false, &outcome), -ENODATA);
	assert_non_null(strstr(test->error.text, "generation 1 cannot be restored: default/a needs "));
	assert_non_null(strstr(test->error.text, "/code/hash/f.so, which is not there any more"));
	assert_false(outcome.is_committed);
	assert_int_equal(weir_store_generation(test->store), 2);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), -ENOENT);
	/* Rules between tables are enforced again. */
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
}

/* A line made by hand: `text` as a change of generation `generation`. */
static void line_make(const struct store_test *test, const char *text, int generation)
{
	sqlite3 *db = store_test_foreign(test, "weir.db");
	sqlite3_session *session = NULL;
	sqlite3_stmt *statement = NULL;
	void *changes = NULL;
	int bytes = 0;

	assert_int_equal(sqlite3session_create(db, "main", &session), SQLITE_OK);
	assert_int_equal(sqlite3session_attach(session, "functions"), SQLITE_OK);
	store_test_sql(db, text);
	assert_int_equal(sqlite3session_changeset(session, &bytes, &changes), SQLITE_OK);
	sqlite3session_delete(session);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "INSERT INTO history SELECT max(place) + 1, ?1, 0, -1, '', 'ctrld', 'x', "
					    "'{}', ?2, max(bytes_before), ?3 FROM history",
					    -1, &statement, NULL),
			 SQLITE_OK);
	(void)sqlite3_bind_int(statement, 1, generation);
	(void)sqlite3_bind_blob(statement, 2, changes, bytes, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, weir_history_digest(changes, bytes, (uint64_t)generation));
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	(void)sqlite3_finalize(statement);
	sqlite3_free(changes);
	(void)sqlite3_exec(db, "UPDATE meta SET value = value + 1 WHERE name = 'generation'", NULL, NULL, NULL);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_would_not_pass_the_checks_does_not_come_back(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_history_outcome outcome;
	struct weir_model_function function;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	weir_store_destroy(test->store);
	line_make(test, "UPDATE functions SET timeout_ms = 0", 2); /* an older Weir took it */
	line_make(test, "UPDATE functions SET timeout_ms = 9", 3);
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(rollback(test, 2, false, &outcome), -EINVAL);
	assert_non_null(strstr(test->error.text, "generation 2 cannot be restored: "));
	assert_non_null(strstr(test->error.text, "default/a: timeout"));
	assert_int_equal(rollback(test, 1, false, &outcome), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_int_equal(function.timeout_ms, 1000);
}

static void what_another_program_changed_stops_it_and_nothing_changes(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_history_outcome outcome;

	assert_int_equal(store_test_setting_set(test, "workers_max", 1), 0);
	store_test_run(test, "weir.db", "UPDATE settings SET value = 2");
	assert_int_equal(store_test_setting_set(test, "workers_max", 3), 0);
	assert_int_equal(rollback(test, 1, false, &outcome), -ESTALE);
	assert_non_null(strstr(test->error.text, "another program"));
	assert_int_equal(weir_store_generation(test->store), 3);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT value FROM settings"), 3);
	assert_int_equal(rollback(test, 2, false, &outcome), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT value FROM settings"), 2);
}

static void rows_of_the_public_table_come_back_in_its_own_file(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_history_outcome outcome;
	sqlite3 *other = NULL;

	row_write(test, "GET:/one", "1");
	assert_true(rows_sync(test));
	store_test_run(test, "faas_meta.db", "DELETE FROM functions");
	row_write(test, "GET:/two", "2");
	assert_true(rows_sync(test));
	/* A lock in the way: not now. */
	other = store_test_foreign(test, "faas_meta.db");
	store_test_sql(other, "BEGIN IMMEDIATE");
	assert_int_equal(rollback(test, 1, false, &outcome), -EAGAIN);
	store_test_sql(other, "ROLLBACK");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	/* Somebody wrote what is not known here yet: that comes first. */
	row_write(test, "GET:/three", "3");
	assert_int_equal(rollback(test, 1, false, &outcome), -EAGAIN);
	assert_int_equal(weir_store_generation(test->store), 2);
	assert_true(rows_sync(test));
	rollback_well(test, 1);
	assert_rows_agree(test);
	assert_int_equal(store_test_number(test, "faas_meta.db", "SELECT count(*) FROM functions"), 1);
	assert_non_null(weir_public_rows_find(&test->rows, "GET:/one"));
	rollback_well(test, 3);
	assert_rows_agree(test);
	assert_non_null(weir_public_rows_find(&test->rows, "GET:/three"));
}

static void columns_that_were_added_since_do_not_matter(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_model_function function;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	weir_store_destroy(test->store);
	store_test_run(test, "weir.db", "ALTER TABLE functions ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';"
		       "UPDATE functions SET name = name"); /* as each step of the schema does */
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	rollback_well(test, 1);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "b", &function, &test->error), -ENOENT);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions WHERE colour = 'red'"), 1);
	rollback_well(test, 3);
	assert_int_equal(weir_store_function_find(test->store, "default", "b", &function, &test->error), 0);
}

/* Rows of an old file lack the columns that were added on the way here. */
static void rows_of_an_older_schema_come_back_after_its_migration(void **state)
{
	struct store_test *test = opened_with_table(state);
	struct weir_model_function function;

	weir_store_destroy(test->store);
	store_test_run(test, "weir.db",
		       "ALTER TABLE functions DROP COLUMN owner; ALTER TABLE functions DROP COLUMN image;"
		       "ALTER TABLE functions DROP COLUMN details; ALTER TABLE versions DROP COLUMN image;"
		       "ALTER TABLE versions DROP COLUMN details; DROP TABLE details; DROP TABLE history;"
		       "DROP TABLE history_code; DROP TABLE image_alias; DROP TABLE user; "
		       "DROP TABLE api_key; ALTER TABLE routes DROP COLUMN auth; DELETE FROM meta WHERE name = 'history_oldest';"
		       "INSERT INTO functions VALUES (7, 1, 'default', 'a', 'native', '/srv/a.so', '', 1000, 64, 10, 1, '');"
		       "INSERT INTO versions VALUES (7, 1, 1, 'hash', 'native', '/srv/a.so', '', 1000, 64, 10, '');"
		       "UPDATE meta SET value = 10 WHERE name = 'generation'; PRAGMA user_version = 5");
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, true, &test->error), 0);
	assert_int_equal(store_test_setting_set(test, "workers_max", 1), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	rollback_well(test, 10);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM versions WHERE details = 0"), 1);
	rollback_well(test, 11);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT value FROM settings"), 1);
}

#ifdef WEIR_FAULT_POINTS
/* A row that is "1" in generation 1 and "2" in generation 2, a setting in generation 3; then, in a process of
 * its own, a rollback to 1 that meets a fault: *out_status. The store is open again afterwards. */
static struct store_test *rolled_back_with_fault(void **state, const char *fault, int *out_status)
{
	struct store_test *test = opened_with_table(state);
	struct weir_history_outcome outcome;
	pid_t child = 0;

	row_write(test, "GET:/one", "1");
	assert_true(rows_sync(test));
	row_write(test, "GET:/one", "2");
	assert_true(rows_sync(test));
	assert_int_equal(store_test_setting_set(test, "workers_max", 3), 0);
	/* Connections do not pass a fork. */
	weir_store_destroy(test->store);
	weir_public_table_destroy(test->table);
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_public_table_create(test->directory, &test->table), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)setenv("WEIR_FAULT", fault, 1);
		if (weir_store_open(test->store, false, &test->error) != 0 || rows_sync(test))
			_exit(2);
		_exit(rollback(test, 1, false, &outcome) == -EIO && outcome.is_committed &&
				      strstr(test->error.text, "rows of the public table stay: ") != NULL
			      ? 1
			      : 0);
	}
	assert_int_equal(waitpid(child, out_status, 0), child);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	return test;
}

/* weir.db is back, the table is not: as at every start, its newer row is taken as the table's change. */
static void assert_half_is_found(struct store_test *test)
{
	assert_int_equal(weir_store_generation(test->store), 4);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM settings"), 0);
	assert_int_equal(weir_public_rows_load(&test->rows, test->store, &test->error), 0);
	assert_true(rows_sync(test));
	assert_int_equal(weir_store_generation(test->store), 5);
	assert_rows_agree(test);
	assert_int_equal(store_test_number(test, "weir.db",
					   "SELECT count(*) FROM history WHERE generation = 5 AND "
					   "origin = 'public table'"),
			 1);
}

static void table_that_cannot_be_written_is_said_and_found(void **state)
{
	int status = 0;
	struct store_test *test = rolled_back_with_fault(state, "public_table_edit_commit:fail:1", &status);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_half_is_found(test);
}

static void crash_between_the_two_files_is_found_and_can_be_repaired(void **state)
{
	int status = 0;
	struct store_test *test = rolled_back_with_fault(state, "rollback_between_files:kill:1", &status);

	assert_true(WIFSIGNALED(status));
	assert_half_is_found(test);
	rollback_well(test, 1);
	assert_rows_agree(test);
	assert_int_equal(store_test_number(test, "faas_meta.db",
					   "SELECT count(*) FROM functions WHERE v LIKE '%/srv/1%'"),
			 1);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HISTORY_TEST(function) \
	cmocka_unit_test_setup_teardown(function, store_test_setup, store_test_teardown)
#ifdef WEIR_FAULT_POINTS
		/* First, and in this order: which fault is wanted is asked once in a process, at the first point that
		 * is passed; so this one must not pass any before its children do. */
		HISTORY_TEST(table_that_cannot_be_written_is_said_and_found),
		HISTORY_TEST(crash_between_the_two_files_is_found_and_can_be_repaired),
#endif
		HISTORY_TEST(any_generation_can_be_made_again),
		HISTORY_TEST(rollback_is_one_change_with_a_line_and_can_be_undone),
		HISTORY_TEST(code_that_is_not_there_any_more_is_named),
		HISTORY_TEST(what_would_not_pass_the_checks_does_not_come_back),
		HISTORY_TEST(what_another_program_changed_stops_it_and_nothing_changes),
		HISTORY_TEST(rows_of_the_public_table_come_back_in_its_own_file),
		HISTORY_TEST(columns_that_were_added_since_do_not_matter),
		HISTORY_TEST(rows_of_an_older_schema_come_back_after_its_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
