/* board: every number that status, top, metrics and tests show, in one memfd.
 *
 *   | header, NUMA nodes | processes, pools (supervisor writes) | metrics of each shard | scores | picks of each shard | queues |
 *
 * Created by the supervisor, held by the keeper, so that counts outlive every other process.
 * Each shard's block has one writer, that shard of the newest gateway; counters go on from the
 * value they find, gauges start at 0. Process rows are written by the supervisor; `change` is odd
 * while it writes (readers retry). Readers map it read-only: `ctrlctl`, through supervisor.sock, and ctrld, which
 * the supervisor hands it (BOARD). */
#ifndef WEIR_DATAPLANE_ABI_BOARD_H
#define WEIR_DATAPLANE_ABI_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "dataplane/abi/link.h"
#include "dataplane/abi/load.h"
#include "dataplane/abi/policies.h"

#define WEIR_BOARD_MAGIC UINT64_C(0x3164726f62726577) /* "werbord1" */

enum {
	WEIR_BOARD_PROCESSES_MAX = 512,
	WEIR_BOARD_POOLS_MAX = 1024, /* of the newest snapshot; further ones are not shown */
	WEIR_BOARD_MISSING_BYTES_MAX = 2048,
	WEIR_BOARD_SANDBOX_BYTES_MAX = 256,
	WEIR_BOARD_LOAD_BYTES_MAX = 448,
	WEIR_BOARD_STEERING_BYTES_MAX = 256,
	WEIR_BOARD_NODES_MAX = 64,
	WEIR_BOARD_NODE_CPUS_BYTES_MAX = 96,
};

enum {
	WEIR_BOARD_SCORES_MAX = 512, /* shared out evenly among the shards */
	WEIR_BOARD_PICKS = 16,       /* the last ones of each shard */
	WEIR_BOARD_SCORE_ONE = 1024, /* a score of 1 */
	WEIR_BOARD_TERM_ONE = 65536, /* a term of 1 */
};

/* How one worker's home shard sees it: written by that shard every 20 ms in which it is awake.
 * `change` is odd while it writes (readers retry). */
struct weir_board_score {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t change;
	_Atomic uint64_t worker_id; /* 0 = free */
	uint64_t at_ns;       /* CLOCK_MONOTONIC; 0 = not seen yet */
	uint64_t sampled_ns;  /* when cpu, memory and io were measured; 0 = never */
	uint64_t picks;       /* calls that this shard gave it */
	uint32_t cpu;         /* terms, WEIR_BOARD_TERM_ONE */
	uint32_t memory;
	uint32_t io;
	uint32_t remote;
	uint32_t in_flight;
	uint32_t in_flight_limit;
	uint32_t parked;
	uint32_t parked_limit;
	uint32_t score;       /* WEIR_BOARD_SCORE_ONE */
	uint32_t source;      /* enum weir_load_source */
	uint32_t policy;      /* enum weir_policy_number, of its pool */
	uint32_t has_room;    /* 1: it may get a call now */
	struct weir_weights weights;
	uint32_t reserved[5];
};
static_assert(sizeof(struct weir_board_score) == WEIR_LINE_BYTES, "one writer, one line");

/* A pick that was no "short calls stay on the worker of the last one". */
struct weir_board_pick {
	_Atomic uint64_t at_ns;
	_Atomic uint64_t worker_id;
	_Atomic uint64_t price; /* by the pool's policy: twice its cost, 1 more for a worker of another shard */
};

struct weir_board_picks {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t count; /* so far; the newest is pick[(count - 1) % WEIR_BOARD_PICKS] */
	struct weir_board_pick pick[WEIR_BOARD_PICKS];
};

enum { WEIR_BOARD_QUEUES_MAX = 1024 }; /* shared out evenly among the shards */

enum { WEIR_BOARD_ASKED_ONE = 1000000 };

/* Requests of one shard that wait for workers of one pool, or asked for a part of one. A shard with more such
 * pools shows no more. A row with neither is free. */
struct weir_board_queue {
	_Atomic uint64_t pool_key;
	_Atomic uint64_t waiting;
	_Atomic uint64_t asking; /* of these, who ask for resources */
	_Atomic uint64_t asked;  /* parts of a worker that such requests take up, running or waiting: ASKED_ONE = 1 */
};

enum weir_metric {
#define WEIR_METRIC(name, kind, unit, help) WEIR_METRIC_##name,
#include "dataplane/abi/metrics.def"
#undef WEIR_METRIC
	WEIR_METRIC_COUNT,
};
static_assert(WEIR_METRIC_COUNT <= 128, "a shard's block holds 128 metrics");

struct weir_board_shard {
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t metric[128];
};

enum weir_process_kind {
	WEIR_PROCESS_NONE,
	WEIR_PROCESS_KEEPER,
	WEIR_PROCESS_SUPERVISOR,
	WEIR_PROCESS_GATEWAY,
	WEIR_PROCESS_CTRLD,
	WEIR_PROCESS_WORKER,
};

enum weir_process_state {
	WEIR_PROCESS_STARTING,
	WEIR_PROCESS_READY,
	WEIR_PROCESS_DRAINING,
	WEIR_PROCESS_BACKOFF, /* dead, will be started again */
};

