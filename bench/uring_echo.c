/* uring_echo: the server behind nginx in the echo scenarios: HTTP/1.1 on a Unix socket, every body
 * comes back. What it costs is added to nginx, as a worker's cost is to Weir, so it does as little as
 * it can: one receive for a head and what came with it, one for the rest of the body, one send.
 *
 *   data  | head ... blank line | body (Content-Length) |      grows to the largest request seen
 *           ^ receive -> know the length -> receive the rest -> send head of the answer + body
 *
 * It answers when the whole body has come, not earlier: nginx gives up the rest of a buffered
 * request as soon as it sees an answer's head. One request at a time on a connection, as nginx
 * sends them. One thread, one io_uring. Ends on a signal.
 * Where a client dies, its connection is closed and its place, which is its descriptor, reused. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/uring.h"

#define RING_ENTRIES    1024
#define CONNECTIONS_MAX 1024 /* also the highest descriptor */
#define HEAD_BYTES_MAX  16384
#define BODY_BYTES_MAX  (64u << 20)
#define LISTEN_BACKLOG  1024

enum operation { OPERATION_ACCEPT, OPERATION_RECEIVE, OPERATION_SEND };

struct connection {
	char *data;
	size_t room;
	size_t used;
	size_t head_bytes; /* of the request; 0 until its blank line has come */
	size_t body_bytes;
	char answer_head[128];
	struct iovec part[2];
	struct msghdr message;
};

static struct io_uring ring;
static int listen_fd;
static struct connection connections[CONNECTIONS_MAX];

static uint64_t user_data_of(enum operation operation, int fd)
{
	return (uint64_t)operation << 32 | (uint32_t)fd;
}

static void accept_arm(void)
{
	struct io_uring_sqe *sqe = weir_bench_sqe(&ring);

	io_uring_prep_multishot_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = user_data_of(OPERATION_ACCEPT, 0);
}

/* Make room for `bytes` in all; false where there is no memory. */
static bool room_make(struct connection *connection, size_t bytes)
{
	if (bytes <= connection->room)
		return true;
	char *grown = realloc(connection->data, bytes);

	if (grown == NULL)
		return false;
	connection->data = grown;
	connection->room = bytes;
	return true;
}

/* Receive the rest of the body, or, before the head is known, whatever comes. */
static void receive_arm(int fd)
{
	struct connection *connection = &connections[fd];
	const size_t total = connection->head_bytes + connection->body_bytes;
	const size_t bytes =
		(connection->head_bytes > 0 ? total : HEAD_BYTES_MAX) - connection->used;
	struct io_uring_sqe *sqe = weir_bench_sqe(&ring);

	io_uring_prep_recv(sqe, fd, connection->data + connection->used, bytes,
			   connection->head_bytes > 0 ? MSG_WAITALL : 0);
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->user_data = user_data_of(OPERATION_RECEIVE, fd);
}

/* Close it; its memory serves the next connection with this descriptor. */
static void connection_close(int fd)
{
	(void)close(fd); /* nothing can be done about a socket that fails to close */
}

static void request_start(int fd)
{
	struct connection *connection = &connections[fd];

	connection->used = 0;
	connection->head_bytes = 0;
	connection->body_bytes = 0;
	if (room_make(connection, HEAD_BYTES_MAX))
		receive_arm(fd);
	else
		connection_close(fd);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	if (cqe->res >= CONNECTIONS_MAX) {
		connection_close(cqe->res);
	} else if (cqe->res >= 0) {
		request_start(cqe->res);
	} else if (cqe->res != -ECONNABORTED) {
		fprintf(stderr, "cannot accept: %s; allow more descriptors (ulimit -n)\n",
			strerror(-cqe->res));
		exit(1);
	}
	if ((cqe->flags & IORING_CQE_F_MORE) == 0)
		accept_arm();
}

/* The value of Content-Length among the lines of a head, 0 where there is none; false where it is
 * too large. */
static bool length_find(const char *head, const char *end, size_t *out_length)
{
	static const char name[] = "\r\ncontent-length:";

	*out_length = 0;
	for (const char *at = head; end - at > (ptrdiff_t)sizeof(name); at++) {
		at = memchr(at, '\r', (size_t)(end - at));
		if (at == NULL || end - at < (ptrdiff_t)sizeof(name))
			break;
		if (strncasecmp(at, name, sizeof(name) - 1) == 0) {
			/* The blank line ends the number. */
			*out_length = strtoul(at + sizeof(name) - 1, NULL, 10);
			return *out_length <= BODY_BYTES_MAX;
		}
	}
	return true;
}

