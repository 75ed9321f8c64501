#include "ctrl/dialectd/manage.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum {
	CREDENTIALS_BYTES_MAX = 2048, /* longer ones are nobody's: no key and no token is */
	HEAD_BYTES = 512 + WEIR_DIALECT_TARGET_BYTES + CREDENTIALS_BYTES_MAX,
	READ_BYTES = 16384,
	ANSWER_BYTES_MAX = 64 << 20,
	CONNECT_PAUSE_MS = 5,
};

/* An answer that is coming in. */
struct incoming {
	llhttp_t llhttp;
	char *text;
	size_t bytes;
	size_t room;
	bool is_complete;
	bool is_too_large;
};

static int on_body(llhttp_t *llhttp, const char *data, size_t bytes)
{
	struct incoming *const incoming = llhttp->data;

	if (incoming->bytes + bytes + 1 > incoming->room) {
		const size_t room = 2 * (incoming->bytes + bytes + 1);
		char *const grown = room > ANSWER_BYTES_MAX ? NULL : realloc(incoming->text, room);

		incoming->is_too_large = grown == NULL;
		if (grown == NULL)
			return -1;
		incoming->text = grown;
		incoming->room = room;
	}
	memcpy(incoming->text + incoming->bytes, data, bytes);
	incoming->bytes += bytes;
	incoming->text[incoming->bytes] = '\0';
	return 0;
}

static int on_complete(llhttp_t *llhttp)
{
	((struct incoming *)llhttp->data)->is_complete = true;
	return HPE_PAUSED;
}

/* Until the socket is ready for `events`. 0, -ECANCELED, -ETIMEDOUT. */
static int ready_wait(struct weir_runtime_call *call, int fd, short events)
{
	struct pollfd polled = {.fd = fd, .events = events};

	return call->ops->wait(call, &polled, 1, UINT64_MAX);
}

/* 0; -ECANCELED, -ETIMEDOUT; another -errno: nobody is there. */
static int socket_connect(struct weir_runtime_call *call, const char *path, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		int result = -errno;

		if (result == -EINTR)
			continue;
		if (result != -EAGAIN)
			return result;
		/* As many wait there as may; a Unix socket does not say when that changes. */
		result = call->ops->wait(call, NULL, 0, weir_clock_now_ns() + CONNECT_PAUSE_MS * WEIR_NS_PER_MS);
		if (result != 0 && (result != -ETIMEDOUT || weir_clock_now_ns() >= call->deadline_ns))
			return result;
	}
	return 0;
}

static int send_all(struct weir_runtime_call *call, int fd, struct weir_span text)
{
	while (text.bytes > 0) {
		const ssize_t sent = send(fd, text.data, text.bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			const int result = ready_wait(call, fd, POLLOUT);

			if (result != 0)
				return result;
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -EPIPE;
		text.data += sent;
		text.bytes -= (size_t)sent;
	}
	return 0;
}

/* What is sent to the API, and for whom. */
struct outgoing {
	const struct weir_dialect_order *order;
	const char *from;
	struct weir_span authorization; /* empty: nobody's */
	struct weir_span body;
};

static int request_send(struct weir_runtime_call *call, int fd, const struct outgoing *outgoing)
{
	const struct weir_dialect_order *const order = outgoing->order;
	const struct weir_span credentials = outgoing->authorization;
	const struct weir_span peer = weir_runtime_span(call, call->head->peer); /* an address: short */
	const char *const type = order->json != NULL ? "application/json" : "application/octet-stream";
	char head[HEAD_BYTES];
	char length[96] = "";
	const bool has_credentials = credentials.bytes > 0 && credentials.bytes <= CREDENTIALS_BYTES_MAX;
	int bytes = 0;
	int result = 0;

	if (order->json != NULL || strcmp(order->method, "POST") == 0)
		(void)snprintf(length, sizeof(length), "content-type: %s\r\ncontent-length: %zu\r\n", type,
			       outgoing->body.bytes); /* fits */
	bytes = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nhost: weir\r\nconnection: close\r\nx-weir-from: %s %.*s\r\n%s%.*s%s%s\r\n",
			 order->method, order->target, outgoing->from, (int)peer.bytes, peer.data, has_credentials ? "authorization: " : "",
			 has_credentials ? (int)credentials.bytes : 0, has_credentials ? credentials.data : "",
			 has_credentials ? "\r\n" : "", length);
	result = send_all(call, fd, (struct weir_span){.data = head, .bytes = (size_t)bytes}); /* fits */
	if (result == 0)
		result = send_all(call, fd, outgoing->body);
	return result == -EPIPE ? 0 : result; /* an early answer to a body that is not wanted: read it */
}

static int answer_receive(struct weir_runtime_call *call, int fd, struct incoming *incoming)
{
	llhttp_settings_t settings;
	char data[READ_BYTES];

	llhttp_settings_init(&settings);
	settings.on_body = on_body;
	settings.on_message_complete = on_complete;
	llhttp_init(&incoming->llhttp, HTTP_RESPONSE, &settings);
	incoming->llhttp.data = incoming;
	while (!incoming->is_complete) {
		const ssize_t got = recv(fd, data, sizeof(data), MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN) {
			const int result = ready_wait(call, fd, POLLIN);

			if (result != 0)
				return result;
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EPIPE;
		if (llhttp_execute(&incoming->llhttp, data, (size_t)got) != HPE_OK && !incoming->is_complete)
			return incoming->is_too_large ? -ENOMEM : -EPIPE;
	}
	return 0;
}

/* Nobody answered. */
static int away(struct weir_dialect_verdict *out_verdict)
{
	*out_verdict = (struct weir_dialect_verdict){.status = 503, .json = cJSON_CreateObject()};
	(void)cJSON_AddStringToObject(out_verdict->json, "code", "away"); /* or members lack */
	(void)cJSON_AddStringToObject(out_verdict->json, "error",
				      "the control process (weir-ctrld) does not answer; functions can be called, but "
				      "nothing can be looked up or changed until it is back");
	return 0;
}

static int exchange(struct weir_runtime_call *call, const char *socket_path, const struct outgoing *outgoing,
		    struct incoming *incoming)
{
	WEIR_CLEANUP(weir_fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = fd == -1 ? -errno : socket_connect(call, socket_path, fd);

	if (result == 0)
		result = request_send(call, fd, outgoing);
	return result == 0 ? answer_receive(call, fd, incoming) : result;
}

int weir_manage_ask(struct weir_runtime_call *call, const char *socket_path, const struct weir_dialect_order *order,
		    const char *from, struct weir_span authorization, struct weir_dialect_verdict *out_verdict)
{
	char *const json = order->json == NULL ? NULL : cJSON_PrintUnformatted(order->json);
	struct incoming incoming = {.text = calloc(1, 1), .room = 1};
	const struct outgoing outgoing = {.order = order,
					  .from = from,
					  .authorization = authorization,
					  .body = json != NULL ? weir_span_of(json) : order->body};
	int result = -ENOMEM;

	if (incoming.text != NULL && (json != NULL || order->json == NULL))
		result = exchange(call, socket_path, &outgoing, &incoming);
	cJSON_free(json);
	if (result == 0) {
		*out_verdict = (struct weir_dialect_verdict){
			.status = incoming.llhttp.status_code,
			.json = cJSON_ParseWithLength(incoming.text, incoming.bytes),
			.text = incoming.text,
			.bytes = incoming.bytes,
		};
		return 0;
	}
	free(incoming.text);
	return result == -ECANCELED || result == -ETIMEDOUT || result == -ENOMEM ? result : away(out_verdict);
}
