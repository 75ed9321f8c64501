/* process: one process that the supervisor runs: a gateway, ctrld or a worker.
 *
 *   BACKOFF --start--> STARTING --READY--> READY --retire, stop--> DRAINING --> (gone)
 *      ^-------------- died ------'----------'
 *
 * It is known by a pidfd (never by its number alone) and by our end of its control socket. A process
 * that an earlier supervisor started is the keeper's child: it is watched and signalled through its
 * pidfd just the same, only its exit status is the keeper's to read.
 * Owner: the supervisor's one thread. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_PROCESS_H
#define WEIR_DATAPLANE_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/abi/board.h"

/* When a place (gateway, ctrld, a pool) may start a process again. */
struct weir_restart {
	uint64_t delay_ns; /* of the next restart */
	uint64_t next_ns;  /* not before this, CLOCK_MONOTONIC */
	uint64_t restarts; /* so far */
};

struct weir_process {
	enum weir_process_kind kind;
	enum weir_process_state state;
	pid_t pid;         /* 0 = not running */
	int pidfd;         /* -1 = not running */
	int control_fd;    /* -1 = none, or it closed its end */
	bool child;        /* ours: started by this supervisor */
	bool stop_sent;
	bool killed;
	uint64_t id;         /* worker id; gateway: its incarnation */
	uint64_t started_ns;
	uint64_t kill_at_ns; /* start or stop takes too long; 0 = no limit */
	uint64_t generation_sent; /* newest snapshot it was sent */
};

/* A process that died at `now_ns` after it started at `started_ns`: at once if it lived for over a
 * second, else 10 ms, doubling to 1 s; to 100 ms if it had been ready, for then it is its work that
 * kills it and others wait for the place. Counts the restart. */
void weir_restart_note(struct weir_restart *restart, uint64_t started_ns, uint64_t now_ns, bool was_ready);

/* Nothing runs. */
void weir_process_clear(struct weir_process *process);

/* SIGKILL through the pidfd, once. */
void weir_process_kill(struct weir_process *process);

/* The pidfd fired: close descriptors, reap it if it is ours. `out_how` (64 bytes) gets
 * "status=1", "signal=9" or "status=unknown". */
void weir_process_reap(struct weir_process *process, char out_how[64]);

#endif
