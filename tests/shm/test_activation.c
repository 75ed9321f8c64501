#include "tests/shm/shm_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "dataplane/shm/activation.h"

enum { SHARDS = 2 };

struct fixture {
	int fd;
	int bell_fd[2]; /* ctrld's, the shards' */
	struct weir_activations *shared;
	uint32_t shard_count;
	struct weir_activation_tx tx[SHARDS];
	struct weir_activation_rx rx[SHARDS];
};

static int setup(void **state)
{
	static struct fixture fixture;

	assert_int_equal(weir_activations_create(SHARDS, &fixture.fd), 0);
	assert_int_equal(weir_activations_attach(fixture.fd, &fixture.shared, &fixture.shard_count), 0);
	assert_int_equal(fixture.shard_count, SHARDS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fixture.bell_fd), 0);
	for (uint32_t i = 0; i < SHARDS; i++) {
		weir_activation_tx_open(&fixture.tx[i], fixture.shared, i, fixture.bell_fd[1]);
		weir_activation_rx_open(&fixture.rx[i], fixture.shared, i);
	}
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	weir_activations_detach(f->shared, f->shard_count);
	(void)close(f->fd);
	(void)close(f->bell_fd[0]);
	(void)close(f->bell_fd[1]);
	return 0;
}

static bool put(struct weir_activation_tx *tx, uint64_t id)
{
	struct weir_activation *record = weir_activation_put(tx);

	if (record)
		*record = (struct weir_activation){.id_low = id, .run_ns = id * 3};
	return record != NULL;
}

/* Was the bell rung since the last look? */
static bool rung(const struct fixture *f)
{
	char byte;

	return recv(f->bell_fd[0], &byte, 1, MSG_DONTWAIT) == 1;
}

static void records_come_out_in_order_and_only_after_publish(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[4];

	assert_true(put(&f->tx[0], 1));
	assert_true(put(&f->tx[0], 2));
	assert_true(put(&f->tx[1], 9));
	assert_int_equal(weir_activation_take(&f->rx[0], out, 4), 0);
	weir_activation_publish(&f->tx[0]);
	assert_int_equal(weir_activation_take(&f->rx[0], out, 1), 1);
	assert_int_equal(out[0].id_low, 1);
	assert_int_equal(weir_activation_take(&f->rx[0], out, 4), 1);
	assert_int_equal(out[0].id_low, 2);
	assert_int_equal(out[0].run_ns, 6);
	assert_int_equal(weir_activation_take(&f->rx[1], out, 4), 0); /* another ring, not published */
}

static void a_full_ring_loses_the_newest_and_counts_them(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[2];

	for (uint64_t i = 0; i < WEIR_ACTIVATION_CELLS; i++)
		assert_true(put(&f->tx[0], i + 1));
	assert_false(put(&f->tx[0], 7));
	assert_false(put(&f->tx[0], 8));
	weir_activation_publish(&f->tx[0]);
	assert_int_equal(weir_activation_lost(&f->rx[0]), 2);
	assert_int_equal(weir_activation_take(&f->rx[0], out, 2), 2);
	assert_int_equal(out[0].id_low, 1);
	assert_true(put(&f->tx[0], 100)); /* two places are free again */
	assert_true(put(&f->tx[0], 101));
	assert_false(put(&f->tx[0], 102));
	assert_int_equal(weir_activation_lost(&f->rx[0]), 3);
}

static void indices_go_round(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[64];
	uint64_t next = 1;

	for (uint64_t i = 1; i <= 3 * WEIR_ACTIVATION_CELLS; i += 64) {
		for (uint64_t k = 0; k < 64; k++)
			assert_true(put(&f->tx[0], i + k));
		weir_activation_publish(&f->tx[0]);
		assert_int_equal(weir_activation_take(&f->rx[0], out, 64), 64);
		for (size_t k = 0; k < 64; k++)
			assert_int_equal(out[k].id_low, next++);
	}
	assert_int_equal(weir_activation_lost(&f->rx[0]), 0);
}

static void another_writer_and_another_reader_go_on(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[4];

	assert_true(put(&f->tx[0], 1));
	weir_activation_publish(&f->tx[0]);
	assert_true(put(&f->tx[0], 2)); /* its writer dies before it says so */
	weir_activation_tx_open(&f->tx[0], f->shared, 0, f->bell_fd[1]);
	assert_true(put(&f->tx[0], 3));
	weir_activation_publish(&f->tx[0]);
	assert_int_equal(weir_activation_take(&f->rx[0], out, 1), 1);
	weir_activation_rx_open(&f->rx[0], f->shared, 0);
	assert_int_equal(weir_activation_take(&f->rx[0], out, 4), 1);
	assert_int_equal(out[0].id_low, 3);
}

static void a_sleeping_reader_is_woken_once(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[4];

	assert_true(weir_activations_wait(f->shared, f->rx, SHARDS, WEIR_ACTIVATION_READER_SLEEPS));
	weir_activation_publish(&f->tx[0]);
	assert_false(rung(f)); /* nothing new */
	assert_true(put(&f->tx[0], 1));
	weir_activation_publish(&f->tx[0]);
	assert_true(rung(f));
	assert_true(put(&f->tx[1], 2));
	weir_activation_publish(&f->tx[1]);
	assert_false(rung(f)); /* it is awake already */
	assert_false(weir_activations_wait(f->shared, f->rx, SHARDS, WEIR_ACTIVATION_READER_SLEEPS));
	assert_int_equal(weir_activation_take(&f->rx[0], out, 4), 1);
	assert_int_equal(weir_activation_take(&f->rx[1], out, 4), 1);
	assert_true(weir_activations_wait(f->shared, f->rx, SHARDS, WEIR_ACTIVATION_READER_SLEEPS));
}

