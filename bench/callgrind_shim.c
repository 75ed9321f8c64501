/* callgrind_shim: what lets gateway and worker run under valgrind, preloaded by bench/profile.
 *
 * Valgrind runs the threads of a process one at a time, and takes a system call that it does not
 * know to block for one that does not: a shard asleep in io_uring_enter stops its whole process.
 * futex_waitv it does not know at all (3.19). So the waits are made of calls that it does know:
 *
 *   io_uring_submit_and_wait_timeout   submit, poll the ring for a moment, look again
 *   futex_waitv                        FUTEX_WAIT on the first word, for a moment, look again
 *
 * The code that runs is the release build's; only how it sleeps differs, so instructions per request
 * are real and times mean nothing. Any thread; keeps nothing. */
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { LOOK_AGAIN_NS = 200000, NS_PER_SECOND = 1000000000 };

/* The ring's own poll is not woken by work that the kernel deferred to this thread, so it looks at
 * it again in between. Waiting for one is enough: every caller looks at what came and comes back. */
EXPORT int io_uring_submit_and_wait_timeout(struct io_uring *ring,
					    struct io_uring_cqe **cqe_ptr, unsigned wait_nr,
					    struct __kernel_timespec *ts, sigset_t *sigmask)
{
	struct pollfd ready = {.fd = ring->ring_fd, .events = POLLIN};
	int64_t left = ts ? ts->tv_sec * NS_PER_SECOND + ts->tv_nsec : INT64_MAX;
	int result = io_uring_submit_and_get_events(ring);

	while (result >= 0 && io_uring_cq_ready(ring) < (wait_nr > 0) && left > 0) {
		const struct timespec look = {.tv_nsec = LOOK_AGAIN_NS};

		(void)ppoll(&ready, 1, &look, sigmask);
		left -= LOOK_AGAIN_NS;
		result = io_uring_get_events(ring);
	}
	if (result >= 0 && io_uring_peek_cqe(ring, cqe_ptr) != 0)
		return -ETIME;
	return result;
}

static int64_t left_ns(const struct __kernel_timespec *end)
{
	struct timespec now;

	if (!end)
		return LOOK_AGAIN_NS;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (end->tv_sec - now.tv_sec) * NS_PER_SECOND + (end->tv_nsec - now.tv_nsec);
}

typedef long (*system_call)(long number, ...);

static long wait_many(system_call real, const struct futex_waitv *waiters, unsigned count,
		      const struct __kernel_timespec *end)
{
	for (;;) {
		const int64_t left = left_ns(end);
		struct timespec look = {.tv_nsec = left < LOOK_AGAIN_NS ? (long)left
									: LOOK_AGAIN_NS};

		for (unsigned i = 0; i < count; i++) {
			const _Atomic uint32_t *word =
				(const void *)(uintptr_t)waiters[i].uaddr;

			if (atomic_load_explicit(word, memory_order_seq_cst) !=
			    waiters[i].val) {
				errno = EAGAIN;
				return -1;
			}
		}
		if (left <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		(void)real(SYS_futex, (void *)(uintptr_t)waiters[0].uaddr, FUTEX_WAIT,
			   waiters[0].val, &look, NULL, 0);
	}
}

EXPORT long syscall(long number, ...)
{
	static system_call real;
	va_list arguments;
	long word[6];

	if (!real)
		real = (system_call)(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	va_start(arguments, number);
	for (int i = 0; i < 6;
	     i++) /* more than the caller passed: whatever lies there is not looked at */
		word[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_futex_waitv)
		return wait_many(real, (const void *)word[0], (unsigned)word[1],
				 (const void *)word[3]);
	return real(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}
