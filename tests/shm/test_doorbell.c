#include "tests/shm/shm_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "dataplane/base/clock.h"
#include "dataplane/shm/doorbell.h"

static _Atomic uint32_t bells[WEIR_BELL_WAIT_MAX + 1];
static _Atomic uint32_t *all[WEIR_BELL_WAIT_MAX + 1];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i <= WEIR_BELL_WAIT_MAX; i++) {
		atomic_store(&bells[i], 0);
		all[i] = &bells[i];
	}
	return 0;
}

static void ring_wakes_only_a_sleeper_and_only_once(void **state)
{
	(void)state;
	assert_false(weir_bell_ring(&bells[0]));
	weir_bell_announce(&bells[0]);
	assert_true(weir_bell_ring(&bells[0]));
	assert_false(weir_bell_ring(&bells[0]));
	weir_bell_announce(&bells[0]);
	weir_bell_cancel(&bells[0]);
	assert_false(weir_bell_ring(&bells[0]));
}

static void bell_with_a_nonsense_value_is_left_alone(void **state)
{
	(void)state;
	atomic_store(&bells[0], 17);
	assert_false(weir_bell_ring(&bells[0]));
	assert_int_equal(atomic_load(&bells[0]), 17);
}

static void wait_returns_at_once_if_any_bell_was_rung(void **state)
{
	(void)state;
	weir_bell_announce(&bells[0]);
	(void)weir_bell_ring(&bells[0]);
	assert_int_equal(weir_bell_wait(all, 1, 0), 0);
	for (size_t i = 0; i < WEIR_BELL_WAIT_MAX; i++)
		weir_bell_announce(&bells[i]);
	(void)weir_bell_ring(&bells[WEIR_BELL_WAIT_MAX - 1]);
	assert_int_equal(weir_bell_wait(all, WEIR_BELL_WAIT_MAX, 0), 0);
}

static void wait_times_out(void **state)
{
	(void)state;
	weir_bell_announce(&bells[0]);
	weir_bell_announce(&bells[1]);
	assert_int_equal(weir_bell_wait(all, 1, WEIR_NS_PER_MS), -ETIMEDOUT);
	assert_int_equal(weir_bell_wait(all, 2, WEIR_NS_PER_MS), -ETIMEDOUT);
}

static void wait_refuses_no_bells_and_too_many(void **state)
{
	(void)state;
	assert_int_equal(weir_bell_wait(all, 0, 0), -EINVAL);
	assert_int_equal(weir_bell_wait(all, WEIR_BELL_WAIT_MAX + 1, 0), -EINVAL);
}

static void *waiter_run(void *argument)
{
	const size_t count = *(const size_t *)argument;

	return (void *)(intptr_t)weir_bell_wait(all, count, 0);
}

/* Wake a thread that waits on `count` bells by the last of them; ring until it took effect, since
 * nothing tells when the thread has gone to sleep. */
static void wake_sleeper(size_t count)
{
	pthread_t thread;
	void *result = NULL;

	for (size_t i = 0; i < count; i++)
		weir_bell_announce(&bells[i]);
	assert_int_equal(pthread_create(&thread, NULL, waiter_run, &count), 0);
	(void)usleep(20000);
	assert_true(weir_bell_ring(&bells[count - 1]));
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
}

static void sleeper_on_one_bell_is_woken(void **state)
{
	(void)state;
	wake_sleeper(1);
}

static void sleeper_on_many_bells_is_woken_by_any(void **state)
{
	(void)state;
	wake_sleeper(2);
	wake_sleeper(WEIR_BELL_WAIT_MAX);
}

static void on_signal(int signal)
{
	(void)signal;
}

static _Atomic bool interrupted;

static void *interrupted_run(void *argument)
{
	void *const result = waiter_run(argument);

	atomic_store(&interrupted, true);
	return result;
}

static void signal_interrupts_the_wait(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	void *result = NULL;
	size_t count = 1;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	weir_bell_announce(&bells[0]);
	assert_int_equal(pthread_create(&thread, NULL, interrupted_run, &count), 0);
	while (!atomic_load(&interrupted)) {
		(void)pthread_kill(thread, SIGUSR1);
		(void)usleep(1000);
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, -EINTR);
}

static void shard_is_rung_once_per_sleep(void **state)
{
	struct weir_shard_board_line line = {0};
	uint64_t rung_for = 0;
	uint64_t count = 0;
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_false(weir_shard_ring(&line, &rung_for, fd)); /* awake */
	weir_shard_sleep_begin(&line);
	assert_true(weir_shard_ring(&line, &rung_for, fd));
	assert_false(weir_shard_ring(&line, &rung_for, fd));
	weir_shard_sleep_end(&line);
	assert_false(weir_shard_ring(&line, &rung_for, fd));
	weir_shard_sleep_begin(&line);
	assert_true(weir_shard_ring(&line, &rung_for, fd));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	(void)close(fd);
}

static void full_eventfd_is_not_written_and_does_not_block(void **state)
{
	struct weir_shard_board_line line = {0};
	uint64_t rung_for = 0;
	const uint64_t most = UINT64_MAX - 1;
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	weir_shard_sleep_begin(&line);
	assert_false(weir_shard_ring(&line, &rung_for, fd));
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ring_wakes_only_a_sleeper_and_only_once, setup),
		cmocka_unit_test_setup(bell_with_a_nonsense_value_is_left_alone, setup),
		cmocka_unit_test_setup(wait_returns_at_once_if_any_bell_was_rung, setup),
		cmocka_unit_test_setup(wait_times_out, setup),
		cmocka_unit_test_setup(wait_refuses_no_bells_and_too_many, setup),
		cmocka_unit_test_setup(sleeper_on_one_bell_is_woken, setup),
		cmocka_unit_test_setup(sleeper_on_many_bells_is_woken_by_any, setup),
		cmocka_unit_test_setup(signal_interrupts_the_wait, setup),
		cmocka_unit_test_setup(shard_is_rung_once_per_sleep, setup),
		cmocka_unit_test_setup(full_eventfd_is_not_written_and_does_not_block, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
