#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/worker/rig.h"

enum { MOODY = 1, PING };

static const struct rig_function functions[] = {
	{.id = MOODY,
	 .version = 1,
	 .name = "moody",
	 .code_path = RIG_MOODY,
	 .handler = "moody"},
	{.id = PING, .version = 1, .name = "ping", .code_path = RIG_SAMPLES "/ping.so"},
};

struct fixture {
	struct rig rig;
	struct rig_link *link;
};

static int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	rig_start(&fixture->rig, "native");
	rig_configure(&fixture->rig, functions, 2);
	fixture->link = rig_link_open(&fixture->rig, 1);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *const fixture = *state;

	rig_stop(&fixture->rig);
	free(fixture);
	return 0;
}

static struct rig_call *moody(struct fixture *fixture, const char *query)
{
	return rig_invoke(fixture->link, MOODY, &(struct rig_request){.query = query});
}

static void every_view_tells_what_the_request_said(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_invoke(fixture->link, MOODY,
			   &(struct rig_request){.query = "tell",
						 .method = 5,
						 .path = "/img/a b",
						 .param_name = "id",
						 .param_value = "7",
						 .field_name = "X-Field",
						 .field_value = "its value"});
	char expected[256];

	(void)snprintf(expected, sizeof(expected),
		       "PATCH\n/img/a b\n/pattern\nexample.test\n127.0.0.1\n7\n-\nits "
		       "value\n-\nX-Field\n"
		       "0123456789abcdef%016llx",
		       (unsigned long long)call->sequence);
	rig_assert_answer(call, 200, expected);
	rig_call_free(call);
}

static void a_small_body_is_viewed_in_place_and_a_streamed_one_is_not(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_request request = {.query = "upper", .body = "Body!", .body_bytes = 5};
	struct rig_call *call = rig_invoke(fixture->link, MOODY, &request);

	rig_assert_answer(call, 200, "BODY!");
	rig_call_free(call);
	request.is_streamed = true;
	call = rig_invoke(fixture->link, MOODY, &request);
	rig_assert_answer(call, 200, "streamed");
	rig_call_free(call);
	call = moody(fixture, "upper"); /* no body at all */
	rig_assert_answer(call, 200, "");
	rig_call_free(call);
}

static void refused_operations_say_so_and_the_answer_goes_on(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call = moody(fixture, "refused");

	assert_int_equal(call->abort_code, 0);
	assert_int_equal(call->status, 201);
	assert_string_equal(call->fields, "");
	assert_int_equal(call->content_length, 1000);
	assert_int_equal(call->answer_bytes, 1000);
	assert_memory_equal(call->answer, "-22 -22 -22 0 0 0 0 -114 -114 -114  ", 36);
	rig_call_free(call);
}

static void failure_is_told_before_the_head_and_cuts_after_it(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *call = moody(fixture, "fail");

	assert_int_equal(call->abort_code, WEIR_ABORT_FAILED);
	assert_string_equal(call->abort_text, "the function returned -77");
	assert_false(call->is_head_seen);
	rig_call_free(call);
	call = moody(fixture, "late-fail");
	assert_int_equal(call->abort_code, WEIR_ABORT_FAILED);
	assert_true(call->is_head_seen);
	rig_call_free(call);
	call = moody(fixture, "");
	rig_assert_answer(call, 200, "calm");
	rig_call_free(call);
}

