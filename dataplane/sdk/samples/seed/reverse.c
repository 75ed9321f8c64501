/* reverse: what the image `test` of Pixels-Spike's README does. A payload that is an integer says for how many
 * seconds to sleep; the answer is the payload reversed, character by character: 3 -> 3, 12 -> 21. */
#include <limits.h>
#include <stdlib.h>

#include "weir_function.h"

enum { PAYLOAD_BYTES_MAX = 1 << 20 };

/* All of the body: its bytes, PAYLOAD_BYTES_MAX + 1 where there are more, or negative. */
static ssize_t payload_read(const struct weir_request *request, char *payload)
{
	size_t used = 0;
	ssize_t taken = 0;

	while (used <= PAYLOAD_BYTES_MAX &&
	       (taken = weir_request_read(request, payload + used, PAYLOAD_BYTES_MAX + 1 - used)) > 0)
		used += (size_t)taken;
	return taken < 0 ? taken : (ssize_t)used;
}

/* As Java's Integer.parseInt() reads it; 0 for what it does not, and for what is below 0. */
static uint64_t seconds_of(const char *payload, size_t bytes)
{
	const size_t sign = bytes > 0 && payload[0] == '+' ? 1 : 0;
	uint64_t seconds = 0;

	for (size_t i = sign; i < bytes; i++) {
		if (payload[i] < '0' || payload[i] > '9')
			return 0;
		seconds = seconds * 10 + (uint64_t)(payload[i] - '0');
		if (seconds > INT_MAX)
			return 0;
	}
	return seconds;
}

static void bytes_reverse(char *first, size_t bytes)
{
	for (char *last = first + bytes; first < last; first++) {
		const char byte = *first;

		*first = *--last;
		*last = byte;
	}
}

/* Bytes of one character of UTF-8 stay in order; of what is none each byte is one. */
static void characters_reverse(char *payload, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		const unsigned char lead = (unsigned char)payload[at];
		const size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
		size_t found = 1;

		while (found < wanted && at + found < bytes && ((unsigned char)payload[at + found] & 0xc0) == 0x80)
			found++;
		if (found == wanted)
			bytes_reverse(payload + at, found);
		at += found;
	}
	bytes_reverse(payload, bytes);
}

static int answer(const struct weir_request *request, struct weir_response *response, char *payload)
{
	const ssize_t bytes = payload_read(request, payload);
	int result = 0;

	if (bytes < 0)
		return (int)bytes;
	(void)weir_response_header(response, "content-type", "text/plain");
	if (bytes > PAYLOAD_BYTES_MAX) {
		(void)weir_response_status(response, 413);
		return weir_response_write_text(response, "the payload is longer than 1 MiB\n");
	}
	result = weir_function_sleep_ms(request, seconds_of(payload, (size_t)bytes) * 1000);
	if (result != 0)
		return result;
	characters_reverse(payload, (size_t)bytes);
	return weir_response_write(response, payload, (size_t)bytes);
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	char *const payload = malloc(PAYLOAD_BYTES_MAX + 1);
	const int result = payload == NULL ? -ENOMEM : answer(request, response, payload);

	free(payload);
	return result;
}
