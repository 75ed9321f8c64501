/* The input is a program: each byte an operation of the shard, of the kernel, or of a worker that
 * writes whatever it likes into the segment (indices, messages, state words, heads), with operands
 * from the bytes that follow. The shard end below does what a shard does, with the same checks; it
 * must neither crash nor hand a chunk to two owners, and after each worker's end all is free. */
#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/head_check.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_BYTES_MAX = 4096, POPS_MAX = 16 };

struct input {
	const uint8_t *data;
	size_t bytes;
};

/* Who may touch a chunk's bytes, as the shard sees it. */
enum holder { HOLDER_NOBODY, HOLDER_WORKER, HOLDER_KERNEL };

static struct weir_link_pair pair;
static struct weir_ring_tx tx;
static struct weir_ring_rx rx;
static struct weir_chunk_arena arena;
static enum holder holder[WEIR_PAIR_CHUNKS];
static uint16_t holder_call[WEIR_PAIR_CHUNKS];
static uint64_t sequence[WEIR_PAIR_CALLS]; /* 0: free */
static uint32_t held[WEIR_PAIR_CALLS];
static uint32_t sends[WEIR_PAIR_CALLS];
static bool finished[WEIR_PAIR_CALLS]; /* waits only for the kernel */
static uint64_t sequence_last;
uint8_t fuzz_segment_sink; /* not static, so that the reads are not optimised away */

static uint8_t take_byte(struct input *input)
{
	if (input->bytes == 0)
		return 0;
	input->bytes--;
	return *input->data++;
}

static uint32_t take_word(struct input *input)
{
	uint32_t word = 0;

	for (int i = 0; i < 4; i++)
		word = word << 8 | take_byte(input);
	return word;
}

static void link_open(void)
{
	memset(&pair.to_worker, 0, offsetof(struct weir_link_ring, cell));
	memset(&pair.to_shard, 0, offsetof(struct weir_link_ring, cell));
	memset(pair.call, 0, sizeof(pair.call));
	weir_ring_tx_open(&tx, &pair.to_worker);
	weir_ring_rx_open(&rx, &pair.to_shard);
	weir_chunk_arena_open(&arena);
	memset(holder, 0, sizeof(holder));
	memset(sequence, 0, sizeof(sequence));
	memset(held, 0, sizeof(held));
	memset(sends, 0, sizeof(sends));
	memset(finished, 0, sizeof(finished));
}

/* ---- Shard ---- */

static uint32_t chunk_take(uint16_t call, size_t bytes)
{
	const uint32_t ref = weir_chunk_take(&arena, call, bytes);

	if (ref == WEIR_CHUNK_NONE)
		return ref;
	FUZZ_CHECK(ref < WEIR_PAIR_CHUNKS);
	FUZZ_CHECK(holder[ref] == HOLDER_NOBODY); /* one owner */
	holder[ref] = HOLDER_WORKER;
	holder_call[ref] = call;
	held[call]++;
	return ref;
}

static void chunk_give(uint16_t call, uint32_t ref)
{
	FUZZ_CHECK(holder[ref] == HOLDER_WORKER);
	FUZZ_CHECK(weir_chunk_give(&arena, call, ref));
	holder[ref] = HOLDER_NOBODY;
	held[call]--;
}

static void call_free(uint16_t call)
{
	const uint32_t count = held[call];

	for (uint32_t ref = 0; ref < WEIR_PAIR_CHUNKS && held[call] > 0; ref++) {
		if (holder[ref] == HOLDER_NOBODY || holder_call[ref] != call)
			continue;
		FUZZ_CHECK(holder[ref] != HOLDER_KERNEL);
		holder[ref] = HOLDER_NOBODY;
		held[call]--;
	}
	FUZZ_CHECK(weir_chunk_give_all(&arena, call) == count);
	weir_call_release(&pair.call[call], sequence[call]);
	sequence[call] = 0;
	finished[call] = false;
}

static void call_finish(uint16_t call)
{
	finished[call] = true;
	if (sends[call] == 0)
		call_free(call);
}

static void shard_start(struct input *input)
{
	const uint16_t call = take_byte(input);
	struct weir_message head = {.kind = WEIR_MESSAGE_HEAD, .call = call};

	if (sequence[call] != 0)
		return;
	head.sequence = sequence[call] = ++sequence_last;
	head.chunk = chunk_take(call, take_byte(input) * 300u);
	head.grant = chunk_take(call, take_byte(input) * 300u);
	weir_call_queue(&pair.call[call], head.sequence);
	if (head.chunk == WEIR_CHUNK_NONE || head.grant == WEIR_CHUNK_NONE ||
	    !weir_ring_push(&tx, &head, WEIR_RING_CELLS_RESERVED)) {
		(void)weir_call_recall(&pair.call[call], head.sequence); /* the liar may have the word */
		call_free(call);
		return;
	}
	(void)weir_ring_publish(&tx);
}

