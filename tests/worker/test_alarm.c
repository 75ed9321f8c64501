/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

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
	struct weir_ring_tx tx; /* of the first link's shard 0 */
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

/* A shard that took the bell died before it called the kernel: nobody else would ever wake the leader. */
static void a_bell_that_a_dead_shard_took_does_not_silence_the_alarm(void **state)
{
	struct fixture *const fixture = *state;
	_Atomic uint32_t *bell;
	pthread_t leader;

	link_add(fixture);
	bell = &fixture->segment[0].header->worker_bell;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pthread_create(&leader, NULL, leader_main, fixture), 0);
		while (atomic_load(bell) == 0)
			(void)sched_yield(); /* cannot fail on Linux */
		if (i % 2 == 0)
			(void)usleep(500); /* it is in the kernel by now */
		atomic_store(bell, 0);
		weir_alarm_ring(&fixture->alarm);
		assert_int_equal(pthread_join(leader, NULL), 0);
	}
}

/* ---- waiting awake: shard 0 of one link is played on CPU `shard_cpu`, the leader runs on CPU 0 ---- */

struct shared {
	struct fixture *fixture;
	_Atomic bool is_over;
};

static bool stay_on(size_t cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
}

static void stay_anywhere(void)
{
	cpu_set_t cpus;

	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* Take messages as they come; they name no call and are dropped. */
static void *taker_main(void *argument)
{
	struct shared *const shared = argument;
	struct fixture *const fixture = shared->fixture;
	struct weir_port_call *call = NULL;

	(void)stay_on(0); /* elsewhere it is no test of one CPU, but works as well */
	while (!atomic_load(&shared->is_over)) {
		if (weir_alarm_is_rung(&fixture->alarm))
			weir_alarm_answer(&fixture->alarm);
		while (weir_port_next(&fixture->port, false, &call) != 0)
			continue;
		weir_alarm_sleep(&fixture->alarm, &fixture->port, UINT64_MAX);
	}
	return NULL;
}

/* Send `rounds` messages, each when the one before was taken and after `delay_us`. */
static void shard_play(struct fixture *fixture, size_t shard_cpu, uint32_t rounds,
		       unsigned delay_us)
{
	const struct weir_message message = {.kind = WEIR_MESSAGE_CANCEL};
	struct shared shared = {.fixture = fixture};
	struct weir_link_ring *const ring = &fixture->segment[0].pair[0].to_worker;
	pthread_t taker;

	if (!stay_on(shard_cpu)) {
		print_message("CPU %zu is not ours: skipped\n", shard_cpu);
		skip();
	}
	assert_int_equal(pthread_create(&taker, NULL, taker_main, &shared), 0);
	for (uint32_t i = 0; i < rounds; i++) {
		assert_true(weir_ring_push(&fixture->tx, &message, 0));
		(void)weir_ring_publish(&fixture->tx);
		(void)weir_bell_ring(&fixture->segment[0].header->worker_bell);
		while (atomic_load(&ring->head) != fixture->tx.published)
			(void)sched_yield(); /* cannot fail on Linux */
		if (delay_us != 0)
			(void)usleep(delay_us);
	}
	atomic_store(&shared.is_over, true);
	weir_alarm_ring(&fixture->alarm);
	assert_int_equal(pthread_join(taker, NULL), 0);
	stay_anywhere();
	print_message("lingers %lu, in vain %lu\n", (unsigned long)fixture->alarm.lingers,
		      (unsigned long)fixture->alarm.lingers_vain);
}

static struct fixture *link_open(void **state)
{
	struct fixture *const fixture = *state;

	link_add(fixture);
	weir_ring_tx_open(&fixture->tx, &fixture->segment[0].pair[0].to_worker);
	return fixture;
}

/* It pays, so it stays on. Others may keep our CPU busy for a while: then once more. */
static void quick_messages_are_awaited_awake(struct fixture *fixture, size_t shard_cpu)
{
	enum { ROUNDS = 3000, PATIENCE_S = 20 };
	const uint64_t until_ns = weir_clock_now_ns() + PATIENCE_S * WEIR_NS_PER_SECOND;

	while (fixture->alarm.lingers - fixture->alarm.lingers_vain < ROUNDS / 100 &&
	       weir_clock_now_ns() < until_ns)
		shard_play(fixture, shard_cpu, ROUNDS, 0);
	assert_true(fixture->alarm.lingers - fixture->alarm.lingers_vain >= ROUNDS / 100);
}

static void quick_messages_are_awaited_awake_on_the_same_cpu(void **state)
{
	quick_messages_are_awaited_awake(link_open(state), 0);
}

static void quick_messages_are_awaited_awake_from_another_cpu(void **state)
{
	quick_messages_are_awaited_awake(link_open(state), 1);
}

/* The shard is awake, but busy with other things. */
static void rare_messages_turn_it_off(struct fixture *fixture, size_t shard_cpu)
{
	enum { ROUNDS = 100, DELAY_US = 3000 };

	shard_play(fixture, shard_cpu, ROUNDS, DELAY_US);
	assert_in_range(fixture->alarm.lingers, 1, ROUNDS / 4);
}

static void rare_messages_turn_it_off_on_the_same_cpu(void **state)
{
	rare_messages_turn_it_off(link_open(state), 0);
}

static void rare_messages_turn_it_off_from_another_cpu(void **state)
{
	rare_messages_turn_it_off(link_open(state), 1);
}

static void nobody_waits_awake_for_a_sleeping_shard(void **state)
{
	struct fixture *const fixture = link_open(state);

	weir_shard_sleep_begin(&fixture->board->shard[0]);
	shard_play(fixture, 0, 100, 0);
	assert_int_equal(fixture->alarm.lingers, 0);
	weir_shard_sleep_end(&fixture->board->shard[0]);
	shard_play(fixture, 0, 100, 0);
	assert_true(fixture->alarm.lingers != 0);
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
		ALARM_TEST(a_bell_that_a_dead_shard_took_does_not_silence_the_alarm),
		ALARM_TEST(quick_messages_are_awaited_awake_on_the_same_cpu),
		ALARM_TEST(quick_messages_are_awaited_awake_from_another_cpu),
		ALARM_TEST(rare_messages_turn_it_off_on_the_same_cpu),
		ALARM_TEST(rare_messages_turn_it_off_from_another_cpu),
		ALARM_TEST(nobody_waits_awake_for_a_sleeping_shard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
