#include "tests/port/port_fixture.h"

static void status_and_fields_are_checked_and_then_sealed(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");

	assert_int_equal(weir_port_call_status(call, 199), -EINVAL);
	assert_int_equal(weir_port_call_status(call, 600), -EINVAL);
	assert_int_equal(weir_port_call_status(call, 404), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN(""), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a b"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a\0"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a:"), WEIR_SPAN("x")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\r\ny: z")),
			 -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\0")), -EINVAL);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("x\x7f")),
			 -EINVAL);
	assert_int_equal(call->refused, 9);
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("X-Tab!"), WEIR_SPAN("x\ty \xc3\xa9")), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("x-empty"), WEIR_SPAN("")), 0);
	write_text(call, "body");
	assert_int_equal(weir_port_call_status(call, 200), -EALREADY);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("a"), WEIR_SPAN("b")), -EALREADY);
	assert_int_equal(weir_port_call_length(call, 3), -EINVAL);
	assert_int_equal(weir_port_call_length(call, 4), 0); /* not sent yet */
	assert_int_equal(weir_port_call_flush(call), 0);
	assert_int_equal(weir_port_call_length(call, 4), -EALREADY);
	assert_true(weir_port_call_finish(call));
}

static void a_head_has_at_most_4_kib_and_64_fields(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = call_start(fixture, "");
	char value[4096];
	const size_t left =
		4096 - sizeof(struct weir_response_head) - sizeof(struct weir_head_field) - 1;
	struct weir_message message = {0};

	memset(value, 'v', sizeof(value));
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("a"), (struct weir_span){value, left + 1}),
		-ENOSPC);
	assert_int_equal(
		weir_port_call_field(call, WEIR_SPAN("a"), (struct weir_span){value, left}), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("b"), WEIR_SPAN("")), -ENOSPC);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.head_bytes, 4096);
	assert_int_equal(weir_head_check_response(chunk_of(fixture, 0, GRANT), 4096), 0);
	call = call_start(fixture, "");
	for (int i = 0; i < WEIR_HEAD_RESPONSE_FIELDS_MAX; i++)
		assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), WEIR_SPAN("v")), 0);
	assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), WEIR_SPAN("v")), -ENOSPC);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(
		weir_head_check_response(chunk_of(fixture, 0, GRANT), message.head_bytes), 0);
}

/* Every byte at every place of a field: what RFC 9110 allows passes, nothing else does. */
static void each_byte_of_a_field_is_checked(void **state)
{
	struct fixture *const fixture = *state;
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (int c = 0; c < 256; c++) {
		const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				     (c >= 'A' && c <= 'Z') ||
				     (c != 0 && strchr(others, c) != NULL);
		const bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
		struct weir_port_call *const call = call_start(fixture, "");

		for (size_t at = 0; at < 21; at++) {
			char text[21];
			const struct weir_span span = {text, sizeof(text)};

			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			assert_int_equal(weir_port_call_field(call, span, WEIR_SPAN("v")),
					 is_word ? 0 : -EINVAL);
			assert_int_equal(weir_port_call_field(call, WEIR_SPAN("n"), span),
					 is_value ? 0 : -EINVAL);
		}
		weir_port_call_abort(call, WEIR_ABORT_FAILED, (struct weir_span){0});
		(void)answer_pop(fixture);
	}
}

enum { FIELD_COUNTS = WEIR_HEAD_RESPONSE_FIELDS_MAX + 1 };

static struct weir_span sample(char *out, size_t bytes, char first)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (char)(first + (char)(i % 20));
	return (struct weir_span){out, bytes};
}

/* Set `count` fields of many lengths. */
static void fields_set(struct weir_port_call *call, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char name[40];
		char value[40];

		assert_int_equal(weir_port_call_field(call, sample(name, 1 + i % 20, 'a'),
						      sample(value, i % 25, 'A')),
				 0);
	}
}

