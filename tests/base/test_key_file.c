#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane/base/key_file.h"
#include "tests/base/base_test.h"

enum { BYTES = 32 };

struct place {
	char directory[64];
	char path[96];
};

static struct place place_make(void)
{
	struct place place = {.directory = "/tmp/weir-key-XXXXXX"};

	assert_non_null(mkdtemp(place.directory));
	(void)snprintf(place.path, sizeof(place.path), "%s/a.key", place.directory);
	return place;
}

static void place_remove(const struct place *place)
{
	(void)unlink(place->path);
	assert_int_equal(rmdir(place->directory), 0); /* nothing else was left there */
}

static void a_key_is_made_once_and_is_for_its_owner_only(void **state)
{
	const struct place place = place_make();
	unsigned char first[BYTES] = {0};
	unsigned char again[BYTES] = {0};
	static const unsigned char none[BYTES];
	struct stat info;

	(void)state;
	assert_int_equal(weir_key_file_open(place.directory, "a.key", false, first, BYTES), -ENOENT);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, first, BYTES), 0);
	assert_int_equal(stat(place.path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_size, BYTES);
	assert_memory_not_equal(first, none, BYTES);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, again, BYTES), 0);
	assert_memory_equal(first, again, BYTES);
	place_remove(&place);
}

static void a_file_that_is_no_key_or_that_others_may_read_is_refused(void **state)
{
	const struct place place = place_make();
	unsigned char key[BYTES];

	(void)state;
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, key, BYTES), 0);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, key, BYTES - 1), -EBADMSG);
	assert_int_equal(chmod(place.path, 0640), 0);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, key, BYTES), -EACCES);
	assert_int_equal(unlink(place.path), 0);
	assert_int_equal(symlink("/etc/hostname", place.path), 0);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, key, BYTES), -ELOOP);
	place_remove(&place);
}

static void what_a_dead_process_left_half_made_is_made_anew(void **state)
{
	const struct place place = place_make();
	unsigned char key[BYTES];
	char half[128];
	FILE *file = NULL;

	(void)state;
	(void)snprintf(half, sizeof(half), "%s.new", place.path);
	file = fopen(half, "we");
	assert_non_null(file);
	assert_int_equal(fputs("half", file) < 0, 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(weir_key_file_open(place.directory, "a.key", true, key, BYTES), 0);
	place_remove(&place);
}

static void paths_that_are_too_long_are_refused(void **state)
{
	static char directory[5000];
	unsigned char key[BYTES];

	(void)state;
	memset(directory, 'd', sizeof(directory) - 1);
	assert_int_equal(weir_key_file_open(directory, "a.key", true, key, BYTES), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_made_once_and_is_for_its_owner_only),
		cmocka_unit_test(a_file_that_is_no_key_or_that_others_may_read_is_refused),
		cmocka_unit_test(what_a_dead_process_left_half_made_is_made_anew),
		cmocka_unit_test(paths_that_are_too_long_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
