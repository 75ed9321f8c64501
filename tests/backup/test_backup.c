#include <signal.h>
#include <sys/resource.h>

#include "tests/backup/backup_test.h"

static int setup(void **state)
{
	struct backup_test *test = backup_test_open();

	backup_test_fill(test);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	backup_test_close(*state);
	return 0;
}

static int64_t number_in(const char *path, const char *text)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t number = 0;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	number = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	return number;
}

static void backup_is_a_database_that_says_what_it_is(void **state)
{
	struct backup_test *test = *state;

	backup_test_make(test, false);
	assert_int_equal(test->report.functions, 2);
	assert_int_equal(test->report.routes, 2);
	assert_int_equal(test->report.rows, 1);
	assert_int_equal(test->report.codes, 2);
	assert_int_equal(test->report.generation, weir_store_generation(test->store));
	assert_int_equal(number_in(test->file, "PRAGMA application_id"), WEIR_BACKUP_APPLICATION_ID);
	assert_int_equal(number_in(test->file, "PRAGMA user_version"), weir_store_schema_version());
	assert_int_equal(number_in(test->file, "SELECT generation FROM backup"), weir_store_generation(test->store));
	assert_int_equal(number_in(test->file, "SELECT count(*) FROM backup_key"), 0);
	assert_int_equal(number_in(test->file, "SELECT count(*) FROM history"), 0);
	assert_int_equal(number_in(test->file, "SELECT (SELECT value FROM meta WHERE name = 'history_oldest') = "
					       "(SELECT value FROM meta WHERE name = 'generation')"),
			 1);
	assert_int_equal(number_in(test->file, "SELECT count(*) FROM backup_code WHERE path = 'lib/deep/big'"), 2);
	assert_int_equal(number_in(test->file, "SELECT count(*) FROM backup_code WHERE path = 'empty'"), 1);
	assert_int_equal(backup_test_leftovers(test), 0);
}

static void fresh_instance_gets_all_of_it(void **state)
{
	struct backup_test *test = *state;
	struct backup_test *fresh = backup_test_open();
	struct weir_backup_changes changes;
	char hash[WEIR_CODE_HASH_BYTES] = "";
	struct weir_model_function function = {0};

	backup_test_make(test, false);
	backup_test_restore(fresh, test->file, &changes);
	assert_int_equal(changes.part[WEIR_STORE_FUNCTIONS].added, 2);
	assert_int_equal(changes.part[WEIR_STORE_ROUTES].added, 2);
	assert_int_equal(changes.rows.added, 1);
	assert_int_equal(weir_store_function_find(fresh->store, "default", "tree", &function, &fresh->error), 0);
	(void)snprintf(hash, sizeof(hash), "%s", function.code_path + strlen(fresh->directory) + strlen("/code/"));
	/* Files, rights, links, empty folders: as they were. */
	backup_test_shell("cd %s/code/%s && diff -r . %s/t && test -x run && test ! -x index.js && test -d empty && "
			  "test \"$(readlink link)\" = lib/deep",
			  fresh->directory, hash, test->directory);
	assert_int_equal(weir_store_function_find(fresh->store, "default", "one", &function, &fresh->error), 0);
	assert_int_equal(access(function.code_path, R_OK), 0);
	assert_int_equal(backup_test_leftovers(fresh), 0);
	/* And once more: nothing is left to do. */
	backup_test_restore(fresh, test->file, &changes);
	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		assert_int_equal(changes.part[i].added + changes.part[i].changed + changes.part[i].removed, 0);
	backup_test_close(fresh);
}

static void own_backup_changes_nothing(void **state)
{
	struct backup_test *test = *state;
	struct weir_backup_changes changes;
	const uint64_t generation = weir_store_generation(test->store);

	backup_test_make(test, false);
	backup_test_restore(test, test->file, &changes);
	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		assert_int_equal(changes.part[i].added + changes.part[i].changed + changes.part[i].removed, 0);
	assert_int_equal(weir_store_generation(test->store), generation);
}

/* The secret of default/one, as this instance opens it. */
static int secret_read(void *context, const struct weir_model_function *function,
		       const struct weir_store_variable *variable)
{
	const struct backup_test *test = context;
	struct weir_secret *secret = NULL;
	char label[WEIR_SECRET_LABEL_BYTES];
	char plain[64] = "";

	if (!variable->is_secret)
		return 0;
	assert_int_equal(weir_secret_open(test->directory, false, &secret), 0);
	assert_int_equal(weir_secret_unseal(secret, weir_secret_label(function->space, function->name, "S", label),
					    variable->value, variable->bytes, plain),
			 0);
	weir_secret_close(secret);
	assert_string_equal(plain, "sesame");
	return 0;
}

static void secrets_come_with_their_key_only(void **state)
{
	struct backup_test *test = *state;
	struct backup_test *fresh = backup_test_open();
	struct weir_backup_changes changes;

	backup_test_secret(test, "one", "sesame");
	backup_test_make(test, false);
	backup_test_restore(fresh, test->file, &changes);
	assert_int_equal(fresh->report.unopened.count, 1);
	assert_string_equal(fresh->report.unopened.name[0], "default/one");
	/* Here they open. */
	backup_test_restore(test, test->file, &changes);
	assert_int_equal(test->report.unopened.count, 0);
	backup_test_make(test, true);
	assert_true(test->report.has_key);
	backup_test_secret(fresh, "one", "of another key");
	backup_test_restore(fresh, test->file, &changes);
	assert_int_equal(fresh->report.unopened.count, 0);
	assert_int_equal(fresh->report.secrets_sealed_anew, 1);
	assert_int_equal(weir_store_variable_each(fresh->store, secret_read, fresh, &fresh->error), 0);
	/* What is sealed here already is left as it is. */
	backup_test_restore(fresh, test->file, &changes);
	assert_int_equal(changes.part[WEIR_STORE_VARIABLES].changed, 0);
	backup_test_close(fresh);
}

