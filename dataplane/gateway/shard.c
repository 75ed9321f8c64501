#include "dataplane/gateway/shard.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/cpu.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/log.h"
#include "dataplane/gateway/body.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/queues.h"
#include "dataplane/gateway/scores.h"
#include "dataplane/gateway/wait.h"
#include "dataplane/http/http_response.h"

enum {
	SUBMISSIONS = 4096,
	COMPLETIONS = 16384,
	EXCHANGES_EXTRA = 16384, /* over one per connection: pipelined ones */
	STOOD_STILL_MS = 500,    /* so late a wake-up is worth a line in the log */
	ACCEPT_RETRY_MS = 100,   /* after running out of descriptors */
};

void *weir_shard_reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

enum ring_mode { RING_DEFERRED, RING_COOPERATIVE, RING_PLAIN, RING_MODES };

static const struct {
	const char *name;
	unsigned flags;
} ring_mode[RING_MODES] = {
	[RING_DEFERRED] = {"deferred", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
	[RING_COOPERATIVE] = {"cooperative",
			      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
	[RING_PLAIN] = {"plain", 0},
};

/* The mode that a test wants is the first that is tried. */
static enum ring_mode first_mode(void)
{
	if (WEIR_FAULT_FAILS(gateway_ring_plain))
		return RING_PLAIN;
	return WEIR_FAULT_FAILS(gateway_ring_cooperative) ? RING_COOPERATIVE : RING_DEFERRED;
}

/* The flags that fit this kernel: 6.1 has them all, older ones get what they take. */
static int open_ring(struct io_uring *ring, enum ring_mode *out_mode)
{
	int result = -EINVAL;

	for (enum ring_mode mode = first_mode(); mode < RING_MODES && result == -EINVAL; mode++) {
		struct io_uring_params params = {
			.flags = ring_mode[mode].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
				 IORING_SETUP_R_DISABLED,
			.cq_entries = COMPLETIONS,
		};

		if (!(ring_mode[mode].flags & IORING_SETUP_SINGLE_ISSUER))
			params.flags &= ~(unsigned)IORING_SETUP_R_DISABLED;
		result = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
		*out_mode = mode;
	}
	return result;
}

/* Kernels count a ring's memory against a limit of the user, whatever else is free. */
static void memory_say(const struct weir_shard *shard)
{
	struct rlimit limit = {.rlim_cur = 0};

	(void)getrlimit(RLIMIT_MEMLOCK, &limit); /* 0 is shown where it fails */
	weir_log(WEIR_LOG_ERROR, "no memory for a ring: raise the limit on locked memory (ulimit -l), "
		 "which all instances of a user share", "shard=%u limit_kib=%llu", shard->index,
		 (unsigned long long)limit.rlim_cur / 1024);
}

static int open_buffers(struct weir_shard *shard)
{
	const size_t ring_bytes = WEIR_GATEWAY_RECEIVE_BUFFERS * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg registration = {.ring_entries = WEIR_GATEWAY_RECEIVE_BUFFERS};
	int result;

	shard->receive_ring = weir_shard_reserve(ring_bytes);
	shard->receive_memory =
		weir_shard_reserve((size_t)WEIR_GATEWAY_RECEIVE_BUFFERS * WEIR_GATEWAY_RECEIVE_BYTES);
	if (!shard->receive_ring || !shard->receive_memory)
		return -ENOMEM;
	registration.ring_addr = (uintptr_t)shard->receive_ring;
	result = io_uring_register_buf_ring(&shard->ring, &registration, 0);
	if (result != 0)
		return result;
	io_uring_buf_ring_init(shard->receive_ring);
	for (uint32_t i = 0; i < WEIR_GATEWAY_RECEIVE_BUFFERS; i++)
		weir_shard_buffer_return(shard, (uint16_t)i);
	io_uring_buf_ring_advance(shard->receive_ring, WEIR_GATEWAY_RECEIVE_BUFFERS);
	shard->receive_returned = 0;
	return 0;
}

int weir_shard_open(struct weir_shard *shard, const struct weir_shard_options *options)
{
	enum ring_mode mode = RING_DEFERRED;
	int result;

	shard->index = options->index;
	shard->shard_count = options->shard_count;
	shard->cpu = options->cpu;
	shard->sleep_line = options->sleep_line;
	shard->metric = options->metric;
	shard->load = options->load;
	shard->outbox = options->outbox;
	weir_scores_open(shard, options->board);
	weir_queues_open(shard, options->board);
	if (options->activations)
		weir_activation_tx_open(&shard->activations, options->activations, shard->index,
					options->activations_bell_fd);
	shard->connections_limit = options->connections_max;
	shard->exchanges_limit = options->connections_max + EXCHANGES_EXTRA;
	shard->connections = weir_shard_reserve(shard->connections_limit * sizeof(*shard->connections));
	shard->exchanges = weir_shard_reserve(shard->exchanges_limit * sizeof(*shard->exchanges));
	shard->functions = weir_shard_reserve(WEIR_GATEWAY_FUNCTIONS_MAX * sizeof(*shard->functions));
	shard->function_cell = weir_shard_reserve(WEIR_GATEWAY_FUNCTIONS_MAX * sizeof(*shard->function_cell));
	if (!shard->connections || !shard->exchanges || !shard->functions || !shard->function_cell)
		return -ENOMEM;
	result = weir_block_pool_open(&shard->blocks);
	if (result == 0)
		result = weir_nested_open(shard);
	if (result == 0)
		result = weir_id_source_open(&shard->id_source);
	if (result == 0)
		result = weir_mailbox_open(&shard->inbox);
	if (result == 0)
		result = open_ring(&shard->ring, &mode);
	if (result == 0 && shard->index == 0) /* as all are */
		weir_log(WEIR_LOG_INFO, "io_uring", "mode=%s features=%#x", ring_mode[mode].name, shard->ring.features);
	if (result == -ENOMEM)
		memory_say(shard);
	if (result == 0)
		result = open_buffers(shard);
	shard->now_ns = weir_clock_now_ns();
	weir_timer_wheel_open(&shard->wheel, shard->now_ns);
	return result;
}

struct io_uring_sqe *weir_shard_sqe(struct weir_shard *shard)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&shard->ring);

	while (!sqe) {
		const int result = io_uring_submit(&shard->ring);

		/* -EBUSY: completions overflow; they are flushed when the turn ends. */
		WEIR_ASSERT(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
		if (result == -EBUSY)
			(void)io_uring_get_events(&shard->ring); /* the next submit tells */
		sqe = io_uring_get_sqe(&shard->ring);
	}
	return sqe;
}

void weir_shard_buffer_return(struct weir_shard *shard, uint16_t buffer)
{
	io_uring_buf_ring_add(shard->receive_ring,
			      shard->receive_memory + (size_t)buffer * WEIR_GATEWAY_RECEIVE_BYTES,
			      WEIR_GATEWAY_RECEIVE_BYTES, buffer,
			      io_uring_buf_ring_mask(WEIR_GATEWAY_RECEIVE_BUFFERS),
			      (int)shard->receive_returned);
	shard->receive_returned++;
}

const char *weir_shard_date(struct weir_shard *shard)
{
	if (shard->now_ns >= shard->date_until_ns) {
		weir_http_date_format((int64_t)time(NULL), shard->date);
		shard->date_until_ns = shard->now_ns + WEIR_NS_PER_SECOND / 2;
	}
	return shard->date;
}

void weir_shard_tell(struct weir_shard *shard, const struct weir_letter *letter)
{
	struct weir_letter signed_letter = *letter;

	signed_letter.shard = shard->index;
	if (!weir_mailbox_put(shard->outbox, &signed_letter))
		weir_log(WEIR_LOG_ERROR, "letter to the control thread lost", "shard=%u kind=%d",
			 shard->index, (int)letter->kind);
}

static void arm_accept(struct weir_shard *shard, uint32_t index)
{
	struct weir_listener *listener = &shard->listener[index];
	struct io_uring_sqe *sqe;

	if (listener->armed || !shard->config || shard->stopping)
		return;
	sqe = weir_shard_sqe(shard);
	io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_ACCEPT, index));
	listener->armed = true;
}

