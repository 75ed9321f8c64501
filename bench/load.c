/* load: an HTTP/1.1 load generator that costs the machine less than the server it measures: one
 * thread, one io_uring_enter a turn, answers checked but not parsed twice.
 *
 *   closed  each connection: [send `pipeline` requests at once] -> all answers arrived -> again
 *   open    load_pace says when the next request is due; it goes out on the connection that has been
 *           free the longest, and waits for one where none is
 *   hold    each connection: one request, one answer, silence; at most HOLD_WINDOW at a time
 *
 *   each turn: take all that arrived -> read the clock -> send on the connections that are ready
 *
 * Latency runs to the moment the last byte of an answer is taken from the completion queue: in the
 * closed loop from the moment its batch is handed to the kernel, in the open loop from the moment
 * the request was due, so that what waits behind a slow answer is not forgotten. In the open loop
 * the program never sleeps (but with --sleep), and its own lateness is measured: the time since it last
 * looked at the clock, where a request that was due then would have left. Requests without an answer at the end
 * count with the time that they have waited.
 * A connection that ends is counted as an error and opened again; so is one whose bytes cannot be
 * followed. Prints one JSON object. Exit: 0, 1 errors or no connection, 2 usage. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

#include "bench/histogram.h"
#include "bench/load_answer.h"
#include "bench/load_options.h"
#include "bench/load_pace.h"
#include "bench/load_phase.h"
#include "bench/load_report.h"
#include "bench/load_request.h"
#include "bench/uring.h"

#define RING_ENTRIES      4096
#define BUFFERS           256
#define BUFFER_BYTES      8192
#define BUFFER_BYTES_ECHO 65536
#define HOLD_WINDOW       64 /* a server's memory for calls under way is not what --hold shows */
#define RECONNECTS_MAX    1000 /* then the server is broken and the run ends */

enum operation { OPERATION_RECEIVE, OPERATION_SEND, OPERATION_TIMER, OPERATION_TOLD };

struct connection {
	uint64_t due_ns; /* from when the latency of what is under way counts */
	int fd;
	bool broken; /* shut down; what still arrives is dropped */
	bool ready;  /* stands in load.ready */
	struct weir_load_answer answer;
};

/* What the kernel reads while a request with a body is being sent. */
struct body_send {
	struct msghdr message;
	struct iovec part[2];
};

struct load {
	struct io_uring ring;
	struct weir_bench_buffers buffers;
	struct weir_load_options options;
	struct weir_load_requests requests;
	struct weir_load_pace pace;
	struct weir_load_phases phases;
	struct weir_load_shape shape;
	struct weir_load_counts counts; /* since the first request */
	struct weir_load_counts warm;   /* `counts` when the measurement began */
	uint64_t closed;                /* connections that ended under us */
	uint64_t started_ns;            /* of the measurement */
	uint64_t ended_ns;
	uint64_t looked_ns; /* when sending was last considered */
	uint64_t waiting_max;
	struct __kernel_timespec timer;
	bool measuring;
	bool holding;
	bool ended;
	uint32_t opened;
	uint32_t ready_head; /* both count up; what is between them stands in `ready` */
	uint32_t ready_tail;
	uint32_t ready[WEIR_LOAD_CONNECTIONS_MAX];
	struct connection connection[WEIR_LOAD_CONNECTIONS_MAX];
	struct body_send body_send[WEIR_LOAD_CONNECTIONS_MAX];
	struct weir_histogram latency_ns;
	struct weir_histogram late_ns;
	struct signalfd_siginfo signal_info;
	char told[64];
};

static struct load load;

static uint64_t user_data_of(enum operation operation, uint32_t index)
{
	return (uint64_t)operation << 32 | index;
}

/* This connection may send; once, however often it is said. */
static void ready_add(uint32_t index)
{
	if (load.connection[index].ready)
		return;
	load.connection[index].ready = true;
	load.ready[load.ready_tail++ & (WEIR_LOAD_CONNECTIONS_MAX - 1)] = index;
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
	ready_add(index);
	return 0;
}

