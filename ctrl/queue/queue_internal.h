/* queue_internal: what the queue's files share (queue.h). */
#ifndef WEIR_CTRL_QUEUE_QUEUE_INTERNAL_H
#define WEIR_CTRL_QUEUE_QUEUE_INTERNAL_H

#include <sqlite3.h>

#include "ctrl/queue/queue.h"

/* Prepared once. ?1, ?2, ...: in the order in which they stand behind a statement's name in queue.c. */
enum weir_queue_statement {
	WEIR_QUEUE_SQL_BEGIN,
	WEIR_QUEUE_SQL_COMMIT,
	WEIR_QUEUE_SQL_ROLLBACK,
	WEIR_QUEUE_SQL_ADD,
	WEIR_QUEUE_SQL_KEY_FIND,
	WEIR_QUEUE_SQL_KEY_ADD,
	WEIR_QUEUE_SQL_KEYS_TRIM,
	WEIR_QUEUE_SQL_BEST,
	WEIR_QUEUE_SQL_READ,
	WEIR_QUEUE_SQL_FIND,
	WEIR_QUEUE_SQL_TAKE,
	WEIR_QUEUE_SQL_END,
	WEIR_QUEUE_SQL_CANCELLING,
	WEIR_QUEUE_SQL_REDRIVE,
	WEIR_QUEUE_SQL_REMOVE,
	WEIR_QUEUE_SQL_DUE,
	WEIR_QUEUE_SQL_OLDEST_ENDED,
	WEIR_QUEUE_SQL_LIST,
	WEIR_QUEUE_SQL_FIRST_READY,
	WEIR_QUEUE_SQL_FIRST_DELAYED,
	WEIR_QUEUE_SQL_COUNTS,
	WEIR_QUEUE_SQL_RUNNING,
	WEIR_QUEUE_SQL_STATEMENTS,
};

/* A runner and what it has. */
struct weir_queue_lease {
	bool is_used;
	uint64_t runner; /* 0: from before a crash, nobody has spoken for it since */
	int64_t number;  /* 0: none yet, the runner was sent for */
	uint32_t attempt;
	bool is_cancelled;
	uint64_t until_ns;
};

struct weir_queue {
	char path[WEIR_STORE_PATH_BYTES_MAX];
	sqlite3 *db;
	int lock_fd;
	sqlite3_stmt *statement[WEIR_QUEUE_SQL_STATEMENTS];
	struct weir_queue_limits limits;
	struct weir_queue_lease lease[WEIR_QUEUE_RUNNERS_MAX];
	struct weir_id_source random;
	uint64_t count[WEIR_QUEUE_STATES];
	uint64_t bytes;
	uint64_t trimmed_ns;
	bool is_full; /* bytes_max was met: the oldest that have ended make room */
};

/* The statement, ready to be bound. */
sqlite3_stmt *weir_queue_statement(struct weir_queue *queue, enum weir_queue_statement which);

/* Run it to its end: 0, or as weir_sql_error(); for those without rows. */
int weir_queue_run(struct weir_queue *queue, sqlite3_stmt *statement, struct weir_store_error *error);

/* One step of a statement with rows: 1, 0 at the end, or an error. Reset it when done. */
int weir_queue_step(struct weir_queue *queue, sqlite3_stmt *statement, struct weir_store_error *error);

/* The row that a statement stands on, as WEIR_QUEUE_COLUMNS tells. 0 or -ENOMEM with *error. */
int weir_queue_row_read(sqlite3_stmt *row, struct weir_queue_call *out_call, struct weir_store_error *error);

/* The call with that number. -ENOENT. */
int weir_queue_read(struct weir_queue *queue, int64_t number, struct weir_queue_call *out_call,
		    struct weir_store_error *error);

/* Write how a call ended, or that it is tried again: state, due_ms, failed, is_cancelled, ended_ms and the
 * answer of `call`, which was in `before`. */
int weir_queue_end(struct weir_queue *queue, const struct weir_queue_call *call, enum weir_queue_state before,
		   uint64_t answer_bytes_before, struct weir_store_error *error);

/* Remove one that has ended. */
int weir_queue_forget(struct weir_queue *queue, int64_t number, enum weir_queue_state state, uint64_t bytes,
		      struct weir_store_error *error);

/* The lease of a running call, or NULL. */
struct weir_queue_lease *weir_queue_lease_of(struct weir_queue *queue, int64_t number, uint32_t attempt);

/* Fill *error with a sentence; returns `number`. */
int weir_queue_fail(struct weir_store_error *error, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* 16 bytes, in the order of the digits. */
void weir_queue_id_write(struct weir_id id, uint8_t out[16]);
struct weir_id weir_queue_id_read(const uint8_t bytes[16]);

/* NULL where there is none; the text stays the caller's, until the statement has run. */
void weir_queue_bind_text(sqlite3_stmt *statement, int place, const char *text);

static inline bool weir_queue_has_ended(enum weir_queue_state state)
{
	return state >= WEIR_QUEUE_DONE;
}

#endif
