/* Greets, or with {"name": TEXT} somebody. */
#include "weir_function.h"

#include <cjson/cJSON.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char body[1024];
	const ssize_t bytes = weir_request_read(request, body, sizeof(body));
	cJSON *const json = bytes > 0 ? cJSON_ParseWithLength(body, (size_t)bytes) : NULL;
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "name"));
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	result = weir_response_write_text(response, "{\"message\":\"Hello, ");
	if (result == 0)
		result = weir_response_write_text(response, name != NULL ? name : "world");
	if (result == 0)
		result = weir_response_write_text(response, "!\"}");
	cJSON_Delete(json);
	return result;
}
