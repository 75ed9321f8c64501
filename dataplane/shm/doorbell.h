/* doorbell: waking a peer, only if it sleeps.
 *
 *   worker sleeps                          shard wakes it
 *     bell = 1 (seq_cst)                     publish ring (seq_cst)
 *     all rings empty? (seq_cst)             bell == 1? exchange it with 0; if it was 1: FUTEX_WAKE
 *     futex wait while bell == 1
 *   shard sleeps                           worker wakes it
 *     sleep_count becomes odd (seq_cst)      publish ring (seq_cst)
 *     rings with calls empty? (seq_cst)      sleep_count odd and not rung for yet? write eventfd
 *     io_uring wait (polls the eventfd)
 *     sleep_count becomes even
 *
 * Both are the store-buffering pattern: each side writes its own word, then reads the other's; the
 * single total order of seq_cst operations makes one of them see the other.
 * A worker that rings too often or leaves its bell at 1 costs the shard one system call a turn and
 * nobody else anything. */
#ifndef WEIR_DATAPLANE_SHM_DOORBELL_H
#define WEIR_DATAPLANE_SHM_DOORBELL_H

#include <stdbool.h>

#include "dataplane/abi/link.h"

/* Worker: announce sleep on `bell`. The caller then checks its rings, and either cancels
 * (weir_bell_cancel) or waits. */
void weir_bell_announce(_Atomic uint32_t *bell);

/* Worker: awake again (found work, or woken). */
void weir_bell_cancel(_Atomic uint32_t *bell);

enum { WEIR_BELL_WAIT_MAX = 8 };

/* Worker: sleep until one of `count` (1 .. WEIR_BELL_WAIT_MAX) announced bells is rung or
 * `timeout_ns` (relative, 0 = none) passed. Uses futex_waitv (Linux 5.16), plain futex for one.
 * 0, -ETIMEDOUT, -EINTR, or -errno. Rings that were cleared at once return 0. */
int weir_bell_wait(_Atomic uint32_t *const *bells, size_t count, uint64_t timeout_ns);

/* Shard: wake the sleeper of `bell`, if any. True if a wake was sent. After weir_ring_publish(). */
bool weir_bell_ring(_Atomic uint32_t *bell);

/* Worker: wake the sleeper of `bell` in the own process, whatever the word says: a shard may have taken
 * it and died before it woke anybody. */
void weir_bell_wake(_Atomic uint32_t *bell);

/* Shard: about to sleep / awake again. */
void weir_shard_sleep_begin(struct weir_shard_board_line *line);
void weir_shard_sleep_end(struct weir_shard_board_line *line);

/* Worker: is the shard awake? A hint: it may go to sleep at any moment. */
static inline bool weir_shard_is_awake(const struct weir_shard_board_line *line)
{
	return (atomic_load_explicit(&line->sleep_count, memory_order_relaxed) & 1) == 0;
}

/* Worker: ring the shard's eventfd if it sleeps and was not rung for this sleep yet.
 * *rung_for is the caller's memory per shard, starts at 0. True if it wrote. After
 * weir_ring_publish(). */
bool weir_shard_ring(const struct weir_shard_board_line *line, uint64_t *rung_for, int event_fd);

#endif
