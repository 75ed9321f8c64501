#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "dataplane/shm/output.h"
#include "tests/shm/shm_test.h"

static const struct weir_id activation = {.high = 1, .low = 2};

static void lines_come_out_as_they_went_in(void **state)
{
	static const char bytes[] = "any\0bytes\xff";
	struct weir_output_message message;
	struct weir_output_reader reader;
	struct weir_output_line line;

	(void)state;
	weir_output_begin(&message, activation, WEIR_SPAN("hello"));
	assert_int_equal(weir_output_entries(&message), 0);
	assert_true(weir_output_append(&message, 7, WEIR_OUTPUT_STDERR, (struct weir_span){bytes, sizeof(bytes)}));
	assert_true(weir_output_append(&message, 8, WEIR_OUTPUT_WARN, WEIR_SPAN("")));
	weir_output_dropped(&message, 99);
	assert_int_equal(weir_output_entries(&message), 2);
	assert_int_equal(weir_output_read(message.data, message.bytes, &reader), 0);
	assert_true(weir_span_equal(reader.name, WEIR_SPAN("hello")));
	assert_int_equal(reader.activation.high, 1);
	assert_int_equal(reader.activation.low, 2);
	assert_int_equal(reader.dropped, 99);
	assert_true(weir_output_next(&reader, &line));
	assert_int_equal(line.time_ns, 7);
	assert_int_equal(line.stream, WEIR_OUTPUT_STDERR);
	assert_int_equal(line.text.bytes, sizeof(bytes));
	assert_memory_equal(line.text.data, bytes, sizeof(bytes));
	assert_true(weir_output_next(&reader, &line));
	assert_int_equal(line.text.bytes, 0);
	assert_false(weir_output_next(&reader, &line));
}

static void a_full_message_takes_no_more(void **state)
{
	static char text[WEIR_OUTPUT_TEXT_BYTES_MAX];
	struct weir_output_message message;
	struct weir_output_reader reader;
	int lines = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	weir_output_begin(&message, activation, (struct weir_span){text, sizeof(text)});
	while (weir_output_append(&message, 1, WEIR_OUTPUT_STDOUT, (struct weir_span){text, sizeof(text)}))
		lines++;
	assert_int_equal(lines, (WEIR_OUTPUT_MESSAGE_BYTES_MAX - 32 - WEIR_OUTPUT_NAME_BYTES_MAX) / (16 + 1024));
	assert_int_equal(weir_output_read(message.data, message.bytes, &reader), 0);
	assert_int_equal(reader.name.bytes, WEIR_OUTPUT_NAME_BYTES_MAX);
	assert_int_equal(reader.entries_left, lines);
}

/* Whatever a worker writes is refused or read within its bytes. */
static void unsound_messages_are_refused(void **state)
{
	struct weir_output_message message;
	struct weir_output_reader reader;
	struct weir_output_line line;
	const uint64_t seed = shm_seed();

	(void)state;
	weir_output_begin(&message, activation, WEIR_SPAN("f"));
	assert_int_equal(weir_output_read(message.data, message.bytes, &reader), -EBADMSG); /* no line */
	assert_true(weir_output_append(&message, 1, WEIR_OUTPUT_STDOUT, WEIR_SPAN("text")));
	for (size_t bytes = 0; bytes < message.bytes; bytes++)
		assert_int_equal(weir_output_read(message.data, bytes, &reader), -EBADMSG);
	assert_int_equal(weir_output_read(message.data, message.bytes + 1, &reader), -EBADMSG);
	srandom((unsigned)seed);
	for (int i = 0; i < 20000; i++) {
		uint8_t *const copy = malloc(message.bytes); /* exact, for who checks bounds */

		assert_non_null(copy);
		memcpy(copy, message.data, message.bytes);
		for (int k = 0; k < 1 + i % 3; k++)
			copy[(size_t)random() % message.bytes] = (uint8_t)random();
		if (weir_output_read(copy, message.bytes, &reader) == 0) {
			while (weir_output_next(&reader, &line))
				assert_true(line.stream < WEIR_OUTPUT_STREAMS);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_out_as_they_went_in),
		cmocka_unit_test(a_full_message_takes_no_more),
		cmocka_unit_test(unsound_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
