/* Files that are no backups any more, or never were: each is refused with a sentence, and nothing is changed. */
#include <time.h>

#include "tests/backup/backup_test.h"

enum { FLIPS = 400 };

struct hostile {
	struct backup_test *source; /* has the sound backup */
	struct backup_test *target; /* is asked to read others */
	char file[96];
	char *sound;
	size_t bytes;
};

static int setup(void **state)
{
	struct hostile *hostile = calloc(1, sizeof(*hostile));
	struct stat info;
	FILE *file = NULL;

	assert_non_null(hostile);
	hostile->source = backup_test_open();
	hostile->target = backup_test_open();
	backup_test_fill(hostile->source);
	backup_test_secret(hostile->source, "one", "sesame");
	backup_test_make(hostile->source, true);
	(void)snprintf(hostile->file, sizeof(hostile->file), "%s/other.backup", hostile->source->directory);
	assert_int_equal(stat(hostile->source->file, &info), 0);
	hostile->bytes = (size_t)info.st_size;
	hostile->sound = malloc(hostile->bytes);
	file = fopen(hostile->source->file, "re");
	assert_int_equal(fread(hostile->sound, 1, hostile->bytes, file), hostile->bytes);
	(void)fclose(file);
	*state = hostile;
	return 0;
}

static int teardown(void **state)
{
	struct hostile *hostile = *state;

	backup_test_close(hostile->source);
	backup_test_close(hostile->target);
	free(hostile->sound);
	free(hostile);
	return 0;
}

