/* Never returns. */
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	static volatile unsigned int rounds;

	(void)request;
	(void)response;
	for (;;)
		rounds++;
}
