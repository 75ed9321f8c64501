/* port: the worker's end of its links: takes calls out of the rings and wakes those that wait.
 *
 *   link (segment, shard board, eventfds)          weir_port_next()
 *     pair of shard 0 --ring--> HEAD  ------------> a call that may start (accepted)
 *     pair of shard 1 --ring--> DATA, CREDIT, CANCEL -> its call's pieces, grants, cancelled; wake()
 *     ...                                          answers: port_call.h, published by
 *                                                  weir_port_publish() once a batch
 *
 * A HEAD that may not start yet (one to be started alone while another call runs, too) waits in its pair's
 * backlog, still QUEUED, so that its shard can take it back; one message per call record, a newer HEAD of the same record replaces a stale one.
 * Owns: link_create maps a link, link_destroy unmaps it; a call belongs to its starter from next()
 * until weir_port_call_finish() or _abort().
 * Threads: one at a time (the worker's baton); link_create and link_destroy anywhere.
 * Peer death: the link is closed, its calls see -ECANCELED, and it can be taken out when they ended. */
#ifndef WEIR_DATAPLANE_PORT_PORT_H
#define WEIR_DATAPLANE_PORT_PORT_H

#include <stdbool.h>

#include "dataplane/port/port_call.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"

enum {
	WEIR_PORT_LINKS_MAX = 4,
	WEIR_PORT_CALLS_MAX = 65, /* started and not finished, over all links */
	WEIR_PORT_BATCH = 32,     /* messages taken from one pair before the next one's turn */
};

/* One pair, as its worker sees it. Private to port*.c. */
struct weir_port_pair {
	struct weir_link_pair *shm;
	struct weir_port_link *link;
	struct weir_ring_rx rx;
	struct weir_ring_tx tx;
	uint64_t rung_for; /* weir_shard_ring()'s memory */
	uint32_t shard;
	bool is_dirty; /* pushed, not published; then in the port's dirty list */
	uint16_t backlog_first;
	uint16_t backlog_count;
	uint8_t running[WEIR_PAIR_CALLS]; /* 1 + place in the port's calls; 0 = not running */
	uint8_t is_waiting[WEIR_PAIR_CALLS]; /* the record has a HEAD in the backlog */
	uint16_t backlog[WEIR_PAIR_CALLS];   /* ring of call indices, in order of arrival */
	struct weir_message head[WEIR_PAIR_CALLS]; /* the waiting HEADs, by call index */
};

struct weir_port_link {
	struct weir_segment segment;
	const struct weir_shard_board *board;
	uint64_t link_id;
	uint32_t shard_count;
	uint32_t calls;  /* running */
	uint32_t parked; /* of those, as weir_port_park() counted */
	uint64_t accepted;
	uint64_t finished;
	bool is_closing;
	int event_fd[WEIR_SHARDS_MAX];
	struct weir_port_pair pair[]; /* shard_count */
};

/* A call's wait may be over: something arrived for it, or it was cancelled. Runs inside next() and
 * close(); must not call the port. */
typedef void weir_port_wake(void *context, struct weir_port_call *call);

struct weir_port {
	weir_port_wake *wake;
	void *context;
	uint32_t link_count;
	uint32_t pair_count;
	uint32_t cursor;     /* pair whose turn it is */
	uint32_t turn_taken; /* messages taken in this turn */
	uint32_t dirty_count;
	uint32_t call_count;
	uint32_t parked_max;
	bool is_shut;
	uint64_t service_ns;
	const struct weir_port_pair *recent; /* the last that brought something; NULL = none yet */
	uint64_t refused; /* messages that made no sense and were dropped */
	struct weir_port_link *link[WEIR_PORT_LINKS_MAX];
	struct weir_port_pair *pair[WEIR_PORT_LINKS_MAX * WEIR_SHARDS_MAX];
	struct weir_port_pair *dirty[WEIR_PORT_LINKS_MAX * WEIR_SHARDS_MAX];
	struct weir_port_call *call_free[WEIR_PORT_CALLS_MAX];
	struct weir_port_call call[WEIR_PORT_CALLS_MAX];
};

/* Start without links. `parked_max` (1 .. WEIR_PORT_CALLS_MAX - 1) is announced in worker lines. */
void weir_port_open(struct weir_port *port, uint32_t parked_max, weir_port_wake *wake,
		    void *context);

/* Map a link. `segment_fd` and `board_fd` stay the caller's; the `event_fd_count` eventfds become the
 * link's on success. 0, -EBADMSG (segment, board, or another number of shards), -EPROTO, -ENOMEM or
 * -errno. Blocks; any thread. */
int weir_port_link_create(int segment_fd, int board_fd, const int *event_fds,
			  size_t event_fd_count, struct weir_port_link **out_link);

/* Unmap and close. NULL is accepted. The link is not in a port (any more). Any thread. */
void weir_port_link_destroy(struct weir_port_link *link);

/* Take part in a link; the port owns it until link_take(). 0, -EEXIST (same link id) or -ENOSPC. */
int weir_port_link_add(struct weir_port *port, struct weir_port_link *link);

/* Start nothing more of this link and cancel what runs. 0 or -ENOENT. */
int weir_port_link_close(struct weir_port *port, uint64_t link_id);

/* Take a closed link whose calls have ended out of the port, for link_destroy(). 0 and *out_link,
 * -EBUSY (not closed, or calls still run) or -ENOENT. */
int weir_port_link_take(struct weir_port *port, uint64_t link_id,
			struct weir_port_link **out_link);

/* Pop messages, fairly over the pairs, until a call may start.
 * 1 = *out_call is accepted and the caller's; 0 = all rings are empty, or only HEADs that may not
 * start remain (`may_start` false); -EAGAIN = took messages, call again; -EBADMSG = a ring is broken,
 * its link was closed. Never blocks. */
int weir_port_next(struct weir_port *port, bool may_start, struct weir_port_call **out_call);

/* True if a HEAD that may start waits in a backlog: next() with may_start finds something (if only a stale
 * one). */
bool weir_port_has_backlog(const struct weir_port *port);

/* Make everything pushed visible and ring each sleeping shard at most once. */
void weir_port_publish(struct weir_port *port);

static inline bool weir_port_is_dirty(const struct weir_port *port)
{
	return port->dirty_count != 0;
}

/* Sleeping: announce on these bells (doorbell.h); then, unless everything is empty, cancel. Writes at
 * most WEIR_PORT_BELLS_MAX, one for each link; returns how many. */
enum { WEIR_PORT_BELLS_MAX = WEIR_PORT_LINKS_MAX };
size_t weir_port_bells(const struct weir_port *port, _Atomic uint32_t **out_bells);
bool weir_port_is_empty(const struct weir_port *port);

/* True if the shard that brought the last message is awake, so that more may come soon. A hint. */
bool weir_port_is_shard_awake(const struct weir_port *port);

/* Worker lines: a call is parked or goes on; the average running time changed. */
void weir_port_park(struct weir_port *port, struct weir_port_call *call);
void weir_port_unpark(struct weir_port *port, struct weir_port_call *call);
void weir_port_service(struct weir_port *port, uint64_t service_ns);

/* Worker lines: no other call is started now, however few wait; what is queued goes elsewhere. */
void weir_port_shut(struct weir_port *port, bool is_shut);

/* The process is about to crash because it got no more memory: leave word in every link. In a signal
 * handler. */
void weir_port_out_of_memory(struct weir_port *port);

#endif
