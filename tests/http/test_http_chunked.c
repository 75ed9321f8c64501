#include <stdio.h>
#include <time.h>

#include "dataplane/http/http_chunked.h"
#include "tests/http/http_test.h"

#define HEAD_TEXT "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

struct body_row {
	const char *name;
	const char *text;
	size_t bytes;
	enum weir_http_failure
		failure; /* or WEIR_HTTP_OK: ends with the text, of which `rest` bytes are left */
	const char *payload;
	size_t rest;
};

#define GOOD(row_name, literal, row_payload, row_rest)                           \
	{                                                                        \
		.name = row_name, .text = literal, .bytes = sizeof(literal) - 1, \
		.payload = row_payload, .rest = row_rest                         \
	}
#define BAD(row_name, literal)                                                   \
	{                                                                        \
		.name = row_name, .text = literal, .bytes = sizeof(literal) - 1, \
		.failure = WEIR_HTTP_BAD_CHUNK                                   \
	}

/* clang-format off: a table */
static const struct body_row rows[] = {
	GOOD("one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", 0),
	GOOD("no payload", "0\r\n\r\n", "", 0),
	GOOD("several chunks", "1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n",
	     "abc0123456789", 0),
	GOOD("both cases of hex", "a\r\n0123456789\r\n0A\r\n0123456789\r\n0\r\n\r\n",
	     "01234567890123456789", 0),
	GOOD("many zeros", "0000000000000000000005\r\nhello\r\n000\r\n\r\n", "hello", 0),
	GOOD("next request follows", "3\r\nabc\r\n0\r\n\r\nGET /", "abc", 5),
	GOOD("payload that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
	     "\r\n0\r\n\r\n", 0),
	GOOD("extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", 0),
	GOOD("quoted extension", "5;a=\"b c;\"\r\nhello\r\n0\r\n\r\n", "hello", 0),
	GOOD("trailers",
	     "1\r\na\r\n0\r\nX: y\r\nContent-Length: 7\r\nTransfer-Encoding: "
	     "x\r\nEmpty:\r\n\r\nrest",
	     "a", 4),
	BAD("no size", "\r\nhello\r\n0\r\n\r\n"),
	BAD("size is no hex", "5x\r\nhello\r\n0\r\n\r\n"),
	BAD("hex prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
	BAD("signed size", "+5\r\nhello\r\n0\r\n\r\n"),
	BAD("negative size", "-5\r\nhello\r\n0\r\n\r\n"),
	BAD("space before size", " 5\r\nhello\r\n0\r\n\r\n"),
	BAD("space after size", "5 \r\nhello\r\n0\r\n\r\n"),
	BAD("size of 65 bits", "10000000000000000\r\nhello"),
	BAD("size of 65 bits in many digits",
	    "100000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
	BAD("bare LF after size", "5\nhello\r\n0\r\n\r\n"),
	BAD("bare CR after size", "5\rhello\r\n0\r\n\r\n"),
	BAD("bare LF after payload", "5\r\nhello\n0\r\n\r\n"),
	BAD("payload longer than size", "5\r\nhello!\r\n0\r\n\r\n"),
	BAD("payload shorter than size", "5\r\nhell\r\n0\r\n\r\n"),
	BAD("bare LF in extension", "5;a\nhello\r\n0\r\n\r\n"),
	BAD("bare CR in extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
	BAD("LF in quoted extension", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
	BAD("empty extension", "5;\r\nhello\r\n0\r\n\r\n"),
	BAD("bare LF as end", "0\r\n\n"),
	BAD("bare LF after trailer", "0\r\nX: y\n\r\n"),
	BAD("bare CR in trailer", "0\r\nX: y\rz\r\n\r\n"),
	BAD("folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
	BAD("trailer without name", "0\r\n: y\r\n\r\n"),
	BAD("space before trailer's colon", "0\r\nX : y\r\n\r\n"),
	BAD("NUL in trailer", "0\r\nX: \0\r\n\r\n"),
	BAD("request line as trailer", "0\r\nGET / HTTP/1.1\r\n\r\n"),
};
/* clang-format on */

static void start(struct weir_http_chunked *chunked, uint64_t body_bytes_max)
{
	struct weir_http_limits limits = test_limits;
	struct weir_http_parser parser;

	limits.body_bytes_max = body_bytes_max;
	weir_http_parser_reset(&parser, &limits);
	assert_int_equal(weir_http_parser_execute(&parser, HEAD_TEXT, sizeof(HEAD_TEXT) - 1),
			 WEIR_HTTP_PARSE_HEAD);
	weir_http_chunked_start(chunked, &parser);
}

/* Everything that must not depend on how the input is cut. */
struct outcome {
	enum weir_http_chunked_state state;
	enum weir_http_failure failure;
	size_t payload_bytes;
	size_t consumed;
	char payload[4096];
};

/* Decode with a piece of `first` bytes and then pieces of `step`, each in memory of its own size;
 * where `in_place`, to the memory that it is read from. */
static void decode(struct weir_span text, uint64_t body_bytes_max, size_t first, size_t step,
		   bool in_place, struct outcome *out_outcome)
{
	struct weir_http_chunked chunked;
	size_t at = 0;
	size_t piece = first;

	memset(out_outcome, 0, sizeof(*out_outcome));
	start(&chunked, body_bytes_max);
	while (at < text.bytes && out_outcome->state == WEIR_HTTP_CHUNKED_MORE) {
		const size_t bytes = text.bytes - at < piece ? text.bytes - at : piece;
		char *data = exact_copy(text.data + at, bytes);
		char *out = in_place ? data : malloc(bytes);
		size_t consumed;
		size_t out_bytes;

		assert_non_null(out);
		out_outcome->state = weir_http_chunked_decode(&chunked, data, bytes, out,
							      &consumed, &out_bytes);
		assert_true(consumed <= bytes);
		assert_true(out_bytes <= bytes);
		if (out_outcome->state == WEIR_HTTP_CHUNKED_MORE)
			assert_int_equal(consumed, bytes);
		assert_true(out_outcome->payload_bytes + out_bytes <=
			    sizeof(out_outcome->payload));
		memcpy(out_outcome->payload + out_outcome->payload_bytes, out, out_bytes);
		out_outcome->payload_bytes += out_bytes;
		out_outcome->consumed += consumed;
		if (!in_place)
			free(out);
		free(data);
		at += bytes;
		piece = step;
	}
	out_outcome->failure = chunked.failure;
	assert_int_equal(chunked.body_bytes, out_outcome->payload_bytes);
}

static void assert_outcome(const struct body_row *row, size_t first, size_t step, bool in_place)
{
	const struct weir_span text = {.data = row->text, .bytes = row->bytes};
	struct outcome outcome;

	decode(text, 1000, first, step, in_place, &outcome);
	if (row->failure != WEIR_HTTP_OK) {
		if (outcome.state != WEIR_HTTP_CHUNKED_FAILED ||
		    outcome.failure != row->failure)
			fail_msg("%s, cut after %zu then %zu: state %d failure %d", row->name,
				 first, step, (int)outcome.state, (int)outcome.failure);
		return;
	}
	if (outcome.state != WEIR_HTTP_CHUNKED_DONE ||
	    outcome.payload_bytes != strlen(row->payload) ||
	    memcmp(outcome.payload, row->payload, outcome.payload_bytes) != 0)
		fail_msg("%s, cut after %zu then %zu: state %d failure %d payload \"%.*s\"",
			 row->name, first, step, (int)outcome.state, (int)outcome.failure,
			 (int)outcome.payload_bytes, outcome.payload);
	assert_int_equal(outcome.consumed, row->bytes - row->rest);
}

static void each_body_has_its_outcome_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned in_place = 0; in_place < 2; in_place++) {
			assert_outcome(&rows[i], 1, 1, in_place != 0);
			for (size_t first = 1; first <= rows[i].bytes; first++)
				assert_outcome(&rows[i], first, rows[i].bytes, in_place != 0);
		}
	}
}

static void an_unfinished_body_asks_for_more(void **state)
{
	static const char text[] = "5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n";
	struct outcome outcome;

	(void)state;
	for (size_t bytes = 1; bytes < sizeof(text) - 1; bytes++) {
		decode((struct weir_span){text, bytes}, 1000, bytes, 1, false, &outcome);
		assert_int_equal(outcome.state, WEIR_HTTP_CHUNKED_MORE);
	}
}

static void a_body_may_be_as_large_as_its_limit_and_no_larger(void **state)
{
	static const char text[] = "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
	struct outcome outcome;

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		decode(WEIR_SPAN(text), 10, step, step, false, &outcome);
		assert_int_equal(outcome.state, WEIR_HTTP_CHUNKED_DONE);
		decode(WEIR_SPAN(text), 9, step, step, false, &outcome);
		assert_int_equal(outcome.state, WEIR_HTTP_CHUNKED_FAILED);
		assert_int_equal(outcome.failure, WEIR_HTTP_BODY_TOO_LARGE);
		assert_int_equal(outcome.payload_bytes, 5);
	}
	decode(WEIR_SPAN("FFFFFFFFFFFFFFFF\r\n"), 9, 1, 1, false, &outcome);
	assert_int_equal(outcome.failure, WEIR_HTTP_BODY_TOO_LARGE);
}

/* Decode `count` copies of `chunk`; true if all were accepted. */
static bool accepts_copies(struct weir_span chunk, size_t count)
{
	struct weir_http_chunked chunked;
	char *out = malloc(chunk.bytes);
	bool accepted = true;

	assert_non_null(out);
	start(&chunked, UINT64_C(1) << 30);
	for (size_t i = 0; i < count && accepted; i++) {
		size_t consumed;
		size_t out_bytes;

		accepted = weir_http_chunked_decode(&chunked, chunk.data, chunk.bytes, out,
						    &consumed,
						    &out_bytes) == WEIR_HTTP_CHUNKED_MORE;
	}
	if (!accepted)
		assert_int_equal(chunked.failure, WEIR_HTTP_BAD_CHUNK);
	free(out);
	return accepted;
}

static void chunks_of_one_byte_are_accepted_but_not_with_long_extensions(void **state)
{
	char extended[256];

	(void)state;
	assert_true(accepts_copies(WEIR_SPAN("1\r\nx\r\n"), 200000));
	memset(extended, 'e', sizeof(extended));
	memcpy(extended, "1;", 2);
	memcpy(extended + sizeof(extended) - 5, "\r\nx\r\n", 5);
	assert_true(accepts_copies((struct weir_span){extended, sizeof(extended)}, 50));
	assert_false(accepts_copies((struct weir_span){extended, sizeof(extended)}, 200));
}

static void a_chunk_line_without_end_is_refused(void **state)
{
	assert_true(accepts_copies(WEIR_SPAN("0000000000000000"), 4096 / 16));
	assert_false(accepts_copies(WEIR_SPAN("0000000000000000"), 4096 / 16 + 1));
	(void)state;
}

static void trailers_are_limited(void **state)
{
	struct outcome outcome;
	char *text = malloc(3 + WEIR_HTTP_TRAILER_BYTES_MAX + 1);

	(void)state;
	assert_non_null(text);
	for (size_t extra = 0; extra < 2; extra++) {
		const size_t trailer_bytes = WEIR_HTTP_TRAILER_BYTES_MAX + extra;

		memset(text, 'v', 3 + trailer_bytes);
		memcpy(text, "0\r\nX:", 5);
		memcpy(text + 3 + trailer_bytes - 4, "\r\n\r\n", 4);
		for (size_t step = 1; step < 10000; step += 997) {
			decode((struct weir_span){text, 3 + trailer_bytes}, 1000, step, step,
			       false, &outcome);
			assert_int_equal(outcome.state, extra == 0 ? WEIR_HTTP_CHUNKED_DONE
								   : WEIR_HTTP_CHUNKED_FAILED);
		}
	}
	free(text);
}

static void the_outcome_stays_when_asked_again(void **state)
{
	struct weir_http_chunked chunked;
	char out[16];
	size_t consumed;
	size_t bytes;

	(void)state;
	start(&chunked, 100);
	assert_int_equal(weir_http_chunked_decode(&chunked, "", 0, out, &consumed, &bytes),
			 WEIR_HTTP_CHUNKED_MORE);
	assert_int_equal(
		weir_http_chunked_decode(&chunked, "0\r\n\r\n", 5, out, &consumed, &bytes),
		WEIR_HTTP_CHUNKED_DONE);
	assert_int_equal(weir_http_chunked_decode(&chunked, "GET /", 5, out, &consumed, &bytes),
			 WEIR_HTTP_CHUNKED_DONE);
	assert_int_equal(consumed, 0);
	start(&chunked, 100);
	assert_int_equal(weir_http_chunked_decode(&chunked, "?", 1, out, &consumed, &bytes),
			 WEIR_HTTP_CHUNKED_FAILED);
	assert_int_equal(
		weir_http_chunked_decode(&chunked, "0\r\n\r\n", 5, out, &consumed, &bytes),
		WEIR_HTTP_CHUNKED_FAILED);
	assert_int_equal(consumed, 0);
	assert_int_equal(bytes, 0);
}

static void upgrade_does_not_change_how_the_body_is_read(void **state)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
		"Transfer-Encoding: chunked\r\n\r\n";
	struct weir_http_chunked chunked;
	struct weir_http_parser parser;
	char out[16];
	size_t consumed;
	size_t bytes;

	(void)state;
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(&parser, head, sizeof(head) - 1),
			 WEIR_HTTP_PARSE_HEAD);
	weir_http_chunked_start(&chunked, &parser);
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_chunked_decode(&chunked, "2\r\nab\r\n0\r\n\r\nG", 13, out,
						  &consumed, &bytes),
			 WEIR_HTTP_CHUNKED_DONE);
	assert_int_equal(consumed, 12);
	assert_memory_equal(out, "ab", 2);
}

