/* Answers the status in ?code=. */
#include <stdio.h>

#include "weir_wasm.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	const long code = query.bytes > 5 ? strtol(query.data + 5, NULL, 10) : 200;
	char text[32];

	(void)weir_response_status(response, (unsigned int)code);
	(void)weir_response_header(response, "x-test", "yes");
	(void)snprintf(text, sizeof(text), "status %ld\n", code);
	return weir_response_write_text(response, text);
}
