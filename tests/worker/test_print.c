#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/worker/print.h"
#include "tests/base/base_test.h"

enum { LINES_MAX = 70000 };

/* The collector's end. */
static int collector_fd = -1;
static struct weir_print print;
static char lines[LINES_MAX][80]; /* "activation stream text", cut */
static size_t line_count;
static uint64_t dropped;

static const struct weir_id first = {.high = 0, .low = 1};
static const struct weir_id second = {.high = 0, .low = 2};

static int setup(void **state)
{
	int ends[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	collector_fd = ends[0];
	line_count = 0;
	return weir_outlet_connect(ends[1]); /* the one before is not closed: the process is short */
}

static int teardown(void **state)
{
	(void)state;
	(void)close(collector_fd);
	return 0;
}

/* Take what was sent. */
static void collect(void)
{
	static uint8_t message[WEIR_OUTPUT_MESSAGE_BYTES_MAX];
	struct weir_output_reader reader;
	struct weir_output_line line;
	ssize_t bytes = 0;

	while ((bytes = recv(collector_fd, message, sizeof(message), MSG_DONTWAIT)) > 0) {
		assert_int_equal(weir_output_read(message, (size_t)bytes, &reader), 0);
		assert_true(weir_span_equal(reader.name, WEIR_SPAN("f")));
		dropped = reader.dropped;
		while (weir_output_next(&reader, &line)) {
			assert_true(line_count < LINES_MAX);
			(void)snprintf(lines[line_count++], sizeof(lines[0]), "%d %d %.*s",
				       (int)reader.activation.low, (int)line.stream,
				       line.text.bytes < 60 ? (int)line.text.bytes : 60, line.text.data);
		}
	}
}

static void add(enum weir_runtime_stream stream, const char *text)
{
	weir_print_add(&print, stream, weir_span_of(text));
}

static void pieces_become_lines_of_their_stream(void **state)
{
	(void)state;
	weir_print_open(&print, "a/f", first);
	add(WEIR_RUNTIME_STDOUT, "he");
	add(WEIR_RUNTIME_STDERR, "oops\n");
	add(WEIR_RUNTIME_STDOUT, "llo\n\nrest");
	weir_print_log(&print, 3, WEIR_SPAN("one\ntwo"));
	weir_print_end(&print);
	collect();
	assert_int_equal(line_count, 6);
	assert_string_equal(lines[0], "1 1 oops");
	assert_string_equal(lines[1], "1 0 hello");
	assert_string_equal(lines[2], "1 0 ");
	assert_string_equal(lines[3], "1 5 one");
	assert_string_equal(lines[4], "1 5 two");
	assert_string_equal(lines[5], "1 0 rest");
}

static void a_call_that_prints_nothing_sends_nothing(void **state)
{
	(void)state;
	weir_print_open(&print, "a/f", first);
	weir_print_end(&print);
	collect();
	assert_int_equal(line_count, 0);
}

static void lines_of_two_calls_keep_their_activations(void **state)
{
	struct weir_print other;

	(void)state;
	weir_print_open(&print, "a/f", first);
	weir_print_open(&other, "a/f", second);
	for (int i = 0; i < 100; i++) {
		weir_print_add(&print, WEIR_RUNTIME_STDOUT, WEIR_SPAN("of the first\n"));
		weir_print_add(&other, WEIR_RUNTIME_STDOUT, WEIR_SPAN("of the second\n"));
	}
	weir_print_end(&other);
	weir_print_end(&print);
	collect();
	assert_int_equal(line_count, 200);
	for (size_t i = 0; i < 200; i += 2) {
		assert_string_equal(lines[i], "1 0 of the first");
		assert_string_equal(lines[i + 1], "2 0 of the second");
	}
}

static void an_answer_goes_at_once_with_its_length_and_the_activation_that_is_named(void **state)
{
	static char text[2 * WEIR_OUTPUT_TEXT_BYTES_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	weir_print_open(&print, "a/f", first);
	weir_print_keep(&print, second, (struct weir_span){.data = text, .bytes = sizeof(text)});
	collect(); /* the call is not over */
	assert_int_equal(line_count, 4);
	assert_string_equal(lines[0], "2 6 2049");
	assert_memory_equal(lines[1], "2 6 xxxxxxxx", 12);
	assert_string_equal(lines[3], "2 6 x");
	line_count = 0;
	weir_print_end(&print);
	collect();
	assert_int_equal(line_count, 0);
}

static void a_long_line_is_cut_into_several(void **state)
{
	static char text[3 * WEIR_PRINT_LINE_BYTES_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	weir_print_open(&print, "a/f", first);
	add(WEIR_RUNTIME_STDOUT, text);
	weir_print_end(&print);
	collect();
	assert_int_equal(line_count, 3);
}

static void what_is_too_much_is_dropped_and_said_once(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		line_count = 0;
		weir_print_open(&print, "a/f", first);
		for (int i = 0; i < 10000; i++) {
			if (kind == 0)
				add(WEIR_RUNTIME_STDERR, "twenty bytes of text\n");
			else if (kind == 1)
				weir_print_log(&print, 1, WEIR_SPAN("ten bytes."));
			else
				weir_print_log(&print, 1, WEIR_SPAN(""));
			if (i % 100 == 0)
				collect();
		}
		weir_print_end(&print);
		collect();
		if (kind == 2) { /* even nothing is something */
			assert_int_equal(line_count, 10000);
			continue;
		}
		assert_true(line_count < 7000);
		assert_string_equal(lines[line_count - 1],
				    "1 4 this call printed more than 65536 bytes; the rest was droppe");
		assert_true(strstr(lines[line_count - 2], "was droppe") == NULL);
	}
}

static void a_full_socket_drops_lines_and_a_later_one_says_how_many(void **state)
{
	const uint64_t before = dropped;
	size_t kept = 0;
	size_t sent = 0;

	(void)state;
	for (int call = 0; call < 100; call++) {
		weir_print_open(&print, "a/f", first);
		for (int i = 0; i < 1000; i++, sent++)
			add(WEIR_RUNTIME_STDOUT, "a line that nobody takes in time\n");
		weir_print_end(&print);
	}
	assert_true(weir_outlet_is_dirty()); /* it must be said still */
	collect();
	kept = line_count;
	assert_true(kept < sent);
	weir_outlet_lock();
	weir_outlet_flush();
	weir_outlet_unlock();
	collect();
	assert_int_equal(line_count, kept + 1);
	assert_int_equal(strncmp(lines[kept], "1 4 ", 4), 0);
	assert_int_equal(strtoull(lines[kept] + 4, NULL, 10), sent - kept);
	assert_int_equal(dropped - before, sent - kept);
	assert_false(weir_outlet_is_dirty());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_become_lines_of_their_stream),
		TEST(a_call_that_prints_nothing_sends_nothing),
		TEST(lines_of_two_calls_keep_their_activations),
		TEST(an_answer_goes_at_once_with_its_length_and_the_activation_that_is_named),
		TEST(a_long_line_is_cut_into_several),
		TEST(what_is_too_much_is_dropped_and_said_once),
		TEST(a_full_socket_drops_lines_and_a_later_one_says_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
