#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_test.h"

#include "bench/load_answer.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

static struct weir_load_answer answer;
static struct weir_load_shape shape;
static struct weir_load_counts counts;

static int setup(void **state)
{
	(void)state;
	shape = (struct weir_load_shape){0};
	counts = (struct weir_load_counts){0};
	return weir_load_answer_open(&answer);
}

static int teardown(void **state)
{
	(void)state;
	free(answer.carry);
	return 0;
}

static int take(const char *text, uint32_t expected)
{
	answer.expected += expected;
	return weir_load_answer_take(&answer, &shape, text, strlen(text), &counts);
}

static uint64_t errors(void)
{
	return counts.status + counts.length + counts.content + counts.malformed;
}

static void answers_in_one_piece_are_counted(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD GOOD GOOD, 3), 3);
	assert_int_equal(counts.answers, 3);
	assert_int_equal(errors(), 0);
	assert_int_equal(shape.body_bytes, 5);
	assert_int_equal(shape.head_bytes, strlen(GOOD) - 5);
	assert_int_equal(answer.expected, 0);
}

static void answers_may_be_cut_anywhere(void **state)
{
	(void)state;
	static const char both[] = GOOD GOOD;
	const size_t bytes = sizeof(both) - 1;

	for (size_t cut = 1; cut < bytes; cut++) {
		int completed;

		answer.expected = 2;
		completed = weir_load_answer_take(&answer, &shape, both, cut, &counts);
		completed += weir_load_answer_take(&answer, &shape, both + cut, bytes - cut,
						   &counts);
		assert_int_equal(completed, 2);
		assert_int_equal(answer.expected, 0);
	}
	assert_int_equal(errors(), 0);
}

static void answers_may_come_byte_by_byte(void **state)
{
	(void)state;
	static const char both[] = GOOD GOOD;
	int completed = 0;

	answer.expected = 2;
	for (size_t i = 0; i < sizeof(both) - 1; i++)
		completed += weir_load_answer_take(&answer, &shape, both + i, 1, &counts);
	assert_int_equal(completed, 2);
	assert_int_equal(errors(), 0);
}

static void an_answer_without_body_completes_with_its_head(void **state)
{
	(void)state;
	assert_int_equal(take("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 1), 1);
	assert_int_equal(errors(), 0);
}

static void another_status_is_an_error_and_the_stream_goes_on(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno" GOOD, 3),
			 3);
	assert_int_equal(counts.status, 1);
	assert_int_equal(errors(), 1);
}

static void another_status_of_the_right_size_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD "HTTP/1.1 500 OK\r\nContent-Type: "
				   "text/plain\r\nContent-Length: 5\r\n\r\nhello",
			      2),
			 2);
	assert_int_equal(counts.status, 1);
}

static void another_body_length_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD "HTTP/1.1 200 OK\r\nContent-Type: "
				   "text/plain\r\nContent-Length: 4\r\n\r\nhell",
			      2),
			 2);
	assert_int_equal(counts.length, 1);
}

static void another_head_length_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD "HTTP/1.1 200 OK\r\nX: y\r\nContent-Type: "
				   "text/plain\r\nContent-Length: 5\r\n\r\nhello",
			      2),
			 2);
	assert_int_equal(counts.length, 1);
}

static void an_answer_that_nobody_asked_for_is_refused(void **state)
{
	(void)state;
	assert_int_equal(take(GOOD GOOD, 1), -EBADMSG);
	assert_int_equal(counts.malformed, 1);
}

static void what_cannot_be_followed_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"SPDY/9 200 OK\r\nContent-Length: 1\r\n\r\n",
		"\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		weir_load_answer_reset(&answer);
		assert_int_equal(take(bad[i], 1), -EBADMSG);
		assert_int_equal(counts.malformed, i + 1);
	}
}

static void a_head_without_end_is_refused(void **state)
{
	(void)state;
	char data[1024];
	int status = 0;

	memset(data, 'a', sizeof(data));
	answer.expected = 1;
	for (int i = 0; i < 9 && status == 0; i++)
		status = weir_load_answer_take(&answer, &shape, data, sizeof(data), &counts);
	assert_int_equal(status, -EBADMSG);
}

/* As the generator does before it sends a request whose body is `echo`. */
static int take_echo(const char *text, const char *echo)
{
	shape.echo_bytes = strlen(echo);
	answer.echo = echo;
	return take(text, 1);
}

static void a_body_that_comes_back_is_right_wherever_it_is_cut(void **state)
{
	(void)state;
	const size_t bytes = strlen(GOOD);

	shape.echo_bytes = 5;
	for (size_t cut = 1; cut < bytes; cut++) {
		answer.echo = "hello";
		answer.expected = 1;
		assert_int_equal(weir_load_answer_take(&answer, &shape, GOOD, cut, &counts), 0);
		assert_int_equal(weir_load_answer_take(&answer, &shape, &GOOD[cut], bytes - cut,
						       &counts),
				 1);
	}
	assert_int_equal(errors(), 0);
}

static void one_wrong_byte_of_a_body_is_an_error_and_the_stream_goes_on(void **state)
{
	(void)state;
	static const char *const sent[] = {"jello", "hallo", "hellO"};

	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		assert_int_equal(take_echo(GOOD, sent[i]), 1);
		assert_int_equal(counts.content, i + 1);
	}
	assert_int_equal(take_echo(GOOD, "hello"), 1);
	assert_int_equal(errors(), 3);
}

static void an_echo_of_another_length_is_refused(void **state)
{
	(void)state;
	assert_int_equal(take_echo(GOOD, "hello, world"), -EBADMSG);
	assert_int_equal(counts.length, 1);
	assert_int_equal(errors(), 1);
}

static void an_error_instead_of_an_echo_is_refused_and_counted_once(void **state)
{
	(void)state;
	assert_int_equal(
		take_echo("HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\nhello", "hello"),
		-EBADMSG);
	assert_int_equal(counts.status, 1);
	assert_int_equal(errors(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_in_one_piece_are_counted),
		TEST(answers_may_be_cut_anywhere),
		TEST(answers_may_come_byte_by_byte),
		TEST(an_answer_without_body_completes_with_its_head),
		TEST(another_status_is_an_error_and_the_stream_goes_on),
		TEST(another_status_of_the_right_size_is_an_error),
		TEST(another_body_length_is_an_error),
		TEST(another_head_length_is_an_error),
		TEST(an_answer_that_nobody_asked_for_is_refused),
		TEST(what_cannot_be_followed_is_refused),
		TEST(a_head_without_end_is_refused),
		TEST(a_body_that_comes_back_is_right_wherever_it_is_cut),
		TEST(one_wrong_byte_of_a_body_is_an_error_and_the_stream_goes_on),
		TEST(an_echo_of_another_length_is_refused),
		TEST(an_error_instead_of_an_echo_is_refused_and_counted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
