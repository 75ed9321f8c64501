#include "dataplane/supervisor/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/confine.h"
#include "dataplane/supervisor/limits.h"
#include "dataplane/supervisor/measure.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/pages.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/program.h"

enum {
	ROW_KEEPER,
	ROW_SUPERVISOR,
	ROW_GATEWAY,
	ROW_CTRLD,
	ROW_WORKERS,
	DESCRIPTORS_WANTED = 20000, /* 16,384 connections and the rest */
};

static void missing_add(struct weir_board *board, const char *line)
{
	const size_t used = strlen(board->missing);

	weir_log(WEIR_LOG_INFO, "runs without", "what=\"%s\"", line);
	(void)snprintf(board->missing + used, sizeof(board->missing) - used, "%s\n", line);
}

static void missing_lines(struct weir_board *board, const char *lines)
{
	while (*lines != '\0') {
		const size_t bytes = strcspn(lines, "\n");
		char line[200];

		(void)snprintf(line, sizeof(line), "%.*s", (int)bytes, lines);
		missing_add(board, line);
		lines += bytes + (lines[bytes] == '\n');
	}
}

/* Say once what this instance does without. */
static void missing_write(const struct weir_supervisor *supervisor, struct weir_board *board)
{
	const unsigned long descriptors = weir_program_descriptors_raise();
	char line[200];

	if (supervisor->probe.board == NULL) {
		(void)snprintf(line, sizeof(line), "load measurement by eBPF: %.120s", supervisor->load->why);
		missing_add(board, line);
	}
	if (geteuid() != 0) {
		(void)snprintf(line, sizeof(line), "root: functions run as user %u", (unsigned)geteuid());
		missing_add(board, line);
	}
	weir_nodes_lack(supervisor, line, sizeof(line));
	missing_lines(board, line);
	missing_lines(board, supervisor->sandbox_lacks);
	missing_lines(board, supervisor->groups_lack);
	if (supervisor->groups.tree[WEIR_CGROUP_MEMORY].path[0] == '\0')
		missing_add(board, "limits of all of a worker's memory: resource limits bound what is private to it");
	if (descriptors < DESCRIPTORS_WANTED) {
		(void)snprintf(line, sizeof(line),
			       "enough descriptors: the limit is %lu (ulimit -Hn), %d allow 16,384 connections",
			       descriptors, DESCRIPTORS_WANTED);
		missing_add(board, line);
	}
}

/* What the last supervisor counted of the pools that there still are. */
static void pools_restore(struct weir_supervisor *supervisor, const struct weir_board *board)
{
	for (uint64_t i = 0; i < board->pool_count && i < WEIR_BOARD_POOLS_MAX; i++) {
		struct weir_pool *const pool = weir_pool_find(supervisor, board->pool[i].key);

		if (pool == NULL)
			continue;
		pool->starts = board->pool[i].starts;
		pool->cold = board->pool[i].cold;
	}
}

int weir_board_open(struct weir_supervisor *supervisor)
{
	const bool fresh = supervisor->board_fd == -1;
	struct weir_store_message message;
	size_t bytes = sizeof(struct weir_board);
	int result = 0;

	if (fresh)
		result = weir_fd_create_shared("weir-board", sizeof(struct weir_board), &supervisor->board_fd);
	else
		result = weir_fd_check_shared(supervisor->board_fd, sizeof(struct weir_board), &bytes);
	if (result != 0)
		return result;
	supervisor->board = mmap(NULL, sizeof(struct weir_board), PROT_READ | PROT_WRITE, MAP_SHARED,
				 supervisor->board_fd, 0);
	if (supervisor->board == MAP_FAILED)
		return -errno;
	if (!fresh) {
		pools_restore(supervisor, supervisor->board);
		return 0;
	}
	supervisor->board->abi_major = WEIR_ABI_MAJOR;
	supervisor->board->shard_count = supervisor->shard_count;
	supervisor->board->bytes = sizeof(struct weir_board);
	supervisor->board->started_ns = weir_clock_now_ns();
	missing_write(supervisor, supervisor->board);
	weir_confine_say(supervisor, supervisor->board);
	weir_limits_say(supervisor);
	memcpy(supervisor->board->steering, supervisor->steering, sizeof(supervisor->board->steering));
	weir_measure_say(supervisor, supervisor->board);
	supervisor->board->magic = WEIR_BOARD_MAGIC;
	weir_store_message_set(&message, WEIR_STORE_STORE, "board", NULL, 0);
	weir_supervisor_keep(supervisor, &message, &supervisor->board_fd, 1);
	return 0;
}

