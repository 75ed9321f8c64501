/* POST /resize with {"image": TEXT, "width": N, "height": N}: reads the request's JSON and says which size
 * it would make. Without a height, three quarters of the width. Anything else is a 400 that says why. */
#include "weir_function.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_BYTES_MAX = 1 << 20, SIZE_MAX_PIXELS = 10000 };

/* The whole body, to be freed; NULL if it is too long or did not come. */
static char *body_read(const struct weir_request *request, size_t *out_bytes)
{
	char *const body = malloc(BODY_BYTES_MAX);
	size_t used = 0;

	while (body != NULL) {
		const ssize_t bytes = weir_request_read(request, body + used, BODY_BYTES_MAX - used);

		if (bytes == 0 && used < BODY_BYTES_MAX) {
			*out_bytes = used;
			return body;
		}
		if (bytes <= 0)
			break;
		used += (size_t)bytes;
	}
	free(body);
	return NULL;
}

static int refuse(struct weir_response *response, const char *why)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "{\"error\":\"%s\"}", why);
	(void)weir_response_status(response, 400);
	return weir_response_write_text(response, text);
}

/* A member that is a whole number from 1 to SIZE_MAX_PIXELS, `otherwise` if it is not there, or 0. */
static int pixels(const cJSON *json, const char *name, int otherwise)
{
	const cJSON *const member = cJSON_GetObjectItemCaseSensitive(json, name);

	if (member == NULL)
		return otherwise;
	if (!cJSON_IsNumber(member) || member->valuedouble < 1 || member->valuedouble > SIZE_MAX_PIXELS)
		return 0;
	return (int)member->valuedouble;
}

static int answer(struct weir_response *response, const cJSON *json)
{
	const char *const image =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "image"));
	const int width = pixels(json, "width", 0);
	const int height = pixels(json, "height", width > 1 ? width * 3 / 4 : width);
	char text[128];

	if (!cJSON_IsObject(json))
		return refuse(response, "the body must be a JSON object");
	if (image == NULL)
		return refuse(response, "image must be a text");
	if (width == 0 || height == 0)
		return refuse(response, "width and height must be numbers from 1 to 10000");
	(void)snprintf(text, sizeof(text),
		       "{\"status\":\"success\",\"width\":%d,\"height\":%d,\"image_bytes\":%zu}", width,
		       height, strlen(image));
	return weir_response_write_text(response, text);
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	size_t bytes = 0;
	char *const body = body_read(request, &bytes);
	cJSON *json = NULL;
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	if (body == NULL)
		return refuse(response, "the body must be at most 1 MiB");
	json = cJSON_ParseWithLength(body, bytes);
	result = answer(response, json);
	cJSON_Delete(json);
	free(body);
	return result;
}
