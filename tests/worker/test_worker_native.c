#include <stdio.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "tests/worker/native_fixture.h"

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
	rig_assert_answer(call, 200, "{\"message\":\"Hello, world!\"}");
	assert_string_equal(call->fields, "content-type: application/json\n");
	assert_int_equal(call->content_length, call->answer_bytes);
	assert_int_equal(call->parts, 1);
	rig_call_free(call);
}

static void hello_reads_the_name_from_json(void **state)
{
	static const char body[] = "{\"age\": 3, \"name\": \"A\\\"da\"}";
	struct fixture *const fixture = *state;
	struct rig_call *const call = rig_invoke(
		fixture->link, HELLO, &(struct rig_request){.method = 2, .body = body, .body_bytes = sizeof(body) - 1});

	rig_assert_answer(call, 200, "{\"message\":\"Hello, A\\\"da!\"}");
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

/* One of several kinds of calls; what its answer must be is in `kind`. */
enum kind { KIND_PING, KIND_SLEEP, KIND_ECHO_SMALL, KIND_ECHO_STREAMED, KIND_COUNT };

struct mixed {
	struct rig_call *call; /* NULL = place unused */
	enum kind kind;
	bool is_cancelled;
	char ms[4];
};

static void mixed_start(struct fixture *fixture, struct mixed *mixed, const uint8_t *body,
			unsigned int *seed)
{
	const uint32_t shard = (uint32_t)rand_r(seed) % 2;
	struct rig_request request = {0};
	uint64_t function = PING;

	mixed->kind = (enum kind)(rand_r(seed) % KIND_COUNT);
	mixed->is_cancelled = false;
	if (mixed->kind == KIND_SLEEP) {
		function = SLEEP;
		(void)snprintf(mixed->ms, sizeof(mixed->ms), "%d", rand_r(seed) % 8);
		request.param_name = "ms";
		request.param_value = mixed->ms;
	} else if (mixed->kind != KIND_PING) {
		function = ECHO;
		request.is_streamed = mixed->kind == KIND_ECHO_STREAMED;
		request.body = body;
		request.body_bytes =
			(size_t)rand_r(seed) % (request.is_streamed ? 300000 : 60000);
	}
	mixed->call = rig_call(fixture->link, shard, function, &request);
}

/* The call is done: right, or cancelled because it was told so. */
static void mixed_check(const struct mixed *mixed, const uint8_t *body)
{
	const struct rig_call *const call = mixed->call;
	char slept[32];

	if (mixed->is_cancelled && call->abort_code == WEIR_ABORT_CANCELLED)
		return;
	(void)snprintf(slept, sizeof(slept), "{\"slept_ms\":%s}", mixed->ms);
	if (mixed->kind == KIND_PING)
		rig_assert_answer(call, 200, "{\"pong\":true}");
	else if (mixed->kind == KIND_SLEEP)
		rig_assert_answer(call, 200, slept);
	assert_int_equal(call->abort_code, 0);
	if (mixed->kind == KIND_ECHO_SMALL || mixed->kind == KIND_ECHO_STREAMED) {
		assert_int_equal(call->answer_bytes, call->request.body_bytes);
		assert_memory_equal(call->answer, body, call->answer_bytes);
	}
}

static void any_mixture_of_calls_cancels_and_recalls_comes_out_right(void **state)
{
	enum { ROUNDS = 4000, PLACES = 40, BODY_BYTES = 300000 };
	struct fixture *const fixture = *state;
	uint8_t *const body = bytes_make(BODY_BYTES);
	struct mixed places[PLACES] = {0};
	unsigned int seed = (unsigned int)weir_clock_now_ns();
	uint32_t done = 0;

	print_message("seed %u\n", seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct mixed *const mixed = &places[rand_r(&seed) % PLACES];

		if (mixed->call == NULL) {
			mixed_start(fixture, mixed, body, &seed);
		} else if (mixed->call->is_done) {
			mixed_check(mixed, body);
			rig_call_free(mixed->call);
			mixed->call = NULL;
			done++;
		} else if (rand_r(&seed) % 8 == 0 && !mixed->is_cancelled) {
			if (rig_recall(mixed->call)) {
				mixed->call = NULL;
				continue;
			}
			rig_cancel(mixed->call);
			mixed->is_cancelled = true;
		}
		if (rand_r(&seed) % 4 == 0)
			rig_turn(&fixture->rig, 1);
	}
	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].call == NULL)
			continue;
		rig_wait_done(places[i].call);
		mixed_check(&places[i], body);
		rig_call_free(places[i].call);
	}
	assert_true(done > 100);
	assert_int_equal(atomic_load(&line_of(fixture->link)->parked), 0);
	assert_int_equal(atomic_load(&line_of(fixture->link)->accepted),
			 atomic_load(&line_of(fixture->link)->finished));
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(a_small_answer_is_one_message_with_its_exact_length),
		WORKER_TEST(hello_reads_the_name_from_json),
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
		WORKER_TEST(any_mixture_of_calls_cancels_and_recalls_comes_out_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
