#include "dataplane/supervisor/store_table.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct weir_store_table table;

static int sockets[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets);
}

static int teardown(void **state)
{
	(void)state;
	weir_store_table_close(&table);
	weir_fd_close_all(sockets, 2);
	return 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static int apply(enum weir_store_kind kind, const char *name, const char *blob, int fd)
{
	struct weir_store_message message;

	weir_store_message_set(&message, kind, name, blob, blob == NULL ? 0 : strlen(blob));
	return weir_store_table_apply(&table, &message, &fd, fd == -1 ? 0 : 1);
}

static void message_arrives_with_name_blob_and_descriptors(void **state)
{
	struct weir_store_message sent;
	struct weir_store_message received;
	int fds[WEIR_FD_PASS_MAX];
	size_t count = 0;

	(void)state;
	assert_int_equal(weir_store_receive(sockets[1], &received, fds, &count), -EAGAIN);
	weir_store_message_set(&sent, WEIR_STORE_STORE, "worker/7", "blob", 4);
	sent.pidfd_index = 1;
	assert_int_equal(weir_store_send(sockets[0], &sent, sockets, 2), 0);
	assert_int_equal(weir_store_receive(sockets[1], &received, fds, &count), 1);
	assert_memory_equal(&sent, &received, sizeof(sent));
	assert_int_equal(count, 2);
	weir_fd_close_all(fds, count);
	weir_fd_close(&sockets[0]);
	assert_int_equal(weir_store_receive(sockets[1], &received, fds, &count), 0);
}

static void malformed_messages_are_refused_and_their_descriptors_closed(void **state)
{
	struct weir_store_message message;
	int fds[WEIR_FD_PASS_MAX];
	size_t count = 0;

	(void)state;
	for (int damage = 0; damage < 5; damage++) {
		size_t bytes = sizeof(message);
		const int next = dup(sockets[0]); /* the number that a received descriptor will get */

		(void)close(next);
		weir_store_message_set(&message, WEIR_STORE_STORE, "x", NULL, 0);
		if (damage == 0)
			message.magic++;
		else if (damage == 1)
			message.blob_bytes = WEIR_STORE_BLOB_BYTES_MAX + 1;
		else if (damage == 2)
			message.pidfd_index = 1;
		else if (damage == 3)
			memset(message.name, 'x', sizeof(message.name));
		else
			bytes--;
		assert_int_equal(weir_fd_send(sockets[0], &message, bytes, sockets, 1), 0);
		assert_int_equal(weir_store_receive(sockets[1], &message, fds, &count), -EBADMSG);
		assert_false(is_open(next));
	}
}

static void store_replaces_and_drop_closes(void **state)
{
	const int first = dup(0);
	const int second = dup(0);

	(void)state;
	assert_int_equal(apply(WEIR_STORE_STORE, "a", "1", first), 0);
	assert_int_equal(apply(WEIR_STORE_STORE, "b", "2", -1), 0);
	assert_int_equal(apply(WEIR_STORE_STORE, "a", "3", second), 0);
	assert_false(is_open(first));
	assert_int_equal(table.count, 2);
	assert_string_equal(table.entry[0]->message.name, "a"); /* keeps its place */
	assert_memory_equal(table.entry[0]->message.blob, "3", 1);
	assert_int_equal(table.entry[0]->message.kind, WEIR_STORE_ENTRY);
	assert_int_equal(apply(WEIR_STORE_DROP, "a", NULL, -1), 0);
	assert_false(is_open(second));
	assert_int_equal(apply(WEIR_STORE_DROP, "a", NULL, -1), 0); /* not there: no error */
	assert_int_equal(table.count, 1);
	assert_int_equal(apply(WEIR_STORE_DONE, "a", NULL, -1), -EBADMSG);
}

static void full_table_refuses_new_names_but_replaces_old_ones(void **state)
{
	char name[WEIR_STORE_NAME_BYTES];

	(void)state;
	for (int i = 0; i < WEIR_STORE_ENTRIES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "entry/%d", i);
		assert_int_equal(apply(WEIR_STORE_STORE, name, NULL, -1), 0);
	}
	assert_int_equal(apply(WEIR_STORE_STORE, "one more", NULL, -1), -ENOSPC);
	assert_int_equal(apply(WEIR_STORE_STORE, "entry/9", "new", -1), 0);
}

static void kill_reaches_stored_pidfds_only(void **state)
{
	struct weir_store_message message;
	const pid_t child = fork();
	int status = 0;
	int pidfd = -1;

	(void)state;
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(child > 0);
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(apply(WEIR_STORE_STORE, "no process", NULL, dup(0)), 0);
	weir_store_message_set(&message, WEIR_STORE_STORE, "worker", NULL, 0);
	message.pidfd_index = 0;
	assert_int_equal(weir_store_table_apply(&table, &message, &pidfd, 1), 0);
	assert_int_equal(weir_store_table_kill(&table), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(weir_store_table_kill(&table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(message_arrives_with_name_blob_and_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_messages_are_refused_and_their_descriptors_closed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(store_replaces_and_drop_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(full_table_refuses_new_names_but_replaces_old_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(kill_reaches_stored_pidfds_only, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
