#include "dataplane/gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/numa_memory.h"
#include "dataplane/base/rights.h"
#include "dataplane/shm/load.h"
#include "dataplane/shm/shard_board.h"

enum {
	CONNECTIONS_DEFAULT = 16384,
	DESCRIPTORS_RESERVED = 1024, /* links, eventfds, listeners, control */
	SHARD_STACK_BYTES = 1 << 20,
};

/* Send what is owed, oldest first, until the socket is full again. */
static void pay_owed(struct weir_gateway *gateway)
{
	while (gateway->owed_head != gateway->owed_tail) {
		const int result = weir_control_send(
			gateway->control_fd, &gateway->owed[gateway->owed_head % WEIR_GATEWAY_OWED_MAX],
			NULL, 0);

		if (result == -EAGAIN)
			return;
		if (result != 0) /* the socket is dead: its end is read elsewhere */
			weir_log(WEIR_LOG_WARN, "cannot tell the supervisor", "error=\"%s\"",
				 strerror(-result));
		gateway->owed_head++;
	}
}

/* Is the same demand waiting already? */
static bool is_owed(const struct weir_gateway *gateway, const struct weir_control *control)
{
	if (control->kind != WEIR_CONTROL_DEMAND)
		return false;
	for (uint32_t i = gateway->owed_head; i != gateway->owed_tail; i++) {
		const struct weir_control *owed = &gateway->owed[i % WEIR_GATEWAY_OWED_MAX];

		if (owed->kind == WEIR_CONTROL_DEMAND && owed->demand.pool_key == control->demand.pool_key)
			return true;
	}
	return false;
}

void weir_gateway_tell(struct weir_gateway *gateway, const struct weir_control *control)
{
	if (is_owed(gateway, control))
		return;
	if (gateway->owed_tail - gateway->owed_head == WEIR_GATEWAY_OWED_MAX) {
		weir_log(WEIR_LOG_ERROR, "a message to the supervisor is lost: it reads nothing", "kind=%u",
			 control->kind);
		return;
	}
	gateway->owed[gateway->owed_tail++ % WEIR_GATEWAY_OWED_MAX] = *control;
	pay_owed(gateway);
}

static void put(struct weir_gateway *gateway, uint32_t shard, const struct weir_letter *letter)
{
	/* An inbox holds more letters than links, listeners and snapshots can make. */
	WEIR_ASSERT(weir_mailbox_put(&gateway->shard[shard]->inbox, letter));
}

static void acknowledge(struct weir_gateway *gateway, const struct weir_config *config)
{
	weir_gateway_tell(gateway,
			  &(struct weir_control){
				  .kind = WEIR_CONTROL_SNAPSHOT_ACK,
				  .snapshot_ack = {.generation = config->snapshot.header->generation,
						   .shards_acked = config->shards_switched,
						   .shards_total = gateway->shard_count,
						   .took_ns = config->took_ns},
			  });
}

/* Deliver a snapshot to every shard. */
static void deliver(struct weir_gateway *gateway, int fd)
{
	struct weir_config *config = calloc(1, sizeof(*config));
	const struct weir_settings *settings;
	int result = config ? weir_snapshot_attach(fd, &config->snapshot) : -ENOMEM;

	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "snapshot refused, the last one stays", "error=\"%s\"",
			 strerror(-result));
		free(config);
		return;
	}
	if (gateway->newest && config->snapshot.header->generation <=
				       gateway->newest->snapshot.header->generation) {
		weir_snapshot_detach(&config->snapshot);
		free(config);
		/* Already there: a restarted supervisor sends it again, and may have missed the answer. */
		if (gateway->newest->shards_switched == gateway->shard_count)
			acknowledge(gateway, gateway->newest);
		return;
	}
	settings = &config->snapshot.header->settings;
	config->settings = settings;
	config->http_limits = (struct weir_http_limits){
		.target_bytes_max = settings->target_bytes_max,
		.head_bytes_max = settings->head_bytes_max,
		.headers_max = settings->headers_max,
		.body_bytes_max = settings->body_bytes_max,
	};
	config->received_ns = weir_clock_now_ns();
	config->shards_using = gateway->shard_count;
	gateway->newest = config;
	gateway->config_count++;
	for (uint32_t i = 0; i < gateway->shard_count; i++)
		put(gateway, i, &(struct weir_letter){.kind = WEIR_LETTER_SNAPSHOT, .object = config});
}

static void take_snapshot(struct weir_gateway *gateway, struct weir_control_fds *fds)
{
	if (fds->count != 1)
		return;
	if (gateway->config_count < WEIR_GATEWAY_CONFIGS_MAX) {
		deliver(gateway, fds->fd[0]);
		return;
	}
	weir_fd_close(&gateway->pending_snapshot_fd); /* a newer one replaces it */
	gateway->pending_snapshot_fd = fds->fd[0];
	fds->fd[0] = -1;
}

