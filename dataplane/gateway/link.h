/* link: one shard's end of the segment shared with one worker.
 * The tables here are the truth about calls and chunks; the segment is a hint. A message that does
 * not fit the tables is a lie: the link is condemned, its worker killed by the supervisor.
 * Worker death: calls that it had not started are bound elsewhere, the others fail; the link is let
 * go when its last call is free (no kernel operation holds a chunk). Threads: the owning shard;
 * made and destroyed by the control thread. */
#ifndef WEIR_DATAPLANE_GATEWAY_LINK_H
#define WEIR_DATAPLANE_GATEWAY_LINK_H

#include "dataplane/gateway/limits.h"
#include "dataplane/abi/board.h"
#include "dataplane/gateway/room.h"
#include "dataplane/gateway/timer.h"
#include "dataplane/schedule/fit.h"
#include "dataplane/shm/chunk.h"
#include "dataplane/shm/ring.h"
#include "dataplane/shm/segment.h"

struct weir_exchange;
struct weir_shard;
struct weir_shard_link;
struct weir_shard_pool;

/* What a shard remembers of a function, whatever generation. */
struct weir_function_state {
	uint64_t id; /* 0 = empty cell */
	uint32_t waiting;
	uint32_t answer_bytes; /* moving average: decides the first grant */
	uint64_t suspect_until_ns; /* crashed or hung a worker: runs alone until then */
	struct weir_shard_pool *pool; /* of its last call; pools are never freed, but their places are reused */
};

struct weir_exchange_list {
	struct weir_exchange *first;
	struct weir_exchange *last;
};

/* How fast a pool's queue drains while it is not empty. */
struct weir_shard_drain {
	uint64_t since_ns;    /* counted since then: */
	uint32_t left;        /* calls that left for a worker */
	uint32_t distance_ns; /* between two of them, on average; 0 = not known yet */
};

/* The workers of one pool, as this shard sees them, and who waits for them. */
struct weir_shard_pool {
	uint64_t key;
	struct weir_exchange_list waiting; /* awaited calls first, as in askers */
	struct weir_exchange_list askers;   /* who ask for resources: one that finds no room is passed by */
	struct weir_exchange_list suspects; /* of functions that must run alone */
	uint32_t waiting_count; /* in all three */
	uint32_t asker_count;   /* of these, askers */
	uint64_t asked;         /* parts of a worker that calls of this shard ask for, running or waiting: queues.h */
	struct weir_board_queue *queue; /* where that is shown; NULL = nowhere */
	uint32_t link_count;
	uint32_t workers_max;
	uint32_t config_count; /* the shard's, when its row was read */
	uint32_t rehoused_count; /* the shard's config_count when who waits was last found to be right here */
	uint64_t demand_sent_ns;
	uint64_t queue_began_ns; /* since when something waits */
	struct weir_shard_drain drain;
	uint64_t refused_ns;  /* when a call that a function waits for was last refused for want of a place */
	bool has_shut;        /* awaited calls came here while a worker was shut: some are kept free for them */
	struct weir_shard_link *last; /* got the last call; NULL = none, or it left the pool */
	struct weir_schedule_candidate last_seen; /* what it looked like at last_ns, later calls added */
	uint64_t last_ns;
	bool suspects_starve; /* too few workers to give one to a suspect */
	bool lacks_room;      /* a call waits that none of its workers could hold, whatever they have to do */
	bool keeps;           /* short calls may stay on `last` */
	bool one_task;        /* its workers take a call only while they have none */
	const struct weir_schedule_policy *policy;
	uint32_t policy_number;
	struct weir_schedule_resources capacity; /* of a worker; memory 0 = not known */
	struct weir_weights weights;
	uint32_t near_count; /* links of workers on this shard's node: they stand before the others */
	struct weir_schedule_turn turn;
	struct weir_schedule_turn far_turn; /* the same, among those of other nodes */
	struct weir_schedule_turn ask_turn;
	const struct weir_shard_link *kept; /* for the first of askers; NULL = none */
	struct weir_shard_link *link[WEIR_GATEWAY_POOL_LINKS_MAX];
	int16_t price[WEIR_GATEWAY_POOL_LINKS_MAX]; /* of each link when it was last looked at: pick.c */
};