static void shard_credit(struct input *input)
{
	const uint16_t call = take_byte(input);
	struct weir_message credit = {.kind = WEIR_MESSAGE_CREDIT, .call = call, .chunk = WEIR_CHUNK_NONE};

	if (sequence[call] == 0 || finished[call])
		return;
	credit.sequence = sequence[call];
	credit.grant = chunk_take(call, take_byte(input) * 300u);
	if (credit.grant == WEIR_CHUNK_NONE)
		return;
	if (!weir_ring_push(&tx, &credit, 0))
		chunk_give(call, credit.grant);
	(void)weir_ring_publish(&tx);
}

/* Only the state word decides; a worker that writes it hurts the calls that it was given. */
static void shard_recall(struct input *input)
{
	const uint16_t call = take_byte(input);

	if (sequence[call] == 0 || finished[call] || !weir_call_recall(&pair.call[call], sequence[call]))
		return;
	call_finish(call);
}

/* Read a response head as an encoder would: copy, check the copy, follow the copy's slices. */
static bool head_is_sound(const uint8_t *chunk, uint32_t head_bytes)
{
	uint8_t *copy = NULL;
	struct weir_response_head head;

	if (head_bytes > WEIR_HEAD_RESPONSE_BYTES_MAX)
		return false;
	copy = (uint8_t *)fuzz_copy(chunk, head_bytes);
	if (weir_head_check_response(copy, head_bytes) != 0) {
		free(copy);
		return false;
	}
	memcpy(&head, copy, sizeof(head));
	FUZZ_CHECK(head.status >= 200 && head.status <= 599);
	for (uint16_t i = 0; i < head.field_count; i++) {
		struct weir_head_field field;

		memcpy(&field, copy + sizeof(head) + i * sizeof(field), sizeof(field));
		for (uint16_t j = 0; j < field.name.bytes; j++)
			fuzz_segment_sink = (uint8_t)(fuzz_segment_sink ^ copy[field.name.offset + j]);
		for (uint16_t j = 0; j < field.value.bytes; j++)
			fuzz_segment_sink = (uint8_t)(fuzz_segment_sink ^ copy[field.value.offset + j]);
	}
	free(copy);
	return true;
}

/* Act on a message: false if it is a lie. */
static bool message_apply(const struct weir_message *message)
{
	const uint16_t call = message->call;
	size_t chunk_bytes = 0;
	const uint8_t *const chunk = weir_segment_chunk(&pair, message->chunk, &chunk_bytes);
	const bool last = (message->flags & WEIR_MESSAGE_FLAG_END) != 0;

	if (call >= WEIR_PAIR_CALLS || sequence[call] == 0 || finished[call] ||
	    message->sequence != sequence[call])
		return false;
	if (message->kind == WEIR_MESSAGE_END || message->kind == WEIR_MESSAGE_ABORT) {
		call_finish(call);
		return true;
	}
	if (!weir_chunk_is_held(&arena, call, message->chunk) || holder[message->chunk] != HOLDER_WORKER ||
	    message->bytes > chunk_bytes)
		return false;
	FUZZ_CHECK(chunk != NULL && holder_call[message->chunk] == call);
	if (message->kind == WEIR_MESSAGE_CREDIT) {
		chunk_give(call, message->chunk);
		return true;
	}
	if (message->kind != WEIR_MESSAGE_HEAD && message->kind != WEIR_MESSAGE_DATA)
		return false;
	if (message->kind == WEIR_MESSAGE_HEAD &&
	    (message->head_bytes > message->bytes || !head_is_sound(chunk, message->head_bytes)))
		return false;
	holder[message->chunk] = HOLDER_KERNEL; /* a send of the body starts */
	sends[call]++;
	if (last)
		call_finish(call);
	return true;
}

/* The kernel's operation on `ref` completes, if there is one. */
static bool kernel_completes(uint32_t ref)
{
	const uint16_t call = holder_call[ref];

	if (holder[ref] != HOLDER_KERNEL)
		return false;
	FUZZ_CHECK(weir_chunk_is_held(&arena, call, ref)); /* nobody else had it meanwhile */
	holder[ref] = HOLDER_WORKER;
	sends[call]--;
	if (!finished[call])
		chunk_give(call, ref);
	else if (sends[call] == 0)
		call_free(call);
	return true;
}

static void kernel_completes_next(uint32_t start)
{
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS; i++)
		if (kernel_completes((start + i) % WEIR_PAIR_CHUNKS))
			return;
}

