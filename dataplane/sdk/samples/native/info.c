/* ANY /info: what a function knows of its request, as JSON. A function may use libraries: cJSON here. */
#include "weir_function.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static void text_add(cJSON *json, const char *name, struct weir_text text)
{
	char *const copy = strndup(text.data != NULL ? text.data : "", text.bytes);

	if (copy != NULL)
		(void)cJSON_AddStringToObject(json, name, copy);
	free(copy);
}

static void headers_add(cJSON *json, const struct weir_request *request)
{
	cJSON *const headers = cJSON_AddObjectToObject(json, "headers");
	struct weir_text name, value;

	for (size_t i = 0; weir_request_header_at(request, i, &name, &value) == 1; i++) {
		char *const copy = strndup(name.data, name.bytes);

		if (copy != NULL)
			text_add(headers, copy, value);
		free(copy);
	}
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	cJSON *const json = cJSON_CreateObject();
	char *text = NULL;
	int result = -ENOMEM;

	(void)cJSON_AddStringToObject(json, "runtime", "native");
	text_add(json, "method", weir_request_method(request));
	text_add(json, "path", weir_request_path(request));
	text_add(json, "query", weir_request_query(request));
	headers_add(json, request);
	text = cJSON_PrintUnformatted(json);
	if (text != NULL) {
		(void)weir_response_header(response, "content-type", "application/json");
		result = weir_response_write_text(response, text);
	}
	cJSON_free(text);
	cJSON_Delete(json);
	return result;
}
