#include "tests/gateway/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctrl/publish/publish.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/control.h"

enum {
	WAIT_MS = 20000, /* a sanitized gateway beside other tests */
	BEGIN_TRIES_MAX = 100,
	BEGIN_PAUSE_US = 200000,
};

static void send_fds(struct rig *rig, const struct weir_control *control, const int *fds, size_t count)
{
	assert_int_equal(weir_control_send(rig->control_fd, control, fds, count), 0);
}

static bool receive(struct rig *rig, enum weir_control_kind kind, int ms, struct weir_control *out)
{
	const uint64_t until = weir_clock_now_ns() + (uint64_t)ms * WEIR_NS_PER_MS;

	for (;;) {
		struct weir_control_fds fds = {.count = 0};
		struct pollfd ready = {.fd = rig->control_fd, .events = POLLIN};
		const uint64_t now = weir_clock_now_ns();

		if (now >= until || poll(&ready, 1, (int)((until - now) / WEIR_NS_PER_MS) + 1) != 1)
			return false;
		assert_int_equal(weir_control_receive(rig->control_fd, out, &fds), 1);
		if (out->kind == WEIR_CONTROL_READY && fds.count == 1)
			rig->shard_board_fd = fds.fd[0];
		if (out->kind == kind)
			return true;
	}
}

struct weir_control rig_expect(struct rig *rig, enum weir_control_kind kind)
{
	struct weir_control control;

	assert_true(receive(rig, kind, WAIT_MS, &control));
	return control;
}

bool rig_sees(struct rig *rig, enum weir_control_kind kind, int ms)
{
	struct weir_control control;

	return receive(rig, kind, ms, &control);
}

static void limit_descriptors(uint32_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(126);
	limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(126);
}

static void spawn_gateway(struct rig *rig)
{
	int pair[2];
	const int send_bytes = (int)rig->options.control_send_bytes;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	if (send_bytes > 0)
		assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &send_bytes,
					    sizeof(send_bytes)),
				 0);
	rig->gateway = fork();
	assert_true(rig->gateway >= 0);
	if (rig->gateway == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (rig->options.descriptors_max > 0)
			limit_descriptors(rig->options.descriptors_max);
		(void)dup2(pair[1], WEIR_CONTROL_FD);
		execl(RIG_GATEWAY, RIG_GATEWAY, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	rig->control_fd = pair[0];
}

static void send_listener(struct rig *rig)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	rig->port = ntohs(address.sin_port);
	send_fds(rig, &(struct weir_control){.kind = WEIR_CONTROL_LISTEN, .listen = {.address = "test"}},
		 (int[RIG_SHARDS_MAX]){fd, fd}, rig->options.shard_count);
	close(fd);
}

static void send_snapshot(struct rig *rig)
{
	struct weir_model_function functions[2];
	static struct weir_model_route routes[3] = {
		{.id = 1, .function_id = 7, .pattern = "/f", .space = "default", .name = "f"},
		{.id = 2, .function_id = 7, .pattern = "/f/{id}", .space = "default", .name = "f"},
		{.id = 3, .function_id = 8, .pattern = "/g", .space = "default", .name = "g"}};
	struct weir_publish_input input = {.generation = 1,
					   .settings = weir_publish_settings_default(),
					   .pool_workers_min = 1,
					   .pool_workers_max = rig->options.workers_max,
					   .functions = functions,
					   .function_count = 2,
					   .routes = routes,
					   .route_count = 3};
	const struct weir_snapshot_header *header;
	int fd;

	functions[0] = (struct weir_model_function){.id = 7,
						    .version = 1,
						    .space = "default",
						    .name = "f",
						    .runtime = "native",
						    .code_path = "/f.so",
						    .timeout_ms = rig->options.timeout_ms,
						    .memory_mb = 64,
						    .queue_max = rig->options.queue_max};
	functions[0].is_builtin = rig->options.is_system;
	functions[1] = functions[0];
	functions[1].id = 8;
	functions[1].name[0] = 'g';
	input.settings.kill_grace_ms = rig->options.kill_grace_ms;
	input.settings.head_timeout_ms = rig->options.head_timeout_ms;
	input.settings.send_idle_ms = rig->options.send_idle_ms;
	assert_int_equal(weir_publish_build(&input, &fd), 0);
	header = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(header != MAP_FAILED);
	rig->pool_key = ((const struct weir_snapshot_pool *)(const void *)((const char *)header +
									     header->pools.offset))
				->key;
	munmap((void *)(uintptr_t)header, 65536);
	send_fds(rig, &(struct weir_control){.kind = WEIR_CONTROL_SNAPSHOT, .snapshot = {.generation = 1}},
		 &fd, 1);
	close(fd);
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value > 0 ? value : otherwise;
}

