/* Five parts, 200 ms apart; the client sees each at once. */
#include "weir_function.h"

#include <stdio.h>

enum { PARTS = 5, PAUSE_MS = 200 };

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	int result = 0;

	(void)weir_response_header(response, "content-type", "text/plain");
	for (int i = 1; i <= PARTS; i++) {
		char text[32];

		if (i > 1)
			result = weir_function_sleep_ms(request, PAUSE_MS);
		if (result != 0)
			return result;
		(void)snprintf(text, sizeof(text), "part %d of %d\n", i, PARTS);
		result = weir_response_write_text(response, text);
		if (result == 0)
			result = weir_response_flush(response);
		if (result != 0)
			return result;
	}
	return 0;
}
