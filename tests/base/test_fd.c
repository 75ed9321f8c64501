#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "tests/base/base_test.h"

static size_t open_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

static void pair_open(int sockets[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets),
		0);
}

static void close_accepts_the_empty_value_and_leaves_it(void **state)
{
	int fd = -1;

	(void)state;
	weir_fd_close(&fd);
	assert_int_equal(fd, -1);
	fd = dup(0);
	assert_true(fd >= 0);
	weir_fd_close(&fd);
	assert_int_equal(fd, -1);
}

static void message_and_descriptors_arrive_together_and_close_on_exec(void **state)
{
	int sockets[2];
	int sent[2] = {-1, -1};
	int received[4] = {-1, -1, -1, -1};
	char text[16] = {0};
	size_t count = 0;
	struct stat a;
	struct stat b;

	(void)state;
	pair_open(sockets);
	assert_int_equal(weir_fd_create_shared("one", 4096, &sent[0]), 0);
	assert_int_equal(weir_fd_create_shared("two", 8192, &sent[1]), 0);
	assert_int_equal(weir_fd_send(sockets[0], "hello", 5, sent, 2), 0);
	assert_int_equal(weir_fd_receive(sockets[1], text, sizeof(text), received, 4, &count),
			 5);
	assert_string_equal(text, "hello");
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fstat(sent[i], &a), 0);
		assert_int_equal(fstat(received[i], &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		assert_true((fcntl(received[i], F_GETFD) & FD_CLOEXEC) != 0);
	}
	weir_fd_close_all(sent, 2);
	weir_fd_close_all(received, 4);
	weir_fd_close_all(sockets, 2);
}

static void too_many_descriptors_are_refused_and_none_leaks(void **state)
{
	int sockets[2];
	int sent[5] = {0, 0, 0, 0, 0};
	int received[2] = {-1, -1};
	char text[16];
	size_t count = 99;
	size_t before = 0;

	(void)state;
	pair_open(sockets);
	before = open_count();
	assert_int_equal(weir_fd_send(sockets[0], "x", 1, sent, 5), 0);
	assert_int_equal(weir_fd_receive(sockets[1], text, sizeof(text), received, 2, &count),
			 -EMSGSIZE);
	assert_int_equal(count, 99);
	assert_int_equal(received[0], -1);
	assert_int_equal(open_count(), before);
	weir_fd_close_all(sockets, 2);
}

static void a_message_that_is_too_long_is_refused_and_its_descriptors_closed(void **state)
{
	int sockets[2];
	int sent[1] = {0};
	int received[1] = {-1};
	char text[4];
	size_t count = 0;
	size_t before = 0;

	(void)state;
	pair_open(sockets);
	before = open_count();
	assert_int_equal(weir_fd_send(sockets[0], "12345", 5, sent, 1), 0);
	assert_int_equal(weir_fd_receive(sockets[1], text, sizeof(text), received, 1, &count),
			 -EMSGSIZE);
	assert_int_equal(open_count(), before);
	weir_fd_close_all(sockets, 2);
}

static void the_most_that_may_be_passed_passes_and_one_more_is_invalid(void **state)
{
	int sockets[2];
	int sent[WEIR_FD_PASS_MAX + 1] = {0};
	int received[WEIR_FD_PASS_MAX];
	char byte = 0;
	size_t count = 0;

	(void)state;
	pair_open(sockets);
	assert_int_equal(weir_fd_send(sockets[0], "x", 1, sent, WEIR_FD_PASS_MAX + 1), -EINVAL);
	assert_int_equal(weir_fd_send(sockets[0], "", 0, NULL, 0), -EINVAL);
	assert_int_equal(weir_fd_send(sockets[0], "x", 1, sent, WEIR_FD_PASS_MAX), 0);
	assert_int_equal(
		weir_fd_receive(sockets[1], &byte, 1, received, WEIR_FD_PASS_MAX, &count), 1);
	assert_int_equal(count, WEIR_FD_PASS_MAX);
	weir_fd_close_all(received, count);
	weir_fd_close_all(sockets, 2);
}

