#include "dataplane/shm/ring.h"

#include <errno.h>

#include "dataplane/base/fault.h"

enum { MASK = WEIR_RING_CELLS - 1 };
static_assert((WEIR_RING_CELLS & MASK) == 0, "cells are found by masking");

void weir_ring_tx_open(struct weir_ring_tx *tx, struct weir_link_ring *shm)
{
	*tx = (struct weir_ring_tx){.shm = shm};
}

void weir_ring_rx_open(struct weir_ring_rx *rx, struct weir_link_ring *shm)
{
	*rx = (struct weir_ring_rx){.shm = shm};
}

/* Look at the consumer's index again: true if more than `keep_free` cells are free now. An index
 * that goes back or runs past what we pushed is a lie and changes nothing. */
static bool space_refresh(struct weir_ring_tx *tx, uint32_t keep_free)
{
	/* ORDER ring_free acquire: the consumer is done with the cells that we reuse. */
	const uint32_t head = atomic_load_explicit(&tx->shm->head, memory_order_acquire);

	if (tx->tail - head > tx->tail - tx->head_seen)
		return false;
	tx->head_seen = head;
	return WEIR_RING_CELLS - (tx->tail - head) > keep_free;
}

bool weir_ring_push(struct weir_ring_tx *tx, const struct weir_message *message, uint32_t keep_free)
{
	if (__builtin_expect(WEIR_RING_CELLS - (tx->tail - tx->head_seen) <= keep_free, 0) &&
	    !space_refresh(tx, keep_free))
		return false;
	tx->shm->cell[tx->tail & MASK] = *message;
	tx->tail++;
	WEIR_FAULT(ring_push);
	return true;
}

bool weir_ring_publish(struct weir_ring_tx *tx)
{
	if (tx->tail == tx->published)
		return false;
	WEIR_FAULT(ring_publish_before);
	tx->published = tx->tail;
	/* ORDER ring_fill seq_cst: publishes the cells written by push, before the doorbell's look at
	 * the consumer's sleep word in the one order of all seq_cst operations. */
	atomic_store_explicit(&tx->shm->tail, tx->tail, memory_order_seq_cst);
	WEIR_FAULT(ring_publish_after);
	return true;
}

int weir_ring_pop(struct weir_ring_rx *rx, struct weir_message *out_message)
{
	if (rx->head == rx->tail_seen) {
		/* ORDER ring_fill acquire: the cells up to this index are written. */
		const uint32_t tail = atomic_load_explicit(&rx->shm->tail, memory_order_acquire);

		if (tail == rx->head)
			return 0;
		if (tail - rx->head > WEIR_RING_CELLS)
			return -EBADMSG;
		rx->tail_seen = tail;
	}
	*out_message = rx->shm->cell[rx->head & MASK];
	rx->head++;
	WEIR_FAULT(ring_pop);
	return 1;
}

void weir_ring_release(struct weir_ring_rx *rx)
{
	if (rx->head == rx->released)
		return;
	WEIR_FAULT(ring_release_before);
	rx->released = rx->head;
	/* ORDER ring_free release: our copies out of the cells are made before they are given back. */
	atomic_store_explicit(&rx->shm->head, rx->head, memory_order_release);
	WEIR_FAULT(ring_release_after);
}

bool weir_ring_is_empty(const struct weir_ring_rx *rx)
{
	/* ORDER ring_fill seq_cst: comes after the sleeper's own word in the one order of all seq_cst
	 * operations, so it sees the push or the pusher sees the word. */
	return atomic_load_explicit(&rx->shm->tail, memory_order_seq_cst) == rx->head;
}
