#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/publish/publish_test.h"

struct place {
	char folder[64];
	char path[128];
	struct publish_test test;
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	const char *root = getenv("TMPDIR");

	assert_non_null(place);
	(void)snprintf(place->folder, sizeof(place->folder), "%.40s/weir-publish-XXXXXX",
		       root != NULL && strlen(root) <= 40 ? root : "/tmp");
	assert_non_null(mkdtemp(place->folder));
	(void)snprintf(place->path, sizeof(place->path), "%s/snapshot", place->folder);
	place->test.fd = -1;
	const uint64_t function = publish_test_function(&place->test, "f", "native");

	(void)publish_test_route(&place->test, "GET /img/{id}", "host", function);
	(void)publish_test_route(&place->test, "ANY /*", "", function);
	publish_test_build(&place->test);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	(void)unlink(place->path);
	assert_int_equal(rmdir(place->folder), 0); /* also: no temporary file was left */
	publish_test_close(&place->test);
	free(place);
	return 0;
}

static void what_is_saved_is_loaded_byte_for_byte(void **state)
{
	struct place *place = *state;
	struct weir_snapshot loaded = {0};
	struct stat status;
	int fd = -1;

	(void)umask(0);
	assert_int_equal(weir_publish_save(place->test.fd, place->path), 0);
	assert_int_equal(weir_publish_save(place->test.fd, place->path),
			 0); /* over an old one */
	assert_int_equal(stat(place->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(weir_publish_load(place->path, &fd), 0);
	assert_int_equal(weir_snapshot_attach(fd, &loaded), 0);
	assert_int_equal(loaded.bytes, place->test.snapshot.bytes);
	assert_memory_equal(loaded.header, place->test.snapshot.header, loaded.bytes);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	weir_snapshot_detach(&loaded);
	weir_fd_close(&fd);
}

static void a_damaged_file_is_refused_wherever_the_damage_is(void **state)
{
	struct place *place = *state;
	int fd = 77;

	assert_int_equal(weir_publish_save(place->test.fd, place->path), 0);
	const int file_fd = open(place->path, O_RDWR | O_CLOEXEC);

	assert_true(file_fd >= 0);
	for (off_t at = 0; at < (off_t)place->test.snapshot.bytes; at++) {
		char byte;

		assert_int_equal(pread(file_fd, &byte, 1, at), 1);
		byte = (char)(byte ^ 0x10);
		assert_int_equal(pwrite(file_fd, &byte, 1, at), 1);
		const int result = weir_publish_load(place->path, &fd);

		if (result != -EBADMSG &&
		    !(result == -EPROTO &&
		      at >= (off_t)offsetof(struct weir_snapshot_header, abi_major) &&
		      at < (off_t)offsetof(struct weir_snapshot_header, abi_major) + 4))
			fail_msg("byte %lld: %d", (long long)at, result);
		byte = (char)(byte ^ 0x10);
		assert_int_equal(pwrite(file_fd, &byte, 1, at), 1);
	}
	for (off_t bytes = (off_t)place->test.snapshot.bytes - 1; bytes >= 0; bytes -= 7) {
		assert_int_equal(ftruncate(file_fd, bytes), 0);
		assert_int_equal(weir_publish_load(place->path, &fd), -EBADMSG);
	}
	assert_int_equal(fd, 77);
	(void)close(file_fd);
}

static void what_is_no_snapshot_file_is_told_apart(void **state)
{
	struct place *place = *state;
	int fd = 77;

	assert_int_equal(weir_publish_load(place->path, &fd), -ENOENT);
	assert_int_equal(weir_publish_load(place->folder, &fd), -EBADMSG);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	assert_int_equal(weir_publish_load(place->path, &fd), -EBADMSG); /* and does not wait */
	assert_int_equal(fd, 77);
}

static void a_save_that_fails_leaves_the_old_file(void **state)
{
	struct place *place = *state;
	struct rlimit old;
	int fd = -1;

	assert_int_equal(weir_publish_save(place->test.fd, place->path), 0);
	/* The disk is full after 100 bytes. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit small = {.rlim_cur = 100, .rlim_max = old.rlim_max};

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const int result = weir_publish_save(place->test.fd, place->path);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(result, -EFBIG);
	assert_int_equal(weir_publish_load(place->path, &fd), 0);
	weir_fd_close(&fd);
}

static void impossible_places_are_errors(void **state)
{
	struct place *place = *state;
	char path[PATH_MAX + 16];
	const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)snprintf(path, sizeof(path), "%s/none/snapshot", place->folder);
	assert_int_equal(weir_publish_save(place->test.fd, path), -ENOENT);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(weir_publish_save(place->test.fd, path), -ENAMETOOLONG);
	assert_int_equal(weir_publish_save(null_fd, place->path), -EBADMSG);
	(void)close(null_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded_byte_for_byte, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_file_is_refused_wherever_the_damage_is, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_snapshot_file_is_told_apart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_save_that_fails_leaves_the_old_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(impossible_places_are_errors, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