static void arm_all_accepts(struct weir_shard *shard)
{
	shard->accept_paused = false;
	for (uint32_t i = 0; i < shard->listener_count; i++)
		arm_accept(shard, i);
}

static void accepted(struct weir_shard *shard, uint32_t index, const struct io_uring_cqe *cqe)
{
	struct weir_listener *listener = &shard->listener[index];

	if (cqe->res >= 0)
		weir_connection_open(shard, cqe->res, listener->local);
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	listener->armed = false;
	if (cqe->res == -EMFILE || cqe->res == -ENFILE || cqe->res == -ENOMEM || cqe->res == -ENOBUFS) {
		if (!shard->accept_paused)
			weir_log(WEIR_LOG_WARN, "cannot accept", "shard=%u error=\"%s\"", shard->index,
				 strerror(-cqe->res));
		shard->accept_paused = true;
		shard->accept_retry_ns = shard->now_ns + ACCEPT_RETRY_MS * WEIR_NS_PER_MS;
		return;
	}
	arm_accept(shard, index);
}

static void arm_inbox(struct weir_shard *shard)
{
	struct io_uring_sqe *sqe = weir_shard_sqe(shard);

	io_uring_prep_poll_multishot(sqe, shard->inbox.event_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_INBOX, 0));
}

static void begin_stop(struct weir_shard *shard)
{
	shard->stopping = true;
	for (uint32_t i = 0; i < shard->listener_count; i++) {
		struct io_uring_sqe *sqe;

		if (!shard->listener[i].armed)
			continue;
		sqe = weir_shard_sqe(shard);
		io_uring_prep_cancel64(sqe, weir_shard_data(WEIR_OPERATION_ACCEPT, i), 0);
		io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_IGNORE, 0));
	}
	weir_dispatch_fail_all(shard, WEIR_HTTP_SHUTTING_DOWN);
	/* Idle connections end now, the others after their answer. */
	for (uint32_t i = 0; i < shard->connections_fresh; i++) {
		if (shard->connections[i].fd >= 0)
			weir_connection_mark(shard, &shard->connections[i]);
	}
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used); /* cannot fail for the own thread */
	return (uint64_t)used.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* Route by a new snapshot from here on. What that costs this thread is counted: it must not depend
 * on the snapshot's size. */
