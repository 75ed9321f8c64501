/* Random operations on one pair, both ends in this process, against a plain model of what must
 * happen: two queues, a state per call, a place per chunk. Each step predicts its result. */
#include "tests/shm/shm_test.h"

#include <errno.h>

#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/ring.h"

enum { LIVES = 200, STEPS_MAX = 16000, QUEUE_MAX = 2048 };

/* One direction: what was pushed, and how far each end has come. */
struct queue {
	struct weir_message message[QUEUE_MAX];
	bool honest[QUEUE_MAX];
	uint64_t pushed;
	uint64_t published;
	uint64_t popped;
	uint64_t released;
};

enum place { PLACE_FREE, PLACE_WORKER, PLACE_KERNEL };

/* What the shard knows of a call; what the worker holds (worker_sequence, 0 = nothing); and which
 * sequence was accepted last. */
struct call {
	enum { CALL_FREE, CALL_QUEUED, CALL_RUNNING, CALL_RETURNED } state;
	uint64_t sequence;
	uint32_t sends; /* kernel operations outstanding */
	uint64_t worker_sequence;
	uint64_t accepted_sequence;
};

static struct queue to_worker;
static struct queue to_shard;
static struct call calls[WEIR_PAIR_CALLS];
static struct {
	enum place place;
	uint16_t call;
	bool worker_has; /* not yet named in a message back */
} chunks[WEIR_PAIR_CHUNKS];

static struct weir_segment segment;
static struct weir_link_pair *pair;
static struct weir_ring_tx shard_tx;
static struct weir_ring_rx shard_rx;
static struct weir_ring_tx worker_tx;
static struct weir_ring_rx worker_rx;
static struct weir_chunk_arena arena;
static struct shm_random dice;
static uint64_t sequence_next;
static bool lied; /* the worker scribbled on an index: its rings follow no model any more */
static bool retired;
static bool stalled; /* the worker hardly looks at its ring, so that it fills */
static struct {
	uint64_t started, finished, recalled, stale, lies, full, rebound, killed;
} seen;

static void link_open(void)
{
	segment = shm_segment_open(1);
	pair = &segment.pair[0];
	weir_ring_tx_open(&shard_tx, &pair->to_worker);
	weir_ring_rx_open(&shard_rx, &pair->to_shard);
	weir_ring_tx_open(&worker_tx, &pair->to_shard);
	weir_ring_rx_open(&worker_rx, &pair->to_worker);
	weir_chunk_arena_open(&arena);
	memset(&to_worker, 0, sizeof(to_worker));
	memset(&to_shard, 0, sizeof(to_shard));
	memset(calls, 0, sizeof(calls));
	memset(chunks, 0, sizeof(chunks));
	lied = false;
	retired = false;
}

/* A push with its prediction. */
static bool push(struct weir_ring_tx *tx, struct queue *queue, struct weir_message message,
		 uint32_t keep_free)
{
	const bool expected = WEIR_RING_CELLS - (queue->pushed - queue->released) > keep_free;
	const bool pushed = weir_ring_push(tx, &message, keep_free);

	if (!lied)
		assert_int_equal(pushed, expected);
	if (pushed) {
		queue->honest[queue->pushed % QUEUE_MAX] = true;
		queue->message[queue->pushed++ % QUEUE_MAX] = message;
	}
	seen.full += !pushed;
	return pushed;
}

/* A pop with its prediction: true if *out_message was written. */
static bool pop(struct weir_ring_rx *rx, struct queue *queue, struct weir_message *out_message)
{
	const int result = weir_ring_pop(rx, out_message);

	if (lied) {
		retired |= result == -EBADMSG;
		return result == 1;
	}
	assert_int_equal(result, queue->popped < queue->published);
	assert_int_equal(weir_ring_is_empty(rx), queue->popped + (uint64_t)result == queue->published);
	if (result == 1)
		assert_memory_equal(out_message, &queue->message[queue->popped++ % QUEUE_MAX],
				    sizeof(*out_message));
	return result == 1;
}

static void publish(struct weir_ring_tx *tx, struct queue *queue)
{
	assert_int_equal(weir_ring_publish(tx), queue->pushed != queue->published);
	queue->published = queue->pushed;
}

