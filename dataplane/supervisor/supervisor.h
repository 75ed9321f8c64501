/* supervisor: the only privileged process. Starts, watches and replaces the others, and joins them.
 *
 *   event (socket, pidfd, timer) --> inbox.c, status_socket.c: note what happened
 *                                --> reconcile: compare what is with what should be, do the difference
 *
 * Everything that it would miss after kill -9 stands in the keeper's store before it is acted on, and
 * every step may be done twice (a build ends with the supervisor that began it): a message is taken from its socket only after it was handled. So a
 * new supervisor goes on where the old one stopped, and nobody else notices.
 *
 * Store entries: self, board, activations, load, status, listen/N, snapshot, environment/N, gateway, ctrld, worker/ID,
 * link/ID, output/ID.
 * Threads: one, which never waits but for the keeper and posix_spawn. Owner: weir_supervisor_run(). */
#ifndef WEIR_DATAPLANE_SUPERVISOR_SUPERVISOR_H
#define WEIR_DATAPLANE_SUPERVISOR_SUPERVISOR_H

#include "bpf/load_probe.h"
#include "dataplane/abi/board.h"
#include "dataplane/base/numa.h"
#include "dataplane/sandbox/sandbox.h"
#include "dataplane/schedule/autoscale.h"
#include "dataplane/schedule/schedule.h"
#include "dataplane/shm/control.h"
#include "dataplane/shm/segment.h"
#include "dataplane/shm/snapshot.h"
#include "dataplane/supervisor/cgroup.h"
#include "dataplane/supervisor/options.h"
#include "dataplane/supervisor/process.h"
#include "dataplane/supervisor/quota.h"
#include "dataplane/supervisor/store.h"

enum {
	WEIR_SUPERVISOR_WORKERS_MAX = 480,
	WEIR_SUPERVISOR_LINKS_MAX = 960, /* two per worker: an old one may still be closing */
	WEIR_SUPERVISOR_OUTPUTS_MAX = 960, /* those of workers that are gone wait for ctrld */
	WEIR_SUPERVISOR_LISTEN_MAX = WEIR_OPTIONS_LISTEN_MAX + 1,
	WEIR_STATUS_CLIENTS_MAX = 32,
	WEIR_SUPERVISOR_BUILDS_MAX = 4,
	WEIR_SUPERVISOR_SPACES_MAX = 1024,
	WEIR_SUPERVISOR_ENDED_MAX = 64,
};
static_assert(WEIR_SUPERVISOR_WORKERS_MAX + 4 <= WEIR_BOARD_PROCESSES_MAX, "each process has a row");

/* Who looks at what workers did since the last time. */
enum weir_pool_asker { WEIR_POOL_ASKER_DEMAND, WEIR_POOL_ASKER_STEP, WEIR_POOL_ASKERS };

struct weir_worker {
	struct weir_process process; /* pid 0 = free place in the table */
	uint64_t pool_key;
	uint32_t runtime; /* enum weir_runtime_kind */
	uint32_t home;    /* shard, whose node it is on */
	char space[64];
	uint64_t accepted_before; /* by links that are gone */
	uint64_t finished_before;
	uint64_t accepted_seen; /* when it was last found busy */
	uint64_t busy_ns;       /* when that was */
	bool is_cold_noted;     /* how long the first call waited for it is counted */
	uint64_t environment_sent; /* number of its namespace's variables; 0 = none yet */
	struct weir_cgroup_limits limits; /* that it has */
	uint32_t load_slot;     /* on the load board; WEIR_LOAD_SLOTS = none */
	int load_children;      /* processes that it had started, when its files were last read */
	uint64_t load_cpu_ns;   /* its CPU clock then */
	struct weir_schedule_use use[WEIR_POOL_ASKERS]; /* its totals when that one last asked */
	uint64_t pages;         /* of its links, when they were looked up, */
	uint64_t pages_astray;  /* and those that lie on another node than they should */
	uint64_t link_next_ns;  /* one of its links was refused: no new one before this */
};

/* OPENING: not both ends have it. OPEN. DRAINING: the gateway was told, and says when it let go.
 * CLOSING: the gateway let go or died; the worker was told. */
enum weir_link_state { WEIR_LINK_OPENING, WEIR_LINK_OPEN, WEIR_LINK_DRAINING, WEIR_LINK_CLOSING };

