#include "tests/shm/shm_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "dataplane/shm/control.h"

struct fixture {
	int near;
	int far;
	struct weir_control control;
	struct weir_control_fds fds;
};

static int setup(void **state)
{
	static struct fixture fixture;
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), 0);
	fixture = (struct fixture){.near = sockets[0], .far = sockets[1]};
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	weir_fd_close(&f->near);
	weir_fd_close(&f->far);
	return 0;
}

/* The lowest free descriptor number: the same before and after if nothing leaked. */
static int descriptor_next(void)
{
	const int fd = dup(STDERR_FILENO);

	(void)close(fd);
	return fd;
}

static int receive(struct fixture *f)
{
	return weir_control_receive(f->far, &f->control, &f->fds);
}

/* Send `control` with `fd_count` descriptors and return what receiving it says. */
static int exchange(struct fixture *f, const struct weir_control *control, size_t fd_count)
{
	const int next = descriptor_next();
	int fds[WEIR_SHARDS_MAX + 4];
	int result = 0;

	for (size_t i = 0; i < fd_count; i++)
		fds[i] = STDERR_FILENO;
	assert_int_equal(weir_control_send(f->near, control, fds, fd_count), 0);
	result = receive(f);
	if (result == 1) {
		assert_int_equal(f->fds.count, fd_count);
		assert_int_equal(f->control.kind, control->kind);
		weir_fd_close_all(f->fds.fd, f->fds.count);
	}
	assert_int_equal(descriptor_next(), next);
	return result;
}

static int exchange_raw(struct fixture *f, const void *data, size_t bytes)
{
	const int next = descriptor_next();
	const int fd = STDERR_FILENO;
	int result = 0;

	assert_int_equal(weir_fd_send(f->near, data, bytes, &fd, 1), 0);
	result = receive(f);
	assert_int_equal(descriptor_next(), next);
	return result;
}

static void message_arrives_with_magic_version_and_descriptors(void **state)
{
	struct fixture *f = *state;
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_OPEN};

	control.link_open.link_id = 5;
	control.link_open.shard_count = 3;
	assert_int_equal(exchange(f, &control, 5), 1);
	assert_int_equal(f->control.magic, WEIR_CONTROL_MAGIC);
	assert_int_equal(f->control.abi_major, WEIR_ABI_MAJOR);
	assert_int_equal(f->control.link_open.link_id, 5);
}

static void empty_socket_and_closed_peer_are_told_apart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(receive(f), -EAGAIN);
	weir_fd_close(&f->near);
	assert_int_equal(receive(f), 0);
}

static void malformed_messages_are_refused_and_the_next_one_is_read(void **state)
{
	struct fixture *f = *state;
	struct {
		struct weir_control control;
		char more;
	} message = {.control = {.magic = WEIR_CONTROL_MAGIC, .kind = 99, .abi_major = WEIR_ABI_MAJOR}};

	assert_int_equal(exchange_raw(f, &message.control, sizeof(message.control) - 1), -EBADMSG);
	assert_int_equal(exchange_raw(f, &message, sizeof(message.control) + 1), -EBADMSG);
	message.control.magic++;
	assert_int_equal(exchange_raw(f, &message.control, sizeof(message.control)), -EBADMSG);
	message.control.magic--;
	message.control.abi_major++;
	assert_int_equal(exchange_raw(f, &message.control, sizeof(message.control)), -EPROTO);
	assert_int_equal(exchange(f, &(struct weir_control){.kind = WEIR_CONTROL_STOP}, 0), 1);
}

static void unknown_kind_is_handed_over_with_its_descriptors(void **state)
{
	assert_int_equal(exchange(*state, &(struct weir_control){.kind = 4711}, 3), 1);
}

static void shard_counts_out_of_range_are_refused(void **state)
{
	struct weir_control control = {.kind = WEIR_CONTROL_GATEWAY_START};

	assert_int_equal(exchange(*state, &control, 1), -EBADMSG);
	control.gateway_start.shard_count = WEIR_SHARDS_MAX + 1;
	assert_int_equal(exchange(*state, &control, 1), -EBADMSG);
	control.gateway_start.shard_count = WEIR_SHARDS_MAX;
	assert_int_equal(exchange(*state, &control, 1), 1);
	control = (struct weir_control){.kind = WEIR_CONTROL_LINK_OPEN};
	assert_int_equal(exchange(*state, &control, 2), -EBADMSG);
	control.link_open.shard_count = UINT32_MAX;
	assert_int_equal(exchange(*state, &control, 1), -EBADMSG);
}

