/* Every interleaving of shard and worker over the real ring.c, call.c and doorbell.c (sim.h), and
 * planted bugs that the same walk must find: without those, "all good" would prove little. */
#include "tests/shm/sim.h"
#include "tests/shm/shm_test.h"

#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/ring.h"

enum { SHARD_EVENT = 0, KERNEL_EVENT = 1 };

/* The whole world of a run. Rings and records are reset by world_start(). */
static struct weir_link_pair pairs[2];
static _Atomic uint32_t bell;
static struct weir_shard_board_line board_line;
static struct weir_ring_tx to_worker[2];
static struct weir_ring_rx at_worker[2];
static struct weir_ring_tx to_shard;
static struct weir_ring_rx at_shard;
static struct weir_chunk_arena arena;
static uint64_t rung_for;
static uint32_t received;
static uint32_t wanted;
static enum bug {
	BUG_NONE,
	BUG_CHECK_BEFORE_ANNOUNCE,
	BUG_SLEEP_WITHOUT_CHECK,
	BUG_RING_BEFORE_PUBLISH,
	BUG_ANNOUNCE_NOT_SEQ_CST,
	BUG_ACCEPT_NOT_ATOMIC,
	BUG_RECALL_NOT_ATOMIC,
	BUG_FREE_AT_CANCEL,
	BUG_FREE_WHILE_SENDING,
	BUG_RELEASE_BEFORE_COPY,
} bug;

static void world_start(void)
{
	for (int i = 0; i < 2; i++) {
		memset(&pairs[i].to_worker, 0, offsetof(struct weir_link_ring, cell));
		memset(&pairs[i].to_shard, 0, offsetof(struct weir_link_ring, cell));
		memset(pairs[i].call, 0, 4 * sizeof(pairs[i].call[0]));
		weir_ring_tx_open(&to_worker[i], &pairs[i].to_worker);
		weir_ring_rx_open(&at_worker[i], &pairs[i].to_worker);
	}
	weir_ring_tx_open(&to_shard, &pairs[0].to_shard);
	weir_ring_rx_open(&at_shard, &pairs[0].to_shard);
	memset(&bell, 0, sizeof(bell));
	memset(&board_line, 0, sizeof(board_line));
	rung_for = 0;
	received = 0;
}

static void push(struct weir_ring_tx *tx, struct weir_message message)
{
	sim_check(weir_ring_push(tx, &message, 0), "a ring with room refused a push");
}

/* ---- A worker that sleeps. ---- */

static void shard_hands_over(uint32_t pair, uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++) {
		push(&to_worker[pair], (struct weir_message){.kind = WEIR_MESSAGE_HEAD, .sequence = i});
		if (bug == BUG_RING_BEFORE_PUBLISH)
			(void)weir_bell_ring(&bell);
		(void)weir_ring_publish(&to_worker[pair]);
		if (bug != BUG_RING_BEFORE_PUBLISH)
			(void)weir_bell_ring(&bell);
	}
}

static void shard_hands_over_two(void)
{
	shard_hands_over(0, 2);
}

static void shard_hands_over_one(void)
{
	shard_hands_over(0, 1);
}

static void second_shard_hands_over_one(void)
{
	shard_hands_over(1, 1);
}

static void worker_takes_all(void)
{
	for (int i = 0; i < 2; i++) {
		struct weir_message message;
		int result = 0;

		while ((result = weir_ring_pop(&at_worker[i], &message)) == 1) {
			received++;
			sim_check(message.sequence == at_worker[i].head, "a message is lost or doubled");
		}
		sim_check(result == 0, "an honest index was taken for a lie");
		weir_ring_release(&at_worker[i]);
	}
}

static bool worker_rings_are_empty(void)
{
	return weir_ring_is_empty(&at_worker[0]) && weir_ring_is_empty(&at_worker[1]);
}

static void worker_announces(void)
{
	/* ORDER bell release: a planted bug; the real announcement is seq_cst. */
	if (bug == BUG_ANNOUNCE_NOT_SEQ_CST)
		atomic_store_explicit(&bell, 1, memory_order_release);
	else
		weir_bell_announce(&bell);
}

static void worker_sleeps_until_all_came(void)
{
	_Atomic uint32_t *const bells[] = {&bell};

	while (worker_takes_all(), received < wanted) {
		bool empty = true;

		if (bug == BUG_CHECK_BEFORE_ANNOUNCE)
			empty = worker_rings_are_empty();
		worker_announces();
		if (bug != BUG_CHECK_BEFORE_ANNOUNCE && bug != BUG_SLEEP_WITHOUT_CHECK)
			empty = worker_rings_are_empty();
		if (empty)
			sim_check(weir_bell_wait(bells, 1, 0) == 0, "the wait failed");
		weir_bell_cancel(&bell);
	}
}

