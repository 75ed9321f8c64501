/* ANY /info: what a program gets to know of its request. It is in the environment, as in CGI. */
#include "weir_json.h"
#include "weir_wasm.h"

static void member(const char *name, const char *variable)
{
	const char *const value = getenv(variable);

	printf("\"%s\":", name);
	json_print(value != NULL ? value : "", value != NULL ? strlen(value) : 0);
	putchar(',');
}

int main(void)
{
	struct weir_text name;
	struct weir_text value;

	(void)weir_response_header(weir_response_current(), "content-type", "application/json");
	printf("{\"runtime\":\"wasm\",");
	member("method", "REQUEST_METHOD");
	member("path", "PATH_INFO");
	member("query", "QUERY_STRING");
	printf("\"headers\":{");
	for (size_t i = 0; weir_request_header_at(weir_request_current(), i, &name, &value);
	     i++) {
		if (i != 0)
			putchar(',');
		json_print(name.data, name.bytes);
		putchar(':');
		json_print(value.data, value.bytes);
	}
	printf("}}\n");
	return 0;
}