static void release(struct weir_ring_rx *rx, struct queue *queue)
{
	weir_ring_release(rx);
	queue->released = queue->popped;
}

static uint32_t chunks_of(uint16_t call, bool large_only)
{
	uint32_t count = 0;

	for (uint32_t ref = large_only ? WEIR_PAIR_CHUNKS_SMALL : 0; ref < WEIR_PAIR_CHUNKS; ref++)
		count += chunks[ref].place != PLACE_FREE && chunks[ref].call == call;
	return count;
}

static bool chunk_free_exists(uint32_t first, uint32_t end)
{
	for (uint32_t ref = first; ref < end; ref++)
		if (chunks[ref].place == PLACE_FREE)
			return true;
	return false;
}

/* Take a chunk for `call`; it is the worker's as soon as it is named in a message. */
static uint32_t take(uint16_t call)
{
	const size_t bytes = 1 + shm_random_below(&dice, 6000);
	const bool small = bytes <= WEIR_CHUNK_SMALL_BYTES && chunk_free_exists(0, WEIR_PAIR_CHUNKS_SMALL);
	const bool large = chunk_free_exists(WEIR_PAIR_CHUNKS_SMALL, WEIR_PAIR_CHUNKS) &&
			   chunks_of(call, true) < WEIR_CALL_CHUNKS_MAX;
	const uint32_t ref = weir_chunk_take(&arena, call, bytes);

	if (!small && !large) {
		assert_int_equal(ref, WEIR_CHUNK_NONE);
		return ref;
	}
	assert_true(ref < WEIR_PAIR_CHUNKS);
	assert_int_equal(ref < WEIR_PAIR_CHUNKS_SMALL, small);
	assert_int_equal(chunks[ref].place, PLACE_FREE); /* one owner at a time */
	chunks[ref].place = PLACE_WORKER;
	chunks[ref].call = call;
	chunks[ref].worker_has = false;
	return ref;
}

static void give(uint16_t call, uint32_t ref)
{
	assert_true(weir_chunk_give(&arena, call, ref));
	assert_int_not_equal(chunks[ref].place, PLACE_KERNEL);
	chunks[ref].place = PLACE_FREE;
	chunks[ref].worker_has = false;
}

/* The record and all of its chunks are the shard's again. */
static void call_free(uint16_t index)
{
	const uint32_t expected = chunks_of(index, false);

	assert_int_equal(calls[index].sends, 0);
	assert_int_equal(weir_chunk_give_all(&arena, index), expected);
	for (uint32_t ref = 0; ref < WEIR_PAIR_CHUNKS; ref++)
		if (chunks[ref].call == index) {
			chunks[ref].place = PLACE_FREE;
			chunks[ref].worker_has = false;
		}
	weir_call_release(&pair->call[index], calls[index].sequence);
	calls[index].state = CALL_FREE;
}

static uint16_t some_call(void)
{
	/* Few records, so that they are reused while old messages still stand in the ring. */
	return (uint16_t)(shm_random_below(&dice, 4) == 0 ? shm_random_below(&dice, WEIR_PAIR_CALLS)
							  : shm_random_below(&dice, 6));
}

static void shard_starts_a_call(void)
{
	const uint16_t index = some_call();
	struct call *const call = &calls[index];
	struct weir_message head = {.kind = WEIR_MESSAGE_HEAD, .call = index, .bytes = 1};

	if (call->state != CALL_FREE)
		return;
	head.chunk = take(index);
	head.grant = take(index);
	head.sequence = call->sequence = ++sequence_next;
	weir_call_queue(&pair->call[index], call->sequence);
	call->state = CALL_QUEUED;
	if (head.chunk == WEIR_CHUNK_NONE || head.grant == WEIR_CHUNK_NONE ||
	    !push(&shard_tx, &to_worker, head, WEIR_RING_CELLS_RESERVED)) {
		assert_true(weir_call_recall(&pair->call[index], call->sequence)); /* nobody saw it */
		call_free(index);
		return;
	}
	seen.started++;
}

