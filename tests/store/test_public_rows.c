#include <time.h>

#include "tests/store/store_test.h"

#define GOOD  "{\"module\":\"/srv/a.php\",\"handler\":\"main\",\"runtime\":\"php\"}"
#define GOOD2 "{\"module\":\"/srv/b.php\",\"handler\":\"main\",\"runtime\":\"php\"}"

static void report(void *context, const struct weir_public_row *row,
		   enum weir_public_event event)
{
	struct store_test *test = context;

	assert_non_null(row->key);
	test->taken += event == WEIR_PUBLIC_ROW_TAKEN ? 1 : 0;
	test->refused += event == WEIR_PUBLIC_ROW_REFUSED ? 1 : 0;
	test->gone += event == WEIR_PUBLIC_ROW_GONE ? 1 : 0;
}

static struct store_test *opened(void **state)
{
	struct store_test *test = *state;
	bool made = false;

	assert_int_equal(weir_store_open(test->store, true, &test->error), 0);
	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &test->error),
			 0);
	assert_true(made);
	return test;
}

static int sync_try(struct store_test *test, bool *out_changed)
{
	test->rows.report = report;
	test->rows.report_context = test;
	test->taken = 0;
	test->refused = 0;
	test->gone = 0;
	return weir_public_rows_sync(&test->rows, test->table,
				     weir_store_generation(test->store) + 1, out_changed,
				     &test->error);
}

/* Sync; returns whether something that is published changed. */
static bool sync_now(struct store_test *test)
{
	bool changed = false;

	assert_int_equal(sync_try(test, &changed), 0);
	if (changed)
		assert_int_equal(weir_public_rows_save(&test->rows, test->store, &test->error),
				 0);
	return changed;
}

static void foreign(struct store_test *test, const char *text)
{
	store_test_run(test, "faas_meta.db", text);
}

static void table_is_exactly_the_published_one(void **state)
{
	struct store_test *test = opened(state);

	assert_int_equal(
		store_test_number(test, "faas_meta.db",
				  "SELECT count(*) FROM sqlite_schema WHERE type='table'"),
		1);
	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(store_test_number(test, "faas_meta.db", "SELECT updated FROM functions") >
		    1000000000);
	assert_int_equal(store_test_number(test, "faas_meta.db",
					   "SELECT count(*) FROM pragma_index_info("
					   "(SELECT name FROM sqlite_schema WHERE type='index' "
					   "AND sql IS NOT NULL)) "
					   "WHERE name='updated'"),
			 1);
}

static void inserts_changes_and_deletes_by_others_are_seen(void **state)
{
	struct store_test *test = opened(state);

	assert_false(sync_now(test));
	assert_false(weir_public_table_changed(test->table));
	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD
		      "'), ('GET:/b', '" GOOD "')");
	assert_true(weir_public_table_changed(test->table));
	assert_true(sync_now(test));
	assert_int_equal(test->taken, 2);
	assert_int_equal(test->rows.count, 2);
	assert_false(weir_public_table_changed(test->table));
	/* The C seed looked at `updated` and missed this one. */
	foreign(test, "UPDATE functions SET v = '" GOOD2 "' WHERE k = 'GET:/a'");
	assert_true(weir_public_table_changed(test->table));
	assert_true(sync_now(test));
	assert_string_equal(weir_public_rows_find(&test->rows, "GET:/a")->function.code_path,
			    "/srv/b.php");
	/* ... and this one. */
	foreign(test, "DELETE FROM functions WHERE k = 'GET:/b'");
	assert_true(sync_now(test));
	assert_int_equal(test->gone, 1);
	assert_null(weir_public_rows_find(&test->rows, "GET:/b"));
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM public_rows"),
			 1);
	foreign(test, "UPDATE functions SET updated = 1");
	assert_false(sync_now(test));
}

static void version_grows_with_a_change_and_id_stays(void **state)
{
	struct store_test *test = opened(state);
	uint64_t id = 0;
	uint64_t version = 0;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD
		      "'), ('GET:/b', '" GOOD "')");
	assert_true(sync_now(test));
	id = weir_public_rows_find(&test->rows, "GET:/a")->function.id;
	version = weir_public_rows_find(&test->rows, "GET:/a")->function.version;
	assert_true(id != weir_public_rows_find(&test->rows, "GET:/b")->function.id);
	foreign(test, "UPDATE functions SET v = '" GOOD2 "' WHERE k = 'GET:/a'");
	assert_true(sync_now(test));
	assert_int_equal(weir_public_rows_find(&test->rows, "GET:/a")->function.id, id);
	assert_true(weir_public_rows_find(&test->rows, "GET:/a")->function.version > version);
	assert_int_equal(weir_public_rows_find(&test->rows, "GET:/b")->function.version,
			 version);
}

