#include "dataplane/gateway/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/answer.h"
#include "dataplane/gateway/body.h"
#include "dataplane/gateway/error_answer.h"
#include "dataplane/gateway/input.h"
#include "dataplane/gateway/nested.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/shard.h"

enum {
	LINGER_MS = 2000,           /* how long a closed connection's input is drained */
	LINGER_BYTES_MAX = 1 << 20, /* and how much of it */
};

static void write_peer(struct weir_connection *connection)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	const void *raw = NULL;

	connection->peer_bytes = (uint8_t)snprintf(connection->peer, sizeof(connection->peer), "unix");
	if (connection->local ||
	    getpeername(connection->fd, (struct sockaddr *)&address, &bytes) == -1)
		return; /* a client that is gone already will be noticed on receive */
	if (address.ss_family == AF_INET)
		raw = &((struct sockaddr_in *)(void *)&address)->sin_addr;
	else if (address.ss_family == AF_INET6)
		raw = &((struct sockaddr_in6 *)(void *)&address)->sin6_addr;
	if (raw && inet_ntop(address.ss_family, raw, connection->peer, sizeof(connection->peer)))
		connection->peer_bytes = (uint8_t)strnlen(connection->peer, sizeof(connection->peer));
}

/* This shard's part of the setting, or all that the descriptor limit allows. */
static uint32_t connections_max(const struct weir_shard *shard)
{
	const uint32_t all = shard->config->settings->connections_max;
	const uint32_t part = all > shard->shard_count ? all / shard->shard_count : 1;

	return all > 0 && part < shard->connections_limit ? part : shard->connections_limit;
}

static struct weir_connection *take_entry(struct weir_shard *shard)
{
	struct weir_connection *connection = shard->connections_free;
	uint32_t index;

	if (shard->stopping || shard->connection_count >= connections_max(shard))
		return NULL;
	if (connection) {
		shard->connections_free = connection->next;
		index = connection->index;
	} else if (shard->connections_fresh == shard->connections_limit) {
		return NULL; /* some that were released are still on this turn's list */
	} else {
		index = shard->connections_fresh++;
		connection = &shard->connections[index];
	}
	*connection = (struct weir_connection){.index = index, .fd = -1};
	shard->connection_count++;
	return connection;
}

void weir_connection_open(struct weir_shard *shard, int fd, bool local)
{
	struct weir_connection *connection = take_entry(shard);

	weir_shard_count(shard, WEIR_METRIC_connections_accepted, 1);
	if (!connection) {
		const size_t bytes =
			weir_error_answer_refused(shard, shard->scratch, sizeof(shard->scratch));

		weir_shard_count(shard, WEIR_METRIC_connections_refused, 1);
		/* One try: a client that can't take 500 bytes at once learns it from the close. */
		(void)send(fd, shard->scratch, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)close(fd); /* nothing to do about a failing close */
		return;
	}
	connection->fd = fd;
	connection->local = local;
	write_peer(connection);
	weir_shard_count(shard, WEIR_METRIC_connections, 1);
	connection->phase_deadline_ns =
		shard->now_ns + shard->config->settings->keep_alive_ms * WEIR_NS_PER_MS;
	weir_connection_watch(shard, connection, connection->phase_deadline_ns);
	weir_connection_receive_start(shard, connection);
}

void weir_connection_receive_start(struct weir_shard *shard, struct weir_connection *connection)
{
	struct io_uring_sqe *sqe;

	if (connection->receiving || connection->closing || connection->input_ended ||
	    connection->paused || connection->streaming)
		return;
	sqe = weir_shard_sqe(shard);
	io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_RECEIVE, connection->index));
	connection->receiving = true;
	connection->operations++;
}

void weir_connection_receive_stop(struct weir_shard *shard, struct weir_connection *connection)
{
	struct io_uring_sqe *sqe;

	if (!connection->receiving || connection->receive_stopping || connection->closing)
		return;
	sqe = weir_shard_sqe(shard);
	io_uring_prep_cancel64(sqe, weir_shard_data(WEIR_OPERATION_RECEIVE, connection->index), 0);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_CONNECTION, connection->index));
	connection->operations++;
	connection->receive_stopping = true;
}

static void take_bytes(struct weir_shard *shard, struct weir_connection *connection, const char *data,
		       uint32_t bytes)
{
	weir_shard_count(shard, WEIR_METRIC_bytes_in, bytes);
	if (connection->phase != WEIR_PHASE_LINGER) {
		weir_input_bytes(shard, connection, data, bytes);
		return;
	}
	connection->lingered_bytes += bytes;
	if (connection->lingered_bytes > LINGER_BYTES_MAX)
		weir_connection_abort(shard, connection);
}

