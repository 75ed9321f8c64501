/* queue: asynchronous calls: accepted, kept on the disk, run, and remembered for a while.
 *
 *   accept --> READY --take--> RUNNING --done--> DONE       the function answered, whatever its status
 *      |         ^                |  |  '------> CANCELLED
 *      '-----> DELAYED <--again---'  '---------> DEAD       tried as often as it may, or nothing would mend it
 *
 * DATA/queue/queue.db is the truth. Whoever has the queue open owns it: a lock on the directory keeps others
 * out. A call that was handed out has a lease, which its runner renews; leases are memory, so that after a
 * crash each running call has a new one, and is READY again when nobody renews that. A call therefore runs at
 * least once, and may run twice. What a function answers is final; what keeps it from answering is tried
 * again, later each time (queue_policy.h).
 *
 *   begin --> any of the operations below --> commit       one transaction, one fsync
 *
 * Owns: the database, the lock, the leases. Threads: one at a time. May block on the disk.
 * Errors: of the database as ctrl/store/store.h, with a sentence: then roll back and go on; what else can be
 * wrong is named. Times: `wall_ms` since 1970 stands in the database, `now_ns` (CLOCK_MONOTONIC) in leases. */
#ifndef WEIR_CTRL_QUEUE_QUEUE_H
#define WEIR_CTRL_QUEUE_QUEUE_H

#include "ctrl/model/model.h"
#include "ctrl/queue/queue_policy.h"
#include "ctrl/store/store.h"
#include "dataplane/base/id.h"
#include "dataplane/base/span.h"

enum {
	WEIR_QUEUE_RUNNERS_MAX = 64,    /* calls that run at once */
	WEIR_QUEUE_LEASE_MS = 5000,     /* without a sign of its runner a call is handed out anew */
	WEIR_QUEUE_STARTING_MS = 2000,  /* a runner that was sent for and has not come is not coming */
	WEIR_QUEUE_TYPE_BYTES_MAX = 255, /* of a content type */
	WEIR_QUEUE_QUERY_BYTES_MAX = 1023,
	WEIR_QUEUE_KEY_BYTES_MAX = 255,
	WEIR_QUEUE_PRIORITY_MAX = 9,
	WEIR_QUEUE_PRIORITY_DEFAULT = 5,
	WEIR_QUEUE_DELAY_S_MAX = 366 * 86400,
	WEIR_QUEUE_LIST_MAX = 1000,
};

enum weir_queue_state {
	WEIR_QUEUE_DELAYED,
	WEIR_QUEUE_READY,
	WEIR_QUEUE_RUNNING,
	WEIR_QUEUE_DONE, /* this and those behind it have ended */
	WEIR_QUEUE_DEAD,
	WEIR_QUEUE_CANCELLED,
	WEIR_QUEUE_STATES,
};

/* One call. Texts from malloc, NULL where there is nothing: weir_queue_call_release(). */
struct weir_queue_call {
	int64_t number; /* in the order in which calls were accepted, from 1 */
	struct weir_id id;
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	enum weir_queue_state state;
	uint32_t priority; /* the highest go first; up to WEIR_QUEUE_PRIORITY_MAX */
	uint32_t attempt;  /* how often it was handed out */
	uint32_t failed;   /* runs of these that failed */
	uint32_t retries_max;
	bool is_cancelled; /* somebody asked for that while it ran */
	int64_t due_ms;
	int64_t accepted_ms;
	int64_t begun_ms; /* of the last run; 0 = none yet */
	int64_t ended_ms; /* 0 = not yet */
	char *query;
	char *type; /* of the body */
	char *body;
	size_t body_bytes;
	uint32_t status; /* of the last answer, the function's or Weir's; 0 = none */
	char *failure;   /* the word of Weir's error (http_failure.h); NULL: the function's answer */
	char *answer_type;
	char *answer;
	size_t answer_bytes;
};

/* Free its texts. */
void weir_queue_call_release(struct weir_queue_call *call);

/* "delayed", "ready", ...; and back: false where there is none of that name. */
const char *weir_queue_state_name(enum weir_queue_state state);
bool weir_queue_state_find(const char *name, enum weir_queue_state *out_state);

struct weir_queue_time {
	int64_t wall_ms;
	uint64_t now_ns;
};

