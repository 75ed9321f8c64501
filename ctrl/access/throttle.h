/* throttle: how often somebody may try a password: so many times at once and then one in a while, for each user
 * name, and for all names together. A name's attempt that was right is given back.
 * Names share a fixed number of places by a keyed hash, so that nobody can fill memory with names, or choose
 * names that share a place with somebody else's.
 * Threads: one. Owns: nothing beyond itself. */
#ifndef WEIR_CTRL_ACCESS_THROTTLE_H
#define WEIR_CTRL_ACCESS_THROTTLE_H

#include <stdint.h>

enum {
	WEIR_THROTTLE_NAME_BURST = 10,       /* attempts at one name at once ... */
	WEIR_THROTTLE_NAME_EVERY_MS = 6000,  /* ... and then one each */
	WEIR_THROTTLE_ALL_BURST = 40,
	WEIR_THROTTLE_ALL_EVERY_MS = 200, /* a quarter of one CPU's time */
};

struct weir_throttle;

/* 0 or -ENOMEM. NULL is accepted by destroy. */
int weir_throttle_create(struct weir_throttle **out_throttle);
void weir_throttle_destroy(struct weir_throttle *throttle);

/* One attempt at `name` (NULL: at none in particular) at `now_ns` (CLOCK_MONOTONIC). 0: it may be made, and counts;
 * else after how many ms the next may be, 1 or more, and this one does not count. */
uint32_t weir_throttle_take(struct weir_throttle *throttle, const char *name, uint64_t now_ns);

/* That attempt was right: the name gets it back. */
void weir_throttle_give(struct weir_throttle *throttle, const char *name, uint64_t now_ns);

#endif
