#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/control.h"
#include "tests/worker/rig.h"

enum {
	HELLO = 1,
	ECHO,
	STATUS,
	SLEEP,
	PING,
	CRASH,
	HANG,
	PARTS,
	GARBAGE,
	MISSING,
	NO_SYMBOL,
	NOT_CODE
};

#define SAMPLE(number, text)                                  \
	{                                                     \
		.id = (number), .version = 1, .name = (text), \
		.code_path = RIG_SAMPLES "/" text ".so"       \
	}

static const struct rig_function samples[] = {
	SAMPLE(HELLO, "hello"),
	SAMPLE(ECHO, "echo"),
	SAMPLE(STATUS, "status"),
	SAMPLE(SLEEP, "sleep"),
	SAMPLE(PING, "ping"),
	SAMPLE(CRASH, "crash"),
	SAMPLE(HANG, "hang"),
	SAMPLE(PARTS, "parts"),
	SAMPLE(GARBAGE, "garbage"),
	{.id = MISSING, .version = 1, .name = "missing", .code_path = "/nowhere/missing.so"},
	{.id = NO_SYMBOL,
	 .version = 1,
	 .name = "no_symbol",
	 .code_path = RIG_SAMPLES "/ping.so",
	 .handler = "other"},
	{.id = NOT_CODE, .version = 1, .name = "not_code", .code_path = "/etc/hostname"},
};

enum { SAMPLE_COUNT = sizeof(samples) / sizeof(samples[0]) };

struct fixture {
	struct rig rig;
	struct rig_link *link;
};

static int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	rig_start(&fixture->rig, "native");
	rig_configure(&fixture->rig, samples, SAMPLE_COUNT);
	fixture->link = rig_link_open(&fixture->rig, 2);
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

static struct weir_link_header *line_of(const struct rig_link *link)
{
	return link->segment.header;
}

static void free_all(struct rig_call **calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rig_call_free(calls[i]);
}

static void a_small_answer_is_one_message_with_its_exact_length(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_invoke(fixture->link, HELLO, &(struct rig_request){.path = "/hello"});

	assert_true(fixture->rig.is_ready);
	rig_assert_answer(call, 200, "{\"message\":\"Hello, world\"}");
	assert_string_equal(call->fields, "content-type: application/json\n");
	assert_int_equal(call->content_length, call->answer_bytes);
	assert_int_equal(call->parts, 1);
	rig_call_free(call);
}

static void a_query_is_decoded_and_escaped_by_hello(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call = rig_invoke(
		fixture->link, HELLO, &(struct rig_request){.query = "x=1&name=A%22d+a%0a%zz"});

	rig_assert_answer(call, 200, "{\"message\":\"Hello, A\\\"d a\\u000a%zz\"}");
	rig_call_free(call);
}

static void status_answers_the_parameter_and_refuses_other_codes(void **state)
{
	static const struct {
		const char *param;
		uint32_t status;
		const char *body;
	} cases[] = {
		{"200", 200, "{\"status\":200}"},
		{"404", 404, "{\"status\":404}"},
		{"599", 599, "{\"status\":599}"},
		{"204", 204, ""},
		{"304", 304, ""},
		{"199", 400, "{\"error\":\"the code must be a number from 200 to 599\"}"},
		{"600", 400, "{\"error\":\"the code must be a number from 200 to 599\"}"},
		{"20x", 400, "{\"error\":\"the code must be a number from 200 to 599\"}"},
		{"", 400, "{\"error\":\"the code must be a number from 200 to 599\"}"},
	};
	struct fixture *const fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig_call *const call =
			rig_invoke(fixture->link, STATUS,
				   &(struct rig_request){.param_name = "code",
							 .param_value = cases[i].param});

		rig_assert_answer(call, cases[i].status, cases[i].body);
		rig_call_free(call);
	}
}

static uint8_t *bytes_make(size_t bytes)
{
	uint8_t *const data = malloc(bytes + 1);

	assert_non_null(data);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 131 + i / 65536);
	return data;
}

