#include "bench/handoff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctrl/publish/publish.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/port/port.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/segment.h"
#include "dataplane/shm/shard_board.h"

#include "bench/micro.h"

enum { LINK_ID = 1, TIMEOUT_MS = 60000, CONNECTIONS = 64, SLEEP_MS = 100, PARKED_MAX = 8 };

static const char path[] = "/hello";
static const char answer[] = "{\"result\":\"hello, worker\"}";

static struct weir_shard *shard;
static struct weir_config config;
static struct weir_segment segment;
static struct weir_room room;
static struct weir_mailbox outbox;
static _Atomic uint64_t metric[WEIR_METRIC_COUNT];
static struct weir_route_match match;
static struct weir_encode_input input;
static struct weir_exchange *exchange[WEIR_HANDOFF_CALLS_MAX];
static uint32_t exchange_count;

static struct weir_port port;

static void must(int result, const char *what)
{
	if (result != 0)
		weir_micro_fail(what, result);
}

static void publish(void)
{
	static const struct weir_model_function function = {.id = 1,
							    .version = 1,
							    .space = "default",
							    .name = "hello",
							    .runtime = "native",
							    .code_path = "/hello.so",
							    .timeout_ms = TIMEOUT_MS,
							    .memory_mb = 64,
							    .queue_max = 1000};
	static const struct weir_model_route route = {.id = 1,
						      .function_id = 1,
						      .pattern = "/hello",
						      .space = "default",
						      .name = "hello"};
	const struct weir_publish_input wanted = {.generation = 1,
						  .settings = weir_publish_settings_default(),
						  .pool_workers_min = 1,
						  .pool_workers_max = 1,
						  .functions = &function,
						  .function_count = 1,
						  .routes = &route,
						  .route_count = 1};
	int fd = -1;

	must(weir_publish_build(&wanted, &fd), "the configuration cannot be built");
	must(weir_snapshot_attach(fd, &config.snapshot), "the configuration cannot be read");
	(void)close(fd);
	config.settings = &config.snapshot.header->settings;
	config.http_limits = (struct weir_http_limits){
		.target_bytes_max = config.settings->target_bytes_max,
		.head_bytes_max = config.settings->head_bytes_max,
		.headers_max = config.settings->headers_max,
		.body_bytes_max = config.settings->body_bytes_max,
	};
}

/* What parsing and routing leave for every call: done once, they are not what is measured. */
static void prepare_request(void)
{
	const struct weir_route_query query = {
		.path = {.data = path, .bytes = sizeof(path) - 1}};

	weir_http_parser_reset(&shard->parser, &config.http_limits);
	if (weir_http_parser_execute(&shard->parser, weir_micro_get_minimal,
				     strlen(weir_micro_get_minimal)) != WEIR_HTTP_PARSE_HEAD ||
	    weir_route_match(&config.snapshot, &query, &match) != WEIR_ROUTE_MATCH)
		weir_micro_fail("the request cannot be prepared", 0);
	input = (struct weir_encode_input){.parser = &shard->parser,
					   .head = weir_micro_get_minimal,
					   .path = query.path,
					   .peer = {.data = "127.0.0.1", .bytes = 9},
					   .snapshot = &config.snapshot,
					   .match = &match};
}

static void wake_nobody(void *context, struct weir_port_call *call)
{
	(void)context;
	(void)call;
}

static int segment_fd = -1;
static int board_fd = -1;
static int event_fd = -1;

void weir_handoff_worker_begin(void)
{
	struct weir_port_link *link = NULL;
	const int own_event_fd = dup(event_fd); /* becomes the link's */

	if (own_event_fd == -1)
		weir_micro_fail("no descriptor", -errno);
	weir_port_open(&port, PARKED_MAX, wake_nobody, NULL);
	must(weir_port_link_create(segment_fd, board_fd, &own_event_fd, 1, &link),
	     "the worker's end cannot be made");
	must(weir_port_link_add(&port, link), "the worker's end cannot be used");
}

static void open_shard(struct weir_shard_board *board)
{
	const struct weir_shard_options options = {.shard_count = 1,
						   .connections_max = CONNECTIONS,
						   .sleep_line = &board->shard[0],
						   .metric = metric,
						   .outbox = &outbox};
	struct weir_shard_link *link;

	shard = calloc(1, sizeof(*shard));
	if (!shard)
		weir_micro_fail("no memory for a shard", 0);
	must(weir_mailbox_open(&outbox), "no mailbox");
	must(weir_shard_open(shard, &options), "a shard cannot be opened");
	shard->config = &config;
	link = weir_link_create(&segment, 0,
				config.snapshot.pools[config.snapshot.functions[0].pool].key,
				event_fd);
	if (link)
		link->room = &room;
	if (!link || !weir_link_open(shard, link))
		weir_micro_fail("the gateway's end cannot be made", 0);
	for (uint32_t i = 0; i < WEIR_HANDOFF_CALLS_MAX; i++) {
		shard->connections[i].fd = -1;
		shard->connections[i].index = i;
	}
}