void weir_connection_received(struct weir_shard *shard, struct weir_connection *connection,
			      const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		const uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

		if (cqe->res > 0 && !connection->closing)
			take_bytes(shard, connection,
				   shard->receive_memory + (size_t)buffer * WEIR_GATEWAY_RECEIVE_BYTES,
				   (uint32_t)cqe->res);
		weir_shard_buffer_return(shard, buffer);
	}
	if (cqe->res == 0)
		connection->input_ended = true;
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	connection->receiving = false;
	connection->receive_stopping = false;
	if (cqe->res < 0 && cqe->res != -ENOBUFS && cqe->res != -ECANCELED && cqe->res != -EINTR &&
	    cqe->res != -EAGAIN)
		weir_connection_abort(shard, connection);
	else
		weir_connection_mark(shard, connection);
	weir_connection_operation_done(shard, connection);
}

/* The last operation of a closing connection is done: nothing of the kernel points here. */
static void release(struct weir_shard *shard, struct weir_connection *connection)
{
	struct io_uring_sqe *sqe = weir_shard_sqe(shard);

	io_uring_prep_close(sqe, connection->fd);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_CLOSE, connection->index));
	connection->fd = -1;
	weir_timer_disarm(&shard->wheel, &connection->timer);
	if (connection->out_first)
		connection->out_first->sending = 0;
	weir_block_give_chain(&shard->blocks, connection->in_first);
	weir_block_give_chain(&shard->blocks, connection->out_first);
	weir_block_give(&shard->blocks, connection->head_parser);
	connection->in_first = NULL;
	connection->out_first = NULL;
	connection->head_parser = NULL;
	shard->connection_count--;
	weir_shard_count(shard, WEIR_METRIC_connections, -1);
	if (!connection->in_flush) {
		connection->next = shard->connections_free;
		shard->connections_free = connection;
	} else {
		connection->special = WEIR_CONNECTION_RELEASED; /* the turn's list still holds it */
	}
}

void weir_connection_operation_done(struct weir_shard *shard, struct weir_connection *connection)
{
	WEIR_ASSERT(connection->operations > 0);
	connection->operations--;
	if (connection->closing && connection->operations == 0)
		release(shard, connection);
}

void weir_connection_abort(struct weir_shard *shard, struct weir_connection *connection)
{
	struct io_uring_sqe *sqe;

	if (connection->closing)
		return;
	if (connection->special & WEIR_CONNECTION_NESTED) {
		weir_nested_cut(shard, connection);
		return;
	}
	connection->closing = true;
	while (connection->exchanges.first)
		weir_exchange_destroy(shard, connection->exchanges.first);
	connection->streaming = NULL;
	if (connection->operations == 0) {
		/* Leave by way of an operation, so that callers up the stack still have the entry. */
		sqe = weir_shard_sqe(shard);
		io_uring_prep_nop(sqe);
	} else {
		sqe = weir_shard_sqe(shard);
		io_uring_prep_cancel_fd(sqe, connection->fd, IORING_ASYNC_CANCEL_ALL);
	}
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_CONNECTION, connection->index));
	connection->operations++;
}

void weir_connection_mark(struct weir_shard *shard, struct weir_connection *connection)
{
	if (connection->in_flush || connection->closing)
		return;
	connection->in_flush = true;
	connection->next = shard->flush_first;
	shard->flush_first = connection;
}

/* Everything is sent and nothing more will be: say so, and read until the client has seen it, so
 * that a reset does not destroy the last answer on its way (RFC 9112 section 9.6). */
static void finish(struct weir_shard *shard, struct weir_connection *connection)
{
	struct io_uring_sqe *sqe;

	if (connection->input_ended) {
		weir_connection_abort(shard, connection);
		return;
	}
	if (connection->phase == WEIR_PHASE_LINGER) {
		weir_connection_receive_start(shard, connection);
		return;
	}
	weir_block_give_chain(&shard->blocks, connection->in_first);
	connection->in_first = NULL;
	connection->in_last = NULL;
	connection->phase = WEIR_PHASE_LINGER;
	connection->phase_deadline_ns = shard->now_ns + LINGER_MS * WEIR_NS_PER_MS;
	weir_connection_watch(shard, connection, connection->phase_deadline_ns);
	sqe = weir_shard_sqe(shard);
	io_uring_prep_shutdown(sqe, connection->fd, SHUT_WR);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_CONNECTION, connection->index));
	connection->operations++;
	connection->paused = false;
	weir_connection_receive_start(shard, connection);
}

/* Bring finished answers into the output, in order. */
static void advance(struct weir_shard *shard, struct weir_connection *connection)
{
	while (connection->exchanges.first && !connection->closing) {
		struct weir_exchange *exchange = connection->exchanges.first;

		if (!weir_answer_progress(shard, exchange))
			return;
		if (exchange->keep_alive && !(exchange->stream && !exchange->body_ended)) {
			weir_exchange_destroy(shard, exchange);
			connection->need_bytes = 0; /* a small body may wait for "100 Continue" */
			continue;
		}
		/* Requests behind the last one that may be answered are not answered. */
		connection->close_after = true;
		while (connection->exchanges.first)
			weir_exchange_destroy(shard, connection->exchanges.first);
	}
}