static void look_stores_and_changes_nothing(void **state)
{
	struct backup_test *test = *state;
	struct backup_test *fresh = backup_test_open();
	struct weir_backup_changes changes;
	uint64_t job = 0;

	backup_test_make(test, false);
	assert_int_equal(backup_test_read(fresh, test->file, false, &job), 0);
	assert_int_equal(weir_backup_restore(fresh->backup, job, fresh->store, fresh->table, true, &changes, &fresh->error), 0);
	assert_int_equal(changes.part[WEIR_STORE_FUNCTIONS].added, 2);
	weir_backup_drop(fresh->backup, job);
	backup_test_shell("test -z \"$(ls %s/code)\"", fresh->directory);
	assert_int_equal(weir_store_generation(fresh->store), 0);
	backup_test_close(fresh);
}

static void jobs_are_one_at_a_time_and_can_be_dropped(void **state)
{
	struct backup_test *test = *state;
	struct weir_backup_upload *upload = NULL;
	uint64_t first = 0;
	uint64_t second = 0;
	int code = -EBUSY;

	assert_int_equal(weir_backup_upload_begin(test->backup, 1, &upload), 0);
	assert_int_equal(weir_backup_make(test->backup, false, &first), 0);
	assert_int_equal(weir_backup_make(test->backup, false, &second), -EBUSY);
	assert_int_equal(weir_backup_read(test->backup, upload, true, &second), -EBUSY);
	weir_backup_upload_drop(upload);
	weir_backup_drop(test->backup, first);
	/* The place is free when the dropped one has noticed. */
	while (code == -EBUSY)
		code = weir_backup_make(test->backup, false, &second);
	assert_int_equal(code, 0);
	weir_backup_drop(test->backup, second);
	weir_backup_close(test->backup);
	assert_int_equal(backup_test_leftovers(test), 0);
	assert_int_equal(weir_backup_open(test->directory, test->code, &test->backup), 0);
}

static void what_a_dead_process_left_is_removed(void **state)
{
	struct backup_test *test = *state;

	weir_backup_close(test->backup);
	backup_test_shell("cd %s/transfer && mkdir read-3 && touch backup-1 upload-2 read-3/weir.db read-3/faas_meta.db",
			  test->directory);
	assert_int_equal(weir_backup_open(test->directory, test->code, &test->backup), 0);
	assert_int_equal(backup_test_leftovers(test), 0);
}

static void full_disk_is_said_and_leaves_nothing(void **state)
{
	struct backup_test *test = *state;
	const struct rlimit small = {.rlim_cur = 262144, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct backup_test *fresh = backup_test_open();
	uint64_t job = 0;
	int fd = -1;
	int code = 0;

	backup_test_make(test, false);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(weir_backup_make(test->backup, false, &job), 0);
	code = backup_test_wait(test, job, false, &fd);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(code, -ENOSPC);
	assert_non_null(strstr(test->error.text, "room"));
	assert_int_equal(backup_test_leftovers(test), 0);
	backup_test_close(fresh);
}

static void damaged_code_is_not_taken_for_sound(void **state)
{
	struct backup_test *test = *state;
	struct weir_backup_changes changes;
	struct weir_model_function function = {0};
	uint64_t job = 0;

	backup_test_make(test, false);
	assert_int_equal(weir_store_function_find(test->store, "default", "one", &function, &test->error), 0);
	backup_test_shell("chmod u+w %s && echo 'export default () => 2' > %s", function.code_path, function.code_path);
	assert_int_equal(backup_test_read(test, test->file, true, &job), -EIO);
	assert_non_null(strstr(test->error.text, "damaged"));
	backup_test_shell("d=$(dirname %s) && chmod -R u+w $d && rm -r $d", function.code_path);
	backup_test_restore(test, test->file, &changes);
	backup_test_shell("grep -q '=> 1' %s", function.code_path);
}

static void code_that_is_missing_is_named(void **state)
{
	struct backup_test *test = *state;
	uint64_t job = 0;
	int fd = -1;

	backup_test_shell("chmod -R u+w %s/code && rm -rf %s/code/*", test->directory, test->directory);
	assert_int_equal(weir_backup_make(test->backup, false, &job), 0);
	assert_int_equal(backup_test_wait(test, job, false, &fd), -ENOENT);
	assert_non_null(strstr(test->error.text, "missing"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(backup_is_a_database_that_says_what_it_is),
		TEST(fresh_instance_gets_all_of_it),
		TEST(own_backup_changes_nothing),
		TEST(secrets_come_with_their_key_only),
		TEST(look_stores_and_changes_nothing),
		TEST(jobs_are_one_at_a_time_and_can_be_dropped),
		TEST(what_a_dead_process_left_is_removed),
		TEST(full_disk_is_said_and_leaves_nothing),
		TEST(damaged_code_is_not_taken_for_sound),
		TEST(code_that_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
