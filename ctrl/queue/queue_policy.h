/* queue_policy: what the settings say, and what follows from how a run ended. Pure; any thread. */
#ifndef WEIR_CTRL_QUEUE_QUEUE_POLICY_H
#define WEIR_CTRL_QUEUE_QUEUE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEIR_QUEUE_LIMITS_BYTES = 128, /* the limits as a text, and the NUL */
	WEIR_QUEUE_RETRIES_MAX = 100,
	WEIR_QUEUE_BACK_OFF_MS_MAX = 600000,
	WEIR_QUEUE_ATTEMPTS_MAX = 300, /* of one call, those that Weir itself lost or refused included */
};

struct weir_queue_limits {
	uint64_t rows_max;       /* calls that wait or run */
	uint64_t bytes_max;      /* of all bodies and answers that are kept */
	uint64_t body_bytes_max; /* of one call */
	uint32_t running_max;    /* calls at once */
	uint32_t retries_max;    /* of a call that names no number */
	uint32_t retry_ms;       /* before the first; twice as long before each further one */
	uint32_t keep_s;         /* what has ended */
	uint32_t key_keep_s;     /* idempotency keys */
};

/* As one text, and back: how settings travel to the worker, in its function's handler. Format: false, it does
 * not fit, which no limits within their ranges bring about. Parse: false, it is none. */
bool weir_queue_limits_format(const struct weir_queue_limits *limits, char out[WEIR_QUEUE_LIMITS_BYTES]);
bool weir_queue_limits_parse(const char *text, struct weir_queue_limits *out_limits);

/* What a run's end means. */
enum weir_queue_verdict {
	WEIR_QUEUE_VERDICT_ANSWERED, /* by the function */
	WEIR_QUEUE_VERDICT_FAILED,   /* it did not get to its answer: try again, so often */
	WEIR_QUEUE_VERDICT_REFUSED,  /* Weir had no place for it: try again, that counts for nothing */
	WEIR_QUEUE_VERDICT_HOPELESS, /* it would be the same again */
};

/* `failure`: the word of Weir's error, NULL where the function answered. */
enum weir_queue_verdict weir_queue_verdict_of(uint32_t status, const char *failure);

/* How long to wait before the next try, after `failures` (1 or more) of them: twice as long each time, up to
 * WEIR_QUEUE_BACK_OFF_MS_MAX, less up to half of it as `random` has it, so that what failed together does not come
 * back together. */
uint32_t weir_queue_back_off_ms(uint32_t retry_ms, uint32_t failures, uint64_t random);

#endif
