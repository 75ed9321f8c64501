/* supervisor: the only privileged process. Starts, watches and replaces the others, and joins them.
 *
 *   event (socket, pidfd, timer) --> inbox.c, status_socket.c: note what happened
 *                                --> reconcile: compare what is with what should be, do the difference
 *
 * Everything that it would miss after kill -9 stands in the keeper's store before it is acted on, and
 * every step may be done twice: a message is taken from its socket only after it was handled. So a
 * new supervisor goes on where the old one stopped, and nobody else notices.
 *
 * Store entries: self, board, status, listen/N, snapshot, gateway, ctrld, worker/ID, link/ID.
 * Threads: one, which never waits but for the keeper and posix_spawn. Owner: weir_supervisor_run(). */
#ifndef WEIR_DATAPLANE_SUPERVISOR_SUPERVISOR_H
#define WEIR_DATAPLANE_SUPERVISOR_SUPERVISOR_H

#include "dataplane/abi/board.h"
#include "dataplane/shm/control.h"
#include "dataplane/shm/segment.h"
#include "dataplane/shm/snapshot.h"
#include "dataplane/supervisor/options.h"
#include "dataplane/supervisor/process.h"
#include "dataplane/supervisor/store.h"

enum {
	WEIR_SUPERVISOR_WORKERS_MAX = 480,
	WEIR_SUPERVISOR_LINKS_MAX = 960, /* two per worker: an old one may still be closing */
	WEIR_SUPERVISOR_LISTEN_MAX = WEIR_OPTIONS_LISTEN_MAX + 1,
	WEIR_STATUS_CLIENTS_MAX = 32,
};
static_assert(WEIR_SUPERVISOR_WORKERS_MAX + 4 <= WEIR_BOARD_PROCESSES_MAX, "each process has a row");

struct weir_worker {
	struct weir_process process; /* pid 0 = free place in the table */
	uint64_t pool_key;
	uint32_t runtime; /* enum weir_runtime_kind */
	char space[64];
	uint64_t accepted_before; /* by links that are gone */
	uint64_t finished_before;
	uint64_t accepted_seen; /* when it was last found busy */
	uint64_t busy_ns;       /* when that was */
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

struct weir_pool {
	uint64_t key;
	uint32_t runtime;
	uint32_t workers_min;
	uint32_t workers_max;
	uint32_t functions; /* in the newest snapshot; 0 = no workers are kept */
	uint32_t wanted;    /* workers now: between min and max, raised by demand */
	uint64_t raised_ns; /* when demand last raised it */
	struct weir_restart restart;
	char space[64];
};

struct weir_listener {
	char address[112];
	bool local;
	int fd[WEIR_SHARDS_MAX]; /* shard_count of them; the Unix socket only [0] */
};

struct weir_status_client {
	int fd; /* -1 = free */
	uint64_t give_up_ns;
};

struct weir_supervisor {
	struct weir_options options;
	uint16_t cpu[WEIR_SHARDS_MAX];
	uint32_t shard_count;
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
	uint64_t tick_ns; /* next look at idle workers */
	uint64_t due_ns;  /* when the next turn is needed at the latest */
	uint64_t refused_ns; /* when a limit was last logged */

	struct weir_board *board;
	int board_fd;
	int status_fd;
	struct weir_status_client client[WEIR_STATUS_CLIENTS_MAX];
	struct weir_listener listener[WEIR_SUPERVISOR_LISTEN_MAX];
	size_t listener_count;

	struct weir_snapshot snapshot;
	int snapshot_fd; /* -1 = none yet */
	uint64_t generation;
	struct weir_pool *pool;
	size_t pool_count;

