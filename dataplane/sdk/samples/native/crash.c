/* Takes its worker down: for tests, and to see what a caller gets. */
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	volatile int *const nowhere = NULL;

	(void)request;
	(void)response;
	*nowhere = 1;
	return 0;
}
