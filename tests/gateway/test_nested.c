/* Calls that functions make to others, as the gateway sees them: workers are played. */
#include "tests/gateway/nested_fixture.h"

static struct rig_options patient = {.timeout_ms = 20000, .queue_max = 100};
static struct rig_options two = {.timeout_ms = 20000, .queue_max = 100, .workers_max = 2};
static struct rig_options own = {.timeout_ms = 20000, .queue_max = 100, .is_system = true};
static struct rig_options hasty = {.timeout_ms = 300, .queue_max = 100};

static const struct weir_request_head *head_of(struct rig_worker *worker, const struct weir_message *message)
{
	size_t room;

	return (const void *)weir_segment_chunk(&worker->segment.pair[0], message->chunk, &room);
}

static void expect_text(const struct weir_request_head *head, struct weir_head_slice slice, const char *text)
{
	assert_int_equal(slice.bytes, strlen(text));
	assert_memory_equal((const char *)head + slice.offset, text, slice.bytes);
}

static void a_function_calls_another_and_gets_its_answer(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	const struct weir_request_head *head;
	const struct weir_link_call *record;
	struct nested nested;
	char activation[40];
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 2);
	nested_call(&nested, "g", "a body", 0);
	child = rig_worker_accept(&worker);
	head = head_of(&worker, &child);
	assert_int_equal(weir_head_check_request(head, child.head_bytes), 0);
	assert_int_equal(head->method, 2);
	assert_int_equal(head->depth, 1);
	assert_int_equal(head->content_length, 6);
	expect_text(head, head->path, "/nested");
	expect_text(head, head->target, "/nested");
	expect_text(head, head->peer, "function");
	assert_int_equal(child.bytes - child.head_bytes, 6);
	assert_memory_equal((const char *)head + head->bytes, "a body", 6);
	record = &worker.segment.pair[0].call[parent.call];
	(void)snprintf(activation, sizeof(activation), "%016lx%016lx",
		       (unsigned long)record->activation_high, (unsigned long)record->activation_low);
	expect_text(head, head->parent, activation);
	record = &worker.segment.pair[0].call[child.call];
	assert_int_equal(record->function_id, 8);
	assert_int_equal(record->deadline_ns, worker.segment.pair[0].call[parent.call].deadline_ns);
	rig_worker_answer(&worker, &child, 201, "the answer");
	assert_int_equal(nested_answer(&nested, "the answer"), 201);
	nested_call(&nested, "default/g", "", 0); /* the slot is free for another */
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 503, "busy");
	assert_int_equal(nested_answer(&nested, "busy"), 503);
	end_parent(&worker, &parent, client);
	assert_int_equal(rig_metric(rig, WEIR_METRIC_calls_nested), 2);
	rig_worker_kill(&worker);
}

/* Read an answer in parts; returns the bytes of its body. */
static size_t read_parts(const struct nested *nested)
{
	size_t bytes = 0;

	for (;;) {
		const struct weir_message part = nested_pop(nested, WEIR_NESTED_REPLY);

		assert_true(part.head_bytes == 0 || bytes == 0);
		bytes += part.bytes - part.head_bytes;
		if (part.flags == WEIR_MESSAGE_FLAG_END)
			return bytes;
		assert_int_equal(part.flags, 0);
		nested_more(nested);
	}
}

static void a_long_answer_comes_in_parts_as_the_caller_reads_it(void **state)
{
	enum { PARTS = 20 };
	struct rig *rig = *state;
	struct rig_worker worker, other;
	struct weir_message parent, child;
	struct rig_worker *called = &worker;
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	atomic_store(&worker.segment.header->parked, 64); /* so that the other gets the call */
	rig_worker_start(rig, &other);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "", 0);
	called = &other;
	child = rig_worker_accept(called);
	rig_worker_begin(called, &child, "begin");
	for (int i = 0; i < PARTS; i++) {
		struct weir_message credit;

		do
			credit = rig_worker_pop(called);
		while (credit.kind != WEIR_MESSAGE_CREDIT);
		rig_worker_continue(called, &credit, WEIR_CHUNK_LARGE_BYTES, i == PARTS - 1);
		if (i == 0) { /* nobody reads: the function is held back */
			for (int k = 0; k < 2; k++) {
				const struct weir_message part = nested_pop(&nested, WEIR_NESTED_REPLY);

				assert_int_equal(part.flags, 0);
				nested_more(&nested);
			}
		}
		if (i > 0)
			break;
	}
	rig_reset(client); /* in the middle of it */
	rig_expect_metric(rig, WEIR_METRIC_nested_in_use, 0);
	rig_worker_kill(&other);
	rig_worker_kill(&worker);
}