static void take_config(struct weir_shard *shard, struct weir_config *config)
{
	const uint64_t began_ns = thread_cpu_ns();
	struct weir_config *before = shard->config;

	shard->config = config;
	shard->config_count++;
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_CONFIG_USED, .object = config});
	if (before)
		weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_CONFIG_GONE,
							     .object = before});
	arm_all_accepts(shard);
	weir_shard_count(shard, WEIR_METRIC_config_switches, 1);
	weir_shard_count(shard, WEIR_METRIC_config_switch_ns, (int64_t)(thread_cpu_ns() - began_ns));
}

static void open_letter(struct weir_shard *shard, const struct weir_letter *letter)
{
	switch (letter->kind) {
	case WEIR_LETTER_LISTEN:
		WEIR_ASSERT(shard->listener_count < WEIR_GATEWAY_LISTENERS_MAX);
		shard->listener[shard->listener_count++] =
			(struct weir_listener){.fd = letter->fd, .local = letter->value != 0};
		arm_all_accepts(shard);
		break;
	case WEIR_LETTER_LINK_OPEN:
		weir_shard_tell(shard, &(struct weir_letter){
					       .kind = weir_link_open(shard, letter->object)
							       ? WEIR_LETTER_LINK_OPENED
							       : WEIR_LETTER_LINK_GONE,
					       .object = letter->object});
		break;
	case WEIR_LETTER_LINK_DRAIN:
		weir_link_drain(shard, letter->object);
		break;
	case WEIR_LETTER_LINK_DEAD:
		weir_link_died(shard, letter->object, letter->value != 0);
		break;
	case WEIR_LETTER_LINK_BURY:
		weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_LINK_BURIED,
							     .object = letter->object});
		break;
	case WEIR_LETTER_SNAPSHOT:
		take_config(shard, letter->object);
		break;
	case WEIR_LETTER_STOP:
		begin_stop(shard);
		break;
	case WEIR_LETTER_LINK_OPENED:
	case WEIR_LETTER_LINK_GONE:
	case WEIR_LETTER_LINK_BURIED:
	case WEIR_LETTER_CONFIG_GONE:
	case WEIR_LETTER_CONFIG_USED:
	case WEIR_LETTER_KILL:
	case WEIR_LETTER_DEMAND:
	case WEIR_LETTER_COLD_START:
	case WEIR_LETTER_STOPPED:
		WEIR_ASSERT(!"a letter for the control thread");
	}
}

