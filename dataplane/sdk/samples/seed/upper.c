/* upper: what the image of FaaS Project's README does: its argument, a to z as capitals, and a line's end. */
#include "weir_function.h"

static void capitals(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] >= 'a' && text[i] <= 'z')
			text[i] = (char)(text[i] - 'a' + 'A');
	}
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char piece[4096];
	ssize_t bytes = 0;
	int result = 0;

	(void)weir_response_header(response, "content-type", "text/plain");
	while (result == 0 && (bytes = weir_request_read(request, piece, sizeof(piece))) > 0) {
		capitals(piece, (size_t)bytes);
		result = weir_response_write(response, piece, (size_t)bytes);
	}
	if (bytes < 0 || result != 0)
		return bytes < 0 ? (int)bytes : result;
	return weir_response_write_text(response, "\n");
}