struct weir_link {
	uint64_t id; /* 0 = free place in the table */
	uint64_t worker_id;
	uint64_t gateway_id; /* incarnation */
	enum weir_link_state state;
	bool worker_told;  /* OPENING: has LINK_OPEN; CLOSING: has LINK_CLOSE */
	bool gateway_told; /* OPENING: has LINK_OPEN; DRAINING: has LINK_CLOSE */
	uint64_t give_up_ns; /* no answer by then: go on without; 0 = wait */
	int segment_fd;
	int event_fd[WEIR_SHARDS_MAX]; /* -1 once both ends have them */
	struct weir_segment segment;   /* read-only: for counts */
};

/* Where what a worker's functions print arrives: ctrld reads it. */
struct weir_output {
	uint64_t worker_id; /* 0 = free place in the table */
	int fd;
	bool ctrld_told;
	char space[64];
};

struct weir_pool {
	uint64_t key;
	uint32_t runtime;
	uint32_t workers_min;
	uint32_t workers_max;
	uint32_t functions; /* in the newest snapshot; 0 = no workers are kept */
	bool one_task;      /* a worker has one call at a time, waiting or not */
	bool has_spec;
	uint64_t memory_bytes; /* the spec's, or of the function that may have most */
	uint32_t cpu_millicores; /* of each worker; 0 = no limit */
	uint32_t wanted;    /* workers now: between min and max, raised by demand */
	uint64_t raised_ns; /* when demand last raised it */
	uint64_t use_ns;    /* when it was last found out whether it lacks CPU */
	bool lacks_cpu;     /* and then another worker would bring nothing */
	bool lacked_cpu;    /* in the span before the next look */
	bool would_help;    /* it would have in the span of the last step */
	uint32_t asking;    /* shard that asked for a worker last; WEIR_PLACE_NOBODY */
	struct weir_restart restart;
	struct weir_autoscale_rule scale;
	struct weir_autoscale_window window; /* its demand, step by step */
	uint64_t step_at_ns; /* the next one; 0 = one begins now */
	double demand;       /* at the last step */
	uint32_t target;     /* then; UINT32_MAX: none yet */
	struct weir_board_starts starts;
	struct weir_board_starts cold;
	uint64_t used_ns;    /* when it last had something to do, as far as steps saw */
	char space[64];
	char function[64]; /* of a pool of one function */
};

struct weir_listener {
	char address[112];
	bool local;
	int fd[WEIR_SHARDS_MAX]; /* shard_count of them; the Unix socket only [0] */
};

/* The variables of one namespace's functions. */
struct weir_space {
	char space[64];
	int fd;
	uint64_t number; /* of this content; workers have it or not */
};

/* A one-shot build for ctrld (build.h). */
struct weir_build {
	uint64_t id; /* ours; 0 = free place in the table */
	uint64_t build_id; /* ctrld's */
	pid_t pid;
	int pidfd; /* -1: it ended, and ctrld is still to be told */
	uint64_t kill_at_ns;
	bool killed;
	struct weir_control done;
};

/* CPUs and NUMA nodes of this machine: nodes.h. */
struct weir_nodes {
	struct weir_numa numa; /* one node where there is one, or --numa off */
	int memory_error;      /* 0 = memory can be placed; else why not, -errno */
	uint8_t of_shard[WEIR_SHARDS_MAX]; /* index */
	uint16_t allowed[WEIR_CPU_MAX];    /* CPUs that this process may use */
	size_t allowed_count;
};

/* Where the pages of links lie: pages.h. */
struct weir_pages {
	uint64_t at_ns; /* when they were looked up; 0 = never */
	uint64_t looked;
	uint64_t left_out;
	int error; /* the last, -errno; 0 = none */
	uint64_t on_node[WEIR_NUMA_NODES_MAX]; /* by index */
	uint64_t astray[WEIR_NUMA_NODES_MAX];  /* of these, belong to another */
};

/* A worker that ended a moment ago: its control group still tells why. */
struct weir_ended_group {
	uint64_t worker_id; /* 0 = free place */
	uint64_t until_ns;
};

struct weir_status_client {
	int fd; /* -1 = free */
	uint64_t give_up_ns;
};

