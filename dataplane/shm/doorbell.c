#include "dataplane/shm/doorbell.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fault.h"

enum { AWAKE = 0, ASLEEP = 1 };

void weir_bell_announce(_Atomic uint32_t *bell)
{
	/* ORDER bell seq_cst: before the announcer's look at its rings, in the one order of all
	 * seq_cst operations. */
	atomic_store_explicit(bell, ASLEEP, memory_order_seq_cst);
	WEIR_FAULT(bell_announced);
}

void weir_bell_cancel(_Atomic uint32_t *bell)
{
	/* Relaxed: a shard that still sees ASLEEP rings in vain, nothing else. */
	atomic_store_explicit(bell, AWAKE, memory_order_relaxed);
}

static int wait_result(long returned, int error)
{
	if (returned >= 0 || error == EAGAIN)
		return 0; /* woken, or rung before the kernel looked */
	return -error;
}

static int wait_one(_Atomic uint32_t *bell, uint64_t timeout_ns)
{
	const struct timespec relative = {.tv_sec = (time_t)(timeout_ns / WEIR_NS_PER_SECOND),
					  .tv_nsec = (long)(timeout_ns % WEIR_NS_PER_SECOND)};
	const long returned = syscall(SYS_futex, bell, FUTEX_WAIT, ASLEEP,
				      timeout_ns != 0 ? &relative : NULL, NULL, 0);

	return wait_result(returned, errno);
}

/* futex_waitv takes an absolute time. */
static int wait_many(_Atomic uint32_t *const *bells, size_t count, uint64_t timeout_ns)
{
	struct futex_waitv waiters[WEIR_BELL_WAIT_MAX] = {{0}};
	const uint64_t now_ns = weir_clock_now_ns();
	const uint64_t end_ns = timeout_ns > UINT64_MAX / 2 - now_ns ? UINT64_MAX / 2 : now_ns + timeout_ns;
	const struct __kernel_timespec end = {.tv_sec = (long long)(end_ns / WEIR_NS_PER_SECOND),
					      .tv_nsec = (long long)(end_ns % WEIR_NS_PER_SECOND)};
	long returned = 0;

	for (size_t i = 0; i < count; i++) {
		waiters[i] = (struct futex_waitv){
			.val = ASLEEP, .uaddr = (uintptr_t)bells[i], .flags = FUTEX_32};
	}
	returned = syscall(SYS_futex_waitv, waiters, (unsigned int)count, 0,
			   timeout_ns != 0 ? &end : NULL, CLOCK_MONOTONIC);
	return wait_result(returned, errno);
}

int weir_bell_wait(_Atomic uint32_t *const *bells, size_t count, uint64_t timeout_ns)
{
	if (count == 0 || count > WEIR_BELL_WAIT_MAX)
		return -EINVAL;
	if (count == 1)
		return wait_one(bells[0], timeout_ns);
	return wait_many(bells, count, timeout_ns);
}

bool weir_bell_ring(_Atomic uint32_t *bell)
{
	/* ORDER bell seq_cst: after the ring was published, in the one order of all seq_cst operations. */
	if (__builtin_expect(atomic_load_explicit(bell, memory_order_seq_cst) != ASLEEP, 1))
		return false;
	/* ORDER bell seq_cst: of several shards exactly one takes the word and wakes. */
	if (atomic_exchange_explicit(bell, AWAKE, memory_order_seq_cst) != ASLEEP)
		return false;
	WEIR_FAULT(bell_ring_before_wake);
	/* Fails only for an address that is not mapped. */
	(void)syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
	return true;
}

void weir_bell_wake(_Atomic uint32_t *bell)
{
	/* Relaxed: a sleeper that has not called the kernel yet finds the word changed there. */
	atomic_store_explicit(bell, AWAKE, memory_order_relaxed);
	/* Fails only for an address that is not mapped. */
	(void)syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void weir_shard_sleep_begin(struct weir_shard_board_line *line)
{
	const uint64_t count = atomic_load_explicit(&line->sleep_count, memory_order_relaxed);

	/* ORDER shard_sleep seq_cst: before the shard's look at its rings, in the one order of all
	 * seq_cst operations. */
	atomic_store_explicit(&line->sleep_count, count | 1, memory_order_seq_cst);
}

void weir_shard_sleep_end(struct weir_shard_board_line *line)
{
	const uint64_t count = atomic_load_explicit(&line->sleep_count, memory_order_relaxed);

	/* Relaxed: a worker that still sees the odd value rings in vain, once. */
	atomic_store_explicit(&line->sleep_count, (count | 1) + 1, memory_order_relaxed);
}

bool weir_shard_ring(const struct weir_shard_board_line *line, uint64_t *rung_for, int event_fd)
{
	/* ORDER shard_sleep seq_cst: after the ring was published, in the one order of all seq_cst
	 * operations. */
	const uint64_t count = atomic_load_explicit(&line->sleep_count, memory_order_seq_cst);
	const uint64_t one = 1;

	if ((count & 1) == 0 || count == *rung_for)
		return false;
	*rung_for = count;
	WEIR_FAULT(shard_ring_before_write);
	/* EAGAIN: the counter is full, so the shard's poll is ready anyway. */
	return write(event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}
