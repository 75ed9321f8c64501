#include <poll.h>

#include "ctrl/store/watch.h"
#include "dataplane/base/fd.h"
#include "tests/store/store_test.h"

static bool waits(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void writes_renames_and_removals_are_told_by_name(void **state)
{
	struct store_test *test = *state;
	char path[128];
	char other[128];
	int fd = -1;
	int file = -1;

	assert_int_equal(weir_watch_open(test->directory, &fd), 0);
	assert_false(waits(fd));
	assert_false(weir_watch_take(fd, "wanted"));
	store_test_path(test, "wanted-wal", path);
	store_test_path(test, "other", other);
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_true(waits(fd));
	assert_true(weir_watch_take(fd, "wanted"));
	assert_int_equal(write(file, "x", 1), 1);
	assert_true(weir_watch_take(fd, "wanted"));
	assert_false(weir_watch_take(fd, "wanted"));
	(void)close(file);
	assert_int_equal(rename(path, other), 0);
	assert_true(weir_watch_take(fd, "wanted"));
	assert_int_equal(unlink(other), 0);
	assert_true(waits(fd));
	assert_false(weir_watch_take(fd, "wanted"));
	weir_fd_close(&fd);
}

static void missing_directory_is_an_error(void **state)
{
	int fd = -1;

	(void)state;
	assert_int_equal(weir_watch_open("/nonexistent/directory", &fd), -ENOENT);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_renames_and_removals_are_told_by_name,
						store_test_setup, store_test_teardown),
		cmocka_unit_test(missing_directory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
