/* chain: a function that calls another one. It asks `hello` for a greeting and wraps it:
 *
 *   GET /            {"called":"hello","status":200,"answer":{"message":"Hello, world!"}}
 *   POST {"name":…}  the body is handed on
 *   ?function=NAME   calls NAME instead; ?one-way=1 does not wait: NAME runs after this answer
 */
#include <stdio.h>

#include <weir_call.h>

/* The value of a parameter of the query; it is copied to `out`. */
static const char *parameter(const struct weir_request *request, const char *name, char *out,
			     size_t max)
{
	const struct weir_text query = weir_request_query(request);
	const size_t name_bytes = strlen(name);

	for (size_t at = 0; at + name_bytes + 1 < query.bytes; at++) {
		size_t bytes = 0;

		if ((at > 0 && query.data[at - 1] != '&') ||
		    memcmp(query.data + at, name, name_bytes) != 0 ||
		    query.data[at + name_bytes] != '=')
			continue;
		for (at += name_bytes + 1; at < query.bytes && query.data[at] != '&' && bytes + 1 < max;)
			out[bytes++] = query.data[at++];
		out[bytes] = '\0';
		return out;
	}
	return NULL;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char name[64], one_way[8], head[160];
	struct weir_text body = {0};
	struct weir_call call = {0};
	struct weir_call_answer answer;
	int result = weir_request_body(request, &body);

	if (result != 0)
		return result;
	call.name = parameter(request, "function", name, sizeof(name));
	if (call.name == NULL)
		call.name = "hello";
	call.method = body.bytes == 0 ? "GET" : "POST";
	call.content_type = "application/json";
	call.body = body.data;
	call.body_bytes = body.bytes;
	call.one_way = parameter(request, "one-way", one_way, sizeof(one_way)) != NULL;
	result = weir_call_with(request, &call, &answer);
	if (result != 0)
		return result;
	(void)snprintf(head, sizeof(head), "{\"called\":\"%s\",\"status\":%u,\"answer\":", call.name,
		       answer.status);
	(void)weir_response_header(response, "content-type", "application/json");
	(void)weir_response_write_text(response, head);
	(void)weir_response_write(response, answer.body.data, answer.body.bytes);
	return weir_response_write_text(response, "}\n");
}
