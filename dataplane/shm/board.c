#include "dataplane/shm/board.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "dataplane/base/fd.h"

enum { SCORE_TRIES = 200, COPY_PAUSE_NS = 5000000 };

int weir_board_attach(int fd, const struct weir_board **out_board)
{
	size_t bytes = 0;
	const int result = weir_fd_check_shared(fd, sizeof(struct weir_board), &bytes);
	const void *board = NULL;

	if (result != 0)
		return result;
	board = mmap(NULL, sizeof(struct weir_board), PROT_READ, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -errno;
	*out_board = board;
	return 0;
}

void weir_board_detach(const struct weir_board *board)
{
	if (board == NULL)
		return;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): drops the const of a mapping that is ours */
	(void)munmap((void *)(uintptr_t)board, sizeof(*board)); /* cannot fail for ours */
}

/* A copy in which no row was half-written. 0, or -EAGAIN if the writer never comes to rest. */
static int rows_copy(const struct weir_board *board, unsigned tries, struct weir_board *copy)
{
	const struct timespec pause = {.tv_nsec = COPY_PAUSE_NS};

	for (unsigned i = 0; i < tries; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL); /* interrupted: the next try comes early */
		/* ORDER board_rows acquire: the rows that this even number announced are read below. */
		const uint64_t before =
			atomic_load_explicit(&board->change, memory_order_acquire);

		memcpy(copy, board, sizeof(*copy));
		/* ORDER board_rows_begin acquire: had a row changed while we read, the number differs now. */
		atomic_thread_fence(memory_order_acquire);
		if ((before & 1) == 0 &&
		    atomic_load_explicit(&board->change, memory_order_relaxed) == before)
			return 0;
	}
	return -EAGAIN;
}

/* Others write the board; what they cannot break is this copy. */
static int copy_check(struct weir_board *copy)
{
	if (copy->magic != WEIR_BOARD_MAGIC || copy->bytes != sizeof(*copy))
		return -EBADMSG;
	if (copy->abi_major != WEIR_ABI_MAJOR)
		return -EPROTO;
	if (copy->shard_count > WEIR_SHARDS_MAX || copy->node_count > WEIR_BOARD_NODES_MAX ||
	    copy->process_count > WEIR_BOARD_PROCESSES_MAX || copy->pool_count > WEIR_BOARD_POOLS_MAX)
		return -EBADMSG;
	copy->missing[sizeof(copy->missing) - 1] = '\0';
	copy->sandbox[sizeof(copy->sandbox) - 1] = '\0';
	copy->load[sizeof(copy->load) - 1] = '\0';
	copy->steering[sizeof(copy->steering) - 1] = '\0';
	for (uint32_t i = 0; i < copy->shard_count; i++) {
		if (copy->shard_node[i] >= copy->node_count)
			return -EBADMSG;
	}
	for (uint32_t i = 0; i < copy->node_count; i++)
		copy->node[i].cpus[sizeof(copy->node[i].cpus) - 1] = '\0';
	for (uint32_t i = 0; i < copy->process_count; i++) {
		copy->process[i].space[sizeof(copy->process[i].space) - 1] = '\0';
		copy->process[i].function[sizeof(copy->process[i].function) - 1] = '\0';
	}
	for (uint64_t i = 0; i < copy->pool_count; i++) {
		copy->pool[i].space[sizeof(copy->pool[i].space) - 1] = '\0';
		copy->pool[i].function[sizeof(copy->pool[i].function) - 1] = '\0';
	}
	return 0;
}

int weir_board_copy(const struct weir_board *board, unsigned tries, struct weir_board *copy)
{
	const int code = rows_copy(board, tries, copy);

	return code == 0 ? copy_check(copy) : code;
}

void weir_board_copy_scores(const struct weir_board *board, struct weir_board *copy)
{
	for (size_t i = 0; i < WEIR_BOARD_SCORES_MAX; i++) {
		const struct weir_board_score *row = &board->score[i];
		bool is_whole = false;

		for (int try = 0; try < SCORE_TRIES && !is_whole; try++) {
			/* ORDER board_score acquire: what this even number announced is read below. */
			const uint64_t before = atomic_load_explicit(&row->change, memory_order_acquire);

			memcpy(&copy->score[i], row, sizeof(*row));
			/* ORDER board_score_begin acquire: had a field changed while we read, the number differs. */
			atomic_thread_fence(memory_order_acquire);
			is_whole = (before & 1) == 0 &&
				   atomic_load_explicit(&row->change, memory_order_relaxed) == before;
		}
		if (!is_whole)
			atomic_store_explicit(&copy->score[i].worker_id, 0, memory_order_relaxed);
	}
}

const char *weir_board_kind_name(uint32_t kind)
{
	static const char *const names[] = {"none",    "keeper", "supervisor",
					    "gateway", "ctrld",  "worker"};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

const char *weir_board_state_name(uint32_t state)
{
	static const char *const names[] = {"starting", "ready", "draining", "backoff"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}
