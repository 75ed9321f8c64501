/* ?code=N: answers N. */
#include "weir_function.h"

#include <stdio.h>
#include <stdlib.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	char text[64] = "";
	unsigned int code = 0;

	(void)snprintf(text, sizeof(text), "%.*s", (int)query.bytes, query.data);
	if (sscanf(text, "code=%u", &code) != 1)
		return -1;
	(void)weir_response_status(response, code);
	(void)weir_response_header(response, "x-test", "yes");
	(void)snprintf(text, sizeof(text), "status %u\n", code);
	return weir_response_write_text(response, text);
}
