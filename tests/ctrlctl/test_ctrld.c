#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "ctrl/model/builtin.h"
#include "ctrl/publish/publish.h"
#include "dataplane/shm/snapshot.h"
#include "tests/ctrlctl/ctl_test.h"

static struct ctl_output output;

#define ROW "{\"module\":\"/srv/a.php\",\"handler\":\"main\",\"runtime\":\"php\"}"

static void sql(const struct ctl_test *test, const char *text)
{
	char command[2048];

	assert_true(snprintf(command, sizeof(command),
			     "sqlite3 \"$DATA/faas_meta.db\" <<'END'\n.timeout 5000\n%s\nEND",
			     text) < (int)sizeof(command));
	ctl_test_shell(test, command, &output);
	if (output.status != 0)
		fail_msg("%s: %s", text, output.err);
}

/* Routes as `route list` prints them. */
static const char *routes(const struct ctl_test *test)
{
	ctl_test_run(test, "route list", 0, &output);
	return output.out;
}

static const char *status(const struct ctl_test *test)
{
	ctl_test_run(test, "status", 0, &output);
	return output.out;
}

static size_t builtin_count(void)
{
	struct weir_model_function function;
	size_t count = 0;

	while (weir_builtin_function(count, "/data", &function))
		count++;
	return count;
}

static void generations_go_on_over_a_restart_and_over_a_lost_database(void **state)
{
	struct ctl_test *test = *state;
	struct weir_snapshot snapshot = {0};
	uint64_t generation = 0;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	generation = atomic_load(&test->generation);
	assert_int_equal(generation, 2);
	ctl_test_stop(test);
	assert_int_equal(weir_snapshot_attach(test->snapshot_fd, &snapshot), 0);
	assert_int_equal(snapshot.header->generation, generation);
	assert_int_equal(snapshot.function_count, 1 + builtin_count());
	weir_snapshot_detach(&snapshot);
	ctl_test_shell(test, "rm \"$DATA\"/weir.db*", &output);
	const int newest = dup(test->snapshot_fd);

	ctl_test_start(test, newest);
	assert_true(atomic_load(&test->generation) > generation);
	(void)close(newest);
	ctl_test_stop(test);
}

static void kill_loses_nothing_that_was_answered(void **state)
{
	struct ctl_test *test = *state;
	char command[128];

	for (int i = 0; i < 5; i++) {
		ctl_test_start(test, -1);
		(void)snprintf(command, sizeof(command),
			       "fn add f%d --runtime exec --file /bin/cat", i);
		ctl_test_run(test, command, 0, &output);
		ctl_test_kill(test);
	}
	ctl_test_start(test, -1);
	ctl_test_run(test, "fn list", 0, &output);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(command, sizeof(command), "default/f%d", i);
		assert_non_null(strstr(output.out, command));
	}
	assert_int_equal(atomic_load(&test->generation), 11);
	ctl_test_stop(test);
}

/* The generation of the snapshot on the disk. */
static uint64_t saved_generation(const struct ctl_test *test)
{
	struct weir_snapshot snapshot = {0};
	uint64_t generation = 0;
	char path[128];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/snapshot.weir", test->data);
	assert_int_equal(weir_publish_load(path, &fd), 0);
	assert_int_equal(weir_snapshot_attach(fd, &snapshot), 0);
	generation = snapshot.header->generation;
	weir_snapshot_detach(&snapshot);
	(void)close(fd);
	return generation;
}

static void saved_copy_on_disk_is_the_newest_snapshot(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	ctl_test_stop(test);
	assert_int_equal(saved_generation(test), 2);
}

/* Who built it was killed before its copy was on the disk, and the database is of no use any more. */
static void snapshot_that_was_handed_over_is_saved_too(void **state)
{
	struct ctl_test *test = *state;
	int newest = -1;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	ctl_test_kill(test);
	newest = dup(test->snapshot_fd);
	ctl_test_shell(test,
		       "rm -f \"$DATA\"/weir.db-* \"$DATA/snapshot.weir\"; echo nothing >\"$DATA/weir.db\"",
		       &output);
	ctl_test_start(test, newest);
	(void)close(newest);
	ctl_test_stop(test);
	assert_int_equal(saved_generation(test), 2);
}

