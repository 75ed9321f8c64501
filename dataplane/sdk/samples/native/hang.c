/* Never returns and never waits: for tests, and to see what a caller gets. */
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	volatile int forever = 1;

	(void)request;
	(void)response;
	while (forever)
		;
	return 0;
}
