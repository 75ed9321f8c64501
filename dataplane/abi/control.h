/* control: messages on the SOCK_SEQPACKET sockets between the supervisor and its processes.
 * Descriptor 3 of every process that the supervisor starts is its end; the keeper holds the other
 * end too, so the socket outlives a supervisor. One struct is one message; descriptors travel with
 * it (SCM_RIGHTS) in the order given. A receiver checks size, magic and descriptor count and
 * ignores kinds that it does not know (and closes their descriptors).
 *
 *   to the gateway                              from the gateway
 *   GATEWAY_START  board, load board, records   READY        shard board (sealed)
 *   LISTEN         one socket per shard         LINK_READY   all shards may use the link
 *   LINK_OPEN      segment, pidfd, eventfds,    LINK_GONE    all shards have let go
 *                  memory's counts or none
 *   LINK_CLOSE     (drain)                      SNAPSHOT_ACK
 *   SNAPSHOT       memfd                        WORKER_KILL  overdue call or a lie
 *   STOP                                        DEMAND       a pool has waiting calls
 *                                               COLD_START   a call that waited for a worker's start is answered
 *   to a worker                                 from a worker
 *   WORKER_START   output socket or none,       READY
 *                  memory's counts or none
 *   LINK_OPEN      segment, shard board,        LINK_GONE
 *                  eventfds
 *   LINK_CLOSE
 *   ENVIRONMENT    memfd
 *   SNAPSHOT       memfd                        SNAPSHOT_ACK
 *   STOP           finish what runs, exit
 *   REVEALED       it is in your view           REVEAL       a function is about to be loaded
 *   to ctrld                                    from ctrld
 *   CTRLD_START    newest snapshot or none      READY
 *   SNAPSHOT_ACK                                SNAPSHOT     memfd
 *   BUILD_DONE                                  BUILD        folders of input and output, log
 *   OUTPUT_OPEN    the other end of a worker's  OUTPUT_GONE  read to its end
 *                  output socket
 *   ACTIVATIONS    records of calls, bell
 *   BOARD          the board, read-only
 *                                               ENVIRONMENT  memfd
 *   STOP */
#ifndef WEIR_DATAPLANE_ABI_CONTROL_H
#define WEIR_DATAPLANE_ABI_CONTROL_H

#include <stdint.h>

#include "dataplane/abi/link.h"

#define WEIR_CONTROL_MAGIC UINT32_C(0x63726577) /* "werc" */

enum {
	WEIR_CONTROL_FD = 3,
	WEIR_CONTROL_NODE_ANY = 0xffff,
};

enum weir_control_kind {
	WEIR_CONTROL_READY = 1,
	WEIR_CONTROL_STOP,
	WEIR_CONTROL_GATEWAY_START,
	WEIR_CONTROL_LISTEN,
	WEIR_CONTROL_WORKER_START,
	WEIR_CONTROL_CTRLD_START,
	WEIR_CONTROL_LINK_OPEN,
	WEIR_CONTROL_LINK_CLOSE,
	WEIR_CONTROL_LINK_READY,
	WEIR_CONTROL_LINK_GONE,
	WEIR_CONTROL_SNAPSHOT,
	WEIR_CONTROL_SNAPSHOT_ACK,
	WEIR_CONTROL_WORKER_KILL,
	WEIR_CONTROL_DEMAND,
	WEIR_CONTROL_BUILD,
	WEIR_CONTROL_BUILD_DONE,
	WEIR_CONTROL_OUTPUT_OPEN,
	WEIR_CONTROL_OUTPUT_GONE,
	WEIR_CONTROL_REVEAL,
	WEIR_CONTROL_REVEALED,
	WEIR_CONTROL_ENVIRONMENT,
	WEIR_CONTROL_COLD_START,
	WEIR_CONTROL_ACTIVATIONS,
	WEIR_CONTROL_BOARD,
};

