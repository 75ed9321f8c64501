#include <sys/stat.h>

#include "ctrl/store/activation_store.h"
#include "tests/store/store_test.h"

enum { KEPT_MAX = 4096 };

static struct weir_activation_row rows[KEPT_MAX];
static char names[KEPT_MAX][64];
static size_t count;

static void visit(void *context, const struct weir_activation_row *row)
{
	(void)context;
	assert_true(count < KEPT_MAX);
	rows[count] = *row;
	(void)snprintf(names[count], sizeof(names[count]), "%.*s", (int)row->function.bytes, row->function.data);
	count++;
}

static struct weir_activation_store *store_open(struct store_test *test)
{
	struct weir_activation_store *store = NULL;

	assert_int_equal(weir_activation_store_open(test->directory, &store, &test->error), 0);
	return store;
}

static size_t read_some(const struct store_test *test, const struct weir_activation_filter *filter)
{
	struct weir_store_error error;

	count = 0;
	assert_int_equal(weir_activation_store_read(test->directory, filter, visit, NULL, &error), 0);
	return count;
}

/* A row whose every number is its own. */
static struct weir_activation_row sample(uint64_t i)
{
	return (struct weir_activation_row){
		.started_ns = 1000 + i,
		.received_ns = 2000 + i,
		.id_high = i,
		.id_low = ~i,
		.parent_high = 3 * i,
		.parent_low = 5 * i,
		.route_id = 7 * i,
		.worker_id = UINT64_C(1) << 62 | i,
		.version = 11 * i,
		.total_ns = 13 * i,
		.parse_ns = 17 * i,
		.queue_ns = 19 * i,
		.dispatch_ns = 23 * i,
		.run_ns = 29 * i,
		.reply_ns = 31 * i,
		.cpu_ns = i % 2 == 0 ? UINT64_MAX : 37 * i,
		.request_bytes = 41 * i,
		.answer_bytes = 43 * i,
		.status = 200,
		.flags = WEIR_ACTIVATION_ROW_COLD,
		.function = i % 3 == 0 ? weir_span_of("default/third") : weir_span_of("default/other"),
	};
}

static void fill(struct store_test *test, struct weir_activation_store *store, uint64_t first, uint64_t last)
{
	assert_int_equal(weir_activation_store_begin(store, &test->error), 0);
	for (uint64_t i = first; i <= last; i++) {
		const struct weir_activation_row row = sample(i);

		assert_int_equal(weir_activation_store_add(store, &row, &test->error), 0);
	}
	assert_int_equal(weir_activation_store_commit(store, &test->error), 0);
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct store_test *test = *state;
	struct weir_activation_store *store = store_open(test);
	struct weir_activation_row wanted = sample(5);

	fill(test, store, 1, 10);
	count = 0;
	assert_int_equal(weir_activation_store_find(test->directory, 5, ~UINT64_C(5), visit, NULL, &test->error), 0);
	assert_int_equal(count, 1);
	assert_string_equal(names[0], "default/other");
	wanted.number = rows[0].number;
	assert_memory_equal(&rows[0], &wanted, offsetof(struct weir_activation_row, flags) + 1); /* without padding */
	assert_int_equal(weir_activation_store_find(test->directory, 5, 5, visit, NULL, &test->error), -ENOENT);
	weir_activation_store_close(store);
}

static void filters_choose(void **state)
{
	struct store_test *test = *state;
	struct weir_activation_store *store = store_open(test);
	struct weir_activation_row bad[4] = {sample(101), sample(102), sample(103), sample(104)};

	fill(test, store, 1, 30);
	bad[0].status = 500;
	bad[1].status = 0;
	bad[2].failure = 3;
	bad[3].flags = WEIR_ACTIVATION_ROW_CUT;
	assert_int_equal(weir_activation_store_begin(store, &test->error), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(weir_activation_store_add(store, &bad[i], &test->error), 0);
	assert_int_equal(weir_activation_store_commit(store, &test->error), 0);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000}), 34);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .is_failed = true}), 4);
	assert_int_equal(rows[0].status, 500);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 5, .newest = true}), 5);
	assert_int_equal(rows[0].started_ns, 1030);
	assert_int_equal(rows[4].started_ns, 1104);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 5, .after_number = rows[0].number}), 4);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .function = "default/third"}), 11);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .since_ns = 1029}), 6);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .since_ns = 1029, .until_ns = 1030}), 2);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .space = "default"}), 34);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .space = "defaul"}), 0);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .space = "default/"}), 0);
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1000, .function = "x'; --"}), 0);
	weir_activation_store_close(store);
}

static void the_oldest_go_first(void **state)
{
	struct store_test *test = *state;
	struct weir_activation_store *store = store_open(test);
	const struct weir_activation_filter all = {.rows_max = 1000};
	int code = 1;

	fill(test, store, 1, 3000);
	assert_int_equal(weir_activation_store_trim(store, 3000, 0, &test->error), 0);
	for (int i = 0; i < 10 && code == 1; i++)
		code = weir_activation_store_trim(store, 700, 0, &test->error);
	assert_int_equal(code, 0);
	assert_int_equal(read_some(test, &all), 700);
	assert_int_equal(rows[0].started_ns, 1000 + 2301);
	assert_int_equal(weir_activation_store_trim(store, 700, 2000 + 2901, &test->error), 0); /* by age */
	assert_int_equal(read_some(test, &all), 100);
	fill(test, store, 1, 1); /* numbers are not used again */
	assert_int_equal(read_some(test, &(struct weir_activation_filter){.rows_max = 1, .newest = true}), 1);
	assert_int_equal(rows[0].number, 3001);
	weir_activation_store_close(store);
}

static void another_version_is_put_aside(void **state)
{
	struct store_test *test = *state;
	struct weir_activation_store *store = store_open(test);
	const struct weir_activation_filter all = {.rows_max = 1000};
	char path[160];
	sqlite3 *db = NULL;
	struct stat info;

	fill(test, store, 1, 3);
	weir_activation_store_close(store);
	(void)snprintf(path, sizeof(path), "%s/log/activations.db", test->directory);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 77", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	store = store_open(test);
	assert_int_equal(read_some(test, &all), 0);
	(void)snprintf(path, sizeof(path), "%s/log/activations.db.damaged", test->directory);
	assert_int_equal(stat(path, &info), 0);
	weir_activation_store_close(store);
}

static void nothing_there_is_no_error_of_the_disk(void **state)
{
	struct store_test *test = *state;
	const struct weir_activation_filter all = {.rows_max = 1};

	assert_int_equal(weir_activation_store_read(test->directory, &all, visit, NULL, &test->error), -ENOENT);
	assert_int_equal(weir_activation_store_find(test->directory, 1, 1, visit, NULL, &test->error), -ENOENT);
}

static int teardown(void **state)
{
	struct store_test *test = *state;
	char log[128];

	store_test_path(test, "log", log);
	store_test_remove(log);
	return store_test_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_comes_back_as_it_was, store_test_setup, teardown),
		cmocka_unit_test_setup_teardown(filters_choose, store_test_setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_go_first, store_test_setup, teardown),
		cmocka_unit_test_setup_teardown(another_version_is_put_aside, store_test_setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_there_is_no_error_of_the_disk, store_test_setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
