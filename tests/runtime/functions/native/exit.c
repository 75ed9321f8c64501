/* Ends the process that it runs in. */
#include "weir_function.h"

#include <stdlib.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)response;
	exit(3);
}
