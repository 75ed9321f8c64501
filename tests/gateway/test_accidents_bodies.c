/* Accidents of bodies and answers that a critical reading of the gateway found, and that must not
 * come back: who gets which error, who gets a chunk, and when a connection ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/gateway/limits.h"
#include "tests/gateway/rig.h"

enum {
	BODY_BYTES = 150000, /* more than the window of one call */
	/* Uploads that fill all that bodies may have, and some that have to wait. */
	UPLOADS_FED = (WEIR_PAIR_CHUNKS_LARGE - WEIR_GATEWAY_INPUT_LARGE_RESERVE) / WEIR_GATEWAY_WINDOW,
	UPLOADS = UPLOADS_FED + 8,
	PIPELINES = 2,
	PIPELINED = 31,
	SLOW_PERIOD_MS = 4000,
	SLOW_STEP_MS = 250,
};

static const char GET[] = "GET /f HTTP/1.1\r\nHost: t\r\n\r\n";
static const char POST[] = "POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 150000\r\n\r\n";

static struct rig_options defaults;
static struct rig_options patient = {.timeout_ms = 120000, .queue_max = 100, .send_idle_ms = 60000};
static struct rig_options readers = {.timeout_ms = 60000, .send_idle_ms = SLOW_PERIOD_MS};

static void expect_answer(int client, const char *status_line)
{
	char answer[2048];

	rig_read_answer(client, answer, sizeof(answer));
	answer[strlen(status_line)] = '\0';
	assert_string_equal(answer, status_line);
}

/* Send a whole body without waiting for anybody to read it. */
static void send_body(int client)
{
	static const char body[BODY_BYTES];

	assert_int_equal(send(client, body, sizeof(body), MSG_DONTWAIT), sizeof(body));
}

/* A client with room for a body that nobody reads. */
static int upload_client(const struct rig *rig)
{
	const int bytes = 1 << 20, client = rig_client(rig);

	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	return client;
}

static void an_answer_may_come_with_the_wish_for_a_body_that_was_cut_short(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head, ask;
	char byte;
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, POST);
	rig_send(client, "a part");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	head = rig_worker_accept(&worker);
	usleep(50000); /* the gateway sees the end */
	ask = (struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
				    .call = head.call,
				    .sequence = head.sequence,
				    .chunk = WEIR_CHUNK_NONE,
				    .grant = WEIR_CHUNK_NONE};
	assert_true(weir_ring_push(&worker.tx, &ask, 0));
	rig_worker_answer(&worker, &head, 200, "in the same turn");
	(void)recv(client, &byte, 1, 0); /* the answer, or nothing: it sent too little */
	close(client);
	rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	assert_true(rig_is_alive(rig));
	while (rig_worker_has(&worker, 50)) /* the part, and that nobody wants the answer */
		(void)rig_worker_pop(&worker);
	client = rig_client(rig);
	rig_send(client, GET);
	head = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &head, 200, "next");
	expect_answer(client, "HTTP/1.1 200");
	close(client);
	rig_worker_kill(&worker);
}

static void no_100_continue_comes_once_the_answer_began(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head, credit;
	char answer[4096] = {0};
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, "POST /f HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
			 "Content-Length: 150000\r\n\r\n");
	head = rig_worker_accept(&worker);
	rig_worker_begin(&worker, &head, "part");
	credit = rig_worker_pop(&worker);
	assert_int_equal(credit.kind, WEIR_MESSAGE_CREDIT);
	assert_int_equal(rig_read(client, answer, 12), 12); /* the head is out */
	rig_worker_ask(&worker, &head);
	usleep(50000);
	rig_worker_continue(&worker, &credit, 1, true);
	(void)rig_read(client, answer + 12, sizeof(answer) - 13); /* to the end of the connection */
	assert_non_null(strstr(answer, "HTTP/1.1 200"));
	assert_null(strstr(answer, "100 Continue"));
	assert_memory_equal(memmem(answer, sizeof(answer), "0\r\n\r\n", 6), "0\r\n\r\n", 6);
	close(client);
	rig_worker_kill(&worker);
}