int weir_board_open_readable(const struct weir_supervisor *supervisor)
{
	char path[64];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", supervisor->board_fd); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

void weir_board_worker_counts(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
			      struct weir_board_process *row)
{
	row->accepted = worker->accepted_before;
	row->finished = worker->finished_before;
	for (size_t i = 0; i < supervisor->link_places; i++) {
		const struct weir_link *const link = &supervisor->link[i];
		const struct weir_link_header *const header = link->segment.header;

		if (link->id == 0 || link->worker_id != worker->process.id)
			continue;
		row->links++;
		row->accepted += atomic_load_explicit(&header->accepted, memory_order_relaxed);
		row->finished += atomic_load_explicit(&header->finished, memory_order_relaxed);
		row->parked += atomic_load_explicit(&header->parked, memory_order_relaxed);
		if (link->gateway_id != supervisor->gateway.id)
			continue;
		row->parked_max = atomic_load_explicit(&header->parked_max, memory_order_relaxed);
		row->service_ns = atomic_load_explicit(&header->service_ns, memory_order_relaxed);
	}
}

static void row_process(struct weir_board_process *row, const struct weir_process *process,
			const struct weir_restart *restart)
{
	memset(row, 0, sizeof(*row));
	row->kind = process->kind;
	row->state = process->state;
	row->pid = process->pidfd == -1 ? 0 : process->pid;
	row->id = process->kind == WEIR_PROCESS_WORKER ? process->id : 0;
	row->started_ns = process->started_ns;
	row->restarts = restart == NULL ? 0 : restart->restarts;
}

/* What the pool is for: a function, a spec. */
static void row_pool(struct weir_board_process *row, const struct weir_pool *pool)
{
	memcpy(row->function, pool->function, sizeof(row->function));
	row->cpu_millicores = pool->has_spec ? pool->cpu_millicores : 0;
	row->memory_mb = pool->has_spec ? (uint32_t)(pool->memory_bytes >> 20) : 0;
}

static void row_worker(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
		       const struct weir_pool *pool, struct weir_board_process *row)
{
	row_process(row, &worker->process, pool == NULL ? NULL : &pool->restart);
	row->runtime = worker->runtime;
	row->pool_key = worker->pool_key;
	memcpy(row->space, worker->space, sizeof(row->space));
	if (pool != NULL)
		row_pool(row, pool);
	weir_board_worker_counts(supervisor, worker, row);
	weir_measure_row(supervisor, worker, weir_clock_now_ns(), row);
	row->home = worker->home;
	row->pages = worker->pages;
	row->pages_astray = worker->pages_astray;
}

/* Rows of workers, and one for each that a pool lacks. Returns the number of rows in use. */
static uint32_t rows_of_workers(struct weir_supervisor *supervisor, struct weir_board_process *rows)
{
	uint32_t used = ROW_WORKERS;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid == 0)
			continue;
		row_worker(supervisor, worker, weir_pool_find(supervisor, worker->pool_key), &rows[used++]);
	}
	for (size_t i = 0; i < supervisor->pool_count; i++) {
		const struct weir_pool *const pool = &supervisor->pool[i];
		uint32_t lacks = pool->wanted;
		const uint32_t has = weir_pool_workers(supervisor, pool->key);

		for (lacks = lacks > has ? lacks - has : 0; lacks > 0 && used < WEIR_BOARD_PROCESSES_MAX; lacks--) {
			struct weir_board_process *const row = &rows[used++];

			memset(row, 0, sizeof(*row));
			row->kind = WEIR_PROCESS_WORKER;
			row->state = WEIR_PROCESS_BACKOFF;
			row->runtime = pool->runtime;
			row->pool_key = pool->key;
			row->restarts = pool->restart.restarts;
			memcpy(row->space, pool->space, sizeof(row->space));
			row_pool(row, pool);
		}
	}
	return used;
}

