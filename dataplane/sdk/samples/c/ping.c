/* GET /ping: the least that a function does. */
#include <weir_function.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)weir_response_header(response, "content-type", "text/plain");
	return weir_response_write_text(response, "pong\n");
}