static void all_came(void)
{
	sim_check(received == wanted, "not every message came");
}

static void start_wanting_two(void)
{
	world_start();
	wanted = 2;
}

static void start_wanting_one(void)
{
	world_start();
	wanted = 1;
}

static const struct sim_scenario worker_sleeps_once = {
	.name = "one shard hands over one message to a worker that goes to sleep",
	.start = start_wanting_one,
	.thread = {shard_hands_over_one, worker_sleeps_until_all_came},
	.finish = all_came,
	.preemptions_max = UINT32_MAX,
};

static const struct sim_scenario worker_sleeps = {
	.name = "one shard hands over two messages, the worker sleeps in between",
	.start = start_wanting_two,
	.thread = {shard_hands_over_two, worker_sleeps_until_all_came},
	.finish = all_came,
	.preemptions_max = 6,
};

static const struct sim_scenario worker_sleeps_two_shards = {
	.name = "two shards ring one bell",
	.start = start_wanting_two,
	.thread = {shard_hands_over_one, second_shard_hands_over_one, worker_sleeps_until_all_came},
	.finish = all_came,
	.preemptions_max = 4,
};

/* ---- A shard that sleeps. ---- */

static void worker_answers_two(void)
{
	for (uint32_t i = 1; i <= 2; i++) {
		push(&to_shard, (struct weir_message){.kind = WEIR_MESSAGE_END, .sequence = i});
		if (bug == BUG_RING_BEFORE_PUBLISH)
			(void)weir_shard_ring(&board_line, &rung_for, SHARD_EVENT);
		(void)weir_ring_publish(&to_shard);
		if (bug != BUG_RING_BEFORE_PUBLISH)
			(void)weir_shard_ring(&board_line, &rung_for, SHARD_EVENT);
	}
}

static void shard_sleeps_until_both_came(void)
{
	struct weir_message message;

	for (;;) {
		bool empty = true;

		while (weir_ring_pop(&at_shard, &message) == 1)
			received++;
		if (received == wanted)
			return;
		if (bug == BUG_CHECK_BEFORE_ANNOUNCE)
			empty = weir_ring_is_empty(&at_shard);
		weir_shard_sleep_begin(&board_line);
		if (bug != BUG_CHECK_BEFORE_ANNOUNCE && bug != BUG_SLEEP_WITHOUT_CHECK)
			empty = weir_ring_is_empty(&at_shard);
		if (empty)
			sim_event_wait(SHARD_EVENT);
		weir_shard_sleep_end(&board_line);
	}
}

static const struct sim_scenario shard_sleeps = {
	.name = "the worker answers twice, the shard sleeps in between",
	.start = start_wanting_two,
	.thread = {worker_answers_two, shard_sleeps_until_both_came},
	.finish = all_came,
	.preemptions_max = 6,
};

/* ---- Recall against accept, the record used again at once; and the worker's death. ---- */

static uint64_t payload; /* what stands in the call's chunk: the sequence it belongs to */
static uint32_t runs[3];
static bool recalled[3];

static bool call_recall(uint64_t sequence)
{
	struct weir_link_call *const call = &pairs[0].call[0];
	uint64_t seen = 0;

	if (bug != BUG_RECALL_NOT_ATOMIC)
		return weir_call_recall(call, sequence);
	if (weir_call_peek(call, &seen) != WEIR_CALL_QUEUED || seen != sequence)
		return false;
	atomic_store_explicit(&call->state, sequence << 8 | WEIR_CALL_RECALLED, memory_order_relaxed);
	return true;
}

static bool call_accept(uint64_t sequence)
{
	struct weir_link_call *const call = &pairs[0].call[0];
	uint64_t seen = 0;

	if (bug != BUG_ACCEPT_NOT_ATOMIC)
		return weir_call_accept(call, sequence);
	if (weir_call_peek(call, &seen) != WEIR_CALL_QUEUED || seen != sequence)
		return false;
	atomic_store_explicit(&call->state, sequence << 8 | WEIR_CALL_RUNNING, memory_order_relaxed);
	return true;
}

static void shard_queues(uint64_t sequence)
{
	payload = sequence;
	weir_call_queue(&pairs[0].call[0], sequence);
	push(&to_worker[0], (struct weir_message){.kind = WEIR_MESSAGE_HEAD, .sequence = sequence});
	(void)weir_ring_publish(&to_worker[0]);
}

static void shard_recalls_and_queues_again(void)
{
	shard_queues(1);
	recalled[1] = call_recall(1);
	if (!recalled[1])
		return;
	payload = 0;
	shard_queues(2);
	recalled[2] = call_recall(2);
	if (recalled[2])
		payload = 0;
}

