/* policies: the ways of choosing a worker for a call, the weights of the score, and what a pool's size
 * follows. One line each; everything that must know them all reads these tables (schedule/ holds what they do).
 *
 *   number   name     for people
 *   stands in snapshots and in weir.db, never reused
 * Weights are thousandths. */
#ifndef WEIR_DATAPLANE_ABI_POLICIES_H
#define WEIR_DATAPLANE_ABI_POLICIES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_POLICIES(X)                                                                          \
	X(SCORE, 0, "score", "the lowest of alpha*cpu + beta*mem + gamma*io + delta*in flight + epsilon*remote") \
	X(LEAST_IN_FLIGHT, 1, "least-in-flight", "the fewest calls in flight")                    \
	X(TWO_CHOICES, 2, "two-choices", "of two drawn at random the one with fewer calls")       \
	X(ROUND_ROBIN, 3, "round-robin", "each in turn")                                          \
	X(RANDOM, 4, "random", "any")                                                             \
	X(C_SEED, 5, "c-seed", "for comparison: the score as Weir's forerunner in C had it")

enum weir_policy_number {
#define WEIR_POLICY_NUMBER(word, number, name, help) WEIR_POLICY_##word = (number),
	WEIR_POLICIES(WEIR_POLICY_NUMBER)
#undef WEIR_POLICY_NUMBER
	WEIR_POLICY_COUNT,
};

enum {
	WEIR_WEIGHT_ONE = 1000,
	WEIR_WEIGHT_MAX = 10000, /* ten times as much as is usual */
	WEIR_WEIGHT_EMA_MAX = 999, /* at 1 nothing new would count */
};

/* The weights of a pool's score, and the part of its moving average that is the old value. */
struct weir_weights {
	uint16_t alpha;   /* CPU time and waiting for it */
	uint16_t beta;    /* memory */
	uint16_t gamma;   /* reading and writing */
	uint16_t delta;   /* calls in flight */
	uint16_t epsilon; /* on another NUMA node */
	uint16_t ema;
};
static_assert(sizeof(struct weir_weights) == 12, "weights layout");

#define WEIR_WEIGHTS_DEFAULT \
	((struct weir_weights){.alpha = 500, .beta = 300, .gamma = 200, .delta = 1000, .epsilon = 200, .ema = 700})

enum {
	WEIR_AUTOSCALE_SAMPLES_MAX = 120,
	WEIR_AUTOSCALE_STEP_MS_MIN = 50,
	WEIR_AUTOSCALE_STEP_MS_MAX = 3600000,
	WEIR_AUTOSCALE_THRESHOLD_ONE = 1000,
	WEIR_AUTOSCALE_THRESHOLD_MAX = 10000, /* over 1: calls are to wait */
};

/* How a pool follows its load (schedule/autoscale.h). */
struct weir_autoscale_rule {
	uint32_t step_ms;   /* between samples, WEIR_AUTOSCALE_STEP_MS_MIN .. _MAX */
	uint16_t samples;   /* in a window, 1 .. WEIR_AUTOSCALE_SAMPLES_MAX */
	uint16_t threshold; /* thousandths of a worker that are to be in use, 1 .. WEIR_AUTOSCALE_THRESHOLD_MAX */
};
static_assert(sizeof(struct weir_autoscale_rule) == 8, "rule layout");

#define WEIR_AUTOSCALE_RULE_DEFAULT ((struct weir_autoscale_rule){.step_ms = 5000, .samples = 12, .threshold = 800})

/* "score" and so on; NULL for a number that is none. */
static inline const char *weir_policy_name(uint32_t policy)
{
	static const char *const names[WEIR_POLICY_COUNT] = {
#define WEIR_POLICY_NAME(word, number, name, help) [number] = (name),
		WEIR_POLICIES(WEIR_POLICY_NAME)
#undef WEIR_POLICY_NAME
	};

	return policy < WEIR_POLICY_COUNT ? names[policy] : NULL;
}

#endif