/* A gateway that has begun. Rings count against memory that all instances of a user share, and a dead
 * process gives its back a moment later: while there is none, a gateway ends, and another one is tried. */
static void begin(struct rig *rig, const struct weir_control *start)
{
	for (int i = 0; i < BEGIN_TRIES_MAX; i++) {
		char byte = 0;

		spawn_gateway(rig);
		send_fds(rig, start, &rig->board_fd, 1);
		if (recv(rig->control_fd, &byte, 1, MSG_PEEK) == 1)
			return;
		assert_int_equal(waitpid(rig->gateway, NULL, 0), rig->gateway);
		close(rig->control_fd);
		(void)usleep(BEGIN_PAUSE_US);
	}
	fail_msg("the gateway does not begin");
}

void rig_start(struct rig *rig)
{
	rig_start_with(rig, &(struct rig_options){0});
}

void rig_start_with(struct rig *rig, const struct rig_options *options)
{
	struct weir_control start = {.kind = WEIR_CONTROL_GATEWAY_START,
				     .gateway_start = {.cpu = {0, 1}}};

	*rig = (struct rig){.shard_board_fd = -1, .options = *options};
	rig->options.shard_count = or_default(options->shard_count, 1);
	rig->options.workers_max = or_default(options->workers_max, 1);
	rig->options.timeout_ms = or_default(options->timeout_ms, 500);
	rig->options.kill_grace_ms = or_default(options->kill_grace_ms, 100);
	rig->options.queue_max = or_default(options->queue_max, 4);
	rig->options.head_timeout_ms = or_default(options->head_timeout_ms, 300);
	rig->options.send_idle_ms = or_default(options->send_idle_ms, 1000);
	start.gateway_start.shard_count = rig->options.shard_count;
	memset(start.gateway_start.memory_node, 0xff, sizeof(start.gateway_start.memory_node));
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(weir_fd_create_shared("board", sizeof(struct weir_board), &rig->board_fd), 0);
	rig->board = mmap(NULL, sizeof(struct weir_board), PROT_READ, MAP_SHARED, rig->board_fd, 0);
	assert_true(rig->board != MAP_FAILED);
	begin(rig, &start);
	(void)rig_expect(rig, WEIR_CONTROL_READY);
	assert_true(rig->shard_board_fd >= 0);
	send_listener(rig);
	send_snapshot(rig);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_SNAPSHOT_ACK).snapshot_ack.shards_acked,
			 rig->options.shard_count);
}

void rig_ask_to_stop(struct rig *rig)
{
	rig->stopping = true;
	send_fds(rig, &(struct weir_control){.kind = WEIR_CONTROL_STOP}, NULL, 0);
}

void rig_stop(struct rig *rig)
{
	int status;

	if (!rig->stopping)
		rig_ask_to_stop(rig);
	assert_int_equal(waitpid(rig->gateway, &status, 0), rig->gateway);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	munmap(rig->board, sizeof(struct weir_board));
	close(rig->board_fd);
	close(rig->shard_board_fd);
	close(rig->control_fd);
}

int rig_setup(void **state)
{
	static const struct rig_options defaults;
	const struct rig_options *options = *state ? *state : &defaults;
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_start_with(rig, options);
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 0);
	rig_expect_metric(rig, WEIR_METRIC_calls_in_flight, 0);
	rig_expect_metric(rig, WEIR_METRIC_chunks_small, 0);
	rig_expect_metric(rig, WEIR_METRIC_chunks_large, 0);
	rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	rig_expect_metric(rig, WEIR_METRIC_nested_in_use, 0);
	rig_expect_metric(rig, WEIR_METRIC_buffers_used, 0);
	rig_stop(rig);
	free(rig);
	return 0;
}

