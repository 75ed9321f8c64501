#include "ctrl/ctrlctl/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ctrl/ctrlctl/client.h"
#include "dataplane/abi/runtimes.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/board.h"

enum {
	PATIENCE_S = 3, /* a supervisor that was killed is back by then */
	COPY_TRIES = 200,
	QUESTION_BYTES = 8,
};

/* Ask and receive the descriptor. 0 or -errno. */
static int board_ask(int socket_fd, const char question[QUESTION_BYTES], int *out_fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	char answer[64];
	size_t count = 0;
	int fd = -1;
	ssize_t got = 0;
	const int code = weir_fd_send(socket_fd, question, QUESTION_BYTES, NULL, 0);

	if (code != 0)
		return code;
	(void)setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			 sizeof(patience)); /* else it waits longer */
	got = weir_fd_receive(socket_fd, answer, sizeof(answer), &fd, 1, &count);
	if (got < 0)
		return (int)got;
	if (count != 1)
		return got == 0 ? -ECONNRESET : -EBADMSG;
	*out_fd = fd;
	return 0;
}

static int board_read(int socket_fd, const char question[QUESTION_BYTES], struct weir_board *copy)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	const struct weir_board *board = NULL;
	int code = board_ask(socket_fd, question, &fd);

	if (code == 0)
		code = weir_board_attach(fd, &board);
	if (code != 0)
		return code;
	code = weir_board_copy(board, COPY_TRIES, copy);
	if (code == 0)
		weir_board_copy_scores(board, copy);
	weir_board_detach(board);
	return code;
}

static enum weir_ctl_exit fetch(const struct weir_ctl_call *call, bool quiet, const char question[QUESTION_BYTES],
				struct weir_board **out_board)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	WEIR_CLEANUP(weir_free) struct weir_board *copy = NULL;
	const enum weir_ctl_exit reached =
		weir_ctl_connect(call, "supervisor.sock", SOCK_SEQPACKET, quiet, &fd);
	int code = 0;

	if (reached != WEIR_CTL_OK)
		return reached;
	copy = aligned_alloc(_Alignof(struct weir_board), sizeof(*copy));
	WEIR_ASSERT(copy != NULL); /* a command line that has no memory left cannot go on */
	code = board_read(fd, question, copy);
	if (code == 0) {
		*out_board = copy;
		copy = NULL;
		return WEIR_CTL_OK;
	}
	if (code == -EBADMSG || code == -EPROTO) {
		return quiet ? WEIR_CTL_FAILED
			     : weir_ctl_fail(WEIR_CTL_FAILED,
					     "use the ctrlctl of that instance's version",
					     "the supervisor's board makes no sense: %s",
					     strerror(-code));
	}
	return quiet ? WEIR_CTL_UNREACHABLE
		     : weir_ctl_fail(
			       WEIR_CTL_UNREACHABLE, "it may be starting; try again",
			       "the supervisor at %s/run/supervisor.sock does not answer: %s",
			       call->data, strerror(-code));
}

enum weir_ctl_exit weir_ctl_board_fetch(const struct weir_ctl_call *call, bool quiet,
					struct weir_board **out_board)
{
	return fetch(call, quiet, "weirstat", out_board);
}

enum weir_ctl_exit weir_ctl_board_fetch_pages(const struct weir_ctl_call *call, struct weir_board **out_board)
{
	return fetch(call, false, "weirnuma", out_board);
}

const char *weir_ctl_board_runtime(uint32_t runtime)
{
	const char *const name = weir_runtime_name(runtime);

	return name != NULL ? name : "unknown";
}

uint64_t weir_ctl_board_sum(const struct weir_board *board, size_t metric)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < board->shard_count; i++) {
		sum += atomic_load_explicit(&board->shard[i].metric[metric],
					    memory_order_relaxed);
	}
	return sum;
}

/* "NAMESPACE/RUNTIME[/FUNCTION][:CPUxMEMORY]" */
struct pool_words {
	const char *space;
	uint32_t runtime;
	const char *function;
	uint32_t cpu_millicores;
	uint32_t memory_mb;
};

static const char *pool_format(const struct pool_words *pool, char out[WEIR_CTL_POOL_BYTES])
{
	char spec[32] = "";

	if (pool->memory_mb > 0)
		(void)snprintf(spec, sizeof(spec), ":%ux%u", pool->cpu_millicores, pool->memory_mb); /* fits */
	(void)snprintf(out, WEIR_CTL_POOL_BYTES, "%s/%s%s%s%s", pool->space, weir_ctl_board_runtime(pool->runtime),
		       pool->function[0] == '\0' ? "" : "/", pool->function, spec); /* fits */
	return out;
}

const char *weir_ctl_board_pool(const struct weir_board_process *worker, char out[WEIR_CTL_POOL_BYTES])
{
	return pool_format(&(struct pool_words){worker->space, worker->runtime, worker->function,
						worker->cpu_millicores, worker->memory_mb},
			   out);
}

const char *weir_ctl_board_pool_name(const struct weir_board_pool *pool, char out[WEIR_CTL_POOL_BYTES])
{
	return pool_format(&(struct pool_words){pool->space, pool->runtime, pool->function, pool->cpu_millicores,
						pool->memory_mb},
			   out);
}

uint64_t weir_ctl_board_waiting(const struct weir_board *board, uint64_t pool_key)
{
	uint64_t waiting = 0;

	for (size_t i = 0; i < WEIR_BOARD_QUEUES_MAX; i++) {
		const struct weir_board_queue *const queue = &board->queue[i];
		const uint64_t calls = atomic_load_explicit(&queue->waiting, memory_order_relaxed);

		if (calls > 0 && atomic_load_explicit(&queue->pool_key, memory_order_relaxed) == pool_key)
			waiting += calls;
	}
	return waiting;
}
