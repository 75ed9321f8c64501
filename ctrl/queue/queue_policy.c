#include "ctrl/queue/queue_policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool weir_queue_limits_format(const struct weir_queue_limits *limits, char out[WEIR_QUEUE_LIMITS_BYTES])
{
	const int bytes = snprintf(out, WEIR_QUEUE_LIMITS_BYTES,
				   "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%u:%u:%u:%u:%u", limits->rows_max,
				   limits->bytes_max, limits->body_bytes_max, limits->running_max, limits->retries_max,
				   limits->retry_ms, limits->keep_s, limits->key_keep_s);

	return bytes > 0 && bytes < WEIR_QUEUE_LIMITS_BYTES;
}

bool weir_queue_limits_parse(const char *text, struct weir_queue_limits *out_limits)
{
	struct weir_queue_limits limits = {0};
	char rest = 0;

	if (sscanf(text, "%" SCNu64 ":%" SCNu64 ":%" SCNu64 ":%u:%u:%u:%u:%u%c", &limits.rows_max, &limits.bytes_max,
		   &limits.body_bytes_max, &limits.running_max, &limits.retries_max, &limits.retry_ms, &limits.keep_s,
		   &limits.key_keep_s, &rest) != 8)
		return false;
	*out_limits = limits;
	return true;
}

enum weir_queue_verdict weir_queue_verdict_of(uint32_t status, const char *failure)
{
	/* It ran, or was about to. The last two are the runner's own words (queued/runner.c). */
	static const char *const runs[] = {"function_failed", "function_garbage", "function_load", "function_timeout",
					   "worker_died",     "out_of_memory",	  "program_failed", "answer_broken"};

	if (failure == NULL)
		return WEIR_QUEUE_VERDICT_ANSWERED;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		if (strcmp(failure, runs[i]) == 0)
			return WEIR_QUEUE_VERDICT_FAILED;
	}
	/* 501: it is being built, or its runtime's package is not there yet. */
	return status == 429 || status == 501 || status == 503 || status == 504 ? WEIR_QUEUE_VERDICT_REFUSED
										 : WEIR_QUEUE_VERDICT_HOPELESS;
}

uint32_t weir_queue_back_off_ms(uint32_t retry_ms, uint32_t failures, uint64_t random)
{
	uint64_t wait_ms = retry_ms;

	for (uint32_t i = 1; i < failures && wait_ms < WEIR_QUEUE_BACK_OFF_MS_MAX; i++)
		wait_ms *= 2;
	if (wait_ms > WEIR_QUEUE_BACK_OFF_MS_MAX)
		wait_ms = WEIR_QUEUE_BACK_OFF_MS_MAX;
	return (uint32_t)(wait_ms - random % (wait_ms / 2 + 1));
}
