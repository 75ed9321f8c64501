#include "dataplane/runtime/exec/exec_nested.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/abi/nested.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/id.h"

enum {
	REQUEST_BYTES_MAX = WEIR_NESTED_HEAD_BYTES_MAX + WEIR_NESTED_BODY_BYTES_MAX,
	REQUEST_BYTES_FIRST = 4096,
	READS_MAX = 64,       /* in one turn */
	TYPE_BYTES_MAX = 256, /* a longer one is left out */
};

/* What a request says. */
struct order {
	struct weir_runtime_target target;
	struct weir_runtime_field type;
	struct weir_span method;
};

/* ---- open and close ---- */

int weir_exec_nested_open(struct weir_exec_nested *nested, struct weir_runtime_call *call, int *out_child_fd)
{
	int ends[2];

	nested->call = call;
	nested->fd = -1;
	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX; i++)
		nested->connection[i].fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	nested->fd = ends[0];
	*out_child_fd = ends[1];
	return 0;
}

static void connection_close(struct weir_exec_nested *nested, struct weir_exec_connection *connection)
{
	struct weir_runtime_call *const call = nested->call;

	if (connection->fd == -1)
		return;
	if (connection->is_running)
		call->ops->nested_drop(call, connection->nested);
	if (connection->answer.memory != NULL)
		call->ops->nested_free(call, &connection->answer);
	free(connection->request);
	weir_fd_close(&connection->fd);
}

void weir_exec_nested_close(struct weir_exec_nested *nested)
{
	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX; i++)
		connection_close(nested, &nested->connection[i]);
	weir_fd_close(&nested->fd);
}

/* ---- new connections ---- */

static struct weir_exec_connection *connection_free(struct weir_exec_nested *nested)
{
	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX; i++)
		if (nested->connection[i].fd == -1)
			return &nested->connection[i];
	return NULL;
}

static void connection_take(struct weir_exec_nested *nested, struct weir_exec_connection *connection)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 0;
	struct iovec piece = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	const ssize_t got = recvmsg(nested->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *const first = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
		weir_fd_close(&nested->fd); /* all of the program's processes have closed it */
	if (first == NULL || first->cmsg_level != SOL_SOCKET || first->cmsg_type != SCM_RIGHTS ||
	    first->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	*connection = (struct weir_exec_connection){.fd = -1};
	memcpy(&connection->fd, CMSG_DATA(first), sizeof(int));
}

/* ---- a request ---- */

static void answer_begin(struct weir_exec_connection *connection, const char *text)
{
	connection->is_asked = true;
	connection->is_answered = true;
	connection->head_bytes = (size_t)snprintf(connection->head, sizeof(connection->head), "error %s\n\n",
						  text); /* fits */
}

/* Why there will be no answer. */
static void refuse(struct weir_exec_connection *connection, int result)
{
	switch (result) {
	case -EINVAL:
		answer_begin(connection, "a call has a line with a name, perhaps others, and an empty one");
		break;
	case -ENOTSUP:
		answer_begin(connection, "Weir does not know the method");
		break;
	case -E2BIG:
		answer_begin(connection, "name, path, query and content type have more than 3 KiB");
		break;
	case -EMSGSIZE:
		answer_begin(connection, "a body of more than 1 MiB");
		break;
	case -EPIPE:
		answer_begin(connection, "the answer broke off");
		break;
	default:
		answer_begin(connection, "no memory for another call now; try again later");
	}
}

static bool request_grow(struct weir_exec_connection *connection)
{
	const size_t wanted = connection->request_capacity == 0 ? REQUEST_BYTES_FIRST : 2 * connection->request_capacity;
	char *const larger = realloc(connection->request, wanted);

	if (larger == NULL)
		return false;
	connection->request = larger;
	connection->request_capacity = wanted;
	return true;
}

/* Gather what has come. False: the program has let go, or there is no memory. Sets is_asked at its end. */
static bool request_read(struct weir_exec_connection *connection)
{
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t got = 0;

		if (connection->request_bytes == connection->request_capacity && !request_grow(connection))
			return false;
		got = recv(connection->fd, connection->request + connection->request_bytes,
			   connection->request_capacity - connection->request_bytes, MSG_DONTWAIT);
		if (got == -1)
			return errno == EAGAIN || errno == EINTR;
		if (got == 0) {
			connection->is_asked = true;
			return true;
		}
		connection->request_bytes += (size_t)got;
		if (connection->request_bytes > REQUEST_BYTES_MAX) {
			connection->is_too_long = true; /* read on, so that it gets to hear of it */
			connection->request_bytes = 0;
		}
	}
	return true;
}

/* Does `line` begin with `word` and a blank? Then *out is what follows. */
static bool line_is(struct weir_span line, struct weir_span word, struct weir_span *out)
{
	if (line.bytes <= word.bytes || memcmp(line.data, word.data, word.bytes) != 0 || line.data[word.bytes] != ' ')
		return false;
	*out = (struct weir_span){.data = line.data + word.bytes + 1, .bytes = line.bytes - word.bytes - 1};
	return true;
}

static bool line_take(struct order *order, struct weir_span line)
{
	if (weir_span_equal(line, WEIR_SPAN("one-way"))) {
		order->target.is_one_way = true;
		return true;
	}
	return line_is(line, WEIR_SPAN("name"), &order->target.name) ||
	       line_is(line, WEIR_SPAN("method"), &order->method) ||
	       line_is(line, WEIR_SPAN("path"), &order->target.path) ||
	       line_is(line, WEIR_SPAN("query"), &order->target.query) ||
	       line_is(line, WEIR_SPAN("content-type"), &order->type.value);
}

