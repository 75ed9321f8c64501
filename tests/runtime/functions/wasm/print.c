/* A handler's standard output is its log; only what it writes to the response is the answer. */
#include <stdio.h>

#include "weir_wasm.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	printf("to stdout\n");
	fprintf(stderr, "to stderr\n");
	fflush(stdout);
	return weir_response_write_text(response, "printed\n");
}
