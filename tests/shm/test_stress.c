/* Two shards and a worker as threads on one link, as fast as they can: answers, recalls, both sides
 * asleep and awake. Under ThreadSanitizer this judges the acquire and release labels. */
#include "tests/shm/shm_test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "dataplane/base/clock.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/shard_board.h"

enum { SHARDS = 2, RECORDS = 48, STOP = 200 /* a kind of message that only this test has */ };
#if defined(__has_feature)
#define TSAN_OF_CLANG __has_feature(thread_sanitizer)
#else
#define TSAN_OF_CLANG 0
#endif
#if defined(__SANITIZE_THREAD__) || TSAN_OF_CLANG
enum { CALLS = 100000 };
#else
enum { CALLS = 500000 };
#endif

struct shard {
	struct weir_link_pair *pair;
	struct weir_shard_board_line *line;
	_Atomic uint32_t *bell;
	struct weir_ring_tx tx;
	struct weir_ring_rx rx;
	struct weir_chunk_arena arena;
	struct shm_random dice;
	int event_fd;
	uint64_t sequence[RECORDS]; /* 0: free */
	uint32_t grant[RECORDS];
	uint64_t sequence_last;
	uint32_t in_flight;
	uint32_t answered;
	uint32_t recalled;
	uint32_t started;
	uint32_t sleeps;
	uint32_t wrong;
};

struct worker {
	struct weir_segment *segment;
	const struct weir_shard_board *board;
	struct weir_ring_rx rx[SHARDS];
	struct weir_ring_tx tx[SHARDS];
	int event_fd[SHARDS];
	uint64_t rung_for[SHARDS];
	uint32_t stops;
	uint32_t ran;
	uint32_t stale;
	uint32_t sleeps;
};

static uint64_t *chunk_words(struct weir_link_pair *pair, uint32_t ref)
{
	size_t bytes = 0;

	return (void *)weir_segment_chunk(pair, ref, &bytes); /* chunks start on pages */
}

static void call_free(struct shard *shard, uint16_t record)
{
	weir_call_release(&shard->pair->call[record], shard->sequence[record]);
	shard->wrong += weir_chunk_give_all(&shard->arena, record) != 2;
	shard->sequence[record] = 0;
	shard->in_flight--;
}

static void shard_start(struct shard *shard, uint16_t record)
{
	const uint32_t request = weir_chunk_take(&shard->arena, record, 1);
	const struct weir_message head = {.kind = WEIR_MESSAGE_HEAD, .call = record, .chunk = request,
					  .sequence = ++shard->sequence_last,
					  .grant = weir_chunk_take(&shard->arena, record, 1)};

	shard->sequence[record] = head.sequence;
	shard->grant[record] = head.grant;
	shard->pair->call[record].deadline_ns = head.sequence * 3;
	chunk_words(shard->pair, request)[0] = head.sequence * 5;
	chunk_words(shard->pair, head.grant)[0] = 0;
	weir_call_queue(&shard->pair->call[record], head.sequence);
	shard->in_flight++;
	if (weir_ring_push(&shard->tx, &head, WEIR_RING_CELLS_RESERVED)) {
		shard->started++;
		return;
	}
	shard->wrong += !weir_call_recall(&shard->pair->call[record], head.sequence);
	call_free(shard, record);
}

static void shard_start_some(struct shard *shard)
{
	for (uint16_t i = 0; i < RECORDS && shard->answered + shard->in_flight < CALLS; i++)
		if (shard->sequence[i] == 0 && shm_random_below(&shard->dice, 3) != 0)
			shard_start(shard, i);
	if (weir_ring_publish(&shard->tx))
		(void)weir_bell_ring(shard->bell);
}

static void shard_recall_some(struct shard *shard)
{
	const uint16_t record = (uint16_t)shm_random_below(&shard->dice, RECORDS);

	if (shard->sequence[record] == 0 || shm_random_below(&shard->dice, 2) != 0)
		return;
	if (!weir_call_recall(&shard->pair->call[record], shard->sequence[record]))
		return;
	shard->recalled++;
	call_free(shard, record);
}

