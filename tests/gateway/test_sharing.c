/* Which memory of the request path is written by whom: 64 shards and a few workers as a gateway makes
 * them, and a list of (address range, owner). No cache line may have two owners; the lines that a
 * call's both ends write in turn are owned by that hand-over, and counted. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/fd.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"
#include "dataplane/shm/shard_board.h"

enum {
	SHARDS = WEIR_SHARDS_MAX,
	WORKERS = 4,
	CONNECTIONS = 1024,
	RANGES_MAX = 8192,
	POOL_KEY = 7,
	COMPARED_LINES = sizeof(struct weir_link_pair) / WEIR_LINE_BYTES,
};

/* Owners: shards 0 .. 63, then workers, then the hand-over of each shard with each worker. */
enum { OWNER_WORKER = SHARDS, OWNER_BELL = OWNER_WORKER + WORKERS, OWNER_PAIR = OWNER_BELL + WORKERS };

struct range {
	uintptr_t start;
	uintptr_t end;
	int owner;
	const char *what;
};

struct scene {
	struct weir_shard *shard[SHARDS];
	struct weir_segment segment[WORKERS];
	struct weir_shard_link *link[WORKERS][SHARDS];
	struct weir_shard_board *sleep_board;
	struct weir_board *board;
	struct weir_mailbox outbox;
	struct range range[RANGES_MAX];
	size_t range_count;
};

static void note(struct scene *scene, const void *start, size_t bytes, int owner, const char *what)
{
	assert_true(scene->range_count < RANGES_MAX);
	scene->range[scene->range_count++] = (struct range){
		.start = (uintptr_t)start, .end = (uintptr_t)start + bytes, .owner = owner, .what = what};
}

static void note_shard(struct scene *scene, int index)
{
	struct weir_shard *shard = scene->shard[index];

	note(scene, &scene->sleep_board->shard[index], sizeof(struct weir_shard_board_line), index, "sleep line");
	note(scene, &scene->board->shard[index], sizeof(struct weir_board_shard), index, "metrics");
	note(scene, shard, sizeof(*shard), index, "struct weir_shard");
	note(scene, shard->connections, CONNECTIONS * sizeof(*shard->connections), index, "connections");
	note(scene, shard->exchanges, shard->exchanges_limit * sizeof(*shard->exchanges), index, "exchanges");
	note(scene, shard->functions, WEIR_GATEWAY_FUNCTIONS_MAX * sizeof(*shard->functions), index,
	     "functions");
	note(scene, shard->receive_ring, WEIR_GATEWAY_RECEIVE_BUFFERS * sizeof(struct io_uring_buf), index,
	     "receive ring");
	note(scene, shard->receive_memory, WEIR_GATEWAY_RECEIVE_BUFFERS * WEIR_GATEWAY_RECEIVE_BYTES, index,
	     "receive buffers");
	note(scene, shard->blocks.memory, shard->blocks.memory_bytes, index, "blocks");
	note(scene, shard->pool[0], sizeof(*shard->pool[0]), index, "pool");
}

static void note_pair(struct scene *scene, int worker, int shard)
{
	struct weir_link_pair *pair = &scene->segment[worker].pair[shard];
	const int handed = OWNER_PAIR + worker * SHARDS + shard;

	note(scene, scene->link[worker][shard], sizeof(struct weir_shard_link), shard, "link");
	note(scene, &pair->to_worker.head, sizeof(uint32_t), OWNER_WORKER + worker, "to worker: head");
	note(scene, &pair->to_worker.tail, sizeof(uint32_t), shard, "to worker: tail");
	note(scene, pair->to_worker.cell, sizeof(pair->to_worker.cell), shard, "to worker: cells");
	note(scene, &pair->to_shard.head, sizeof(uint32_t), shard, "to shard: head");
	note(scene, &pair->to_shard.tail, sizeof(uint32_t), OWNER_WORKER + worker, "to shard: tail");
	note(scene, pair->to_shard.cell, sizeof(pair->to_shard.cell), OWNER_WORKER + worker, "to shard: cells");
	note(scene, pair->call, sizeof(pair->call), handed, "call records");
	note(scene, pair->small, sizeof(pair->small), handed, "small chunks");
	note(scene, pair->large, sizeof(pair->large), handed, "large chunks");
}

