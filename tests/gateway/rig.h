/* rig: a real weir-gateway process whose supervisor and workers are played by the test.
 * The test decides what a worker answers, so it can lie, die and dawdle at any step. */
#ifndef WEIR_TESTS_GATEWAY_RIG_H
#define WEIR_TESTS_GATEWAY_RIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "dataplane/abi/board.h"
#include "dataplane/abi/control.h"
#include "dataplane/abi/head.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"

/* What a test may choose; 0 stands for the default in brackets. */
struct rig_options {
	uint32_t shard_count;        /* [1] at most RIG_SHARDS_MAX */
	uint32_t timeout_ms;         /* [500] of both functions */
	uint32_t kill_grace_ms;      /* [100] */
	uint32_t queue_max;          /* [4] of each */
	uint32_t head_timeout_ms;    /* [300] */
	uint32_t send_idle_ms;       /* [1000] */
	uint32_t descriptors_max;    /* [inherited] at most the gateway's RLIMIT_NOFILE */
	uint32_t workers_max;        /* [1] of the pool; a suspect function may use the only worker */
	uint32_t workers_remote;     /* [0] how far the workers' node is: 255 = the farthest */
	bool is_system;              /* [false] both functions are Weir's own */
	uint32_t control_send_bytes; /* [the kernel's] what waits unread for the supervisor at most */
};

enum { RIG_SHARDS_MAX = 2 };

struct rig {
	struct rig_options options;
	bool stopping;
	pid_t gateway;
	int control_fd;
	int board_fd;
	int shard_board_fd;
	struct weir_board *board;
	uint16_t port;
	uint64_t pool_key;
	uint64_t next_id;
};

/* One played worker: a child that only waits to be killed, and the segment in the test's hands. */
struct rig_worker {
	pid_t pid;
	int event_fd; /* shard 0's */
	uint64_t link_id;
	struct weir_segment segment;
	struct weir_ring_rx rx;
	struct weir_ring_tx tx;
};

/* Start the gateway with one shard and two functions (timeout 500 ms): `f` on `ANY /f` and
 * `ANY /f/{id}`, `g` on `ANY /g`. The second form lets the test choose. */
void rig_start(struct rig *rig);
void rig_start_with(struct rig *rig, const struct rig_options *options);

/* Ask it to stop, unless that was done, and check that it exits with 0. */
void rig_ask_to_stop(struct rig *rig);
void rig_stop(struct rig *rig);

/* For cmocka: start with the options that *state points to (NULL: the defaults) and leave the rig
 * there; wait until nothing is held any more, whatever the test did, and stop. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* False if the gateway's process has ended. */
bool rig_is_alive(const struct rig *rig);

/* Wait for a control message of this kind; others are dropped. Fails the test after 5 s. */
struct weir_control rig_expect(struct rig *rig, enum weir_control_kind kind);

/* True if such a message comes within `ms`. */
bool rig_sees(struct rig *rig, enum weir_control_kind kind, int ms);

/* Start a worker and wait until its link is ready; offering does not wait. */
void rig_worker_start(struct rig *rig, struct rig_worker *worker);
void rig_worker_offer(struct rig *rig, struct rig_worker *worker);
void rig_worker_kill(struct rig_worker *worker);

/* Tell the gateway to let go of the worker's link when it is idle. */
void rig_worker_drain(struct rig *rig, const struct rig_worker *worker);

/* Next message for the worker; fails the test after 5 s. */
struct weir_message rig_worker_pop(struct rig_worker *worker);
bool rig_worker_has(struct rig_worker *worker, int ms);

/* Pop a HEAD and accept its call. */
struct weir_message rig_worker_accept(struct rig_worker *worker);

/* Push one message and ring. */
void rig_worker_push(struct rig_worker *worker, const struct weir_message *message);

/* Write a response head and body to `chunk`; fills in bytes and head_bytes. */
void rig_worker_write(struct rig_worker *worker, struct weir_message *message, uint32_t chunk,
		      uint16_t status, const void *body, size_t bytes);

/* Answer the call of `head` with one message. */
void rig_worker_answer(struct rig_worker *worker, const struct weir_message *head, uint16_t status,
		       const char *body);

/* Ask for the body of the call of `head`. */
void rig_worker_ask(struct rig_worker *worker, const struct weir_message *head);

/* Send the head of the answer to `head` with its first bytes; more will come. */
void rig_worker_begin(struct rig_worker *worker, const struct weir_message *head, const char *part);

/* Send `bytes` zeros in the chunk that the credit grants; at most a large chunk of them. */
void rig_worker_continue(struct rig_worker *worker, const struct weir_message *credit, size_t bytes,
			 bool last);

/* A client: connect, send, read until `bytes` are there or the peer closed or 5 s passed. */
int rig_client(const struct rig *rig);

/* One whose socket buffers as little as the kernel lets it of what it did not read. */
int rig_client_narrow(const struct rig *rig);
void rig_send(int fd, const char *text);
size_t rig_read(int fd, char *out, size_t bytes);

/* Close it with a reset: it leaves nothing behind. */
void rig_reset(int fd);

/* Read one answer with Content-Length completely; NUL-terminated. */
void rig_read_answer(int fd, char *out, size_t max);

/* A metric, summed over the shards; and the same after waiting up to 5 s for it to become `want`. */
uint64_t rig_metric(const struct rig *rig, enum weir_metric metric);
void rig_expect_metric(const struct rig *rig, enum weir_metric metric, uint64_t want);

#endif