bool rig_is_alive(const struct rig *rig)
{
	siginfo_t ended = {0};

	return waitid(P_PID, (id_t)rig->gateway, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid == 0;
}

void rig_worker_offer(struct rig *rig, struct rig_worker *worker)
{
	struct weir_control open = {.kind = WEIR_CONTROL_LINK_OPEN};
	const uint32_t shard_count = rig->options.shard_count;
	int fds[2 + RIG_SHARDS_MAX];

	*worker = (struct rig_worker){.link_id = ++rig->next_id};
	worker->pid = fork();
	assert_true(worker->pid >= 0);
	if (worker->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close_range(3, ~0u, 0); /* the test's clients must end when it closes them */
		for (;;)
			pause();
	}
	assert_int_equal(weir_segment_create(worker->link_id, worker->link_id, shard_count,
					     &fds[0]), 0);
	assert_int_equal(weir_segment_attach(fds[0], &worker->segment), 0);
	fds[1] = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	for (uint32_t i = 0; i < shard_count; i++)
		fds[2 + i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->event_fd = fds[2];
	weir_ring_rx_open(&worker->rx, &worker->segment.pair[0].to_worker);
	weir_ring_tx_open(&worker->tx, &worker->segment.pair[0].to_shard);
	atomic_store(&worker->segment.header->parked_max, 64);
	open.link_open.link_id = worker->link_id;
	open.link_open.worker_id = worker->link_id;
	open.link_open.pool_key = rig->pool_key;
	open.link_open.shard_count = shard_count;
	open.link_open.worker_pid = worker->pid;
	open.link_open.home = (uint32_t)(worker->link_id % shard_count);
	memset(open.link_open.remote, (int)rig->options.workers_remote, sizeof(open.link_open.remote));
	send_fds(rig, &open, fds, 2 + shard_count);
	close(fds[0]);
	close(fds[1]);
	for (uint32_t i = 1; i < shard_count; i++)
		close(fds[2 + i]);
}

void rig_worker_start(struct rig *rig, struct rig_worker *worker)
{
	rig_worker_offer(rig, worker);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_LINK_READY).link.link_id, worker->link_id);
}

void rig_worker_drain(struct rig *rig, const struct rig_worker *worker)
{
	send_fds(rig,
		 &(struct weir_control){.kind = WEIR_CONTROL_LINK_CLOSE,
					.link = {.link_id = worker->link_id,
						 .worker_id = worker->link_id}},
		 NULL, 0);
}

void rig_worker_kill(struct rig_worker *worker)
{
	kill(worker->pid, SIGKILL);
	waitpid(worker->pid, NULL, 0);
	weir_segment_detach(&worker->segment);
	close(worker->event_fd);
}

bool rig_worker_has(struct rig_worker *worker, int ms)
{
	const uint64_t until = weir_clock_now_ns() + (uint64_t)ms * WEIR_NS_PER_MS;

	while (weir_ring_is_empty(&worker->rx)) {
		if (weir_clock_now_ns() > until)
			return false;
		usleep(200);
	}
	return true;
}

struct weir_message rig_worker_pop(struct rig_worker *worker)
{
	struct weir_message message;

	assert_true(rig_worker_has(worker, WAIT_MS));
	assert_int_equal(weir_ring_pop(&worker->rx, &message), 1);
	weir_ring_release(&worker->rx);
	return message;
}

struct weir_message rig_worker_accept(struct rig_worker *worker)
{
	struct weir_message message;

	do { /* a test that is slow to look finds calls that were recalled meanwhile */
		message = rig_worker_pop(worker);
		assert_int_equal(message.kind, WEIR_MESSAGE_HEAD);
	} while (!weir_call_accept(&worker->segment.pair[0].call[message.call], message.sequence));
	atomic_fetch_add(&worker->segment.header->accepted, 1);
	return message;
}

void rig_worker_push(struct rig_worker *worker, const struct weir_message *message)
{
	assert_true(weir_ring_push(&worker->tx, message, 0));
	(void)weir_ring_publish(&worker->tx);
	assert_int_equal(eventfd_write(worker->event_fd, 1), 0);
}

void rig_worker_write(struct rig_worker *worker, struct weir_message *message, uint32_t chunk,
		      uint16_t status, const void *body, size_t bytes)
{
	size_t room;
	uint8_t *out = weir_segment_chunk(&worker->segment.pair[0], chunk, &room);
	const struct weir_response_head head = {.bytes = sizeof(head),
						.status = status,
						.content_length = WEIR_HEAD_LENGTH_UNKNOWN};

	assert_true(sizeof(head) + bytes <= room);
	memcpy(out, &head, sizeof(head));
	if (bytes > 0)
		memcpy(out + sizeof(head), body, bytes);
	message->chunk = chunk;
	message->head_bytes = sizeof(head);
	message->bytes = (uint32_t)(sizeof(head) + bytes);
}

