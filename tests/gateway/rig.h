/* rig: a real weir-gateway process whose supervisor and workers are played by the test.
 * The test decides what a worker answers, so it can lie, die and dawdle at any step. */
#ifndef WEIR_TESTS_GATEWAY_RIG_H
#define WEIR_TESTS_GATEWAY_RIG_H

#include <sys/types.h>

#include "dataplane/abi/board.h"
#include "dataplane/abi/control.h"
#include "dataplane/abi/head.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"

struct rig {
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
	int event_fd;
	uint64_t link_id;
	struct weir_segment segment;
	struct weir_ring_rx rx;
	struct weir_ring_tx tx;
};

/* Start the gateway with one shard, one function (timeout 500 ms) on `ANY /f` and `ANY /f/{id}`. */
void rig_start(struct rig *rig);

/* Ask it to stop and check that it exits with 0. */
void rig_stop(struct rig *rig);

/* Wait for a control message of this kind; others are dropped. Fails the test after 5 s. */
struct weir_control rig_expect(struct rig *rig, enum weir_control_kind kind);

/* True if such a message comes within `ms`. */
bool rig_sees(struct rig *rig, enum weir_control_kind kind, int ms);

void rig_worker_start(struct rig *rig, struct rig_worker *worker);
void rig_worker_kill(struct rig_worker *worker);

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

/* A client: connect, send, read until `bytes` are there or the peer closed or 5 s passed. */
int rig_client(const struct rig *rig);
void rig_send(int fd, const char *text);
size_t rig_read(int fd, char *out, size_t bytes);

/* Read one answer with Content-Length completely; NUL-terminated. */
void rig_read_answer(int fd, char *out, size_t max);

/* A shard metric, after waiting up to 5 s for it to become `want`. */
void rig_expect_metric(const struct rig *rig, enum weir_metric metric, uint64_t want);

#endif