static void a_whole_long_answer_arrives(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker, other;
	struct weir_message parent, child, credit;
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	atomic_store(&worker.segment.header->parked, 64);
	rig_worker_start(rig, &other);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "", 0);
	child = rig_worker_accept(&other);
	rig_worker_begin(&other, &child, "begin");
	credit = rig_worker_pop(&other);
	rig_worker_continue(&other, &credit, WEIR_CHUNK_LARGE_BYTES, false);
	credit = rig_worker_pop(&other);
	rig_worker_continue(&other, &credit, 1000, true);
	assert_int_equal(read_parts(&nested), 5 + WEIR_CHUNK_LARGE_BYTES + 1000);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&other);
	rig_worker_kill(&worker);
}

static void a_large_body_is_sent_when_the_called_function_asks(void **state)
{
	enum { BYTES = 150000 };
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child, data;
	struct nested nested;
	size_t room, left = BYTES, got = 0;
	uint32_t head_bytes;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	head_bytes = nested_head(&nested, "g", "/");
	for (;;) {
		uint8_t *out = nested_chunk(&nested, &room);
		const size_t part = left < room - head_bytes ? left : room - head_bytes;

		for (size_t i = 0; i < part; i++)
			out[head_bytes + i] = (uint8_t)((BYTES - left + i) % 251);
		left -= part;
		nested_put(&nested, head_bytes, head_bytes + (uint32_t)part,
			   left == 0 ? WEIR_MESSAGE_FLAG_END : 0);
		if (left == 0)
			break;
		head_bytes = 0;
		assert_int_equal(nested_pop(&nested, WEIR_NESTED_CHUNK).grant, nested.chunk);
	}
	child = rig_worker_accept(&worker);
	assert_int_equal(head_of(&worker, &child)->content_length, BYTES);
	assert_int_equal(child.flags, 0);
	rig_worker_ask(&worker, &child);
	do {
		const uint8_t *bytes;

		data = rig_worker_pop(&worker);
		assert_int_equal(data.kind, WEIR_MESSAGE_DATA);
		bytes = weir_segment_chunk(&worker.segment.pair[0], data.chunk, &room);
		for (uint32_t i = 0; i < data.bytes; i++)
			assert_int_equal(bytes[i], (got + i) % 251);
		got += data.bytes;
		rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
								.call = child.call,
								.sequence = child.sequence,
								.chunk = data.chunk,
								.grant = WEIR_CHUNK_NONE});
	} while (data.flags == 0);
	assert_int_equal(got, BYTES);
	rig_worker_answer(&worker, &child, 200, "got it");
	assert_int_equal(nested_answer(&nested, "got it"), 200);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