/* Open connections until `count` were; 0 or -errno. */
static int connections_open(uint32_t count)
{
	int status = 0;

	while (load.opened < count && status == 0) {
		status = weir_load_answer_open(&load.connection[load.opened].answer);
		if (status == 0)
			status = connection_open(load.opened++);
	}
	return status;
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

static void measuring_start(uint64_t now_ns)
{
	load.measuring = true;
	load.started_ns = now_ns;
	load.warm = load.counts;
	weir_load_phases_start(&load.phases, &load.pace, now_ns);
	if (load.options.mark)
		fputs("measuring\n", stderr);
}

static void on_timer(uint64_t now_ns)
{
	if (load.measuring) {
		load.ended = true;
		load.ended_ns = now_ns;
		return;
	}
	measuring_start(now_ns);
	timer_arm(load.options.seconds);
}

/* All connections were answered once: say so, and wait for the end of standard input. */
static void holding_start(void)
{
	struct io_uring_sqe *sqe = weir_bench_sqe(&load.ring);

	if (!load.holding) {
		puts("holding");
		(void)fflush(stdout); /* a reader that is gone has closed our input too */
	}
	load.holding = true;
	io_uring_prep_read(sqe, STDIN_FILENO, load.told, sizeof(load.told), 0);
	sqe->user_data = user_data_of(OPERATION_TOLD, STDIN_FILENO);
}

/* A read of standard input, or of the signals, has ended. */
static void on_told(const struct io_uring_cqe *cqe, uint64_t now_ns)
{
	if ((uint32_t)cqe->user_data == STDIN_FILENO && cqe->res > 0) {
		holding_start();
		return;
	}
	load.ended = true;
	load.ended_ns = now_ns;
}

/* What a connection does after the last answer that was due on it; 0 or -errno. */
static int on_answered(uint32_t index)
{
	if (!load.options.hold) {
		ready_add(index);
		return 0;
	}
	if (load.counts.answers == load.options.connections)
		holding_start();
	return load.opened < load.options.connections ? connections_open(load.opened + 1) : 0;
}

static int on_bytes(uint32_t index, const char *data, size_t bytes, uint64_t now_ns)
{
	struct connection *connection = &load.connection[index];
	const int completed = weir_load_answer_take(&connection->answer, &load.shape, data,
						    bytes, &load.counts);

	if (completed < 0) {
		/* The receive then ends, which opens the connection again. */
		connection->broken = true;
		(void)shutdown(connection->fd,
			       SHUT_RDWR); /* fails only where the peer has left too */
		return 0;
	}
	if (completed == 0)
		return 0;
	/* What was due in the warm-up belongs to it, however late it is answered. */
	if (load.measuring && (load.options.rate == 0 || connection->due_ns >= load.started_ns))
		weir_histogram_add(&load.latency_ns, now_ns - connection->due_ns,
				   (uint64_t)completed);
	weir_load_phases_answer(&load.phases, connection->due_ns, now_ns, &connection->answer);
	return connection->answer.expected == 0 ? on_answered(index) : 0;
}

/* The connection is over: count it and open it again, unless it was only held. 0 or -errno. */
static int on_end(uint32_t index)
{
	struct connection *connection = &load.connection[index];

	load.closed++;
	(void)close(
		connection->fd); /* nothing can be done about a socket that fails to close */
	connection->fd = -1;
	if (load.options.hold)
		return load.holding ? 0 : -ECONNRESET;
	if (load.closed > RECONNECTS_MAX)
		return -ECONNRESET;
	return connection_open(index);
}

static int on_receive(const struct io_uring_cqe *cqe, uint64_t now_ns)
{
	const uint32_t index = (uint32_t)cqe->user_data;
	const struct connection *connection = &load.connection[index];
	int status = 0;

	if (cqe->res > 0) {
		if (!connection->broken)
			status = on_bytes(index, weir_bench_buffer_data(&load.buffers, cqe),
					  (size_t)cqe->res, now_ns);
		weir_bench_buffer_return(&load.buffers, cqe);
	}
	if (status != 0 || (cqe->flags & IORING_CQE_F_MORE) != 0)
		return status;
	if (cqe->res <= 0 && cqe->res != -ENOBUFS)
		return on_end(index);
	weir_bench_receive_arm(&load.ring, connection->fd, cqe->user_data);
	return 0;
}

/* A body is sent while its echo is received: the kernel goes on with the rest of a send whenever
 * there is room, whatever this program does meanwhile. */
static void body_prepare(struct io_uring_sqe *sqe, uint32_t index,
			 const struct weir_load_batch *batch)
{
	struct body_send *send = &load.body_send[index];

	send->part[0] = (struct iovec){(void *)(uintptr_t)batch->head, batch->head_bytes};
	send->part[1] = (struct iovec){(void *)(uintptr_t)batch->body, load.options.body_bytes};
	send->message = (struct msghdr){.msg_iov = send->part, .msg_iovlen = 2};
	load.connection[index].answer.echo = batch->body;
	io_uring_prep_sendmsg(sqe, load.connection[index].fd, &send->message,
			      MSG_NOSIGNAL | MSG_WAITALL);
}

static void batch_send(uint32_t index, uint64_t due_ns)
{
	struct connection *connection = &load.connection[index];
	const struct weir_load_batch batch = weir_load_requests_next(&load.requests);
	struct io_uring_sqe *sqe = weir_bench_sqe(&load.ring);

	/* A send that fails is not looked at: the receive ends for the same reason. */
	if (batch.body != NULL)
		body_prepare(sqe, index, &batch);
	else
		io_uring_prep_send(sqe, connection->fd, batch.head, batch.head_bytes,
				   MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = user_data_of(OPERATION_SEND, index);
	connection->answer.expected = load.options.pipeline;
	connection->due_ns = due_ns;
	connection->ready = false;
}

static uint32_t ready_take(void)
{
	return load.ready[load.ready_head++ & (WEIR_LOAD_CONNECTIONS_MAX - 1)];
}

static void open_send(uint64_t now_ns)
{
	while (load.ready_head != load.ready_tail && weir_load_pace_due(&load.pace, now_ns)) {
		const uint64_t due_ns = weir_load_pace_take(&load.pace);

		weir_load_phases_pace(&load.phases, &load.pace);
		const uint64_t could_ns = due_ns > load.looked_ns ? due_ns : load.looked_ns;

		if (load.measuring)
			weir_histogram_add(&load.late_ns, now_ns - could_ns, 1);
		batch_send(ready_take(), due_ns);
	}
	const uint64_t waiting = weir_load_pace_waiting(&load.pace, now_ns);

	if (load.measuring && waiting > load.waiting_max)
		load.waiting_max = waiting;
	load.looked_ns = now_ns;
}

/* The clock is read here, after all of the turn's work, so that an answer's latency does not
 * contain the time that this program needs for the others. */
static void ready_send(void)
{
	const uint64_t now_ns = weir_clock_now_ns();

	if (load.options.rate != 0) {
		open_send(now_ns);
		return;
	}
	while (load.ready_head != load.ready_tail)
		batch_send(ready_take(), now_ns);
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
		const enum operation operation = (enum operation)(cqe->user_data >> 32);

		completions++;
		if (operation == OPERATION_TIMER)
			on_timer(now_ns);
		else if (operation == OPERATION_TOLD)
			on_told(cqe, now_ns);
		else if (operation == OPERATION_RECEIVE && status == 0)
			status = on_receive(cqe, now_ns);
	}
	weir_bench_buffers_commit(&load.buffers);
	io_uring_cq_advance(&load.ring, completions);
	ready_send();
	return status;
}

/* Sleep until something arrives, or a request is due for which a connection is free. */
static int sleep_turn(void)
{
	const bool can_send = load.ready_head != load.ready_tail;
	const uint64_t left_ns = weir_load_pace_left_ns(&load.pace, weir_clock_now_ns());
	struct __kernel_timespec left = {
		.tv_sec = (int64_t)(left_ns / WEIR_NS_PER_SECOND),
		.tv_nsec = (int64_t)(left_ns % WEIR_NS_PER_SECOND),
	};
	struct io_uring_cqe *cqe;
	const int entered = io_uring_submit_and_wait_timeout(&load.ring, &cqe, 1, can_send ? &left : NULL, NULL);

	return entered == -ETIME ? 0 : entered;
}

/* Look, without sleeping, until there is something to submit, to take or to send. */
static int poll_turn(void)
{
	for (;;) {
		if (weir_bench_ring_waiting(&load.ring))
			return io_uring_submit_and_get_events(&load.ring);
		if (io_uring_cq_ready(&load.ring) > 0)
			return 0;
		open_send(weir_clock_now_ns());
	}
}

/* What was due and has no answer yet counts with the time that it has waited; how many. */
static uint64_t unanswered_add(void)
{
	uint64_t count = 0;

	if (load.options.rate == 0)
		return 0;
	for (uint32_t i = 0; i < load.opened; i++) {
		const struct connection *connection = &load.connection[i];

		if (connection->answer.expected == 0 || connection->due_ns < load.started_ns ||
		    connection->due_ns > load.ended_ns)
			continue;
		weir_histogram_add(&load.latency_ns, load.ended_ns - connection->due_ns, 1);
		weir_load_phases_unanswered(&load.phases, connection->due_ns, load.ended_ns);
		count++;
	}
	while (weir_load_pace_due(&load.pace, load.ended_ns)) {
		const uint64_t due_ns = weir_load_pace_take(&load.pace);

		weir_load_phases_pace(&load.phases, &load.pace);
		if (due_ns < load.started_ns)
			continue;
		weir_histogram_add(&load.latency_ns, load.ended_ns - due_ns, 1);
		weir_load_phases_unanswered(&load.phases, due_ns, load.ended_ns);
		count++;
	}
	return count;
}

static uint32_t connections_silent(void)
{
	uint32_t silent = 0;

	for (uint32_t i = 0; i < load.options.connections; i++)
		silent += load.connection[i].due_ns <= load.started_ns;
	return silent;
}

static uint64_t report(void)
{
	const struct weir_load_report found = {
		.options = &load.options,
		.shape = &load.shape,
		.phases = &load.phases,
		.counts = &load.counts,
		.latency_ns = &load.latency_ns,
		.late_ns = &load.late_ns,
		.requests = load.counts.answers - load.warm.answers,
		.measured_ns = load.ended_ns - load.started_ns,
		.closed = load.closed,
		.unanswered = unanswered_add(),
		.waiting_max = load.waiting_max,
		.silent = connections_silent(),
	};

	return weir_load_report_print(&found);
}

static int ring_open(void)
{
	const bool is_open_loop = load.options.rate != 0;
	int status = weir_bench_ring_open(RING_ENTRIES, is_open_loop, &load.ring);

	if (status == 0)
		status = weir_bench_buffers_open(&load.ring, BUFFERS,
						 load.options.body_bytes > 0 ? BUFFER_BYTES_ECHO
									     : BUFFER_BYTES,
						 &load.buffers);
	if (status != 0)
		fprintf(stderr, "cannot use io_uring: %s; Linux 6.1 or newer is needed\n",
			strerror(-status));
	return status;
}

/* Hear of SIGTERM and SIGINT through the ring; 0 or -errno. */
static int signals_hear(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);        /* cannot fail on a valid set, */
	(void)sigaddset(&signals, SIGTERM); /* nor with these */
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	const int fd = signalfd(-1, &signals, SFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	struct io_uring_sqe *sqe = weir_bench_sqe(&load.ring);

	io_uring_prep_read(sqe, fd, &load.signal_info, sizeof(load.signal_info), 0);
	sqe->user_data = user_data_of(OPERATION_TOLD, (uint32_t)fd);
	return 0;
}

/* Everything before the first turn; 0 or -errno. */
static int start(void)
{
	const struct weir_load_options *options = &load.options;
	int status = 0;

	if (!options->hold)
		status = connections_open(options->connections);
	else if ((status = signals_hear()) == 0)
		status = connections_open(options->connections < HOLD_WINDOW
						  ? options->connections
						  : HOLD_WINDOW);
	if (status != 0)
		return status;
	const uint64_t now_ns = weir_clock_now_ns();

	if (options->rate != 0)
		weir_load_pace_start(&load.pace, options->rate, now_ns);
	load.looked_ns = now_ns;
	if (options->hold)
		measuring_start(now_ns);
	else
		timer_arm(options->warmup_seconds);
	ready_send();
	return 0;
}

static int run(void)
{
	if (ring_open() != 0)
		return 1;
	int status = start();

	while (status == 0 && !load.ended) {
		const int entered = load.options.sleep ? sleep_turn()
				    : load.options.rate != 0
					    ? poll_turn()
					    : io_uring_submit_and_wait(&load.ring, 1);

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

/* As many descriptors as this user may have; where that is too few, a connection says so. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* see above */
}

/* Rates that change are an open loop that begins at the first and lasts as long as all. False where options
 * contradict each other. */
static bool phases_take(void)
{
	if (!load.options.phases)
		return !load.options.sleep || load.options.rate != 0;
	if (!weir_load_phases_parse(load.options.phases, &load.phases) || load.options.rate != 0 || load.options.hold ||
	    load.options.pipeline != 1)
		return false;
	load.options.rate = load.phases.phase[0].rate;
	load.options.seconds = weir_load_phases_seconds(&load.phases);
	load.shape.refusals = true;
	return true;
}

int main(int argument_count, char **arguments)
{
	if (!weir_load_options_parse(argument_count, arguments, &load.options) || !phases_take()) {
		weir_load_options_usage();
		return 2;
	}
	load.shape.echo_bytes = load.options.body_bytes;
	const int status = weir_load_requests_build(&load.options, &load.requests);

	if (status != 0) {
		fprintf(stderr, "cannot build the requests: %s\n",
			status == -E2BIG ? "--path is too long" : strerror(-status));
		return 2;
	}
	descriptors_allow();
	return run();
}
