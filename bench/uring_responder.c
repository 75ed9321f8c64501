/* uring_responder: the ceiling. What a server on this kernel can do at most when it does nothing:
 * no parsing beyond the blank line that ends a request, no routing, one canned answer.
 *
 *   accept (multishot) -> receive (multishot, provided buffers) -> count blank lines
 *                      -> one send with as many answers as requests arrived in this turn
 *
 * A connection owes bytes of an endless repetition of the answer, so a send may end anywhere:
 *   | answer | answer | answer | ...      phase: where in the answer the next byte stands
 *
 * One thread, one io_uring_enter a turn. Requests must have no body. Ends on a signal.
 * Where a client dies, its connection is closed and its place, which is its descriptor, reused. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/uring.h"

#define RING_ENTRIES     4096
#define BUFFERS          1024
#define BUFFER_BYTES     4096
#define CONNECTIONS_MAX  32768 /* also the highest descriptor */
#define CANNED_ANSWERS   256   /* answers in one send at most */
#define ANSWER_BYTES_MAX 65536
#define LISTEN_BACKLOG   4096

enum operation { OPERATION_ACCEPT, OPERATION_RECEIVE, OPERATION_SEND };

struct connection {
	uint64_t owed_bytes; /* answers due and not yet given to the kernel */
	uint32_t phase;      /* offset in the answer of the next byte to send */
	uint8_t matched;     /* bytes of a blank line that ended the last receive */
	bool sending;
	bool ended; /* receives are over; close when nothing is being sent */
	bool send_due;
};

struct responder {
	struct io_uring ring;
	struct weir_bench_buffers buffers;
	int listen_fd;
	char *canned; /* CANNED_ANSWERS answers */
	uint32_t answer_bytes;
	uint32_t due_count;  /* connections in `due` */
	uint32_t sends_last; /* queued in this turn, leaving nothing owed */
	int due[CONNECTIONS_MAX];
	struct connection connection[CONNECTIONS_MAX];
};

static struct responder responder;

static uint64_t user_data_of(enum operation operation, int fd)
{
	return (uint64_t)operation << 32 | (uint32_t)fd;
}

/* How many blank lines end within `data`, remembering a partial one for the next call. */
static uint32_t blank_lines_count(struct connection *connection, const char *data, size_t bytes)
{
	static const char blank_line[] = "\r\n\r\n";
	const char *end = data + bytes;
	uint32_t found = 0;

	while (data < end) {
		if (connection->matched == 0 && end - data >= 4) {
			const char *hit = memmem(data, (size_t)(end - data), blank_line, 4);

			found += hit != NULL;
			data = hit != NULL ? hit + 4 : end - 3;
			continue;
		}
		if (*data == blank_line[connection->matched])
			connection->matched++;
		else
			connection->matched = *data == '\r';
		data++;
		if (connection->matched == 4) {
			connection->matched = 0;
			found++;
		}
	}
	return found;
}

