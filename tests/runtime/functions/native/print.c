/* Prints, past its answer. */
#include "weir_function.h"

#include <stdio.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)printf("to stdout\n");
	(void)fprintf(stderr, "to stderr\n");
	return weir_response_write_text(response, "printed\n");
}
