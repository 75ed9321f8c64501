/* log_store: what functions printed, in DATA/log/functions.db, apart from everything that is promised to
 * last: it may be deleted, and one that is damaged is put aside (functions.db.damaged) and begun anew.
 *
 *   begin -> add, add, ... -> commit      writer: one, the collector's thread
 *   read: newest lines, or those after a number     readers: any, each its own connection
 *
 * Each line has a number that only grows. The oldest go first, when the file holds more than
 * bytes_max or they are older than keep_s.
 * Durability: a commit outlives this process (kill -9); the last seconds may be lost with the machine.
 * Owns: the writer's connection. Threads: writer: one; read: any. May block on the disk.
 *
 * Errors as in store.h, with a sentence. */
#ifndef WEIR_CTRL_STORE_LOG_STORE_H
#define WEIR_CTRL_STORE_LOG_STORE_H

#include "ctrl/store/store.h"
#include "dataplane/base/span.h"

enum {
	WEIR_LOG_STORE_LINES_MAX = 1000, /* of one reading */
	WEIR_LOG_STREAM_ANSWER = 6,      /* the stream of lines that are what was answered: abi/output.h */
};

struct weir_log_store;

struct weir_log_line {
	uint64_t id;          /* set by the store */
	uint64_t time_ns;     /* CLOCK_REALTIME, as the worker says */
	uint64_t received_ns; /* when ctrld got it; what its age is */
	uint64_t activation_high;
	uint64_t activation_low;
	uint8_t stream;            /* enum weir_output_stream */
	struct weir_span function; /* "namespace/name" */
	struct weir_span text;     /* any bytes */
};

/* Which lines. Of one function or of one activation. */
struct weir_log_filter {
	const char *function; /* NULL = the activation's */
	uint64_t activation_high;
	uint64_t activation_low;
	uint64_t after_id; /* only newer ones; oldest first up to lines_max */
	uint64_t since_ns; /* only those printed since */
	bool answers;      /* what was answered, in its parts, in place of what was printed */
	bool newest;       /* the newest lines_max instead; still oldest first */
	uint32_t lines_max; /* 1 .. WEIR_LOG_STORE_LINES_MAX */
};

struct weir_log_totals {
	uint64_t bytes;   /* what is kept takes on the disk */
	uint64_t dropped; /* lines that never got here, over all times */
};

/* Open or make the database in DATA/log. 0 or an error. */
int weir_log_store_open(const char *data, struct weir_log_store **out_store,
			struct weir_store_error *error);
void weir_log_store_close(struct weir_log_store *store);

/* One transaction. After an error it is rolled back; -EBADMSG: the store is of no use any more, close
 * it and open anew. `dropped` lines are added to the total. */
int weir_log_store_begin(struct weir_log_store *store, struct weir_store_error *error);
int weir_log_store_add(struct weir_log_store *store, const struct weir_log_line *line,
		       struct weir_store_error *error);
int weir_log_store_commit(struct weir_log_store *store, uint64_t dropped,
			  struct weir_store_error *error);

/* Remove what is over the limits, a bounded number of lines. 1 = there is more to remove, 0, or an
 * error. */
int weir_log_store_trim(struct weir_log_store *store, uint64_t bytes_max, uint64_t oldest_ns,
			struct weir_store_error *error);

/* As of the last commit. */
struct weir_log_totals weir_log_store_totals(const struct weir_log_store *store);

/* Read lines. `visit` gets each, its spans valid during the call. 0, -ENOENT (there is no database
 * yet), or an error. */
typedef void weir_log_visit(void *context, const struct weir_log_line *line);
int weir_log_store_read(const char *data, const struct weir_log_filter *filter,
			weir_log_visit *visit, void *context, struct weir_store_error *error);

#endif
