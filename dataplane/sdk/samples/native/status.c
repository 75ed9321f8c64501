/* ANY /status/{code}: answers that code. */
#include "weir_function.h"

#include <stdio.h>

/* 200 .. 599, or 0. */
static unsigned int code_parse(struct weir_text text)
{
	unsigned int code = 0;

	if (text.bytes != 3)
		return 0;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		code = code * 10 + (unsigned int)(text.data[i] - '0');
	}
	return code >= 200 && code <= 599 ? code : 0;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const unsigned int code = code_parse(weir_request_param(request, "code"));
	char text[64];

	if (code == 0) {
		(void)weir_response_status(response, 400);
		(void)weir_response_header(response, "content-type", "application/json");
		return weir_response_write_text(
			response, "{\"error\":\"the code must be a number from 200 to 599\"}");
	}
	(void)weir_response_status(response, code);
	if (code == 204 || code == 304)
		return 0; /* these have no body */
	(void)weir_response_header(response, "content-type", "application/json");
	(void)snprintf(text, sizeof(text), "{\"status\":%u}", code);
	return weir_response_write_text(response, text);
}
