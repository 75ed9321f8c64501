/* shard: one io_uring thread of the gateway and everything it owns. Nothing here is shared with
 * another shard; the control thread talks to it by mailbox only.
 *
 *   socket -> connection (connection.c) -> input (input.c), caller (caller.c) -> exchange (exchange.c)
 *     -> dispatch: waiting room of the pool, pick, bind (dispatch.c) -> link (link.c) ~~ worker
 *     ~~ answer (answer.c) -> output (output.c) -> socket
 *   large bodies: body.c; the loop: shard.c
 *
 * An exchange is one request and its answer. It belongs to its connection, in order of arrival;
 * only the first one of a connection may write. A call is what an exchange becomes while a worker
 * has it; a call may outlive its exchange (client gone, deadline passed): then it is an orphan and
 * stays counted until the worker returns it or dies. */
#ifndef WEIR_DATAPLANE_GATEWAY_SHARD_H
#define WEIR_DATAPLANE_GATEWAY_SHARD_H

#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/abi/board.h"
#include "dataplane/abi/load.h"
#include "dataplane/base/id.h"
#include "dataplane/base/linger.h"
#include "dataplane/gateway/connection.h"
#include "dataplane/gateway/link.h"
#include "dataplane/gateway/mailbox.h"
#include "dataplane/gateway/nested.h"
#include "dataplane/http/http_request.h"
#include "dataplane/route/route.h"
#include "dataplane/shm/activation.h"

/* A snapshot with what the gateway derives from it. Made and destroyed by the control thread. */
struct weir_config {
	struct weir_snapshot snapshot;
	struct weir_http_limits http_limits;
	const struct weir_settings *settings; /* in the snapshot */
	uint32_t shards_using;                /* control thread's count */
	uint32_t shards_switched;
	uint64_t received_ns;
	uint64_t took_ns; /* until the last shard routed by it */
};

struct weir_listener {
	int fd;
	bool local;
	bool armed;
};

struct weir_shard {
	uint32_t index;
	uint32_t shard_count; /* of this gateway */
	uint32_t waiting_count; /* exchanges in all waiting rooms */
	uint16_t cpu;
	bool stopping;
	bool stopped;
	bool accept_paused;
	struct io_uring ring;
	struct io_uring_buf_ring *receive_ring;
	char *receive_memory;
	uint32_t receive_returned; /* buffers to hand back at the turn's end */
	struct weir_shard_board_line *sleep_line;
	_Atomic uint64_t *metric; /* this shard's block of the board */
	const struct weir_load_board *load; /* what workers use, as measured; NULL = not known */
	uint64_t now_ns;          /* read once a turn */
	struct weir_config *config;
	uint32_t config_count; /* grows with each that is taken */
	struct weir_id_source id_source;
	struct weir_timer_wheel wheel;
	struct weir_block_pool blocks;

	struct weir_connection *connections;
	uint32_t connections_limit; /* table size */
	uint32_t connections_fresh; /* first entry never used */
	uint32_t connection_count;
	struct weir_connection *connections_free;
	struct weir_connection *flush_first;
	uint32_t sends_expected; /* small sends of this turn: they complete while they are submitted */
	uint32_t sends_seen;     /* completed since that was last judged */
	uint32_t sends_distrust; /* turns for which that is not relied on */
	struct weir_exchange *exchanges;
	uint32_t exchanges_limit;
	uint32_t exchanges_fresh;
	struct weir_exchange *exchanges_free;

	struct weir_nested *nested; /* table of calls that functions make */
	struct weir_nested *nested_free;
	uint32_t nested_fresh;
	uint32_t nested_count;
	uint32_t nested_name[WEIR_GATEWAY_NESTED_NAMES]; /* hash of a name -> index of a function, perhaps */
	uint64_t one_way_logged_ns;
	uint64_t one_way_unlogged;

	struct weir_listener listener[WEIR_GATEWAY_LISTENERS_MAX];
	uint32_t listener_count;
	struct weir_shard_link *link[WEIR_GATEWAY_LINKS_MAX];
	uint32_t link_count;
	struct weir_shard_link *active_first;
	struct weir_shard_link *dirty[WEIR_GATEWAY_LINKS_MAX];
	uint32_t dirty_count;
	struct weir_shard_pool *pool[WEIR_GATEWAY_POOLS_MAX];
	uint32_t pool_count;
	struct weir_function_state *functions; /* dense; the first is shared by those without a cell */
	uint16_t *function_cell; /* hash of the id -> index in `functions`, 0 = empty */
	uint16_t function_count;

	struct weir_mailbox inbox;   /* from the control thread */
	struct weir_mailbox *outbox; /* to the control thread */

