/* rig: plays supervisor and gateway for one real worker process: starts it, feeds it snapshots and
 * links, sends calls as a shard does and checks every message that comes back against the rules of
 * abi/message.h. A rule broken by the worker fails the test where it happens.
 * Threads: one. */
#ifndef WEIR_TESTS_WORKER_RIG_H
#define WEIR_TESTS_WORKER_RIG_H

/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>
#include <sys/types.h>

#include "dataplane/abi/control.h"
#include "dataplane/abi/head.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"

enum {
	RIG_LINKS_MAX = 4,
	RIG_SHARDS_MAX = 2,
	RIG_FUNCTIONS_MAX = 16,
	RIG_WAIT_MS = 20000, /* far beyond what anything here takes */
};

struct rig_function {
	uint64_t id;
	uint64_t version;
	const char *name;
	const char *code_path;
	const char *handler;
	const char *interpreter;
	bool is_elsewhere; /* no worker of this one's pool runs it */
};

struct rig_request {
	const char *path;
	const char *query;
	const char *field_name; /* one field, or NULL */
	const char *field_value;
	const char *param_name; /* one parameter, or NULL */
	const char *param_value;
	const void *body;
	size_t body_bytes;
	bool is_streamed; /* the body is sent when the worker asks for it */
	bool is_length_unknown;
	bool is_body_withheld;  /* streamed, but never sent */
	bool is_grant_withheld; /* no grants beyond the first */
	uint8_t method;
	uint64_t generation; /* 0 = the newest sent */
	uint64_t timeout_ms; /* 0 = RIG_WAIT_MS */
};

/* One call and what became of it. */
struct rig_call {
	struct rig_pair *pair;
	struct rig_request request;
	uint64_t sequence;
	uint16_t index;
	bool is_used;
	bool is_done;  /* the worker's last message came */
	bool is_asked; /* the worker asked for the body */
	bool is_head_seen;
	size_t body_sent;
	uint32_t body_out; /* body chunks in the worker's hands */
	bool is_body_ended;
	uint32_t grants_out;
	uint32_t abort_code; /* 0 = none */
	char abort_text[256];
	uint32_t status;
	uint64_t content_length;
	char fields[4096]; /* "name: value\n" ... */
	uint8_t *answer;
	size_t answer_bytes;
	uint32_t parts; /* messages with payload */
};

struct rig_pair {
	struct rig_link *link;
	uint32_t shard;
	struct weir_ring_tx tx;
	struct weir_ring_rx rx;
	struct weir_chunk_arena arena;
	struct rig_call call[WEIR_PAIR_CALLS];
};

struct rig_link {
	struct rig *rig;
	bool is_open;
	bool is_gone; /* the worker said so */
	uint64_t link_id;
	uint32_t shard_count;
	int segment_fd;
	int board_fd;
	int event_fd[RIG_SHARDS_MAX];
	struct weir_segment segment;
	struct weir_shard_board *board;
	struct rig_pair pair[RIG_SHARDS_MAX];
};

struct rig {
	pid_t pid;
	int pid_fd;
	int socket_fd;
	int stderr_fd; /* the worker's, when captured */
	bool is_ready;
	uint64_t generation; /* newest sent */
	uint64_t generation_acked;
	uint64_t sequence;
	uint64_t link_id;
	struct rig_link link[RIG_LINKS_MAX];
};

/* Start the worker of `runtime` ("native") and send WORKER_START. */
void rig_start(struct rig *rig, const char *runtime);

/* Build and send a snapshot with these functions as the next generation; waits for its ack. */
void rig_configure(struct rig *rig, const struct rig_function *functions, size_t count);
/* The same without waiting. */
void rig_configure_send(struct rig *rig, const struct rig_function *functions, size_t count);

/* Send LINK_OPEN of a fresh link. */
struct rig_link *rig_link_open(struct rig *rig, uint32_t shard_count);
/* Send LINK_CLOSE. */
void rig_link_close(struct rig_link *link);

/* Queue a call and publish it; does not wait. */
struct rig_call *rig_call(struct rig_link *link, uint32_t shard, uint64_t function_id,
			  const struct rig_request *request);
/* The same without publishing: for batches. */
struct rig_call *rig_call_push(struct rig_link *link, uint32_t shard, uint64_t function_id,
			       const struct rig_request *request);
void rig_publish(struct rig_link *link, uint32_t shard);

/* Send CANCEL. */
void rig_cancel(struct rig_call *call);
/* Take a queued call back; true if the worker never had it. */
bool rig_recall(struct rig_call *call);
/* Give a withheld grant, or go on with a withheld body. */
void rig_grant(struct rig_call *call);
void rig_body_go_on(struct rig_call *call);

/* Handle everything that the worker sends until the call's last message / until `condition` holds. */
void rig_wait_done(struct rig_call *call);
void rig_wait(struct rig *rig, bool (*condition)(void *argument), void *argument,
	      const char *what);
/* One turn: handle what is there, sleeping at most `ms` as a shard sleeps. */
void rig_turn(struct rig *rig, int ms);

/* Free a done call. */
void rig_call_free(struct rig_call *call);
/* A call from start to end; free it with rig_call_free(). */
struct rig_call *rig_invoke(struct rig_link *link, uint64_t function_id,
			    const struct rig_request *request);

/* Wait for the worker's end; returns the status as waitpid(2) gives it. */
int rig_wait_exit(struct rig *rig);
/* STOP (or SIGKILL if it is already gone), wait, free everything. */
void rig_stop(struct rig *rig);

/* What the worker wrote to standard error so far; the caller frees it. */
char *rig_stderr(struct rig *rig);

/* Assertions on a done call: the answer's bytes, status, and that nothing was aborted. */
void rig_assert_answer(const struct rig_call *call, uint32_t status, const char *body);

#endif