/* What there is now. */
struct weir_queue_status {
	uint64_t count[WEIR_QUEUE_STATES];
	uint64_t bytes;        /* of all bodies and answers */
	int64_t oldest_ms;     /* when the first of those that are ready was accepted; 0 = none */
	int64_t due_ms;        /* when the first of those that are delayed is due; 0 = none */
	uint32_t runners;
};

struct weir_queue;

/* Open, made where it is missing. 0 and *out_queue; -EBUSY: another process has it, try again; or store.h. */
int weir_queue_open(const char *directory, struct weir_queue **out_queue, struct weir_store_error *error);
void weir_queue_close(struct weir_queue *queue);
void weir_queue_limits_set(struct weir_queue *queue, const struct weir_queue_limits *limits);

/* A transaction. After a failure of anything inside it roll back: all of it is undone, counts and leases
 * are as the database says. */
int weir_queue_begin(struct weir_queue *queue, struct weir_store_error *error);
int weir_queue_commit(struct weir_queue *queue, struct weir_store_error *error);
int weir_queue_rollback(struct weir_queue *queue, struct weir_store_error *error);

/* Take a call in: space, name, query, type, body, priority, due_ms and retries_max are the caller's, `call->id`
 * becomes its id. With a `key` (may be NULL) that came before in this namespace, nothing is taken in and
 * call->id is the earlier one's. -EDQUOT: there are as many, or as many bytes, as may be; -EEXIST: the
 * key came before for another function. */
int weir_queue_accept(struct weir_queue *queue, struct weir_queue_time time, struct weir_queue_call *call,
		      const char *key, struct weir_store_error *error);

/* The best call for this runner: the highest priority, of these the oldest. -ENOENT: there is none, or as many
 * run as may; the runner ends. */
int weir_queue_take(struct weir_queue *queue, struct weir_queue_time time, uint64_t runner,
		    struct weir_queue_call *out_call, struct weir_store_error *error);

/* The runner is still at it. -ECANCELED: it is to stop, and to say so with the word "cancelled"; -ESRCH: it is to
 * stop, for the call is no longer its own. */
int weir_queue_renew(struct weir_queue *queue, struct weir_queue_time time, uint64_t runner, int64_t number,
		     uint32_t attempt);

/* What came of a run: `end` has number, attempt, status, failure, answer_type, answer. -ESRCH: the call is no
 * longer the runner's, and was handed out again: nothing is changed. */
int weir_queue_done(struct weir_queue *queue, struct weir_queue_time time, const struct weir_queue_call *end,
		    struct weir_store_error *error);

/* The runner ends; nothing where it is not known. */
void weir_queue_leave(struct weir_queue *queue, uint64_t runner);

/* One call, all of it. -ENOENT. */
int weir_queue_find(struct weir_queue *queue, struct weir_id id, struct weir_queue_call *out_call,
		    struct weir_store_error *error);

/* Calls in one state (WEIR_QUEUE_STATES: in any), in the order of their numbers, those behind `after`; without body and
 * answer. Returns how many, up to `max`, or an error. */
int weir_queue_list(struct weir_queue *queue, enum weir_queue_state state, int64_t after, struct weir_queue_call *out,
		    size_t max, struct weir_store_error *error);

/* Cancel: at once, or when its runner next renews. -ENOENT, -EALREADY (it has ended; *out_state). */
int weir_queue_cancel(struct weir_queue *queue, struct weir_queue_time time, struct weir_id id,
		      enum weir_queue_state *out_state, struct weir_store_error *error);

/* A call that has ended: again, under the same id. -ENOENT, -EBUSY (it has not ended). */
int weir_queue_redrive(struct weir_queue *queue, struct weir_id id, struct weir_store_error *error);

/* Forget a call that has ended. -ENOENT, -EBUSY. */
int weir_queue_remove(struct weir_queue *queue, struct weir_id id, struct weir_store_error *error);

/* What time brings: delayed calls become ready, leases expire, what is too old goes; a bounded number of each.
 * Cheap when there is nothing. */
int weir_queue_sweep(struct weir_queue *queue, struct weir_queue_time time, struct weir_store_error *error);

/* How many runners to send for, up to `max`: their names in out[]. They count as running from now on. */
size_t weir_queue_runners_start(struct weir_queue *queue, struct weir_queue_time time, uint64_t *out, size_t max);

/* 0, or an error of the database. */
int weir_queue_status_get(struct weir_queue *queue, struct weir_queue_status *out_status,
			  struct weir_store_error *error);

#endif
