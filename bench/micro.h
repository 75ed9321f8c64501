/* micro: small benchmarks of the real libraries, one operation each.
 *
 *   open(argument)  ->  pass(argument)  pass(argument) ...  ->  the program ends
 *
 * A pass does `operations` operations; the runner repeats passes and divides. Tables of benchmarks
 * stand in micro_*.c and end with an entry without a name. Owns: static memory of its file.
 * Threads: one. */
#ifndef WEIR_BENCH_MICRO_H
#define WEIR_BENCH_MICRO_H

#include <stdint.h>

struct weir_micro {
	const char *name;                /* for --only and in the output */
	const char *title;               /* for people */
	void (*open)(uint32_t argument); /* NULL: nothing to prepare */
	void (*pass)(uint32_t argument);
	uint32_t argument;
	uint32_t operations; /* of one pass */
};

extern const struct weir_micro weir_micro_shm[];
extern const struct weir_micro weir_micro_http[];
extern const struct weir_micro weir_micro_route[];
extern const struct weir_micro weir_micro_pick[];
extern const struct weir_micro weir_micro_call[];
extern const struct weir_micro weir_micro_caller[];

/* The requests that several benchmarks use, NUL-terminated. */
extern const char weir_micro_get_minimal[]; /* as bench/load.c sends it */
extern const char weir_micro_get_browser[]; /* 12 fields */
extern const char weir_micro_post[];

/* The value counts as used: the compiler may not leave its computation out. */
static inline void weir_micro_keep(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* A benchmark could not be prepared or went wrong: say where and exit with 1. */
_Noreturn void weir_micro_fail(const char *what, int error);

#endif