static void file_write(const struct hostile *hostile, const char *data, size_t bytes)
{
	FILE *file = fopen(hostile->file, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

/* The file is refused for what `why` says, and leaves nothing. */
static void assert_refused(struct hostile *hostile, const char *why)
{
	struct backup_test *target = hostile->target;
	uint64_t job = 0;
	const int code = backup_test_read(target, hostile->file, true, &job);

	if (code != -EINVAL)
		fail_msg("%s: %d %s", why, code, target->error.text);
	if (strstr(target->error.text, why) == NULL)
		fail_msg("'%s' is not in: %s", why, target->error.text);
	assert_int_equal(backup_test_leftovers(target), 0);
	backup_test_shell("test -z \"$(ls %s/code)\"", target->directory);
}

/* Whatever is not refused is the very same configuration. */
static void assert_refused_or_harmless(struct hostile *hostile, const char *what, size_t at)
{
	struct backup_test *source = hostile->source;
	struct weir_backup_changes changes;
	uint64_t job = 0;
	const int code = backup_test_read(source, hostile->file, false, &job);

	if (code == -EINVAL)
		return;
	if (code != 0)
		fail_msg("%s at %zu: %d %s", what, at, code, source->error.text);
	assert_int_equal(weir_backup_restore(source->backup, job, source->store, source->table, true, &changes, &source->error), 0);
	weir_backup_drop(source->backup, job);
	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		if (changes.part[i].added + changes.part[i].changed + changes.part[i].removed != 0)
			fail_msg("%s at %zu was taken for another configuration", what, at);
	assert_int_equal(changes.rows.added + changes.rows.changed + changes.rows.removed, 0);
	assert_int_equal(source->report.codes, 2);
}

static void each_flip_is_refused_or_harmless(void **state)
{
	struct hostile *hostile = *state;
	const unsigned seed = (unsigned)time(NULL);
	unsigned random = seed;

	print_message("seed %u\n", seed);
	for (size_t i = 0; i < FLIPS; i++) {
		/* Each byte of the head, then any. */
		const size_t at = i < 100 ? i : (size_t)rand_r(&random) % hostile->bytes;
		const char mask = (char)(1 << rand_r(&random) % 8);

		hostile->sound[at] ^= mask;
		file_write(hostile, hostile->sound, hostile->bytes);
		hostile->sound[at] ^= mask;
		assert_refused_or_harmless(hostile, "flip", at);
	}
}

static void each_cut_is_refused(void **state)
{
	struct hostile *hostile = *state;
	static const size_t parts[] = {0, 1, 2, 3, 500, 997, 999};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const size_t bytes = parts[i] < 4 ? 50 * parts[i] + 1 : hostile->bytes * parts[i] / 1000;

		file_write(hostile, hostile->sound, bytes);
		assert_refused(hostile, parts[i] < 2 ? "no file of `ctrlctl backup`" : "cut short");
	}
	file_write(hostile, hostile->sound, hostile->bytes - 1);
	assert_refused(hostile, "cut short");
}

static void other_files_are_no_backups(void **state)
{
	struct hostile *hostile = *state;

	file_write(hostile, "x", 1);
	assert_refused(hostile, "no file of `ctrlctl backup`");
	backup_test_shell("cp %s/weir.db %s", hostile->source->directory, hostile->file);
	assert_refused(hostile, "no file of `ctrlctl backup`");
}

/* Change the file with SQL, as somebody who knows all about it would: with the right digest. */
static void forge(struct hostile *hostile, const char *text)
{
	static struct weir_backup_job job;
	char digest[WEIR_BACKUP_DIGEST_BYTES];
	sqlite3 *db = NULL;
	char *message = NULL;
	char *update = NULL;

	file_write(hostile, hostile->sound, hostile->bytes);
	assert_int_equal(sqlite3_open(hostile->file, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
	assert_int_equal(weir_backup_digest(&job, db, digest), 0);
	update = sqlite3_mprintf("UPDATE backup_digest SET sha256 = %Q", digest);
	assert_int_equal(sqlite3_exec(db, update, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(update);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void forged_records_are_refused(void **state)
{
	struct hostile *hostile = *state;
	static const struct {
		const char *change;
		const char *why;
	} forgeries[] = {
		{"UPDATE functions SET name = '../x' WHERE name = 'one'", "name"},
		{"UPDATE functions SET timeout_ms = 0", "timeout"},
		{"UPDATE functions SET specs = 'cpu=x'", "spec"},
		{"UPDATE functions SET number = 9", "a version that is not there"},
		{"UPDATE functions SET details = 77", "details"},
		{"UPDATE versions SET code_path = 'code/../../../etc/passwd'", "version"},
		{"UPDATE versions SET code_path = 'code/' || code || '/../x'; UPDATE functions SET code_path = (SELECT "
		 "code_path FROM versions WHERE function_id = id)",
		 "leads out"},
		{"UPDATE versions SET code = 'zz'", "version"},
		{"UPDATE versions SET code = replace(code, substr(code, 1, 4), '0000'), code_path = 'code/' || "
		 "replace(code, substr(code, 1, 4), '0000') || substr(code_path, 70); UPDATE functions SET code_path = "
		 "(SELECT code_path FROM versions WHERE function_id = id)",
		 "does not hold it"},
		{"UPDATE routes SET pattern = '/a b' WHERE pattern LIKE '/one%'", "pattern"},
		{"UPDATE routes SET shape = '/other' WHERE pattern LIKE '/one%'", "shape"},
		{"UPDATE meta SET value = 999 WHERE name = 'id'; INSERT INTO routes SELECT 999, function_id, 6, host, pattern, "
		 "shape, timeout_ms, auth FROM routes LIMIT 1",
		 "same requests"},
		{"UPDATE variables SET name = 'A=B' WHERE name = 'V'", "variable"},
		{"UPDATE variables SET value = x'00' WHERE secret = 1", "too long, or cut"},
		{"UPDATE backup_key SET bytes = x'00'", "key"},
		{"DELETE FROM backup", "does not say what it is"},
		{"UPDATE backup SET schema = 1", "does not say what it is"},
		{"PRAGMA user_version = 999; UPDATE backup SET schema = 999", "newer Weir"},
	};

	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		forge(hostile, forgeries[i].change);
		assert_refused(hostile, forgeries[i].why);
	}
}

static void forged_code_stays_in_its_folder(void **state)
{
	struct hostile *hostile = *state;
	static const struct {
		const char *change;
		const char *why;
	} forgeries[] = {
		{"UPDATE backup_code SET path = '../../x' WHERE path = 'run'", "leads out"},
		{"UPDATE backup_code SET path = '/etc/x' WHERE path = 'run'", "leads out"},
		{"UPDATE backup_code SET path = 'a' || char(10) WHERE path = 'run'", "leads out"},
		{"UPDATE backup_code SET bytes = CAST('../x' AS BLOB) WHERE path = 'link'", "link leads out"},
		{"UPDATE backup_code SET bytes = CAST('/etc' AS BLOB) WHERE path = 'link'", "link leads out"},
		{"UPDATE backup_code SET mode = 4480 WHERE path = 'run'", "neither a file"},
		{"UPDATE backup_code SET mode = -1 WHERE path = 'run'", "neither a file"},
		{"UPDATE backup_code SET part = 5 WHERE path = 'lib/deep/big' AND part = 1", "missing"},
		{"DELETE FROM backup_code WHERE path = 'lib/deep/big' AND part = 0", "missing"},
		{"UPDATE backup_code SET bytes = x'00' WHERE path = 'lib/deep/big' AND part = 0", "missing"},
		{"UPDATE backup_code SET bytes = zeroblob(1048577) WHERE path = 'run'", "too large"},
		{"DELETE FROM backup_code", "does not hold it"},
	};

	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		forge(hostile, forgeries[i].change);
		assert_refused(hostile, forgeries[i].why);
	}
}

static void forged_tables_are_not_run(void **state)
{
	struct hostile *hostile = *state;
	static const char *const forgeries[] = {
		"ALTER TABLE routes RENAME TO r; CREATE VIEW routes AS SELECT * FROM r",
		"ALTER TABLE backup_rows RENAME TO r; CREATE VIEW backup_rows AS SELECT * FROM r",
		"ALTER TABLE settings ADD COLUMN x INTEGER AS (value + 1)",
		"DROP TABLE pool_settings",
		"DROP TABLE backup_code",
	};

	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		forge(hostile, forgeries[i]);
		assert_refused(hostile, "it has no table");
	}
}

static void code_under_a_false_name_gets_its_own(void **state)
{
	struct hostile *hostile = *state;
	struct weir_backup_changes changes;
	struct weir_model_function function = {0};
	char claimed[WEIR_CODE_HASH_BYTES];

	/* Other code under the hash of a file that somebody may deploy some day. */
	forge(hostile, "UPDATE backup_code SET bytes = CAST('evil' AS BLOB) WHERE path = 'one.js'");
	assert_int_equal(weir_store_function_find(hostile->source->store, "default", "one", &function, &hostile->source->error), 0);
	(void)snprintf(claimed, sizeof(claimed), "%s", function.code_path + strlen(hostile->source->directory) + 6);
	backup_test_restore(hostile->target, hostile->file, &changes);
	assert_false(weir_code_has(hostile->target->code, claimed));
	assert_int_equal(weir_store_function_find(hostile->target->store, "default", "one", &function, &hostile->target->error), 0);
	assert_null(strstr(function.code_path, claimed));
	assert_int_equal(access(function.code_path, R_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_flip_is_refused_or_harmless),
		TEST(each_cut_is_refused),
		TEST(other_files_are_no_backups),
		TEST(forged_records_are_refused),
		TEST(forged_code_stays_in_its_folder),
		TEST(forged_tables_are_not_run),
		TEST(code_under_a_false_name_gets_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
