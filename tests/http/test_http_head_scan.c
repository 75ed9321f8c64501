#include <stdio.h>
#include <time.h>

#include "dataplane/http/http_head_scan.h"
#include "dataplane/http/http_scan.h"
#include "tests/http/http_test.h"

enum { HEADS_RANDOM = 200000 };

static uint64_t random_state;

static uint32_t random_below(uint32_t count)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % count;
}

static bool slice_equal(struct weir_http_slice a, struct weir_http_slice b)
{
	return a.offset == b.offset && a.bytes == b.bytes;
}

static bool heads_equal(const struct weir_http_parser *a, const struct weir_http_parser *b)
{
	if (a->method != b->method || a->minor != b->minor || a->body != b->body ||
	    a->keep_alive != b->keep_alive || a->expect_continue != b->expect_continue ||
	    a->content_length != b->content_length || a->head_bytes != b->head_bytes ||
	    a->header_count != b->header_count || !slice_equal(a->target, b->target) ||
	    !slice_equal(a->path, b->path) || !slice_equal(a->query, b->query) ||
	    !slice_equal(a->authority, b->authority))
		return false;
	for (size_t i = 0; i < a->header_count; i++) {
		if (!slice_equal(a->headers[i].name, b->headers[i].name) ||
		    !slice_equal(a->headers[i].value, b->headers[i].value))
			return false;
	}
	return true;
}

/* Read whole, a head may take the short cut; in two pieces it goes through llhttp: same outcome. */
static void assert_same_both_ways(const char *text, size_t bytes)
{
	struct weir_http_parser whole;
	struct weir_http_parser pieces;
	enum weir_http_parse whole_outcome;
	enum weir_http_parse pieces_outcome;
	char *copy = exact_copy(text, bytes);

	weir_http_parser_reset(&whole, &test_limits);
	whole_outcome = weir_http_parser_execute(&whole, copy, bytes);
	weir_http_parser_reset(&pieces, &test_limits);
	pieces_outcome = weir_http_parser_execute(&pieces, copy, 1);
	if (pieces_outcome == WEIR_HTTP_PARSE_MORE)
		pieces_outcome = weir_http_parser_execute(&pieces, copy, bytes);
	if (whole_outcome != pieces_outcome || whole.failure != pieces.failure ||
	    (whole_outcome == WEIR_HTTP_PARSE_HEAD && !heads_equal(&whole, &pieces)))
		fail_msg("whole: outcome %d failure %d, by llhttp: %d and %d:\n%.*s",
			 (int)whole_outcome, (int)whole.failure, (int)pieces_outcome,
			 (int)pieces.failure, (int)bytes, text);
	free(copy);
}

static void every_byte_at_every_place_has_one_outcome(void **state)
{
	static const char *const heads[] = {
		"GET /a/b?c=d?e HTTP/1.1\r\nHost: a.example:80\r\nX-Y:\t z \r\nE:\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 12\r\nHost: [::1]:8\r\n\r\nhello",
		"PUT /0123456789abcdef0123 HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
		"PATCH /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length:7 \r\n\r\n",
		"OPTIONS /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"DELETE /x HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char text[128];
		const size_t bytes = strlen(heads[i]);

		assert_true(bytes < sizeof(text));
		for (size_t at = 0; at < bytes; at++) {
			memcpy(text, heads[i], bytes);
			for (unsigned byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				assert_same_both_ways(text, bytes);
			}
		}
		for (size_t cut = 1; cut <= bytes; cut++)
			assert_same_both_ways(heads[i], cut);
	}
}

/* A head of random pieces: mostly sound ones, and now and then a byte replaced, removed or doubled. */
static size_t head_random(char *out)
{
	static const char *const methods[] = {"GET",    "HEAD",    "POST", "PUT",
					      "DELETE", "OPTIONS", "PATCH", "TRACE"};
	static const char *const targets[] = {
		"/", "/hello", "/a/../b", "/x?", "/?y=/?", "/%20#f", "*", "http://a/b",
		"/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"};
	static const char *const names[] = {
		"Host", "host", "Connection", "Content-Length", "content-length", "Expect",
		"Transfer-Encoding", "X", "Accept-Encodings", "a.b!c'd", "_9", "Content-Lengto", "User-Agent",
		"transfer_encoding", "Upgrade", "Proxy-Connection"};
	static const char *const values[] = {
		"a", "a.b:80", "close", "Keep-Alive", "5", "0", "18446744073709551616", "1000",
		"100-continue", "chunked", "gzip, chunked", "", "a\tb c", "\xe4\xf6", "5, 5",
		"9999999999999999999", "upgrade, close", "[::1]", "text/plain; charset=\"utf-8\""};
	static const char *const blanks[] = {"", " ", " ", " ", "\t", "  \t"};
#define ANY(list) list[random_below(sizeof(list) / sizeof(list[0]))]
	size_t bytes = (size_t)sprintf(out, "%s %s HTTP/1.%u\r\n", ANY(methods), ANY(targets),
				       random_below(20) == 0 ? 2U : (unsigned)(random_below(10) != 0));

	if (random_below(4) != 0)
		bytes += (size_t)sprintf(out + bytes, "Host: a\r\n");
	for (uint32_t left = random_below(5) + (random_below(9) == 0 ? 5 : 0); left > 0; left--)
		bytes += (size_t)sprintf(out + bytes, "%s:%s%s%s\r\n", ANY(names), ANY(blanks),
					 ANY(values), ANY(blanks));
	bytes += (size_t)sprintf(out + bytes, "\r\n%s", random_below(2) == 0 ? "" : "GET / ");
	for (uint32_t left = random_below(3); left > 0; left--) {
		const size_t at = random_below((uint32_t)bytes);

		switch (random_below(4)) {
		case 0:
			out[at] = (char)random_below(256);
			break;
		case 1:
			out[at] = "\r\n\t :,?#%/\x7f"[random_below(11)];
			break;
		case 2:
			memmove(out + at, out + at + 1, --bytes - at);
			break;
		default:
			memmove(out + at + 1, out + at, bytes++ - at);
			break;
		}
	}
	return bytes;
#undef ANY
}