/* The answer's head in GRANT has those fields, and `body` stands behind it. */
static void fields_check(struct fixture *fixture, struct weir_message message, size_t count,
			 const char *body)
{
	const uint8_t *const data = chunk_of(fixture, 0, GRANT);
	struct weir_response_head head;

	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(weir_head_check_response(data, message.head_bytes), 0);
	memcpy(&head, data, sizeof(head));
	assert_int_equal(head.field_count, count);
	for (size_t i = 0; i < count; i++) {
		struct weir_head_field field;
		char text[40];

		memcpy(&field, data + sizeof(head) + i * sizeof(field), sizeof(field));
		assert_int_equal(field.name.bytes, 1 + i % 20);
		assert_memory_equal(data + field.name.offset,
				    sample(text, 1 + i % 20, 'a').data, 1 + i % 20);
		assert_int_equal(field.value.bytes, i % 25);
		assert_memory_equal(data + field.value.offset, sample(text, i % 25, 'A').data,
				    i % 25);
	}
	assert_int_equal(message.bytes, message.head_bytes + strlen(body));
	assert_memory_equal(data + message.head_bytes, body, strlen(body));
}

static void fields_keep_their_bytes_however_many_follow(void **state)
{
	struct fixture *const fixture = *state;

	for (size_t count = 0; count < FIELD_COUNTS; count++) {
		struct weir_port_call *const call = call_start(fixture, "");

		fields_set(call, count);
		write_text(call, "the body");
		assert_true(weir_port_call_finish(call));
		fields_check(fixture, answer_pop(fixture), count, "the body");
	}
}

static void fields_may_be_set_before_there_is_a_grant(void **state)
{
	struct fixture *const fixture = *state;

	for (size_t count = 1; count < FIELD_COUNTS; count += 5) {
		struct weir_message message = call_queue(fixture, 0, 3, "");
		struct weir_port_call *call = NULL;

		message.grant = WEIR_CHUNK_NONE;
		push(fixture, 0, message);
		assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
		fields_set(call, count);
		assert_int_equal(weir_port_call_flush(call), -EAGAIN);
		deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, GRANT, 0, 0);
		write_text(call, "late");
		assert_true(weir_port_call_finish(call));
		fields_check(fixture, answer_pop(fixture), count, "late");
	}
}

static void appending_takes_what_fits_and_was_announced(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	static char text[5000];
	struct weir_message message = {0};
	size_t taken = 0;

	memset(text, 't', sizeof(text));
	assert_int_equal(weir_port_call_length(call, 4500), 0);
	assert_int_equal(weir_port_call_append(call, text, sizeof(text), &taken), 0);
	assert_int_equal(taken, 4096 - sizeof(struct weir_response_head));
	assert_int_equal(weir_port_call_append(call, text, 1, &taken), -EAGAIN); /* no grant */
	message = answer_pop(fixture);
	assert_int_equal(message.bytes, 4096);
	assert_memory_equal(chunk_of(fixture, 0, GRANT) + message.head_bytes, text,
			    4096 - message.head_bytes);
	deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, WEIR_PAIR_CHUNKS_SMALL, 0,
		0);
	assert_int_equal(weir_port_call_append(call, text, 4500 - 4080 + 1, &taken), -EMSGSIZE);
	assert_int_equal(weir_port_call_append(call, text, 4500 - 4080, &taken), 0);
	assert_int_equal(taken, 4500 - 4080);
	deliver(fixture, call, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_int_equal(weir_port_call_append(call, text, 1, &taken), -ECANCELED);
	assert_true(weir_port_call_finish(call));
}

static void a_full_chunk_is_sent_only_when_more_follows(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(room, 4096 - sizeof(struct weir_response_head));
	assert_int_equal(weir_port_call_commit(call, room + 1), -EINVAL);
	memset(place, 'a', room);
	assert_int_equal(weir_port_call_commit(call, room), 0);
	no_answer(fixture);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EAGAIN); /* no grant */
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(message.flags, 0);
	assert_int_equal(message.chunk, GRANT);
	assert_int_equal(message.bytes, 4096);
	assert_int_equal(weir_port_call_commit(call, 1), -EINVAL);
	deliver(fixture, call, WEIR_MESSAGE_CREDIT, WEIR_CHUNK_NONE, WEIR_PAIR_CHUNKS_SMALL, 0,
		0);
	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(room, WEIR_CHUNK_LARGE_BYTES);
	assert_int_equal(weir_port_call_commit(call, 10), 0);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_DATA);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(message.bytes, 10);
	no_answer(fixture);
}

static void a_flushed_answer_ends_with_an_empty_message(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};

	assert_int_equal(weir_port_call_flush(call), 0); /* the head alone */
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	assert_int_equal(message.bytes, message.head_bytes);
	assert_int_equal(weir_port_call_flush(call), 0); /* nothing to send */
	no_answer(fixture);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_END);
	assert_int_equal(message.chunk, WEIR_CHUNK_NONE);
	assert_int_equal(fixture->port.call_count, 0);
}

