/* alarm: what the leader sleeps on, and how it is woken.
 *
 *   shards --bell of their link------+
 *                                    +--> leader      no link: the alarm's own word
 *   mail, threads with an event -----+                links: the bell of the first one, too
 *
 * So the leader sleeps on as many words as it has links, as a rule one: a plain futex, which costs half
 * of what waiting for several does.
 * While the shard that sent the last calls is awake, the next ones may be on their way: the leader then
 * gives it the CPU and looks a few times before it sleeps, as long as that pays (base/linger.h).
 * Owns: nothing; weir_alarm_follow() leaves a link's bell before its segment is unmapped.
 * Threads: ring: any. The rest: the baton's holder. */
#ifndef WEIR_DATAPLANE_WORKER_ALARM_H
#define WEIR_DATAPLANE_WORKER_ALARM_H

#include <pthread.h>

#include "dataplane/base/linger.h"
#include "dataplane/port/port.h"

struct weir_alarm {
	_Atomic bool is_rung;
	_Atomic bool is_asleep; /* the leader's word for it; a link's bell is also others' to write */
	_Atomic uint32_t own;
	pthread_mutex_t lock; /* bell, and the use of what it points to */
	_Atomic uint32_t *bell;
	struct weir_linger linger;
	uint64_t lingers;      /* times that the leader waited awake, */
	uint64_t lingers_vain; /* and nothing came */
};

/* Silent, on its own word. */
void weir_alarm_open(struct weir_alarm *alarm);

/* Links were added to or taken from the port: ring where the leader will sleep. Nobody touches the
 * bell of a link that was taken after this. */
void weir_alarm_follow(struct weir_alarm *alarm, const struct weir_port *port);

/* Something for the leader is in a list: it looks there before it sleeps, or is woken. */
void weir_alarm_ring(struct weir_alarm *alarm);

/* Was it rung? */
static inline bool weir_alarm_is_rung(const struct weir_alarm *alarm)
{
	return atomic_load_explicit(&alarm->is_rung, memory_order_relaxed);
}

/* Silence it; then look into the lists. */
void weir_alarm_answer(struct weir_alarm *alarm);

/* Wait until it rings, a shard of the port does, or `until_ns` (CLOCK_MONOTONIC; UINT64_MAX = never);
 * perhaps not at all. */
void weir_alarm_sleep(struct weir_alarm *alarm, const struct weir_port *port,
		      uint64_t until_ns);

#endif