	struct weir_process gateway;
	int shard_board_fd;
	struct weir_restart gateway_restart;
	struct weir_process ctrld;
	struct weir_restart ctrld_restart;
	struct weir_control ack; /* newest SNAPSHOT_ACK for ctrld */
	bool ack_waits;
	struct weir_worker worker[WEIR_SUPERVISOR_WORKERS_MAX];
	size_t worker_places; /* places ever used: [0 .. worker_places-1] */
	struct weir_link link[WEIR_SUPERVISOR_LINKS_MAX];
	size_t link_places;
};

/* What an epoll event is about: kind in the top byte, a place or id below. */
enum weir_watch {
	WEIR_WATCH_STORE = 1,
	WEIR_WATCH_SIGNAL,
	WEIR_WATCH_STATUS,
	WEIR_WATCH_CLIENT,
	WEIR_WATCH_CONTROL, /* low bits: process id; 0 is the gateway's, 1 ctrld's */
	WEIR_WATCH_PIDFD,
};

/* supervisor.c */

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

/* records.c: what stands in the store */

/* Write one process, link or snapshot as it is now. */
void weir_record_process_keep(struct weir_supervisor *supervisor, struct weir_process *process);
void weir_record_worker_keep(struct weir_supervisor *supervisor, struct weir_worker *worker);
void weir_record_worker_forget(struct weir_supervisor *supervisor, const struct weir_worker *worker);
void weir_record_link_keep(struct weir_supervisor *supervisor, struct weir_link *link);
void weir_record_link_forget(struct weir_supervisor *supervisor, const struct weir_link *link);
void weir_record_snapshot_keep(struct weir_supervisor *supervisor);
void weir_record_listener_keep(struct weir_supervisor *supervisor, size_t index);

/* Receive everything that the keeper holds and restore it; then count this supervisor. 0, or -errno:
 * the keeper is gone. Entries that make no sense are logged and dropped, their processes killed. */
int weir_record_take_over(struct weir_supervisor *supervisor);

/* listen.c */

/* Open all sockets of the options that the store did not bring. 0, or -errno with the reason in
 * `problem`. */
int weir_listen_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Queue GATEWAY_START and LISTEN messages on the control socket of a gateway not yet started.
 * 0 or -errno. */
int weir_listen_send(const struct weir_supervisor *supervisor, int control_fd);

/* Listen on the Unix socket DATA/run/`name` (mode 0600) of SOCK_STREAM or SOCK_SEQPACKET, replacing
 * a file left there. 0 and *out_fd, or -errno. */
int weir_listen_local(const struct weir_supervisor *supervisor, const char *name, int type, int *out_fd);

/* Remove the socket files of the instance. */
void weir_listen_remove(const struct weir_supervisor *supervisor);

/* spawn.c: starting processes, and what follows when one dies */

/* Are all programs there? 0, or -ENOENT with the reason in `problem`. */
int weir_spawn_check(char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Start what is due; failures are logged and tried again later. */
void weir_spawn_gateway(struct weir_supervisor *supervisor, uint64_t now_ns);
void weir_spawn_ctrld(struct weir_supervisor *supervisor, uint64_t now_ns);
bool weir_spawn_worker(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns);

/* The pidfd of a process fired. */
void weir_spawn_gateway_ended(struct weir_supervisor *supervisor);
void weir_spawn_ctrld_ended(struct weir_supervisor *supervisor);
void weir_spawn_worker_ended(struct weir_supervisor *supervisor, struct weir_worker *worker);

/* Ask a process to end; kill it `patience_ns` later. Tried again until it is sent. */
void weir_spawn_stop(struct weir_supervisor *supervisor, struct weir_process *process, uint64_t now_ns,
		     uint64_t patience_ns);

/* Kill what takes too long to start or to stop. */
void weir_spawn_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* inbox.c */

/* Handle what a process sent. */
void weir_inbox_gateway(struct weir_supervisor *supervisor);
void weir_inbox_ctrld(struct weir_supervisor *supervisor);
void weir_inbox_worker(struct weir_supervisor *supervisor, struct weir_worker *worker);

/* config.c: the newest snapshot */

/* Make the memfd `fd` the newest snapshot and rebuild the pools; takes `fd` over in every case.
 * 0, -EALREADY (not newer), or why it is refused (see weir_snapshot_attach). */
int weir_config_adopt(struct weir_supervisor *supervisor, int fd);

/* Load DATA/snapshot.weir into a sealed memfd and adopt it, so that routes are served before ctrld
 * is up. Logs what is wrong with it; a missing file is normal. */
void weir_config_load(struct weir_supervisor *supervisor);

/* Send the newest acknowledgement to ctrld, if one waits. */
void weir_config_ack_forward(struct weir_supervisor *supervisor);

/* Send the newest snapshot and the newest acknowledgement to whoever lacks them. */
void weir_config_spread(struct weir_supervisor *supervisor);

/* pool.c: how many workers, and which */

struct weir_pool *weir_pool_find(struct weir_supervisor *supervisor, uint64_t key);
struct weir_worker *weir_worker_find(struct weir_supervisor *supervisor, uint64_t id);

/* Workers of a pool that are not on their way out. */
uint32_t weir_pool_workers(const struct weir_supervisor *supervisor, uint64_t key);

/* Calls of this pool wait: raise its wanted workers, at most once per 10 ms and not while one that
 * was wanted is still starting. */
void weir_pool_demand(struct weir_supervisor *supervisor, uint64_t key, uint32_t waiting, uint64_t now_ns);

/* Start missing workers, retire superfluous ones, move retiring ones on. */
void weir_pool_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* link.c */

/* Open missing links, move closing ones on. */
void weir_link_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* A link of `worker` to the gateway that runs now: opening or open (`draining` false), or one that
 * this gateway still drains (true). NULL if there is none. */
struct weir_link *weir_link_current(struct weir_supervisor *supervisor, const struct weir_worker *worker,
				    bool draining);
struct weir_link *weir_link_find(struct weir_supervisor *supervisor, uint64_t id);

/* Let the gateway drain it. */
void weir_link_drain(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t give_up_ns);

/* LINK_GONE of either end. */
void weir_link_gone(struct weir_supervisor *supervisor, uint64_t id, bool from_gateway);

/* A process died. */
void weir_link_worker_died(struct weir_supervisor *supervisor, struct weir_worker *worker);
void weir_link_gateway_died(struct weir_supervisor *supervisor);

/* The store was taken over: close links whose ends are gone or that were half open. */
void weir_link_taken_over(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Unmap, close and forget. */
void weir_link_release(struct weir_supervisor *supervisor, struct weir_link *link);

/* board.c */

/* Create the board if the store did not bring it, else count a restart of the supervisor. 0/-errno. */
int weir_board_open(struct weir_supervisor *supervisor);

/* Write the process rows and the segment counts. */
void weir_board_rows_write(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Calls started and finished by a worker: its links' lines and what earlier links counted. */
void weir_board_worker_counts(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
			      struct weir_board_process *row);

/* status_socket.c */

/* Listen on DATA/run/supervisor.sock unless the store brought the socket. 0, or -errno with the
 * reason in `problem`. */
int weir_status_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);
void weir_status_accept(struct weir_supervisor *supervisor, uint64_t now_ns);
void weir_status_answer(struct weir_supervisor *supervisor, uint64_t client);
/* Drop clients that said nothing for too long. */
void weir_status_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
