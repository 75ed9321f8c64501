/* One end is a process of its own that gets SIGKILL in the middle of an operation (the fault points
 * of ring.c, call.c and doorbell.c); the other end goes on and everything is accounted for. */
#include "tests/shm/shm_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dataplane/base/clock.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/shard_board.h"

enum { CALLS = 20000 /* so many that each fault point is passed often */, RECORDS = 40, BATCH = 8 };
enum { FD_SEGMENT = 10, FD_BOARD, FD_EVENT }; /* the child's descriptors */

/* A link and who is at its other end. */
struct link {
	int segment_fd;
	int board_fd;
	int event_fd;
	int pid_fd;
	pid_t child;
	struct weir_segment segment;
	struct weir_shard_board *board;
};

static uint64_t *chunk_words(struct weir_link_pair *pair, uint32_t ref)
{
	size_t bytes = 0;

	return (void *)weir_segment_chunk(pair, ref, &bytes); /* chunks start on pages */
}

/* ---- The worker: accepts, answers token * 3, sleeps when there is nothing. ---- */

struct worker {
	struct weir_segment segment;
	const struct weir_shard_board *board;
	int event_fd;
	struct weir_ring_rx rx;
	struct weir_ring_tx tx;
	uint64_t rung_for;
	uint64_t ran;
	uint64_t wrong;
};

static void worker_run_call(struct worker *worker, const struct weir_message *head)
{
	struct weir_link_pair *const pair = &worker->segment.pair[0];
	const struct weir_message end = {.kind = WEIR_MESSAGE_END, .call = head->call,
					 .chunk = head->grant, .sequence = head->sequence};

	if (!weir_call_accept(&pair->call[head->call], head->sequence))
		return;
	worker->wrong += pair->call[head->call].function_id != chunk_words(pair, head->chunk)[0];
	worker->ran++;
	chunk_words(pair, head->grant)[0] = chunk_words(pair, head->chunk)[0] * 3;
	(void)weir_ring_push(&worker->tx, &end, 0); /* never more open calls than cells */
}

/* One turn: true if there was something. */
static bool worker_turn(struct worker *worker)
{
	struct weir_message message;
	int count = 0;

	while (count < BATCH && weir_ring_pop(&worker->rx, &message) == 1) {
		worker_run_call(worker, &message);
		count++;
	}
	weir_ring_release(&worker->rx);
	if (weir_ring_publish(&worker->tx))
		(void)weir_shard_ring(&worker->board->shard[0], &worker->rung_for, worker->event_fd);
	return count > 0;
}

static void worker_sleep(struct worker *worker)
{
	_Atomic uint32_t *const bells[] = {&worker->segment.header->worker_bell};

	weir_bell_announce(bells[0]);
	if (weir_ring_is_empty(&worker->rx))
		(void)weir_bell_wait(bells, 1, 100 * WEIR_NS_PER_MS); /* a killed shard rings no more */
	weir_bell_cancel(bells[0]);
}

static void worker_open(struct worker *worker, int segment_fd, int board_fd, int event_fd)
{
	memset(worker, 0, sizeof(*worker));
	if (weir_segment_attach(segment_fd, &worker->segment) != 0 ||
	    weir_shard_board_attach(board_fd, &worker->board) != 0)
		abort();
	worker->event_fd = event_fd;
	weir_ring_rx_open(&worker->rx, &worker->segment.pair[0].to_worker);
	weir_ring_tx_open(&worker->tx, &worker->segment.pair[0].to_shard);
}

/* ---- The shard: keeps RECORDS calls open until CALLS tokens are through. ---- */

struct shard {
	struct link *link;
	struct weir_link_pair *pair;
	struct weir_ring_tx tx;
	struct weir_ring_rx rx;
	struct weir_chunk_arena arena;
	uint64_t sequence[RECORDS]; /* 0: free */
	uint64_t token[RECORDS];
	uint32_t grant[RECORDS];
	uint64_t sequence_last;
	uint64_t token_next;
	uint32_t open;
	uint32_t answers[CALLS + 1]; /* by token */
	uint32_t lost;               /* started, never answered: 502 */
	uint64_t again[RECORDS];     /* recalled tokens, to be bound elsewhere */
	uint32_t again_count;
};

static void shard_open(struct shard *shard, struct link *link)
{
	shard->link = link;
	shard->pair = &link->segment.pair[0];
	weir_ring_tx_open(&shard->tx, &shard->pair->to_worker);
	weir_ring_rx_open(&shard->rx, &shard->pair->to_shard);
	weir_chunk_arena_open(&shard->arena);
	memset(shard->sequence, 0, sizeof(shard->sequence));
	shard->open = 0;
}

static void shard_call_free(struct shard *shard, uint16_t record)
{
	weir_call_release(&shard->pair->call[record], shard->sequence[record]);
	assert_int_equal(weir_chunk_give_all(&shard->arena, record), 2);
	shard->sequence[record] = 0;
	shard->open--;
}

