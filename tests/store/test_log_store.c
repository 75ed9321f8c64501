#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ctrl/store/log_store.h"
#include "tests/store/store_test.h"

enum { KEPT_MAX = 20000 };

static uint64_t ids[KEPT_MAX];
static char texts[KEPT_MAX][64];
static size_t count;

static void visit(void *context, const struct weir_log_line *line)
{
	(void)context;
	assert_true(count < KEPT_MAX);
	ids[count] = line->id;
	(void)snprintf(texts[count], sizeof(texts[count]), "%.*s", (int)line->text.bytes,
		       line->text.data);
	count++;
}

static size_t read_some(const struct store_test *test, const struct weir_log_filter *filter)
{
	struct weir_store_error error;

	count = 0;
	assert_int_equal(weir_log_store_read(test->directory, filter, visit, NULL, &error), 0);
	return count;
}

static struct weir_log_store *store_open(struct store_test *test)
{
	struct weir_log_store *store = NULL;

	assert_int_equal(weir_log_store_open(test->directory, &store, &test->error), 0);
	return store;
}

static void add(struct weir_log_store *store, const char *function, uint64_t activation,
		uint64_t time_ns, const char *text)
{
	const struct weir_log_line line = {.time_ns = time_ns,
					   .received_ns = time_ns,
					   .activation_high = activation,
					   .activation_low = ~activation,
					   .stream = 1,
					   .function = weir_span_of(function),
					   .text = weir_span_of(text)};
	struct weir_store_error error;

	assert_int_equal(weir_log_store_add(store, &line, &error), 0);
}

/* `lines` lines of one activation each, numbered, at the times 1000, 1001, ... */
static void fill(struct weir_log_store *store, int lines)
{
	struct weir_store_error error;

	assert_int_equal(weir_log_store_begin(store, &error), 0);
	for (int i = 0; i < lines; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "line %d ................................", i);
		add(store, i % 2 == 0 ? "a/even" : "a/odd", (uint64_t)i + 1, 1000 + (uint64_t)i, text);
	}
	assert_int_equal(weir_log_store_commit(store, 0, &error), 0);
}

static void lines_are_found_by_activation_and_by_function(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = store_open(test);
	struct weir_log_filter filter = {.activation_high = 8, .activation_low = ~UINT64_C(8), .lines_max = 10};

	fill(store, 100);
	assert_int_equal(read_some(test, &filter), 1);
	assert_memory_equal(texts[0], "line 7 ", 7);
	filter.activation_low = 0;
	assert_int_equal(read_some(test, &filter), 0);
	filter = (struct weir_log_filter){.function = "a/odd", .lines_max = 1000};
	assert_int_equal(read_some(test, &filter), 50);
	filter.lines_max = 3;
	assert_int_equal(read_some(test, &filter), 3);
	assert_memory_equal(texts[0], "line 1 ", 7);
	filter.newest = true;
	assert_int_equal(read_some(test, &filter), 3);
	assert_memory_equal(texts[0], "line 95 ", 8);
	filter.newest = false;
	filter.after_id = ids[1];
	assert_int_equal(read_some(test, &filter), 1);
	assert_memory_equal(texts[0], "line 99 ", 8);
	filter = (struct weir_log_filter){.function = "a/odd", .since_ns = 1090, .lines_max = 100};
	assert_int_equal(read_some(test, &filter), 5);
	assert_memory_equal(texts[0], "line 91 ", 8);
	filter.since_ns = 5000;
	assert_int_equal(read_some(test, &filter), 0);
	weir_log_store_close(store);
}

static void what_was_answered_is_apart_from_what_was_printed(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = store_open(test);
	struct weir_log_filter filter = {.activation_high = 8, .activation_low = ~UINT64_C(8), .lines_max = 10};
	const struct weir_log_line part = {.time_ns = 1,
					   .received_ns = 1,
					   .activation_high = 8,
					   .activation_low = ~UINT64_C(8),
					   .stream = WEIR_LOG_STREAM_ANSWER,
					   .function = WEIR_SPAN("a/odd"),
					   .text = WEIR_SPAN("answered")};

	fill(store, 100);
	assert_int_equal(weir_log_store_begin(store, &test->error), 0);
	assert_int_equal(weir_log_store_add(store, &part, &test->error), 0);
	assert_int_equal(weir_log_store_commit(store, 0, &test->error), 0);
	assert_int_equal(read_some(test, &filter), 1);
	assert_memory_equal(texts[0], "line 7 ", 7);
	filter.answers = true;
	assert_int_equal(read_some(test, &filter), 1);
	assert_string_equal(texts[0], "answered");
	filter = (struct weir_log_filter){.function = "a/odd", .lines_max = 1000};
	assert_int_equal(read_some(test, &filter), 50);
	weir_log_store_close(store);
}

