/* POST /resize {"image":"...","width":800}: reads the JSON and computes the height, 4:3 if none is given. */
#include "weir_json.h"
#include "weir_wasm.h"

int main(void)
{
	struct weir_text body = {"", 0};
	const char *image = NULL;
	const char *width = NULL;
	const char *height = NULL;
	long wide = 0;

	(void)weir_response_header(weir_response_current(), "content-type", "application/json");
	if (weir_request_body(weir_request_current(), &body) != 0)
		return 1;
	if (!json_member(body.data, "image", &image) || image == NULL || *image != '"' ||
	    !json_member(body.data, "width", &width) || width == NULL ||
	    (wide = strtol(width, NULL, 10)) <= 0) {
		(void)weir_response_status(weir_response_current(), 400);
		printf("{\"error\":\"expected JSON with image (text) and width (a "
		       "number)\"}\n");
		return 0;
	}
	(void)json_member(body.data, "height", &height);
	printf("{\"status\":\"success\",\"width\":%ld,\"height\":%ld,\"image_bytes\":%zu}\n",
	       wide, height != NULL ? strtol(height, NULL, 10) : wide * 3 / 4,
	       (size_t)(json_string_end(image) - image) - 2);
	return 0;
}