static void echo_returns_bodies_of_any_size_and_their_type(void **state)
{
	static const size_t sizes[] = {0, 1, 3000, 4096, 60000, 65536, 65537, 200000, 3 << 20};
	struct fixture *const fixture = *state;

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		const size_t bytes = sizes[i / 2];
		uint8_t *const body = bytes_make(bytes);
		const struct rig_request request = {.body = body,
						    .body_bytes = bytes,
						    .is_streamed = bytes > 60000 || i % 2 == 1,
						    .is_length_unknown = i % 2 == 1,
						    .field_name = "Content-Type",
						    .field_value = "image/png"};
		struct rig_call *const call = rig_invoke(fixture->link, ECHO, &request);

		assert_int_equal(call->abort_code, 0);
		assert_int_equal(call->status, 200);
		assert_string_equal(call->fields, "content-type: image/png\n");
		assert_int_equal(call->answer_bytes, bytes);
		assert_memory_equal(call->answer, body, bytes);
		if (!request.is_length_unknown)
			assert_int_equal(call->content_length, bytes);
		rig_call_free(call);
		free(body);
	}
}

static void many_bodies_at_once_all_come_back_whole(void **state)
{
	enum { CALLS = 20, BYTES = 700001 };
	struct fixture *const fixture = *state;
	uint8_t *const body = bytes_make(BYTES + CALLS);
	struct rig_call *calls[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = rig_call(fixture->link, i % 2, ECHO,
				    &(struct rig_request){.body = body + i,
							  .body_bytes = BYTES,
							  .is_streamed = true});
	for (size_t i = 0; i < CALLS; i++) {
		rig_wait_done(calls[i]);
		assert_int_equal(calls[i]->answer_bytes, BYTES);
		assert_memory_equal(calls[i]->answer, body + i, BYTES);
	}
	free_all(calls, CALLS);
	free(body);
}

static void a_function_that_ignores_its_body_never_asks_for_it(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call = rig_invoke(
		fixture->link, PING,
		&(struct rig_request){.body = "abc", .body_bytes = 3, .is_streamed = true});

	rig_assert_answer(call, 200, "{\"pong\":true}");
	assert_false(call->is_asked);
	rig_call_free(call);
}

static void a_batch_over_two_shards_is_answered_and_counted(void **state)
{
	enum { CALLS = 200 };
	struct fixture *const fixture = *state;
	struct rig_call *calls[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = rig_call_push(fixture->link, i % 2, PING, &(struct rig_request){0});
	rig_publish(fixture->link, 0);
	rig_publish(fixture->link, 1);
	for (size_t i = 0; i < CALLS; i++) {
		rig_wait_done(calls[i]);
		rig_assert_answer(calls[i], 200, "{\"pong\":true}");
	}
	free_all(calls, CALLS);
	assert_int_equal(atomic_load(&line_of(fixture->link)->accepted), CALLS);
	assert_int_equal(atomic_load(&line_of(fixture->link)->finished), CALLS);
	assert_true(atomic_load(&line_of(fixture->link)->service_ns) != 0);
	assert_int_equal(atomic_load(&line_of(fixture->link)->parked), 0);
	assert_int_equal(atomic_load(&line_of(fixture->link)->parked_max), 64);
}

static bool is_parked(void *argument)
{
	const struct rig_link *const link = argument;

	return atomic_load(&line_of(link)->parked) == 10;
}

static void sleepers_delay_nobody_and_are_counted_as_parked(void **state)
{
	enum { CALLS = 10 };
	struct fixture *const fixture = *state;
	struct rig_call *calls[CALLS];
	struct rig_call *quick = NULL;

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = rig_call(
			fixture->link, 0, SLEEP,
			&(struct rig_request){.param_name = "ms", .param_value = "300"});
	rig_wait(&fixture->rig, is_parked, fixture->link, "ten parked calls");
	quick = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(quick, 200, "{\"pong\":true}");
	for (size_t i = 0; i < CALLS; i++)
		assert_false(calls[i]->is_done);
	rig_call_free(quick);
	for (size_t i = 0; i < CALLS; i++) {
		rig_wait_done(calls[i]);
		rig_assert_answer(calls[i], 200, "{\"slept_ms\":300}");
	}
	free_all(calls, CALLS);
	assert_int_equal(atomic_load(&line_of(fixture->link)->parked), 0);
}

static void more_calls_than_may_park_wait_their_turn_and_can_be_taken_back(void **state)
{
	enum { CALLS = 80 };
	struct fixture *const fixture = *state;
	struct rig_call *calls[CALLS];
	struct rig_call *again = NULL;

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = rig_call_push(
			fixture->link, 0, SLEEP,
			&(struct rig_request){.param_name = "ms", .param_value = "400"});
	rig_publish(fixture->link, 0);
	while (atomic_load(&line_of(fixture->link)->parked) < 64)
		rig_turn(&fixture->rig, 10);
	/* The last one was read by the worker, but not started: it is still its shard's. */
	assert_true(rig_recall(calls[CALLS - 1]));
	again = rig_call(fixture->link, 0, PING, &(struct rig_request){0});
	assert_ptr_equal(again, calls[CALLS - 1]);
	for (size_t i = 0; i < CALLS - 1; i++) {
		rig_wait_done(calls[i]);
		rig_assert_answer(calls[i], 200, "{\"slept_ms\":400}");
	}
	rig_wait_done(again);
	rig_assert_answer(again, 200, "{\"pong\":true}");
	assert_int_equal(atomic_load(&line_of(fixture->link)->accepted), CALLS);
	free_all(calls, CALLS);
}

static void flushed_parts_are_messages_of_their_own(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_call(fixture->link, 0, PARTS, &(struct rig_request){0});

	rig_wait_done(call);
	assert_int_equal(call->parts,
			 5); /* a message each, the end is another one without bytes */
	assert_true(call->content_length == WEIR_HEAD_LENGTH_UNKNOWN);
	rig_assert_answer(call, 200,
			  "part 1 of 5\npart 2 of 5\npart 3 of 5\npart 4 of 5\npart 5 of 5\n");
	rig_call_free(call);
}

static void an_answer_without_grants_waits_for_them(void **state)
{
	enum { BYTES = 50000 };
	struct fixture *const fixture = *state;
	uint8_t *const body = bytes_make(BYTES);
	struct rig_call *const call =
		rig_call(fixture->link, 0, ECHO,
			 &(struct rig_request){
				 .body = body, .body_bytes = BYTES, .is_grant_withheld = true});
	struct rig_call *other = NULL;

	while (call->parts == 0)
		rig_turn(&fixture->rig, 10);
	other = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_call_free(other);
	assert_false(call->is_done);
	assert_true(call->answer_bytes < 4096);
	rig_grant(call);
	rig_wait_done(call);
	assert_int_equal(call->answer_bytes, BYTES);
	assert_memory_equal(call->answer, body, BYTES);
	rig_call_free(call);
	free(body);
}

static void cancel_ends_a_sleeping_a_reading_and_a_writing_call(void **state)
{
	struct fixture *const fixture = *state;
	uint8_t *const body = bytes_make(50000);
	struct rig_call *calls[3] = {
		rig_call(fixture->link, 0, SLEEP,
			 &(struct rig_request){.param_name = "ms", .param_value = "19000"}),
		rig_call(fixture->link, 0, ECHO,
			 &(struct rig_request){.body = "x",
					       .body_bytes = 1,
					       .is_streamed = true,
					       .is_body_withheld = true}),
		rig_call(fixture->link, 1, ECHO,
			 &(struct rig_request){
				 .body = body, .body_bytes = 50000, .is_grant_withheld = true}),
	};

	while (atomic_load(&line_of(fixture->link)->parked) < 3)
		rig_turn(&fixture->rig, 10);
	for (size_t i = 0; i < 3; i++) {
		rig_cancel(calls[i]);
		rig_wait_done(calls[i]);
		assert_int_equal(calls[i]->abort_code, WEIR_ABORT_CANCELLED);
	}
	free_all(calls, 3);
	free(body);
}

static void a_waiting_call_ends_at_its_deadline(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call = rig_invoke(fixture->link, SLEEP,
						 &(struct rig_request){.param_name = "ms",
								       .param_value = "15000",
								       .timeout_ms = 100});

	assert_int_equal(call->abort_code, WEIR_ABORT_TIMEOUT);
	assert_non_null(strstr(call->abort_text, "deadline"));
	rig_call_free(call);
}

static void code_that_cannot_be_loaded_is_named(void **state)
{
	static const struct {
		uint64_t id;
		const char *text;
	} cases[] = {{MISSING, "'/nowhere/missing.so': No such file"},
		     {NO_SYMBOL, "has no visible function 'other'"},
		     {NOT_CODE, "cannot load the module '/etc/hostname'"}};
	struct fixture *const fixture = *state;
	struct rig_call *call = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		call = rig_invoke(fixture->link, cases[i].id, &(struct rig_request){0});
		assert_int_equal(call->abort_code, WEIR_ABORT_LOAD);
		if (strstr(call->abort_text, cases[i].text) == NULL)
			fail_msg("'%s' does not say '%s'", call->abort_text, cases[i].text);
		rig_call_free(call);
	}
	call = rig_invoke(fixture->link, 999, &(struct rig_request){0});
	assert_int_equal(call->abort_code, WEIR_ABORT_UNKNOWN);
	rig_call_free(call);
}

static void garbage_costs_the_call_and_not_the_worker(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *call = rig_invoke(fixture->link, GARBAGE, &(struct rig_request){0});

	assert_int_equal(call->abort_code, WEIR_ABORT_GARBAGE);
	assert_false(call->is_head_seen);
	rig_call_free(call);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
}

static void a_recalled_call_is_never_started(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_call_push(fixture->link, 0, CRASH, &(struct rig_request){0});
	struct rig_call *after = NULL;

	assert_true(rig_recall(call)); /* its HEAD stays in the ring */
	after = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(after, 200, "{\"pong\":true}");
	rig_call_free(after);
	assert_int_equal(atomic_load(&line_of(fixture->link)->accepted), 1);
}

static bool is_gone(void *argument)
{
	const struct rig_link *const link = argument;

	return link->is_gone;
}

static void a_second_link_works_beside_the_first_and_closing_cancels_its_calls(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_link *const first = fixture->link;
	struct rig_link *const second = rig_link_open(&fixture->rig, 1);
	struct rig_call *const waiting =
		rig_call(first, 0, SLEEP,
			 &(struct rig_request){.param_name = "ms", .param_value = "19000"});
	struct rig_call *call = rig_invoke(second, PING, &(struct rig_request){0});

	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
	while (atomic_load(&line_of(first)->parked) < 1)
		rig_turn(&fixture->rig, 10);
	call = rig_invoke(second, PING, &(struct rig_request){0});
	rig_call_free(call);
	assert_int_equal(atomic_load(&line_of(second)->parked), 0);
	assert_int_equal(atomic_load(&line_of(second)->parked_max), 63);
	rig_link_close(first);
	rig_wait(&fixture->rig, is_gone, first, "LINK_GONE");
	rig_wait_done(waiting);
	assert_int_equal(waiting->abort_code, WEIR_ABORT_CANCELLED);
	rig_call_free(waiting);
	assert_int_equal(atomic_load(&line_of(second)->parked_max), 64);
	call = rig_invoke(second, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
}

static void links_come_and_go_without_leaving_anything(void **state)
{
	struct fixture *const fixture = *state;
	char path[64];
	struct rig_call *call = NULL;
	char maps_before[64];
	char maps_after[64];

	(void)snprintf(path, sizeof(path),
		       "ls /proc/%d/fd | wc -l; grep -c weir-link /proc/%d/maps",
		       fixture->rig.pid, fixture->rig.pid);
	for (int round = 0; round < 2; round++) {
		char *const text = round == 0 ? maps_before : maps_after;
		FILE *counts = NULL;

		for (int i = 0; i < 5; i++) {
			struct rig_link *const link = rig_link_open(&fixture->rig, 2);

			call = rig_invoke(link, PING, &(struct rig_request){0});
			rig_call_free(call);
			rig_link_close(link);
			rig_wait(&fixture->rig, is_gone, link, "LINK_GONE");
			for (uint32_t k = 0; k < 2; k++)
				weir_fd_close(&link->event_fd[k]);
			weir_segment_detach(&link->segment);
			weir_fd_close(&link->segment_fd);
			weir_fd_close(&link->board_fd);
			link->is_open = false;
		}
		counts = popen(path, "r"); /* NOLINT(cert-env33-c) */
		assert_non_null(counts);
		text[fread(text, 1, 63, counts)] = '\0';
		(void)pclose(counts);
	}
	assert_string_equal(maps_before, maps_after);
}

static void a_newer_generation_is_waited_for_and_its_code_runs(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_function changed[SAMPLE_COUNT];
	struct rig_call *early = NULL;
	struct rig_call *call = NULL;

	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_call_free(call);
	memcpy(changed, samples, sizeof(changed));
	changed[PING - 1].version = 2;
	changed[PING - 1].code_path = RIG_SAMPLES "/hello.so";
	early = rig_call(fixture->link, 0, PING,
			 &(struct rig_request){.generation = fixture->rig.generation + 1});
	for (int i = 0; i < 5; i++)
		rig_turn(&fixture->rig, 20);
	assert_false(early->is_done);
	/* Others of the older generation run meanwhile. */
	call = rig_invoke(fixture->link, STATUS,
			  &(struct rig_request){.param_name = "code", .param_value = "201"});
	rig_assert_answer(call, 201, "{\"status\":201}");
	rig_call_free(call);
	rig_configure(&fixture->rig, changed, SAMPLE_COUNT);
	rig_wait_done(early);
	rig_assert_answer(early, 200, "{\"message\":\"Hello, world\"}");
	rig_call_free(early);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){.generation = 99});
	assert_int_equal(call->abort_code, WEIR_ABORT_UNKNOWN); /* never comes */
	rig_call_free(call);
}

