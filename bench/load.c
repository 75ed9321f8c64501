/* load: a closed-loop HTTP/1.1 load generator that costs the machine less than the server it
 * measures: one thread, one io_uring_enter a turn, answers checked but not parsed twice.
 *
 *   each connection: [send `pipeline` requests at once] -> all answers arrived -> again
 *   each turn: take all that arrived -> read the clock -> send for all connections that are done
 *
 * An answer's latency runs from the moment its batch is handed to the kernel to the moment its last
 * byte is taken from the completion queue. Every answer must be a 200 of the length of the first.
 * With --paths N the "%u" in the path is one of 0 .. N-1, in an order that no cache can guess from
 * the table that a server made of them: each batch begins PATH_STEP after the one before.
 * A connection that ends is counted as an error and opened again; so is one whose bytes cannot be
 * followed. Prints one JSON object. Exit: 0, 1 errors or no connection, 2 usage. */
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

#include "dataplane/base/clock.h"

#include "bench/histogram.h"
#include "bench/load_answer.h"
#include "bench/uring.h"

#define RING_ENTRIES      4096
#define BUFFERS           256
#define BUFFER_BYTES      8192
#define CONNECTIONS_MAX   16384
#define PIPELINE_MAX      1024
#define REQUEST_BYTES_MAX 4096
#define PATHS_MAX         131072
#define PATH_STEP         1000003 /* a prime over PATHS_MAX: every path is visited, whatever N is */
#define RECONNECTS_MAX    1000 /* then the server is broken and the run ends */
#define SECONDS_MAX       86400.0

enum operation { OPERATION_RECEIVE, OPERATION_SEND, OPERATION_TIMER };

struct options {
	const char *path;
	uint16_t port;
	uint32_t connections;
	uint32_t pipeline;
	uint32_t paths;
	double seconds;
	double warmup_seconds;
	bool mark;
};

struct connection {
	uint64_t sent_ns;
	int fd;
	bool broken; /* shut down; what still arrives is dropped */
	bool due;    /* stands in load.due */
	struct weir_load_answer answer;
};

struct load {
	struct io_uring ring;
	struct weir_bench_buffers buffers;
	struct options options;
	char *request; /* one for each path, then `pipeline` of them again: batches do not wrap */
	uint32_t *request_at; /* where each begins, and where the last ends */
	uint32_t path_next;
	struct weir_load_shape shape;
	struct weir_load_counts counts; /* since the first request */
	struct weir_load_counts warm;   /* `counts` when the measurement began */
	uint64_t closed;                /* connections that ended under us */
	uint64_t started_ns;            /* of the measurement */
	uint64_t ended_ns;
	struct __kernel_timespec timer;
	bool measuring;
	bool ended;
	uint32_t due_count;
	uint32_t due[CONNECTIONS_MAX];
	struct connection connection[CONNECTIONS_MAX];
	struct weir_histogram latency_ns;
};

static struct load load;

static uint64_t user_data_of(enum operation operation, uint32_t index)
{
	return (uint64_t)operation << 32 | index;
}

/* Send for this connection at the end of the turn; once, however often it is asked for. */
static void due_add(uint32_t index)
{
	if (load.connection[index].due)
		return;
	load.connection[index].due = true;
	load.due[load.due_count++] = index;
}