static void shard_take_answers(struct shard *shard)
{
	struct weir_message message;

	while (weir_ring_pop(&shard->rx, &message) == 1) {
		if (message.call >= RECORDS || message.sequence != shard->sequence[message.call] ||
		    message.chunk != shard->grant[message.call]) {
			shard->wrong++;
			continue;
		}
		shard->wrong += chunk_words(shard->pair, message.chunk)[0] != message.sequence * 8;
		shard->answered++;
		call_free(shard, message.call);
	}
	weir_ring_release(&shard->rx);
}

static void shard_sleep(struct shard *shard)
{
	struct pollfd poll_fd = {.fd = shard->event_fd, .events = POLLIN};
	uint64_t count = 0;

	weir_shard_sleep_begin(shard->line);
	if (weir_ring_is_empty(&shard->rx)) {
		shard->sleeps++;
		(void)poll(&poll_fd, 1, -1);
		(void)read(shard->event_fd, &count, sizeof(count));
	}
	weir_shard_sleep_end(shard->line);
}

static void *shard_run(void *argument)
{
	struct shard *const shard = argument;
	const struct weir_message stop = {.kind = STOP};

	while (shard->answered < CALLS) {
		shard_start_some(shard);
		shard_recall_some(shard);
		shard_take_answers(shard);
		if (shard->in_flight > RECORDS / 2 ||
		    (shard->in_flight > 0 && shard->answered + shard->in_flight == CALLS))
			shard_sleep(shard);
	}
	while (!weir_ring_push(&shard->tx, &stop, 0))
		(void)sched_yield();
	(void)weir_ring_publish(&shard->tx);
	(void)weir_bell_ring(shard->bell);
	return NULL;
}

static void worker_answer(struct worker *worker, int shard, const struct weir_message *head)
{
	struct weir_link_pair *const pair = &worker->segment->pair[shard];
	struct weir_message end = {.kind = WEIR_MESSAGE_END, .call = head->call, .chunk = head->grant,
				   .sequence = head->sequence};

	if (!weir_call_accept(&pair->call[head->call], head->sequence)) {
		worker->stale++;
		return;
	}
	worker->ran++;
	chunk_words(pair, head->grant)[0] =
		chunk_words(pair, head->chunk)[0] + pair->call[head->call].deadline_ns;
	while (!weir_ring_push(&worker->tx[shard], &end, 0))
		(void)sched_yield();
}

static void worker_serve(struct worker *worker, int shard)
{
	struct weir_message message;

	for (int i = 0; i < 16 && weir_ring_pop(&worker->rx[shard], &message) == 1; i++) {
		if (message.kind == STOP)
			worker->stops++;
		else
			worker_answer(worker, shard, &message);
	}
	weir_ring_release(&worker->rx[shard]);
	if (weir_ring_publish(&worker->tx[shard]))
		(void)weir_shard_ring(&worker->board->shard[shard], &worker->rung_for[shard],
				      worker->event_fd[shard]);
}

static void *worker_run(void *argument)
{
	struct worker *const worker = argument;
	_Atomic uint32_t *const bells[] = {&worker->segment->header->worker_bell};

	while (worker->stops < SHARDS) {
		bool empty = true;

		for (int i = 0; i < SHARDS; i++)
			worker_serve(worker, i);
		weir_bell_announce(bells[0]);
		for (int i = 0; i < SHARDS; i++)
			empty = empty && weir_ring_is_empty(&worker->rx[i]);
		if (empty && worker->stops < SHARDS) {
			worker->sleeps++;
			(void)weir_bell_wait(bells, 1, 0);
		}
		weir_bell_cancel(bells[0]);
	}
	return NULL;
}

static struct shard shards[SHARDS];
static struct worker worker;
static struct weir_segment segment;
static struct weir_shard_board *board;