static void reading_without_a_database_finds_nothing(void **state)
{
	struct store_test *test = *state;
	const struct weir_log_filter filter = {.function = "a/b", .lines_max = 1};

	assert_int_equal(weir_log_store_read(test->directory, &filter, visit, NULL, &test->error), -ENOENT);
}

static void the_oldest_go_when_there_is_too_much(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = store_open(test);
	struct weir_log_filter filter = {.function = "a/even", .lines_max = 1000};
	const uint64_t bytes_max = 400000;
	uint64_t first = 0;

	fill(store, 10000);
	assert_true(weir_log_store_totals(store).bytes > bytes_max);
	while (weir_log_store_trim(store, bytes_max, 0, &test->error) == 1)
		continue;
	assert_true(weir_log_store_totals(store).bytes <= bytes_max);
	assert_true(weir_log_store_totals(store).bytes > bytes_max / 2);
	assert_int_equal(read_some(test, &filter), 1000);
	first = ids[0];
	assert_true(first > 1000);
	filter.newest = true;
	assert_int_equal(read_some(test, &filter), 1000);
	assert_memory_equal(texts[999], "line 9998 ", 10);
	/* Numbers go on, even when nothing is left. */
	while (weir_log_store_trim(store, 0, 0, &test->error) == 1)
		continue;
	assert_int_equal(read_some(test, &filter), 0);
	fill(store, 2);
	assert_int_equal(read_some(test, &filter), 1);
	assert_true(ids[0] > 10000);
	weir_log_store_close(store);
}

static void old_lines_go(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = store_open(test);
	const struct weir_log_filter filter = {.function = "a/odd", .lines_max = 1000};

	fill(store, 1000);
	while (weir_log_store_trim(store, UINT64_MAX, 1900, &test->error) == 1)
		continue;
	assert_int_equal(read_some(test, &filter), 50);
	assert_memory_equal(texts[0], "line 901 ", 9);
	weir_log_store_close(store);
}

static void what_is_committed_outlives_a_kill(void **state)
{
	struct store_test *test = *state;
	const struct weir_log_filter filter = {.function = "a/odd", .lines_max = 1000};
	struct weir_log_store *store = NULL;
	int status = 0;
	const pid_t child = fork();

	assert_true(child != -1);
	if (child == 0) {
		store = store_open(test);
		fill(store, 100);
		if (weir_log_store_begin(store, &test->error) == 0)
			add(store, "a/odd", 1, 1, "never committed");
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	store = store_open(test);
	assert_int_equal(read_some(test, &filter), 50);
	weir_log_store_close(store);
}

static void dropped_lines_are_counted_over_all_times(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = store_open(test);

	assert_int_equal(weir_log_store_begin(store, &test->error), 0);
	assert_int_equal(weir_log_store_commit(store, 7, &test->error), 0);
	weir_log_store_close(store);
	store = store_open(test);
	assert_int_equal(weir_log_store_totals(store).dropped, 7);
	weir_log_store_close(store);
}

static void garbage_is_put_aside(void **state)
{
	struct store_test *test = *state;
	const struct weir_log_filter filter = {.function = "a/odd", .lines_max = 1000};
	struct weir_log_store *store = store_open(test);
	struct stat info;
	char path[128];

	fill(store, 100);
	weir_log_store_close(store);
	store_test_damage(test, "log/functions.db");
	store = store_open(test);
	assert_int_equal(read_some(test, &filter), 0);
	fill(store, 10);
	assert_int_equal(read_some(test, &filter), 5);
	weir_log_store_close(store);
	store_test_path(test, "log/functions.db.damaged", path);
	assert_int_equal(stat(path, &info), 0);
	/* Of a program that is newer than this one: likewise. */
	store_test_run(test, "log/functions.db", "PRAGMA user_version = 9");
	store = store_open(test);
	assert_int_equal(read_some(test, &filter), 0);
	weir_log_store_close(store);
}

static void a_directory_that_cannot_be_made_is_told(void **state)
{
	struct store_test *test = *state;
	struct weir_log_store *store = NULL;
	char path[128];

	store_test_path(test, "log", path);
	FILE *const file = fopen(path, "we");

	assert_non_null(file);
	(void)fclose(file);
	assert_true(weir_log_store_open(test->directory, &store, &test->error) < 0);
	assert_true(test->error.text[0] != '\0');
}

static int teardown(void **state)
{
	struct store_test *test = *state;
	char path[128];

	store_test_path(test, "log", path);
	store_test_remove(path);
	(void)unlink(path); /* where a test put a file in its place */
	return store_test_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_are_found_by_activation_and_by_function),
		TEST(what_was_answered_is_apart_from_what_was_printed),
		TEST(reading_without_a_database_finds_nothing),
		TEST(the_oldest_go_when_there_is_too_much),
		TEST(old_lines_go),
		TEST(what_is_committed_outlives_a_kill),
		TEST(dropped_lines_are_counted_over_all_times),
		TEST(garbage_is_put_aside),
		TEST(a_directory_that_cannot_be_made_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