static void random_heads_have_one_outcome(void **state)
{
	char text[2048];

	(void)state;
	random_state = (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)random_state);
	for (size_t i = 0; i < HEADS_RANDOM; i++)
		assert_same_both_ways(text, head_random(text));
}

static bool is_scanned(const char *text)
{
	struct weir_http_parser parser;

	weir_http_parser_reset(&parser, &test_limits);
	return weir_http_head_scan(&parser, text, strlen(text));
}

static void usual_heads_take_the_short_cut(void **state)
{
	(void)state;
	assert_true(is_scanned("GET / HTTP/1.0\r\n\r\n"));
	assert_true(is_scanned("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"));
	assert_true(is_scanned("POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
			       "Connection: keep-alive\r\nAccept: */*\r\nX:\r\n\r\nhello"));
	assert_true(is_scanned("HEAD / HTTP/1.1\r\n\r\n"));
	assert_true(is_scanned("PUT / HTTP/1.1\r\n\r\n"));
	assert_true(is_scanned("DELETE / HTTP/1.1\r\n\r\n"));
	assert_true(is_scanned("PATCH / HTTP/1.1\r\n\r\n"));
	assert_true(is_scanned("OPTIONS / HTTP/1.1\r\n\r\nGET"));
}

static void other_heads_are_declined(void **state)
{
	static const char *const heads[] = {
		"",
		"GET / HTTP/1.1\r\n\r",
		"\r\nGET / HTTP/1.1\r\n\r\n",
		"GETT / HTTP/1.1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\n\r\n",
		"GET /a#b HTTP/1.1\r\n\r\n",
		"GET /\xe4 HTTP/1.1\r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.2\r\n\r\n",
		"GET / HTTP/1.1\n\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\ncontent-length: 5\r\nContent-Length: 5\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 5 \r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: \r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 00000000000000000005\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (is_scanned(heads[i]))
			fail_msg("not declined:\n%s", heads[i]);
	}
}

static void a_scan_stops_at_the_first_byte_that_ends_a_run(void **state)
{
	(void)state;
	for (size_t bytes = WEIR_HTTP_SCAN_BYTES; bytes <= 50; bytes++) {
		for (size_t start = 0; start <= bytes; start++) {
			for (size_t stop = start; stop <= bytes; stop++) {
				char text[50];

				memset(text, '\r', sizeof(text)); /* before and behind it */
				memset(text + start, 'a', stop - start);
				char *copy = exact_copy(text, bytes);

				assert_int_equal(stop, weir_http_scan(copy, start, bytes,
								      weir_http_scan_value_mask));
				assert_int_equal(stop, weir_http_scan(copy, start, bytes,
								      weir_http_scan_path_mask));
				free(copy);
			}
		}
	}
}

static void masks_are_those_of_the_bytes(void **state)
{
	char block[WEIR_HTTP_SCAN_BYTES];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < sizeof(block); at++) {
			for (size_t i = 0; i < sizeof(block); i++)
				block[i] = (char)(i == at ? byte : random_below(256));
			assert_int_equal(weir_http_scan_value_mask(block),
					 weir_http_scan_value_mask_bytewise(block));
			assert_int_equal(weir_http_scan_word_mask(block),
					 weir_http_scan_word_mask_bytewise(block));
			assert_int_equal(weir_http_scan_escape_mask(block),
					 weir_http_scan_escape_mask_bytewise(block));
			assert_int_equal(weir_http_scan_path_mask(block),
					 weir_http_scan_path_mask_bytewise(block));
		}
	}
}

static void a_word_equals_its_text_in_any_case_and_no_other(void **state)
{
	static const char *const words[] = {"te", "host", "expect", "upgrade", "trailer",
					    "connection", "content-length", "proxy-connection",
					    "transfer-encoding", "x-openwhisk-activation-id"};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct weir_span word = weir_span_of(words[i]);
		char text[32];

		for (size_t at = 0; at < word.bytes; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				for (size_t j = 0; j < word.bytes; j++)
					text[j] = (char)(random_below(2) && words[i][j] >= 'a' ?
								 words[i][j] - 32 :
								 words[i][j]);
				text[at] = (char)byte;
				const struct weir_span have = {.data = text, .bytes = word.bytes};

				assert_int_equal(weir_span_equal_word(have, word),
						 weir_span_equal_nocase(have, word));
			}
		}
		assert_false(weir_span_equal_word(
			(struct weir_span){.data = words[i], .bytes = word.bytes - 1}, word));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_at_every_place_has_one_outcome),
		cmocka_unit_test(random_heads_have_one_outcome),
		cmocka_unit_test(usual_heads_take_the_short_cut),
		cmocka_unit_test(other_heads_are_declined),
		cmocka_unit_test(a_scan_stops_at_the_first_byte_that_ends_a_run),
		cmocka_unit_test(masks_are_those_of_the_bytes),
		cmocka_unit_test(a_word_equals_its_text_in_any_case_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