struct weir_supervisor {
	struct weir_options options;
	struct weir_sandbox_plan sandbox; /* of every worker */
	char sandbox_lacks[1024];         /* layers that this machine lacks, one line each */
	struct weir_cgroups groups;       /* where workers' limits are set */
	char groups_lack[512];            /* kinds of them that cannot be had, one line each */
	struct weir_ended_group ended[WEIR_SUPERVISOR_ENDED_MAX];
	uint64_t groups_ns;         /* next look for groups that nobody needs; 0 = none is due */
	uint64_t limits_generation; /* of the snapshot that limits follow */
	uint16_t cpu[WEIR_SHARDS_MAX];
	uint32_t shard_count;
	struct weir_quota quota; /* of all; as it was when this supervisor began */
	struct weir_nodes nodes;
	struct weir_pages pages;
	int store_fd;
	int epoll_fd;
	int signal_fd;
	uint64_t started_ns;
	uint64_t incarnation; /* of this supervisor, from 1 */
	uint64_t ids;         /* given out by it */
	bool keeper_lost;
	bool stopping;
	uint64_t stage_ends_ns; /* of stopping */
	bool done;
	bool rows_changed;
	uint64_t rows_ns; /* when rows were last written */
	uint64_t noted_ns; /* when it was last noted which workers did something */
	uint64_t orphans_ns; /* next look for what functions left behind */
	uint64_t due_ns;  /* when the next turn is needed at the latest */
	uint64_t refused_ns; /* when a limit was last logged */
	uint64_t room_made_ns; /* when an idle worker was last given up for another pool */

	struct weir_probe probe;      /* not open: clocks fill the load board */
	struct weir_load_board *load;
	int load_fd;
	uint32_t load_from; /* where the search for a free slot goes on */
	uint64_t load_ns;   /* next sample */
	struct weir_board *board;
	int board_fd;
	int status_fd;
	struct weir_status_client client[WEIR_STATUS_CLIENTS_MAX];
	struct weir_listener listener[WEIR_SUPERVISOR_LISTEN_MAX];
	size_t listener_count;
	char steering[WEIR_BOARD_STEERING_BYTES_MAX]; /* for the board */

	struct weir_snapshot snapshot;
	int snapshot_fd; /* -1 = none yet */
	uint64_t generation;
	struct weir_pool *pool;
	size_t pool_count;

	struct weir_process gateway;
	int shard_board_fd;
	int activations_fd[3]; /* records of calls from the gateway to ctrld; the ends of their bell, likewise */
	struct weir_restart gateway_restart;
	struct weir_process ctrld;
	struct weir_restart ctrld_restart;
	struct weir_space environment[WEIR_SUPERVISOR_SPACES_MAX];
	size_t environment_count;
	struct weir_build build[WEIR_SUPERVISOR_BUILDS_MAX];
	struct weir_control ack; /* newest SNAPSHOT_ACK for ctrld */
	bool ack_waits;
	struct weir_worker worker[WEIR_SUPERVISOR_WORKERS_MAX];
	size_t worker_places; /* places ever used: [0 .. worker_places-1] */
	struct weir_link link[WEIR_SUPERVISOR_LINKS_MAX];
	size_t link_places;
	struct weir_output output[WEIR_SUPERVISOR_OUTPUTS_MAX];
};

/* What an epoll event is about: kind in the top byte, a place or id below. */
enum weir_watch {
	WEIR_WATCH_STORE = 1,
	WEIR_WATCH_SIGNAL,
	WEIR_WATCH_STATUS,
	WEIR_WATCH_CLIENT,
	WEIR_WATCH_CONTROL, /* low bits: process id; 0 is the gateway's, 1 ctrld's */
	WEIR_WATCH_PIDFD,
	WEIR_WATCH_BUILD, /* low bits: struct weir_build's id */
};

/* Run until the instance stops. Returns an exit code of store.h. */
int weir_supervisor_run(const struct weir_options *options);

/* A number unique in the instance's life. */
uint64_t weir_supervisor_id_next(struct weir_supervisor *supervisor);

/* Watch `fd` for input; stop watching it, before it is closed: the keeper's copy would keep it in the
 * epoll set. -1 is accepted. 0 or -errno. */
int weir_supervisor_watch(struct weir_supervisor *supervisor, int fd, enum weir_watch watch, uint64_t id);
void weir_supervisor_unwatch(struct weir_supervisor *supervisor, int fd);

/* Something is to be done at `when_ns`: the loop sleeps no longer than that. */
void weir_supervisor_due(struct weir_supervisor *supervisor, uint64_t when_ns);

/* Store or drop an entry. A keeper that is gone is noted and stops the instance. */
void weir_supervisor_keep(struct weir_supervisor *supervisor, struct weir_store_message *message,
			  const int *fds, size_t fd_count);
void weir_supervisor_forget(struct weir_supervisor *supervisor, const char *name);

/* Send one message to a process: true if it is on its way. False = its socket is full or it is about
 * to be found dead: the next turn, a few milliseconds later, tries again. */
bool weir_supervisor_send(struct weir_supervisor *supervisor, const struct weir_process *process,
			  const struct weir_control *control, const int *fds, size_t fd_count);

#endif
