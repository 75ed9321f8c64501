/* GET /hello, or POST /hello with {"name":"Ada"}. */
#include "weir_function.h"
#include "weir_json.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char text[4096];
	const char *name = NULL;
	struct weir_text body = {"", 0};
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	if (weir_request_body(request, &body) == 0 && body.bytes != 0 && body.bytes < sizeof(text)) {
		memcpy(text, body.data, body.bytes);
		text[body.bytes] = '\0';
		if (!json_member(text, "name", &name))
			name = NULL;
	}
	if (name == NULL || *name != '"')
		return weir_response_write_text(response, "{\"message\":\"Hello, world!\"}");
	result = weir_response_write_text(response, "{\"message\":\"Hello, ");
	if (result == 0) /* what stands between the quotes is JSON already */
		result = weir_response_write(response, name + 1, (size_t)(json_string_end(name) - name) - 2);
	if (result == 0)
		result = weir_response_write_text(response, "!\"}");
	return result;
}
