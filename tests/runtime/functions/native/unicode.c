/* Text that is not ASCII. */
#include "weir_function.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)weir_response_header(response, "content-type", "text/plain; charset=utf-8");
	return weir_response_write_text(response, "grüße, 世界 🎉\n");
}
