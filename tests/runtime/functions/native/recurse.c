/* Calls itself until the stack is used up. */
#include "weir_function.h"

static int deeper(volatile int *above)
{
	volatile int here = *above + 1;

	return deeper(&here) + here;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	volatile int zero = 0;

	(void)request;
	(void)response;
	return deeper(&zero);
}