struct weir_control {
	uint32_t magic;
	uint32_t kind;      /* enum weir_control_kind */
	uint32_t abi_major; /* WEIR_ABI_MAJOR; another one is refused */
	uint32_t reserved;
	union {
		/* GATEWAY_START: shards are pinned to cpu[0 .. shard_count-1]; what a shard keeps to itself lies
		 * on its NUMA node, or the nearest with memory. Numbers are the kernel's. fds: board,
		 * load board (load.h), read-only; where records of calls go and its bell (activation.h);
		 * tests may leave out the last two, or all but the board. */
		struct {
			uint32_t shard_count;
			uint16_t cpu[WEIR_SHARDS_MAX];
			uint16_t memory_node[WEIR_SHARDS_MAX]; /* or WEIR_CONTROL_NODE_ANY */
		} gateway_start;
		/* LISTEN fds: shard_count listening sockets, the i-th for shard i. */
		struct {
			uint32_t local; /* 1 = the Unix socket */
			char address[112]; /* for logs */
		} listen;
		/* WORKER_START: which runtime and namespace this worker serves. fds: where what its
		 * functions print goes (abi/output.h), or none; what its control group counts
		 * (base/memory_events.h), or none. */
		struct {
			uint64_t worker_id;
			uint64_t pool_key;
			char space[64];
		} worker_start;
		/* LINK_OPEN to the gateway: segment, pidfd, then shard_count eventfds, then what the worker's
		 * control group counts, or nothing.
		 * To a worker: segment, shard board, then shard_count eventfds.
		 * `home` is the worker's home shard, whose node it is on; `remote` how far that is from each
		 * shard's: 0 = the same node, 255 = the farthest two that this machine has. */
		struct {
			uint64_t link_id;
			uint64_t worker_id;
			uint64_t pool_key;
			uint32_t shard_count;
			int32_t worker_pid;
			uint32_t home; /* below shard_count */
			uint8_t remote[WEIR_SHARDS_MAX];
			uint32_t reserved;
		} link_open;
		/* LINK_CLOSE: start nothing new; let go when idle. LINK_READY, LINK_GONE. */
		struct {
			uint64_t link_id;
			uint64_t worker_id;
		} link;
		/* SNAPSHOT fds: the memfd. */
		struct {
			uint64_t generation;
		} snapshot;
		/* SNAPSHOT_ACK. From a worker shards are 0. */
		struct {
			uint64_t generation;
			uint32_t shards_acked;
			uint32_t shards_total;
			uint64_t took_ns; /* receipt of the descriptor to the last shard's switch */
		} snapshot_ack;
		/* WORKER_KILL. */
		struct {
			uint64_t worker_id;
			uint64_t function_id;
			char reason[96];
		} worker_kill;
		/* REVEAL, and REVEALED with 0 or a negative errno. */
		struct {
			uint64_t function_id;
			int32_t error;
			uint32_t directory; /* REVEAL: 1 = with what lies beside its file */
		} reveal;
		/* DEMAND: calls of this pool wait in `shard` and no worker has room. */
		struct {
			uint64_t pool_key;
			uint32_t waiting;
			uint32_t urgent; /* 1 = no worker that it has can ever run them */
			uint32_t shard;
			uint32_t reserved;
		} demand;
		/* COLD_START: once for each shard and worker. */
		struct {
			uint64_t worker_id;
			uint64_t took_ns; /* from the call's arrival to the begin of its answer */
		} cold_start;
		/* BUILD: run weir-build-RUNTIME on the file `name` of the input folder; its result is the
		 * file "artifact" of the output folder. fds: input folder, output folder, log. */
		struct {
			uint64_t build_id;
			uint32_t time_ms; /* killed then */
			uint32_t reserved;
			char runtime[16];
			char name[256];
		} build;
		/* ENVIRONMENT fds: the memfd (environment.h) of one namespace; replaces the one before. */
		struct {
			char space[64];
		} environment;
		/* BUILD_DONE, exactly one for each BUILD. */
		struct {
			uint64_t build_id;
			int32_t error;  /* -errno: it could not be started; else 0 */
			int32_t status; /* exit status, or minus the signal that ended it */
			uint32_t timed_out;
			uint32_t reserved;
		} build_done;
		/* OUTPUT_OPEN fds: where what this worker's functions print arrives; told again after
		 * either end was replaced. OUTPUT_GONE: the worker only. */
		struct {
			uint64_t worker_id;
			char space[64];
		} output;
	};
};

#endif