	struct weir_http_parser parser;
	char date[29];
	uint64_t date_until_ns;
	uint64_t accept_retry_ns;
	uint64_t trimmed_ns;
	uint64_t priced_ns; /* when all workers were looked at last */
	struct weir_board_score *scores; /* this shard's part of the board; NULL = none */
	uint32_t score_count;
	struct weir_board_picks *picks;  /* likewise */
	struct weir_board_queue *queues; /* likewise */
	uint32_t queue_count;
	struct weir_activation_tx activations; /* records of calls, on their way to ctrld */
	struct weir_linger linger;
	uint32_t bound_in_batch; /* calls handed out since the workers could last have the CPU */
	uint64_t wake_by_ns; /* the sleep under way was to end by then */
	uint64_t stood_still_ns; /* when it last came back from not having run for long */
	bool has_food; /* chunks came back to a link where a call waits for one, perhaps behind its look at them */
	char path[WEIR_HTTP_HEAD_BYTES_MAX + 1];
	char body[WEIR_GATEWAY_BODY_SMALL_MAX]; /* a small chunked body, decoded */
	_Alignas(8) char scratch[WEIR_CHUNK_LARGE_BYTES]; /* heads under construction or check */
};

/* Calls that are handed out before their workers get the CPU: what fits the caches, answers
 * included. */
enum { WEIR_SHARD_BATCH_CALLS_MAX = 128 };

/* Kinds of kernel operation, in the upper bits of user_data. */
enum weir_operation {
	WEIR_OPERATION_ACCEPT = 1,
	WEIR_OPERATION_RECEIVE,
	WEIR_OPERATION_RECEIVE_BODY,
	WEIR_OPERATION_SEND,
	WEIR_OPERATION_CONNECTION, /* cancel, shutdown: only the count matters */
	WEIR_OPERATION_CLOSE,
	WEIR_OPERATION_LINK,       /* a worker rang */
	WEIR_OPERATION_INBOX,
	WEIR_OPERATION_IGNORE,
};

/* Zeroed address space; memory when it is touched. NULL without. */
void *weir_shard_reserve(size_t bytes);

/* Add to a metric of this shard (gauges: signed). */
static inline void weir_shard_count(struct weir_shard *shard, enum weir_metric metric, int64_t delta)
{
	_Atomic uint64_t *cell = &shard->metric[metric];

	/* One writer: no read-modify-write is needed. */
	atomic_store_explicit(cell,
			      atomic_load_explicit(cell, memory_order_relaxed) + (uint64_t)delta,
			      memory_order_relaxed);
}

/* Zeroed memory for what one shard writes: its cache lines hold nothing of another shard's, whoever
 * allocates it. NULL without memory; release with free(). */
static inline void *weir_shard_allocate(size_t bytes)
{
	const size_t whole_lines = (bytes + WEIR_LINE_BYTES - 1) & ~(size_t)(WEIR_LINE_BYTES - 1);
	void *memory = aligned_alloc(WEIR_LINE_BYTES, whole_lines);

	if (memory)
		memset(memory, 0, whole_lines);
	return memory;
}

/* The user_data of an operation. */
static inline uint64_t weir_shard_data(enum weir_operation operation, uint32_t index)
{
	return (uint64_t)operation << 56 | index;
}

/* A free submission entry; submits when the queue is full. Never NULL. Set its data after the
 * io_uring_prep_ call. */
struct io_uring_sqe *weir_shard_sqe(struct weir_shard *shard);

/* Hand a receive buffer back to the kernel; done at the turn's end. */
void weir_shard_buffer_return(struct weir_shard *shard, uint16_t buffer);

/* The Date of now, 29 bytes; written once a second. */
const char *weir_shard_date(struct weir_shard *shard);

/* Send a letter to the control thread. A full mailbox is logged. */
void weir_shard_tell(struct weir_shard *shard, const struct weir_letter *letter);

/* What a shard is opened with; `cpu` is where its thread will run. */
struct weir_shard_options {
	uint32_t index;
	uint32_t shard_count;
	uint16_t cpu;
	uint32_t connections_max;
	struct weir_shard_board_line *sleep_line;
	_Atomic uint64_t *metric;
	const struct weir_load_board *load; /* NULL = workers are not measured */
	struct weir_board *board; /* for scores; NULL = nowhere to show them */
	struct weir_activations *activations; /* where records go; NULL = nowhere */
	int activations_bell_fd;
	struct weir_mailbox *outbox;
};

/* Open a shard: ring, buffers, tables. 0 or -errno. */
int weir_shard_open(struct weir_shard *shard, const struct weir_shard_options *options);

/* The thread: `argument` is the shard. Returns NULL after WEIR_LETTER_STOP was obeyed. */
void *weir_shard_run(void *argument);

#endif