static void a_client_that_sends_on_after_a_refused_body_is_let_go(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, POST);
	head = rig_worker_accept(&worker);
	rig_worker_ask(&worker, &head);
	rig_expect_metric(rig, WEIR_METRIC_chunks_large, 1); /* it is being received into */
	rig_worker_push(&worker, &(struct weir_message){.kind = WEIR_MESSAGE_ABORT,
							 .flags = WEIR_MESSAGE_FLAG_END,
							 .call = head.call,
							 .sequence = head.sequence,
							 .code = WEIR_ABORT_FAILED,
							 .chunk = WEIR_CHUNK_NONE,
							 .grant = WEIR_CHUNK_NONE});
	expect_answer(client, "HTTP/1.1 50");
	usleep(50000);
	rig_send(client, "x"); /* and never closes */
	rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	close(client);
	rig_worker_kill(&worker);
}

/* Pop messages until every call from `first` on has got a part of its body. */
static void expect_data(struct rig_worker *worker, const struct weir_message *head, int first, int last)
{
	bool fed[WEIR_PAIR_CALLS] = {0};
	int missing = last - first;

	while (missing > 0) {
		const struct weir_message message = rig_worker_pop(worker);

		for (int i = first; i < last; i++) {
			if (message.kind != WEIR_MESSAGE_DATA || message.call != head[i].call ||
			    message.sequence != head[i].sequence || fed[message.call])
				continue;
			fed[message.call] = true;
			missing--;
		}
	}
}

static void uploads_that_found_no_chunk_go_on_when_others_end(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head[UPLOADS];
	int client[UPLOADS];

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->service_ns, 1000);
	for (int i = 0; i < UPLOADS; i++) {
		client[i] = upload_client(rig);
		rig_send(client[i], POST);
		head[i] = rig_worker_accept(&worker);
		send_body(client[i]);
	}
	for (int i = 0; i < UPLOADS_FED; i++)
		rig_worker_ask(&worker, &head[i]);
	expect_data(&worker, head, 0, UPLOADS_FED);
	rig_expect_metric(rig, WEIR_METRIC_chunks_large, UPLOADS_FED * WEIR_GATEWAY_WINDOW);
	for (int i = UPLOADS_FED; i < UPLOADS; i++)
		rig_worker_ask(&worker, &head[i]); /* all that bodies may have is used up */
	for (int i = 0; i < UPLOADS_FED; i++) {
		rig_worker_answer(&worker, &head[i], 200, "done");
		expect_answer(client[i], "HTTP/1.1 200");
		close(client[i]);
	}
	expect_data(&worker, head, UPLOADS_FED, UPLOADS);
	for (int i = UPLOADS_FED; i < UPLOADS; i++) {
		rig_worker_answer(&worker, &head[i], 200, "done");
		expect_answer(client[i], "HTTP/1.1 200");
		close(client[i]);
	}
	rig_worker_kill(&worker);
}

/* Read until `count` chunked answers are whole. */
static void expect_chunked_answers(int client, int count)
{
	static const char end[] = "\r\n0\r\n\r\n";
	size_t matched = 0;
	char byte;

	while (count > 0) {
		assert_int_equal(rig_read(client, &byte, 1), 1);
		matched = byte == end[matched] ? matched + 1 : byte == end[0];
		if (end[matched] != '\0')
			continue;
		matched = 0;
		count--;
	}
}

/* Answers behind a slow one can't be sent yet: what they have to say must not take the chunks that
 * the slow one needs. */
static void answers_in_line_leave_chunks_to_those_at_the_front(void **state)
{
	enum { CALLS = PIPELINES * PIPELINED };
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head[CALLS];
	int client[PIPELINES], ended = 0;

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->service_ns, 1000);
	for (int i = 0; i < CALLS; i++) {
		if (i % PIPELINED == 0)
			client[i / PIPELINED] = rig_client(rig);
		rig_send(client[i / PIPELINED], GET);
		head[i] = rig_worker_accept(&worker);
	}
	for (int i = 0; i < CALLS; i++) {
		if (i % PIPELINED != 0)
			rig_worker_begin(&worker, &head[i], "part");
	}
	while (rig_worker_has(&worker, 500)) { /* chunks that they get are filled */
		const struct weir_message credit = rig_worker_pop(&worker);

		rig_worker_continue(&worker, &credit, WEIR_CHUNK_LARGE_BYTES, false);
	}
	for (int i = 0; i < CALLS; i += PIPELINED)
		rig_worker_begin(&worker, &head[i], "part");
	while (ended < CALLS) {
		bool is_done[WEIR_PAIR_CALLS] = {0};

		for (struct weir_message credit; ended < CALLS; is_done[credit.call] = true) {
			credit = rig_worker_pop(&worker);
			assert_int_equal(credit.kind, WEIR_MESSAGE_CREDIT);
			if (is_done[credit.call])
				continue; /* its second one */
			rig_worker_continue(&worker, &credit, 1, true);
			ended++;
		}
	}
	for (int i = 0; i < PIPELINES; i++) {
		expect_chunked_answers(client[i], PIPELINED);
		close(client[i]);
	}
	rig_worker_kill(&worker);
}