static void bad_row_keeps_its_last_good_version_and_is_reported_once(void **state)
{
	struct store_test *test = opened(state);
	const struct weir_public_row *row = NULL;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	foreign(test, "UPDATE functions SET v = '{\"module\":\"/new/path.wasm\",...}'");
	assert_false(sync_now(test));
	assert_int_equal(test->refused, 1);
	row = weir_public_rows_find(&test->rows, "GET:/a");
	assert_string_equal(row->error.field, "v");
	assert_true(row->error.reason[0] != '\0');
	assert_string_equal(row->function.code_path, "/srv/a.php");
	foreign(test, "UPDATE functions SET updated = 1");
	assert_false(sync_now(test));
	assert_int_equal(test->refused, 0);
	foreign(test, "UPDATE functions SET v = '{\"module\":7,\"handler\":\"main\"}'");
	assert_false(sync_now(test));
	assert_int_equal(test->refused, 1);
	row = weir_public_rows_find(&test->rows, "GET:/a");
	assert_string_equal(row->error.field, "v.module");
	/* Back to what was good: taken, the report ends. */
	foreign(test, "UPDATE functions SET v = '" GOOD "'");
	(void)sync_now(test);
	row = weir_public_rows_find(&test->rows, "GET:/a");
	assert_string_equal(row->error.field, "");
}

static void last_good_version_of_a_bad_row_outlives_a_restart(void **state)
{
	struct store_test *test = opened(state);
	const struct weir_public_row *row = NULL;
	uint64_t version = 0;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	version = test->rows.rows[0].function.version;
	foreign(test, "UPDATE functions SET v = 'broken'");
	assert_false(sync_now(test));
	weir_public_rows_release(&test->rows);
	memset(&test->rows, 0, sizeof(test->rows));
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_public_rows_load(&test->rows, test->store, &test->error), 0);
	assert_false(sync_now(test));
	assert_int_equal(test->refused, 1);
	row = weir_public_rows_find(&test->rows, "GET:/a");
	assert_string_equal(row->function.code_path, "/srv/a.php");
	assert_int_equal(row->function.version, version);
}

static void row_that_was_never_good_serves_nothing(void **state)
{
	struct store_test *test = opened(state);
	struct weir_store_catalog catalog = {0};

	foreign(test, "INSERT INTO functions (k, v) VALUES ('nonsense', '" GOOD
		      "'), ('GET:/x', x'00ff'), "
		      "('GET:/n', 'a' || char(0) || 'b')");
	assert_false(sync_now(test));
	assert_int_equal(test->refused, 3);
	assert_int_equal(weir_public_rows_append(&test->rows, &catalog), 0);
	assert_int_equal(catalog.route_count, 0);
	assert_string_equal(weir_public_rows_find(&test->rows, "GET:/x")->error.reason,
			    "must be text");
	weir_store_catalog_release(&catalog);
}

static void missing_file_keeps_the_rows_and_a_new_file_is_followed(void **state)
{
	struct store_test *test = opened(state);
	char path[128];
	bool changed = false;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	store_test_path(test, "faas_meta.db", path);
	assert_int_equal(unlink(path), 0);
	assert_true(weir_public_table_changed(test->table));
	assert_int_equal(sync_try(test, &changed), -ENOENT);
	assert_int_equal(test->rows.count, 1);
	/* An empty database is not an empty table. */
	foreign(test, "PRAGMA user_version = 1");
	assert_true(weir_public_table_changed(test->table));
	assert_int_equal(sync_try(test, &changed), -ENOENT);
	assert_int_equal(test->rows.count, 1);
	foreign(test, WEIR_PUBLIC_TABLE_SCHEMA
		"INSERT INTO functions (k, v) VALUES ('GET:/b', '" GOOD2 "')");
	assert_true(weir_public_table_changed(test->table));
	assert_true(sync_now(test));
	assert_int_equal(test->taken, 1);
	assert_int_equal(test->gone, 1);
	assert_non_null(weir_public_rows_find(&test->rows, "GET:/b"));
	/* The new file's log is not swept away by connections to the old one. */
	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/c', '" GOOD "')");
	assert_true(sync_now(test));
	assert_int_equal(
		store_test_number(test, "faas_meta.db", "SELECT count(*) FROM functions"), 2);
}