static void what_can_not_be_called_is_said_with_its_reason(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent;
	struct nested nested;
	uint32_t head_bytes;
	size_t sent, room;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 3);
	nested_call(&nested, "nothing", "", 0);
	assert_int_equal(nested_answer(&nested, "call_unknown"), 404);
	nested_call(&nested, "other/g", "", 0);
	assert_int_equal(nested_answer(&nested, "call_foreign"), 403);
	head_bytes = nested_head(&nested, "g", "no-slash");
	nested_put(&nested, head_bytes, head_bytes, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(nested_answer(&nested, "call_malformed"), 400);
	head_bytes = nested_head(&nested, "g", "/");
	(void)nested_chunk(&nested, &room);
	for (sent = 0; sent <= WEIR_NESTED_BODY_BYTES_MAX; sent += room - head_bytes) {
		nested_put(&nested, sent == 0 ? head_bytes : 0, (uint32_t)room, 0);
		(void)nested_pop(&nested, WEIR_NESTED_CHUNK);
		head_bytes = 0;
	}
	nested_put(&nested, 0, 1, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(nested_answer(&nested, "call_body"), 413);
	for (int i = 4; i < WEIR_NESTED_CALLS_MAX; i++) {
		nested_call(&nested, "nothing", "", 0);
		assert_int_equal(nested_answer(&nested, "call_unknown"), 404);
	}
	nested_call(&nested, "g", "", 0);
	assert_int_equal(nested_answer(&nested, "call_fan_out"), 429);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

/* By their names alone: what has a namespace may come from a client. */
static void weirs_own_functions_call_each_other_as_often_as_they_like(void **state)
{
	static const char id[] = "0123456789abcdef00000000000000ff";
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	const struct weir_link_call *record;
	struct nested nested;
	uint32_t head_bytes;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "default/g", "", 0);
	assert_int_equal(nested_answer(&nested, "call_unknown"), 404);
	for (int i = 0; i <= WEIR_NESTED_CALLS_MAX; i++) {
		head_bytes = nested_head_with(&nested, "g", "/nested", "x-weir-activation", i == 0 ? id : "nonsense");
		nested_put(&nested, head_bytes, head_bytes, WEIR_MESSAGE_FLAG_END);
		child = rig_worker_accept(&worker);
		assert_int_equal(head_of(&worker, &child)->depth, 0);
		record = &worker.segment.pair[0].call[child.call];
		assert_true((record->activation_high == 0x0123456789abcdef && record->activation_low == 0xff) == (i == 0));
		rig_worker_answer(&worker, &child, 200, "well");
		assert_int_equal(nested_answer(&nested, "well"), 200);
	}
	nested_call(&nested, "g", "", WEIR_NESTED_FLAG_ONE_WAY);
	assert_int_equal(nested_answer(&nested, "activation"), 202);
	end_parent(&worker, &parent, client);
	child = rig_worker_accept(&worker);
	assert_int_equal(head_of(&worker, &child)->depth, 0);
	rig_worker_answer(&worker, &child, 200, "later");
	rig_worker_kill(&worker);
}

/* A function may not choose its calls' ids. */
static void the_id_of_a_call_is_the_gateways(void **state)
{
	static const char id[] = "0123456789abcdef00000000000000ff";
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	struct nested nested;
	uint32_t head_bytes;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	head_bytes = nested_head_with(&nested, "g", "/nested", "x-weir-activation", id);
	nested_put(&nested, head_bytes, head_bytes, WEIR_MESSAGE_FLAG_END);
	child = rig_worker_accept(&worker);
	assert_int_not_equal(worker.segment.pair[0].call[child.call].activation_low, 0xff);
	rig_worker_answer(&worker, &child, 200, "well");
	assert_int_equal(nested_answer(&nested, "well"), 200);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

static void a_circle_ends_at_the_depth_limit_with_one_worker(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message call[WEIR_NESTED_DEPTH_MAX + 1];
	struct nested nested[WEIR_NESTED_DEPTH_MAX + 1];
	int client;

	rig_worker_start(rig, &worker);
	call[0] = begin_parent(rig, &worker, &client);
	for (uint32_t i = 0; i < WEIR_NESTED_DEPTH_MAX; i++) {
		atomic_store(&worker.segment.header->parked, i + 1);
		nested[i] = nested_open(&worker, &call[i], 0);
		nested_call(&nested[i], "f", "", 0);
		call[i + 1] = rig_worker_accept(&worker);
		assert_int_equal(head_of(&worker, &call[i + 1])->depth, i + 1);
	}
	nested[WEIR_NESTED_DEPTH_MAX] = nested_open(&worker, &call[WEIR_NESTED_DEPTH_MAX], 0);
	nested_call(&nested[WEIR_NESTED_DEPTH_MAX], "f", "", 0);
	assert_int_equal(nested_answer(&nested[WEIR_NESTED_DEPTH_MAX], "call_depth"), 508);
	for (uint32_t i = WEIR_NESTED_DEPTH_MAX; i > 0; i--) {
		rig_worker_answer(&worker, &call[i], 200, "unwound");
		assert_int_equal(nested_answer(&nested[i - 1], "unwound"), 200);
	}
	end_parent(&worker, &call[0], client);
	rig_worker_kill(&worker);
}

static void a_call_waits_for_no_place_that_only_its_callers_can_free(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	struct nested nested;
	int client, other;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	atomic_store(&worker.segment.header->parked, 48);
	other = rig_client(rig);
	rig_send(other, GET_G); /* the last quarter of the places is not for clients */
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	nested_call(&nested, "g", "", 0); /* but for this one, which goes first */
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "passed by");
	assert_int_equal(nested_answer(&nested, "passed by"), 200);
	atomic_store(&worker.segment.header->parked, 64);
	nested_call(&nested, "g", "", 0);
	assert_int_equal(nested_answer(&nested, "no_worker"), 503); /* at once */
	atomic_store(&worker.segment.header->parked, 0);
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "other");
	expect_status(other, "HTTP/1.1 200");
	close(other);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

static void shut(struct rig_worker *worker, bool is_shut)
{
	atomic_store(&worker->segment.header->parked_max, is_shut ? WEIR_LINK_PARKED_MAX_SHUT : 64);
	atomic_store(&worker->segment.header->parked, is_shut ? 1 : 0);
}

static void a_shut_worker_gets_no_call(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, call;
	struct nested nested;
	int client, other;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	shut(&worker, true);
	other = rig_client(rig);
	rig_send(other, GET_G);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	nested_call(&nested, "g", "", 0); /* there is no other worker, and there may be none */
	assert_int_equal(nested_answer(&nested, "no_worker"), 503);
	assert_false(rig_worker_has(&worker, 50));
	shut(&worker, false);
	call = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &call, 200, "other");
	expect_status(other, "HTTP/1.1 200");
	close(other);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

static void a_worker_with_one_place_left_is_not_shut(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message call;
	int client;

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->parked_max, 1);
	client = rig_client(rig);
	rig_send(client, GET_G);
	call = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &call, 200, "one");
	expect_status(client, "HTTP/1.1 200");
	close(client);
	rig_worker_kill(&worker);
}

