/* writer: the thread that has the queue, and the calls that ask it for something.
 *
 *   call: operation --list--> writer: all that wait, in one transaction --commit, one fsync--> bell --> calls
 *
 * What comes while a commit is on its way to the disk waits for the next one; so the more is asked for at once,
 * the fewer fsyncs it takes. A call waits as runtimes do (others run meanwhile), on an eventfd that its whole
 * batch shares. It has its answer only when the commit has returned.
 * Owns: the thread, the queue from the first operation on (another process may have it until then), an operation
 * whose call has gone. Threads: do(), limits(): the baton's holder; the rest: the writer's.
 * Failure of the disk: every operation of the batch is answered with it, nothing is changed, and the next batch
 * is tried as if nothing had been. */
#ifndef WEIR_CTRL_QUEUED_WRITER_H
#define WEIR_CTRL_QUEUED_WRITER_H

#include "ctrl/queue/queue.h"
#include "dataplane/runtime/runtime.h"

enum { WEIR_WRITER_STARTS_MAX = 4 /* runners that one call sends for */ };

enum weir_operation_kind {
	WEIR_OPERATION_ACCEPT,
	WEIR_OPERATION_TAKE,
	WEIR_OPERATION_RENEW,
	WEIR_OPERATION_DONE, /* and take, unless it is the last */
	WEIR_OPERATION_LEAVE,
	WEIR_OPERATION_FIND,
	WEIR_OPERATION_LIST,
	WEIR_OPERATION_CANCEL,
	WEIR_OPERATION_REDRIVE,
	WEIR_OPERATION_REPLAY, /* a new call like an old one: `call` is what it became */
	WEIR_OPERATION_REMOVE,
	WEIR_OPERATION_STATUS,
};

/* What is asked for, and what came of it. From weir_operation_create(). */
struct weir_operation {
	enum weir_operation_kind kind;
	struct weir_queue_call call; /* ACCEPT, RENEW, DONE: what queue.h asks for; TAKE, DONE, FIND, REPLAY: the answer */
	char key[WEIR_QUEUE_KEY_BYTES_MAX + 1]; /* ACCEPT; empty: none */
	uint64_t runner;
	bool is_last;
	struct weir_id id; /* FIND and those behind it */
	struct weir_id new_id; /* REPLAY */
	enum weir_queue_state state; /* LIST: wanted; CANCEL: what it was */
	int64_t after;
	size_t max;
	struct weir_queue_call *list; /* LIST: `list_count` of them */
	int list_count;
	struct weir_queue_status status;
	int result; /* 0; what queue.h says of the operation; or, with a sentence, the database's trouble */
	char sentence[512];
	uint64_t start[WEIR_WRITER_STARTS_MAX]; /* runners to send for once this is answered */
	size_t start_count;

	/* The writer's. */
	struct weir_operation *next;
	int bell_fd;
	bool is_done;      /* locked */
	bool is_abandoned; /* locked: the writer frees it */
};

/* NULL: no memory. */
struct weir_operation *weir_operation_create(enum weir_operation_kind kind);
void weir_operation_free(struct weir_operation *operation);

struct weir_writer;

/* Start the thread. 0, -ENOMEM or -errno. It lives as long as the process. */
int weir_writer_create(struct weir_writer **out_writer);

/* Where the queue is, and its limits, from now on. */
void weir_writer_configure(struct weir_writer *writer, const char *directory, const struct weir_queue_limits *limits);

/* Have it done, and wait. 0: see operation->result. -ECANCELED, -ETIMEDOUT: the call is over, and the operation
 * is no longer the caller's; it is or will be done. */
int weir_writer_do(struct weir_writer *writer, struct weir_runtime_call *call, struct weir_operation *operation);

#endif
