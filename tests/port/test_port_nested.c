/* Calls that a call makes, as its worker's port sees them. */
#include "dataplane/port/port_nested.h"
#include "tests/port/port_fixture.h"

enum { CHUNK = 40, SLOT = 1 };

static void deliver_nested(struct fixture *fixture, const struct weir_port_call *call,
			   struct weir_message message, enum weir_nested_op op)
{
	struct weir_port_call *other = NULL;
	int result = -EAGAIN;

	message.kind = WEIR_MESSAGE_CALL;
	message.call = call->index;
	message.sequence = call->sequence;
	message.code = weir_nested_code(SLOT, op);
	push(fixture, 0, message);
	while (result == -EAGAIN)
		result = weir_port_next(&fixture->port, true, &other);
	assert_int_equal(result, 0);
}

static void deliver_chunk(struct fixture *fixture, const struct weir_port_call *call)
{
	deliver_nested(fixture, call,
		       (struct weir_message){.chunk = WEIR_CHUNK_NONE, .grant = CHUNK},
		       WEIR_NESTED_CHUNK);
}

static void deliver_reply(struct fixture *fixture, const struct weir_port_call *call,
			  uint32_t head_bytes, uint32_t bytes, uint8_t flags)
{
	deliver_nested(fixture, call,
		       (struct weir_message){.chunk = CHUNK,
					     .grant = WEIR_CHUNK_NONE,
					     .bytes = bytes,
					     .head_bytes = head_bytes,
					     .flags = flags},
		       WEIR_NESTED_REPLY);
}

static struct weir_message expect_sent(struct fixture *fixture, enum weir_nested_op op)
{
	const struct weir_message message = answer_pop(fixture);

	assert_int_equal(message.kind, WEIR_MESSAGE_CALL);
	assert_int_equal(message.code, weir_nested_code(SLOT, op));
	return message;
}

static void open_slot(struct fixture *fixture, struct weir_port_call *call)
{
	uint8_t *data = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -EAGAIN);
	(void)expect_sent(fixture, WEIR_NESTED_OPEN);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -EAGAIN);
	no_answer(fixture); /* asked once */
	deliver_chunk(fixture, call);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), 0);
	assert_int_equal(room, WEIR_CHUNK_SMALL_BYTES);
}

static void put(struct fixture *fixture, struct weir_port_call *call)
{
	struct weir_message message;

	assert_int_equal(weir_port_nested_put(call, SLOT, 60, 64, WEIR_MESSAGE_FLAG_END), 0);
	message = expect_sent(fixture, WEIR_NESTED_PUT);
	assert_int_equal(message.chunk, CHUNK);
	assert_int_equal(message.head_bytes, 60);
	assert_int_equal(message.bytes, 64);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
}

static void a_call_goes_and_its_answer_comes_in_parts(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_port_nested_part part;
	uint8_t *data = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_nested_part(call, SLOT, &part), -EINVAL);
	open_slot(fixture, call);
	put(fixture, call);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), -EAGAIN);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -EBUSY);
	memset(chunk_of(fixture, 0, CHUNK), 7, 100);
	deliver_reply(fixture, call, 40, 100, 0);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), 0);
	assert_int_equal(part.head.bytes, 40 - sizeof(struct weir_nested_reply));
	assert_int_equal(part.body.bytes, 60);
	assert_int_equal(part.reply.activation_low, UINT64_C(0x0707070707070707));
	assert_false(part.is_last);
	assert_int_equal(weir_port_nested_more(call, SLOT), 0);
	assert_int_equal(expect_sent(fixture, WEIR_NESTED_MORE).chunk, CHUNK);
	deliver_reply(fixture, call, 0, 10, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), 0);
	assert_int_equal(part.body.bytes, 10);
	assert_true(part.is_last && !part.is_broken);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), 0); /* the next call */
	put(fixture, call);
	deliver_reply(fixture, call, 0, 0, WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_BROKEN);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), 0);
	assert_true(part.is_last && part.is_broken);
	assert_int_equal(fixture->port.refused, 0);
	assert_true(weir_port_call_finish(call));
}

