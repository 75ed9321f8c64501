/* The gateway with a played worker: answers, order, deadlines, recall, deaths and lies. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "tests/gateway/rig.h"

static const char GET[] = "GET /f HTTP/1.1\r\nHost: t\r\n\r\n";

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_start(rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	rig_expect_metric(rig, WEIR_METRIC_chunks_small, 0);
	rig_expect_metric(rig, WEIR_METRIC_chunks_large, 0);
	rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	rig_expect_metric(rig, WEIR_METRIC_buffers_used, 0);
	rig_stop(rig);
	free(rig);
	return 0;
}

static void small_request_is_answered(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, "POST /f/12?q=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody");
	head = rig_worker_accept(&worker);
	assert_int_equal(head.flags, WEIR_MESSAGE_FLAG_END);
	assert_int_equal(head.bytes - head.head_bytes, 4);
	rig_worker_answer(&worker, &head, 201, "made");
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 201 Created\r\n"));
	assert_non_null(strstr(answer, "x-openwhisk-activation-id: "));
	assert_string_equal(answer + strlen(answer) - 8, "\r\n\r\nmade");
	close(client);
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	rig_worker_kill(&worker);
	(void)rig_expect(rig, WEIR_CONTROL_LINK_GONE);
}

static void a_snapshot_is_counted_with_the_time_that_it_cost(void **state)
{
	struct rig *rig = *state;
	const _Atomic uint64_t *metric = rig->board->shard[0].metric;

	rig_expect_metric(rig, WEIR_METRIC_config_switches, 1); /* the rig's own */
	assert_in_range(atomic_load(&metric[WEIR_METRIC_config_switch_ns]), 1, WEIR_NS_PER_SECOND);
}

static void pipelined_answers_come_in_order(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message first, second;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, "GET /f/1 HTTP/1.1\r\nHost: t\r\n\r\nGET /f/2 HTTP/1.1\r\nHost: t\r\n\r\n");
	first = rig_worker_accept(&worker);
	second = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &second, 200, "two");
	usleep(20000);
	rig_worker_answer(&worker, &first, 200, "one");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 3, "one");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 3, "two");
	close(client);
	rig_worker_kill(&worker);
}

static void running_call_of_a_dead_worker_gets_502(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	(void)rig_worker_accept(&worker);
	rig_worker_kill(&worker);
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 "));
	assert_non_null(strstr(answer, "\"part\":\"worker\""));
	close(client);
}

static void call_that_never_started_moves_to_another_worker(void **state)
{
	struct rig *rig = *state;
	struct rig_worker dead, other;
	struct weir_message head;
	char answer[1024];
	int client;

	rig_worker_start(rig, &dead);
	client = rig_client(rig);
	rig_send(client, GET);
	assert_true(rig_worker_has(&dead, 5000));
	rig_worker_kill(&dead);
	rig_worker_start(rig, &other);
	head = rig_worker_accept(&other);
	rig_worker_answer(&other, &head, 200, "again");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 5, "again");
	close(client);
	rig_worker_kill(&other);
}

static void queue_of_a_stalled_worker_is_recalled(void **state)
{
	struct rig *rig = *state;
	struct rig_worker stalled, other;
	struct weir_message head;
	char answer[1024];
	int client;

	rig_worker_start(rig, &stalled);
	client = rig_client(rig);
	rig_send(client, GET);
	assert_true(rig_worker_has(&stalled, 5000));
	rig_worker_start(rig, &other); /* it lives, but never looks at its ring */
	head = rig_worker_accept(&other);
	rig_worker_answer(&other, &head, 200, "moved");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 5, "moved");
	close(client);
	rig_worker_kill(&stalled);
	rig_worker_kill(&other);
}

/* A worker whose calls all wait has nothing to do: that it does not move is no sign of trouble. */
static void a_worker_whose_calls_are_parked_gets_more(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head[3];
	char answer[1024];
	int client[3];

	rig_worker_start(rig, &worker);
	for (unsigned i = 0; i < 3; i++) {
		client[i] = rig_client(rig);
		rig_send(client[i], GET);
		head[i] = rig_worker_accept(&worker);
		usleep(30000); /* it runs for longer than a worker may stand still, */
		atomic_store(&worker.segment.header->parked, i + 1);
		usleep(30000); /* and waits as long */
	}
	for (int i = 0; i < 3; i++) {
		rig_worker_answer(&worker, &head[i], 200, "moved");
		rig_read_answer(client[i], answer, sizeof(answer));
		assert_string_equal(answer + strlen(answer) - 5, "moved");
		close(client[i]);
	}
	rig_worker_kill(&worker);
}

static void overdue_call_gets_504_a_cancel_and_costs_the_worker_its_life(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head, cancel;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 504 "));
	cancel = rig_worker_pop(&worker);
	assert_int_equal(cancel.kind, WEIR_MESSAGE_CANCEL);
	assert_int_equal(cancel.sequence, head.sequence);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_WORKER_KILL).worker_kill.worker_id, worker.link_id);
	close(client);
	rig_worker_kill(&worker);
}