static uint64_t shard_token(struct shard *shard)
{
	if (shard->again_count > 0)
		return shard->again[--shard->again_count];
	return shard->token_next < CALLS ? ++shard->token_next : 0;
}

static void shard_bind(struct shard *shard, uint16_t record, uint64_t token)
{
	const struct weir_message head = {.kind = WEIR_MESSAGE_HEAD, .call = record,
					  .chunk = weir_chunk_take(&shard->arena, record, 1),
					  .grant = weir_chunk_take(&shard->arena, record, 1),
					  .sequence = ++shard->sequence_last};

	shard->sequence[record] = head.sequence;
	shard->token[record] = token;
	shard->grant[record] = head.grant;
	shard->open++;
	chunk_words(shard->pair, head.chunk)[0] = token;
	shard->pair->call[record].function_id = token;
	weir_call_queue(&shard->pair->call[record], head.sequence);
	if (!weir_ring_push(&shard->tx, &head, WEIR_RING_CELLS_RESERVED))
		abort();
}

static void shard_bind_some(struct shard *shard)
{
	for (uint16_t i = 0; i < RECORDS; i++) {
		const uint64_t token = shard->sequence[i] == 0 ? shard_token(shard) : 0;

		if (token != 0)
			shard_bind(shard, i, token);
	}
	if (weir_ring_publish(&shard->tx))
		(void)weir_bell_ring(&shard->link->segment.header->worker_bell);
}

static void shard_take_answers(struct shard *shard)
{
	struct weir_message message;
	int result = 0;

	while ((result = weir_ring_pop(&shard->rx, &message)) == 1) {
		assert_in_range(message.call, 0, RECORDS - 1);
		assert_int_equal(message.sequence, shard->sequence[message.call]);
		assert_int_equal(message.chunk, shard->grant[message.call]);
		assert_int_equal(chunk_words(shard->pair, message.chunk)[0],
				 shard->token[message.call] * 3);
		shard->answers[shard->token[message.call]]++;
		shard_call_free(shard, message.call);
	}
	assert_int_equal(result, 0); /* whatever it was doing, its index is no lie */
	weir_ring_release(&shard->rx);
}

/* The worker's pidfd fired: what it had not started is bound elsewhere, the rest is lost. */
static void shard_bury(struct shard *shard)
{
	shard_take_answers(shard);
	for (uint16_t i = 0; i < RECORDS; i++) {
		if (shard->sequence[i] == 0)
			continue;
		if (weir_call_recall(&shard->pair->call[i], shard->sequence[i]))
			shard->again[shard->again_count++] = shard->token[i];
		else
			shard->lost++;
		shard_call_free(shard, i);
	}
	assert_int_equal(shard->open, 0);
	assert_int_equal(shard->arena.used_small + shard->arena.used_large, 0);
}

/* Sleep until the worker rings or dies; true if it died. */
static bool shard_sleep(struct shard *shard)
{
	struct pollfd fds[] = {{.fd = shard->link->event_fd, .events = POLLIN},
			       {.fd = shard->link->pid_fd, .events = POLLIN}};
	uint64_t count = 0;

	weir_shard_sleep_begin(&shard->link->board->shard[0]);
	if (weir_ring_is_empty(&shard->rx))
		(void)poll(fds, 2, -1);
	weir_shard_sleep_end(&shard->link->board->shard[0]);
	(void)read(shard->link->event_fd, &count, sizeof(count));
	return fds[1].revents != 0;
}

/* Until every token is through, or the worker died: true. */
static bool shard_serve(struct shard *shard)
{
	for (;;) {
		shard_bind_some(shard);
		shard_take_answers(shard);
		if (shard->open == 0 && shard->token_next == CALLS && shard->again_count == 0)
			return false;
		if (shard->open > 0 && shard_sleep(shard)) {
			shard_bury(shard);
			return true;
		}
	}
}

/* ---- Processes. ---- */

static void child_descriptors(const struct link *link)
{
	if (dup2(link->segment_fd, FD_SEGMENT) < 0 || dup2(link->board_fd, FD_BOARD) < 0 ||
	    dup2(link->event_fd, FD_EVENT) < 0)
		_exit(98);
}

/* Open a link and start this program again as its other end, to be killed as `fault` says. */
static void link_open(struct link *link, const char *role, const char *fault)
{
	assert_int_equal(weir_segment_create(1, 1, 1, &link->segment_fd), 0);
	assert_int_equal(weir_segment_attach(link->segment_fd, &link->segment), 0);
	assert_int_equal(weir_shard_board_create(&link->board_fd, &link->board), 0);
	link->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	link->child = fork();
	assert_true(link->child >= 0);
	if (link->child == 0) {
		child_descriptors(link);
		(void)setenv("WEIR_FAULT", fault, 1);
		(void)execl("/proc/self/exe", "test_kill", role, (char *)NULL);
		_exit(99);
	}
	link->pid_fd = (int)syscall(SYS_pidfd_open, link->child, 0);
	assert_true(link->pid_fd >= 0);
}