static void file_copy(const char *from, const char *to)
{
	char command[8192];

	(void)snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void code_overwritten_in_place_is_loaded_anew_with_its_version(void **state)
{
	struct fixture *const fixture = *state;
	char path[] = "/tmp/weir-test-XXXXXX";
	int fd = mkstemp(path);
	struct rig_function function = {
		.id = 50, .version = 1, .name = "changing", .code_path = path};
	struct rig_call *call = NULL;

	assert_true(fd != -1);
	weir_fd_close(&fd);
	file_copy(RIG_SAMPLES "/ping.so", path);
	rig_configure(&fixture->rig, &function, 1);
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
	file_copy(RIG_SAMPLES "/hello.so", path); /* the same inode, other bytes */
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}"); /* the version did not change */
	rig_call_free(call);
	function.version = 2;
	rig_configure(&fixture->rig, &function, 1);
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"message\":\"Hello, world\"}");
	rig_call_free(call);
	(void)unlink(path);
}

static void a_crash_names_its_function_and_activation(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_call(fixture->link, 0, CRASH, &(struct rig_request){0});
	char *text = NULL;
	char expected[128];
	const int status = rig_wait_exit(&fixture->rig);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	text = rig_stderr(&fixture->rig);
	(void)snprintf(expected, sizeof(expected),
		       "crashed with signal 11 in default/crash activation %016llx%016llx",
		       0x0123456789abcdefULL, (unsigned long long)call->sequence);
	if (strstr(text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", text, expected);
	free(text);
}

static void
a_function_that_hangs_is_killed_with_its_process_and_its_queued_calls_are_recalled(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const hanging =
		rig_call(fixture->link, 0, HANG, &(struct rig_request){0});
	struct rig_call *behind = NULL;

	while (atomic_load(&line_of(fixture->link)->accepted) == 0)
		rig_turn(&fixture->rig, 10);
	behind = rig_call(fixture->link, 0, PING, &(struct rig_request){0});
	rig_turn(&fixture->rig, 10);
	assert_false(behind->is_done);
	assert_int_equal(kill(fixture->rig.pid, SIGKILL), 0);
	assert_true(WIFSIGNALED(rig_wait_exit(&fixture->rig)));
	assert_false(rig_recall(hanging)); /* it ran */
	assert_true(rig_recall(behind));
}

static void stop_lets_running_calls_finish_and_starts_no_more(void **state)
{
	struct fixture *const fixture = *state;
	const struct weir_control stop = {.kind = WEIR_CONTROL_STOP};
	struct rig_call *const call =
		rig_call(fixture->link, 0, SLEEP,
			 &(struct rig_request){.param_name = "ms", .param_value = "200"});
	struct rig_call *late = NULL;

	while (atomic_load(&line_of(fixture->link)->parked) == 0)
		rig_turn(&fixture->rig, 10);
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &stop, NULL, 0), 0);
	for (int i = 0; i < 5; i++)
		rig_turn(&fixture->rig, 10);
	late = rig_call(fixture->link, 0, PING, &(struct rig_request){0});
	rig_wait_done(call);
	rig_assert_answer(call, 200, "{\"slept_ms\":200}");
	assert_int_equal(rig_wait_exit(&fixture->rig), 0);
	assert_true(rig_recall(late));
	rig_call_free(call);
}