void weir_handoff_open(void)
{
	struct weir_shard_board *board = NULL;

	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event_fd == -1)
		weir_micro_fail("no eventfd", -errno);
	publish();
	must(weir_segment_create(LINK_ID, 1, 1, &segment_fd), "no shared memory");
	must(weir_segment_attach(segment_fd, &segment), "the shared memory cannot be mapped");
	must(weir_shard_board_create(&board_fd, &board), "no shard board");
	weir_segment_prefault_pair(&segment, 0, 2 * WEIR_HANDOFF_CALLS_MAX);
	open_shard(board);
	prepare_request();
}

void weir_handoff_gateway_begin(void)
{
	/* As weir_shard_run() does; fails where the ring began enabled. */
	(void)syscall(__NR_io_uring_register, shard->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
		      NULL, 0);
	must(io_uring_submit(&shard->ring) < 0, "the ring does not work");
}

void weir_handoff_submit(uint32_t count)
{
	shard->now_ns = weir_clock_now_ns();
	exchange_count = count;
	for (uint32_t i = 0; i < count; i++) {
		exchange[i] = weir_exchange_create(shard, &shard->connections[i]);
		exchange[i]->function_id = match.function->id;
		exchange[i]->generation = config.snapshot.header->generation;
		exchange[i]->deadline_ns = shard->now_ns + TIMEOUT_MS * WEIR_NS_PER_MS;
		weir_dispatch_submit(shard, exchange[i], &input, (struct weir_span){0});
	}
	weir_link_publish_all(shard);
}

/* Connections that have something to do: here it is nothing. */
static void clear_marks(void)
{
	while (shard->flush_first) {
		struct weir_connection *connection = shard->flush_first;

		shard->flush_first = connection->next;
		connection->in_flush = false;
	}
}

bool weir_handoff_poll(void)
{
	weir_link_poll_all(shard);
	if (shard->waiting_count >
	    0) { /* no room a moment ago: more calls than the worker may hold */
		weir_dispatch_waiting(shard);
		weir_link_publish_all(shard);
	}
	clear_marks();
	for (uint32_t i = 0; i < exchange_count; i++) {
		if (exchange[i]->failure != WEIR_HTTP_OK)
			weir_micro_fail("a call failed in the gateway", exchange[i]->failure);
		if (!exchange[i]->answer_ended)
			return false;
	}
	for (uint32_t i = 0; i < exchange_count; i++)
		weir_exchange_destroy(shard, exchange[i]);
	clear_marks();
	exchange_count = 0;
	return true;
}

static void take_rings(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&shard->ring, head, cqe)
	{
		if (cqe->user_data >> 56 == WEIR_OPERATION_LINK &&
		    !(cqe->flags & IORING_CQE_F_MORE))
			weir_link_poll_ended(shard, shard->link[(uint32_t)cqe->user_data]);
		count++;
	}
	io_uring_cq_advance(&shard->ring, count);
}

void weir_handoff_gateway_sleep(void)
{
	struct __kernel_timespec timeout = {.tv_nsec = SLEEP_MS * (long)WEIR_NS_PER_MS};
	struct io_uring_cqe *cqe;

	weir_shard_sleep_begin(shard->sleep_line);
	if (!weir_link_any_waiting(shard)) /* -ETIME, -EINTR: the caller looks again */
		(void)io_uring_submit_and_wait_timeout(&shard->ring, &cqe, 1, &timeout, NULL);
	weir_shard_sleep_end(shard->sleep_line);
	take_rings();
}

uint32_t weir_handoff_serve(void)
{
	struct weir_port_call *call = NULL;
	uint32_t count = 0;
	size_t written = 0;

	while (weir_port_next(&port, true, &call) == 1) {
		if (weir_port_call_append(call, answer, sizeof(answer) - 1, &written) != 0 ||
		    !weir_port_call_finish(call))
			weir_micro_fail("a call failed in the worker", 0);
		count++;
	}
	if (count > 0)
		weir_port_publish(&port);
	return count;
}

void weir_handoff_worker_sleep(void)
{
	_Atomic uint32_t *bells[WEIR_PORT_BELLS_MAX];
	const size_t count = weir_port_bells(&port, bells);

	for (size_t i = 0; i < count; i++)
		weir_bell_announce(bells[i]);
	if (weir_port_is_empty(&port)) /* -ETIMEDOUT, -EINTR: the caller looks again */
		(void)weir_bell_wait(bells, count, SLEEP_MS * WEIR_NS_PER_MS);
	for (size_t i = 0; i < count; i++)
		weir_bell_cancel(bells[i]);
}