static void a_wrong_length_is_refused_or_costs_the_call(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = call_start(fixture, "");
	struct weir_message message = {0};
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_length(call, WEIR_HEAD_LENGTH_UNKNOWN), -EINVAL);
	assert_int_equal(weir_port_call_length(call, 3), 0);
	assert_int_equal(weir_port_call_room(call, &place, &room), 0);
	assert_int_equal(weir_port_call_commit(call, 4), -EMSGSIZE);
	assert_int_equal(weir_port_call_commit(call, 2), 0);
	assert_int_equal(weir_port_call_commit(call, 2), -EMSGSIZE);
	assert_false(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_ABORT);
	assert_int_equal(message.code, WEIR_ABORT_GARBAGE);
	assert_int_equal(message.chunk, GRANT);
	assert_memory_equal(chunk_of(fixture, 0, GRANT), "the function's answer", 21);
}

static void to_head_a_length_without_its_body_is_an_answer(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *call = call_start(fixture, "");
	struct weir_request_head *const request = (void *)chunk_of(fixture, 0, REQUEST);
	struct weir_message message = {0};
	struct weir_response_head head;

	request->method = 1; /* HEAD */
	assert_int_equal(weir_port_call_length(call, 29), 0);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	memcpy(&head, chunk_of(fixture, 0, message.chunk), sizeof(head));
	assert_int_equal(head.content_length, 29);
	call = call_start(fixture, ""); /* GET again */
	assert_int_equal(weir_port_call_length(call, 29), 0);
	assert_false(weir_port_call_finish(call));
}

static void answers_without_body_take_none(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_message message = {0};
	struct weir_response_head head;
	uint8_t *place = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_call_status(call, 204), 0);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EINVAL);
	assert_true(weir_port_call_finish(call));
	message = answer_pop(fixture);
	memcpy(&head, chunk_of(fixture, 0, message.chunk), sizeof(head));
	assert_int_equal(head.status, 204);
	assert_int_equal(head.content_length, 0);
	assert_int_equal(message.bytes, sizeof(head));
}

static void without_any_grant_the_call_can_only_wait_or_fail(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_message message = call_queue(fixture, 0, 3, "");
	struct weir_port_call *call = NULL;
	uint8_t *place = NULL;
	size_t room = 0;

	message.grant = WEIR_CHUNK_NONE;
	push(fixture, 0, message);
	assert_int_equal(weir_port_next(&fixture->port, true, &call), 1);
	assert_int_equal(weir_port_call_room(call, &place, &room), -EAGAIN);
	assert_int_equal(weir_port_call_flush(call), -EAGAIN);
	assert_false(weir_port_call_finish(call));
	message = answer_pop(fixture);
	assert_int_equal(message.code, WEIR_ABORT_FAILED);
	assert_int_equal(message.chunk, WEIR_CHUNK_NONE); /* nowhere to put a text */
}

static void abort_texts_are_cut_at_200_bytes(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	char text[300];
	struct weir_message message = {0};

	memset(text, 't', sizeof(text));
	weir_port_call_abort(call, WEIR_ABORT_LOAD, (struct weir_span){text, sizeof(text)});
	message = answer_pop(fixture);
	assert_int_equal(message.code, WEIR_ABORT_LOAD);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(message.bytes, 200);
	assert_memory_equal(chunk_of(fixture, 0, message.chunk), text, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORT_TEST(status_and_fields_are_checked_and_then_sealed),
		PORT_TEST(a_head_has_at_most_4_kib_and_64_fields),
		PORT_TEST(each_byte_of_a_field_is_checked),
		PORT_TEST(fields_keep_their_bytes_however_many_follow),
		PORT_TEST(fields_may_be_set_before_there_is_a_grant),
		PORT_TEST(appending_takes_what_fits_and_was_announced),
		PORT_TEST(a_full_chunk_is_sent_only_when_more_follows),
		PORT_TEST(a_flushed_answer_ends_with_an_empty_message),
		PORT_TEST(a_wrong_length_is_refused_or_costs_the_call),
		PORT_TEST(to_head_a_length_without_its_body_is_an_answer),
		PORT_TEST(answers_without_body_take_none),
		PORT_TEST(without_any_grant_the_call_can_only_wait_or_fail),
		PORT_TEST(abort_texts_are_cut_at_200_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
