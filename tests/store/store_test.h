/* store_test: a private directory for databases, what tests put into them, and another program's view of them. */
#ifndef WEIR_TESTS_STORE_STORE_TEST_H
#define WEIR_TESTS_STORE_STORE_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/store/public_rows.h"
#include "tests/base/base_test.h"

struct store_test {
	char directory[64];
	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_public_rows rows;
	struct weir_store_error error;
	int taken;
	int refused;
	int gone;
};

static inline void store_test_path(const struct store_test *test, const char *name,
				   char path[128])
{
	assert_true(snprintf(path, 128, "%s/%s", test->directory, name) < 128);
}

/* Remove what lies in the directory, then the directory. */
static inline void store_test_remove(const char *directory)
{
	DIR *list = opendir(directory);
	const struct dirent *entry = NULL;
	char path[512];

	if (list == NULL)
		return;
	while ((entry = readdir(list)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		(void)unlink(path);
	}
	(void)closedir(list);
	(void)rmdir(directory);
}

static inline int store_test_setup(void **state)
{
	struct store_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/test-store-XXXXXX");
	if (mkdtemp(test->directory) == NULL)
		return -1;
	if (weir_store_create(test->directory, &test->store) != 0 ||
	    weir_public_table_create(test->directory, &test->table) != 0)
		return -1;
	*state = test;
	return 0;
}

static inline int store_test_teardown(void **state)
{
	struct store_test *test = *state;

	weir_public_rows_release(&test->rows);
	weir_public_table_destroy(test->table);
	weir_store_destroy(test->store);
	store_test_remove(test->directory);
	free(test);
	return 0;
}

/* The test, its configuration open for writing. */
static inline struct store_test *store_test_opened(void **state)
{
	struct store_test *test = *state;

	assert_int_equal(weir_store_open(test->store, true, &test->error), 0);
	return test;
}

/* A native function of that name in `default`. */
static inline struct weir_model_function store_test_function(const char *name)
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

static inline int store_test_function_add(struct store_test *test, const char *name)
{
	const struct weir_model_function function = store_test_function(name);

	return weir_store_function_add(test->store, &function, NULL, &test->error);
}

static inline int store_test_setting_set(struct store_test *test, const char *name,
					 uint64_t value)
{
	return weir_store_setting_set(test->store, name, value, &test->error);
}

/* Another program: its own connection. */
static inline sqlite3 *store_test_foreign(const struct store_test *test, const char *name)
{
	char path[128];
	sqlite3 *db = NULL;

	store_test_path(test, name, path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static inline void store_test_sql(sqlite3 *db, const char *text)
{
	char *message = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
}

/* Open, run, close, as the sqlite3 program does. */
static inline void store_test_run(const struct store_test *test, const char *name,
				  const char *text)
{
	sqlite3 *db = store_test_foreign(test, name);

	store_test_sql(db, text);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline int64_t store_test_number(const struct store_test *test, const char *name,
					const char *text)
{
	sqlite3 *db = store_test_foreign(test, name);
	sqlite3_stmt *statement = NULL;
	int64_t number = 0;

	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return number;
}

/* Overwrite the file's first bytes, as a failing disk might. */
static inline void store_test_damage(const struct store_test *test, const char *name)
{
	char path[128];
	char noise[8192];
	int fd = -1;

	memset(noise, 0x5a, sizeof(noise));
	store_test_path(test, name, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
	(void)close(fd);
}

#endif
