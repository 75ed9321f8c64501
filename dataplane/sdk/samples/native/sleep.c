/* ANY /sleep/{ms}: answers after that many milliseconds; others run meanwhile. */
#include "weir_function.h"

#include <stdio.h>

enum { MS_MAX = 3600000 };

/* 0 .. MS_MAX, or -1. */
static long ms_parse(struct weir_text text)
{
	long ms = 0;

	if (text.bytes == 0 || text.bytes > 7)
		return -1;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		ms = ms * 10 + (text.data[i] - '0');
	}
	return ms <= MS_MAX ? ms : -1;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const long ms = ms_parse(weir_request_param(request, "ms"));
	char text[64];
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	if (ms < 0) {
		(void)weir_response_status(response, 400);
		return weir_response_write_text(
			response,
			"{\"error\":\"the time must be a number from 0 to 3600000\"}");
	}
	result = weir_function_sleep_ms(request, (uint64_t)ms);
	if (result != 0)
		return result;
	(void)snprintf(text, sizeof(text), "{\"slept_ms\":%ld}", ms);
	return weir_response_write_text(response, text);
}