static int connection_open(uint32_t index)
{
	const int on = 1;
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(load.options.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct connection *connection = &load.connection[index];

	weir_load_answer_reset(&connection->answer);
	connection->broken = false;
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -errno;
	weir_bench_receive_arm(&load.ring, connection->fd,
			       user_data_of(OPERATION_RECEIVE, index));
	due_add(index);
	return 0;
}

/* The request for path number `path`; its bytes, or -E2BIG. */
static int request_write(uint32_t path, char out[REQUEST_BYTES_MAX])
{
	const char *text = load.options.path;
	const char *mark = load.options.paths > 1 ? strstr(text, "%u") : NULL;
	int bytes;

	if (mark == NULL)
		bytes = snprintf(out, REQUEST_BYTES_MAX,
				 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", text,
				 load.options.port);
	else
		bytes = snprintf(out, REQUEST_BYTES_MAX,
				 "GET %.*s%u%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n",
				 (int)(mark - text), text, path, mark + 2, load.options.port);
	return bytes < 0 || bytes >= REQUEST_BYTES_MAX ? -E2BIG : bytes;
}

/* Build all requests once; every connection sends the same bytes. */
static int request_build(void)
{
	const uint32_t count = load.options.paths + load.options.pipeline;
	char one[REQUEST_BYTES_MAX];
	uint32_t used = 0;
	uint32_t room = 0;

	load.request_at = calloc(count + 1, sizeof(*load.request_at));
	if (load.request_at == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const int bytes = request_write(i % load.options.paths, one);

		if (bytes < 0)
			return bytes;
		if (used + (uint32_t)bytes > room) {
			room = 2 * room + REQUEST_BYTES_MAX;
			char *grown = realloc(load.request, room);

			if (grown == NULL)
				return -ENOMEM;
			load.request = grown;
		}
		memcpy(load.request + used, one, (size_t)bytes);
		used += (uint32_t)bytes;
		load.request_at[i + 1] = used;
	}
	return 0;
}

static void timer_arm(double seconds)
{
	const uint64_t ns = (uint64_t)(seconds * (double)WEIR_NS_PER_SECOND);

	load.timer.tv_sec = (int64_t)(ns / WEIR_NS_PER_SECOND);
	load.timer.tv_nsec = (int64_t)(ns % WEIR_NS_PER_SECOND);
	struct io_uring_sqe *sqe = weir_bench_sqe(&load.ring);

	io_uring_prep_timeout(sqe, &load.timer, 0, 0);
	sqe->user_data = user_data_of(OPERATION_TIMER, 0);
}

static void on_timer(uint64_t now_ns)
{
	if (load.measuring) {
		load.ended = true;
		load.ended_ns = now_ns;
		return;
	}
	load.measuring = true;
	load.started_ns = now_ns;
	load.warm = load.counts;
	if (load.options.mark)
		fputs("measuring\n", stderr);
	timer_arm(load.options.seconds);
}

static void on_bytes(uint32_t index, const char *data, size_t bytes, uint64_t now_ns)
{
	struct connection *connection = &load.connection[index];
	const int completed = weir_load_answer_take(&connection->answer, &load.shape, data,
						    bytes, &load.counts);

	if (completed < 0) {
		/* The receive then ends, which opens the connection again. */
		connection->broken = true;
		(void)shutdown(connection->fd,
			       SHUT_RDWR); /* fails only where the peer has left too */
		return;
	}
	if (load.measuring && completed > 0)
		weir_histogram_add(&load.latency_ns, now_ns - connection->sent_ns,
				   (uint64_t)completed);
	if (completed > 0 && connection->answer.expected == 0)
		due_add(index);
}

/* The connection is over: count it and open it again. 0 or -errno of the new connection. */
static int on_end(uint32_t index)
{
	struct connection *connection = &load.connection[index];

	load.closed++;
	(void)close(
		connection->fd); /* nothing can be done about a socket that fails to close */
	connection->fd = -1;
	if (load.closed > RECONNECTS_MAX)
		return -ECONNRESET;
	return connection_open(index);
}

static int on_receive(const struct io_uring_cqe *cqe, uint64_t now_ns)
{
	const uint32_t index = (uint32_t)cqe->user_data;
	const struct connection *connection = &load.connection[index];

	if (cqe->res > 0) {
		if (!connection->broken)
			on_bytes(index, weir_bench_buffer_data(&load.buffers, cqe),
				 (size_t)cqe->res, now_ns);
		weir_bench_buffer_return(&load.buffers, cqe);
	}
	if ((cqe->flags & IORING_CQE_F_MORE) != 0)
		return 0;
	if (cqe->res <= 0 && cqe->res != -ENOBUFS)
		return on_end(index);
	weir_bench_receive_arm(&load.ring, connection->fd, cqe->user_data);
	return 0;
}

static void batch_send(uint32_t index, uint64_t now_ns)
{
	struct connection *connection = &load.connection[index];
	struct io_uring_sqe *sqe = weir_bench_sqe(&load.ring);

	const uint32_t first = load.request_at[load.path_next];
	const uint32_t end = load.request_at[load.path_next + load.options.pipeline];

	/* A send that fails is not looked at: the receive ends for the same reason. */
	io_uring_prep_send(sqe, connection->fd, load.request + first, end - first,
			   MSG_NOSIGNAL | MSG_WAITALL);
	load.path_next = (load.path_next + PATH_STEP) % load.options.paths;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = user_data_of(OPERATION_SEND, index);
	connection->answer.expected = load.options.pipeline;
	connection->sent_ns = now_ns;
	connection->due = false;
}

/* The clock is read here, after all of the turn's work, so that an answer's latency does not
 * contain the time that this program needs for the others. */
static void due_send(void)
{
	const uint64_t now_ns = weir_clock_now_ns();

	for (uint32_t i = 0; i < load.due_count; i++)
		batch_send(load.due[i], now_ns);
	load.due_count = 0;
}

static int turn(void)
{
	struct io_uring_cqe *cqe;
	uint32_t head;
	uint32_t completions = 0;
	int status = 0;
	const uint64_t now_ns = weir_clock_now_ns();

	io_uring_for_each_cqe(&load.ring, head, cqe)
	{
		completions++;
		if (cqe->user_data >> 32 == OPERATION_TIMER)
			on_timer(now_ns);
		else if (cqe->user_data >> 32 == OPERATION_RECEIVE && status == 0)
			status = on_receive(cqe, now_ns);
	}
	weir_bench_buffers_commit(&load.buffers);
	io_uring_cq_advance(&load.ring, completions);
	due_send();
	return status;
}

static uint32_t connections_silent(void)
{
	uint32_t silent = 0;

	for (uint32_t i = 0; i < load.options.connections; i++)
		silent += load.connection[i].sent_ns <= load.started_ns;
	return silent;
}

static double quantile_us(uint32_t part_per_million)
{
	return (double)weir_histogram_quantile(&load.latency_ns, part_per_million) /
	       (double)WEIR_NS_PER_US;
}

/* Print the result; returns the number of errors. */
static uint64_t report(void)
{
	const struct weir_load_counts *counts = &load.counts;
	const uint64_t errors =
		counts->status + counts->length + counts->malformed + load.closed;
	const uint64_t requests = counts->answers - load.warm.answers;
	const double seconds =
		(double)(load.ended_ns - load.started_ns) / (double)WEIR_NS_PER_SECOND;

	printf("{\"connections\":%u,\"pipeline\":%u,\"seconds\":%.6f,\"requests\":%lu,"
	       "\"requests_total\":%lu,\"rate\":%.1f,\n",
	       load.options.connections, load.options.pipeline, seconds, requests,
	       counts->answers, (double)requests / seconds);
	printf(" \"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%."
	       "1f,\n",
	       quantile_us(500000), quantile_us(900000), quantile_us(990000),
	       quantile_us(999000), (double)load.latency_ns.max / (double)WEIR_NS_PER_US);
	printf(" \"head_bytes\":%u,\"body_bytes\":%lu,\"connections_silent\":%u,\n",
	       load.shape.head_bytes, load.shape.body_bytes, connections_silent());
	printf(" \"errors\":%lu,\"errors_status\":%lu,\"errors_length\":%lu,\"errors_"
	       "malformed\":%lu,"
	       "\"errors_closed\":%lu}\n",
	       errors, counts->status, counts->length, counts->malformed, load.closed);
	return errors;
}

static int run(void)
{
	int status = weir_bench_ring_open(RING_ENTRIES, &load.ring);

	if (status == 0)
		status = weir_bench_buffers_open(&load.ring, BUFFERS, BUFFER_BYTES,
						 &load.buffers);
	if (status != 0) {
		fprintf(stderr, "cannot use io_uring: %s; Linux 6.1 or newer is needed\n",
			strerror(-status));
		return 1;
	}
	for (uint32_t i = 0; i < load.options.connections && status == 0; i++) {
		status = weir_load_answer_open(&load.connection[i].answer);
		if (status == 0)
			status = connection_open(i);
	}
	timer_arm(load.options.warmup_seconds);
	due_send();
	while (status == 0 && !load.ended) {
		const int entered = io_uring_submit_and_wait(&load.ring, 1);

		status = entered < 0 && entered != -EINTR ? entered : turn();
	}
	if (status != 0) {
		fprintf(stderr, "127.0.0.1:%u: %s; is the server running?\n", load.options.port,
			strerror(-status));
		if (!load.measuring)
			return 1;
		load.ended_ns = weir_clock_now_ns();
	}
	return report() == 0 && status == 0 ? 0 : 1;
}

static int usage(void)
{
	fputs("usage: weir-bench-load --port PORT [--path /] [--paths 1] [--connections 64]\n"
	      "                       [--pipeline 1] [--seconds 2] [--warmup 0.2] "
	      "[--mark]\n"
	      "Sends GET requests to 127.0.0.1:PORT as fast as they are answered; prints "
	      "JSON.\n"
	      "--paths N: the first %u in the path is a number below N.\n"
	      "--mark: says \"measuring\" on standard error when the warm-up is over.\n",
	      stderr);
	return 2;
}

/* True where `options` is in range. */
static bool options_parse(int argument_count, char **arguments, struct options *options)
{
	static const struct option names[] = {
		{"port", required_argument, NULL, 'p'},
		{"path", required_argument, NULL, 'u'},
		{"paths", required_argument, NULL, 'n'},
		{"connections", required_argument, NULL, 'c'},
		{"pipeline", required_argument, NULL, 'd'},
		{"seconds", required_argument, NULL, 's'},
		{"warmup", required_argument, NULL, 'w'},
		{"mark", no_argument, NULL, 'm'},
		{NULL, 0, NULL, 0},
	};
	unsigned long port = 0;
	unsigned long connections = 64;
	unsigned long pipeline = 1;
	unsigned long paths = 1;

	for (;;) {
		const int name = getopt_long(argument_count, arguments, "", names, NULL);

		if (name == -1)
			break;
		if (name == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (name == 'u')
			options->path = optarg;
		else if (name == 'n')
			paths = strtoul(optarg, NULL, 10);
		else if (name == 'c')
			connections = strtoul(optarg, NULL, 10);
		else if (name == 'd')
			pipeline = strtoul(optarg, NULL, 10);
		else if (name == 's')
			options->seconds = strtod(optarg, NULL);
		else if (name == 'w')
			options->warmup_seconds = strtod(optarg, NULL);
		else if (name == 'm')
			options->mark = true;
		else
			return false;
	}
	options->port = (uint16_t)port;
	options->connections = (uint32_t)connections;
	options->pipeline = (uint32_t)pipeline;
	options->paths = (uint32_t)paths;
	return optind == argument_count && port >= 1 && port <= UINT16_MAX &&
	       connections >= 1 && connections <= CONNECTIONS_MAX && pipeline >= 1 &&
	       pipeline <= PIPELINE_MAX && paths >= 1 && paths <= PATHS_MAX &&
	       (paths == 1 || strstr(options->path, "%u") != NULL) &&
	       options->path[0] == '/' && options->seconds > 0 &&
	       options->seconds <= SECONDS_MAX && options->warmup_seconds >= 0 &&
	       options->warmup_seconds <= SECONDS_MAX;
}

int main(int argument_count, char **arguments)
{
	load.options = (struct options){.path = "/", .seconds = 2, .warmup_seconds = 0.2};
	if (!options_parse(argument_count, arguments, &load.options))
		return usage();
	if (request_build() != 0) {
		fprintf(stderr, "--path is longer than %d bytes\n", REQUEST_BYTES_MAX - 64);
		return 2;
	}
	return run();
}
