/* backup_test: instances in private directories, without their processes: a store, a public table, code, and the
 * room where backups are made and read. */
#ifndef WEIR_TESTS_BACKUP_BACKUP_TEST_H
#define WEIR_TESTS_BACKUP_BACKUP_TEST_H

#include <sys/stat.h>

#include "ctrl/backup/backup.h"
#include "ctrl/backup/backup_file.h"
#include "tests/store/store_test.h"

struct backup_test {
	char directory[64];
	char file[96]; /* a backup of it, once it was made */
	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_code *code;
	struct weir_backup *backup;
	struct weir_store_error error;
	struct weir_backup_report report;
};

static inline struct backup_test *backup_test_open(void)
{
	struct backup_test *test = calloc(1, sizeof(*test));
	bool made = false;

	assert_non_null(test);
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/test-backup-XXXXXX");
	assert_non_null(mkdtemp(test->directory));
	(void)snprintf(test->file, sizeof(test->file), "%s/it.backup", test->directory);
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, true, &test->error), 0);
	assert_int_equal(weir_public_table_create(test->directory, &test->table), 0);
	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &test->error), 0);
	assert_int_equal(weir_code_open(test->directory, &test->code), 0);
	assert_int_equal(weir_backup_open(test->directory, test->code, &test->backup), 0);
	return test;
}

static inline void backup_test_close(struct backup_test *test)
{
	char command[256];

	weir_backup_close(test->backup);
	weir_code_close(test->code);
	weir_public_table_destroy(test->table);
	weir_store_destroy(test->store);
	(void)snprintf(command, sizeof(command), "chmod -R u+w '%s'; rm -rf '%s'", test->directory, test->directory);
	assert_int_equal(system(command), 0);
	free(test);
}

