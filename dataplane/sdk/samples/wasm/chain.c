/* POST /chain: the body goes to the function "upper", whose answer is the answer. */
#include "weir_wasm_call.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text body = {"", 0};
	struct weir_text answer = {NULL, 0};
	int status = weir_request_body(request, &body);

	if (status == 0)
		status = weir_function_call(request, "upper", body, &answer);
	if (status < 0)
		return status;
	(void)weir_response_status(response, (unsigned int)status);
	(void)weir_response_header(response, "content-type", "text/plain; charset=utf-8");
	return weir_response_write(response, answer.data, answer.bytes);
}
