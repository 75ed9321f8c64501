/* Answers that no client should see: for tests, and to see what a caller gets instead. The refused
 * status and field do no harm; an answer shorter than announced costs the call. */
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)weir_response_status(response, 9999);
	(void)weir_response_header(response, "bad name\r\n", "value");
	(void)weir_response_header(response, "x-bad", "one\r\nx-smuggled: two");
	(void)weir_response_length(response, 100);
	return weir_response_write_text(response, "short");
}