static void a_refused_slot_may_be_asked_for_again(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	uint8_t *data = NULL;
	size_t room = 0;

	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -EAGAIN);
	(void)expect_sent(fixture, WEIR_NESTED_OPEN);
	deliver_nested(fixture, call,
		       (struct weir_message){.chunk = WEIR_CHUNK_NONE, .grant = WEIR_CHUNK_NONE},
		       WEIR_NESTED_REFUSED);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -ENOBUFS);
	open_slot(fixture, call);
	assert_true(weir_port_call_finish(call));
}

static void a_dropped_answer_frees_the_slot_wherever_it_was(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	uint8_t *data = NULL;
	size_t room = 0;

	open_slot(fixture, call);
	weir_port_nested_drop(call, SLOT); /* nothing was put */
	no_answer(fixture);
	put(fixture, call);
	weir_port_nested_drop(call, SLOT);
	(void)expect_sent(fixture, WEIR_NESTED_DROP);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -EAGAIN);
	deliver_reply(fixture, call, 40, 100, 0); /* it was on its way */
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), 0);
	put(fixture, call);
	deliver_reply(fixture, call, 40, 100, 0);
	weir_port_nested_drop(call, SLOT);
	(void)expect_sent(fixture, WEIR_NESTED_DROP);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), 0); /* at once */
	assert_true(weir_port_call_finish(call));
}

static void what_a_shard_would_not_say_is_dropped(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_port_nested_part part;
	uint32_t refused = 0;

	deliver_chunk(fixture, call); /* never asked */
	assert_int_equal(fixture->port.refused, ++refused);
	open_slot(fixture, call);
	deliver_chunk(fixture, call); /* twice */
	assert_int_equal(fixture->port.refused, ++refused);
	deliver_reply(fixture, call, 40, 100, 0); /* to no call */
	assert_int_equal(fixture->port.refused, ++refused);
	put(fixture, call);
	deliver_reply(fixture, call, 40, WEIR_CHUNK_SMALL_BYTES + 1, 0);
	assert_int_equal(fixture->port.refused, ++refused);
	deliver_reply(fixture, call, 41, 40, 0);
	assert_int_equal(fixture->port.refused, ++refused);
	deliver_reply(fixture, call, 8, 40, 0); /* less than both heads */
	assert_int_equal(fixture->port.refused, ++refused);
	deliver_reply(fixture, call, 0, 40, 0); /* no head at first */
	assert_int_equal(fixture->port.refused, ++refused);
	deliver_nested(fixture, call, (struct weir_message){.chunk = CHUNK}, WEIR_NESTED_PUT);
	assert_int_equal(fixture->port.refused, ++refused);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), -EAGAIN);
	assert_true(weir_port_call_finish(call));
}

static void a_cancelled_call_calls_nobody(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_port_call *const call = call_start(fixture, "");
	struct weir_port_nested_part part;
	uint8_t *data = NULL;
	size_t room = 0;

	open_slot(fixture, call);
	deliver(fixture, call, WEIR_MESSAGE_CANCEL, WEIR_CHUNK_NONE, WEIR_CHUNK_NONE, 0, 0);
	assert_int_equal(weir_port_nested_room(call, SLOT, &data, &room), -ECANCELED);
	assert_int_equal(weir_port_nested_put(call, SLOT, 60, 64, WEIR_MESSAGE_FLAG_END),
			 -ECANCELED);
	assert_int_equal(weir_port_nested_part(call, SLOT, &part), -ECANCELED);
	assert_int_equal(weir_port_nested_more(call, SLOT), -ECANCELED);
	weir_port_call_abort(call, WEIR_ABORT_CANCELLED, (struct weir_span){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORT_TEST(a_call_goes_and_its_answer_comes_in_parts),
		PORT_TEST(a_refused_slot_may_be_asked_for_again),
		PORT_TEST(a_dropped_answer_frees_the_slot_wherever_it_was),
		PORT_TEST(what_a_shard_would_not_say_is_dropped),
		PORT_TEST(a_cancelled_call_calls_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
