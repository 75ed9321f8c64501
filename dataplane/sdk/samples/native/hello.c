/* GET /hello, or POST /hello with {"name":"Ada"}. */
#include "weir_function.h"
#include "weir_json.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char text[4096] = "", answer[sizeof(text) + 32];
	const char *name = NULL;
	struct weir_text body;

	if (weir_request_body(request, &body) == 0 && body.bytes < sizeof(text))
		memcpy(text, body.data, body.bytes);
	if (!json_member(text, "name", &name) || name == NULL || *name != '"')
		name = "\"world\"";
	/* What stands between the quotes is JSON already. */
	(void)snprintf(answer, sizeof(answer), "{\"message\":\"Hello, %.*s!\"}",
		       (int)(json_string_end(name) - name) - 2, name + 1);
	(void)weir_response_header(response, "content-type", "application/json");
	return weir_response_write_text(response, answer);
}
