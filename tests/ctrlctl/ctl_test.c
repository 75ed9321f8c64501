#include "tests/ctrlctl/ctl_test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dataplane/base/fd.h"

int ctl_test_setup(void **state)
{
	struct ctl_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	(void)snprintf(test->home, sizeof(test->home), "/tmp/test-ctl-XXXXXX");
	if (mkdtemp(test->home) == NULL)
		return -1;
	(void)snprintf(test->data, sizeof(test->data), "%s/data", test->home);
	if (mkdir(test->data, 0700) != 0)
		return -1;
	test->control_fd = -1;
	test->snapshot_fd = -1;
	atomic_store(&test->acknowledge, true);
	*state = test;
	return 0;
}

int ctl_test_teardown(void **state)
{
	struct ctl_test *test = *state;
	char command[96];

	if (test->ctrld > 0)
		ctl_test_kill(test);
	weir_fd_close(&test->snapshot_fd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", test->home);
	(void)system(command);
	free(test);
	return 0;
}

static void snapshot_answer(struct ctl_test *test, const struct weir_control *message)
{
	const struct weir_control answer = {
		.kind = WEIR_CONTROL_SNAPSHOT_ACK,
		.snapshot_ack = {.generation = message->snapshot.generation,
				 .shards_acked = CTL_TEST_SHARDS,
				 .shards_total = CTL_TEST_SHARDS,
				 .took_ns = 1000},
	};

	/* First the counts: a command that was answered is followed by a look at them. */
	atomic_store(&test->generation, message->snapshot.generation);
	atomic_fetch_add(&test->snapshots, 1);
	if (atomic_load(&test->acknowledge))
		(void)weir_control_send(test->control_fd, &answer, NULL, 0);
}

static void *supervisor_play(void *argument)
{
	struct ctl_test *test = argument;
	struct weir_control message;
	struct weir_control_fds fds;

	while (weir_control_receive(test->control_fd, &message, &fds) == 1) {
		if (message.kind == WEIR_CONTROL_READY)
			atomic_store(&test->ready, true);
		if (message.kind == WEIR_CONTROL_SNAPSHOT && fds.count == 1) {
			weir_fd_close(&test->snapshot_fd);
			test->snapshot_fd = fds.fd[0];
			fds.fd[0] = -1;
			snapshot_answer(test, &message);
		}
		weir_fd_close_all(fds.fd, fds.count);
	}
	return NULL;
}

void ctl_test_start(struct ctl_test *test, int snapshot_fd)
{
	const struct weir_control start = {.kind = WEIR_CONTROL_CTRLD_START};
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	test->ctrld = fork();
	assert_true(test->ctrld >= 0);
	if (test->ctrld == 0) {
		const int theirs = fcntl(sockets[1], F_DUPFD, 10);

		/* dup2 onto itself would leave it CLOEXEC. */
		if (theirs == -1 || dup2(theirs, WEIR_CONTROL_FD) == -1)
			_exit(99);
		(void)close(theirs);
		(void)execl(CTRLD_PROGRAM, "weir-ctrld", "--data", test->data, (char *)NULL);
		_exit(98);
	}
	(void)close(sockets[1]);
	test->control_fd = sockets[0];
	atomic_store(&test->ready, false);
	assert_int_equal(weir_control_send(test->control_fd, &start, &snapshot_fd,
					   snapshot_fd == -1 ? 0 : 1),
			 0);
	assert_int_equal(pthread_create(&test->thread, NULL, supervisor_play, test), 0);
	test->thread_runs = true;
	CTL_TEST_UNTIL(atomic_load(&test->ready));
}

static int ctrld_reap(struct ctl_test *test)
{
	int status = -1;

	assert_int_equal(waitpid(test->ctrld, &status, 0), test->ctrld);
	test->ctrld = 0;
	if (test->thread_runs)
		assert_int_equal(pthread_join(test->thread, NULL), 0);
	test->thread_runs = false;
	weir_fd_close(&test->control_fd);
	return status;
}

void ctl_test_stop(struct ctl_test *test)
{
	const struct weir_control stop = {.kind = WEIR_CONTROL_STOP};

	assert_int_equal(weir_control_send(test->control_fd, &stop, NULL, 0), 0);
	ctl_test_reap(test, 0);
}

void ctl_test_reap(struct ctl_test *test, int code)
{
	const int status = ctrld_reap(test);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

void ctl_test_kill(struct ctl_test *test)
{
	assert_int_equal(kill(test->ctrld, SIGKILL), 0);
	(void)ctrld_reap(test);
}

/* Read both pipes to their ends. */
static void output_read(int out_fd, int err_fd, struct ctl_output *output)
{
	struct pollfd fds[2] = {{.fd = out_fd, .events = POLLIN},
				{.fd = err_fd, .events = POLLIN}};
	char *const texts[2] = {output->out, output->err};
	size_t used[2] = {0, 0};

	while (fds[0].fd != -1 || fds[1].fd != -1) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++) {
			ssize_t got = 0;

			if (fds[i].fd == -1 || fds[i].revents == 0)
				continue;
			assert_true(used[i] + 1 < CTL_TEST_OUTPUT_MAX);
			got = read(fds[i].fd, texts[i] + used[i],
				   CTL_TEST_OUTPUT_MAX - 1 - used[i]);
			if (got <= 0)
				fds[i].fd = -1;
			else
				used[i] += (size_t)got;
		}
	}
	output->out[used[0]] = '\0';
	output->err[used[1]] = '\0';
}

void ctl_test_shell(const struct ctl_test *test, const char *command, struct ctl_output *output)
{
	int out[2];
	int err[2];
	int status = -1;
	pid_t child = -1;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)dup2(err[1], STDERR_FILENO);
		(void)setenv("DATA", test->data, 1);
		(void)setenv("CTRLCTL", CTRLCTL_PROGRAM, 1);
		if (chdir(test->home) == 0)
			(void)execlp("bash", "bash", "-c", command, (char *)NULL);
		_exit(97);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	output_read(out[0], err[0], output);
	(void)close(out[0]);
	(void)close(err[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	output->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void ctl_test_run(const struct ctl_test *test, const char *arguments, int status,
		  struct ctl_output *output)
{
	char command[8192];

	assert_true(snprintf(command, sizeof(command), "\"$CTRLCTL\" --data \"$DATA\" %s",
			     arguments) < (int)sizeof(command));
	ctl_test_shell(test, command, output);
	if (output->status != status)
		fail_msg("ctrlctl %s: exit code %d, wanted %d\n%s%s", arguments, output->status,
			 status, output->out, output->err);
}

pid_t ctl_test_board_serve(const struct ctl_test *test, int board_fd, int times)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char question[16];
	pid_t child = -1;
	const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s/run", test->data) >
		    0);
	(void)mkdir(address.sun_path, 0700);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/supervisor.sock",
		       test->data);
	(void)unlink(address.sun_path);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)alarm(60);
		for (int i = 0; i < times; i++) {
			const int peer = accept(listener, NULL, NULL);

			if (recv(peer, question, sizeof(question), 0) == 8 &&
			    memcmp(question, "weirstat", 8) == 0)
				(void)weir_fd_send(peer, question, 8, &board_fd, 1);
			(void)close(peer);
		}
		_exit(0);
	}
	(void)close(listener);
	return child;
}