/* Returns the child's wait status. */
static int link_close(struct link *link, bool kill_it)
{
	int status = 0;

	if (kill_it)
		(void)kill(link->child, SIGKILL);
	assert_int_equal(waitpid(link->child, &status, 0), link->child);
	weir_segment_detach(&link->segment);
	weir_shard_board_detach(link->board);
	(void)close(link->segment_fd);
	(void)close(link->board_fd);
	(void)close(link->event_fd);
	(void)close(link->pid_fd);
	return status;
}

static void worker_killed_at(const char *point, int pass)
{
	static struct shard shard;
	struct link link;
	char fault[64];
	uint32_t answered = 0;
	int status = 0;

	(void)snprintf(fault, sizeof(fault), "%s:kill:%d", point, pass);
	memset(&shard, 0, sizeof(shard));
	link_open(&link, "worker", fault);
	shard_open(&shard, &link);
	assert_true(shard_serve(&shard)); /* the point was reached */
	status = link_close(&link, false);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	/* A worker runs one call at a time and publishes after a batch. */
	assert_in_range(shard.lost, 0, BATCH);
	link_open(&link, "worker", "");
	shard_open(&shard, &link);
	assert_false(shard_serve(&shard));
	(void)link_close(&link, true);
	for (uint32_t token = 1; token <= CALLS; token++) {
		assert_in_range(shard.answers[token], 0, 1); /* never twice */
		answered += shard.answers[token];
	}
	assert_int_equal(answered + shard.lost, CALLS);
}

static void worker_killed_anywhere_loses_only_what_it_had_started(void **state)
{
	static const char *const points[] = {
		"ring_pop",	       "call_accept_before",  "call_accept_after",
		"ring_push",	       "ring_release_before", "ring_release_after",
		"ring_publish_before", "ring_publish_after",  "bell_announced",
		"shard_ring_before_write",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		worker_killed_at(points[i], 1);
		worker_killed_at(points[i], 3);
	}
}

static void shard_killed_at(const char *point, int pass)
{
	struct worker worker;
	struct link link;
	char fault[64];
	int status = 0;
	struct pollfd fd = {.events = POLLIN};

	(void)snprintf(fault, sizeof(fault), "%s:kill:%d", point, pass);
	link_open(&link, "shard", fault);
	worker_open(&worker, link.segment_fd, link.board_fd, link.event_fd);
	fd.fd = link.pid_fd;
	/* Serve until it is dead and nothing that it published is left. */
	for (;;) {
		const bool dead = poll(&fd, 1, 0) == 1;

		if (worker_turn(&worker))
			continue;
		if (dead)
			break;
		worker_sleep(&worker);
	}
	assert_int_equal(worker.wrong, 0); /* every call that ran was whole */
	weir_segment_detach(&worker.segment);
	weir_shard_board_detach(worker.board);
	status = link_close(&link, false);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void shard_killed_anywhere_leaves_the_worker_whole_calls_only(void **state)
{
	static const char *const points[] = {
		"ring_push",  "ring_publish_before", "ring_publish_after",
		"ring_pop",   "ring_release_before", "bell_ring_before_wake",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		shard_killed_at(points[i], i == 5 ? 1 : 2);
}

/* The other end's program. Ends by its fault, or by the parent's kill. */
static _Noreturn void child_main(const char *role)
{
	static struct worker worker;
	static struct shard shard;
	struct link link = {.segment_fd = FD_SEGMENT, .board_fd = FD_BOARD, .event_fd = FD_EVENT};

	if (strcmp(role, "worker") == 0) {
		worker_open(&worker, FD_SEGMENT, FD_BOARD, FD_EVENT);
		for (;;)
			if (!worker_turn(&worker))
				worker_sleep(&worker);
	}
	/* The board's writable mapping cannot be had again; a private one does for a shard that only
	 * looks at its ring. */
	link.board = calloc(1, sizeof(*link.board));
	if (link.board == NULL || weir_segment_attach(FD_SEGMENT, &link.segment) != 0)
		_exit(97);
	shard_open(&shard, &link);
	for (;;) {
		shard.token_next %= CALLS / 2; /* without end: the fault ends it */
		shard_bind_some(&shard);
		shard_take_answers(&shard);
		(void)usleep(100); /* so that the worker sleeps now and then */
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_killed_anywhere_loses_only_what_it_had_started),
		cmocka_unit_test(shard_killed_anywhere_leaves_the_worker_whole_calls_only),
	};

	if (argc > 1)
		child_main(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
