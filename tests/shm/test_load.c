#include "tests/shm/shm_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/load.h"

struct pair {
	struct weir_load_board *board;
	const struct weir_load_board *seen;
	int fd;
};

static struct pair pair_open(void)
{
	struct pair pair = {.fd = -1};

	assert_int_equal(weir_load_create(&pair.fd, &pair.board), 0);
	assert_int_equal(weir_load_attach(pair.fd, &pair.seen), 0);
	return pair;
}

static void pair_close(struct pair *pair)
{
	weir_load_detach(pair->seen);
	weir_load_detach(pair->board);
	weir_fd_close(&pair->fd);
}

static void attach_refuses_what_is_not_a_load_board(void **state)
{
	const struct weir_load_board *board = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(weir_fd_create_shared("other", 4096, &fd), 0);
	assert_int_equal(weir_load_attach(fd, &board), -EBADMSG); /* too small */
	weir_fd_close(&fd);
	assert_int_equal(weir_fd_create_shared("other", sizeof(*board), &fd), 0);
	assert_int_equal(weir_load_attach(fd, &board), -EBADMSG); /* no magic */
	weir_fd_close(&fd);
	fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)sizeof(*board)), 0);
	assert_int_equal(weir_load_attach(fd, &board), -EBADMSG); /* may shrink */
	weir_fd_close(&fd);
	assert_null(board);
	weir_load_detach(NULL);
}

static void sample_of_the_supervisor_is_read_with_its_age(void **state)
{
	struct pair pair = pair_open();
	uint64_t counts[WEIR_LOAD_COUNT];
	struct weir_load_sample sample;
	const int slot = weir_load_claim(pair.board, 77, 0, 1000);

	(void)state;
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
		counts[i] = 100 + i;
	assert_int_equal(weir_load_find(pair.seen, 77), slot);
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 77, 2000, &sample)); /* nothing measured */
	weir_load_publish(pair.board, (uint32_t)slot, counts, 4096, 5000);
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 77, 9000, &sample));
	assert_memory_equal(sample.count, counts, sizeof(counts));
	assert_int_equal(sample.rss_bytes, 4096);
	assert_int_equal(sample.source, WEIR_LOAD_SOURCE_CLOCKS);
	assert_int_equal(sample.at_ns, 5000);
	assert_int_equal(weir_load_age_ns(&sample, 9000), 4000);
	assert_int_equal(weir_load_age_ns(&sample, 4000), 0); /* sampled after the clock was read */
	assert_false(sample.exited);
	assert_int_equal(atomic_load(&pair.seen->sampled_ns), 5000);
	pair_close(&pair);
}

static void reader_of_a_worker_that_is_gone_gets_nothing(void **state)
{
	struct pair pair = pair_open();
	const uint64_t counts[WEIR_LOAD_COUNT] = {1};
	struct weir_load_sample sample = {.rss_bytes = 5};
	const int slot = weir_load_claim(pair.board, 1, 3, 0);

	(void)state;
	weir_load_publish(pair.board, (uint32_t)slot, counts, 1, 1);
	weir_load_release(pair.board, (uint32_t)slot);
	assert_int_equal(weir_load_find(pair.seen, 1), -ENOENT);
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 1, 2, &sample));
	assert_int_equal(weir_load_claim(pair.board, 2, 3, 0), slot);
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 2, 2, &sample)); /* not the last owner's counts */
	weir_load_publish(pair.board, (uint32_t)slot, counts, 1, 1);
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 1, 2, &sample));
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 0, 2, &sample));
	assert_int_equal(sample.rss_bytes, 5); /* untouched */
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 2, 2, &sample));
	assert_int_equal(weir_load_find(pair.seen, 0), -ENOENT); /* the id of free slots */
	pair_close(&pair);
}

static void full_board_refuses_and_goes_round(void **state)
{
	struct pair pair = pair_open();

	(void)state;
	for (uint64_t i = 0; i < WEIR_LOAD_SLOTS; i++)
		assert_int_equal(weir_load_claim(pair.board, 1 + i, 500, 0), (500 + i) % WEIR_LOAD_SLOTS);
	assert_int_equal(weir_load_claim(pair.board, 9999, 0, 0), -ENOSPC);
	weir_load_release(pair.board, 17);
	assert_int_equal(weir_load_claim(pair.board, 9999, 18, 0), 17);
	assert_int_equal(weir_load_find(pair.seen, 9999), 17);
	pair_close(&pair);
}

/* What a program does at a switch in and out, at a time in units. */
static void probe_switch(struct weir_load_slot *slot, bool in, uint64_t units)
{
	const uint64_t one = UINT64_C(1) << WEIR_LOAD_RUNNING_SHIFT;

	atomic_fetch_add(&slot->probe[WEIR_LOAD_ON_CPU_NS], in ? one - units : units - one);
}