/* What a worker had used and finished at a time. */
struct weir_link_usage {
	uint64_t at_ns;
	uint64_t on_cpu_ns;
	uint64_t finished; /* calls */
	bool is_known;     /* on_cpu_ns is measured */
};

/* Private side of one call record. */
struct weir_shard_call {
	uint64_t sequence; /* 0 = free */
	struct weir_exchange *exchange; /* NULL = orphan */
	uint64_t deadline_ns;
	uint64_t function_id;
	uint8_t operations;  /* kernel operations that read or write its chunks */
	uint8_t granted;     /* answer chunks in the worker's hands */
	uint8_t body_out;    /* body chunks in the worker's hands or being received into */
	bool started;        /* the worker sent something about it */
	bool finished;       /* the worker's last message came, it was recalled, or the worker died */
	bool answered_head;
	bool overdue;        /* cancelled past its deadline; counted in room->overdue */
	uint8_t nested_made; /* calls that it made to other functions, */
	uint32_t nested;     /* and those that are in progress: 1 + place of the newest, 0 = none */
	uint16_t request_chunk;
	bool has_room; /* of the worker's: room.h */
	bool awaits;   /* it has, and that is counted in room->awaiting */
};
static_assert(WEIR_PAIR_CHUNKS <= UINT16_MAX, "a chunk's index fits");
static_assert(sizeof(struct weir_shard_call) == 48, "zeroed with every call");

struct weir_shard_link {
	struct weir_shard_link *next_active; /* in the shard's list of links with calls */
	struct weir_shard_pool *pool;
	struct weir_link_header *header;
	struct weir_link_pair *pair;
	struct weir_ring_tx to_worker;
	struct weir_ring_rx from_worker;
	void *owner;       /* control thread's object */
	struct weir_room *room; /* in it, for all shards */
	uint64_t link_id;
	uint64_t worker_id;
	uint64_t pool_key;
	int event_fd;      /* the worker rings it; control thread's */
	uint32_t slot;     /* index in the shard's table */
	uint32_t place;    /* index in the pool's */
	uint32_t in_flight; /* call records in use */
	uint32_t queued;   /* of these, not known to have started; a hint */
	uint64_t sequence;
	uint64_t pushed_ns; /* when something was pushed last */
	uint64_t messages; /* popped so far: progress */
	uint64_t watched_messages;
	uint64_t watched_accepted;
	uint64_t watched_finished;
	uint32_t watched_head; /* of the ring to the worker */
	uint64_t idle_since_ns;
	int16_t price_seen; /* when it last had room and was looked at, before it got a call then, */
	int16_t price_step; /* what a call adds, roughly */
	int load_slot;      /* on the load board; -1 = not found yet */
	uint32_t load_unseen; /* measurings since it was looked for */
	uint32_t load_source; /* enum weir_load_source */
	uint32_t load_price;
	struct weir_schedule_load load;
	struct weir_link_usage usage; /* as of the turn in which it was looked at last */
	struct weir_board_score *score; /* where it is shown; NULL = nowhere */
	struct weir_timer timer;
	struct weir_exchange *exclusive; /* a suspect runs here, nothing else may be bound */
	bool set_aside;    /* being drained for a suspect */
	bool opened;       /* this shard uses it: it is in the tables */
	bool home;         /* this shard is its home */
	uint8_t remote;    /* how far its node is: 0 = this shard's, 255 = the farthest there is */
	bool active;
	bool polling;      /* the eventfd poll is in the ring */
	bool dirty;        /* pushed something this turn */
	bool stalled;      /* its head did not move; nothing is bound until it does */
	bool draining;
	bool dead;
	bool condemned;    /* we asked for its end */
	bool gone;         /* nothing of ours uses it; the poll's end is awaited */
	bool gone_pending; /* ... and it is still on a list of this turn */
	bool touched_large;
	bool starved;      /* a call waits for an answer chunk */
	bool cold_told;    /* a call that had waited for its start was answered */
	uint64_t lent[(WEIR_PAIR_CHUNKS + 63) / 64]; /* bit set: the chunk is in the worker's hands */
	struct weir_chunk_arena arena;
	uint16_t free_call[WEIR_PAIR_CALLS];
	uint32_t free_call_count;
	struct weir_shard_call call[WEIR_PAIR_CALLS];
	uint64_t room_taken[WEIR_PAIR_CALLS]; /* by each that has_room: weir_schedule_takes() */
	uint32_t room_part[WEIR_PAIR_CALLS]; /* the same in pool->asked */
};