static void a_gathering_reader_is_woken_when_a_ring_is_half_full(void **state)
{
	struct fixture *f = *state;

	(void)weir_activations_wait(f->shared, f->rx, SHARDS, WEIR_ACTIVATION_READER_GATHERS);
	for (uint64_t i = 1; i < WEIR_ACTIVATION_CELLS / 2; i++) {
		assert_true(put(&f->tx[0], i));
		weir_activation_publish(&f->tx[0]);
	}
	assert_false(rung(f));
	assert_true(put(&f->tx[0], 1));
	weir_activation_publish(&f->tx[0]);
	assert_true(rung(f));
	assert_true(put(&f->tx[0], 1));
	weir_activation_publish(&f->tx[0]);
	assert_false(rung(f));
}

static void impossible_indices_harm_nobody(void **state)
{
	struct fixture *f = *state;
	struct weir_activation out[4];

	/* A reader that says it took more than there was: as if the ring were full. */
	atomic_store(&f->shared->ring[0].head, UINT64_C(1) << 40);
	f->tx[0].head_seen = UINT64_C(1) << 40;
	assert_false(put(&f->tx[0], 1));
	assert_int_equal(weir_activation_lost(&f->rx[0]), 1);
	/* A writer's: nothing of what stands there is believed. */
	atomic_store(&f->shared->ring[1].tail, UINT64_C(1) << 50);
	assert_int_equal(weir_activation_take(&f->rx[1], out, 4), 0);
	assert_int_equal(atomic_load(&f->shared->ring[1].head), UINT64_C(1) << 50);
}

static void what_is_no_such_segment_is_refused(void **state)
{
	struct weir_activations *shared = NULL;
	const uint64_t wrong = 1;
	uint32_t shard_count = 0;
	int fd = memfd_create("x", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(weir_activations_create(0, &fd), -EINVAL);
	assert_int_equal(weir_activations_create(WEIR_SHARDS_MAX + 1, &fd), -EINVAL);
	assert_int_equal(weir_activations_attach(fd, &shared, &shard_count), -EBADMSG);
	(void)close(fd);
	assert_int_equal(weir_activations_create(1, &fd), 0);
	assert_int_equal(pwrite(fd, &wrong, sizeof(wrong), 0), sizeof(wrong));
	assert_int_equal(weir_activations_attach(fd, &shared, &shard_count), -EBADMSG);
	(void)close(fd);
	assert_int_equal(weir_activations_create(1, &fd), 0);
	assert_int_equal(pwrite(fd, &(uint32_t){WEIR_ABI_MAJOR + 1}, 4, offsetof(struct weir_activations, abi_major)), 4);
	assert_int_equal(weir_activations_attach(fd, &shared, &shard_count), -EPROTO);
	assert_int_equal(pwrite(fd, &(uint32_t){2}, 4, offsetof(struct weir_activations, shard_count)), 4);
	assert_int_equal(weir_activations_attach(fd, &shared, &shard_count), -EBADMSG); /* larger than it is */
	(void)close(fd);
}

/* The writer is killed wherever it stands; what the reader gets is whole and in order. */
static void a_killed_writer_leaves_whole_records(void **state)
{
	struct fixture *f = *state;
	struct shm_random random = {.state = shm_seed()};
	uint64_t last = 0;

	for (int round = 0; round < 40; round++) {
		struct weir_activation out[256];
		const pid_t child = fork();
		size_t count;

		assert_true(child >= 0);
		if (child == 0) {
			struct weir_activation_tx tx;

			weir_activation_tx_open(&tx, f->shared, 0, f->bell_fd[1]);
			for (uint64_t id = tx.tail + 1;; id++) {
				if (put(&tx, id) && id % 7 == 0)
					weir_activation_publish(&tx);
			}
		}
		for (uint32_t spins = shm_random_below(&random, 200); spins > 0; spins--) {
			count = weir_activation_take(&f->rx[0], out, 256);
			for (size_t i = 0; i < count; i++) {
				assert_int_equal(out[i].run_ns, out[i].id_low * 3);
				assert_true(out[i].id_low > last);
				last = out[i].id_low;
			}
		}
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while ((count = weir_activation_take(&f->rx[0], out, 256)) > 0) {
			assert_int_equal(out[count - 1].run_ns, out[count - 1].id_low * 3);
			last = out[count - 1].id_low;
		}
		last = 0; /* the next writer's numbers begin where the ring stands */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_come_out_in_order_and_only_after_publish, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_loses_the_newest_and_counts_them, setup, teardown),
		cmocka_unit_test_setup_teardown(indices_go_round, setup, teardown),
		cmocka_unit_test_setup_teardown(another_writer_and_another_reader_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeping_reader_is_woken_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gathering_reader_is_woken_when_a_ring_is_half_full, setup, teardown),
		cmocka_unit_test_setup_teardown(impossible_indices_harm_nobody, setup, teardown),
		cmocka_unit_test(what_is_no_such_segment_is_refused),
		cmocka_unit_test_setup_teardown(a_killed_writer_leaves_whole_records, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