static void a_function_that_hangs_on_a_body_that_is_there_gets_504(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	int client;

	rig_worker_start(rig, &worker);
	client = upload_client(rig);
	rig_send(client, POST);
	send_body(client);
	head = rig_worker_accept(&worker);
	rig_worker_ask(&worker, &head); /* and does not return what it gets */
	expect_answer(client, "HTTP/1.1 504");
	close(client);
	rig_worker_kill(&worker);
}

static void a_client_that_holds_its_body_back_gets_408(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message head;
	int client;

	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, POST);
	rig_send(client, "a part");
	head = rig_worker_accept(&worker);
	rig_worker_ask(&worker, &head);
	expect_answer(client, "HTTP/1.1 408");
	close(client);
	rig_worker_kill(&worker);
}

static void read_some(int client, size_t bytes)
{
	char data[1024];

	assert_true(recv(client, data, bytes, MSG_DONTWAIT) > 0 || errno == EAGAIN);
}

/* Go on with endless answers; true once the call of `head` was cancelled. */
static bool serve(struct rig_worker *worker, const struct weir_message *head)
{
	bool cancelled = false;

	while (rig_worker_has(worker, SLOW_STEP_MS)) {
		const struct weir_message message = rig_worker_pop(worker);

		if (message.kind == WEIR_MESSAGE_CREDIT)
			rig_worker_continue(worker, &message, WEIR_CHUNK_LARGE_BYTES, false);
		else if (message.kind == WEIR_MESSAGE_CANCEL)
			cancelled |= message.call == head->call && message.sequence == head->sequence;
	}
	return cancelled;
}

static void a_reader_is_cut_below_a_minimum_only(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message steady_head, slow_head;
	int steady, slow;
	bool is_cut = false;

	rig_worker_start(rig, &worker);
	steady = rig_client_narrow(rig);
	rig_send(steady, GET);
	steady_head = rig_worker_accept(&worker);
	slow = rig_client_narrow(rig);
	rig_send(slow, GET);
	slow_head = rig_worker_accept(&worker);
	rig_worker_begin(&worker, &steady_head, "part");
	rig_worker_begin(&worker, &slow_head, "part");
	(void)serve(&worker, &slow_head); /* until every buffer on the way is full */
	/* Three periods, in which one reads four times the minimum and one a quarter of it. */
	for (int ms = 0; ms < 3 * SLOW_PERIOD_MS; ms += SLOW_STEP_MS) {
		is_cut |= serve(&worker, &slow_head);
		assert_int_equal(rig_metric(rig, WEIR_METRIC_connections), is_cut ? 1 : 2);
		read_some(steady, WEIR_GATEWAY_SEND_BYTES_MIN * 4 * SLOW_STEP_MS / 1000);
		if (!is_cut)
			read_some(slow, WEIR_GATEWAY_SEND_BYTES_MIN / 4 * SLOW_STEP_MS / 1000);
	}
	assert_true(is_cut);
	rig_expect_metric(rig, WEIR_METRIC_connections, 1); /* the steady one */
	rig_reset(slow);
	rig_reset(steady);
	rig_worker_kill(&worker);
}

#define ACCIDENT(function, options)                                                                    \
	cmocka_unit_test_prestate_setup_teardown(function, rig_setup, rig_teardown, options)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ACCIDENT(an_answer_may_come_with_the_wish_for_a_body_that_was_cut_short, &defaults),
		ACCIDENT(no_100_continue_comes_once_the_answer_began, &patient),
		ACCIDENT(a_client_that_sends_on_after_a_refused_body_is_let_go, &patient),
		ACCIDENT(uploads_that_found_no_chunk_go_on_when_others_end, &patient),
		ACCIDENT(answers_in_line_leave_chunks_to_those_at_the_front, &patient),
		ACCIDENT(a_function_that_hangs_on_a_body_that_is_there_gets_504, &defaults),
		ACCIDENT(a_client_that_holds_its_body_back_gets_408, &defaults),
		ACCIDENT(a_reader_is_cut_below_a_minimum_only, &readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