static void an_empty_or_full_or_closed_socket_says_so(void **state)
{
	int sockets[2];
	char data[4096] = {0};
	size_t count = 0;
	int error = 0;

	(void)state;
	pair_open(sockets);
	assert_int_equal(weir_fd_receive(sockets[1], data, sizeof(data), NULL, 0, &count),
			 -EAGAIN);
	for (int i = 0; i < 100000 && error == 0; i++)
		error = weir_fd_send(sockets[0], data, sizeof(data), NULL, 0);
	assert_int_equal(error, -EAGAIN);
	weir_fd_close(&sockets[1]);
	/* A reset is reported once, where the peer left unread messages behind; then the pipe is broken. */
	assert_int_equal(weir_fd_send(sockets[0], data, 1, NULL, 0), -ECONNRESET);
	assert_int_equal(weir_fd_send(sockets[0], data, 1, NULL, 0), -EPIPE);
	assert_true(weir_fd_receive(sockets[0], data, sizeof(data), NULL, 0, &count) <= 0);
	weir_fd_close(&sockets[0]);
}

static void shared_memory_starts_zero_and_can_neither_shrink_nor_grow(void **state)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	char page[4096];
	size_t bytes = 0;

	(void)state;
	assert_int_equal(weir_fd_create_shared("segment", 4096, &fd), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 8192), -1);
	assert_int_equal(read(fd, page, sizeof(page)), 4096);
	for (size_t i = 0; i < sizeof(page); i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(weir_fd_check_shared(fd, 4096, &bytes), 0);
	assert_int_equal(bytes, 4096);
}

static void a_descriptor_that_is_short_or_unsealed_or_no_memfd_is_refused(void **state)
{
	WEIR_CLEANUP(weir_fd_close) int sealed = -1;
	WEIR_CLEANUP(weir_fd_close)
	int unsealed = memfd_create("u", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	WEIR_CLEANUP(weir_fd_close) int plain = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	size_t bytes = 99;

	(void)state;
	assert_int_equal(weir_fd_create_shared("segment", 4096, &sealed), 0);
	assert_int_equal(ftruncate(unsealed, 4096), 0);
	assert_int_equal(weir_fd_check_shared(sealed, 4097, &bytes), -EBADMSG);
	assert_int_equal(weir_fd_check_shared(unsealed, 1, &bytes), -EBADMSG);
	assert_int_equal(weir_fd_check_shared(plain, 0, &bytes), -EBADMSG);
	assert_int_equal(weir_fd_check_shared(-1, 0, &bytes), -EBADMSG);
	assert_int_equal(bytes, 99);
}

static void peeked_message_stays_until_it_is_discarded(void **state)
{
	const size_t before = open_count();
	int sockets[2];
	int fd = -1;
	char text[8] = {0};
	size_t count = 0;

	(void)state;
	pair_open(sockets);
	assert_int_equal(weir_fd_send(sockets[0], "one", 3, sockets, 1), 0);
	assert_int_equal(weir_fd_send(sockets[0], "two", 3, NULL, 0), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(weir_fd_peek(sockets[1], text, sizeof(text), &fd, 1, &count),
				 3);
		assert_string_equal(text, "one");
		assert_int_equal(count, 1);
		weir_fd_close(&fd);
	}
	weir_fd_discard(sockets[1]);
	assert_int_equal(weir_fd_receive(sockets[1], text, sizeof(text), &fd, 1, &count), 3);
	assert_string_equal(text, "two");
	weir_fd_discard(sockets[1]); /* nothing there: returns at once */
	weir_fd_close_all(sockets, 2);
	assert_int_equal(open_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_accepts_the_empty_value_and_leaves_it),
		cmocka_unit_test(message_and_descriptors_arrive_together_and_close_on_exec),
		cmocka_unit_test(too_many_descriptors_are_refused_and_none_leaks),
		cmocka_unit_test(
			a_message_that_is_too_long_is_refused_and_its_descriptors_closed),
		cmocka_unit_test(the_most_that_may_be_passed_passes_and_one_more_is_invalid),
		cmocka_unit_test(an_empty_or_full_or_closed_socket_says_so),
		cmocka_unit_test(shared_memory_starts_zero_and_can_neither_shrink_nor_grow),
		cmocka_unit_test(a_descriptor_that_is_short_or_unsealed_or_no_memfd_is_refused),
		cmocka_unit_test(peeked_message_stays_until_it_is_discarded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
