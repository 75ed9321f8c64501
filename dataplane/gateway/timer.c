#include "dataplane/gateway/timer.h"

#include <stddef.h>

#include "dataplane/base/assert.h"

static uint32_t slot_of(uint64_t tick)
{
	return (uint32_t)(tick & (WEIR_TIMER_SLOTS - 1));
}

void weir_timer_wheel_open(struct weir_timer_wheel *wheel, uint64_t now_ns)
{
	for (uint32_t i = 0; i < WEIR_TIMER_SLOTS; i++) {
		wheel->slot[i].next = &wheel->slot[i];
		wheel->slot[i].prev = &wheel->slot[i];
	}
	for (uint32_t i = 0; i < WEIR_TIMER_SLOTS / 64; i++)
		wheel->occupied[i] = 0;
	wheel->tick = now_ns >> WEIR_TIMER_TICK_SHIFT;
	wheel->armed = 0;
}

static void insert(struct weir_timer_wheel *wheel, struct weir_timer *timer, uint64_t due_tick)
{
	const uint64_t horizon = wheel->tick + WEIR_TIMER_SLOTS - 1;
	const uint32_t slot = slot_of(due_tick < horizon ? due_tick : horizon);
	struct weir_timer *head = &wheel->slot[slot];

	timer->due_tick = due_tick;
	timer->next = head;
	timer->prev = head->prev;
	head->prev->next = timer;
	head->prev = timer;
	wheel->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
	wheel->armed++;
}

void weir_timer_move(struct weir_timer_wheel *wheel, struct weir_timer *timer, uint64_t due_ns)
{
	/* Round up, and never into the tick that was already looked at. */
	uint64_t due_tick = (due_ns >> WEIR_TIMER_TICK_SHIFT) + 1;

	if (due_tick <= wheel->tick)
		due_tick = wheel->tick + 1;
	weir_timer_disarm(wheel, timer);
	insert(wheel, timer, due_tick);
}

static void unlink_timer(struct weir_timer_wheel *wheel, struct weir_timer *timer)
{
	WEIR_DEBUG_ASSERT(wheel->armed > 0);
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->prev = NULL;
	timer->next = NULL;
	wheel->armed--;
}

void weir_timer_disarm(struct weir_timer_wheel *wheel, struct weir_timer *timer)
{
	if (timer->prev)
		unlink_timer(wheel, timer);
}

struct weir_timer *weir_timer_pop(struct weir_timer_wheel *wheel, uint64_t now_ns)
{
	const uint64_t now_tick = now_ns >> WEIR_TIMER_TICK_SHIFT;

	while (wheel->tick < now_tick) {
		const uint32_t slot = slot_of(wheel->tick + 1);
		struct weir_timer *head = &wheel->slot[slot];
		struct weir_timer *timer = head->next;

		if (timer == head) {
			wheel->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
			wheel->tick++;
			continue;
		}
		unlink_timer(wheel, timer);
		if (timer->due_tick <= wheel->tick + 1)
			return timer;
		/* Beyond the horizon when it was armed: one turn further. It lands in a slot
		 * other than this one, because this slot is the horizon's only after ++tick. */
		insert(wheel, timer, timer->due_tick);
	}
	return NULL;
}

/* Distance in ticks from `tick` to the next occupied slot, 1 .. WEIR_TIMER_SLOTS - 1. */
static uint32_t next_occupied(const struct weir_timer_wheel *wheel)
{
	const uint32_t first = slot_of(wheel->tick + 1);
	uint32_t ahead = 1;

	/* Whole words at a time: this runs before every sleep. */
	while (ahead < WEIR_TIMER_SLOTS) {
		const uint32_t slot = (first + ahead - 1) & (WEIR_TIMER_SLOTS - 1);
		const uint64_t word = wheel->occupied[slot / 64] >> (slot % 64);

		if (word != 0)
			return ahead + (uint32_t)__builtin_ctzll(word);
		ahead += 64 - slot % 64;
	}
	return WEIR_TIMER_SLOTS - 1;
}

uint64_t weir_timer_next_ns(const struct weir_timer_wheel *wheel)
{
	if (wheel->armed == 0)
		return UINT64_MAX;
	return (wheel->tick + next_occupied(wheel)) << WEIR_TIMER_TICK_SHIFT;
}