static void shard_recalls(void)
{
	const uint16_t index = some_call();
	struct call *const call = &calls[index];
	const bool expected = call->state == CALL_QUEUED && call->accepted_sequence != call->sequence;
	bool recalled = false;

	if (call->state == CALL_FREE || call->state == CALL_RETURNED)
		return;
	recalled = weir_call_recall(&pair->call[index], call->sequence);
	assert_int_equal(recalled, expected);
	if (!recalled)
		return;
	call_free(index);
	seen.recalled++;
}

/* More of the body, another chunk to fill, or a cancel, for a call that may run. */
static void shard_sends_more(void)
{
	static const uint8_t kinds[] = {WEIR_MESSAGE_DATA, WEIR_MESSAGE_CREDIT, WEIR_MESSAGE_CANCEL};
	const uint16_t index = some_call();
	struct weir_message more = {.kind = kinds[shm_random_below(&dice, 3)], .call = index,
				    .chunk = WEIR_CHUNK_NONE, .grant = WEIR_CHUNK_NONE};
	uint32_t ref = WEIR_CHUNK_NONE;

	if (calls[index].state != CALL_QUEUED && calls[index].state != CALL_RUNNING)
		return;
	more.sequence = calls[index].sequence;
	if (more.kind != WEIR_MESSAGE_CANCEL) {
		ref = take(index);
		if (ref == WEIR_CHUNK_NONE)
			return;
	}
	*(more.kind == WEIR_MESSAGE_DATA ? &more.chunk : &more.grant) = ref;
	if (!push(&shard_tx, &to_worker, more, 0) && ref != WEIR_CHUNK_NONE)
		give(index, ref);
}

/* What a shard checks of a message before it acts on it. */
static bool message_is_sound(const struct weir_message *message)
{
	const struct call *const call = message->call < WEIR_PAIR_CALLS ? &calls[message->call] : NULL;

	if (call == NULL || (call->state != CALL_QUEUED && call->state != CALL_RUNNING) ||
	    message->sequence != call->sequence)
		return false;
	if (message->kind == WEIR_MESSAGE_END || message->kind == WEIR_MESSAGE_ABORT)
		return true;
	if (message->kind == WEIR_MESSAGE_HEAD || message->kind == WEIR_MESSAGE_DATA ||
	    message->kind == WEIR_MESSAGE_CREDIT)
		return weir_chunk_is_held(&arena, message->call, message->chunk) &&
		       chunks[message->chunk].place == PLACE_WORKER;
	return false;
}

static void call_ends(uint16_t index)
{
	calls[index].state = CALL_RETURNED;
	seen.finished++;
	if (calls[index].sends == 0)
		call_free(index);
}

static void shard_pops(void)
{
	struct weir_message message;
	const bool honest = to_shard.honest[to_shard.popped % QUEUE_MAX];

	if (!pop(&shard_rx, &to_shard, &message))
		return;
	if (!message_is_sound(&message)) {
		assert_true(lied || !honest);
		retired = true;
		return;
	}
	calls[message.call].state = CALL_RUNNING;
	if (message.kind == WEIR_MESSAGE_CREDIT) {
		give(message.call, message.chunk);
	} else if (message.kind == WEIR_MESSAGE_HEAD || message.kind == WEIR_MESSAGE_DATA) {
		chunks[message.chunk].place = PLACE_KERNEL;
		calls[message.call].sends++;
	}
	if (message.kind == WEIR_MESSAGE_END || message.kind == WEIR_MESSAGE_ABORT ||
	    (message.flags & WEIR_MESSAGE_FLAG_END) != 0)
		call_ends(message.call);
}

/* One kernel operation completes; its chunk is given back or granted again. */
static void kernel_completes(uint32_t start)
{
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS; i++) {
		const uint32_t ref = (start + i) % WEIR_PAIR_CHUNKS;
		const uint16_t index = chunks[ref].call;
		struct weir_message credit = {.kind = WEIR_MESSAGE_CREDIT, .call = index, .grant = ref,
					      .chunk = WEIR_CHUNK_NONE, .sequence = calls[index].sequence};

		if (chunks[ref].place != PLACE_KERNEL)
			continue;
		chunks[ref].place = PLACE_WORKER;
		calls[index].sends--;
		if (calls[index].state == CALL_RUNNING) {
			if (retired || !push(&shard_tx, &to_worker, credit, 0))
				give(index, ref);
		} else if (calls[index].sends == 0) {
			call_free(index);
		}
		return;
	}
}