static void config_used(struct weir_gateway *gateway, struct weir_config *config)
{
	if (++config->shards_switched < gateway->shard_count)
		return;
	config->took_ns = weir_clock_now_ns() - config->received_ns;
	acknowledge(gateway, config);
}

static void config_gone(struct weir_gateway *gateway, struct weir_config *config)
{
	if (--config->shards_using > 0)
		return;
	weir_snapshot_detach(&config->snapshot);
	free(config);
	gateway->config_count--;
	if (gateway->pending_snapshot_fd == -1)
		return;
	deliver(gateway, gateway->pending_snapshot_fd);
	weir_fd_close(&gateway->pending_snapshot_fd);
}

static void listen_on(struct weir_gateway *gateway, const struct weir_control *control,
		      struct weir_control_fds *fds)
{
	if (fds->count != gateway->shard_count) {
		weir_log(WEIR_LOG_ERROR, "listener refused", "sockets=%zu shards=%u", fds->count,
			 gateway->shard_count);
		return;
	}
	for (uint32_t i = 0; i < gateway->shard_count; i++) {
		put(gateway, i, &(struct weir_letter){.kind = WEIR_LETTER_LISTEN,
						      .fd = fds->fd[i],
						      .value = control->listen.local});
		fds->fd[i] = -1; /* the shard's now */
	}
	weir_log(WEIR_LOG_INFO, "listening", "address=%.*s shards=%u", (int)sizeof(control->listen.address),
		 control->listen.address, gateway->shard_count);
}

static uint32_t connections_table(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur < 2 * DESCRIPTORS_RESERVED)
		return DESCRIPTORS_RESERVED / 2;
	if (limit.rlim_cur - DESCRIPTORS_RESERVED < CONNECTIONS_DEFAULT)
		return (uint32_t)limit.rlim_cur - DESCRIPTORS_RESERVED;
	return CONNECTIONS_DEFAULT;
}

