/* POST /resize {"image":"...","width":800}: reads the JSON and says which size the image would get; without
 * a height three quarters of the width. */
#include <stdlib.h>
#include <weir_function.h>
#include <weir_json.h>

enum { PIXELS_MAX = 10000 };

/* A member that is a number from 1 to PIXELS_MAX; `otherwise` where there is none; else 0. */
static long pixels(const char *json, const char *name, long otherwise)
{
	const char *value = NULL;
	long number = 0;

	if (!json_member(json, name, &value) || value == NULL)
		return otherwise;
	number = strtol(value, NULL, 10);
	return number > 0 && number <= PIXELS_MAX ? number : 0;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char json[16385] = "", answer[128];
	const char *image = NULL;
	struct weir_text body;
	long width = 0, height = 0;

	if (weir_request_body(request, &body) == 0 && body.bytes < sizeof(json))
		memcpy(json, body.data, body.bytes);
	width = pixels(json, "width", 0);
	height = pixels(json, "height", width * 3 / 4);
	(void)weir_response_header(response, "content-type", "application/json");
	if (!json_member(json, "image", &image) || image == NULL || *image != '"' || width == 0 || height == 0) {
		(void)weir_response_status(response, 400);
		return weir_response_write_text(
			response, "{\"error\":\"expected JSON with image, a text, and width, a number up to 10000\"}");
	}
	(void)snprintf(answer, sizeof(answer),
		       "{\"status\":\"success\",\"width\":%ld,\"height\":%ld,\"image_bytes\":%td}", width, height,
		       json_string_end(image) - image - 2);
	return weir_response_write_text(response, answer);
}