/* A pool's workers that are ready. */
static uint32_t ready_count(const struct weir_supervisor *supervisor, uint64_t key)
{
	uint32_t count = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		count += worker->process.pid != 0 && worker->pool_key == key &&
			 worker->process.state == WEIR_PROCESS_READY;
	}
	return count;
}

static void pool_row(const struct weir_supervisor *supervisor, const struct weir_pool *pool,
		     struct weir_board_pool *row)
{
	memset(row, 0, sizeof(*row));
	row->key = pool->key;
	row->runtime = pool->runtime;
	row->workers_min = pool->workers_min;
	row->workers_max = pool->workers_max;
	row->wanted = pool->wanted;
	row->ready = ready_count(supervisor, pool->key);
	row->demand = pool->demand < 1e6 ? (uint32_t)(pool->demand * 1000) : 1000000000;
	row->target = pool->target;
	row->cpu_millicores = pool->has_spec ? pool->cpu_millicores : 0;
	row->memory_mb = pool->has_spec ? (uint32_t)(pool->memory_bytes >> 20) : 0;
	row->starts = pool->starts;
	row->cold = pool->cold;
	memcpy(row->space, pool->space, sizeof(row->space));
	memcpy(row->function, pool->function, sizeof(row->function));
}

static uint64_t rows_of_pools(const struct weir_supervisor *supervisor, struct weir_board_pool *rows)
{
	uint64_t used = 0;

	for (size_t i = 0; i < supervisor->pool_count && used < WEIR_BOARD_POOLS_MAX; i++) {
		if (supervisor->pool[i].functions > 0)
			pool_row(supervisor, &supervisor->pool[i], &rows[used++]);
	}
	return used;
}

static void segments_count(const struct weir_supervisor *supervisor)
{
	uint64_t count = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < supervisor->link_places; i++) {
		if (supervisor->link[i].id == 0)
			continue;
		count++;
		bytes += supervisor->link[i].segment.bytes;
	}
	atomic_store_explicit(&supervisor->board->segments, count, memory_order_relaxed);
	atomic_store_explicit(&supervisor->board->segment_bytes, bytes, memory_order_relaxed);
}

void weir_board_rows_write(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	struct weir_board *const board = supervisor->board;
	/* Only a supervisor writes here, but the last one may have died in the middle: then it is odd. */
	const uint64_t change = atomic_load_explicit(&board->change, memory_order_relaxed) | 1;
	struct weir_process self = {.kind = WEIR_PROCESS_KEEPER, .state = WEIR_PROCESS_READY};

	atomic_store_explicit(&board->change, change, memory_order_relaxed);
	/* ORDER board_rows_begin release: no row may change before readers can see that it might. */
	atomic_thread_fence(memory_order_release);
	self.pid = getppid();
	row_process(&board->process[ROW_KEEPER], &self, NULL);
	board->process[ROW_KEEPER].started_ns = board->started_ns;
	self = (struct weir_process){.kind = WEIR_PROCESS_SUPERVISOR, .state = WEIR_PROCESS_READY};
	self.pid = getpid();
	self.started_ns = supervisor->started_ns;
	row_process(&board->process[ROW_SUPERVISOR], &self, NULL);
	board->process[ROW_SUPERVISOR].restarts = supervisor->incarnation - 1;
	row_process(&board->process[ROW_GATEWAY], &supervisor->gateway, &supervisor->gateway_restart);
	row_process(&board->process[ROW_CTRLD], &supervisor->ctrld, &supervisor->ctrld_restart);
	board->process_count = rows_of_workers(supervisor, board->process);
	board->pool_count = rows_of_pools(supervisor, board->pool);
	board->load_unplaced = atomic_load_explicit(&supervisor->load->unplaced, memory_order_relaxed);
	weir_nodes_show(supervisor, board);
	weir_pages_show(supervisor, board);
	/* ORDER board_rows release: the rows are whole again. */
	atomic_store_explicit(&board->change, change + 1, memory_order_release);
	segments_count(supervisor);
	supervisor->rows_ns = now_ns;
	supervisor->rows_changed = false;
}
