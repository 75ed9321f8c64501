/* hello, as native code and as WebAssembly: GET /hello, or POST /hello {"name":"Ada"}. The functions beside
 * it say the same in other languages; bench/runtimes compares them. */
#ifdef __wasm__
#include "weir_wasm.h"
#else
#include "weir_function.h"
#endif
#include "weir_json.h"

enum { BODY_BYTES_MAX = 512 };

/* The inside of the JSON string in the body's member "name"; "world" if there is none. */
static struct weir_text name_find(const struct weir_request *request, char *body)
{
	const char *name = NULL;
	const char *end = NULL;
	ssize_t bytes = 0;

	if (weir_request_body_bytes(request) == 0)
		return (struct weir_text){"world", 5};
	bytes = weir_request_read(request, body, BODY_BYTES_MAX - 1);
	body[bytes > 0 ? bytes : 0] = '\0';
	if (json_member(body, "name", &name) && name != NULL)
		end = json_string_end(name);
	if (end == NULL)
		return (struct weir_text){"world", 5};
	return (struct weir_text){name + 1, (size_t)(end - name) - 2};
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char body[BODY_BYTES_MAX];
	const struct weir_text name = name_find(request, body);
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	result = weir_response_write_text(response, "{\"message\":\"Hello, ");
	if (result == 0)
		result = weir_response_write(response, name.data, name.bytes);
	if (result == 0)
		result = weir_response_write_text(response, "!\"}");
	return result;
}