static void without_a_worker_the_queue_is_bounded_and_times_out(void **state)
{
	struct rig *rig = *state;
	char answer[2048];
	int client[6];

	for (int i = 0; i < 5; i++) {
		client[i] = rig_client(rig);
		rig_send(client[i], GET);
		if (i < 4)
			rig_expect_metric(rig, WEIR_METRIC_calls_waiting, (uint64_t)i + 1);
	}
	(void)rig_expect(rig, WEIR_CONTROL_DEMAND);
	rig_read_answer(client[4], answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 429 "));
	assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
	rig_read_answer(client[0], answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 504 "));
	assert_non_null(strstr(answer, "\"part\":\"queue\""));
	for (int i = 0; i < 5; i++)
		close(client[i]);
}

/* Each lie makes the gateway ask for the worker's life, and the caller gets a 5xx. */
static void tell_a_lie(struct rig *rig, void (*lie)(struct weir_message *message))
{
	struct rig_worker worker;
	struct weir_message head, message = {.kind = WEIR_MESSAGE_HEAD,
					     .flags = WEIR_MESSAGE_FLAG_END,
					     .grant = WEIR_CHUNK_NONE};
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	message.call = head.call;
	message.sequence = head.sequence;
	rig_worker_write(&worker, &message, head.grant, 200, "lie", 3);
	lie(&message);
	rig_worker_push(&worker, &message);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_WORKER_KILL).worker_kill.worker_id, worker.link_id);
	rig_worker_kill(&worker);
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 "));
	close(client);
}

static void lie_sequence(struct weir_message *message)
{
	message->sequence++;
}

static void lie_call(struct weir_message *message)
{
	message->call = 60000;
}

static void lie_chunk(struct weir_message *message)
{
	message->chunk += 1; /* not lent to this call */
}

static void lie_chunk_far(struct weir_message *message)
{
	message->chunk = 1u << 30;
}

static void lie_bytes(struct weir_message *message)
{
	message->bytes = WEIR_CHUNK_SMALL_BYTES + 1;
}

static void lie_head_bytes(struct weir_message *message)
{
	message->head_bytes = message->bytes + 1;
}

static void lie_kind(struct weir_message *message)
{
	message->kind = 99;
}

static void lie_data_first(struct weir_message *message)
{
	message->kind = WEIR_MESSAGE_DATA;
}

static void a_worker_that_lies_is_retired(void **state)
{
	void (*const lies[])(struct weir_message *) = {lie_sequence, lie_call,       lie_chunk,
						       lie_chunk_far, lie_bytes,     lie_head_bytes,
						       lie_kind,      lie_data_first};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		tell_a_lie(*state, lies[i]);
}

static void a_lying_ring_index_retires_the_worker(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	(void)rig_worker_accept(&worker);
	atomic_store(&worker.segment.pair[0].to_shard.tail, 70000);
	eventfd_t one = 1;
	assert_int_equal(write(worker.event_fd, &one, sizeof(one)), sizeof(one));
	(void)rig_expect(rig, WEIR_CONTROL_WORKER_KILL);
	rig_worker_kill(&worker);
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 "));
	close(client);
}

static void a_malformed_head_becomes_502(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &head, 99, "status out of range");
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 "));
	close(client);
	rig_worker_kill(&worker);
}

static void large_body_arrives_in_chunks_after_it_was_asked_for(void **state)
{
	enum { BODY = 1 << 20 };
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	char *body = malloc(BODY), answer[1024];
	size_t got = 0;
	bool end = false;
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	for (int i = 0; i < BODY; i++)
		body[i] = (char)(i * 31 + i / 4099);
	rig_send(client, "POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 1048576\r\n\r\n");
	if (fork() == 0) {
		for (size_t at = 0; at < BODY;) {
			const ssize_t sent = write(client, body + at, BODY - at);

			if (sent <= 0)
				_exit(1);
			at += (size_t)sent;
		}
		_exit(0);
	}
	head = rig_worker_accept(&worker);
	assert_int_equal(head.flags, 0);
	assert_int_equal(head.bytes, head.head_bytes);
	assert_false(rig_worker_has(&worker, 50)); /* nothing is read before the worker asks */
	rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
							 .call = head.call,
							 .sequence = head.sequence,
							 .chunk = WEIR_CHUNK_NONE,
							 .grant = WEIR_CHUNK_NONE});
	while (!end) {
		const struct weir_message data = rig_worker_pop(&worker);
		size_t room;

		assert_int_equal(data.kind, WEIR_MESSAGE_DATA);
		end = data.flags & WEIR_MESSAGE_FLAG_END;
		assert_memory_equal(body + got,
				    weir_segment_chunk(&worker.segment.pair[0], data.chunk, &room),
				    data.bytes);
		got += data.bytes;
		assert_true(atomic_load(&rig->board->shard[0].metric[WEIR_METRIC_chunks_large]) <= 4);
		rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
								 .call = head.call,
								 .sequence = head.sequence,
								 .chunk = data.chunk,
								 .grant = WEIR_CHUNK_NONE});
	}
	assert_int_equal(got, BODY);
	rig_worker_answer(&worker, &head, 200, "taken");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 5, "taken");
	rig_send(client, GET); /* the connection goes on */
	head = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &head, 200, "next");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 4, "next");
	close(client);
	rig_worker_kill(&worker);
	free(body);
}

