/* activation: both ends of the rings of abi/activation.h.
 *
 *   shard: put, put, ..., publish once a turn         ctrld: take, take, ..., release; sleep
 *
 * Owns: nothing; attach maps, detach unmaps. Threads: a ring has one writer and one reader.
 * Peer death: see abi/activation.h. An index of the other end that can't be is taken for a full ring by the
 * writer, and for an empty one by the reader, which then goes on at the writer's place. */
#ifndef WEIR_DATAPLANE_SHM_ACTIVATION_H
#define WEIR_DATAPLANE_SHM_ACTIVATION_H

#include <stdbool.h>

#include "dataplane/abi/activation.h"

/* Supervisor: make the memfd for `shard_count` (1 .. WEIR_SHARDS_MAX) shards. 0 and *out_fd, or -errno. */
int weir_activations_create(uint32_t shard_count, int *out_fd);

/* Map it read-write. 0, *out_activations and *out_shard_count; -EBADMSG (not sealed, size, magic), -EPROTO
 * (other ABI major) or -errno. Nothing is touched but the header. */
int weir_activations_attach(int fd, struct weir_activations **out_activations, uint32_t *out_shard_count);
void weir_activations_detach(struct weir_activations *activations, uint32_t shard_count);

/* A shard's end. */
struct weir_activation_tx {
	struct weir_activation_ring *ring; /* NULL = records go nowhere */
	struct weir_activations *shared;
	uint64_t tail;      /* put so far */
	uint64_t published;
	uint64_t head_seen; /* the reader's, as last read */
	uint64_t lost;
	int bell_fd;       /* the caller's end of it. Not an eventfd: ctrld could make a write to that one wait */
};

/* Go on where the ring stands. */
void weir_activation_tx_open(struct weir_activation_tx *tx, struct weir_activations *shared, uint32_t shard,
			     int bell_fd);

/* The place of the next record, to be filled whole; NULL: the ring is full, the record counts as lost. */
struct weir_activation *weir_activation_put(struct weir_activation_tx *tx);

/* Make what was put visible, and wake ctrld if it waits for that. */
void weir_activation_publish(struct weir_activation_tx *tx);

/* ctrld's end of one ring. */
struct weir_activation_rx {
	struct weir_activation_ring *ring;
	uint64_t head;
};

/* Go on where the ring stands. */
void weir_activation_rx_open(struct weir_activation_rx *rx, struct weir_activations *shared, uint32_t shard);

/* Copy up to `max` records out; how many, 0 = there are none. Their places are the writer's again. */
size_t weir_activation_take(struct weir_activation_rx *rx, struct weir_activation *out, size_t max);

/* Records lost in this ring over all times. */
uint64_t weir_activation_lost(const struct weir_activation_rx *rx);

/* Say what the reader waits for (or that it is awake); then true if all rings are empty: it may wait. */
bool weir_activations_wait(struct weir_activations *shared, const struct weir_activation_rx *rx, uint32_t shard_count,
			   enum weir_activation_reader reader);

/* A time in units of WEIR_ACTIVATION_UNIT_SHIFT, and back. */
static inline uint32_t weir_activation_units(uint64_t ns)
{
	const uint64_t units = ns >> WEIR_ACTIVATION_UNIT_SHIFT;

	return units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
}

static inline uint64_t weir_activation_ns(uint32_t units)
{
	return (uint64_t)units << WEIR_ACTIVATION_UNIT_SHIFT;
}

#endif