static void worker_has(const struct weir_message *message)
{
	const uint32_t refs[] = {message->chunk, message->grant};

	for (int i = 0; i < 2; i++)
		if (refs[i] < WEIR_PAIR_CHUNKS && !(i == 1 && message->kind == WEIR_MESSAGE_DATA))
			chunks[refs[i]].worker_has = true;
}

static void worker_pops(void)
{
	struct weir_message message;
	struct call *call = NULL;
	bool expected = false;

	if (!pop(&worker_rx, &to_worker, &message) || message.call >= WEIR_PAIR_CALLS)
		return;
	call = &calls[message.call];
	if (message.kind != WEIR_MESSAGE_HEAD) {
		if (call->worker_sequence == message.sequence && call->sequence == message.sequence)
			worker_has(&message);
		return;
	}
	expected = call->state == CALL_QUEUED && call->sequence == message.sequence &&
		   call->accepted_sequence != message.sequence;
	if (lied) {
		(void)weir_call_accept(&pair->call[message.call], message.sequence);
		return;
	}
	assert_int_equal(weir_call_accept(&pair->call[message.call], message.sequence), expected);
	assert_false(weir_call_accept(&pair->call[message.call], message.sequence)); /* never twice */
	seen.stale += !expected;
	if (expected) {
		call->worker_sequence = call->accepted_sequence = message.sequence;
		worker_has(&message);
	}
}

static uint32_t worker_chunk_of(uint16_t index)
{
	for (uint32_t ref = 0; ref < WEIR_PAIR_CHUNKS; ref++)
		if (chunks[ref].place == PLACE_WORKER && chunks[ref].call == index && chunks[ref].worker_has)
			return ref;
	return WEIR_CHUNK_NONE;
}

static void worker_answers(void)
{
	static const uint8_t kinds[] = {WEIR_MESSAGE_CREDIT, WEIR_MESSAGE_HEAD, WEIR_MESSAGE_DATA,
					WEIR_MESSAGE_END, WEIR_MESSAGE_ABORT};
	const uint16_t index = some_call();
	struct call *const call = &calls[index];
	struct weir_message answer = {.kind = kinds[shm_random_below(&dice, 5)], .call = index,
				      .chunk = WEIR_CHUNK_NONE, .sequence = call->worker_sequence};
	bool last = answer.kind == WEIR_MESSAGE_END || answer.kind == WEIR_MESSAGE_ABORT;

	if (call->worker_sequence == 0)
		return;
	if (!last) {
		answer.chunk = worker_chunk_of(index);
		if (answer.chunk == WEIR_CHUNK_NONE)
			return;
		last = answer.kind != WEIR_MESSAGE_CREDIT && shm_random_below(&dice, 2) == 0;
		answer.flags = last ? WEIR_MESSAGE_FLAG_END : 0;
	}
	if (!push(&worker_tx, &to_shard, answer, 0))
		return;
	if (answer.chunk != WEIR_CHUNK_NONE)
		chunks[answer.chunk].worker_has = false;
	if (last)
		call->worker_sequence = 0;
}

static void worker_lies(void)
{
	struct weir_message garbage;
	uint8_t *const bytes = (uint8_t *)&garbage;

	seen.lies++;
	switch (shm_random_below(&dice, 4)) {
	case 0: /* a message that nobody should believe */
		for (size_t i = 0; i < sizeof(garbage); i++)
			bytes[i] = (uint8_t)shm_random_below(&dice, 256);
		garbage.sequence &= UINT64_MAX >> 1;
		if (push(&worker_tx, &to_shard, garbage, 0))
			to_shard.honest[(to_shard.pushed - 1) % QUEUE_MAX] = false;
		return;
	case 1: /* somebody else's chunk */
		garbage = (struct weir_message){.kind = WEIR_MESSAGE_CREDIT, .call = some_call(),
						.chunk = shm_random_below(&dice, WEIR_PAIR_CHUNKS)};
		garbage.sequence = calls[garbage.call].sequence;
		lied = true; /* by luck it may be its own: then its later message is the lie */
		(void)push(&worker_tx, &to_shard, garbage, 0);
		return;
	case 2:
		lied = true;
		atomic_store(&pair->to_shard.tail, (uint32_t)shm_random_next(&dice));
		return;
	default:
		lied = true;
		atomic_store(&pair->to_worker.head, (uint32_t)shm_random_next(&dice));
		return;
	}
}

