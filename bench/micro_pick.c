/* Picking a worker: the gateway's own, over workers that hold calls, and choosing among prices. */
#include <stdlib.h>

#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/shard.h"

#include "bench/micro.h"

enum {
	ROUNDS = 4096,
	PRICES_MAX = 1024,
	IN_FLIGHT = 2, /* calls that each worker has, on average */
};

static struct weir_shard *shard;
static struct weir_shard_pool *pool;
static struct weir_shard_link *link_of[WEIR_GATEWAY_POOL_LINKS_MAX];
static struct weir_shard_link *held[IN_FLIGHT * WEIR_GATEWAY_POOL_LINKS_MAX]; /* oldest call first */
static uint32_t held_first;
static int16_t price[PRICES_MAX];

static struct weir_shard_link *worker_new(uint64_t id)
{
	struct weir_shard_link *link = weir_shard_allocate(sizeof(*link));
	struct weir_link_header *header = weir_shard_allocate(sizeof(*header));
	struct weir_room *room = weir_shard_allocate(sizeof(*room));

	if (!link || !header || !room)
		weir_micro_fail("no memory for a worker", 0);
	/* 16 calls before one's CPU time, as long as no service time is known. */
	atomic_store_explicit(&header->parked_max, 64, memory_order_relaxed);
	link->header = header;
	link->room = room;
	link->worker_id = id;
	link->free_call_count = WEIR_PAIR_CALLS;
	link->home = true;
	return link;
}

static void call_begin(uint32_t place)
{
	struct weir_shard_link *link = weir_pick(shard, pool);

	if (!link)
		weir_micro_fail("no worker has room", 0);
	link->in_flight++;
	held[place] = link;
}

static void call_end(uint32_t place)
{
	struct weir_shard_link *link = held[place];

	link->in_flight--;
	weir_pick_finished(link);
}

static void pick_open(uint32_t count)
{
	if (!shard) {
		shard = weir_shard_allocate(sizeof(*shard));
		pool = weir_shard_allocate(sizeof(*pool));
	}
	if (!shard || !pool)
		weir_micro_fail("no memory for a shard", 0);
	shard->shard_count = 1;
	shard->now_ns++;
	weir_pick_open(pool, 1);
	for (uint32_t i = 0; i < count; i++) {
		if (!link_of[i])
			link_of[i] = worker_new(i);
		link_of[i]->pool = pool;
		link_of[i]->in_flight = 0;
		weir_pick_enter(pool, link_of[i]);
	}
	shard->pool[0] = pool;
	shard->pool_count = 1;
	shard->now_ns += WEIR_SCHEDULE_SAMPLE_NS;
	weir_pick_turn(shard);
	for (uint32_t i = 0; i < IN_FLIGHT * count; i++)
		call_begin(i);
	held_first = 0;
}

/* A call ends, another begins: which one ends has nothing to do with which one began when. The count
 * is a power of two. */
static void pick_pass(uint32_t count)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint32_t place = held_first * UINT32_C(2654435761) & (IN_FLIGHT * count - 1);

		held_first++;
		call_end(place);
		call_begin(place);
	}
}

static void choose_open(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		price[i] = (int16_t)(1000 + i * 7919 % 1009);
}

/* What is chosen gets dearer, so that the next choice is another one. */
static void choose_pass(uint32_t count)
{
	const struct weir_schedule_policy *policy = weir_schedule_policy(WEIR_POLICY_SCORE);
	struct weir_schedule_turn turn = {0};

	for (uint32_t i = 0; i < ROUNDS; i++) {
		const int place = policy->choose(price, count, &turn);

		price[place] = (int16_t)(price[place] + 1);
	}
}

const struct weir_micro weir_micro_pick[] = {
	{"pick-1", "pick a worker of 1 for a call, end another call", pick_open, pick_pass, 1, ROUNDS},
	{"pick-4", "the same of 4", pick_open, pick_pass, 4, ROUNDS},
	{"pick-64", "the same of 64", pick_open, pick_pass, 64, ROUNDS},
	{"pick-512", "the same of 512", pick_open, pick_pass, 512, ROUNDS},
	{"choose-64", "choose the cheapest of 64 prices", choose_open, choose_pass, 64, ROUNDS},
	{"choose-1000", "choose the cheapest of 1,000 prices", choose_open, choose_pass, 1000, ROUNDS},
	{0},
};