static void foreign_rows_become_routes_and_leave_again(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	sql(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" ROW "');");
	CTL_TEST_UNTIL(strstr(routes(test), "GET /a") != NULL);
	sql(test, "UPDATE functions SET v = '{\"module\":\"/new/path.wasm\",...}' WHERE k = "
		  "'GET:/a';");
	CTL_TEST_UNTIL(strstr(routes(test), "stale") != NULL);
	assert_non_null(strstr(output.out, "is not JSON"));
	assert_non_null(strstr(status(test), "GET:/a"));
	/* Over a restart too. */
	ctl_test_kill(test);
	ctl_test_start(test, -1);
	assert_non_null(strstr(routes(test), "stale"));
	ctl_test_run(test, "route get 'GET /a'", 0, &output);
	assert_non_null(strstr(output.out, "/srv/a.php"));
	sql(test, "DELETE FROM functions;");
	CTL_TEST_UNTIL(strstr(routes(test), "GET /a") == NULL);
	ctl_test_stop(test);
}

static void rows_are_edited_and_removed_in_their_table(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	sql(test, "INSERT INTO functions (k, v, updated) VALUES "
		  "('GET:/a', "
		  "'{\"module\":\"/"
		  "a.php\",\"handler\":\"main\",\"runtime\":\"php\",\"mine\":[1]}', 1);");
	CTL_TEST_UNTIL(strstr(routes(test), "GET /a") != NULL);
	ctl_test_run(test, "route add 'GET /a' --fn f", 6, &output);
	ctl_test_run(test, "route update 'GET /a' --timeout 7s --memory 99 --file /b.php", 0,
		     &output);
	ctl_test_shell(test,
		       "sqlite3 \"$DATA/faas_meta.db\" 'SELECT v, updated > 1 FROM functions'",
		       &output);
	assert_string_equal(
		output.out,
		"{\"module\":\"/b.php\",\"handler\":\"main\",\"runtime\":\"php\",\"mine\":[1],"
		"\"timeout\":7,\"memory\":99}|1\n");
	ctl_test_run(test, "route update 'GET /a' --fn f", 7, &output);
	ctl_test_run(test, "route update 'GET /a' --memory 0", 7, &output);
	ctl_test_run(test, "route rm 'GET /a'", 0, &output);
	ctl_test_shell(test, "sqlite3 \"$DATA/faas_meta.db\" 'SELECT count(*) FROM functions'",
		       &output);
	assert_string_equal(output.out, "0\n");
	assert_null(strstr(routes(test), "GET /a"));
	ctl_test_stop(test);
}

static void row_in_the_way_of_an_own_route_is_shadowed_until_that_goes(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	ctl_test_run(test, "route add 'GET /a' --fn f", 0, &output);
	sql(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" ROW "');");
	CTL_TEST_UNTIL(strstr(routes(test), "shadowed") != NULL);
	assert_non_null(strstr(status(test), "shadowed"));
	ctl_test_run(test, "route test 'GET /a'", 0, &output);
	assert_non_null(strstr(output.out, "default/f"));
	ctl_test_run(test, "route rm 'GET /a'", 0, &output);
	assert_null(strstr(routes(test), "shadowed"));
	ctl_test_run(test, "route test 'GET /a'", 0, &output);
	assert_non_null(strstr(output.out, "/srv/a.php"));
	ctl_test_stop(test);
}

static void table_that_vanished_while_off_comes_back(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	sql(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" ROW "'), ('GET:/b', '" ROW
		  "');");
	CTL_TEST_UNTIL(strstr(routes(test), "GET /b") != NULL);
	ctl_test_stop(test);
	ctl_test_shell(test, "rm \"$DATA\"/faas_meta.db*", &output);
	ctl_test_start(test, -1);
	assert_non_null(strstr(routes(test), "GET /a"));
	ctl_test_shell(test, "sqlite3 \"$DATA/faas_meta.db\" 'SELECT count(*) FROM functions'",
		       &output);
	assert_string_equal(output.out, "2\n");
	ctl_test_stop(test);
}

static void locked_table_stops_its_own_rows_only(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	sql(test, "INSERT INTO functions (k, v) VALUES ('GET:/a', '" ROW "');");
	CTL_TEST_UNTIL(strstr(routes(test), "GET /a") != NULL);
	ctl_test_shell(test,
		       "coproc sqlite3 \"$DATA/faas_meta.db\"; echo 'BEGIN IMMEDIATE; SELECT "
		       "1;' >&${COPROC[1]}; "
		       "read -r _ <&${COPROC[0]}; "
		       "\"$CTRLCTL\" --data \"$DATA\" fn add f --runtime exec --file /bin/cat; "
		       "echo \"own $?\"; "
		       "\"$CTRLCTL\" --data \"$DATA\" route rm 'GET /a'; echo \"row $?\"; "
		       "echo 'COMMIT;' >&${COPROC[1]}; exec {COPROC[1]}>&-; wait",
		       &output);
	assert_non_null(strstr(output.out, "own 0"));
	assert_non_null(strstr(output.out, "row 1"));
	assert_non_null(strstr(output.err, "lock"));
	ctl_test_run(test, "route rm 'GET /a'", 0, &output);
	ctl_test_stop(test);
}

static void lock_on_our_database_does_not_stop_the_table(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_shell(test,
		       "coproc sqlite3 \"$DATA/weir.db\"; echo 'BEGIN IMMEDIATE; SELECT 1;' "
		       ">&${COPROC[1]}; "
		       "read -r _ <&${COPROC[0]}; sqlite3 \"$DATA/faas_meta.db\" "
		       "\"INSERT INTO functions (k, v) VALUES ('GET:/a', "
		       "'{\\\"module\\\":\\\"/a\\\",\\\"handler\\\":\\\"m\\\"}')\"; "
		       "for i in {1..100}; do \"$CTRLCTL\" --data \"$DATA\" route test 'GET "
		       "/a' >/dev/null 2>&1 && "
		       "{ echo taken; break; }; sleep 0.05; done; "
		       "\"$CTRLCTL\" --data \"$DATA\" fn add f --runtime exec --file /bin/cat; "
		       "echo \"own $?\"; "
		       "echo 'COMMIT;' >&${COPROC[1]}; exec {COPROC[1]}>&-; wait",
		       &output);
	assert_non_null(strstr(output.out, "taken"));
	assert_non_null(strstr(output.out, "own 1"));
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	CTL_TEST_UNTIL(
		(ctl_test_shell(test,
				"sqlite3 \"$DATA/weir.db\" 'SELECT count(*) FROM public_rows'",
				&output),
		 strcmp(output.out, "1\n") == 0));
	ctl_test_stop(test);
}

static void damaged_database_is_reported_and_the_last_snapshot_stays(void **state)
{
	struct ctl_test *test = *state;
	uint64_t generation = 0;
	uint32_t snapshots = 0;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	ctl_test_run(test, "route add 'GET /a' --fn f", 0, &output);
	generation = atomic_load(&test->generation);
	ctl_test_shell(test,
		       "sqlite3 \"$DATA/weir.db\" 'PRAGMA wal_checkpoint(TRUNCATE)' "
		       ">/dev/null; cp \"$DATA/weir.db\" copy; "
		       "dd if=/dev/urandom of=\"$DATA/weir.db\" bs=4096 count=4 conv=notrunc "
		       "2>/dev/null",
		       &output);
	ctl_test_run(test, "fn add g --runtime exec --file /bin/cat", 1, &output);
	assert_non_null(strstr(output.err, "weir.db"));
	CTL_TEST_UNTIL(strstr(status(test), "damaged") != NULL);
	ctl_test_run(test, "route test 'GET /a'", 0, &output);
	assert_int_equal(atomic_load(&test->generation), generation);
	/* A start on it comes up, says so, and does not publish. */
	ctl_test_kill(test);
	snapshots = atomic_load(&test->snapshots);
	const int newest = dup(test->snapshot_fd);

	ctl_test_start(test, newest);
	(void)close(newest);
	assert_non_null(strstr(status(test), "damaged"));
	ctl_test_run(test, "route test 'GET /a'", 0, &output);
	assert_int_equal(atomic_load(&test->snapshots), snapshots);
	/* Restored from a copy, it goes on by itself. */
	ctl_test_shell(test, "rm -f \"$DATA\"/weir.db*; cp copy \"$DATA/weir.db\"", &output);
	CTL_TEST_UNTIL(strstr(status(test), "damaged") == NULL);
	ctl_test_run(test, "fn add g --runtime exec --file /bin/cat", 0, &output);
	assert_true(atomic_load(&test->generation) > generation);
	ctl_test_stop(test);
}

static void socket_is_for_its_user_alone_and_goes_with_the_process(void **state)
{
	struct ctl_test *test = *state;
	struct stat info;
	char path[128];

	ctl_test_start(test, -1);
	(void)snprintf(path, sizeof(path), "%s/run/api.sock", test->data);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	ctl_test_stop(test);
	assert_int_equal(stat(path, &info), -1);
}

static void end_of_the_control_socket_ends_the_process(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	assert_int_equal(shutdown(test->control_fd, SHUT_RDWR), 0);
	/* Reaped as an ended one, not killed: the exit code says so. */
	ctl_test_reap(test, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ctl_test_setup, ctl_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(generations_go_on_over_a_restart_and_over_a_lost_database),
		TEST(kill_loses_nothing_that_was_answered),
		TEST(saved_copy_on_disk_is_the_newest_snapshot),
		TEST(snapshot_that_was_handed_over_is_saved_too),
		TEST(foreign_rows_become_routes_and_leave_again),
		TEST(rows_are_edited_and_removed_in_their_table),
		TEST(row_in_the_way_of_an_own_route_is_shadowed_until_that_goes),
		TEST(table_that_vanished_while_off_comes_back),
		TEST(locked_table_stops_its_own_rows_only),
		TEST(lock_on_our_database_does_not_stop_the_table),
		TEST(damaged_database_is_reported_and_the_last_snapshot_stays),
		TEST(socket_is_for_its_user_alone_and_goes_with_the_process),
		TEST(end_of_the_control_socket_ends_the_process),
	};

	if (system("command -v sqlite3 bash >/dev/null") != 0) {
		(void)fprintf(stderr, "skipped: needs sqlite3 and bash\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
