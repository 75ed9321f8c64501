/* The collector: who may send what over the socket of a worker's. */
#include <sys/socket.h>

#include "ctrl/ctrld/collector.h"
#include "ctrl/model/builtin.h"
#include "dataplane/shm/output.h"
#include "tests/store/store_test.h"

static const struct weir_id id = {.high = 1, .low = 2};

static void visit(void *context, const struct weir_log_line *line)
{
	assert_true(weir_span_equal(line->text, WEIR_SPAN("7")));
	++*(size_t *)context;
}

/* How many lines of that kind are kept of the activation. */
static size_t kept(const struct store_test *test, bool answers)
{
	const struct weir_log_filter filter = {
		.activation_high = id.high, .activation_low = id.low, .answers = answers, .lines_max = 10};
	struct weir_store_error error;
	size_t count = 0;

	assert_int_equal(weir_log_store_read(test->directory, &filter, visit, &count, &error), 0);
	return count;
}

/* A worker of that namespace sends a line, which is taken. */
static void send_line(struct weir_collector *collector, uint64_t worker_id, const char *space, enum weir_output_stream stream)
{
	struct weir_output_message message;
	uint64_t mark = 0;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	weir_collector_add(collector, worker_id, space, ends[0]);
	weir_output_begin(&message, id, WEIR_SPAN("f"));
	assert_true(weir_output_append(&message, 1, stream, WEIR_SPAN("7")));
	assert_int_equal(send(ends[1], message.data, message.bytes, 0), (ssize_t)message.bytes);
	mark = weir_collector_mark(collector);
	while (!weir_collector_reached(collector, mark))
		(void)usleep(1000);
	assert_int_equal(close(ends[1]), 0);
}

static void only_weir_s_own_functions_say_what_was_answered(void **state)
{
	struct store_test *test = *state;
	struct weir_collector_status status;
	struct weir_collector *collector = NULL;
	char log[128];

	store_test_path(test, "log", log);
	assert_int_equal(weir_collector_create(test->directory, &collector), 0);
	send_line(collector, 1, "mallory", WEIR_OUTPUT_ANSWER);
	weir_collector_status_get(collector, &status);
	assert_int_equal(status.refused, 1);
	assert_int_equal(kept(test, true), 0);
	send_line(collector, 2, "mallory", WEIR_OUTPUT_STDOUT);
	send_line(collector, 3, WEIR_BUILTIN_SPACE, WEIR_OUTPUT_ANSWER);
	weir_collector_status_get(collector, &status);
	assert_int_equal(status.refused, 1);
	assert_int_equal(kept(test, false), 1);
	assert_int_equal(kept(test, true), 1);
	weir_collector_destroy(collector);
	store_test_remove(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_weir_s_own_functions_say_what_was_answered, store_test_setup,
						store_test_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