static void world_open(void)
{
	const uint64_t seed = shm_seed();
	int fd = -1;

	segment = shm_segment_open(SHARDS);
	assert_int_equal(weir_shard_board_create(&fd, &board), 0);
	(void)close(fd);
	worker.segment = &segment;
	worker.board = board;
	for (int i = 0; i < SHARDS; i++) {
		struct weir_link_pair *const pair = &segment.pair[i];

		worker.event_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		weir_ring_rx_open(&worker.rx[i], &pair->to_worker);
		weir_ring_tx_open(&worker.tx[i], &pair->to_shard);
		shards[i].pair = pair;
		shards[i].line = &board->shard[i];
		shards[i].bell = &segment.header->worker_bell;
		shards[i].event_fd = worker.event_fd[i];
		shards[i].dice.state = seed + (uint64_t)i;
		weir_ring_tx_open(&shards[i].tx, &pair->to_worker);
		weir_ring_rx_open(&shards[i].rx, &pair->to_shard);
		weir_chunk_arena_open(&shards[i].arena);
	}
}

static void every_call_is_answered_once_or_recalled(void **state)
{
	pthread_t thread[SHARDS + 1];
	uint32_t started = 0;
	uint32_t recalled = 0;

	(void)state;
	world_open();
	for (int i = 0; i < SHARDS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, shard_run, &shards[i]), 0);
	assert_int_equal(pthread_create(&thread[SHARDS], NULL, worker_run, &worker), 0);
	for (int i = 0; i <= SHARDS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (int i = 0; i < SHARDS; i++) {
		(void)printf("shard %d: started %u recalled %u slept %u\n", i, shards[i].started,
			     shards[i].recalled, shards[i].sleeps);
		assert_int_equal(shards[i].wrong, 0);
		assert_int_equal(shards[i].answered, CALLS);
		assert_int_equal(shards[i].started, CALLS + shards[i].recalled);
		assert_int_equal(shards[i].arena.used_small, 0);
		started += shards[i].started;
		recalled += shards[i].recalled;
		(void)close(shards[i].event_fd);
	}
	(void)printf("worker: ran %u stale %u slept %u\n", worker.ran, worker.stale, worker.sleeps);
	assert_int_equal(worker.ran, SHARDS * CALLS);
	assert_int_equal(worker.stale, recalled);
	assert_int_equal(started, SHARDS * CALLS + recalled);
	weir_shard_board_detach(board);
	weir_segment_detach(&segment);
}

/* One ring alone, mostly full: nothing but its two indices orders producer and consumer. */
static void *producer_run(void *argument)
{
	struct weir_ring_tx tx;
	uint64_t sequence = 0;

	weir_ring_tx_open(&tx, argument);
	while (sequence < CALLS) {
		const struct weir_message message = {.sequence = sequence + 1, .bytes = (uint32_t)sequence};

		const bool pushed = weir_ring_push(&tx, &message, 0);

		sequence += pushed;
		if (!pushed || sequence % 64 == 0 || sequence == CALLS)
			(void)weir_ring_publish(&tx);
		if (!pushed)
			(void)sched_yield();
	}
	return NULL;
}

static void messages_stream_through_a_full_ring_unharmed(void **state)
{
	struct weir_segment link = shm_segment_open(1);
	struct weir_ring_rx rx;
	struct weir_message message;
	pthread_t thread;
	uint64_t sequence = 0;

	(void)state;
	weir_ring_rx_open(&rx, &link.pair[0].to_worker);
	assert_int_equal(pthread_create(&thread, NULL, producer_run, &link.pair[0].to_worker), 0);
	while (sequence < CALLS) {
		int result = weir_ring_pop(&rx, &message);

		if (result == 0) {
			weir_ring_release(&rx);
			(void)sched_yield();
			continue;
		}
		assert_int_equal(result, 1);
		assert_int_equal(message.sequence, ++sequence);
		assert_int_equal(message.bytes, (uint32_t)sequence - 1);
		if (sequence % 32 == 0)
			weir_ring_release(&rx);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	weir_segment_detach(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_answered_once_or_recalled),
		cmocka_unit_test(messages_stream_through_a_full_ring_unharmed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
