/* chain: a function that calls another one. It asks "wasm-hello" for a greeting and wraps it:
 *
 *   GET /            {"called":"wasm-hello","status":200,"answer":{"message":"Hello, world!"}}
 *   POST {"name":...}  the body is handed on
 *   ?function=NAME   calls NAME instead; ?one-way=1 does not wait: NAME runs after this answer
 */
#include "weir_wasm_call.h"

#include <stdio.h>

/* The value of a parameter of the query, or NULL. */
static const char *parameter(const struct weir_request *request, const char *name)
{
	char *query = strdup(weir_request_query(request).data);

	for (char *part = strtok(query, "&"); part != NULL; part = strtok(NULL, "&"))
		if (strncmp(part, name, strlen(name)) == 0 && part[strlen(name)] == '=')
			return part + strlen(name) + 1;
	return NULL;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const char *const chosen = parameter(request, "function");
	const char *const name = chosen != NULL ? chosen : "wasm-hello";
	struct weir_text body = {"", 0};
	struct weir_text answer = {NULL, 0};
	char head[512];
	int status = weir_request_body(request, &body);

	if (status == 0 && parameter(request, "one-way") != NULL)
		status = weir_function_call_one_way(request, name, body);
	else if (status == 0)
		status = weir_function_call(request, name, body, &answer);
	if (status < 0)
		return status;
	(void)weir_response_header(response, "content-type", "application/json");
	snprintf(head, sizeof(head), "{\"called\":\"%.300s\",\"status\":%d,\"answer\":", name,
		 status);
	status = weir_response_write_text(response, head);
	if (status == 0)
		status = weir_response_write(response, answer.bytes != 0 ? answer.data : "null",
					     answer.bytes != 0 ? answer.bytes : 4);
	return status != 0 ? status : weir_response_write_text(response, "}");
}
