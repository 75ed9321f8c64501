/* baton: the right to run, handed from one thread to another.
 *
 *   holder: give(other), then wait(self)          other: wait() returns, it runs
 *
 * Each thread has its own word to sleep on, so that exactly the one that was chosen wakes. What a
 * holder did is visible to the next one.
 * Threads: give: the holder. wait: the struct's owner. */
#ifndef WEIR_DATAPLANE_WORKER_BATON_H
#define WEIR_DATAPLANE_WORKER_BATON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_BATON_FOREVER UINT64_MAX

struct weir_baton {
	_Atomic bool is_mine;
	_Atomic uint32_t bell;
};

/* Hand it to the owner of `baton`. */
void weir_baton_give(struct weir_baton *baton);

/* Sleep until it is given or until `until_ns` (CLOCK_MONOTONIC). True if it was given; with
 * WEIR_BATON_FOREVER always. */
bool weir_baton_wait(struct weir_baton *baton, uint64_t until_ns);

#endif