/* The worker died or was caught: everything is given up, the kernel finishes, nothing is left. */
static void link_retire(void)
{
	for (uint16_t call = 0; call < WEIR_PAIR_CALLS; call++)
		if (sequence[call] != 0 && !finished[call]) {
			(void)weir_call_recall(&pair.call[call], sequence[call]);
			call_finish(call);
		}
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS; i++)
		(void)kernel_completes(i);
	FUZZ_CHECK(arena.used_small == 0 && arena.used_large == 0);
	/* Every chunk can be had again, each once. */
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS_SMALL; i++)
		FUZZ_CHECK(chunk_take((uint16_t)(i % WEIR_PAIR_CALLS), 1) != WEIR_CHUNK_NONE);
	for (uint32_t i = 0; i < WEIR_PAIR_CHUNKS_LARGE; i++)
		FUZZ_CHECK(chunk_take((uint16_t)(i % WEIR_PAIR_CALLS), WEIR_CHUNK_LARGE_BYTES) !=
			   WEIR_CHUNK_NONE);
	link_open();
}

static void shard_pop(void)
{
	struct weir_message message;
	int result = 0;

	for (int i = 0; i < POPS_MAX && (result = weir_ring_pop(&rx, &message)) == 1; i++)
		if (!message_apply(&message)) {
			link_retire();
			return;
		}
	if (result < 0)
		link_retire();
	else
		weir_ring_release(&rx);
}

/* ---- The worker, whatever it likes ---- */

static void worker_write_index(struct input *input)
{
	_Atomic uint32_t *const indices[] = {&pair.to_shard.tail, &pair.to_worker.head, &pair.to_shard.head,
					     &pair.to_worker.tail};
	const uint8_t which = take_byte(input);
	const uint32_t value = take_word(input);
	const uint32_t before = atomic_load_explicit(indices[which % 4], memory_order_relaxed);

	/* Near the true value, or anywhere. */
	atomic_store_explicit(indices[which % 4], which & 4 ? value : before + (value & 0xff) - 64,
			      memory_order_relaxed);
}

/* A message that is right but for what the input changes; pushed as an honest worker would. */
static void worker_write_message(struct input *input)
{
	const uint8_t changes = take_byte(input);
	const uint16_t call = take_byte(input);
	const uint32_t tail = atomic_load_explicit(&pair.to_shard.tail, memory_order_relaxed);
	struct weir_message message = {.kind = take_byte(input) % 9, .flags = changes >> 7, .call = call,
				       .sequence = sequence[call], .chunk = arena.call_first[call]};

	message.bytes = take_byte(input) * 20u;
	message.head_bytes = message.bytes;
	if (changes & 1)
		message.chunk = take_word(input);
	if (changes & 2)
		message.chunk = take_byte(input) * 3u;
	if (changes & 4)
		message.sequence += take_byte(input) - 4u;
	if (changes & 8)
		message.bytes = take_word(input);
	if (changes & 16)
		message.head_bytes = take_word(input);
	if (changes & 32)
		message.call = (uint16_t)take_word(input);
	pair.to_shard.cell[tail % WEIR_RING_CELLS] = message;
	atomic_store_explicit(&pair.to_shard.tail, tail + 1, memory_order_relaxed);
}

static void worker_write_word(struct input *input)
{
	const uint16_t call = take_byte(input);
	const uint8_t how = take_byte(input);

	if (how % 2 == 0)
		(void)weir_call_accept(&pair.call[call], sequence[call]);
	else
		atomic_store_explicit(&pair.call[call].state, (uint64_t)take_word(input) << (how % 32),
				      memory_order_relaxed);
}

/* A response head in the first chunk of a call: sound, then scribbled on. */
static void worker_write_head(struct input *input)
{
	const uint16_t call = take_byte(input);
	struct weir_response_head head = {.bytes = 64, .status = 200, .field_count = 2};
	const struct weir_head_field field = {.name = {32, 4}, .value = {40, 8}};
	size_t bytes = 0;
	uint8_t *const chunk = weir_segment_chunk(&pair, arena.call_first[call], &bytes);
	const uint8_t scribbles = take_byte(input) % 8;

	if (chunk == NULL)
		return;
	memcpy(chunk, &head, sizeof(head));
	memcpy(chunk + sizeof(head), &field, sizeof(field));
	memcpy(chunk + sizeof(head) + sizeof(field), &field, sizeof(field));
	for (uint8_t i = 0; i < scribbles; i++) {
		const uint8_t place = take_byte(input);

		chunk[place] = take_byte(input);
	}
}

static void step(struct input *input)
{
	switch (take_byte(input) % 12) {
	case 0:
	case 1:
		shard_start(input);
		return;
	case 2:
		shard_credit(input);
		return;
	case 3:
		shard_recall(input);
		return;
	case 4:
	case 5:
		shard_pop();
		return;
	case 6:
		kernel_completes_next(take_byte(input) * 3u);
		return;
	case 7:
		worker_write_index(input);
		return;
	case 8:
	case 9:
		worker_write_message(input);
		return;
	case 10:
		worker_write_word(input);
		return;
	default:
		worker_write_head(input);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {.data = data, .bytes = bytes < INPUT_BYTES_MAX ? bytes : INPUT_BYTES_MAX};

	sequence_last = 0;
	link_open();
	while (input.bytes > 0)
		step(&input);
	shard_pop();
	link_retire();
	return 0;
}