static bool has_output(const struct weir_connection *connection)
{
	return connection->sending || connection->out_bytes > 0;
}

static void turn_special(struct weir_shard *shard, struct weir_connection *connection)
{
	if (connection->special & WEIR_CONNECTION_NESTED) {
		weir_nested_turn(shard, connection);
		return;
	}
	connection->special = 0;
	connection->next = shard->connections_free;
	shard->connections_free = connection;
}

void weir_connection_turn(struct weir_shard *shard, struct weir_connection *connection)
{
	if (connection->special != 0) {
		turn_special(shard, connection);
		return;
	}
	do {
		advance(shard, connection);
		if (connection->closing)
			return;
		if (connection->paused &&
		    connection->exchange_count < shard->config->settings->pipeline_max)
			connection->paused = false;
	} while (weir_input_resume(shard, connection));
	if (connection->closing)
		return;
	weir_output_flush(shard, connection);
	if (connection->closing)
		return;
	if (!connection->exchanges.first && !has_output(connection)) {
		if (connection->close_after || connection->input_ended || shard->stopping) {
			finish(shard, connection);
			return;
		}
		if (connection->phase == WEIR_PHASE_IDLE && !connection->in_first) {
			connection->phase_deadline_ns =
				shard->now_ns + shard->config->settings->keep_alive_ms * WEIR_NS_PER_MS;
			weir_connection_watch(shard, connection, connection->phase_deadline_ns);
		}
	}
	weir_connection_receive_start(shard, connection);
}

void weir_connection_watch(struct weir_shard *shard, struct weir_connection *connection,
			   uint64_t deadline_ns)
{
	weir_timer_arm(&shard->wheel, &connection->timer, deadline_ns);
}

/* The reading deadline passed. */
static void phase_expired(struct weir_shard *shard, struct weir_connection *connection)
{
	struct weir_exchange *exchange = connection->streaming;

	connection->phase_deadline_ns = 0;
	switch ((enum weir_phase)connection->phase) {
	case WEIR_PHASE_IDLE:
	case WEIR_PHASE_LINGER:
		if (!connection->exchanges.first && !has_output(connection))
			weir_connection_abort(shard, connection);
		return;
	case WEIR_PHASE_STREAM:
		if (exchange)
			weir_exchange_fail(shard, exchange, WEIR_HTTP_BODY_TIMEOUT,
					   (struct weir_span){0});
		return;
	case WEIR_PHASE_HEAD:
	case WEIR_PHASE_BODY:
		connection->close_after = true;
		exchange = weir_exchange_create(shard, connection);
		if (!exchange) {
			weir_connection_abort(shard, connection);
			return;
		}
		exchange->minor = 1;
		weir_exchange_fail(shard, exchange,
				   connection->phase == WEIR_PHASE_HEAD ? WEIR_HTTP_HEAD_TIMEOUT
									: WEIR_HTTP_BODY_TIMEOUT,
				   (struct weir_span){0});
		connection->phase = WEIR_PHASE_IDLE;
		return;
	}
}

/* Is this exchange still in the hands of a function or a queue? */
static bool is_running(const struct weir_exchange *exchange)
{
	return exchange->failure == WEIR_HTTP_OK && !exchange->answer_ended;
}

void weir_connection_timer(struct weir_shard *shard, struct weir_connection *connection)
{
	uint64_t next_ns = UINT64_MAX;
	struct weir_exchange *exchange, *following;

	if (connection->closing)
		return;
	if (connection->send_deadline_ns != 0 && connection->send_deadline_ns <= shard->now_ns) {
		if (weir_output_is_slow(shard, connection)) {
			weir_connection_abort(shard, connection);
			return;
		}
		weir_output_watch(shard, connection);
	}
	if (connection->phase_deadline_ns != 0 && connection->phase_deadline_ns <= shard->now_ns)
		phase_expired(shard, connection);
	for (exchange = connection->exchanges.first; exchange && !connection->closing;
	     exchange = following) {
		following = exchange->next;
		if (!is_running(exchange))
			continue;
		if (exchange->deadline_ns <= shard->now_ns)
			weir_exchange_expire(shard, exchange);
		else if (exchange->deadline_ns < next_ns)
			next_ns = exchange->deadline_ns;
	}
	if (connection->closing)
		return;
	if (connection->send_deadline_ns != 0 && connection->send_deadline_ns < next_ns)
		next_ns = connection->send_deadline_ns;
	if (connection->phase_deadline_ns != 0 && connection->phase_deadline_ns < next_ns)
		next_ns = connection->phase_deadline_ns;
	if (next_ns != UINT64_MAX)
		weir_connection_watch(shard, connection, next_ns);
}
