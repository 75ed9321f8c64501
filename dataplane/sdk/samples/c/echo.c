/* ANY /echo: the body comes back as it is, of any size, as fast as the client takes it. */
#include <weir_function.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text type = weir_request_header(request, "content-type");
	const uint64_t body_bytes = weir_request_body_bytes(request);

	(void)weir_response_header_text(
		response, "content-type",
		type.data != NULL ? type : (struct weir_text){"application/octet-stream", 24});
	if (body_bytes != WEIR_LENGTH_UNKNOWN)
		(void)weir_response_length(response, body_bytes);
	for (;;) {
		void *place = NULL;
		size_t room = 0;
		ssize_t taken = 0;
		int result = weir_response_reserve(response, &place, &room);

		if (result != 0)
			return result;
		taken = weir_request_read(request, place, room);
		if (taken <= 0)
			return (int)taken;
		result = weir_response_commit(response, (size_t)taken);
		if (result != 0)
			return result;
	}
}
