/* sim: every interleaving of a few threads over the real sources of rings, calls and doorbells.
 *
 * This header is force-included (-include) into those sources: each atomic operation, futex call
 * and eventfd write becomes a step of a simulated thread (a ucontext). Before each step the
 * explorer chooses who goes on; it walks all choices, depth first, by running the scenario again
 * and again from its start.
 *
 * Memory: each thread has a store buffer. Relaxed and release stores wait there; before another
 * thread touches the same word the explorer chooses whether the store has come out by then (a
 * release only with all older ones). seq_cst stores, read-modify-writes and calls into the kernel
 * empty the buffer first; loads see their own thread's buffer. So a seq_cst that was weakened shows
 * here as it would on hardware. What is not shown: plain memory is seen at once, and loads are not
 * reordered; ThreadSanitizer (test_stress) judges those.
 * Threads: one real one. A thread that waits for ever is a lost wake-up: the run fails. */
#ifndef WEIR_TESTS_SHM_SIM_H
#define WEIR_TESTS_SHM_SIM_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIM_THREADS_MAX = 3 };

struct sim_scenario {
	const char *name;
	void (*start)(void);                    /* sets everything back before each run */
	void (*thread[SIM_THREADS_MAX])(void);  /* NULL ends the list */
	void (*finish)(void);                   /* after all threads returned; may call sim_check() */
	uint32_t preemptions_max; /* switches away from a thread that could go on, in one run */
};

struct sim_result {
	uint64_t runs;
	const char *failure; /* NULL: no interleaving failed */
};

/* Walk all interleavings of `scenario`, or up to the first that fails. */
struct sim_result sim_explore(const struct sim_scenario *scenario);

/* In a thread or in finish: the run has failed if `condition` is false; does not return then. */
void sim_check(bool condition, const char *what);

/* In a thread: a step without effect, where others may come in between. */
void sim_step(void);

/* In a thread: wait until somebody wrote to the eventfd `fd` (0 .. 7) since the last wait. */
void sim_event_wait(int fd);

/* In a thread: thread `index` takes no further step, wherever it is; what it stored gets out. */
void sim_kill(uint32_t index);

uint64_t sim_load(const void *where, size_t bytes, memory_order order);
void sim_store(void *where, size_t bytes, uint64_t value, memory_order order);
uint64_t sim_exchange(void *where, size_t bytes, uint64_t value);
bool sim_compare_exchange(void *where, size_t bytes, void *expected, uint64_t value);
long sim_syscall(long number, void *address, ...);
ssize_t sim_write(int fd, const void *data, size_t bytes);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#define atomic_load_explicit(object, order)                                                    \
	((__typeof__(*(object) + 0))sim_load((const void *)(uintptr_t)(object), sizeof(*(object)), (order)))
#define atomic_store_explicit(object, value, order)                                            \
	sim_store((void *)(uintptr_t)(object), sizeof(*(object)), (uint64_t)(value), (order))
#define atomic_exchange_explicit(object, value, order)                                         \
	((__typeof__(*(object) + 0))sim_exchange((void *)(uintptr_t)(object), sizeof(*(object)), (uint64_t)(value)))
#define atomic_compare_exchange_strong_explicit(object, expected, value, success, failure)     \
	sim_compare_exchange((void *)(uintptr_t)(object), sizeof(*(object)), (expected), (uint64_t)(value))
#define syscall(number, address, ...) sim_syscall((number), (void *)(uintptr_t)(address), __VA_ARGS__)
#define write(fd, data, bytes)        sim_write((fd), (data), (bytes))

#endif
