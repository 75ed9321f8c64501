/* GET /sleep/{ms}, or ?ms=20: others run meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <weir_function.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text text = weir_request_param(request, "ms");
	const struct weir_text query = weir_request_query(request);
	char answer[64] = "";
	unsigned long ms = 0;
	int result = 0;

	if (text.data == NULL && query.bytes > 3 && memcmp(query.data, "ms=", 3) == 0)
		text = (struct weir_text){query.data + 3, query.bytes - 3};
	if (text.bytes < sizeof(answer) && text.bytes != 0)
		memcpy(answer, text.data, text.bytes); /* a view has no NUL at its end */
	ms = strtoul(answer, NULL, 10);
	result = weir_function_sleep_ms(request, ms);
	if (result != 0)
		return result; /* the client left, or the deadline passed */
	(void)snprintf(answer, sizeof(answer), "slept %lu ms\n", ms);
	(void)weir_response_header(response, "content-type", "text/plain");
	return weir_response_write_text(response, answer);
}