/* Any program, in a shell. */
__attribute__((format(printf, 1, 2))) static inline void backup_test_shell(const char *format, ...)
{
	char command[2048];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* Store the archive (name NULL) or file at `path`. */
static inline void backup_test_upload(struct backup_test *test, const char *path, const char *name,
				      char out_hash[WEIR_CODE_HASH_BYTES])
{
	struct weir_code_upload *upload = NULL;
	struct weir_code_error error = {{0}};
	char data[65536];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_int_equal(weir_code_upload_begin(test->code, name, &upload), 0);
	for (size_t got = 0; (got = fread(data, 1, sizeof(data), file)) > 0;)
		assert_int_equal(weir_code_upload_append(upload, data, got), 0);
	(void)fclose(file);
	if (weir_code_upload_finish(upload, out_hash, &error) != 0)
		fail_msg("%s", error.text);
}

/* Deploy a function whose code is HASH/ENTRY. */
static inline void backup_test_deploy(struct backup_test *test, const char *name, const char *hash, const char *entry)
{
	struct weir_model_function function = {.space = "default", .runtime = "js", .timeout_ms = 1000, .memory_mb = 64,
					       .queue_max = 10};
	struct weir_model_route route = {.methods = 2, .space = "default"};
	struct weir_store_variables variables = {.variable = {{.name = "V", .value = name, .bytes = strlen(name)}},
						 .count = 1};
	const struct weir_store_deployment deployment = {.code = hash, .variables = &variables, .versions_max = 3};
	uint32_t number = 0;

	(void)snprintf(function.name, sizeof(function.name), "%s", name);
	(void)snprintf(route.name, sizeof(route.name), "%s", name);
	(void)snprintf(route.pattern, sizeof(route.pattern), "/%s/{id}", name);
	(void)snprintf(function.code_path, sizeof(function.code_path), "%s/code/%s/%s", test->directory, hash, entry);
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	assert_int_equal(weir_store_route_add(test->store, &route, &test->error), 0);
}

/* Set a secret variable of a function, sealed with the key of the instance. */
static inline void backup_test_secret(struct backup_test *test, const char *name, const char *value)
{
	uint8_t sealed[256];
	char label[WEIR_SECRET_LABEL_BYTES];
	struct weir_secret *secret = NULL;
	const struct weir_store_variables variables = {
		.variable = {{.name = "S", .value = sealed, .bytes = strlen(value) + WEIR_SECRET_EXTRA_BYTES,
			      .is_secret = true}},
		.count = 1};

	assert_int_equal(weir_secret_open(test->directory, true, &secret), 0);
	weir_secret_seal(secret, weir_secret_label("default", name, "S", label), value, strlen(value), sealed);
	weir_secret_close(secret);
	assert_int_equal(weir_store_variables_change(test->store, "default", name, &variables, &test->error), 0);
}

/* Functions `one` (a file), `tree` (an archive with folders, a link, an empty file and one of two parts), and
 * a row of the public table. */
static inline void backup_test_fill(struct backup_test *test)
{
	char hash[WEIR_CODE_HASH_BYTES];
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/one.js", test->directory);
	backup_test_shell("echo 'export default () => 1' > %s", path);
	backup_test_upload(test, path, "one.js", hash);
	backup_test_deploy(test, "one", hash, "one.js");
	backup_test_shell("cd %s && mkdir -p t/empty t/lib/deep && echo 2 > t/index.js && : > t/lib/nothing && "
			  "head -c 1500000 /dev/zero > t/lib/deep/big && echo '#!/bin/sh' > t/run && chmod +x t/run && "
			  "ln -s lib/deep t/link && tar -C t -czf t.tar.gz .",
			  test->directory);
	(void)snprintf(path, sizeof(path), "%s/t.tar.gz", test->directory);
	backup_test_upload(test, path, NULL, hash);
	backup_test_deploy(test, "tree", hash, "index.js");
	backup_test_shell("sqlite3 %s/faas_meta.db \"INSERT INTO functions (k, v) VALUES ('GET:/row', '{}')\"",
			  test->directory);
}

static inline int backup_test_wait(struct backup_test *test, uint64_t job, bool is_read, int *out_fd)
{
	int code = 0;

	do {
		(void)usleep(1000);
		code = is_read ? weir_backup_was_read(test->backup, job, &test->report, &test->error)
			       : weir_backup_made(test->backup, job, out_fd, &test->report, &test->error);
	} while (code == -EINPROGRESS);
	return code;
}

/* Make a backup, at test->file. */
static inline void backup_test_make(struct backup_test *test, bool with_key)
{
	char data[65536];
	uint64_t job = 0;
	ssize_t got = 0;
	int fd = -1;
	int to = open(test->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(weir_backup_make(test->backup, with_key, &job), 0);
	if (backup_test_wait(test, job, false, &fd) != 0)
		fail_msg("%s", test->error.text);
	while ((got = read(fd, data, sizeof(data))) > 0)
		assert_int_equal(write(to, data, (size_t)got), got);
	(void)close(fd);
	(void)close(to);
}

/* Upload the file at `path` and check it. 0 and *out_job, or why not (test->error). */
static inline int backup_test_read(struct backup_test *test, const char *path, bool store_code, uint64_t *out_job)
{
	struct weir_backup_upload *upload = NULL;
	char data[65536];
	FILE *file = fopen(path, "re");
	uint64_t job = 0;
	int code = 0;

	assert_non_null(file);
	assert_int_equal(weir_backup_upload_begin(test->backup, 1, &upload), 0);
	for (size_t got = 0; (got = fread(data, 1, sizeof(data), file)) > 0;)
		assert_int_equal(weir_backup_upload_append(upload, data, got), 0);
	(void)fclose(file);
	assert_int_equal(weir_backup_read(test->backup, upload, store_code, &job), 0);
	code = backup_test_wait(test, job, true, NULL);
	if (code == 0)
		*out_job = job;
	return code;
}

/* Read and restore the file at `path`. */
static inline void backup_test_restore(struct backup_test *test, const char *path, struct weir_backup_changes *changes)
{
	uint64_t job = 0;

	if (backup_test_read(test, path, true, &job) != 0 ||
	    weir_backup_restore(test->backup, job, test->store, test->table, false, changes, &test->error) != 0)
		fail_msg("%s", test->error.text);
	weir_backup_drop(test->backup, job);
}

/* How many things lie in DATA/transfer. */
static inline int backup_test_leftovers(const struct backup_test *test)
{
	char path[128];
	const struct dirent *entry = NULL;
	DIR *list = NULL;
	int count = 0;

	(void)snprintf(path, sizeof(path), "%s/transfer", test->directory);
	list = opendir(path);
	assert_non_null(list);
	while ((entry = readdir(list)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(list);
	return count;
}

#endif
