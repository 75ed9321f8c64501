/* ANY /busy/{us}: runs for so many microseconds of CPU time, then answers; however long that takes where
 * others want the CPU, too. */
#include <stdint.h>
#include <time.h>

#include "weir_function.h"

enum { US_MAX = 1000000 };

static uint64_t cpu_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static uint64_t us_parse(struct weir_text text)
{
	uint64_t us = 0;

	for (size_t i = 0; i < text.bytes && text.data[i] >= '0' && text.data[i] <= '9' && us <= US_MAX; i++)
		us = us * 10 + (uint64_t)(text.data[i] - '0');
	return us <= US_MAX ? us : US_MAX;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const uint64_t until_ns = cpu_ns() + us_parse(weir_request_param(request, "us")) * 1000;

	while (cpu_ns() < until_ns)
		;
	return weir_response_write_text(response, "done\n");
}
