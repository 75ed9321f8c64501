/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <sys/eventfd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/shard_board.h"
#include "dataplane/worker/alarm.h"

enum { LINKS = 2 };

/* A leader's port and alarm, and the shards' mapping of its links. */
struct fixture {
	struct weir_port port;
	struct weir_alarm alarm;
	struct weir_shard_board *board;
	int board_fd;
	struct weir_segment segment[LINKS];
	uint32_t link_count;
};

static void wake(void *context, struct weir_port_call *call)
{
	(void)context;
	(void)call;
}

static int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(weir_shard_board_create(&fixture->board_fd, &fixture->board), 0);
	weir_port_open(&fixture->port, 4, wake, NULL);
	weir_alarm_open(&fixture->alarm);
	*state = fixture;
	return 0;
}

static void link_add(struct fixture *fixture)
{
	const uint32_t i = fixture->link_count++;
	struct weir_port_link *link = NULL;
	int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int segment_fd = -1;

	assert_int_equal(weir_segment_create(1 + i, 1, 1, &segment_fd), 0);
	assert_int_equal(weir_segment_attach(segment_fd, &fixture->segment[i]), 0);
	assert_int_equal(
		weir_port_link_create(segment_fd, fixture->board_fd, &event_fd, 1, &link), 0);
	assert_int_equal(weir_port_link_add(&fixture->port, link), 0);
	weir_alarm_follow(&fixture->alarm, &fixture->port);
	weir_fd_close(&segment_fd);
}

/* Take the link out and unmap it, as host and control thread do. */
static void link_remove(struct fixture *fixture, uint32_t i)
{
	struct weir_port_link *link = NULL;

	assert_int_equal(weir_port_link_close(&fixture->port, 1 + i), 0);
	assert_int_equal(weir_port_link_take(&fixture->port, 1 + i, &link), 0);
	weir_alarm_follow(&fixture->alarm, &fixture->port);
	weir_port_link_destroy(link);
}

static int teardown(void **state)
{
	struct fixture *const fixture = *state;

	while (fixture->port.link_count != 0)
		link_remove(fixture, (uint32_t)fixture->port.link[0]->link_id - 1);
	for (uint32_t i = 0; i < fixture->link_count; i++)
		weir_segment_detach(&fixture->segment[i]);
	weir_shard_board_detach(fixture->board);
	weir_fd_close(&fixture->board_fd);
	free(fixture);
	return 0;
}

/* ---- a leader that sleeps in a thread of its own ---- */

static void *leader_main(void *argument)
{
	struct fixture *const fixture = argument;

	while (!weir_alarm_is_rung(&fixture->alarm))
		weir_alarm_sleep(&fixture->alarm, &fixture->port, UINT64_MAX);
	weir_alarm_answer(&fixture->alarm);
	return NULL;
}

/* Ring before, while or after it goes to sleep: it comes back. */
static void ring_many(struct fixture *fixture)
{
	for (int i = 0; i < 300; i++) {
		pthread_t leader;

		assert_int_equal(pthread_create(&leader, NULL, leader_main, fixture), 0);
		for (int spin = 0; spin < i % 30 * 200; spin++)
			(void)weir_alarm_is_rung(&fixture->alarm);
		weir_alarm_ring(&fixture->alarm);
		assert_int_equal(pthread_join(leader, NULL), 0);
	}
}

static void a_ring_ends_the_sleep_with_any_number_of_links(void **state)
{
	struct fixture *const fixture = *state;

	ring_many(fixture);
	link_add(fixture);
	ring_many(fixture);
	link_add(fixture);
	ring_many(fixture);
	link_remove(fixture, 0);
	ring_many(fixture);
	link_remove(fixture, 1);
	ring_many(fixture);
}

static void a_ring_before_the_sleep_is_not_lost(void **state)
{
	struct fixture *const fixture = *state;

	weir_alarm_ring(&fixture->alarm);
	link_add(fixture); /* the leader was awake and changed its bell */
	weir_alarm_sleep(&fixture->alarm, &fixture->port, UINT64_MAX); /* comes back */
	assert_true(weir_alarm_is_rung(&fixture->alarm));
	weir_alarm_answer(&fixture->alarm);
	assert_false(weir_alarm_is_rung(&fixture->alarm));
}

static void a_message_before_the_sleep_is_not_lost(void **state)
{
	const struct weir_message message = {.kind = WEIR_MESSAGE_CANCEL};
	struct fixture *const fixture = *state;
	struct weir_ring_tx tx;

	link_add(fixture);
	link_add(fixture);
	weir_ring_tx_open(&tx, &fixture->segment[1].pair[0].to_worker);
	assert_true(weir_ring_push(&tx, &message, 0));
	assert_true(weir_ring_publish(&tx));
	weir_alarm_sleep(&fixture->alarm, &fixture->port, UINT64_MAX); /* comes back */
	for (uint32_t i = 0; i < LINKS; i++)
		assert_int_equal(atomic_load(&fixture->segment[i].header->worker_bell), 0);
}

static void sleep_ends_at_its_time(void **state)
{
	struct fixture *const fixture = *state;
	const uint64_t until_ns = weir_clock_now_ns() + 10 * WEIR_NS_PER_MS;

	while (weir_clock_now_ns() < until_ns)
		weir_alarm_sleep(&fixture->alarm, &fixture->port, until_ns);
	weir_alarm_sleep(&fixture->alarm, &fixture->port, until_ns); /* comes back at once */
	link_add(fixture);
	weir_alarm_sleep(&fixture->alarm, &fixture->port, until_ns);
	assert_false(weir_alarm_is_rung(&fixture->alarm));
}

/* One link: one word, which the link's shards ring too. */
static void with_a_link_the_alarm_rings_its_bell(void **state)
{
	struct fixture *const fixture = *state;

	link_add(fixture);
	weir_bell_announce(&fixture->segment[0].header->worker_bell);
	weir_alarm_ring(&fixture->alarm);
	assert_int_equal(atomic_load(&fixture->segment[0].header->worker_bell), 0);
	link_remove(fixture, 0);
	weir_bell_announce(&fixture->segment[0].header->worker_bell);
	weir_alarm_ring(&fixture->alarm); /* its mapping is gone */
	assert_int_equal(atomic_load(&fixture->segment[0].header->worker_bell), 1);
}

#define ALARM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALARM_TEST(a_ring_ends_the_sleep_with_any_number_of_links),
		ALARM_TEST(a_ring_before_the_sleep_is_not_lost),
		ALARM_TEST(a_message_before_the_sleep_is_not_lost),
		ALARM_TEST(sleep_ends_at_its_time),
		ALARM_TEST(with_a_link_the_alarm_rings_its_bell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
