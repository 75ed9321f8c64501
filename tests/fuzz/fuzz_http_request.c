/* The outcome of a head does not depend on how its bytes are cut into reads; slices stay within the
 * head; the path, once normalised, has no dot segments. */
#include "dataplane/http/http_path.h"
#include "dataplane/http/http_request.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_BYTES_MAX = 4096 };

static const struct weir_http_limits limits = {
	.target_bytes_max = 200,
	.head_bytes_max = 1500,
	.headers_max = 12,
	.body_bytes_max = 1000000,
};

static bool slice_equal(struct weir_http_slice a, struct weir_http_slice b)
{
	return a.offset == b.offset && a.bytes == b.bytes;
}

static void check_equal(const struct weir_http_parser *a, const struct weir_http_parser *b,
			enum weir_http_parse a_outcome, enum weir_http_parse b_outcome)
{
	FUZZ_CHECK(a_outcome == b_outcome);
	FUZZ_CHECK(a->failure == b->failure);
	if (a_outcome != WEIR_HTTP_PARSE_HEAD)
		return;
	FUZZ_CHECK(a->method == b->method);
	FUZZ_CHECK(a->minor == b->minor);
	FUZZ_CHECK(a->body == b->body);
	FUZZ_CHECK(a->keep_alive == b->keep_alive);
	FUZZ_CHECK(a->expect_continue == b->expect_continue);
	FUZZ_CHECK(a->content_length == b->content_length);
	FUZZ_CHECK(a->head_bytes == b->head_bytes);
	FUZZ_CHECK(slice_equal(a->target, b->target));
	FUZZ_CHECK(slice_equal(a->path, b->path));
	FUZZ_CHECK(slice_equal(a->query, b->query));
	FUZZ_CHECK(slice_equal(a->authority, b->authority));
	FUZZ_CHECK(a->header_count == b->header_count);
	for (size_t i = 0; i < a->header_count; i++) {
		FUZZ_CHECK(slice_equal(a->headers[i].name, b->headers[i].name));
		FUZZ_CHECK(slice_equal(a->headers[i].value, b->headers[i].value));
	}
}

static void check_slice(const struct weir_http_parser *parser, struct weir_http_slice slice)
{
	FUZZ_CHECK((size_t)slice.offset + slice.bytes <= parser->head_bytes);
}

static void check_path(const char *head, struct weir_http_slice slice)
{
	const struct weir_span raw = weir_http_slice_span(head, slice);
	char *room = fuzz_copy(raw.data, raw.bytes);
	char *exact = fuzz_copy(raw.data, raw.bytes); /* nothing is read behind it */
	struct weir_span path;

	FUZZ_CHECK(raw.bytes > 0 && (raw.data[0] == '/' || raw.data[0] == '*'));
	if (weir_http_path_normalize((struct weir_span){.data = exact, .bytes = raw.bytes}, room,
				     &path) == 0) {
		const char *const out = path.data;
		const size_t bytes = path.bytes;
		size_t segment = 1;

		FUZZ_CHECK(bytes >= 1 && bytes <= raw.bytes);
		FUZZ_CHECK(out[0] == raw.data[0]);
		FUZZ_CHECK(out != exact || bytes == raw.bytes);
		for (size_t i = 1; i <= bytes; i++) {
			if (i < bytes && out[i] != '/') {
				FUZZ_CHECK((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
				continue;
			}
			FUZZ_CHECK(!(i - segment == 1 && out[segment] == '.'));
			FUZZ_CHECK(!(i - segment == 2 && memcmp(out + segment, "..", 2) == 0));
			segment = i + 1;
		}
	}
	free(exact);
	free(room);
}

static void check_head(const struct weir_http_parser *parser, const char *head)
{
	check_slice(parser, parser->target);
	check_slice(parser, parser->path);
	check_slice(parser, parser->query);
	check_slice(parser, parser->authority);
	FUZZ_CHECK(parser->header_count <= limits.headers_max);
	FUZZ_CHECK(parser->target.bytes <= limits.target_bytes_max);
	FUZZ_CHECK(memcmp(head + parser->head_bytes - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 0; i < parser->header_count; i++) {
		const struct weir_span value =
			weir_http_slice_span(head, parser->headers[i].value);

		check_slice(parser, parser->headers[i].name);
		check_slice(parser, parser->headers[i].value);
		FUZZ_CHECK(parser->headers[i].name.bytes > 0);
		FUZZ_CHECK(value.bytes == 0 || (memchr(value.data, '\n', value.bytes) == NULL &&
						memchr(value.data, '\r', value.bytes) == NULL &&
						memchr(value.data, 0, value.bytes) == NULL));
	}
	FUZZ_CHECK((parser->body == WEIR_HTTP_BODY_LENGTH) == (parser->content_length > 0));
	check_path(head, parser->path);
}

/* Reads of random sizes up to `most`, each seeing the head elsewhere. */
static enum weir_http_parse parse_in_pieces(struct weir_http_parser *parser,
					    const uint8_t *data, size_t bytes, uint32_t seed,
					    uint32_t most)
{
	enum weir_http_parse outcome = WEIR_HTTP_PARSE_MORE;
	size_t have = 0;

	weir_http_parser_reset(parser, &limits);
	while (have < bytes && outcome == WEIR_HTTP_PARSE_MORE) {
		const size_t step = 1 + fuzz_random(&seed) % most;

		have = bytes - have < step ? bytes : have + step;
		char *copy = fuzz_copy(data, have);
		outcome = weir_http_parser_execute(parser, copy, have);
		free(copy);
	}
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct weir_http_parser whole; /* large */
	static struct weir_http_parser pieces;
	enum weir_http_parse outcome;
	uint32_t seed;

	if (bytes < 1 || bytes > INPUT_BYTES_MAX)
		return 0;
	seed = data[0];
	data++;
	bytes--;
	char *copy = fuzz_copy(data, bytes);
	weir_http_parser_reset(&whole, &limits);
	outcome = weir_http_parser_execute(&whole, copy, bytes);
	if (outcome == WEIR_HTTP_PARSE_HEAD)
		check_head(&whole, copy);

	enum weir_http_parse other = WEIR_HTTP_PARSE_MORE;
	weir_http_parser_reset(&pieces, &limits);
	for (size_t have = 1; have <= bytes && other == WEIR_HTTP_PARSE_MORE; have++)
		other = weir_http_parser_execute(&pieces, copy, have);
	check_equal(&whole, &pieces, outcome, other);
	free(copy);

	other = parse_in_pieces(&pieces, data, bytes, seed, 1 + seed % 61);
	check_equal(&whole, &pieces, outcome, other);
	return 0;
}
