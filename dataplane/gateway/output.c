#include "dataplane/gateway/output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/answer.h"
#include "dataplane/gateway/shard.h"

enum { MEASURE_AFTER_MS = 1000 };

char *weir_output_reserve(struct weir_shard *shard, struct weir_connection *connection, size_t bytes)
{
	struct weir_block *block = connection->out_last;

	if (block && weir_block_room(block) >= bytes)
		return block->data + block->end;
	block = weir_block_take(&shard->blocks, bytes);
	if (!block)
		return NULL;
	*(connection->out_last ? &connection->out_last->next : &connection->out_first) = block;
	connection->out_last = block;
	return block->data;
}

void weir_output_commit(struct weir_connection *connection, size_t bytes)
{
	WEIR_DEBUG_ASSERT(connection->out_last && weir_block_room(connection->out_last) >= bytes);
	connection->out_last->end += (uint32_t)bytes;
	connection->out_bytes += (uint32_t)bytes;
}

bool weir_output_append(struct weir_shard *shard, struct weir_connection *connection,
			const void *data, size_t bytes)
{
	char *out = weir_output_reserve(shard, connection, bytes);

	if (!out)
		return false;
	memcpy(out, data, bytes);
	weir_output_commit(connection, bytes);
	return true;
}

bool weir_output_continue(struct weir_shard *shard, struct weir_connection *connection)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!weir_output_append(shard, connection, interim, sizeof(interim) - 1))
		return false;
	weir_shard_count(shard, WEIR_METRIC_responses_1xx, 1);
	return true;
}

/* The piece that may be sent behind the copied bytes: of the first exchange, if all else that comes
 * before it is in the only block. */
static struct weir_exchange *piece_to_send(struct weir_connection *connection)
{
	struct weir_exchange *exchange = connection->exchanges.first;

	if (!exchange || exchange->piece_count == 0 || !exchange->piece_ready)
		return NULL;
	if (connection->out_first && connection->out_first->next)
		return NULL;
	return exchange;
}

static struct iovec piece_iovec(const struct weir_exchange *exchange)
{
	size_t chunk_bytes;
	uint8_t *chunk = weir_segment_chunk(exchange->link->pair, exchange->piece[0].chunk, &chunk_bytes);

	WEIR_DEBUG_ASSERT(exchange->piece[0].start + exchange->piece[0].bytes <= chunk_bytes);
	return (struct iovec){.iov_base = chunk + exchange->piece[0].start,
			      .iov_len = exchange->piece[0].bytes};
}

static void send_with_piece(struct io_uring_sqe *sqe, struct weir_connection *connection,
			    struct weir_exchange *exchange)
{
	struct weir_block *block = connection->out_first;
	const struct iovec piece = piece_iovec(exchange);

	if (!block) {
		io_uring_prep_send(sqe, connection->fd, piece.iov_base, piece.iov_len, MSG_NOSIGNAL);
		return;
	}
	block->part[0] = (struct iovec){.iov_base = block->data + block->start,
					.iov_len = block->sending};
	block->part[1] = piece;
	block->message = (struct msghdr){.msg_iov = block->part, .msg_iovlen = 2};
	io_uring_prep_sendmsg(sqe, connection->fd, &block->message, MSG_NOSIGNAL);
}

/* Bytes that our kernel took and the client's did not acknowledge. A send that completes is no
 * measure of a client's reading: the socket's buffer grows to megabytes, and takes more only when a
 * third of it is free. */
static uint32_t unacknowledged_bytes(const struct weir_connection *connection)
{
	int bytes = 0;

	if (ioctl(connection->fd, SIOCOUTQ, &bytes) == -1 || bytes < 0)
		return 0; /* not one socket that we accept lacks it */
	return (uint32_t)bytes;
}

static void watch_until(struct weir_shard *shard, struct weir_connection *connection, uint64_t period_ms)
{
	connection->sent_bytes = 0;
	connection->send_deadline_ns = shard->now_ns + period_ms * WEIR_NS_PER_MS;
	weir_connection_watch(shard, connection, connection->send_deadline_ns);
}

