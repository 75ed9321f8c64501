/* test: the function that Pixels-Spike's README calls: the payload says for how many seconds to sleep, and
 * is the answer. */
#include "weir_function.h"

enum { SECONDS_MAX = 600 };

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text payload = {"", 0};
	uint64_t seconds = 0;
	int result = weir_request_body(request, &payload);

	for (size_t i = 0; result == 0 && i < payload.bytes && seconds <= SECONDS_MAX; i++) {
		if (payload.data[i] < '0' || payload.data[i] > '9')
			seconds = SECONDS_MAX + 1;
		else
			seconds = seconds * 10 + (uint64_t)(payload.data[i] - '0');
	}
	if (result != 0 || payload.bytes == 0 || seconds > SECONDS_MAX) {
		(void)weir_response_status(response, 400);
		return weir_response_write_text(response, "the body says for how many seconds to sleep: 0 to 600\n");
	}
	result = weir_function_sleep_ms(request, seconds * 1000);
	return result != 0 ? result : weir_response_write(response, payload.data, payload.bytes);
}
