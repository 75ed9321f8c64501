/* ring: one direction of a pair: a bounded queue of messages between two processes.
 *
 *   producer: push ... push, publish once a batch     consumer: pop ... pop, release once a batch
 *
 * Layout: struct weir_link_ring. Each end keeps its own index and what it last saw of the other's
 * in private memory (weir_ring_tx, weir_ring_rx); the shared indices are the peer's word and are
 * checked: a distance over WEIR_RING_CELLS is a lie.
 * Threads: one producer, one consumer; wait-free; never sleeps (doorbell.h does).
 * Peer death: indices stay valid; the link is unmapped, never repaired. */
#ifndef WEIR_DATAPLANE_SHM_RING_H
#define WEIR_DATAPLANE_SHM_RING_H

#include <stdbool.h>

#include "dataplane/abi/link.h"

struct weir_ring_tx {
	struct weir_link_ring *shm;
	uint32_t tail;      /* ours, pushed so far */
	uint32_t published; /* what the consumer can see */
	uint32_t head_seen; /* the consumer's, as last read */
};

struct weir_ring_rx {
	struct weir_link_ring *shm;
	uint32_t head;      /* ours, popped so far */
	uint32_t released;  /* what the producer can see */
	uint32_t tail_seen; /* the producer's, as last read */
};

/* Start at index 0 on a fresh ring. */
void weir_ring_tx_open(struct weir_ring_tx *tx, struct weir_link_ring *shm);
void weir_ring_rx_open(struct weir_ring_rx *rx, struct weir_link_ring *shm);

/* Append a copy; visible only after weir_ring_publish(). False if fewer than `keep_free` + 1 cells
 * are free (`keep_free` lets HEADs leave room for the messages of running calls), or if the
 * consumer's index is a lie. */
bool weir_ring_push(struct weir_ring_tx *tx, const struct weir_message *message, uint32_t keep_free);

/* Make everything pushed visible. True if there was something new. Sequentially consistent, as the
 * doorbells need: after it, reading the peer's sleep word decides whether to ring. */
bool weir_ring_publish(struct weir_ring_tx *tx);

/* Copy the next message out. 1 = *out_message written, 0 = empty, -EBADMSG = the producer's index
 * is a lie. */
int weir_ring_pop(struct weir_ring_rx *rx, struct weir_message *out_message);

/* Let the producer reuse what was popped; once a batch. */
void weir_ring_release(struct weir_ring_rx *rx);

/* True if nothing was published beyond what was popped. Sequentially consistent: the check that a
 * sleeper makes after it said that it sleeps. */
bool weir_ring_is_empty(const struct weir_ring_rx *rx);

#endif