struct weir_board_process {
	uint32_t kind;  /* enum weir_process_kind; NONE = unused row */
	uint32_t state; /* enum weir_process_state */
	int32_t pid;
	uint32_t runtime;    /* workers: enum weir_runtime_kind */
	uint64_t id;         /* workers: worker id */
	uint64_t pool_key;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t restarts;   /* of this place (gateway, ctrld, supervisor) or pool (workers) */
	uint64_t accepted;   /* workers: copied from the link when the row was refreshed */
	uint64_t finished;
	uint64_t service_ns;
	uint32_t parked;
	uint32_t parked_max;
	uint32_t links;
	uint32_t reserved_links;
	uint64_t load[WEIR_LOAD_COUNTS_MAX]; /* workers: by enum weir_load_count (abi/load.h), at load_at_ns */
	uint64_t load_at_ns;
	uint64_t rss_bytes;
	uint64_t rss_at_ns;
	uint32_t load_source; /* enum weir_load_source; NONE: nothing was measured yet */
	uint32_t cpu_millicores; /* workers: of their spec; 0 and 0: they have none */
	uint32_t memory_mb;
	uint32_t home;       /* workers: shard, whose NUMA node it is on */
	uint64_t pages;      /* workers: of their links, looked up at pages_ns */
	uint64_t pages_astray; /* of these, on another node than the one they belong to */
	char space[64];      /* workers: namespace */
	char function[64];   /* workers of one function: its name; empty = of all of the namespace */
};

/* One NUMA node, and what lies there. Written by the supervisor. */
struct weir_board_node {
	uint32_t number;    /* the kernel's */
	uint32_t cpu_count; /* 0 = it has memory only */
	uint64_t memory_bytes; /* 0 = it has CPUs only */
	uint64_t pages;        /* of links, found here when they were looked up last */
	uint64_t pages_astray; /* of these, belong to another node */
	char cpus[WEIR_BOARD_NODE_CPUS_BYTES_MAX]; /* such as 0-3,8; empty = all of the machine's */
	uint8_t distance[WEIR_BOARD_NODES_MAX];    /* to the node of each row; 10 = itself */
};

/* What starting a pool's workers takes: how often, all, the last and the longest. */
struct weir_board_starts {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t last_ns;
	uint64_t max_ns;
};

/* How many workers a pool has, and why. */
struct weir_board_pool {
	uint64_t key;
	uint32_t runtime;
	uint32_t workers_min;
	uint32_t workers_max;
	uint32_t wanted;
	uint32_t ready;
	uint32_t demand;  /* thousandths of a worker that its requests took up at the last step */
	uint32_t target;  /* the autoscaler's; UINT32_MAX: its first window is not over */
	uint32_t cpu_millicores; /* of its spec; 0 and 0: it has none */
	uint32_t memory_mb;
	uint32_t reserved;
	struct weir_board_starts starts; /* of processes, until they were ready */
	struct weir_board_starts cold;   /* those that a request waited for: from its arrival to its answer */
	char space[64];
	char function[64]; /* of a pool of one function */
};

struct weir_board {
	uint64_t magic;
	uint32_t abi_major;
	uint32_t shard_count;
	uint64_t bytes;
	uint64_t started_ns;          /* instance start, CLOCK_MONOTONIC */
	_Atomic uint64_t generation;  /* newest snapshot that every shard acknowledged */
	_Atomic uint64_t segments;    /* link segments alive */
	_Atomic uint64_t segment_bytes;
	_Alignas(WEIR_LINE_BYTES) _Atomic uint64_t change;
	uint32_t process_count; /* rows in use are [0 .. process_count-1], NONE rows among them */
	uint32_t reserved;
	char missing[WEIR_BOARD_MISSING_BYTES_MAX]; /* what this instance does without, one line each */
	char sandbox[WEIR_BOARD_SANDBOX_BYTES_MAX]; /* "off" or the layers around workers */
	char load[WEIR_BOARD_LOAD_BYTES_MAX];       /* what measures workers */
	char steering[WEIR_BOARD_STEERING_BYTES_MAX]; /* which shard gets a new connection */
	uint64_t load_period_ns;
	uint32_t load_source; /* enum weir_load_source */
	uint32_t node_count;      /* rows of node[] */
	uint64_t pages_ns;        /* when pages of links were looked up last, CLOCK_MONOTONIC; 0 = never */
	uint64_t pages_left_out;  /* that were too many then */
	int32_t pages_error;      /* 0, or why the kernel did not say (-errno) */
	uint32_t pages_reserved;
	uint16_t shard_cpu[WEIR_SHARDS_MAX];
	uint16_t shard_node[WEIR_SHARDS_MAX]; /* row of node[] */
	struct weir_board_node node[WEIR_BOARD_NODES_MAX];
	uint64_t load_unplaced; /* processes that the probes' table had no place for */
	uint64_t pool_count;
	struct weir_board_process process[WEIR_BOARD_PROCESSES_MAX];
	struct weir_board_pool pool[WEIR_BOARD_POOLS_MAX]; /* like the processes' rows */
	_Alignas(4096) struct weir_board_shard shard[WEIR_SHARDS_MAX];
	struct weir_board_score score[WEIR_BOARD_SCORES_MAX]; /* shard i of n: from i * (MAX / n) on */
	struct weir_board_picks picks[WEIR_SHARDS_MAX];
	_Alignas(WEIR_LINE_BYTES) struct weir_board_queue queue[WEIR_BOARD_QUEUES_MAX]; /* shard i of n: from i * (MAX / n) on */
};

#endif
