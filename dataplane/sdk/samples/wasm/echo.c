/* ANY /echo: the body comes back as it is, of any size, as fast as the client takes it. */
#include "weir_wasm.h"

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	static char piece[65536];
	const struct weir_text type = weir_request_header(request, "content-type");
	const uint64_t body_bytes = weir_request_body_bytes(request);
	ssize_t got = 0;

	(void)weir_response_header(response, "content-type",
				   type.data != NULL ? type.data : "application/octet-stream");
	if (body_bytes != WEIR_LENGTH_UNKNOWN)
		(void)weir_response_length(response, body_bytes);
	while ((got = weir_request_read(request, piece, sizeof(piece))) > 0) {
		const int result = weir_response_write(response, piece, (size_t)got);

		if (result != 0)
			return result;
	}
	return (int)got;
}