/* Counters go on where the last incarnation left them, gauges begin at nothing. */
static void reset_gauges(struct weir_board_shard *block)
{
#define counter 0
#define gauge 1
#define WEIR_METRIC(name, kind, unit, help)                                                            \
	if (kind)                                                                                      \
		atomic_store_explicit(&block->metric[WEIR_METRIC_##name], 0, memory_order_relaxed);
#include "dataplane/abi/metrics.def"
#undef WEIR_METRIC
#undef counter
#undef gauge
}

static int open_shard(struct weir_gateway *gateway, uint32_t index, uint16_t cpu)
{
	struct weir_shard *shard = weir_shard_allocate(sizeof(*shard));
	const struct weir_shard_options options = {
		.index = index,
		.shard_count = gateway->shard_count,
		.cpu = cpu,
		.connections_max = connections_table(),
		.sleep_line = &gateway->shard_board->shard[index],
		.metric = gateway->board->shard[index].metric,
		.board = gateway->board,
		.load = gateway->load,
		.activations = gateway->activations,
		.activations_bell_fd = gateway->activations_bell_fd,
		.outbox = &gateway->outbox,
	};

	if (!shard)
		return -ENOMEM;
	gateway->shard[index] = shard;
	reset_gauges(&gateway->board->shard[index]);
	return weir_shard_open(shard, &options);
}

void weir_gateway_memory_enter(const struct weir_gateway *gateway, uint32_t shard)
{
	if (gateway->memory_node[shard] != WEIR_CONTROL_NODE_ANY)
		(void)weir_numa_prefer(gateway->memory_node[shard]); /* then it lies where it may */
}

void weir_gateway_memory_leave(const struct weir_gateway *gateway)
{
	if (gateway->memory_node[0] != WEIR_CONTROL_NODE_ANY) /* of all shards or of none */
		(void)weir_numa_prefer_own();
}

static int open_shard_at_home(struct weir_gateway *gateway, uint32_t index, uint16_t cpu)
{
	int result;

	weir_gateway_memory_enter(gateway, index);
	result = open_shard(gateway, index, cpu);
	weir_gateway_memory_leave(gateway);
	return result;
}

static int run_shard(struct weir_gateway *gateway, uint32_t index)
{
	pthread_attr_t attributes;
	int result = pthread_attr_init(&attributes);

	if (result == 0)
		result = pthread_attr_setstacksize(&attributes, SHARD_STACK_BYTES);
	if (result == 0)
		result = pthread_create(&gateway->thread[index], &attributes, weir_shard_run, gateway->shard[index]);
	return -result;
}

/* Without them calls leave no records. */
static void activations_open(struct weir_gateway *gateway, const struct weir_control *control,
			     struct weir_control_fds *fds)
{
	uint32_t shard_count = 0;

	if (fds->count < 4)
		return;
	if (weir_activations_attach(fds->fd[2], &gateway->activations, &shard_count) != 0 ||
	    shard_count < control->gateway_start.shard_count) {
		weir_log(WEIR_LOG_ERROR, "place of call records refused", "action=\"go on without\"");
		weir_activations_detach(gateway->activations, shard_count);
		gateway->activations = NULL;
		return;
	}
	gateway->activations_bell_fd = fds->fd[3];
	fds->fd[3] = -1;
}

/* GATEWAY_START: map the boards, make the shards, report READY with the shard board. */
static int start(struct weir_gateway *gateway, const struct weir_control *control,
		 struct weir_control_fds *fds)
{
	WEIR_CLEANUP(weir_fd_close) int shard_board_fd = -1;
	size_t board_bytes = 0;
	int result;

	if (gateway->shard_count > 0 || fds->count == 0 || control->gateway_start.shard_count == 0 ||
	    control->gateway_start.shard_count > WEIR_SHARDS_MAX)
		return -EBADMSG;
	result = weir_fd_check_shared(fds->fd[0], sizeof(struct weir_board), &board_bytes);
	if (result != 0)
		return result;
	gateway->board = mmap(NULL, sizeof(struct weir_board), PROT_READ | PROT_WRITE, MAP_SHARED,
			      fds->fd[0], 0);
	if (gateway->board == MAP_FAILED)
		return -errno;
	/* A pick goes by what is in flight alone, without it. */
	if (fds->count > 1 && weir_load_attach(fds->fd[1], &gateway->load) != 0)
		weir_log(WEIR_LOG_ERROR, "load board refused", "action=\"go on without\"");
	activations_open(gateway, control, fds);
	result = weir_shard_board_create(&shard_board_fd, &gateway->shard_board);
	if (result != 0)
		return result;
	gateway->shard_count = control->gateway_start.shard_count;
	memcpy(gateway->memory_node, control->gateway_start.memory_node, sizeof(gateway->memory_node));
	for (uint32_t i = 0; i < gateway->shard_count && result == 0; i++)
		result = open_shard_at_home(gateway, i, control->gateway_start.cpu[i]);
	if (result == 0)
		result = weir_rights_drop(0); /* threads to come have none either */
	for (uint32_t i = 0; i < gateway->shard_count && result == 0; i++)
		result = run_shard(gateway, i);
	if (result != 0)
		return result;
	/* The first message on this socket: it can't be full. */
	return weir_control_send(gateway->control_fd, &(struct weir_control){.kind = WEIR_CONTROL_READY},
				 &shard_board_fd, 1);
}

static void stop(struct weir_gateway *gateway)
{
	if (gateway->stopping)
		return;
	gateway->stopping = true;
	for (uint32_t i = 0; i < gateway->shard_count; i++)
		put(gateway, i, &(struct weir_letter){.kind = WEIR_LETTER_STOP});
}

static int obey(struct weir_gateway *gateway, const struct weir_control *control,
		struct weir_control_fds *fds)
{
	if (control->kind == WEIR_CONTROL_GATEWAY_START)
		return start(gateway, control, fds);
	if (control->kind == WEIR_CONTROL_STOP) {
		stop(gateway);
		return 0;
	}
	if (gateway->shard_count == 0)
		return -EBADMSG; /* nothing else may come before the start */
	if (control->kind == WEIR_CONTROL_LISTEN)
		listen_on(gateway, control, fds);
	else if (control->kind == WEIR_CONTROL_SNAPSHOT)
		take_snapshot(gateway, fds);
	else if (control->kind == WEIR_CONTROL_LINK_OPEN)
		weir_gateway_link_open(gateway, control, fds);
	else if (control->kind == WEIR_CONTROL_LINK_CLOSE)
		weir_gateway_link_close(gateway, control->link.link_id);
	return 0;
}

/* Read the control socket until it is empty. 1 = go on, 0 = the supervisor's side is gone. */
static int read_control(struct weir_gateway *gateway)
{
	for (;;) {
		struct weir_control control;
		struct weir_control_fds fds = {.count = 0};
		int result = weir_control_receive(gateway->control_fd, &control, &fds);

		if (result == -EAGAIN)
			return 1;
		if (result == -EBADMSG || result == -EPROTO) {
			weir_log(WEIR_LOG_ERROR, "control message refused", "error=\"%s\"",
				 strerror(-result));
			continue;
		}
		if (result <= 0)
			return result;
		result = obey(gateway, &control, &fds);
		weir_fd_close_all(fds.fd, fds.count);
		if (result != 0)
			return result;
	}
}

static void report_kill(struct weir_gateway *gateway, const struct weir_letter *letter)
{
	const struct weir_shard_link *part = letter->object;
	struct weir_control control = {
		.kind = WEIR_CONTROL_WORKER_KILL,
		.worker_kill = {.worker_id = part->worker_id, .function_id = letter->value},
	};

	(void)strncpy(control.worker_kill.reason, letter->text, sizeof(control.worker_kill.reason) - 1);
	weir_gateway_tell(gateway, &control);
}

static void open_letter(struct weir_gateway *gateway, const struct weir_letter *letter)
{
	switch ((int)letter->kind) { /* not every kind: the others are for shards */
	case WEIR_LETTER_LINK_OPENED:
	case WEIR_LETTER_LINK_GONE:
	case WEIR_LETTER_LINK_BURIED:
		weir_gateway_link_letter(gateway, letter);
		break;
	case WEIR_LETTER_CONFIG_USED:
		config_used(gateway, letter->object);
		break;
	case WEIR_LETTER_CONFIG_GONE:
		config_gone(gateway, letter->object);
		break;
	case WEIR_LETTER_KILL:
		report_kill(gateway, letter);
		break;
	case WEIR_LETTER_DEMAND:
		weir_gateway_tell(gateway, &(struct weir_control){.kind = WEIR_CONTROL_DEMAND,
								  .demand = {.pool_key = letter->value,
									     .waiting = letter->count,
									     .urgent = letter->urgent,
									     .shard = letter->shard}});
		break;
	case WEIR_LETTER_COLD_START:
		weir_gateway_tell(gateway, &(struct weir_control){.kind = WEIR_CONTROL_COLD_START,
								  .cold_start = {.worker_id = letter->value,
										 .took_ns = letter->took_ns}});
		break;
	case WEIR_LETTER_STOPPED:
		gateway->stopped_count++;
		break;
	default:
		WEIR_ASSERT(!"a letter for a shard");
	}
}

static void read_outbox(struct weir_gateway *gateway)
{
	struct weir_letter letter;
	uint64_t count;

	if (read(gateway->outbox.event_fd, &count, sizeof(count)) == -1)
		WEIR_ASSERT(errno == EAGAIN || errno == EINTR);
	while (weir_mailbox_take(&gateway->outbox, &letter))
		open_letter(gateway, &letter);
}

/* Wait for the socket, the shards' letters and the workers' ends; handle what came. */
static int step(struct weir_gateway *gateway)
{
	static struct pollfd poll_fd[2 + WEIR_GATEWAY_LINKS_MAX];
	static struct weir_gateway_link *polled[WEIR_GATEWAY_LINKS_MAX];
	uint32_t link_count = 0;

	poll_fd[0] = (struct pollfd){.fd = gateway->control_fd, .events = POLLIN};
	if (gateway->owed_head != gateway->owed_tail)
		poll_fd[0].events |= POLLOUT;
	poll_fd[1] = (struct pollfd){.fd = gateway->outbox.event_fd, .events = POLLIN};
	for (uint32_t i = 0; i < gateway->link_count; i++) {
		if (gateway->link[i]->dead)
			continue;
		polled[link_count] = gateway->link[i];
		poll_fd[2 + link_count++] =
			(struct pollfd){.fd = gateway->link[i]->pid_fd, .events = POLLIN};
	}
	if (poll(poll_fd, 2 + link_count, -1) == -1)
		return errno == EINTR ? 1 : -errno;
	for (uint32_t i = 0; i < link_count; i++) { /* before letters, which may free links */
		if (poll_fd[2 + i].revents)
			weir_gateway_link_died(gateway, polled[i]);
	}
	if (poll_fd[1].revents)
		read_outbox(gateway);
	pay_owed(gateway);
	return poll_fd[0].revents & ~POLLOUT ? read_control(gateway) : 1;
}

static void join_shards(struct weir_gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->shard_count; i++)
		WEIR_ASSERT(pthread_join(gateway->thread[i], NULL) == 0);
}

int weir_gateway_run(int control_fd)
{
	static struct weir_gateway gateway;
	int result;

	gateway.control_fd = control_fd;
	gateway.pending_snapshot_fd = -1;
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
	result = weir_mailbox_open(&gateway.outbox);
	while (result >= 0) {
		result = step(&gateway);
		if (result == 0)
			return 0; /* the supervisor is gone for good: the process ends as it is */
		if (gateway.stopping && gateway.stopped_count == gateway.shard_count) {
			join_shards(&gateway);
			return 0;
		}
	}
	weir_log(WEIR_LOG_ERROR, "cannot go on", "error=\"%s\"", strerror(-result));
	return result;
}
