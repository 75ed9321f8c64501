/* What comes out of a chunked body, and where it ends or fails, does not depend on how its bytes are
 * cut into calls, nor on whether it is decoded in place. */
#include "dataplane/http/http_chunked.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_BYTES_MAX = 32768 };

struct outcome {
	enum weir_http_chunked_state state;
	enum weir_http_failure failure;
	size_t consumed;
	size_t payload_bytes;
	uint64_t framing_bytes;
};

static void start(struct weir_http_chunked *chunked, uint64_t body_bytes_max)
{
	static const char head[] =
		"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	static struct weir_http_parser parser; /* large */
	const struct weir_http_limits limits = {
		.target_bytes_max = 100,
		.head_bytes_max = 1000,
		.headers_max = 10,
		.body_bytes_max = body_bytes_max,
	};

	weir_http_parser_reset(&parser, &limits);
	FUZZ_CHECK(weir_http_parser_execute(&parser, head, sizeof(head) - 1) ==
		   WEIR_HTTP_PARSE_HEAD);
	weir_http_chunked_start(chunked, &parser);
}

/* Decode in pieces of random sizes up to `most`, in place where the seed says so. */
static struct outcome decode(const uint8_t *data, size_t bytes, uint64_t body_bytes_max,
			     uint32_t seed, uint32_t most, char *payload)
{
	struct outcome outcome = {.state = WEIR_HTTP_CHUNKED_MORE};
	struct weir_http_chunked chunked;
	size_t at = 0;

	start(&chunked, body_bytes_max);
	while (at < bytes && outcome.state == WEIR_HTTP_CHUNKED_MORE) {
		const bool in_place = fuzz_random(&seed) % 2 == 0;
		size_t step = most == 0 ? bytes : 1 + fuzz_random(&seed) % most;
		size_t consumed;
		size_t out_bytes;

		step = bytes - at < step ? bytes - at : step;
		char *piece = fuzz_copy(data + at, step);
		char *out = in_place ? piece : fuzz_copy(piece, step);
		outcome.state = weir_http_chunked_decode(&chunked, piece, step, out, &consumed,
							 &out_bytes);
		FUZZ_CHECK(consumed <= step && out_bytes <= consumed);
		FUZZ_CHECK(outcome.state != WEIR_HTTP_CHUNKED_MORE || consumed == step);
		if (out_bytes > 0)
			memcpy(payload + outcome.payload_bytes, out, out_bytes);
		outcome.payload_bytes += out_bytes;
		outcome.consumed += consumed;
		if (!in_place)
			free(out);
		free(piece);
		at += step;
	}
	FUZZ_CHECK(chunked.body_bytes == outcome.payload_bytes);
	FUZZ_CHECK(outcome.payload_bytes <= body_bytes_max);
	outcome.failure = chunked.failure;
	outcome.framing_bytes = chunked.framing_bytes;
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char first_payload[INPUT_BYTES_MAX];
	static char payload[INPUT_BYTES_MAX];

	if (bytes < 2 || bytes > INPUT_BYTES_MAX)
		return 0;
	const uint32_t seed = data[0];
	const uint64_t body_bytes_max = data[1] < 128 ? data[1] : UINT64_C(1) << (data[1] % 64);
	const uint32_t mosts[] = {1, 2 + seed % 7, 2 + seed * 3};
	data += 2;
	bytes -= 2;

	const struct outcome first =
		decode(data, bytes, body_bytes_max, seed, 0, first_payload);
	for (size_t i = 0; i < sizeof(mosts) / sizeof(mosts[0]); i++) {
		const struct outcome outcome =
			decode(data, bytes, body_bytes_max, seed, mosts[i], payload);

		FUZZ_CHECK(outcome.state == first.state);
		FUZZ_CHECK(outcome.failure == first.failure);
		FUZZ_CHECK(outcome.payload_bytes == first.payload_bytes);
		FUZZ_CHECK(memcmp(payload, first_payload, first.payload_bytes) == 0);
		if (first.state != WEIR_HTTP_CHUNKED_FAILED) {
			FUZZ_CHECK(outcome.consumed == first.consumed);
			FUZZ_CHECK(outcome.framing_bytes == first.framing_bytes);
		}
	}
	return 0;
}
