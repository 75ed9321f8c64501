/* ANY /info: what a function is told of its request, as JSON. */
#include <stdlib.h>
#include <weir_function.h>
#include <weir_json.h>

static void member(FILE *out, const char *name, struct weir_text value)
{
	fprintf(out, "\"%s\":", name);
	json_write(out, value.data, value.bytes);
	fputc(',', out);
}

static void headers(FILE *out, const struct weir_request *request)
{
	struct weir_text name, value;

	fputs("\"headers\":{", out);
	for (size_t i = 0; weir_request_header_at(request, i, &name, &value) == 1; i++) {
		if (i != 0)
			fputc(',', out);
		json_write(out, name.data, name.bytes);
		fputc(':', out);
		json_write(out, value.data, value.bytes);
	}
	fputc('}', out);
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *const out = open_memstream(&text, &bytes);
	int result = -ENOMEM;

	if (out == NULL)
		return result;
	fputs("{\"runtime\":\"c\",", out);
	member(out, "method", weir_request_method(request));
	member(out, "path", weir_request_path(request));
	member(out, "query", weir_request_query(request));
	headers(out, request);
	fputs("}\n", out);
	if (fclose(out) == 0) {
		(void)weir_response_header(response, "content-type", "application/json");
		result = weir_response_write(response, text, bytes);
	}
	free(text);
	return result;
}