/* Something is being sent, as a rule done at once: only if it lasts the client is measured. */
static void watch_later(struct weir_shard *shard, struct weir_connection *connection)
{
	const uint64_t idle_ms = shard->config->settings->send_idle_ms;

	connection->send_measured = false;
	watch_until(shard, connection, idle_ms < MEASURE_AFTER_MS ? idle_ms : MEASURE_AFTER_MS);
}

void weir_output_watch(struct weir_shard *shard, struct weir_connection *connection)
{
	connection->send_measured = true;
	connection->unacknowledged_bytes = unacknowledged_bytes(connection);
	watch_until(shard, connection, shard->config->settings->send_idle_ms);
}

bool weir_output_is_slow(const struct weir_shard *shard, const struct weir_connection *connection)
{
	const uint64_t least =
		(uint64_t)WEIR_GATEWAY_SEND_BYTES_MIN * shard->config->settings->send_idle_ms / 1000;
	const uint64_t given = connection->sent_bytes + connection->unacknowledged_bytes;
	const uint64_t left = unacknowledged_bytes(connection);

	return connection->send_measured && (given <= left || given - left < least);
}

void weir_output_flush(struct weir_shard *shard, struct weir_connection *connection)
{
	struct weir_block *block = connection->out_first;
	struct weir_exchange *exchange;
	struct io_uring_sqe *sqe;

	if (connection->sending || connection->closing)
		return;
	exchange = piece_to_send(connection);
	if (!exchange && (!block || weir_block_used(block) == 0)) {
		connection->send_deadline_ns = 0;
		return;
	}
	sqe = weir_shard_sqe(shard);
	if (block)
		block->sending = (uint32_t)weir_block_used(block);
	if (exchange) {
		send_with_piece(sqe, connection, exchange);
		exchange->link->call[exchange->call].operations++;
		connection->sending_link = exchange->link;
		connection->sending_call = exchange->call;
	} else {
		io_uring_prep_send(sqe, connection->fd, block->data + block->start, block->sending,
				   MSG_NOSIGNAL);
		shard->sends_expected += block->sending <= WEIR_GATEWAY_COPY_MAX;
	}
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_SEND, connection->index));
	connection->sending = true;
	connection->operations++;
	if (connection->send_deadline_ns == 0)
		watch_later(shard, connection);
}

/* Drop `bytes` sent bytes from the first block; returns how many of them were not in it. */
static uint32_t consume_block(struct weir_shard *shard, struct weir_connection *connection,
			      uint32_t bytes)
{
	struct weir_block *block = connection->out_first;
	uint32_t from_block;

	if (!block)
		return bytes;
	from_block = bytes < block->sending ? bytes : block->sending;
	block->start += from_block;
	block->sending = 0;
	connection->out_bytes -= from_block;
	if (block->start == block->end) {
		connection->out_first = block->next;
		if (!block->next)
			connection->out_last = NULL;
		weir_block_give(&shard->blocks, block);
	}
	return bytes - from_block;
}

void weir_output_sent(struct weir_shard *shard, struct weir_connection *connection, int result)
{
	struct weir_shard_link *link = connection->sending_link;
	uint32_t rest = 0;

	connection->sending = false;
	connection->sending_link = NULL;
	if (result > 0) {
		weir_shard_count(shard, WEIR_METRIC_bytes_out, result);
		connection->sent_bytes += (uint32_t)result;
		rest = consume_block(shard, connection, (uint32_t)result);
	} else if (connection->out_first) {
		connection->out_first->sending = 0;
	}
	if (link) {
		struct weir_shard_call *call = &link->call[connection->sending_call];
		struct weir_exchange *exchange = call->exchange;

		call->operations--;
		if (exchange && rest > 0)
			weir_answer_piece_sent(shard, exchange, rest);
		weir_link_call_settle(shard, link, connection->sending_call);
	}
	if (result <= 0 && result != -EAGAIN && result != -EINTR)
		weir_connection_abort(shard, connection);
	else
		weir_connection_mark(shard, connection);
	weir_connection_operation_done(shard, connection);
}