static void log_of_a_new_file_is_not_swept_away_with_the_old_one(void **state)
{
	struct store_test *test = opened(state);
	sqlite3 *other = NULL;
	char path[128];

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	store_test_path(test, "faas_meta.db", path);
	assert_int_equal(unlink(path), 0);
	store_test_path(test, "faas_meta.db-wal", path);
	assert_int_equal(unlink(path), 0);
	store_test_path(test, "faas_meta.db-shm", path);
	assert_int_equal(unlink(path), 0);
	other = store_test_foreign(test, "faas_meta.db");
	store_test_sql(other, "PRAGMA journal_mode = WAL;" WEIR_PUBLIC_TABLE_SCHEMA
			      "INSERT INTO functions (k, v) VALUES ('GET:/b', '" GOOD "')");
	assert_true(weir_public_table_changed(test->table));
	store_test_path(test, "faas_meta.db-wal", path);
	assert_int_equal(access(path, F_OK), 0);
	assert_true(sync_now(test));
	assert_non_null(weir_public_rows_find(&test->rows, "GET:/b"));
	store_test_sql(other, "INSERT INTO functions (k, v) VALUES ('GET:/c', '" GOOD "')");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_true(sync_now(test));
	assert_int_equal(test->rows.count, 2);
}

static void damaged_file_keeps_the_rows(void **state)
{
	struct store_test *test = opened(state);
	bool changed = false;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	foreign(test, "PRAGMA wal_checkpoint(TRUNCATE)");
	(void)sync_now(test);
	store_test_damage(test, "faas_meta.db");
	assert_true(weir_public_table_changed(test->table));
	assert_int_equal(sync_try(test, &changed), -EBADMSG);
	assert_non_null(strstr(test->error.text, "damaged"));
	assert_int_equal(test->rows.count, 1);
	assert_true(weir_public_table_changed(test->table));
}

static void foreign_writer_stops_our_writes_but_not_our_reads(void **state)
{
	struct store_test *test = opened(state);
	sqlite3 *other = NULL;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD "')");
	assert_true(sync_now(test));
	other = store_test_foreign(test, "faas_meta.db");
	store_test_sql(other,
		       "BEGIN IMMEDIATE; INSERT INTO functions (k, v) VALUES ('GET:/b', '" GOOD
		       "')");
	assert_int_equal(weir_public_table_remove(test->table, "GET:/a", &test->error),
			 -EAGAIN);
	assert_false(sync_now(test));
	assert_int_equal(test->rows.count, 1);
	store_test_sql(other, "COMMIT");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_true(weir_public_table_changed(test->table));
	assert_true(sync_now(test));
	assert_int_equal(weir_public_table_remove(test->table, "GET:/a", &test->error), 0);
	assert_int_equal(weir_public_table_remove(test->table, "GET:/a", &test->error),
			 -ENOENT);
	assert_true(sync_now(test));
	assert_int_equal(test->rows.count, 1);
}

static void we_lock_nobody_out(void **state)
{
	struct store_test *test = opened(state);
	sqlite3 *other = NULL;

	assert_false(sync_now(test));
	/* Without a busy timeout, as the sqlite3 program begins. */
	other = store_test_foreign(test, "faas_meta.db");
	for (int i = 0; i < 50; i++) {
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "INSERT INTO functions (k, v) VALUES ('GET:/%d', '" GOOD "')",
			       i);
		store_test_sql(other, text);
		assert_true(sync_now(test));
	}
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(test->rows.count, 50);
}

static void vanished_table_comes_back_from_the_last_good_rows(void **state)
{
	struct store_test *test = opened(state);
	struct weir_public_rows_walk walk = {.rows = &test->rows};
	char path[128];
	bool made = false;

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" GOOD
		      "'), ('GET:/b', '" GOOD2 "')");
	assert_true(sync_now(test));
	store_test_path(test, "faas_meta.db", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(weir_public_table_make(test->table, weir_public_rows_next, &walk,
						&made, &test->error),
			 0);
	assert_true(made);
	walk.at = 0;
	assert_int_equal(weir_public_table_make(test->table, weir_public_rows_next, &walk,
						&made, &test->error),
			 0);
	assert_false(made);
	assert_false(sync_now(test));
	assert_int_equal(test->rows.count, 2);
	assert_int_equal(
		store_test_number(test, "faas_meta.db", "SELECT count(*) FROM functions"), 2);
}

