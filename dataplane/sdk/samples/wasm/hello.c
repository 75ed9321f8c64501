/* GET /hello, or POST /hello with {"name":"Ada"}: a handler that reads and writes JSON. */
#include "weir_json.h"
#include "weir_wasm.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text body = {"", 0};
	const char *name = NULL;
	const char *end = NULL;
	int result = weir_request_body(request, &body);

	if (result != 0)
		return result;
	(void)weir_response_header(response, "content-type", "application/json");
	if (json_member(body.data, "name", &name) && name != NULL)
		end = json_string_end(name);
	if (end == NULL)
		return weir_response_write_text(response, "{\"message\":\"Hello, world!\"}");
	result = weir_response_write_text(response, "{\"message\":\"Hello, ");
	if (result == 0) /* what stands between the quotes is JSON already */
		result = weir_response_write(response, name + 1, (size_t)(end - name) - 2);
	if (result == 0)
		result = weir_response_write_text(response, "!\"}");
	return result;
}