static void step(void)
{
	switch (shm_random_below(&dice, 13)) {
	case 0:
	case 1:
		shard_starts_a_call();
		return;
	case 2:
		if (!lied)
			shard_recalls();
		return;
	case 3:
		shard_sends_more();
		return;
	case 4:
	case 5:
		shard_pops();
		return;
	case 6:
		kernel_completes(shm_random_below(&dice, WEIR_PAIR_CHUNKS));
		return;
	case 7:
	case 8:
		if (!stalled || shm_random_below(&dice, 64) == 0)
			worker_pops();
		return;
	case 9:
		if (!lied)
			worker_answers();
		return;
	case 10:
		release(&shard_rx, &to_shard);
		release(&worker_rx, &to_worker);
		return;
	default:
		publish(&shard_tx, &to_worker);
		publish(&worker_tx, &to_shard);
		return;
	}
}

/* The arena says of every chunk and call what the model says. */
static void arena_compare(void)
{
	uint32_t used = 0;

	for (uint32_t ref = 0; ref < WEIR_PAIR_CHUNKS; ref++) {
		const bool taken = chunks[ref].place != PLACE_FREE;

		used += taken;
		assert_int_equal(arena.owner[ref], taken ? chunks[ref].call : WEIR_CHUNK_NOBODY);
	}
	assert_int_equal(used, (uint32_t)arena.used_small + arena.used_large);
}

/* The worker's pidfd fired or the link was retired: recall what it had not started (to be bound
 * elsewhere), give up the rest, wait for the kernel, and everything is free. */
static void shard_gives_up_the_link(void)
{
	retired = true;
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++) {
		const bool started = calls[i].accepted_sequence == calls[i].sequence;
		bool recalled = false;

		if (calls[i].state != CALL_QUEUED && calls[i].state != CALL_RUNNING)
			continue;
		recalled = weir_call_recall(&pair->call[i], calls[i].sequence);
		if (!lied)
			assert_int_equal(recalled, !started);
		seen.rebound += recalled;
		calls[i].state = CALL_RETURNED;
		seen.killed++;
		if (calls[i].sends == 0)
			call_free(i);
	}
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS; i++)
		kernel_completes(0);
	arena_compare();
	assert_int_equal(arena.used_small + arena.used_large, 0);
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++)
		assert_int_equal(calls[i].state, CALL_FREE);
}

static void every_step_does_what_the_model_says(void **state)
{
	(void)state;
	dice.state = shm_seed();
	for (int life = 0; life < LIVES; life++) {
		const uint32_t steps = shm_random_below(&dice, STEPS_MAX);
		const bool liar = shm_random_below(&dice, 3) == 0;

		link_open();
		stalled = shm_random_below(&dice, 4) == 0;
		for (uint32_t i = 0; i < steps && !retired; i++) {
			step();
			if (liar && shm_random_below(&dice, 600) == 0)
				worker_lies();
			if (i % 64 == 0)
				arena_compare();
		}
		/* Either end dies here, in the middle of whatever was going on. After a gateway's death
		 * nobody cleans up: the worker unmaps. After a worker's the shard frees everything. */
		if (shm_random_below(&dice, 4) != 0)
			shard_gives_up_the_link();
		weir_segment_detach(&segment);
	}
	(void)printf("started %llu finished %llu recalled %llu stale %llu full %llu lies %llu rebound %llu "
		     "given up %llu\n",
		     (unsigned long long)seen.started, (unsigned long long)seen.finished,
		     (unsigned long long)seen.recalled, (unsigned long long)seen.stale,
		     (unsigned long long)seen.full, (unsigned long long)seen.lies,
		     (unsigned long long)seen.rebound, (unsigned long long)seen.killed);
	/* The walk went everywhere. */
	assert_true(seen.started > 1000 && seen.finished > 1000 && seen.recalled > 100 && seen.stale > 100);
	assert_true(seen.lies > 10 && seen.rebound > 10 && seen.full > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_does_what_the_model_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