/* A chunk that an earlier call left in the worker's hands must not count as lent to a later one
 * while the kernel receives into it. */
static void a_chunk_of_an_ended_call_cannot_be_returned_later(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head, data, end;
	char answer[1024];
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, "POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nsome");
	head = rig_worker_accept(&worker);
	rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
							 .call = head.call,
							 .sequence = head.sequence,
							 .chunk = WEIR_CHUNK_NONE,
							 .grant = WEIR_CHUNK_NONE});
	data = rig_worker_pop(&worker);
	assert_int_equal(data.kind, WEIR_MESSAGE_DATA);
	rig_worker_answer(&worker, &head, 200, "done"); /* keeps the body's chunk */
	rig_read_answer(client, answer, sizeof(answer));
	close(client);
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	client = rig_client(rig);
	rig_send(client, "POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n");
	head = rig_worker_accept(&worker);
	end = (struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
				    .call = head.call,
				    .sequence = head.sequence,
				    .chunk = WEIR_CHUNK_NONE,
				    .grant = WEIR_CHUNK_NONE};
	rig_worker_push(&worker, &end); /* now the kernel receives into that chunk */
	rig_expect_metric(rig, WEIR_METRIC_chunks_large, 1);
	end.kind = WEIR_MESSAGE_HEAD;
	end.flags = WEIR_MESSAGE_FLAG_END;
	rig_worker_write(&worker, &end, data.chunk, 200, "stolen", 6);
	rig_worker_push(&worker, &end);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_WORKER_KILL).worker_kill.worker_id, worker.link_id);
	rig_worker_kill(&worker);
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 502 "));
	close(client);
}

static void a_client_that_resets_cancels_its_call(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(client);
	assert_int_equal(rig_worker_pop(&worker).kind, WEIR_MESSAGE_CANCEL);
	rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 1);
	rig_worker_answer(&worker, &head, 200, "nobody reads this");
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	rig_worker_kill(&worker);
}

/* One call, to a worker that is so far away; how many were counted as such. */
static uint64_t calls_remote_of_one(uint32_t remote)
{
	const struct rig_options options = {.workers_remote = remote};
	struct rig rig;
	struct rig_worker worker;
	struct weir_message head;
	char answer[512];
	uint64_t count;
	int client;

	rig_start_with(&rig, &options);
	rig_worker_start(&rig, &worker);
	client = rig_client(&rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &head, 200, "far");
	rig_read_answer(client, answer, sizeof(answer));
	assert_non_null(strstr(answer, "far"));
	close(client);
	rig_expect_metric(&rig, WEIR_METRIC_calls_bound, 1);
	count = atomic_load(&rig.board->shard[0].metric[WEIR_METRIC_calls_remote]);
	rig_worker_kill(&worker);
	rig_stop(&rig);
	return count;
}

static void a_call_to_another_node_is_counted(void **state)
{
	(void)state;
	assert_int_equal(calls_remote_of_one(0), 0);
	assert_int_equal(calls_remote_of_one(255), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_snapshot_is_counted_with_the_time_that_it_cost, setup, teardown),
		cmocka_unit_test_setup_teardown(small_request_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(pipelined_answers_come_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(running_call_of_a_dead_worker_gets_502, setup, teardown),
		cmocka_unit_test_setup_teardown(call_that_never_started_moves_to_another_worker, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_worker_whose_calls_are_parked_gets_more, setup, teardown),
		cmocka_unit_test_setup_teardown(queue_of_a_stalled_worker_is_recalled, setup, teardown),
		cmocka_unit_test_setup_teardown(
			overdue_call_gets_504_a_cancel_and_costs_the_worker_its_life, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_worker_the_queue_is_bounded_and_times_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_worker_that_lies_is_retired, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lying_ring_index_retires_the_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(a_malformed_head_becomes_502, setup, teardown),
		cmocka_unit_test_setup_teardown(large_body_arrives_in_chunks_after_it_was_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_chunk_of_an_ended_call_cannot_be_returned_later, setup,
						teardown),
		cmocka_unit_test(a_call_to_another_node_is_counted),
		cmocka_unit_test_setup_teardown(a_client_that_resets_cancels_its_call, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
