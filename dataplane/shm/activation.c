#include "dataplane/shm/activation.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

static struct weir_activation *cell_of(struct weir_activation_ring *ring, uint64_t index)
{
	return &ring->cell[index & (WEIR_ACTIVATION_CELLS - 1)];
}

int weir_activations_create(uint32_t shard_count, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	const struct weir_activations header = {
		.magic = WEIR_ACTIVATIONS_MAGIC, .abi_major = WEIR_ABI_MAJOR, .shard_count = shard_count};
	int result;

	if (shard_count == 0 || shard_count > WEIR_SHARDS_MAX)
		return -EINVAL;
	result = weir_fd_create_shared("weir-activations", weir_activations_bytes(shard_count), &fd);
	if (result != 0)
		return result;
	if (pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return errno != 0 ? -errno : -EIO;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_activations_attach(int fd, struct weir_activations **out_activations, uint32_t *out_shard_count)
{
	struct weir_activations header;
	size_t bytes = 0;
	void *mapping;
	int result = weir_fd_check_shared(fd, sizeof(header), &bytes);

	if (result != 0)
		return result;
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    header.magic != WEIR_ACTIVATIONS_MAGIC || header.shard_count == 0 ||
	    header.shard_count > WEIR_SHARDS_MAX || bytes < weir_activations_bytes(header.shard_count))
		return -EBADMSG;
	if (header.abi_major != WEIR_ABI_MAJOR)
		return -EPROTO;
	mapping = mmap(NULL, weir_activations_bytes(header.shard_count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return -errno;
	*out_activations = mapping;
	*out_shard_count = header.shard_count;
	return 0;
}

void weir_activations_detach(struct weir_activations *activations, uint32_t shard_count)
{
	if (activations)
		(void)munmap(activations, weir_activations_bytes(shard_count)); /* cannot fail for ours */
}

void weir_activation_tx_open(struct weir_activation_tx *tx, struct weir_activations *shared, uint32_t shard,
			     int bell_fd)
{
	struct weir_activation_ring *ring = &shared->ring[shard];
	const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	*tx = (struct weir_activation_tx){
		.ring = ring,
		.shared = shared,
		.tail = tail,
		.published = tail,
		/* ORDER activation_free acquire: as in weir_activation_put(). */
		.head_seen = atomic_load_explicit(&ring->head, memory_order_acquire),
		.lost = atomic_load_explicit(&ring->lost, memory_order_relaxed),
		.bell_fd = bell_fd,
	};
}

struct weir_activation *weir_activation_put(struct weir_activation_tx *tx)
{
	if (!tx->ring)
		return NULL;
	if (tx->tail - tx->head_seen >= WEIR_ACTIVATION_CELLS) {
		/* ORDER activation_free acquire: the reader is done with the cells that we reuse. */
		tx->head_seen = atomic_load_explicit(&tx->ring->head, memory_order_acquire);
		if (tx->tail - tx->head_seen >= WEIR_ACTIVATION_CELLS) {
			atomic_store_explicit(&tx->ring->lost, ++tx->lost, memory_order_relaxed);
			return NULL;
		}
	}
	return cell_of(tx->ring, tx->tail++);
}

/* Whatever the reader waits for, it happened: wake it, once. */
static void bell_ring(struct weir_activation_tx *tx)
{
	/* ORDER activation_bell acq_rel: one of all shards finds that the reader waits. */
	if (atomic_exchange_explicit(&tx->shared->reader, WEIR_ACTIVATION_READER_AWAKE, memory_order_acq_rel) !=
	    WEIR_ACTIVATION_READER_AWAKE)
		(void)!send(tx->bell_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* full: it rings already */
}

void weir_activation_publish(struct weir_activation_tx *tx)
{
	uint32_t reader;

	if (tx->published == tx->tail)
		return;
	tx->published = tx->tail;
	/* ORDER activation_fill seq_cst: publishes the records, before the look at what the reader waits for. */
	atomic_store_explicit(&tx->ring->tail, tx->tail, memory_order_seq_cst);
	/* ORDER activation_bell seq_cst: behind the store above in the one order of all such operations. */
	reader = atomic_load_explicit(&tx->shared->reader, memory_order_seq_cst);
	if (reader == WEIR_ACTIVATION_READER_AWAKE)
		return;
	if (reader == WEIR_ACTIVATION_READER_GATHERS && tx->tail - tx->head_seen < WEIR_ACTIVATION_CELLS / 2)
		return;
	/* ORDER activation_free acquire: as in weir_activation_put(). */
	tx->head_seen = atomic_load_explicit(&tx->ring->head, memory_order_acquire);
	if (reader != WEIR_ACTIVATION_READER_GATHERS || tx->tail - tx->head_seen >= WEIR_ACTIVATION_CELLS / 2)
		bell_ring(tx);
}

void weir_activation_rx_open(struct weir_activation_rx *rx, struct weir_activations *shared, uint32_t shard)
{
	rx->ring = &shared->ring[shard];
	rx->head = atomic_load_explicit(&rx->ring->head, memory_order_relaxed);
}

size_t weir_activation_take(struct weir_activation_rx *rx, struct weir_activation *out, size_t max)
{
	/* ORDER activation_fill acquire: the records up to this index are written. */
	const uint64_t tail = atomic_load_explicit(&rx->ring->tail, memory_order_acquire);
	size_t count = 0;

	if (tail - rx->head > WEIR_ACTIVATION_CELLS)
		rx->head = tail; /* it can't be: what stands there can't be told from what was taken */
	for (; rx->head != tail && count < max; count++)
		out[count] = *cell_of(rx->ring, rx->head++);
	/* ORDER activation_free release: the copies are made. */
	atomic_store_explicit(&rx->ring->head, rx->head, memory_order_release);
	return count;
}

uint64_t weir_activation_lost(const struct weir_activation_rx *rx)
{
	return atomic_load_explicit(&rx->ring->lost, memory_order_relaxed);
}

bool weir_activations_wait(struct weir_activations *shared, const struct weir_activation_rx *rx, uint32_t shard_count,
			   enum weir_activation_reader reader)
{
	/* ORDER activation_bell seq_cst: said before the look at the rings, so that a writer who is not seen there
	 * sees it. */
	atomic_store_explicit(&shared->reader, reader, memory_order_seq_cst);
	for (uint32_t i = 0; i < shard_count; i++) {
		/* ORDER activation_fill seq_cst: behind the store above. */
		if (atomic_load_explicit(&rx[i].ring->tail, memory_order_seq_cst) != rx[i].head)
			return false;
	}
	return true;
}