static void worker_runs_what_it_may(void)
{
	for (int polls = 0; polls < 3; polls++) {
		struct weir_message message;

		if (weir_ring_pop(&at_worker[0], &message) != 1 || !call_accept(message.sequence))
			continue;
		runs[message.sequence]++;
		sim_check(payload == message.sequence, "a call ran on another call's bytes");
		sim_step();
		sim_check(payload == message.sequence, "a running call's bytes were taken away");
	}
}

static void shard_gives_up_a_killed_worker(void)
{
	shard_queues(1);
	sim_kill(1);
	recalled[1] = call_recall(1);
	if (recalled[1])
		payload = 0;
}

static void start_calls(void)
{
	world_start();
	memset(runs, 0, sizeof(runs));
	memset(recalled, 0, sizeof(recalled));
}

static void calls_ran_once_or_were_recalled(void)
{
	for (int i = 1; i <= 2; i++) {
		sim_check(runs[i] <= 1, "a call ran twice");
		sim_check(!(recalled[i] && runs[i] != 0), "a recalled call ran");
	}
}

static const struct sim_scenario recall_against_accept = {
	.name = "recall against accept, with the record used again",
	.start = start_calls,
	.thread = {shard_recalls_and_queues_again, worker_runs_what_it_may},
	.finish = calls_ran_once_or_were_recalled,
	.preemptions_max = UINT32_MAX,
};

static const struct sim_scenario worker_killed = {
	.name = "the worker is killed at any step, the shard recalls",
	.start = start_calls,
	.thread = {shard_gives_up_a_killed_worker, worker_runs_what_it_may},
	.finish = calls_ran_once_or_were_recalled,
	.preemptions_max = UINT32_MAX,
};

/* ---- A chunk comes back while the call is cancelled and the kernel still sends from it. ---- */

enum user { USER_NOBODY, USER_OLD_CALL, USER_KERNEL, USER_NEW_CALL };

static enum user chunk_user[WEIR_PAIR_CHUNKS];
static uint32_t granted;
static bool sending;
static bool sent;

/* Use a chunk for a while: nobody else may begin to meanwhile. */
static void chunk_use(uint32_t ref, enum user user)
{
	sim_check(chunk_user[ref] == USER_NOBODY, "a chunk with two owners");
	chunk_user[ref] = user;
	sim_step();
	sim_check(chunk_user[ref] == user, "a chunk with two owners");
	chunk_user[ref] = USER_NOBODY;
}

static void start_cancel(void)
{
	world_start();
	weir_chunk_arena_open(&arena);
	memset(chunk_user, 0, sizeof(chunk_user));
	granted = weir_chunk_take(&arena, 0, 1);
	weir_call_queue(&pairs[0].call[0], 1);
	(void)weir_call_accept(&pairs[0].call[0], 1);
	sending = false;
	sent = false;
}

static void worker_publishes(struct weir_message message)
{
	push(&to_shard, message);
	(void)weir_ring_publish(&to_shard);
	(void)sim_write(SHARD_EVENT, NULL, 0);
}

static void worker_answers_a_cancelled_call(void)
{
	struct weir_message message;

	chunk_use(granted, USER_OLD_CALL);
	worker_publishes((struct weir_message){.kind = WEIR_MESSAGE_HEAD, .chunk = granted, .sequence = 1});
	if (weir_ring_pop(&at_worker[0], &message) == 1)
		worker_publishes((struct weir_message){.kind = WEIR_MESSAGE_ABORT, .sequence = 1});
	else
		worker_publishes((struct weir_message){.kind = WEIR_MESSAGE_END, .sequence = 1});
}

static void kernel_sends_once(void)
{
	sim_event_wait(KERNEL_EVENT);
	chunk_use(granted, USER_KERNEL);
	sent = true;
	(void)sim_write(SHARD_EVENT, NULL, 0);
}

static void shard_reuses_the_chunk(void)
{
	weir_call_release(&pairs[0].call[0], 1);
	sim_check(weir_chunk_give_all(&arena, 0) == 1, "the call held one chunk");
	sim_check(weir_chunk_take(&arena, 1, 1) == granted, "the freed chunk is the next to be taken");
	chunk_use(granted, USER_NEW_CALL);
}

static void shard_cancels(void)
{
	bool ended = false;

	push(&to_worker[0], (struct weir_message){.kind = WEIR_MESSAGE_CANCEL, .sequence = 1});
	(void)weir_ring_publish(&to_worker[0]);
	if (bug == BUG_FREE_AT_CANCEL)
		shard_reuses_the_chunk();
	while (!ended || !sent) {
		struct weir_message message;

		sim_event_wait(SHARD_EVENT);
		while (weir_ring_pop(&at_shard, &message) == 1) {
			ended |= message.kind != WEIR_MESSAGE_HEAD;
			if (message.kind != WEIR_MESSAGE_HEAD)
				continue;
			sending = true;
			(void)sim_write(KERNEL_EVENT, NULL, 0);
		}
		if (bug == BUG_FREE_WHILE_SENDING && ended)
			break;
	}
	if (bug != BUG_FREE_AT_CANCEL)
		shard_reuses_the_chunk();
}

