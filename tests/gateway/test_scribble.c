/* A worker out of its mind: random messages, half of them nearly right, and random bytes all over
 * its segment, while clients wait. Whatever it does, the gateway lives, every client gets at most
 * one answer, nothing leaks, and a sane worker is served next. Prints its seed; WEIR_SEED repeats. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/gateway/rig.h"

enum { ROUNDS = 25, CLIENTS = 4, MESSAGES = 40 };

struct seen {
	struct weir_message head[64];
	size_t count;
};

static uint32_t below(uint32_t bound)
{
	return (uint32_t)rand() % bound;
}

/* A chunk that the worker holds, or held, or never did. */
static uint32_t some_chunk(const struct seen *seen)
{
	switch (below(5)) {
	case 0:
		return WEIR_CHUNK_NONE;
	case 1:
		return below(1000);
	case 2:
		return seen->count ? seen->head[below((uint32_t)seen->count)].chunk : 3;
	default:
		return seen->count ? seen->head[below((uint32_t)seen->count)].grant : 0;
	}
}

static void drain(struct rig_worker *worker, struct seen *seen)
{
	struct weir_message message;

	while (weir_ring_pop(&worker->rx, &message) == 1) {
		weir_ring_release(&worker->rx);
		if (seen->count < 64)
			seen->head[seen->count++] = message;
	}
}

static void scribble(struct rig_worker *worker)
{
	uint8_t *pair = (uint8_t *)worker->segment.pair;
	const size_t at = (size_t)rand() * 64 % (sizeof(struct weir_link_pair) - 256);

	for (size_t i = 0; i < 1 + below(64); i++)
		pair[at + i] = (uint8_t)rand();
}

static struct weir_message some_message(struct rig_worker *worker, const struct seen *seen)
{
	struct weir_message message = {.kind = (uint8_t)(below(20) == 0 ? rand() : 1 + (int)below(7)),
				       .flags = (uint8_t)below(3),
				       .call = (uint16_t)below(300),
				       .sequence = below(8),
				       .chunk = some_chunk(seen),
				       .grant = below(4) == 0 ? below(700) : WEIR_CHUNK_NONE,
				       .code = below(9)};
	size_t room = 0;

	if (seen->count > 0 && below(8) != 0) {
		const struct weir_message *head = &seen->head[below((uint32_t)seen->count)];

		message.call = head->call;
		message.sequence = head->sequence;
	}
	if (below(4) != 0 && weir_segment_chunk(worker->segment.pair, message.chunk, &room) && room > 100)
		rig_worker_write(worker, &message, message.chunk, (uint16_t)(below(9) ? 200 : below(900)),
				 "abcdefgh", below(9));
	else
		message.bytes = below(3) == 0 ? (uint32_t)rand() : below(70000);
	if (message.kind != WEIR_MESSAGE_HEAD && below(4) != 0)
		message.head_bytes = 0;
	return message;
}

/* Everything that comes until the connection ends or nothing more does. */
static void check_answers(int client)
{
	static char data[1 << 20];
	const struct timeval limit = {.tv_usec = 900000};
	size_t at = 0, answers = 0;

	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	at = rig_read(client, data, sizeof(data) - 1);
	data[at] = '\0';
	for (const char *p = data; (p = strstr(p, "HTTP/1.1 ")) != NULL; p++)
		answers++;
	assert_true(answers <= 1);
	close(client);
}

static void the_gateway_survives_a_mad_worker(void **state)
{
	static struct rig rig;
	struct rig_worker worker;
	struct weir_message head;
	char answer[1024];
	const char *given = getenv("WEIR_SEED");
	unsigned seed;
	int client;

	(void)state;
	assert_int_equal(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	if (given)
		seed = (unsigned)strtoul(given, NULL, 10);
	print_message("seed %u\n", seed);
	srand(seed);
	rig_start(&rig);
	for (int round = 0; round < ROUNDS; round++) {
		int clients[CLIENTS];
		struct seen seen = {.count = 0};

		rig_worker_start(&rig, &worker);
		for (int i = 0; i < CLIENTS; i++) {
			clients[i] = rig_client(&rig);
			rig_send(clients[i], i % 2 ? "GET /f HTTP/1.1\r\nHost: t\r\n\r\n"
						   : "POST /f HTTP/1.1\r\nHost: t\r\n"
						     "Content-Length: 100000\r\n\r\nsome");
		}
		(void)rig_worker_has(&worker, 100);
		for (int i = 0; i < MESSAGES; i++) {
			struct weir_message message;

			drain(&worker, &seen);
			if (below(3) == 0)
				scribble(&worker);
			message = some_message(&worker, &seen);
			if (weir_ring_push(&worker.tx, &message, 0))
				(void)weir_ring_publish(&worker.tx);
			(void)!write(worker.event_fd, &(uint64_t){1}, sizeof(uint64_t));
			if (below(4) == 0)
				usleep(200);
		}
		rig_worker_kill(&worker);
		for (int i = 0; i < CLIENTS; i++) {
			assert_int_equal(shutdown(clients[i], SHUT_WR), 0);
			check_answers(clients[i]);
		}
	}
	rig_worker_start(&rig, &worker);
	client = rig_client(&rig);
	rig_send(client, "GET /f HTTP/1.1\r\nHost: t\r\n\r\n");
	head = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &head, 200, "sane");
	rig_read_answer(client, answer, sizeof(answer));
	assert_string_equal(answer + strlen(answer) - 4, "sane");
	close(client);
	rig_worker_kill(&worker);
	rig_expect_metric(&rig, WEIR_METRIC_calls_in_flight, 0);
	rig_expect_metric(&rig, WEIR_METRIC_chunks_small, 0);
	rig_expect_metric(&rig, WEIR_METRIC_chunks_large, 0);
	rig_expect_metric(&rig, WEIR_METRIC_connections, 0);
	rig_expect_metric(&rig, WEIR_METRIC_buffers_used, 0);
	rig_expect_metric(&rig, WEIR_METRIC_links, 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_gateway_survives_a_mad_worker)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