static void read_inbox(struct weir_shard *shard, const struct io_uring_cqe *cqe)
{
	struct weir_letter letter;
	uint64_t count;

	if (read(shard->inbox.event_fd, &count, sizeof(count)) == -1) /* EAGAIN: read before */
		WEIR_ASSERT(errno == EAGAIN || errno == EINTR);
	while (weir_mailbox_take(&shard->inbox, &letter))
		open_letter(shard, &letter);
	if (!(cqe->flags & IORING_CQE_F_MORE))
		arm_inbox(shard);
}

static void complete(struct weir_shard *shard, const struct io_uring_cqe *cqe)
{
	const uint32_t index = (uint32_t)cqe->user_data;
	struct weir_connection *connection = &shard->connections[index];

	switch ((enum weir_operation)(cqe->user_data >> 56)) {
	case WEIR_OPERATION_ACCEPT:
		accepted(shard, index, cqe);
		break;
	case WEIR_OPERATION_RECEIVE:
		weir_connection_received(shard, connection, cqe);
		break;
	case WEIR_OPERATION_RECEIVE_BODY:
		weir_body_received(shard, connection, cqe->res);
		break;
	case WEIR_OPERATION_SEND:
		shard->sends_seen++;
		weir_output_sent(shard, connection, cqe->res);
		break;
	case WEIR_OPERATION_CONNECTION:
		weir_connection_operation_done(shard, connection);
		break;
	case WEIR_OPERATION_LINK: /* its messages are taken below, with everybody's */
		if (!(cqe->flags & IORING_CQE_F_MORE))
			weir_link_poll_ended(shard, shard->link[index]);
		break;
	case WEIR_OPERATION_INBOX:
		read_inbox(shard, cqe);
		break;
	case WEIR_OPERATION_CLOSE:
	case WEIR_OPERATION_IGNORE:
		break;
	}
}

/* Take what the kernel completed, but no more requests than fit the caches together with their
 * answers: the others' bytes wait where they were received. */
static void take_completions(struct weir_shard *shard)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe (&shard->ring, head, cqe) {
		if (shard->bound_in_batch >= WEIR_SHARD_BATCH_CALLS_MAX)
			break;
		complete(shard, cqe);
		count++;
	}
	io_uring_cq_advance(&shard->ring, count);
}

static void run_other_timer(struct weir_shard *shard, struct weir_timer *timer)
{
	struct weir_connection *nested = weir_nested_of_timer(shard, timer);

	if (nested)
		weir_connection_timer(shard, nested);
	else
		weir_link_timer(shard, (void *)((char *)timer - offsetof(struct weir_shard_link, timer)));
}