static void the_supervisors_end_is_the_workers_end(void **state)
{
	struct fixture *const fixture = *state;

	weir_fd_close(&fixture->rig.socket_fd);
	assert_int_equal(rig_wait_exit(&fixture->rig), 0);
}

static void bad_control_messages_are_refused_and_leave_nothing_open(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_OPEN};
	int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
		      open("/dev/null", O_RDONLY | O_CLOEXEC)};
	struct rig_call *call = NULL;

	control.link_open.link_id = 77;
	control.link_open.shard_count = 1;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	control.link_open.shard_count = 1000;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	control = (struct weir_control){.kind = WEIR_CONTROL_SNAPSHOT};
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 1), 0);
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, NULL, 0), 0);
	control.kind = 999;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	weir_fd_close_all(fds, 2);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
}

static void the_process_has_no_rights(void **state)
{
	struct fixture *const fixture = *state;
	char path[64];
	char text[8192];
	FILE *status = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", fixture->rig.pid);
	status = fopen(path, "re");
	assert_non_null(status);
	text[fread(text, 1, sizeof(text) - 1, status)] = '\0';
	(void)fclose(status);
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
	assert_non_null(strstr(text, "CapInh:\t0000000000000000"));
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(a_small_answer_is_one_message_with_its_exact_length),
		WORKER_TEST(a_query_is_decoded_and_escaped_by_hello),
		WORKER_TEST(status_answers_the_parameter_and_refuses_other_codes),
		WORKER_TEST(echo_returns_bodies_of_any_size_and_their_type),
		WORKER_TEST(many_bodies_at_once_all_come_back_whole),
		WORKER_TEST(a_function_that_ignores_its_body_never_asks_for_it),
		WORKER_TEST(a_batch_over_two_shards_is_answered_and_counted),
		WORKER_TEST(sleepers_delay_nobody_and_are_counted_as_parked),
		WORKER_TEST(more_calls_than_may_park_wait_their_turn_and_can_be_taken_back),
		WORKER_TEST(flushed_parts_are_messages_of_their_own),
		WORKER_TEST(an_answer_without_grants_waits_for_them),
		WORKER_TEST(cancel_ends_a_sleeping_a_reading_and_a_writing_call),
		WORKER_TEST(a_waiting_call_ends_at_its_deadline),
		WORKER_TEST(code_that_cannot_be_loaded_is_named),
		WORKER_TEST(garbage_costs_the_call_and_not_the_worker),
		WORKER_TEST(a_recalled_call_is_never_started),
		WORKER_TEST(a_second_link_works_beside_the_first_and_closing_cancels_its_calls),
		WORKER_TEST(links_come_and_go_without_leaving_anything),
		WORKER_TEST(a_newer_generation_is_waited_for_and_its_code_runs),
		WORKER_TEST(code_overwritten_in_place_is_loaded_anew_with_its_version),
		WORKER_TEST(a_crash_names_its_function_and_activation),
		WORKER_TEST(
			a_function_that_hangs_is_killed_with_its_process_and_its_queued_calls_are_recalled),
		WORKER_TEST(stop_lets_running_calls_finish_and_starts_no_more),
		WORKER_TEST(the_supervisors_end_is_the_workers_end),
		WORKER_TEST(bad_control_messages_are_refused_and_leave_nothing_open),
		WORKER_TEST(the_process_has_no_rights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
