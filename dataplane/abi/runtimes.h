/* runtimes: the kinds of workers. One line each; everything that must know them all reads this table.
 *
 *   number   name       pool             the worker's program is weir-worker-NAME
 *   stands in snapshots, never reused    SPACE: a worker serves a namespace's functions of that runtime
 *                                        FUNCTION: functions would share a heap, so each has its own
 *                                        workers, and none while nobody calls it
 * Which of them are on this machine is asked at run time: those whose program is there. */
#ifndef WEIR_DATAPLANE_ABI_RUNTIMES_H
#define WEIR_DATAPLANE_ABI_RUNTIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_RUNTIMES(X)                \
	X(NATIVE, 1, "native", SPACE)   \
	X(EXEC, 2, "exec", SPACE)       \
	X(WASM, 3, "wasm", SPACE)       \
	X(JS, 4, "js", SPACE)           \
	X(NODE, 5, "node", FUNCTION)    \
	X(PHP, 6, "php", SPACE)         \
	X(PYTHON, 7, "python", FUNCTION) \
	X(DIALECT, 8, "dialect", SPACE) /* Weir's own: other systems' APIs (ctrl/dialect), */ \
	X(QUEUE, 9, "queue", FUNCTION)  /* and asynchronous calls (ctrl/queued) */

enum weir_runtime_kind {
	WEIR_RUNTIME_MISSING = 0, /* not here: calls get 501 with a reason */
#define WEIR_RUNTIME_NUMBER(word, number, name, pool) WEIR_RUNTIME_##word = (number),
	WEIR_RUNTIMES(WEIR_RUNTIME_NUMBER)
#undef WEIR_RUNTIME_NUMBER
	WEIR_RUNTIME_COUNT,
};

enum weir_runtime_pool { WEIR_RUNTIME_POOL_SPACE, WEIR_RUNTIME_POOL_FUNCTION };

/* "native" and so on; "missing" for 0, NULL for a number that is none. */
static inline const char *weir_runtime_name(uint32_t runtime)
{
	static const char *const names[WEIR_RUNTIME_COUNT] = {
		[WEIR_RUNTIME_MISSING] = "missing",
#define WEIR_RUNTIME_NAME(word, number, name, pool) [number] = (name),
		WEIR_RUNTIMES(WEIR_RUNTIME_NAME)
#undef WEIR_RUNTIME_NAME
	};

	return runtime < WEIR_RUNTIME_COUNT ? names[runtime] : NULL;
}

/* Does each function of that runtime have workers of its own? */
static inline bool weir_runtime_is_pool_per_function(uint32_t runtime)
{
	static const enum weir_runtime_pool pools[WEIR_RUNTIME_COUNT] = {
#define WEIR_RUNTIME_POOL(word, number, name, pool) [number] = WEIR_RUNTIME_POOL_##pool,
		WEIR_RUNTIMES(WEIR_RUNTIME_POOL)
#undef WEIR_RUNTIME_POOL
	};

	return runtime < WEIR_RUNTIME_COUNT && pools[runtime] == WEIR_RUNTIME_POOL_FUNCTION;
}

#endif