static void running_threads_count_up_to_now(void **state)
{
	struct pair pair = pair_open();
	const int slot = weir_load_claim(pair.board, 4, 0, 640000);
	struct weir_load_slot *const place = &pair.board->slot[slot];
	struct weir_load_sample sample;

	(void)state;
	atomic_store(&place->source, WEIR_LOAD_SOURCE_PROBES);
	probe_switch(place, true, 100);
	probe_switch(place, true, 150); /* a second thread, on another CPU */
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 4, 640000 + 64 * 200, &sample));
	assert_int_equal(sample.count[WEIR_LOAD_ON_CPU_NS], 64 * (100 + 50));
	assert_int_equal(sample.source, WEIR_LOAD_SOURCE_PROBES);
	assert_int_equal(sample.at_ns, 640000 + 64 * 200);
	probe_switch(place, false, 300);
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 4, 640000 + 64 * 400, &sample));
	assert_int_equal(sample.count[WEIR_LOAD_ON_CPU_NS], 64 * (400 - 100 + 300 - 150));
	probe_switch(place, false, 400);
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 4, 640000 + 64 * 9000, &sample));
	assert_int_equal(sample.count[WEIR_LOAD_ON_CPU_NS], 64 * (300 + 150));
	probe_switch(place, true, 9001); /* after the reader's look at the clock */
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 4, 640000 + 64 * 9000, &sample));
	assert_int_equal(sample.count[WEIR_LOAD_ON_CPU_NS], 64 * (300 + 150 - 1));
	pair_close(&pair);
}

static void word_holds_years_of_many_cpus(void **state)
{
	const uint64_t one = UINT64_C(1) << WEIR_LOAD_RUNNING_SHIFT;
	const uint64_t day = 86400 * WEIR_NS_PER_SECOND;
	uint64_t word = 0;

	(void)state;
	for (uint64_t i = 0; i < 64; i++)
		word += one - (i * WEIR_NS_PER_SECOND >> WEIR_LOAD_UNIT_SHIFT);
	/* 64 threads that ran for 100 days without a switch. */
	assert_int_equal(weir_load_on_cpu_ns(word, 5, 5 + 100 * day) >> WEIR_LOAD_UNIT_SHIFT,
			 (6400 * day - 2016 * WEIR_NS_PER_SECOND) >> WEIR_LOAD_UNIT_SHIFT);
	/* 6,000 days of CPU done. */
	word = 6000 * day >> WEIR_LOAD_UNIT_SHIFT;
	assert_int_equal(weir_load_on_cpu_ns(word, 5, 5), 6000 * day);
	/* A thread that began after the clock was read, and nothing before it: not below 0. */
	assert_int_equal(weir_load_on_cpu_ns(one - 10, 0, 0), 0);
}

static void half_written_sample_is_not_taken(void **state)
{
	struct pair pair = pair_open();
	const uint64_t counts[WEIR_LOAD_COUNT] = {1};
	struct weir_load_sample sample;
	const int slot = weir_load_claim(pair.board, 5, 0, 0);

	(void)state;
	weir_load_publish(pair.board, (uint32_t)slot, counts, 1, 1);
	atomic_fetch_add(&pair.board->slot[slot].change, 1); /* a supervisor died here */
	assert_false(weir_load_read(pair.seen, (uint32_t)slot, 5, 2, &sample));
	weir_load_publish(pair.board, (uint32_t)slot, counts, 2, 2); /* the next one */
	assert_true(weir_load_read(pair.seen, (uint32_t)slot, 5, 2, &sample));
	assert_int_equal(sample.rss_bytes, 2);
	pair_close(&pair);
}

struct race {
	struct pair pair;
	_Atomic bool ended;
};

static void *race_publish(void *argument)
{
	struct race *const race = argument;
	uint64_t counts[WEIR_LOAD_COUNT];

	for (uint64_t n = 1; n <= 200000; n++) {
		for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
			counts[i] = n;
		weir_load_publish(race->pair.board, 0, counts, n, n);
	}
	atomic_store(&race->ended, true);
	return NULL;
}

static void samples_are_whole_while_they_change(void **state)
{
	struct race race = {.pair = pair_open()};
	struct weir_load_sample sample;
	uint64_t taken = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(weir_load_claim(race.pair.board, 5, 0, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, race_publish, &race), 0);
	while (!atomic_load(&race.ended) || taken == 0) {
		if (!weir_load_read(race.pair.seen, 0, 5, 0, &sample))
			continue;
		taken++;
		assert_int_equal(sample.rss_bytes, sample.at_ns);
		for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
			assert_int_equal(sample.count[i], sample.rss_bytes);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	pair_close(&race.pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_refuses_what_is_not_a_load_board),
		cmocka_unit_test(sample_of_the_supervisor_is_read_with_its_age),
		cmocka_unit_test(reader_of_a_worker_that_is_gone_gets_nothing),
		cmocka_unit_test(full_board_refuses_and_goes_round),
		cmocka_unit_test(running_threads_count_up_to_now),
		cmocka_unit_test(word_holds_years_of_many_cpus),
		cmocka_unit_test(half_written_sample_is_not_taken),
		cmocka_unit_test(samples_are_whole_while_they_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