static void what_nobody_collects_goes_to_the_log_with_name_and_activation(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call = moody(fixture, "log");
	char *const text = rig_stderr(&fixture->rig);
	char expected[128];

	(void)snprintf(
		expected, sizeof(expected),
		"info worker/7 function name=default/moody activation=0123456789abcdef%016llx "
		"stream=warn text=a line\n",
		(unsigned long long)call->sequence);
	if (strstr(text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", text, expected);
	free(text);
	rig_call_free(call);
}

/* The worker dies; how, and what it says. */
static void death_expect(struct fixture *fixture, const char *query, int signal,
			 const char *said)
{
	(void)rig_call(fixture->link, 0, MOODY, &(struct rig_request){.query = query});

	const int status = rig_wait_exit(&fixture->rig);
	char *const text = rig_stderr(&fixture->rig);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signal);
	if (strstr(text, said) == NULL)
		fail_msg("'%s' does not say '%s'", text, said);
	free(text);
}

static void abort_is_named(void **state)
{
	death_expect(*state, "abort", SIGABRT,
		     "crashed with signal 6 in default/moody activation");
}

static void a_stack_that_ran_out_is_named(void **state)
{
	death_expect(*state, "stack", SIGSEGV,
		     "crashed with signal 11 in default/moody activation");
}

static void exit_in_a_function_is_the_workers_end(void **state)
{
	struct fixture *const fixture = *state;
	int status = 0;

	(void)rig_call(fixture->link, 0, MOODY, &(struct rig_request){.query = "exit"});
	status = rig_wait_exit(&fixture->rig);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void answers_made_before_a_crash_are_not_lost(void **state)
{
	enum { CALLS = 8 };
	struct fixture *const fixture = *state;
	struct rig_call *calls[CALLS];
	struct rig_call *last = NULL;

	/* Once in peace, so that the worker has no reason to publish before it starts this function. */
	for (int i = 0; i < 50; i++)
		rig_call_free(moody(fixture, ""));
	for (size_t i = 0; i < CALLS; i++)
		calls[i] = rig_call_push(fixture->link, 0, PING, &(struct rig_request){0});
	last = rig_call_push(fixture->link, 0, MOODY, &(struct rig_request){.query = "crash"});
	rig_publish(fixture->link, 0);
	assert_true(WIFSIGNALED(rig_wait_exit(&fixture->rig)));
	rig_turn(&fixture->rig, 0);
	for (size_t i = 0; i < CALLS; i++)
		rig_assert_answer(calls[i], 200, "{\"pong\":true}");
	assert_false(last->is_done);
}

/* Short calls share readings of the clock; what one of them took beyond them is not lost. */
static void a_long_call_among_short_ones_shows_in_the_service_time(void **state)
{
	enum { CALLS = 100, ROUNDS = 5 };
	const uint64_t spin_ns = 20000000;
	struct fixture *const fixture = *state;
	const _Atomic uint64_t *const service_ns = &fixture->link->segment.header->service_ns;
	struct rig_call *calls[CALLS];

	for (size_t round = 0; round < ROUNDS; round++) {
		const bool is_last = round == ROUNDS - 1;

		for (size_t i = 0; i < CALLS; i++)
			calls[i] = rig_call_push(
				fixture->link, 0, MOODY,
				&(struct rig_request){
					.query = is_last && i == CALLS - 4 ? "spin" : ""});
		rig_publish(fixture->link, 0);
		for (size_t i = 0; i < CALLS; i++) {
			rig_wait_done(calls[i]);
			rig_assert_answer(calls[i], 200, "calm");
			rig_call_free(calls[i]);
		}
	}
	/* At most eight calls shared its reading, which entered the average with an eighth, and at most
	 * four newer readings took an eighth off that each. */
	assert_true(atomic_load(service_ns) >= spin_ns / 8 / 8 / 2);
	rig_call_free(moody(fixture, "spin"));
	assert_true(atomic_load(service_ns) >= spin_ns / 8 / 8);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(every_view_tells_what_the_request_said),
		WORKER_TEST(a_small_body_is_viewed_in_place_and_a_streamed_one_is_not),
		WORKER_TEST(refused_operations_say_so_and_the_answer_goes_on),
		WORKER_TEST(failure_is_told_before_the_head_and_cuts_after_it),
		WORKER_TEST(what_nobody_collects_goes_to_the_log_with_name_and_activation),
		WORKER_TEST(abort_is_named),
		WORKER_TEST(a_stack_that_ran_out_is_named),
		WORKER_TEST(exit_in_a_function_is_the_workers_end),
		WORKER_TEST(answers_made_before_a_crash_are_not_lost),
		WORKER_TEST(a_long_call_among_short_ones_shows_in_the_service_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