/* 0, -EINVAL or -ENOTSUP: the method. */
static int order_read(struct order *order, struct weir_span text)
{
	int method = 0;

	for (;;) {
		const char *const end = text.bytes != 0 ? memchr(text.data, '\n', text.bytes) : NULL;
		const struct weir_span line = {.data = text.data, .bytes = end != NULL ? (size_t)(end - text.data) : 0};

		if (end == NULL)
			return -EINVAL;
		text.data += line.bytes + 1;
		text.bytes -= line.bytes + 1;
		if (line.bytes == 0)
			break;
		if (!line_take(order, line))
			return -EINVAL;
	}
	order->target.body = text;
	if (order->method.bytes == 0)
		order->method = text.bytes == 0 ? WEIR_SPAN("GET") : WEIR_SPAN("POST");
	method = weir_runtime_method_find(order->method);
	order->target.method = (uint8_t)method;
	order->target.fields = &order->type;
	order->target.field_count = order->type.value.bytes != 0 ? 1 : 0;
	return method < 0 ? -ENOTSUP : 0;
}

/* The request is whole. 0, -ECANCELED or -ETIMEDOUT. */
static int request_start(struct weir_exec_nested *nested, struct weir_exec_connection *connection)
{
	struct order order = {.type = {.name = WEIR_SPAN("content-type")}};
	int result = connection->is_too_long
			     ? -EMSGSIZE
			     : order_read(&order, (struct weir_span){.data = connection->request,
								     .bytes = connection->request_bytes});

	if (result == 0)
		result = nested->call->ops->nested_start(nested->call, &order.target, &connection->nested);
	free(connection->request);
	connection->request = NULL;
	connection->is_running = result == 0;
	if (result == -ECANCELED || result == -ETIMEDOUT)
		return result;
	if (result != 0)
		refuse(connection, result);
	return 0;
}

/* ---- its answer ---- */

/* 0, or -ECANCELED. */
static int answer_take(struct weir_exec_nested *nested, struct weir_exec_connection *connection)
{
	struct weir_runtime_answer *const answer = &connection->answer;
	const int result = nested->call->ops->nested_answer(nested->call, connection->nested, answer);
	struct weir_span type = {.data = NULL};
	char activation[32];

	if (result == -EAGAIN || result == -ECANCELED)
		return result == -EAGAIN ? 0 : result;
	connection->is_running = false;
	if (result != 0) {
		refuse(connection, result);
		return 0;
	}
	type = weir_runtime_answer_field(answer, WEIR_SPAN("content-type"));
	if (type.bytes > TYPE_BYTES_MAX)
		type.bytes = 0;
	weir_id_format((struct weir_id){.high = answer->activation_high, .low = answer->activation_low}, activation);
	connection->head_bytes = (size_t)snprintf(connection->head, sizeof(connection->head),
						  "status %u\nactivation %.32s\n%s%.*s%s\n", answer->status, activation,
						  type.bytes != 0 ? "content-type " : "", (int)type.bytes,
						  type.bytes != 0 ? type.data : "", type.bytes != 0 ? "\n" : "");
	connection->is_answered = true;
	return 0;
}

/* Send what fits. True: all is sent, or nobody reads it. */
static bool answer_send(struct weir_exec_connection *connection)
{
	const struct weir_span body = connection->answer.body;

	while (connection->sent < connection->head_bytes + body.bytes) {
		const bool is_head = connection->sent < connection->head_bytes;
		const size_t from = is_head ? connection->sent : connection->sent - connection->head_bytes;
		const ssize_t sent = send(connection->fd, is_head ? connection->head + from : body.data + from,
					  (is_head ? connection->head_bytes : body.bytes) - from,
					  MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent == -1)
			return errno != EAGAIN && errno != EINTR;
		connection->sent += (size_t)sent;
	}
	return true;
}

/* ---- all together ---- */

void weir_exec_nested_poll(const struct weir_exec_nested *nested, struct pollfd fds[WEIR_EXEC_CALL_POLL])
{
	bool has_room = false;

	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX; i++) {
		const struct weir_exec_connection *const connection = &nested->connection[i];
		short events = 0; /* its end is always told */

		if (connection->is_answered)
			events = POLLOUT;
		else if (!connection->is_asked)
			events = POLLIN;
		fds[1 + i] = (struct pollfd){.fd = connection->fd, .events = events};
		has_room = has_room || connection->fd == -1;
	}
	fds[0] = (struct pollfd){.fd = has_room ? nested->fd : -1, .events = POLLIN};
}

static int connection_serve(struct weir_exec_nested *nested, struct weir_exec_connection *connection, short revents)
{
	int result = 0;

	if (!connection->is_asked && !request_read(connection)) {
		connection_close(nested, connection);
		return 0;
	}
	if (connection->is_asked && !connection->is_running && !connection->is_answered)
		result = request_start(nested, connection);
	if (result == 0 && connection->is_running)
		result = answer_take(nested, connection);
	if (connection->is_answered ? answer_send(connection) : connection->is_asked && (revents & (POLLHUP | POLLERR)) != 0)
		connection_close(nested, connection);
	return result;
}

int weir_exec_nested_serve(struct weir_exec_nested *nested, const struct pollfd fds[WEIR_EXEC_CALL_POLL])
{
	struct weir_exec_connection *fresh = NULL;
	int result = 0;

	if (fds[0].revents != 0) {
		fresh = connection_free(nested);
		connection_take(nested, fresh);
	}
	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX && result == 0; i++) {
		struct weir_exec_connection *const connection = &nested->connection[i];

		if (connection->fd != -1)
			result = connection_serve(nested, connection, connection == fresh ? 0 : fds[1 + i].revents);
	}
	return result;
}
