/* activation_store: what became of calls, in DATA/log/activations.db (side_file.h: it may be lost).
 *
 *   begin -> add, add, ... -> commit      writer: one, the recorder's thread
 *   read: newest, or those after a number; one by its id      readers: any, each its own connection
 *
 * Each record has a number that only grows. The oldest go first, when there are more than `rows_max` or they
 * are older than is wanted. Threads: writer: one; read: any. May block on the disk.
 * Errors as in store.h, with a sentence. */
#ifndef WEIR_CTRL_STORE_ACTIVATION_STORE_H
#define WEIR_CTRL_STORE_ACTIVATION_STORE_H

#include "ctrl/store/store.h"
#include "dataplane/base/span.h"

enum { WEIR_ACTIVATION_STORE_ROWS_MAX = 1000 /* of one reading */ };

struct weir_activation_store;

enum {
	WEIR_ACTIVATION_ROW_COLD = 1, /* no worker of its pool was there when it came */
	WEIR_ACTIVATION_ROW_CUT = 2,  /* the answer did not reach its end */
};

/* One call: abi/activation.h, with times of people and its function's name. */
struct weir_activation_row {
	uint64_t number;       /* set by the store */
	uint64_t started_ns;   /* CLOCK_REALTIME: it was whole, and routed */
	uint64_t received_ns;  /* when ctrld got it; what its age is */
	uint64_t id_high;
	uint64_t id_low;
	uint64_t parent_high;  /* 0 and 0: a client's */
	uint64_t parent_low;
	uint64_t route_id;     /* 0 = none */
	uint64_t worker_id;    /* 0 = none */
	uint64_t version;
	uint64_t total_ns;
	uint64_t parse_ns;
	uint64_t queue_ns;
	uint64_t dispatch_ns;
	uint64_t run_ns;
	uint64_t reply_ns;
	uint64_t cpu_ns;       /* UINT64_MAX: not measured */
	uint64_t request_bytes;
	uint64_t answer_bytes;
	uint16_t status;       /* 0 = the client left before */
	uint8_t failure;       /* enum weir_http_failure */
	uint8_t flags;         /* WEIR_ACTIVATION_ROW_... */
	struct weir_span function; /* "namespace/name" */
};

/* Did something go wrong with it? A failure of Weir or of the function, or nobody got the answer. */
bool weir_activation_row_is_failed(const struct weir_activation_row *row);

/* Which. */
struct weir_activation_filter {
	const char *function;  /* NULL = all */
	const char *space;     /* only those of functions of that namespace; NULL = all */
	uint64_t after_number; /* only newer ones: of those the first rows_max, */
	uint64_t since_ns;     /* only those started since */
	uint64_t until_ns;     /* and no later than this; 0 = up to now */
	bool newest;           /* the newest rows_max instead; in the order of their starts either way */
	bool is_failed;        /* only failed ones */
	uint32_t rows_max;     /* 1 .. WEIR_ACTIVATION_STORE_ROWS_MAX */
};

/* Open or make the database in DATA/log. 0 or an error. */
int weir_activation_store_open(const char *data, struct weir_activation_store **out_store,
			       struct weir_store_error *error);
void weir_activation_store_close(struct weir_activation_store *store);

/* One transaction. After an error it is rolled back; -EBADMSG: the store is of no use any more, close it and
 * open anew. */
int weir_activation_store_begin(struct weir_activation_store *store, struct weir_store_error *error);
int weir_activation_store_add(struct weir_activation_store *store, const struct weir_activation_row *row,
			      struct weir_store_error *error);
/* Write something, of no meaning: can it be written to? */
int weir_activation_store_touch(struct weir_activation_store *store, struct weir_store_error *error);
int weir_activation_store_commit(struct weir_activation_store *store, struct weir_store_error *error);

/* Remove what is over the limits, a bounded number of rows. 1 = there is more to remove, 0, or an error. */
int weir_activation_store_trim(struct weir_activation_store *store, uint64_t rows_max, uint64_t oldest_ns,
			       struct weir_store_error *error);

/* Read. `visit` gets each, its spans valid during the call. 0, or an error; -ENOENT: there is no database yet,
 * or (find) no such record. */
typedef void weir_activation_visit(void *context, const struct weir_activation_row *row);
int weir_activation_store_read(const char *data, const struct weir_activation_filter *filter,
			       weir_activation_visit *visit, void *context, struct weir_store_error *error);
int weir_activation_store_find(const char *data, uint64_t id_high, uint64_t id_low, weir_activation_visit *visit,
			       void *context, struct weir_store_error *error);

#endif