static void run_timers(struct weir_shard *shard)
{
	struct weir_timer *timer;

	if (shard->accept_paused && shard->now_ns >= shard->accept_retry_ns)
		arm_all_accepts(shard);
	while ((timer = weir_timer_pop(&shard->wheel, shard->now_ns)) != NULL) {
		const char *at = (const char *)timer;
		const char *first = (const char *)shard->connections;

		/* Kinds of owner; connections lie in one array. */
		if (at >= first && at < (const char *)(shard->connections + shard->connections_limit))
			weir_connection_timer(shard,
					      &shard->connections[(size_t)(at - first) /
								  sizeof(*shard->connections)]);
		else
			run_other_timer(shard, timer);
	}
}

static void finish_connections(struct weir_shard *shard)
{
	while (shard->flush_first) {
		struct weir_connection *connection = shard->flush_first;

		shard->flush_first = connection->next;
		connection->in_flush = false;
		weir_connection_turn(shard, connection);
	}
	if (shard->receive_returned > 0) {
		io_uring_buf_ring_advance(shard->receive_ring, (int)shard->receive_returned);
		shard->receive_returned = 0;
	}
}

static void trim_when_idle(struct weir_shard *shard)
{
	if (shard->blocks.used == 0 && shard->blocks.fresh_large > 0 &&
	    shard->now_ns - shard->trimmed_ns > 10 * WEIR_NS_PER_SECOND) {
		weir_block_pool_trim(&shard->blocks);
		shard->trimmed_ns = shard->now_ns;
	}
	atomic_store_explicit(&shard->metric[WEIR_METRIC_buffers_used], shard->blocks.used,
			      memory_order_relaxed);
}

/* A thread that comes back much later than its sleep was to last did not get its CPU, or the turn
 * before it took that long; every client of the shard felt it. */
static void check_late(struct weir_shard *shard, uint64_t turn_began_ns)
{
	const uint64_t due_ns = shard->wake_by_ns != 0 ? shard->wake_by_ns : turn_began_ns;

	if (shard->now_ns <= due_ns + STOOD_STILL_MS * WEIR_NS_PER_MS)
		return;
	shard->stood_still_ns = shard->now_ns;
	weir_log(WEIR_LOG_WARN, "shard stood still", "shard=%u cpu=%u ms=%lu", shard->index, shard->cpu,
		 (unsigned long)((shard->now_ns - due_ns) / WEIR_NS_PER_MS));
}

static void turn(struct weir_shard *shard)
{
	const uint64_t turn_began_ns = shard->now_ns;

	shard->now_ns = weir_clock_now_ns();
	check_late(shard, turn_began_ns);
	weir_pick_turn(shard);
	take_completions(shard);
	weir_wait_check_sends(shard);
	weir_link_poll_all(shard);
	run_timers(shard);
	if (shard->waiting_count > 0)
		weir_dispatch_waiting(shard);
	finish_connections(shard);
	weir_link_publish_all(shard);
	weir_activation_publish(&shard->activations);
	trim_when_idle(shard);
}

void *weir_shard_run(void *argument)
{
	struct weir_shard *shard = argument;
	char name[16];
	int result;

	(void)snprintf(name, sizeof(name), "shard/%u", shard->index);
	(void)pthread_setname_np(pthread_self(), name); /* cosmetic */
	result = weir_cpu_bind(shard->cpu);
	if (result != 0)
		weir_log(WEIR_LOG_WARN, "cannot bind to its CPU", "shard=%u cpu=%u error=\"%s\"",
			 shard->index, shard->cpu, strerror(-result));
	/* From here this thread alone submits. liburing 2.3 declares io_uring_enable_rings() but does
	 * not export it. EBADFD: the ring was never disabled (old kernel). */
	if (syscall(__NR_io_uring_register, shard->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
		WEIR_ASSERT(errno == EBADFD);
	arm_inbox(shard);
	shard->now_ns = weir_clock_now_ns();
	while (!(shard->stopping && shard->connection_count + shard->nested_count == 0)) {
		weir_wait_for_work(shard);
		turn(shard);
	}
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_STOPPED});
	return NULL;
}