/* Look for the end of the head; false where the request cannot be followed. */
static bool head_take(struct connection *connection)
{
	const char *blank = memmem(connection->data, connection->used, "\r\n\r\n", 4);

	if (blank == NULL)
		return connection->used < HEAD_BYTES_MAX;
	connection->head_bytes = (size_t)(blank - connection->data) + 4;
	return length_find(connection->data, blank + 2, &connection->body_bytes) &&
	       connection->used <= connection->head_bytes + connection->body_bytes &&
	       room_make(connection, connection->head_bytes + connection->body_bytes);
}

static void answer_send(int fd)
{
	struct connection *connection = &connections[fd];
	const int bytes = snprintf(connection->answer_head, sizeof(connection->answer_head),
				   "HTTP/1.1 200 OK\r\nContent-Type: "
				   "application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
				   connection->body_bytes);
	struct io_uring_sqe *sqe = weir_bench_sqe(&ring);

	connection->part[0] = (struct iovec){connection->answer_head, (size_t)bytes};
	connection->part[1] = (struct iovec){connection->data + connection->head_bytes,
					     connection->body_bytes};
	connection->message = (struct msghdr){.msg_iov = connection->part, .msg_iovlen = 2};
	io_uring_prep_sendmsg(sqe, fd, &connection->message, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->user_data = user_data_of(OPERATION_SEND, fd);
}

static void on_receive(int fd, int received)
{
	struct connection *connection = &connections[fd];

	if (received <= 0) {
		connection_close(fd);
		return;
	}
	connection->used += (size_t)received;
	if (connection->head_bytes == 0 && !head_take(connection)) {
		fputs("a request is too large, or more than one at a time\n", stderr);
		connection_close(fd);
		return;
	}
	if (connection->head_bytes > 0 &&
	    connection->used == connection->head_bytes + connection->body_bytes)
		answer_send(fd);
	else
		receive_arm(fd);
}

static void on_send(int fd, int sent)
{
	const struct connection *connection = &connections[fd];

	if (sent >= 0 &&
	    (size_t)sent == connection->part[0].iov_len + connection->part[1].iov_len)
		request_start(fd);
	else
		connection_close(fd);
}

static void turn(void)
{
	struct io_uring_cqe *cqe;
	uint32_t head;
	uint32_t completions = 0;

	io_uring_for_each_cqe(&ring, head, cqe)
	{
		const int fd = (int)(uint32_t)cqe->user_data;

		completions++;
		switch ((enum operation)(cqe->user_data >> 32)) {
		case OPERATION_ACCEPT:
			on_accept(cqe);
			break;
		case OPERATION_RECEIVE:
			on_receive(fd, cqe->res);
			break;
		case OPERATION_SEND:
			on_send(fd, cqe->res);
			break;
		}
	}
	io_uring_cq_advance(&ring, completions);
}

static int listen_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 ||
	    bind(listen_fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listen_fd, LISTEN_BACKLOG) != 0)
		return -errno;
	return 0;
}

static int run(const char *path)
{
	int status = listen_open(path);

	if (status != 0) {
		fprintf(stderr, "cannot listen on %s: %s; choose another --unix\n", path,
			strerror(-status));
		return 1;
	}
	status = weir_bench_ring_open(RING_ENTRIES, false, &ring);
	if (status != 0) {
		fprintf(stderr, "cannot use io_uring: %s; Linux 6.1 or newer is needed\n",
			strerror(-status));
		return 1;
	}
	accept_arm();
	for (;;) {
		status = io_uring_submit_and_wait(&ring, 1);
		if (status < 0 && status != -EINTR) {
			fprintf(stderr, "io_uring_enter: %s\n", strerror(-status));
			return 1;
		}
		turn();
	}
}

int main(int argument_count, char **arguments)
{
	static const struct option options[] = {
		{"unix", required_argument, NULL, 'u'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	int option;

	while ((option = getopt_long(argument_count, arguments, "", options, NULL)) == 'u')
		path = optarg;
	if (option != -1 || path == NULL || optind != argument_count) {
		fputs("usage: weir-bench-echo --unix PATH\n"
		      "Answers every HTTP request on the Unix socket PATH with its own body. "
		      "Runs "
		      "until a\nsignal ends it.\n",
		      stderr);
		return 2;
	}
	return run(path);
}
