/* linger: should a thread that has nothing to do wait awake for its peer for a moment, or sleep?
 *
 *   allowed? --no--> sleep                      off for a while, twice as long after each failure
 *      | yes                                                        ^
 *   yield the CPU, look, yield, look ... --> answered: off-time shrinks
 *                                       \--> in vain, or the CPU was gone for long --+
 *
 * Yielding serves both cases: where the peer shares the CPU it runs at once, and two wake-ups are
 * saved; where it has its own CPU the thread polls. What it costs is bounded: at most
 * WEIR_LINGER_NS each time, and failures make the times rare (one in 4,000 after ten of them).
 * A yield that took WEIR_LINGER_STOLEN_NS gave the CPU to somebody else: sched_yield(2) puts its
 * caller behind everybody who is runnable, so beside a CPU-bound process a thread must not yield.
 * Pure: the caller reads the clock and yields. Owner: the thread that embeds it, zeroed.
 * Threads: one. Peer death: the wait ends by time. */
#ifndef WEIR_DATAPLANE_BASE_LINGER_H
#define WEIR_DATAPLANE_BASE_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_LINGER_NS        UINT64_C(50000)
#define WEIR_LINGER_STOLEN_NS UINT64_C(1000000)

struct weir_linger {
	uint64_t off_until_ns;
	uint32_t failures; /* in a row, as it were: success takes back half of them */
};

/* May the thread linger at `now_ns`? */
static inline bool weir_linger_allowed(const struct weir_linger *linger, uint64_t now_ns)
{
	return now_ns >= linger->off_until_ns;
}

/* It lingered until `now_ns`, and its longest yield took `yield_ns`: `answered` if it got what it
 * waited for. */
void weir_linger_learn(struct weir_linger *linger, uint64_t now_ns, uint64_t yield_ns, bool answered);

#endif
