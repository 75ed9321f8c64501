/* Who asks for its file to be shown asks again where no answer comes of it, and not for ever. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/shm/control.h"
#include "dataplane/worker/reveal.h"

enum { FUNCTION_ID = 7 };

/* A supervisor: what it answers to each question, 0 at the end. */
struct supervisor {
	int fd;
	const int *errors;
	int questions;
	pthread_t thread;
};

static int worker_fd = -1;
static int supervisor_fd = -1;

static void *supervisor_run(void *opaque)
{
	struct supervisor *const supervisor = opaque;
	struct weir_control question;
	struct weir_control_fds fds;
	int error = -1;

	while (error != 0 && weir_control_receive(supervisor->fd, &question, &fds) == 1) {
		error = supervisor->errors[supervisor->questions++];
		if (question.kind == WEIR_CONTROL_REVEAL && question.reveal.function_id == FUNCTION_ID)
			weir_reveal_answered(FUNCTION_ID, error);
	}
	return NULL;
}

static int ask(const int *errors, int *out_questions)
{
	struct supervisor supervisor = {.fd = supervisor_fd, .errors = errors};
	int result = 0;

	assert_int_equal(pthread_create(&supervisor.thread, NULL, supervisor_run, &supervisor), 0);
	result = weir_reveal_ask(FUNCTION_ID);
	assert_int_equal(shutdown(worker_fd, SHUT_WR), 0);
	assert_int_equal(pthread_join(supervisor.thread, NULL), 0);
	*out_questions = supervisor.questions;
	return result;
}

static int setup(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -1;
	worker_fd = fds[0];
	supervisor_fd = fds[1];
	weir_reveal_open(worker_fd, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weir_reveal_open(-1, false);
	(void)close(worker_fd);
	(void)close(supervisor_fd);
	return 0;
}

static void a_helper_that_was_not_done_in_time_is_asked_for_again(void **state)
{
	static const int errors[] = {-ETIMEDOUT, -ETIMEDOUT, 0};
	int questions = 0;

	(void)state;
	assert_int_equal(ask(errors, &questions), 0);
	assert_int_equal(questions, 3);
}

static void it_is_not_asked_for_ever(void **state)
{
	static const int errors[] = {-ETIMEDOUT, -ETIMEDOUT, -ETIMEDOUT, 0};
	int questions = 0;

	(void)state;
	assert_int_equal(ask(errors, &questions), -ETIMEDOUT);
	assert_int_equal(questions, 3);
}

static void what_the_supervisor_refuses_is_refused(void **state)
{
	static const int errors[] = {-ENOENT, 0};
	int questions = 0;

	(void)state;
	assert_int_equal(ask(errors, &questions), -ENOENT);
	assert_int_equal(questions, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_helper_that_was_not_done_in_time_is_asked_for_again),
		TEST(it_is_not_asked_for_ever),
		TEST(what_the_supervisor_refuses_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
