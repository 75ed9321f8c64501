#include "dataplane/worker/alarm.h"

#include <sched.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/doorbell.h"

static void lock(struct weir_alarm *alarm)
{
	const int error = pthread_mutex_lock(&alarm->lock);

	WEIR_ASSERT(error == 0);
}

static void unlock(struct weir_alarm *alarm)
{
	const int error = pthread_mutex_unlock(&alarm->lock);

	WEIR_ASSERT(error == 0);
}

void weir_alarm_open(struct weir_alarm *alarm)
{
	const int error = pthread_mutex_init(&alarm->lock, NULL);

	WEIR_ASSERT(error == 0); /* cannot fail without attributes */
	atomic_store_explicit(&alarm->is_rung, false, memory_order_relaxed);
	atomic_store_explicit(&alarm->is_asleep, false, memory_order_relaxed);
	atomic_store_explicit(&alarm->own, 0, memory_order_relaxed);
	alarm->bell = &alarm->own;
	alarm->linger = (struct weir_linger){0};
	alarm->lingers = 0;
	alarm->lingers_vain = 0;
}

/* The words to sleep on: every link's, or the own one. Returns how many. */
static size_t bells(struct weir_alarm *alarm, const struct weir_port *port,
		    _Atomic uint32_t **out_bells)
{
	const size_t count = weir_port_bells(port, out_bells);

	if (count != 0)
		return count;
	out_bells[0] = &alarm->own;
	return 1;
}

void weir_alarm_follow(struct weir_alarm *alarm, const struct weir_port *port)
{
	_Atomic uint32_t *all[WEIR_PORT_BELLS_MAX];

	(void)bells(alarm, port, all); /* at least one */
	lock(alarm);
	alarm->bell = all[0];
	unlock(alarm);
}

void weir_alarm_ring(struct weir_alarm *alarm)
{
	/* ORDER worker_mail seq_cst: before the look at the leader's bell, in the one order of all
	 * seq_cst operations; the lists themselves are under locks. A leader that changes its bell
	 * meanwhile is awake, and looks here before it sleeps on the new one. */
	atomic_store_explicit(&alarm->is_rung, true, memory_order_seq_cst);
	lock(alarm);
	/* False: it is awake, or a shard took its bell and may have died before it woke it. */
	if (!weir_bell_ring(alarm->bell) &&
	    /* ORDER worker_mail seq_cst: after the flag. */
	    atomic_load_explicit(&alarm->is_asleep, memory_order_seq_cst))
		weir_bell_wake(alarm->bell);
	unlock(alarm);
}

void weir_alarm_answer(struct weir_alarm *alarm)
{
	/* ORDER worker_mail seq_cst: before the look into the lists, so that what is appended after it
	 * sets the flag again. */
	atomic_store_explicit(&alarm->is_rung, false, memory_order_seq_cst);
}

/* Wait awake for calls that an awake shard may be about to send: it needs no bell then. True if there
 * is something to do. */
static bool linger(struct weir_alarm *alarm, const struct weir_port *port)
{
	const uint64_t began_ns = weir_clock_now_ns();
	uint64_t now_ns = began_ns;
	uint64_t yield_ns = 0;
	bool has_calls = false;

	if (!weir_linger_allowed(&alarm->linger, began_ns))
		return false;
	do {
		const uint64_t before_ns = now_ns;

		(void)sched_yield(); /* cannot fail on Linux */
		now_ns = weir_clock_now_ns();
		if (now_ns - before_ns > yield_ns)
			yield_ns = now_ns - before_ns;
		has_calls = !weir_port_is_empty(port);
	} while (!has_calls && !weir_alarm_is_rung(alarm) && weir_port_is_shard_awake(port) &&
		 now_ns - began_ns < WEIR_LINGER_NS);
	weir_linger_learn(&alarm->linger, now_ns, yield_ns, has_calls);
	alarm->lingers++;
	alarm->lingers_vain += !has_calls;
	return has_calls || weir_alarm_is_rung(alarm);
}

void weir_alarm_sleep(struct weir_alarm *alarm, const struct weir_port *port, uint64_t until_ns)
{
	_Atomic uint32_t *all[WEIR_PORT_BELLS_MAX];
	const size_t count = bells(alarm, port, all);
	uint64_t timeout_ns = 0;
	bool is_idle = false;

	if (until_ns == UINT64_MAX && weir_port_is_shard_awake(port) && linger(alarm, port))
		return;
	/* ORDER worker_mail seq_cst: before the look at the flag, below. */
	atomic_store_explicit(&alarm->is_asleep, true, memory_order_seq_cst);
	for (size_t i = 0; i < count; i++)
		weir_bell_announce(all[i]);
	is_idle = weir_port_is_empty(port) &&
		  /* ORDER worker_mail seq_cst: after the bells' announcement. */
		  !atomic_load_explicit(&alarm->is_rung, memory_order_seq_cst);
	if (is_idle && until_ns != UINT64_MAX) {
		const uint64_t now_ns = weir_clock_now_ns();

		is_idle = now_ns < until_ns;
		timeout_ns = until_ns - now_ns;
	}
	if (is_idle)
		(void)weir_bell_wait(all, count,
				     timeout_ns); /* whatever ended it: look again */
	atomic_store_explicit(&alarm->is_asleep, false, memory_order_relaxed);
	for (size_t i = 0; i < count; i++)
		weir_bell_cancel(all[i]);
}
