/* chain: calls the function `hello` with its own body and wraps the answer:
 *
 *   {"called":"hello","status":200,"answer":{"message":"Hello, world!"}}
 *
 * ?function=NAME calls NAME instead. With ?one-way=1 nobody waits: status is 202, and NAME runs after this
 * answer. */
#include <stdio.h>
#include <weir_call.h>

/* The value of a parameter of the query, copied to `out`; NULL if there is none. */
static const char *parameter(const struct weir_request *request, const char *name, char *out, size_t out_bytes)
{
	const struct weir_text query = weir_request_query(request);
	const size_t name_bytes = strlen(name);
	size_t at = 0;

	while (at < query.bytes) {
		const char *const item = query.data + at;
		const char *const end = memchr(item, '&', query.bytes - at);
		const size_t bytes = end != NULL ? (size_t)(end - item) : query.bytes - at;

		if (bytes > name_bytes && memcmp(item, name, name_bytes) == 0 && item[name_bytes] == '=') {
			(void)snprintf(out, out_bytes, "%.*s", (int)(bytes - name_bytes - 1), item + name_bytes + 1);
			return out;
		}
		at += bytes + 1;
	}
	return NULL;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char name[64], one_way[8], head[160];
	struct weir_text body;
	struct weir_call call = {.name = "hello", .content_type = "application/json"};
	struct weir_call_answer answer;
	int result = weir_request_body(request, &body);

	if (result != 0)
		return result; /* too large to have come with the request: see the sample echo */
	if (parameter(request, "function", name, sizeof(name)) != NULL)
		call.name = name;
	call.method = body.bytes == 0 ? "GET" : "POST";
	call.body = body.data;
	call.body_bytes = body.bytes;
	call.one_way = parameter(request, "one-way", one_way, sizeof(one_way)) != NULL;
	result = weir_call_with(request, &call, &answer);
	if (result != 0)
		return result; /* no answer came: weir_call.h says why not */
	(void)snprintf(head, sizeof(head), "{\"called\":\"%s\",\"status\":%u,\"answer\":", call.name, answer.status);
	(void)weir_response_header(response, "content-type", "application/json");
	(void)weir_response_write_text(response, head);
	(void)weir_response_write(response, answer.body.data, answer.body.bytes);
	return weir_response_write_text(response, "}\n");
}
