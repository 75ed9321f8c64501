/* What two processes share: rings, chunks, call records, bells, heads. Both ends on one thread, so
 * these are instructions and warm cache lines; what the way between two CPUs adds, handoff tells. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/abi/head.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/timer.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/head_check.h"
#include "dataplane/shm/ring.h"

#include "bench/histogram.h"
#include "bench/micro.h"

enum { ROUNDS = 64 };

static struct weir_link_ring ring;
static struct weir_ring_tx tx;
static struct weir_ring_rx rx;
static struct weir_chunk_arena arena;
static struct weir_link_call record;
static uint64_t sequence;
static _Atomic uint32_t bell;
static struct weir_timer_wheel wheel;
static struct weir_timer timer;
static struct weir_histogram histogram;
static _Alignas(8) uint8_t response[64];

static void ring_open(uint32_t batch)
{
	(void)batch;
	memset(&ring, 0, sizeof(ring));
	weir_ring_tx_open(&tx, &ring);
	weir_ring_rx_open(&rx, &ring);
}

static void ring_pass(uint32_t batch)
{
	struct weir_message message = {.kind = WEIR_MESSAGE_HEAD, .sequence = 1};

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < batch; i++) {
			message.call = (uint16_t)i;
			if (!weir_ring_push(&tx, &message, 0))
				weir_micro_fail("a ring is full", 0);
		}
		(void)weir_ring_publish(&tx);
		for (uint32_t i = 0; i < batch; i++) {
			if (weir_ring_pop(&rx, &message) != 1)
				weir_micro_fail("a ring is empty", 0);
			weir_micro_keep(message.call);
		}
		weir_ring_release(&rx);
	}
}

static void chunk_open(uint32_t bytes)
{
	(void)bytes;
	weir_chunk_arena_open(&arena);
}

static void chunk_pass(uint32_t bytes)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint16_t call = (uint16_t)i;

		if (!weir_chunk_give(&arena, call, weir_chunk_take(&arena, call, bytes)))
			weir_micro_fail("no chunk", 0);
	}
}

static void call_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sequence++;
		weir_call_queue(&record, sequence);
		if (!weir_call_accept(&record, sequence))
			weir_micro_fail("a call was not accepted", 0);
		weir_call_release(&record, sequence);
	}
}

static void bell_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		weir_micro_keep(weir_bell_ring(&bell));
}

static void response_open(uint32_t unused)
{
	struct weir_response_head *head = (void *)response;
	struct weir_head_field *field = (void *)(response + sizeof(*head));

	(void)unused;
	*head = (struct weir_response_head){.bytes = sizeof(response),
					    .status = 200,
					    .field_count = 1,
					    .content_length = 26};
	*field = (struct weir_head_field){.name = {.offset = 24, .bytes = 12},
					  .value = {.offset = 36, .bytes = 16}};
	memcpy(response + 24, "content-typeapplication/json", 28);
}

static void response_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		if (weir_head_check_response(response, sizeof(response)) != 0)
			weir_micro_fail("a head is not valid", 0);
}

static void timer_open(uint32_t unused)
{
	(void)unused;
	weir_timer_wheel_open(&wheel, weir_clock_now_ns());
}

static void timer_pass(uint32_t unused)
{
	const uint64_t now_ns = weir_clock_now_ns();

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		weir_timer_arm(&wheel, &timer, now_ns + (i + 1) * WEIR_NS_PER_MS);
}

static void clock_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		weir_micro_keep(weir_clock_now_ns());
}

static void histogram_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		weir_histogram_add(&histogram, 1000 + i * 977, 1);
	weir_micro_keep(histogram.total);
}

const struct weir_micro weir_micro_shm[] = {
	{"ring-1", "ring: push, publish, pop, release, one message at a time", ring_open,
	 ring_pass, 1, ROUNDS},
	{"ring-16", "the same, 16 messages a batch", ring_open, ring_pass, 16, 16 * ROUNDS},
	{"ring-64", "the same, 64 messages a batch", ring_open, ring_pass, 64, 64 * ROUNDS},
	{"chunk-small", "chunk of 4 KiB: take and give", chunk_open, chunk_pass,
	 WEIR_CHUNK_SMALL_BYTES, ROUNDS},
	{"chunk-large", "chunk of 64 KiB: take and give", chunk_open, chunk_pass,
	 WEIR_CHUNK_LARGE_BYTES, ROUNDS},
	{"call", "call record: queue, accept, release", NULL, call_pass, 0, ROUNDS},
	{"bell-awake", "bell of a worker that is awake", NULL, bell_pass, 0, ROUNDS},
	{"head-check-response", "check of an answer's head, one field", response_open,
	 response_pass, 0, ROUNDS},
	{"timer-arm", "timer that is armed for earlier", timer_open, timer_pass, 0, ROUNDS},
	{"clock", "reading the clock", NULL, clock_pass, 0, ROUNDS},
	{"histogram-add", "histogram of the load generator: add", NULL, histogram_pass, 0,
	 ROUNDS},
	{0},
};
