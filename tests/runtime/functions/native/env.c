/* An environment variable. */
#include "weir_function.h"

#include <stdlib.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const char *const value = getenv("WEIR_TEST");

	(void)request;
	return weir_response_write_text(response, value != NULL ? value : "unset");
}