static void while_a_worker_is_shut_the_last_one_is_for_what_its_call_waits_for(void **state)
{
	struct rig *rig = *state;
	struct rig_worker first, last;
	struct weir_message parent, call;
	struct nested nested;
	int client, other;

	rig_worker_start(rig, &first);
	parent = begin_parent(rig, &first, &client);
	nested = nested_open(&first, &parent, 0);
	shut(&first, true);
	rig_worker_start(rig, &last);
	for (int i = 0; i < 3; i++) {
		nested_call(&nested, "g", "", 0);
		call = rig_worker_accept(&last);
		rig_worker_answer(&last, &call, 200, "answer");
		assert_int_equal(nested_answer(&nested, "answer"), 200);
		if (i > 0)
			continue;
		other = rig_client(rig);
		rig_send(other, GET_G); /* passed by */
		rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	}
	assert_false(rig_worker_has(&last, 50));
	shut(&first, false);
	call = rig_worker_accept(&last);
	rig_worker_answer(&last, &call, 200, "other");
	expect_status(other, "HTTP/1.1 200");
	close(other);
	end_parent(&first, &parent, client);
	rig_worker_kill(&last);
	rig_worker_kill(&first);
}

static void a_one_way_call_runs_after_its_caller_has_answered(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child[2];
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "first", WEIR_NESTED_FLAG_ONE_WAY);
	assert_int_equal(nested_answer(&nested, "\"activation\":\""), 202);
	nested_call(&nested, "g", "second", WEIR_NESTED_FLAG_ONE_WAY);
	assert_int_equal(nested_answer(&nested, "\"activation\":\""), 202);
	assert_false(rig_worker_has(&worker, 50));
	end_parent(&worker, &parent, client);
	for (int i = 0; i < 2; i++) {
		child[i] = rig_worker_accept(&worker);
		assert_int_equal(head_of(&worker, &child[i])->depth, 1);
		assert_memory_equal((const char *)head_of(&worker, &child[i]) + child[i].head_bytes,
				    i == 0 ? "first" : "second", 5);
	}
	rig_worker_answer(&worker, &child[0], 200, "nobody reads this");
	rig_worker_answer(&worker, &child[1], 500, "nor this");
	rig_expect_metric(rig, WEIR_METRIC_nested_in_use, 0);
	assert_int_equal(rig_metric(rig, WEIR_METRIC_calls_one_way), 2);
	assert_int_equal(rig_metric(rig, WEIR_METRIC_calls_one_way_failed), 1);
	rig_worker_kill(&worker);
}

