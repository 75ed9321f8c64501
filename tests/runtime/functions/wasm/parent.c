/* Says which activation called it. */
#include <stdio.h>

#include "weir_wasm_call.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text parent = weir_request_parent(request);
	char text[64];

	(void)snprintf(text, sizeof(text), "{\"parent\":\"%.*s\"}", (int)parent.bytes, parent.data);
	return weir_response_write_text(response, text);
}