static void cancel_is_over(void)
{
	sim_check(sending && sent, "the send was forgotten");
}

static const struct sim_scenario return_against_cancel = {
	.name = "a chunk comes back while its call is cancelled and the kernel sends from it",
	.start = start_cancel,
	.thread = {shard_cancels, worker_answers_a_cancelled_call, kernel_sends_once},
	.finish = cancel_is_over,
	.preemptions_max = 4,
};

/* ---- A ring that is full but for one cell. ---- */

static void start_nearly_full(void)
{
	const uint32_t count = WEIR_RING_CELLS - 1;

	world_start();
	for (uint32_t i = 0; i < count; i++)
		pairs[0].to_worker.cell[i].sequence = i + 1;
	memcpy(&pairs[0].to_worker.tail, &count, sizeof(count));
	to_worker[0].tail = count;
	to_worker[0].published = count;
}

static void shard_pushes_when_it_can(void)
{
	uint64_t sequence = WEIR_RING_CELLS;

	for (int attempts = 0; attempts < 5; attempts++) {
		const struct weir_message message = {.sequence = sequence};

		if (!weir_ring_push(&to_worker[0], &message, 0))
			continue;
		sequence++;
		(void)weir_ring_publish(&to_worker[0]);
	}
}

static void worker_pops_and_releases(void)
{
	for (int i = 0; i < 4; i++) {
		struct weir_message message;

		if (bug == BUG_RELEASE_BEFORE_COPY) {
			at_worker[0].head++;
			weir_ring_release(&at_worker[0]);
			sim_step();
			at_worker[0].head--;
		}
		sim_check(weir_ring_pop(&at_worker[0], &message) == 1, "a full ring had nothing");
		sim_check(message.sequence == at_worker[0].head, "a cell was written before it was free");
		weir_ring_release(&at_worker[0]);
	}
}

static void ring_is_consistent(void)
{
	struct weir_message message;

	while (weir_ring_pop(&at_worker[0], &message) == 1)
		sim_check(message.sequence == at_worker[0].head, "a message is lost or doubled");
	sim_check(at_worker[0].head == to_worker[0].tail, "not every message came");
}

static const struct sim_scenario nearly_full = {
	.name = "a nearly full ring is emptied and filled",
	.start = start_nearly_full,
	.thread = {shard_pushes_when_it_can, worker_pops_and_releases},
	.finish = ring_is_consistent,
	.preemptions_max = UINT32_MAX,
};

/* ---- */

static const struct sim_scenario *const scenarios[] = {
	&worker_sleeps_once, &worker_sleeps, &worker_sleeps_two_shards, &shard_sleeps, &recall_against_accept,
	&worker_killed, &return_against_cancel,	   &nearly_full,
};

static void no_interleaving_fails(void **state)
{
	(void)state;
	bug = BUG_NONE;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		assert_null(sim_explore(scenarios[i]).failure);
}

static void every_planted_bug_is_found(void **state)
{
	static const struct {
		enum bug bug;
		const struct sim_scenario *scenario;
	} planted[] = {
		{BUG_CHECK_BEFORE_ANNOUNCE, &worker_sleeps},
		{BUG_CHECK_BEFORE_ANNOUNCE, &shard_sleeps},
		{BUG_SLEEP_WITHOUT_CHECK, &worker_sleeps_two_shards},
		{BUG_SLEEP_WITHOUT_CHECK, &shard_sleeps},
		{BUG_RING_BEFORE_PUBLISH, &worker_sleeps},
		{BUG_RING_BEFORE_PUBLISH, &shard_sleeps},
		{BUG_ANNOUNCE_NOT_SEQ_CST, &worker_sleeps},
		{BUG_ACCEPT_NOT_ATOMIC, &recall_against_accept},
		{BUG_RECALL_NOT_ATOMIC, &recall_against_accept},
		{BUG_FREE_AT_CANCEL, &return_against_cancel},
		{BUG_FREE_WHILE_SENDING, &return_against_cancel},
		{BUG_RELEASE_BEFORE_COPY, &nearly_full},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(planted) / sizeof(planted[0]); i++) {
		bug = planted[i].bug;
		assert_non_null(sim_explore(planted[i].scenario).failure);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_interleaving_fails),
		cmocka_unit_test(every_planted_bug_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
