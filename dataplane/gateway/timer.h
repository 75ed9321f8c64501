/* timer: a wheel of coarse, lazy timers.
 * One turn of the wheel is WEIR_TIMER_SLOTS ticks of about 4.2 ms; a timer beyond it waits in the
 * last slot and is looked at again. Timers are lazy: setting a later time for an armed timer costs
 * nothing, the owner is asked when the old time comes and arms it again. So a connection pays for
 * its timer once in many requests. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_TIMER_H
#define WEIR_DATAPLANE_GATEWAY_TIMER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WEIR_TIMER_TICK_SHIFT = 22, /* ns >> 22: 4.19 ms */
	WEIR_TIMER_SLOTS = 1024,    /* power of two */
};

struct weir_timer {
	struct weir_timer *next;
	struct weir_timer *prev; /* NULL = not armed */
	uint64_t due_tick;
};

struct weir_timer_wheel {
	struct weir_timer slot[WEIR_TIMER_SLOTS]; /* list heads */
	uint64_t occupied[WEIR_TIMER_SLOTS / 64];
	uint64_t tick; /* everything up to this tick has been looked at */
	uint32_t armed;
};

/* Start the wheel at `now_ns`. */
void weir_timer_wheel_open(struct weir_timer_wheel *wheel, uint64_t now_ns);

/* Arm it for `due_ns`, whatever it was armed for. */
void weir_timer_move(struct weir_timer_wheel *wheel, struct weir_timer *timer, uint64_t due_ns);

/* Make sure that `timer` fires at or soon after `due_ns`, or earlier if it was armed for earlier.
 * That it was is the usual case, several times a request. */
static inline void weir_timer_arm(struct weir_timer_wheel *wheel, struct weir_timer *timer, uint64_t due_ns)
{
	if (!timer->prev || timer->due_tick > (due_ns >> WEIR_TIMER_TICK_SHIFT) + 1)
		weir_timer_move(wheel, timer, due_ns);
}

/* Disarm; does nothing if it is not armed. */
void weir_timer_disarm(struct weir_timer_wheel *wheel, struct weir_timer *timer);

/* Take one timer whose time has come (disarmed), or NULL; call until NULL. */
struct weir_timer *weir_timer_pop(struct weir_timer_wheel *wheel, uint64_t now_ns);

/* When the next armed timer may fire, or UINT64_MAX. At most one wheel turn ahead. */
uint64_t weir_timer_next_ns(const struct weir_timer_wheel *wheel);

#endif