/* Make the private side of a link over an attached segment, for shard `shard_index`, which is not its
 * home unless the caller says so. NULL without memory. Control thread; release with free(). */
struct weir_shard_link *weir_link_create(struct weir_segment *segment, uint32_t shard_index,
					 uint64_t pool_key, int event_fd);

/* Start using a link that the control thread delivered; false if a table is full. */
bool weir_link_open(struct weir_shard *shard, struct weir_shard_link *link);

/* The eventfd's poll ended: arm it again, or, if the link is gone, hand it back. */
void weir_link_poll_ended(struct weir_shard *shard, struct weir_shard_link *link);

/* Bind nothing more to it; it is let go when its calls are done. */
void weir_link_drain(struct weir_shard *shard, struct weir_shard_link *link);

/* Its worker is dead, perhaps for want of memory: rebind what never started, fail the rest. */
void weir_link_died(struct weir_shard *shard, struct weir_shard_link *link, bool out_of_memory);

/* Ask for the worker's end; `reason` has static storage. Calls stay until the pidfd fires. */
void weir_link_condemn(struct weir_shard *shard, struct weir_shard_link *link, const char *reason,
		       uint64_t function_id);

/* Take messages from every link with calls. */
void weir_link_poll_all(struct weir_shard *shard);

/* True if a link with calls has messages: the check before sleeping. */
bool weir_link_any_waiting(struct weir_shard *shard);

/* True if calls were handed out a moment ago to workers whose functions take no time to speak of. */
bool weir_link_answers_soon(const struct weir_shard *shard);

/* Publish what was pushed this turn and wake workers that sleep, each at most once. */
void weir_link_publish_all(struct weir_shard *shard);

/* Take a free call record for `exchange`; the index, or -1. */
int weir_link_call_take(struct weir_shard *shard, struct weir_shard_link *link,
			struct weir_exchange *exchange);

/* Free a call record if it is finished and no kernel operation holds its chunks. */
void weir_link_call_settle(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call);

/* The exchange no longer wants its call: recall it, or cancel it and leave it an orphan. */
void weir_link_call_abandon(struct weir_shard *shard, struct weir_exchange *exchange);

/* Take a chunk of `bytes_min` for a call; WEIR_CHUNK_NONE if there is none. */
uint32_t weir_link_chunk_take(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			      size_t bytes_min);

/* Give a chunk of a call back to the arena. */
void weir_link_chunk_give(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			  uint32_t chunk);

/* The chunk goes to the worker with the next message / came back. */
void weir_link_chunk_lend(struct weir_shard_link *link, uint32_t chunk);
bool weir_link_chunk_return(struct weir_shard_link *link, uint16_t call, uint32_t chunk);

/* Push a message for a call; false if the ring is full (then the link is condemned: it can only be
 * full if the worker's index lies). `keep_free` as weir_ring_push(). */
bool weir_link_push(struct weir_shard *shard, struct weir_shard_link *link,
		    struct weir_message *message, uint32_t keep_free);

/* All that the worker has started waits (parked), and nothing of this shard is left for it to read or start: it
 * has no reason to move. What it says of itself wrongly costs its own calls their deadline. */
bool weir_link_is_at_rest(const struct weir_shard_link *link);

/* The link's timer fired: recall from a stalled worker, kill overdue calls, trim when idle. */
void weir_link_timer(struct weir_shard *shard, struct weir_shard_link *link);

#endif
