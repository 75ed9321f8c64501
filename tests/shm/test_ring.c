#include "tests/shm/shm_test.h"

#include <errno.h>

#include "dataplane/shm/ring.h"

struct fixture {
	struct weir_segment segment;
	struct weir_ring_tx tx;
	struct weir_ring_rx rx;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.segment = shm_segment_open(1);
	weir_ring_tx_open(&fixture.tx, &fixture.segment.pair[0].to_worker);
	weir_ring_rx_open(&fixture.rx, &fixture.segment.pair[0].to_worker);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	weir_segment_detach(&fixture->segment);
	return 0;
}

static bool push(struct fixture *fixture, uint64_t sequence, uint32_t keep_free)
{
	const struct weir_message message = {.kind = WEIR_MESSAGE_DATA, .sequence = sequence};

	return weir_ring_push(&fixture->tx, &message, keep_free);
}

/* The sequence of the next message, 0 for none, or the error. */
static int64_t pop(struct fixture *fixture)
{
	struct weir_message message = {.sequence = 999};
	const int result = weir_ring_pop(&fixture->rx, &message);

	if (result == 1)
		return (int64_t)message.sequence;
	assert_int_equal(message.sequence, 999); /* untouched where nothing came */
	return result;
}

static void messages_come_out_in_order_and_only_after_publish(void **state)
{
	struct fixture *f = *state;

	assert_true(push(f, 1, 0));
	assert_true(push(f, 2, 0));
	assert_int_equal(pop(f), 0);
	assert_true(weir_ring_is_empty(&f->rx));
	assert_true(weir_ring_publish(&f->tx));
	assert_false(weir_ring_publish(&f->tx)); /* nothing new */
	assert_false(weir_ring_is_empty(&f->rx));
	assert_int_equal(pop(f), 1);
	assert_false(weir_ring_is_empty(&f->rx)); /* seen but not popped */
	assert_int_equal(pop(f), 2);
	assert_int_equal(pop(f), 0);
	assert_true(weir_ring_is_empty(&f->rx));
}

static void whole_message_is_copied(void **state)
{
	struct fixture *f = *state;
	struct weir_message in;
	struct weir_message out;

	memset(&in, 0xa5, sizeof(in));
	assert_true(weir_ring_push(&f->tx, &in, 0));
	(void)weir_ring_publish(&f->tx);
	assert_int_equal(weir_ring_pop(&f->rx, &out), 1);
	assert_memory_equal(&in, &out, sizeof(in));
}

static void push_on_full_ring_returns_false_until_the_consumer_releases(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 1; i <= WEIR_RING_CELLS; i++)
		assert_true(push(f, i, 0));
	assert_false(push(f, 5000, 0));
	(void)weir_ring_publish(&f->tx);
	assert_int_equal(pop(f), 1);
	assert_false(push(f, 5000, 0)); /* popped, but not given back */
	weir_ring_release(&f->rx);
	assert_true(push(f, WEIR_RING_CELLS + 1, 0));
	assert_false(push(f, 5000, 0));
	(void)weir_ring_publish(&f->tx);
	for (uint64_t i = 2; i <= WEIR_RING_CELLS + 1; i++)
		assert_int_equal(pop(f), i);
	assert_int_equal(pop(f), 0);
}

static void push_leaves_the_cells_that_are_kept_free(void **state)
{
	struct fixture *f = *state;
	uint32_t heads = 0;

	while (push(f, 1, WEIR_RING_CELLS_RESERVED))
		heads++;
	assert_int_equal(heads, WEIR_RING_CELLS - WEIR_RING_CELLS_RESERVED);
	for (uint32_t i = 0; i < WEIR_RING_CELLS_RESERVED; i++)
		assert_true(push(f, 2, 0));
	assert_false(push(f, 2, 0));
	assert_false(push(f, 1, WEIR_RING_CELLS - 1));
}

static void keeping_all_but_one_free_admits_one_on_an_empty_ring(void **state)
{
	struct fixture *f = *state;

	assert_true(push(f, 1, WEIR_RING_CELLS - 1));
	assert_false(push(f, 2, WEIR_RING_CELLS - 1));
}

static void indices_wrap_around_at_32_bits(void **state)
{
	struct fixture *f = *state;
	const uint32_t start = UINT32_MAX - 2;

	f->tx.tail = f->tx.published = f->tx.head_seen = start;
	f->rx.head = f->rx.released = f->rx.tail_seen = start;
	atomic_store(&f->tx.shm->head, start);
	atomic_store(&f->tx.shm->tail, start);
	for (uint64_t i = 1; i <= WEIR_RING_CELLS; i++)
		assert_true(push(f, i, 0));
	assert_false(push(f, 1, 0));
	(void)weir_ring_publish(&f->tx);
	for (uint64_t i = 1; i <= WEIR_RING_CELLS; i++)
		assert_int_equal(pop(f), i);
	assert_int_equal(pop(f), 0);
	weir_ring_release(&f->rx);
	assert_true(push(f, 1, WEIR_RING_CELLS - 1));
}

static void producer_index_too_far_ahead_or_behind_is_refused(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->rx.shm->tail, WEIR_RING_CELLS + 1);
	assert_int_equal(pop(f), -EBADMSG);
	atomic_store(&f->rx.shm->tail, UINT32_MAX); /* before our own index */
	assert_int_equal(pop(f), -EBADMSG);
	assert_false(weir_ring_is_empty(&f->rx)); /* so that a sleeper goes and finds the lie */
	atomic_store(&f->rx.shm->tail, WEIR_RING_CELLS);
	assert_int_not_equal(weir_ring_pop(&f->rx, &(struct weir_message){0}), -EBADMSG);
}

static void consumer_index_that_lies_gives_no_room(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 1; i <= WEIR_RING_CELLS; i++)
		assert_true(push(f, i, 0));
	(void)weir_ring_publish(&f->tx);
	atomic_store(&f->tx.shm->head, WEIR_RING_CELLS + 1); /* past what we pushed */
	assert_false(push(f, 1, 0));
	atomic_store(&f->tx.shm->head, UINT32_MAX); /* back */
	assert_false(push(f, 1, 0));
	atomic_store(&f->tx.shm->head, 10);
	assert_true(push(f, 1, 0));
	for (int i = 0; i < 9; i++)
		assert_true(push(f, 1, 0));
	atomic_store(&f->tx.shm->head, 9); /* back, within the ring's size */
	assert_false(push(f, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_come_out_in_order_and_only_after_publish, setup,
						teardown),
		cmocka_unit_test_setup_teardown(whole_message_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(
			push_on_full_ring_returns_false_until_the_consumer_releases, setup, teardown),
		cmocka_unit_test_setup_teardown(push_leaves_the_cells_that_are_kept_free, setup, teardown),
		cmocka_unit_test_setup_teardown(keeping_all_but_one_free_admits_one_on_an_empty_ring, setup,
						teardown),
		cmocka_unit_test_setup_teardown(indices_wrap_around_at_32_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(producer_index_too_far_ahead_or_behind_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(consumer_index_that_lies_gives_no_room, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