/* Bodies of random chunks, cut at random: the payload must come out whatever the cuts are. */
static void random_bodies_survive_random_cuts(void **state)
{
	const unsigned seed = (unsigned)time(NULL);
	struct outcome outcome;
	char text[8192];
	char payload[4096];

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned round = 0; round < 300; round++) {
		size_t bytes = 0;
		size_t payload_bytes = 0;
		const long chunks = random() % 20;

		for (long i = 0; i < chunks; i++) {
			const size_t size = (size_t)(1 + random() % 200);

			bytes += (size_t)snprintf(text + bytes, 64,
						  i % 3 == 0 ? "%zx\r\n" : "%zX;e=1\r\n", size);
			for (size_t k = 0; k < size; k++)
				payload[payload_bytes + k] = text[bytes + k] = (char)random();
			bytes += size;
			payload_bytes += size;
			memcpy(text + bytes, "\r\n", 2);
			bytes += 2;
		}
		memcpy(text + bytes, "0\r\n\r\n", 5);
		bytes += 5;
		decode((struct weir_span){text, bytes}, 4096, (size_t)(1 + random() % 100),
		       (size_t)(1 + random() % 300), round % 2 == 0, &outcome);
		assert_int_equal(outcome.state, WEIR_HTTP_CHUNKED_DONE);
		assert_int_equal(outcome.payload_bytes, payload_bytes);
		assert_memory_equal(outcome.payload, payload, payload_bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_body_has_its_outcome_however_it_is_cut),
		cmocka_unit_test(an_unfinished_body_asks_for_more),
		cmocka_unit_test(a_body_may_be_as_large_as_its_limit_and_no_larger),
		cmocka_unit_test(chunks_of_one_byte_are_accepted_but_not_with_long_extensions),
		cmocka_unit_test(a_chunk_line_without_end_is_refused),
		cmocka_unit_test(trailers_are_limited),
		cmocka_unit_test(the_outcome_stays_when_asked_again),
		cmocka_unit_test(upgrade_does_not_change_how_the_body_is_read),
		cmocka_unit_test(random_bodies_survive_random_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