static void accept_arm(void)
{
	struct io_uring_sqe *sqe = weir_bench_sqe(&responder.ring);

	io_uring_prep_multishot_accept(sqe, responder.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = user_data_of(OPERATION_ACCEPT, 0);
}

static void send_arm(int fd)
{
	struct connection *connection = &responder.connection[fd];
	const uint64_t canned_bytes = (uint64_t)CANNED_ANSWERS * responder.answer_bytes;
	uint64_t bytes = canned_bytes - connection->phase;

	if (bytes > connection->owed_bytes)
		bytes = connection->owed_bytes;
	struct io_uring_sqe *sqe = weir_bench_sqe(&responder.ring);

	io_uring_prep_send(sqe, fd, responder.canned + connection->phase, bytes,
			   MSG_NOSIGNAL | MSG_WAITALL);
	sqe->user_data = user_data_of(OPERATION_SEND, fd);
	connection->sending = true;
	responder.sends_last += bytes == connection->owed_bytes;
}

static void connection_close_if_idle(int fd)
{
	const struct connection *connection = &responder.connection[fd];

	if (connection->ended && !connection->sending)
		(void)close(fd); /* nothing can be done about a socket that fails to close */
}

static void send_request(int fd)
{
	struct connection *connection = &responder.connection[fd];

	if (connection->send_due || connection->sending || connection->owed_bytes == 0)
		return;
	connection->send_due = true;
	responder.due[responder.due_count++] = fd;
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	if (cqe->res >= CONNECTIONS_MAX) {
		(void)close(cqe->res); /* as above */
	} else if (cqe->res >= 0) {
		responder.connection[cqe->res] = (struct connection){0};
		weir_bench_receive_arm(&responder.ring, cqe->res,
				       user_data_of(OPERATION_RECEIVE, cqe->res));
	} else if (cqe->res != -ECONNABORTED) {
		fprintf(stderr, "cannot accept: %s; allow more descriptors (ulimit -n)\n",
			strerror(-cqe->res));
		exit(1);
	}
	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		accept_arm();
}

static void on_receive(const struct io_uring_cqe *cqe)
{
	const int fd = (int)(uint32_t)cqe->user_data;
	struct connection *connection = &responder.connection[fd];

	if (cqe->res > 0) {
		const uint32_t requests = blank_lines_count(
			connection, weir_bench_buffer_data(&responder.buffers, cqe),
			(size_t)cqe->res);

		weir_bench_buffer_return(&responder.buffers, cqe);
		connection->owed_bytes += (uint64_t)requests * responder.answer_bytes;
		send_request(fd);
	}
	if ((cqe->flags & IORING_CQE_F_MORE) != 0)
		return;
	if (cqe->res > 0 || cqe->res == -ENOBUFS) {
		weir_bench_receive_arm(&responder.ring, fd,
				       user_data_of(OPERATION_RECEIVE, fd));
		return;
	}
	connection->ended = true;
	connection->owed_bytes = 0;
	connection_close_if_idle(fd);
}

static void on_send(const struct io_uring_cqe *cqe)
{
	const int fd = (int)(uint32_t)cqe->user_data;
	struct connection *connection = &responder.connection[fd];

	connection->sending = false;
	if (cqe->res < 0) {
		connection->owed_bytes =
			0; /* the receive reports the same failure and ends it */
	} else if (!connection->ended) {
		connection->owed_bytes -= (uint32_t)cqe->res;
		connection->phase =
			(connection->phase + (uint32_t)cqe->res) % responder.answer_bytes;
		send_request(fd);
	}
	connection_close_if_idle(fd);
}

static void turn(void)
{
	struct io_uring_cqe *cqe;
	uint32_t head;
	uint32_t completions = 0;

	io_uring_for_each_cqe(&responder.ring, head, cqe)
	{
		switch ((enum operation)(cqe->user_data >> 32)) {
		case OPERATION_ACCEPT:
			on_accept(cqe);
			break;
		case OPERATION_RECEIVE:
			on_receive(cqe);
			break;
		case OPERATION_SEND:
			on_send(cqe);
			break;
		}
		completions++;
	}
	weir_bench_buffers_commit(&responder.buffers);
	io_uring_cq_advance(&responder.ring, completions);
	responder.sends_last = 0;
	for (uint32_t i = 0; i < responder.due_count; i++) {
		struct connection *connection = &responder.connection[responder.due[i]];

		connection->send_due = false;
		if (!connection->ended)
			send_arm(responder.due[i]);
	}
	responder.due_count = 0;
}

/* Build the answer, with a filling header where `answer_bytes` asks for more than it needs. */
static int answer_build(const char *body, uint32_t answer_bytes)
{
	static const char filler_name[] = "x-fill: ";
	char text[ANSWER_BYTES_MAX + 1];
	int head = snprintf(
		text, sizeof(text),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		strlen(body));
	const size_t bytes_min = (size_t)head + 2 + strlen(body);
	const size_t filler_min = sizeof(filler_name) - 1 + 2;

	if (answer_bytes == 0)
		answer_bytes = (uint32_t)bytes_min;
	if (answer_bytes > ANSWER_BYTES_MAX ||
	    (answer_bytes != bytes_min && answer_bytes < bytes_min + filler_min)) {
		fprintf(stderr, "--answer-bytes must be 0, %zu, or %zu to %d for this body\n",
			bytes_min, bytes_min + filler_min, ANSWER_BYTES_MAX);
		return -EINVAL;
	}
	if (answer_bytes > bytes_min) {
		const size_t fill = answer_bytes - bytes_min - filler_min;

		memcpy(text + head, filler_name, sizeof(filler_name) - 1);
		head += (int)sizeof(filler_name) - 1;
		memset(text + head, '-', fill);
		memcpy(text + head + fill, "\r\n", 2);
		head += (int)fill + 2;
	}
	memcpy(text + head, "\r\n", 2);
	memcpy(text + head + 2, body, strlen(body));
	responder.answer_bytes = answer_bytes;
	responder.canned = malloc((size_t)CANNED_ANSWERS * answer_bytes);
	if (responder.canned == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < CANNED_ANSWERS; i++)
		memcpy(responder.canned + i * answer_bytes, text, answer_bytes);
	return 0;
}

static int listen_open(uint16_t port)
{
	const int on = 1;
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	responder.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (responder.listen_fd < 0 ||
	    setsockopt(responder.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(responder.listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    bind(responder.listen_fd, (const struct sockaddr *)&address, sizeof(address)) !=
		    0 ||
	    listen(responder.listen_fd, LISTEN_BACKLOG) != 0)
		return -errno;
	return 0;
}

static int run(uint16_t port)
{
	int status = listen_open(port);

	if (status != 0) {
		fprintf(stderr, "cannot listen on 127.0.0.1:%u: %s; choose another --port\n",
			port, strerror(-status));
		return 1;
	}
	status = weir_bench_ring_open(RING_ENTRIES, false, &responder.ring);
	if (status == 0)
		status = weir_bench_buffers_open(&responder.ring, BUFFERS, BUFFER_BYTES,
						 &responder.buffers);
	if (status != 0) {
		fprintf(stderr, "cannot use io_uring: %s; Linux 6.1 or newer is needed\n",
			strerror(-status));
		return 1;
	}
	accept_arm();
	for (;;) {
		/* A send that leaves nothing owed completes at once and is no reason to come back. One
		 * that has to wait for its client makes this turn wait for one event more. */
		status = io_uring_submit_and_wait(&responder.ring, 1 + responder.sends_last);
		if (status < 0 && status != -EINTR) {
			fprintf(stderr, "io_uring_enter: %s\n", strerror(-status));
			return 1;
		}
		turn();
	}
}

static int usage(void)
{
	fputs("usage: weir-bench-responder --port PORT [--body TEXT] [--answer-bytes N]\n"
	      "Answers every request on 127.0.0.1:PORT with 200 and TEXT; a filling header "
	      "makes\n"
	      "the whole answer N bytes long. Runs until a signal ends it.\n",
	      stderr);
	return 2;
}

int main(int argument_count, char **arguments)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"body", required_argument, NULL, 'b'},
		{"answer-bytes", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	const char *body = "{\"result\":\"hello\"}";
	unsigned long port = 0;
	unsigned long answer_bytes = 0;

	for (;;) {
		const int option = getopt_long(argument_count, arguments, "", options, NULL);

		if (option == -1)
			break;
		if (option == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (option == 'b')
			body = optarg;
		else if (option == 'n')
			answer_bytes = strtoul(optarg, NULL, 10);
		else
			return usage();
	}
	if (port == 0 || port > UINT16_MAX || optind != argument_count ||
	    strlen(body) > ANSWER_BYTES_MAX / 2 || answer_bytes > ANSWER_BYTES_MAX)
		return usage();
	if (answer_build(body, (uint32_t)answer_bytes) != 0)
		return 1;
	return run((uint16_t)port);
}