static void descriptor_counts_must_fit_the_kind(void **state)
{
	static const struct {
		uint32_t kind;
		size_t least;
		size_t most;
	} rules[] = {
		{WEIR_CONTROL_READY, 0, 1},	   {WEIR_CONTROL_STOP, 0, 0},
		{WEIR_CONTROL_LISTEN, 1, WEIR_SHARDS_MAX}, {WEIR_CONTROL_WORKER_START, 0, 2},
		{WEIR_CONTROL_CTRLD_START, 0, 1},  {WEIR_CONTROL_LINK_CLOSE, 0, 0},
		{WEIR_CONTROL_LINK_READY, 0, 0},   {WEIR_CONTROL_LINK_GONE, 0, 0},
		{WEIR_CONTROL_SNAPSHOT, 1, 1},	   {WEIR_CONTROL_SNAPSHOT_ACK, 0, 0},
		{WEIR_CONTROL_WORKER_KILL, 0, 0},  {WEIR_CONTROL_DEMAND, 0, 0},
		{WEIR_CONTROL_OUTPUT_OPEN, 1, 1},  {WEIR_CONTROL_OUTPUT_GONE, 0, 0},
		{WEIR_CONTROL_ACTIVATIONS, 2, 2},  {WEIR_CONTROL_BOARD, 1, 1},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct weir_control control = {.kind = rules[i].kind};

		assert_int_equal(exchange(*state, &control, rules[i].least), 1);
		assert_int_equal(exchange(*state, &control, rules[i].most), 1);
		assert_int_equal(exchange(*state, &control, rules[i].most + 1), -EBADMSG);
		if (rules[i].least > 0)
			assert_int_equal(exchange(*state, &control, rules[i].least - 1), -EBADMSG);
	}
}

static void texts_without_an_end_are_refused(void **state)
{
	struct weir_control control = {.kind = WEIR_CONTROL_LISTEN};

	memset(control.listen.address, 'x', sizeof(control.listen.address));
	assert_int_equal(exchange(*state, &control, 1), -EBADMSG);
	control = (struct weir_control){.kind = WEIR_CONTROL_WORKER_START};
	memset(control.worker_start.space, 'x', sizeof(control.worker_start.space));
	assert_int_equal(exchange(*state, &control, 0), -EBADMSG);
	control = (struct weir_control){.kind = WEIR_CONTROL_WORKER_KILL};
	memset(control.worker_kill.reason, 'x', sizeof(control.worker_kill.reason));
	assert_int_equal(exchange(*state, &control, 0), -EBADMSG);
	control = (struct weir_control){.kind = WEIR_CONTROL_OUTPUT_OPEN};
	memset(control.output.space, 'x', sizeof(control.output.space));
	assert_int_equal(exchange(*state, &control, 1), -EBADMSG);
}

static void send_reports_the_errors_of_the_socket(void **state)
{
	struct fixture *f = *state;
	const struct weir_control control = {.kind = WEIR_CONTROL_STOP};
	int result = 0;

	for (int i = 0; i < 100000 && result == 0; i++)
		result = weir_control_send(f->near, &control, NULL, 0);
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(weir_control_send(f->near, &control, NULL, WEIR_FD_PASS_MAX + 1), -EINVAL);
	while (receive(f) == 1)
		; /* unread messages would make the close a reset */
	weir_fd_close(&f->far);
	assert_int_equal(weir_control_send(f->near, &control, NULL, 0), -EPIPE);
	assert_int_equal(weir_control_send(-1, &control, NULL, 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(message_arrives_with_magic_version_and_descriptors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(empty_socket_and_closed_peer_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_messages_are_refused_and_the_next_one_is_read,
						setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_kind_is_handed_over_with_its_descriptors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(shard_counts_out_of_range_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptor_counts_must_fit_the_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_without_an_end_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(send_reports_the_errors_of_the_socket, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