static void script_recreates_the_table_as_it_is_published(void **state)
{
	struct store_test *test = opened(state);
	char command[320];

	foreign(test, "INSERT INTO functions (k, v) VALUES ('GET:/mine', '" GOOD "')");
	assert_int_equal(weir_public_table_script_write(test->directory), 0);
	assert_int_equal(weir_public_table_script_write(test->directory),
			 0); /* stays as it is */
	(void)snprintf(command, sizeof(command),
		       "cd '%s' && sqlite3 -bail faas_meta.db < init.sql", test->directory);
	if (system("command -v sqlite3 >/dev/null") != 0)
		skip();
	assert_int_equal(system(command), 0);
	assert_true(sync_now(test));
	assert_int_equal(test->rows.count, 3);
	assert_non_null(weir_public_rows_find(&test->rows, "POST:/api/hello"));
	assert_non_null(weir_public_rows_find(&test->rows, "GET:/api/info"));
	assert_string_equal(
		weir_public_rows_find(&test->rows, "POST:/resize")->function.runtime, "php");
	assert_int_equal(
		weir_public_rows_find(&test->rows, "POST:/resize")->function.code_path[0], '/');
}

enum { KEYS = 12, VALUES = 3, ROUNDS = 300 };

/* Any sequence of foreign changes leaves exactly the rows that the table holds, and the published
 * version of each key is the last good one that a sync saw. */
static void random_changes_match_a_plain_model(void **state)
{
	static const char *const values[VALUES] = {GOOD, GOOD2, "broken"};
	struct store_test *test = opened(state);
	int present[KEYS];
	int good[KEYS];
	const unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();

	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < KEYS; i++)
		present[i] = good[i] = -1;
	for (int round = 0; round < ROUNDS; round++) {
		const int key = rand() % KEYS;
		const int value = rand() % (VALUES + 1) - 1;
		size_t count = 0;
		char text[256];

		if (value == -1)
			(void)snprintf(text, sizeof(text),
				       "DELETE FROM functions WHERE k = 'GET:/%d'", key);
		else
			(void)snprintf(text, sizeof(text),
				       "INSERT OR REPLACE INTO functions (k, v) VALUES "
				       "('GET:/%d', '%s')",
				       key, values[value]);
		foreign(test, text);
		present[key] = value;
		if (rand() % 3 == 0)
			continue; /* several commits before one sync */
		(void)sync_now(test);
		for (int i = 0; i < KEYS; i++) {
			const struct weir_public_row *row = NULL;

			good[i] = present[i] == -1 ? -1 : present[i] < 2 ? present[i] : good[i];
			count += present[i] == -1 ? 0 : 1;
			(void)snprintf(text, sizeof(text), "GET:/%d", i);
			row = weir_public_rows_find(&test->rows, text);
			assert_int_equal(row != NULL, present[i] != -1);
			if (row == NULL)
				continue;
			assert_int_equal(row->error.field[0] != '\0', present[i] == 2);
			assert_int_equal(row->value != NULL, good[i] != -1);
			if (good[i] != -1)
				assert_string_equal(row->value, values[good[i]]);
		}
		assert_int_equal(test->rows.count, count);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table_is_exactly_the_published_one),
		TEST(inserts_changes_and_deletes_by_others_are_seen),
		TEST(version_grows_with_a_change_and_id_stays),
		TEST(bad_row_keeps_its_last_good_version_and_is_reported_once),
		TEST(last_good_version_of_a_bad_row_outlives_a_restart),
		TEST(row_that_was_never_good_serves_nothing),
		TEST(missing_file_keeps_the_rows_and_a_new_file_is_followed),
		TEST(log_of_a_new_file_is_not_swept_away_with_the_old_one),
		TEST(damaged_file_keeps_the_rows),
		TEST(foreign_writer_stops_our_writes_but_not_our_reads),
		TEST(we_lock_nobody_out),
		TEST(vanished_table_comes_back_from_the_last_good_rows),
		TEST(script_recreates_the_table_as_it_is_published),
		TEST(random_changes_match_a_plain_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
