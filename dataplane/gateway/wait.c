#include "dataplane/gateway/wait.h"

#include <sched.h>

#include "dataplane/base/clock.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/doorbell.h"

enum {
	SENDS_TRUST_US = 1000,   /* the longest sleep that relies on sends completing at once */
	SENDS_DISTRUST_TURNS = 256,
	IDLE_SECONDS_MAX = 60,   /* an idle shard looks around this often */
	WAITING_CHECK_MS = 10,   /* how often a queue without events is looked at */
};

/* How many completions to sleep for. A small send into a socket with room completes while it is
 * submitted, so waiting for "one" would return at once with nothing but that; waiting for one more
 * than the sends of this turn saves a system call a turn. If a send does not complete at once the
 * sleep is short, and the trick is left alone for a while. */
static unsigned completions_wanted(struct weir_shard *shard, uint64_t *left_ns)
{
	const uint32_t expected = shard->sends_expected;

	if (shard->sends_distrust > 0) {
		shard->sends_distrust--;
		shard->sends_expected = 0;
		return 1;
	}
	if (expected > 0 && *left_ns > SENDS_TRUST_US * WEIR_NS_PER_US)
		*left_ns = SENDS_TRUST_US * WEIR_NS_PER_US;
	return 1 + expected;
}

void weir_wait_check_sends(struct weir_shard *shard)
{
	if (io_uring_cq_ready(&shard->ring) > 0)
		return; /* not all was taken: judged in the next turn */
	if (shard->sends_seen < shard->sends_expected)
		shard->sends_distrust = SENDS_DISTRUST_TURNS;
	shard->sends_expected = 0;
	shard->sends_seen = 0;
}

/* Did something happen that the ring has not turned into completions yet, or is one there? */
static bool has_events(const struct weir_shard *shard)
{
	return io_uring_cq_ready(&shard->ring) > 0 ||
	       (IO_URING_READ_ONCE(*shard->ring.sq.kflags) & IORING_SQ_TASKRUN) != 0;
}

/* Give the CPU to workers that should answer soon, and stay awake meanwhile, so that neither they
 * nor a packet have to wake this thread. True if there is something to do. */
static bool linger(struct weir_shard *shard)
{
	const uint64_t began_ns = weir_clock_now_ns();
	uint64_t now_ns = began_ns, yield_ns = 0;
	bool answered = false, events = false;

	if (!weir_linger_allowed(&shard->linger, began_ns))
		return false;
	do {
		const uint64_t before_ns = now_ns;

		(void)sched_yield(); /* cannot fail on Linux */
		now_ns = weir_clock_now_ns();
		if (now_ns - before_ns > yield_ns)
			yield_ns = now_ns - before_ns;
		answered = weir_link_any_waiting(shard);
		events = has_events(shard);
	} while (!answered && !events && now_ns - began_ns < WEIR_LINGER_NS);
	shard->now_ns = now_ns; /* a sleep that follows is measured from here */
	weir_shard_count(shard, WEIR_METRIC_lingers, 1);
	if (answered || !events || yield_ns >= WEIR_LINGER_STOLEN_NS)
		weir_linger_learn(&shard->linger, now_ns, yield_ns, answered);
	if (!answered && !events)
		weir_shard_count(shard, WEIR_METRIC_lingers_vain, 1);
	return answered || events;
}

/* Hand what is queued to the kernel, and take what it has while there: no call for a few packets
 * alone, they come with the next answers. */
static void submit(struct weir_shard *shard)
{
	if (io_uring_sq_ready(&shard->ring) > 0)
		(void)io_uring_submit_and_get_events(&shard->ring); /* errors show at the next submit */
}

/* True if the turn may start: workers answered, or are about to and were given the CPU. */
static bool await_workers(struct weir_shard *shard)
{
	if (weir_link_any_waiting(shard)) {
		shard->bound_in_batch = 0; /* the workers have had the CPU, or have their own */
		if (io_uring_sq_ready(&shard->ring) > 0 || has_events(shard))
			(void)io_uring_submit_and_get_events(&shard->ring); /* as in submit() */
		return true;
	}
	if (!weir_link_answers_soon(shard))
		return false;
	submit(shard);
	if (io_uring_cq_ready(&shard->ring) > 0 && shard->bound_in_batch < WEIR_SHARD_BATCH_CALLS_MAX)
		return true;
	shard->bound_in_batch = 0;
	if (!linger(shard))
		return false;
	if (!weir_link_any_waiting(shard) && io_uring_cq_ready(&shard->ring) == 0)
		(void)io_uring_get_events(&shard->ring); /* errors show at the next submit */
	return true;
}

void weir_wait_for_work(struct weir_shard *shard)
{
	const uint64_t due_ns = weir_timer_next_ns(&shard->wheel);
	struct __kernel_timespec timeout;
	struct io_uring_cqe *cqe;
	uint64_t left_ns;
	unsigned wanted;

	shard->wake_by_ns = 0;
	if (await_workers(shard))
		return;
	/* At the turn's end the last answers gave chunks back: who waits for them is fed in the next one, and no
	 * completion is owed that would begin it. */
	if (shard->has_food) {
		submit(shard);
		return;
	}
	shard->bound_in_batch = 0;
	if (io_uring_cq_ready(&shard->ring) > 0) {
		submit(shard);
		return;
	}
	weir_shard_sleep_begin(shard->sleep_line);
	if (weir_link_any_waiting(shard)) {
		weir_shard_sleep_end(shard->sleep_line);
		(void)io_uring_submit_and_get_events(&shard->ring); /* errors show at the next submit */
		return;
	}
	left_ns = due_ns > shard->now_ns ? due_ns - shard->now_ns : 0;
	if (left_ns > IDLE_SECONDS_MAX * WEIR_NS_PER_SECOND)
		left_ns = IDLE_SECONDS_MAX * WEIR_NS_PER_SECOND;
	if (shard->accept_paused && shard->now_ns + left_ns > shard->accept_retry_ns)
		left_ns = shard->accept_retry_ns > shard->now_ns ? shard->accept_retry_ns - shard->now_ns : 0;
	if (shard->waiting_count > 0 && left_ns > WAITING_CHECK_MS * WEIR_NS_PER_MS)
		left_ns = WAITING_CHECK_MS * WEIR_NS_PER_MS;
	wanted = completions_wanted(shard, &left_ns);
	shard->wake_by_ns = shard->now_ns + left_ns;
	timeout = (struct __kernel_timespec){.tv_sec = (int64_t)(left_ns / WEIR_NS_PER_SECOND),
					     .tv_nsec = (int64_t)(left_ns % WEIR_NS_PER_SECOND)};
	weir_shard_count(shard, WEIR_METRIC_sleeps, 1);
	/* -ETIME, -EINTR, -EBUSY: look at what is there, come back. */
	(void)io_uring_submit_and_wait_timeout(&shard->ring, &cqe, wanted,
					       &timeout, NULL);
	weir_shard_sleep_end(shard->sleep_line);
}