void rig_worker_answer(struct rig_worker *worker, const struct weir_message *head, uint16_t status,
		       const char *body)
{
	struct weir_message message = {.kind = WEIR_MESSAGE_HEAD,
				       .flags = WEIR_MESSAGE_FLAG_END,
				       .call = head->call,
				       .sequence = head->sequence,
				       .grant = WEIR_CHUNK_NONE};

	rig_worker_write(worker, &message, head->grant, status, body, strlen(body));
	atomic_fetch_add(&worker->segment.header->finished, 1);
	rig_worker_push(worker, &message);
}

void rig_worker_ask(struct rig_worker *worker, const struct weir_message *head)
{
	rig_worker_push(worker, &(struct weir_message){.kind = WEIR_MESSAGE_CREDIT,
						       .call = head->call,
						       .sequence = head->sequence,
						       .chunk = WEIR_CHUNK_NONE,
						       .grant = WEIR_CHUNK_NONE});
}

void rig_worker_begin(struct rig_worker *worker, const struct weir_message *head, const char *part)
{
	struct weir_message message = {.kind = WEIR_MESSAGE_HEAD,
				       .call = head->call,
				       .sequence = head->sequence,
				       .grant = WEIR_CHUNK_NONE};

	rig_worker_write(worker, &message, head->grant, 200, part, strlen(part));
	rig_worker_push(worker, &message);
}

void rig_worker_continue(struct rig_worker *worker, const struct weir_message *credit, size_t bytes,
			 bool last)
{
	size_t room;
	uint8_t *out = weir_segment_chunk(&worker->segment.pair[0], credit->grant, &room);

	assert_true(bytes <= room);
	memset(out, 0, bytes);
	if (last)
		atomic_fetch_add(&worker->segment.header->finished, 1);
	rig_worker_push(worker, &(struct weir_message){.kind = WEIR_MESSAGE_DATA,
						       .flags = last ? WEIR_MESSAGE_FLAG_END : 0,
						       .call = credit->call,
						       .sequence = credit->sequence,
						       .chunk = credit->grant,
						       .bytes = (uint32_t)bytes,
						       .grant = WEIR_CHUNK_NONE});
}

static int connect_client(const struct rig *rig, int receive_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(rig->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval limit = {.tv_sec = WAIT_MS / 1000};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	if (receive_bytes > 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
					    sizeof(receive_bytes)),
				 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

int rig_client(const struct rig *rig)
{
	return connect_client(rig, 0);
}

int rig_client_narrow(const struct rig *rig)
{
	return connect_client(rig, 1);
}

void rig_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

size_t rig_read(int fd, char *out, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		const ssize_t got = recv(fd, out + at, bytes - at, 0);

		if (got <= 0)
			break;
		at += (size_t)got;
	}
	return at;
}

void rig_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
}

void rig_read_answer(int fd, char *out, size_t max)
{
	size_t at = 0;
	char *end, *length;

	for (;;) {
		assert_true(at + 1 < max);
		assert_int_equal(rig_read(fd, out + at, 1), 1);
		out[++at] = '\0';
		end = strstr(out, "\r\n\r\n");
		if (end)
			break;
	}
	length = strcasestr(out, "content-length:");
	if (length) {
		const size_t bytes = strtoul(length + 15, NULL, 10);

		assert_true(at + bytes < max);
		assert_int_equal(rig_read(fd, out + at, bytes), bytes);
		out[at + bytes] = '\0';
	}
}

uint64_t rig_metric(const struct rig *rig, enum weir_metric metric)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < rig->options.shard_count; i++)
		value += atomic_load(&rig->board->shard[i].metric[metric]);
	return value;
}

void rig_expect_metric(const struct rig *rig, enum weir_metric metric, uint64_t want)
{
	uint64_t value = 0;

	for (int i = 0; i < WAIT_MS; i++) {
		value = rig_metric(rig, metric);
		if (value == want)
			return;
		usleep(1000);
	}
	assert_int_equal(value, want);
}