static int by_start(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

/* Neighbours that have a line in common and different owners. */
static size_t conflicts_count(const struct scene *scene, bool is_loud)
{
	struct range *sorted = malloc(scene->range_count * sizeof(*sorted));
	size_t count = 0, widest = 0;

	assert_non_null(sorted);
	memcpy(sorted, scene->range, scene->range_count * sizeof(*sorted));
	qsort(sorted, scene->range_count, sizeof(*sorted), by_start);
	for (size_t i = 1; i < scene->range_count; i++) {
		const struct range *before = &sorted[widest], *now = &sorted[i];
		const bool shares = (before->end - 1) / WEIR_LINE_BYTES >= now->start / WEIR_LINE_BYTES;

		if (shares && before->owner != now->owner) {
			count++;
			if (is_loud)
				print_message("one line: %s of %d and %s of %d\n", before->what, before->owner,
					      now->what, now->owner);
		}
		if (now->end > before->end)
			widest = i;
	}
	free(sorted);
	return count;
}

static int open_shard(struct scene *scene, uint32_t index)
{
	const struct weir_shard_options options = {
		.index = index,
		.shard_count = SHARDS,
		.connections_max = CONNECTIONS,
		.sleep_line = &scene->sleep_board->shard[index],
		.metric = scene->board->shard[index].metric,
		.outbox = &scene->outbox,
	};

	scene->shard[index] = weir_shard_allocate(sizeof(struct weir_shard));
	assert_non_null(scene->shard[index]);
	return weir_shard_open(scene->shard[index], &options);
}

static void open_worker(struct scene *scene, int worker)
{
	int fd = -1;

	assert_int_equal(weir_segment_create((uint64_t)worker + 1, (uint64_t)worker + 1, SHARDS, &fd), 0);
	assert_int_equal(weir_segment_attach(fd, &scene->segment[worker]), 0);
	weir_fd_close(&fd);
	/* The control thread makes the links of one worker one after the other, for every shard. */
	for (uint32_t i = 0; i < SHARDS; i++) {
		scene->link[worker][i] = weir_link_create(&scene->segment[worker], i, POOL_KEY, -1);
		assert_non_null(scene->link[worker][i]);
	}
}

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int fd = -1;

	assert_non_null(scene);
	assert_int_equal(weir_shard_board_create(&fd, &scene->sleep_board), 0);
	weir_fd_close(&fd);
	scene->board = mmap(NULL, sizeof(*scene->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(scene->board != MAP_FAILED);
	for (uint32_t i = 0; i < SHARDS; i++) {
		assert_int_equal(open_shard(scene, i), 0);
		assert_non_null(weir_dispatch_pool(scene->shard[i], POOL_KEY));
	}
	for (int worker = 0; worker < WORKERS; worker++)
		open_worker(scene, worker);
	for (int i = 0; i < SHARDS; i++)
		note_shard(scene, i);
	for (int worker = 0; worker < WORKERS; worker++) {
		struct weir_link_header *header = scene->segment[worker].header;

		note(scene, &header->accepted,
		     offsetof(struct weir_link_header, parked_max) - offsetof(struct weir_link_header, accepted) +
			     sizeof(header->parked_max),
		     OWNER_WORKER + worker, "worker line");
		note(scene, &header->worker_bell, sizeof(header->worker_bell), OWNER_BELL + worker, "bell");
		for (int i = 0; i < SHARDS; i++)
			note_pair(scene, worker, i);
	}
	*state = scene;
	return 0;
}

static void close_shard(struct weir_shard *shard)
{
	io_uring_queue_exit(&shard->ring);
	weir_mailbox_close(&shard->inbox);
	weir_block_pool_close(&shard->blocks);
	munmap(shard->connections, shard->connections_limit * sizeof(*shard->connections));
	munmap(shard->exchanges, shard->exchanges_limit * sizeof(*shard->exchanges));
	munmap(shard->functions, WEIR_GATEWAY_FUNCTIONS_MAX * sizeof(*shard->functions));
	munmap(shard->receive_ring, WEIR_GATEWAY_RECEIVE_BUFFERS * sizeof(struct io_uring_buf));
	munmap(shard->receive_memory, WEIR_GATEWAY_RECEIVE_BUFFERS * WEIR_GATEWAY_RECEIVE_BYTES);
	free(shard->pool[0]);
	free(shard);
}

static int scene_close(void **state)
{
	struct scene *scene = *state;

	for (int worker = 0; worker < WORKERS; worker++) {
		for (int i = 0; i < SHARDS; i++)
			free(scene->link[worker][i]);
		weir_segment_detach(&scene->segment[worker]);
	}
	for (int i = 0; i < SHARDS; i++)
		close_shard(scene->shard[i]);
	munmap(scene->board, sizeof(*scene->board));
	weir_shard_board_detach(scene->sleep_board);
	free(scene);
	return 0;
}

static void no_line_has_two_owners(void **state)
{
	const struct scene *scene = *state;

	print_message("%d shards, %d workers: %zu ranges\n", SHARDS, WORKERS, scene->range_count);
	assert_int_equal(conflicts_count(scene, true), 0);
}

/* The count above must be able to see what it looks for: every range of a shard that ends where
 * another's begins, moved by half a line. */
static void a_moved_range_is_seen(void **state)
{
	struct scene *scene = *state;
	size_t seen = 0;

	for (size_t i = 0; i < scene->range_count; i++) {
		struct range *range = &scene->range[i];
		const struct range saved = *range;

		if (strcmp(saved.what, "metrics") != 0 && strcmp(saved.what, "sleep line") != 0)
			continue;
		if (saved.owner == 0)
			continue;
		range->start -= WEIR_LINE_BYTES / 2;
		range->end -= WEIR_LINE_BYTES / 2;
		seen += conflicts_count(scene, false) > 0;
		*range = saved;
	}
	assert_int_equal(seen, 2 * (SHARDS - 1));
}

/* What the heap does with the links of neighbouring shards where nobody asks for whole lines. */
static void links_packed_by_the_heap_are_seen(void **state)
{
	struct scene *scene = *state;
	const size_t saved = scene->range_count, step = sizeof(struct weir_shard_link) + 16;
	size_t seen = 0;

	for (size_t offset = 0; offset < WEIR_LINE_BYTES; offset += 16) {
		for (size_t i = 0; i < 2; i++)
			note(scene, (const void *)(0x100000 + offset + i * step), sizeof(struct weir_shard_link),
			     (int)i, "packed link");
		seen += conflicts_count(scene, false) > 0;
		scene->range_count = saved;
	}
	/* Few places happen to keep them apart. */
	assert_in_range(seen, WEIR_LINE_BYTES / 16 - 2, WEIR_LINE_BYTES / 16);
}

/* Lines of the pair that differ from its copy; the copy follows. */
static size_t lines_changed(const struct weir_link_pair *pair, struct weir_link_pair *copy)
{
	const uint8_t *now = (const uint8_t *)pair;
	uint8_t *before = (uint8_t *)copy;
	size_t count = 0;

	for (size_t line = 0; line < COMPARED_LINES; line++, now += WEIR_LINE_BYTES, before += WEIR_LINE_BYTES) {
		if (memcmp(now, before, WEIR_LINE_BYTES) == 0)
			continue;
		count++;
		memcpy(before, now, WEIR_LINE_BYTES);
	}
	return count;
}

/* One call through one pair, each end alone: how many lines change hands, besides the chunks' bytes. */
static void a_call_hands_over_few_lines(void **state)
{
	struct scene *scene = *state;
	struct weir_segment *segment = &scene->segment[0];
	struct weir_link_pair *pair = &segment->pair[5], *copy = calloc(1, sizeof(*copy));
	struct weir_message message = {.kind = WEIR_MESSAGE_HEAD, .sequence = 1};
	struct weir_ring_tx to_worker, to_shard;
	struct weir_ring_rx from_shard, from_worker;
	size_t request, start, answer, end;

	assert_non_null(copy);
	weir_ring_tx_open(&to_worker, &pair->to_worker);
	weir_ring_rx_open(&from_shard, &pair->to_worker);
	weir_ring_tx_open(&to_shard, &pair->to_shard);
	weir_ring_rx_open(&from_worker, &pair->to_shard);
	weir_call_queue(&pair->call[0], 1);
	assert_true(weir_ring_push(&to_worker, &message, 0));
	assert_true(weir_ring_publish(&to_worker));
	request = lines_changed(pair, copy);
	assert_int_equal(weir_ring_pop(&from_shard, &message), 1);
	weir_ring_release(&from_shard);
	assert_true(weir_call_accept(&pair->call[0], 1));
	start = lines_changed(pair, copy);
	assert_true(weir_ring_push(&to_shard, &message, 0));
	assert_true(weir_ring_publish(&to_shard));
	answer = lines_changed(pair, copy);
	assert_int_equal(weir_ring_pop(&from_worker, &message), 1);
	weir_ring_release(&from_worker);
	weir_call_release(&pair->call[0], 1);
	end = lines_changed(pair, copy);
	for (int i = 0; i < SHARDS; i++) {
		if (i != 5)
			assert_memory_equal(&segment->pair[i].to_worker, &scene->segment[1].pair[i].to_worker,
					    sizeof(struct weir_link_ring));
	}
	print_message("lines written: request %zu, start %zu, answer %zu, end %zu\n", request, start, answer,
		      end);
	assert_int_equal(request, 3); /* cell, tail, call record */
	assert_int_equal(start, 2);   /* head, call record */
	assert_int_equal(answer, 2);  /* cell, tail */
	assert_int_equal(end, 2);     /* head, call record */
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_line_has_two_owners),
		cmocka_unit_test(a_moved_range_is_seen),
		cmocka_unit_test(links_packed_by_the_heap_are_seen),
		cmocka_unit_test(a_call_hands_over_few_lines),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
