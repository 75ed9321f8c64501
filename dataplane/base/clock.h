/* clock: monotonic nanoseconds, the only time that deadlines and measurements use; and the wall's, for what
 * people read. */
#ifndef WEIR_DATAPLANE_BASE_CLOCK_H
#define WEIR_DATAPLANE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define WEIR_NS_PER_SECOND UINT64_C(1000000000)
#define WEIR_NS_PER_MS     UINT64_C(1000000)
#define WEIR_NS_PER_US     UINT64_C(1000)

/* CLOCK_MONOTONIC in ns: the same clock in every process of the machine. Cannot fail. */
static inline uint64_t weir_clock_now_ns(void)
{
	struct timespec now;

	/* Cannot fail with this clock and a valid pointer. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* CLOCK_REALTIME in ns since 1970: it can be set, and jump. Cannot fail. */
static inline uint64_t weir_clock_wall_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* as above */
	return (uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

#endif