static void a_one_way_call_of_a_failed_caller_does_not_run(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent;
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "", WEIR_NESTED_FLAG_ONE_WAY);
	assert_int_equal(nested_answer(&nested, "activation"), 202);
	rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_ABORT,
							.flags = WEIR_MESSAGE_FLAG_END,
							.call = parent.call,
							.sequence = parent.sequence,
							.chunk = WEIR_CHUNK_NONE,
							.grant = WEIR_CHUNK_NONE,
							.code = WEIR_ABORT_FAILED});
	expect_status(client, "HTTP/1.1 502");
	rig_expect_metric(rig, WEIR_METRIC_calls_one_way_failed, 1);
	assert_false(rig_worker_has(&worker, 50));
	close(client);
	rig_worker_kill(&worker);
}

static void a_caller_past_its_deadline_takes_its_calls_along(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child, message;
	struct nested nested;
	int client, cancelled = 0;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "", 0);
	child = rig_worker_accept(&worker);
	expect_status(client, "HTTP/1.1 504");
	while (cancelled < 2) { /* perhaps the child's 504 came first */
		message = rig_worker_pop(&worker);
		if (message.kind == WEIR_MESSAGE_CANCEL) {
			assert_true(message.call == parent.call || message.call == child.call);
			cancelled++;
		}
	}
	nested_push(&nested, WEIR_NESTED_OPEN); /* it has not read that it is cancelled */
	rig_worker_answer(&worker, &child, 200, "late");
	rig_worker_answer(&worker, &parent, 200, "late");
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	close(client);
	rig_worker_kill(&worker);
}

static void an_answer_that_is_not_wanted_is_cancelled(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child, part;
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "g", "", 0);
	child = rig_worker_accept(&worker);
	nested_push(&nested, WEIR_NESTED_DROP);
	part = rig_worker_pop(&worker);
	if (part.kind == WEIR_MESSAGE_CANCEL)
		part = rig_worker_pop(&worker);
	assert_int_equal(part.kind, WEIR_MESSAGE_CALL);
	assert_int_equal(part.flags, WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_BROKEN);
	rig_worker_answer(&worker, &child, 200, "unwanted");
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

int main(void)
{
#define TEST(name, options) \
	cmocka_unit_test_prestate_setup_teardown(name, rig_setup, rig_teardown, &(options))
	const struct CMUnitTest tests[] = {
		TEST(a_function_calls_another_and_gets_its_answer, patient),
		TEST(a_long_answer_comes_in_parts_as_the_caller_reads_it, patient),
		TEST(a_whole_long_answer_arrives, patient),
		TEST(a_large_body_is_sent_when_the_called_function_asks, patient),
		TEST(what_can_not_be_called_is_said_with_its_reason, patient),
		TEST(weirs_own_functions_call_each_other_as_often_as_they_like, own),
		TEST(the_id_of_a_call_is_the_gateways, patient),
		TEST(a_circle_ends_at_the_depth_limit_with_one_worker, patient),
		TEST(a_call_waits_for_no_place_that_only_its_callers_can_free, patient),
		TEST(a_shut_worker_gets_no_call, patient),
		TEST(a_worker_with_one_place_left_is_not_shut, patient),
		TEST(while_a_worker_is_shut_the_last_one_is_for_what_its_call_waits_for, two),
		TEST(a_one_way_call_runs_after_its_caller_has_answered, patient),
		TEST(a_one_way_call_of_a_failed_caller_does_not_run, patient),
		TEST(a_caller_past_its_deadline_takes_its_calls_along, hasty),
		TEST(an_answer_that_is_not_wanted_is_cancelled, patient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
