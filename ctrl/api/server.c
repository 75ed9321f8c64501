#include "ctrl/api/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum {
	EVENTS_MAX = 32,
	REQUESTS_PER_TURN = 16, /* of one connection, then the others come first */
	REQUEST_MS = 10000,     /* first byte to last */
	IDLE_MS = 60000,
	UPLOAD_MS = 30000, /* without a byte of an upload */
	LISTEN_BACKLOG = 64,
};

void weir_api_connection_close(struct weir_api *api, struct weir_api_connection *connection)
{
	(void)epoll_ctl(api->epoll_fd, EPOLL_CTL_DEL, connection->fd,
			NULL); /* closing removes it anyway */
	weir_fd_close(&connection->fd);
	weir_api_call_clear(connection);
	weir_api_upload_drop(connection);
	weir_fd_close(&connection->file_fd);
	free(connection->in);
	cJSON_free(connection->out);
	memset(connection, 0, sizeof(*connection));
	connection->fd = -1;
	connection->file_fd = -1;
	connection->call.file_fd = -1;
}

void weir_api_connection_deadline_set(struct weir_api_connection *connection, uint64_t ms)
{
	connection->deadline_ns = weir_clock_now_ns() + ms * WEIR_NS_PER_MS;
}

void weir_api_connection_interest_set(struct weir_api *api, struct weir_api_connection *connection,
			 uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};

	(void)epoll_ctl(api->epoll_fd, EPOLL_CTL_MOD, connection->fd,
			&event); /* the deadline covers a failure */
}

void weir_api_connection_read_start(struct weir_api *api, struct weir_api_connection *connection)
{
	static const struct weir_http_limits limits = {
		.target_bytes_max = 8192,
		.head_bytes_max = WEIR_API_HEAD_BYTES_MAX,
		.headers_max = WEIR_HTTP_HEADERS_MAX,
		.body_bytes_max = WEIR_API_UPLOAD_BYTES_MAX, /* others: input_parse(), server_upload.c */
	};

	connection->state = WEIR_API_READING;
	connection->head_done = false;
	connection->continued = false;
	weir_http_parser_reset(&connection->parser, &limits);
	weir_api_connection_deadline_set(connection, connection->in_bytes == 0 ? IDLE_MS : REQUEST_MS);
	weir_api_connection_interest_set(api, connection, EPOLLIN | EPOLLRDHUP);
}

/* Room for `bytes` of input; at most a head and a body. */
static bool input_reserve(struct weir_api_connection *connection, size_t bytes)
{
	const size_t most = (size_t)WEIR_API_HEAD_BYTES_MAX + WEIR_API_DOCUMENT_BYTES_MAX;
	size_t room = connection->in_room == 0 ? 4096 : connection->in_room;
	char *grown = NULL;

	while (room < bytes)
		room *= 2;
	if (room > most)
		room = most;
	if (room < bytes)
		return false;
	if (room == connection->in_room)
		return true;
	grown = realloc(connection->in, room);
	if (grown == NULL)
		return false;
	connection->in = grown;
	connection->in_room = room;
	return true;
}

/* What came before the request's end has been used. */
static void input_consume(struct weir_api_connection *connection, size_t bytes)
{
	WEIR_ASSERT(bytes <= connection->in_bytes);
	connection->in_bytes -= bytes;
	memmove(connection->in, connection->in + bytes, connection->in_bytes);
}

/* The request itself is not sound HTTP, or too large. */
static void failure_send(struct weir_api *api, struct weir_api_connection *connection,
			 enum weir_http_failure failure, const char *detail)
{
	char *body = malloc(512);
	const size_t bytes =
		body == NULL ? 0
			     : weir_http_failure_body(failure, detail, connection->activation,
						      body, 512);

	connection->keep_alive = false;
	weir_api_connection_send(api, connection, weir_http_failure_row(failure)->status, body,
				 bytes);
}

static void body_begin(struct weir_api_connection *connection)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!connection->parser.expect_continue || connection->continued)
		return;
	connection->continued = true;
	/* A client that does not get it sends its body all the same. */
	(void)send(connection->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The call is prepared; `bytes` of the input were its request. */
static void handling_start(struct weir_api *api, struct weir_api_connection *connection,
			   size_t bytes)
{
	input_consume(connection, bytes);
	connection->state = WEIR_API_HANDLING;
	weir_api_connection_interest_set(api, connection, EPOLLRDHUP);
	weir_api_call_run(api, connection);
}

/* More of an upload may stand in the input. */
static void upload_go_on(struct weir_api *api, struct weir_api_connection *connection)
{
	weir_api_connection_deadline_set(connection, UPLOAD_MS);
	if (weir_api_upload_take(connection))
		handling_start(api, connection, connection->parser.head_bytes);
}

static void upload_start(struct weir_api *api, struct weir_api_connection *connection)
{
	const size_t room = (size_t)WEIR_API_HEAD_BYTES_MAX + WEIR_API_BODY_BYTES_MAX;

	if (!input_reserve(connection, room) || !weir_api_upload_begin(api, connection)) {
		connection->keep_alive = false; /* its body is not read */
		handling_start(api, connection, connection->in_bytes);
		return;
	}
	connection->state = WEIR_API_UPLOADING;
	body_begin(connection);
	upload_go_on(api, connection);
}

/* A configuration may be long. */
static size_t body_bytes_max(const struct weir_api_connection *connection)
{
	const struct weir_span path = weir_http_slice_span(connection->in, connection->parser.path);

	return weir_span_equal(path, weir_span_of("/weir/config")) ? WEIR_API_DOCUMENT_BYTES_MAX
								  : WEIR_API_BODY_BYTES_MAX;
}

/* Look at the input. True: the request was handed on or refused, and more input may wait. */
static bool input_parse(struct weir_api *api, struct weir_api_connection *connection)
{
	struct weir_http_parser *parser = &connection->parser;
	size_t body_bytes = 0;

	if (!connection->head_done && connection->in_bytes > 0) {
		const enum weir_http_parse parse =
			weir_http_parser_execute(parser, connection->in, connection->in_bytes);

		weir_id_format(weir_id_next(&api->ids), connection->activation);
		if (parse == WEIR_HTTP_PARSE_FAILED) {
			failure_send(api, connection, parser->failure, "");
			return true;
		}
		connection->head_done = parse == WEIR_HTTP_PARSE_HEAD;
	}
	if (!connection->head_done)
		return false;
	connection->keep_alive = parser->keep_alive;
	if (parser->body == WEIR_HTTP_BODY_CHUNKED) {
		failure_send(api, connection, WEIR_HTTP_LENGTH_REQUIRED,
			     "the management API wants a body with Content-Length");
		return true;
	}
	if (weir_api_upload_is(connection)) {
		upload_start(api, connection);
		return true;
	}
	body_bytes = parser->body == WEIR_HTTP_BODY_LENGTH ? (size_t)parser->content_length : 0;
	if (connection->in_bytes < parser->head_bytes + body_bytes) {
		if (body_bytes > body_bytes_max(connection) ||
		    !input_reserve(connection, parser->head_bytes + body_bytes)) {
			failure_send(api, connection, WEIR_HTTP_BODY_TOO_LARGE, "");
			return true;
		}
		body_begin(connection);
		return false;
	}
	weir_api_call_start(connection, parser->head_bytes, body_bytes);
	handling_start(api, connection, parser->head_bytes + body_bytes);
	return true;
}

static bool input_take(struct weir_api *api, struct weir_api_connection *connection)
{
	ssize_t got = 0;

	if (connection->in_bytes == connection->in_room &&
	    !input_reserve(connection, connection->in_bytes + 1)) {
		failure_send(api, connection, WEIR_HTTP_HEAD_TOO_LARGE, "");
		return false;
	}
	got = recv(connection->fd, connection->in + connection->in_bytes,
		   connection->in_room - connection->in_bytes, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		weir_api_connection_close(api, connection);
		return false;
	}
	if (connection->in_bytes == 0)
		weir_api_connection_deadline_set(connection, REQUEST_MS); /* uploads: for each piece */
	connection->in_bytes += (size_t)got;
	return true;
}

static void connection_read(struct weir_api *api, struct weir_api_connection *connection)
{
	for (int i = 0; i < REQUESTS_PER_TURN && connection->fd != -1; i++) {
		if (connection->state == WEIR_API_UPLOADING) {
			if (!input_take(api, connection))
				return;
			upload_go_on(api, connection);
			continue;
		}
		if (connection->state != WEIR_API_READING)
			return;
		/* Pipelined bytes first, then new ones. */
		if (connection->in_bytes > 0 && !connection->head_done &&
		    input_parse(api, connection))
			continue;
		if (connection->fd == -1 || connection->state != WEIR_API_READING ||
		    !input_take(api, connection))
			return;
		(void)input_parse(api, connection);
	}
}

/* May the peer ask? *out_author then says who it is. */
static bool peer_allowed(const struct weir_api *api, int fd, struct weir_history_author *out_author)
{
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);

	if (api->door == WEIR_API_DOOR_DIALECT) {
		*out_author = (struct weir_history_author){.uid = -1, .who = "anybody", .from = "dialect"};
		return true;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0 ||
	    (peer.uid != geteuid() && peer.uid != 0))
		return false;
	*out_author = (struct weir_history_author){.uid = peer.uid, .from = "local socket"};
	(void)snprintf(out_author->who, sizeof(out_author->who), "%s",
		       peer.uid == 0 ? "root" : api->own_name); /* fits */
	return true;
}

static void connections_accept(struct weir_api *api)
{
	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		struct weir_api_connection *connection = &api->connections[i];
		struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP,
					    .data.ptr = connection};
		struct weir_history_author author = {.uid = -1};
		WEIR_CLEANUP(weir_fd_close) int fd = -1;

		if (connection->fd != -1)
			continue;
		fd = accept4(api->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd == -1)
			return;
		if (!peer_allowed(api, fd, &author) ||
		    epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
			continue;
		connection->fd = fd;
		connection->author = author;
		connection->door = api->door;
		fd = -1;
		weir_api_connection_read_start(api, connection);
	}
}

/* New connections wait in the kernel while all places are taken. */
static void listening_adjust(struct weir_api *api)
{
	struct epoll_event event = {.events = 0, .data.ptr = NULL};

	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		if (api->connections[i].fd == -1)
			event.events = EPOLLIN;
	}
	(void)epoll_ctl(api->epoll_fd, EPOLL_CTL_MOD, api->listen_fd,
			&event); /* tried again next turn */
}

static void connection_event(struct weir_api *api, struct weir_api_connection *connection,
			     uint32_t events)
{
	if (connection->fd == -1)
		return; /* closed earlier in this turn */
	if (connection->state == WEIR_API_READING || connection->state == WEIR_API_UPLOADING) {
		connection_read(api, connection);
	} else if (connection->state == WEIR_API_WRITING && (events & EPOLLOUT) != 0) {
		weir_api_connection_write(api, connection);
	} else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		weir_api_connection_close(api, connection);
	} else if ((events & EPOLLRDHUP) != 0) {
		weir_api_connection_interest_set(api, connection,
			     0); /* a half-closed client still wants its answer */
	}
}

static void connection_due(struct weir_api *api, struct weir_api_connection *connection)
{
	switch (connection->state) {
	case WEIR_API_READING:
		if (connection->in_bytes > 0) {
			failure_send(api, connection,
				     connection->head_done ? WEIR_HTTP_BODY_TIMEOUT
							   : WEIR_HTTP_HEAD_TIMEOUT,
				     "");
		} else {
			weir_api_connection_close(api, connection);
		}
		break;
	case WEIR_API_UPLOADING:
		failure_send(api, connection, WEIR_HTTP_BODY_TIMEOUT, "");
		break;
	case WEIR_API_HANDLING:
		weir_api_call_run(api, connection);
		break;
	case WEIR_API_WRITING:
		weir_api_connection_close(api, connection);
		break;
	}
}

void weir_api_run(struct weir_api *api)
{
	struct epoll_event events[EVENTS_MAX];
	const int count = epoll_wait(api->epoll_fd, events, EVENTS_MAX, 0);
	const uint64_t now_ns = weir_clock_now_ns();

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == NULL) {
			connections_accept(api);
		} else {
			connection_event(api, events[i].data.ptr, events[i].events);
		}
	}
	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		struct weir_api_connection *connection = &api->connections[i];

		if (connection->fd != -1 && connection->deadline_ns <= now_ns)
			connection_due(api, connection);
		/* An answer that went out at once may leave the next request in the buffer. */
		if (connection->fd != -1 && connection->state == WEIR_API_READING &&
		    connection->in_bytes > 0 && !connection->head_done)
			connection_read(api, connection);
	}
	listening_adjust(api);
}

uint64_t weir_api_deadline_ns(const struct weir_api *api)
{
	uint64_t earliest_ns = UINT64_MAX;

	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		if (api->connections[i].fd != -1 &&
		    api->connections[i].deadline_ns < earliest_ns)
			earliest_ns = api->connections[i].deadline_ns;
	}
	return earliest_ns;
}

int weir_api_fd(const struct weir_api *api)
{
	return api->epoll_fd;
}

/* Bind under another name and rename: there is no moment without a socket, or with wider rights. */
static int socket_listen(const char *path, mode_t mode, int *out_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char fresh[sizeof(address.sun_path)];
	const int written = snprintf(fresh, sizeof(fresh), "%s.new", path);
	WEIR_CLEANUP(weir_fd_close) int fd = -1;

	if (written < 0 || (size_t)written >= sizeof(fresh))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, fresh, (size_t)written + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	(void)unlink(fresh); /* left by a process that died in between */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(fresh, mode) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
	    rename(fresh, path) != 0) {
		const int code = -errno;

		(void)unlink(fresh);
		return code;
	}
	*out_fd = fd;
	fd = -1;
	return 0;
}

/* Asked once: where names come from may be slow. */
static void own_name_find(struct weir_api *api)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char texts[4096];

	if (getpwuid_r(geteuid(), &entry, texts, sizeof(texts), &found) == 0 && found != NULL)
		(void)snprintf(api->own_name, sizeof(api->own_name), "%s", found->pw_name); /* cut is fine */
	else
		(void)snprintf(api->own_name, sizeof(api->own_name), "%u", geteuid());
}

int weir_api_create(const struct weir_api_owner *owner, const char *socket_path, enum weir_api_door door,
		    struct weir_api **out_api)
{
	struct weir_api *api = calloc(1, sizeof(*api));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int code = 0;

	if (api == NULL)
		return -ENOMEM;
	api->owner = *owner;
	api->door = door;
	own_name_find(api);
	api->listen_fd = -1;
	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++)
		api->connections[i] = (struct weir_api_connection){.fd = -1, .file_fd = -1, .call.file_fd = -1};
	api->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	code = api->epoll_fd == -1 ? -errno : weir_id_source_open(&api->ids);
	if (code == 0)
		code = socket_listen(socket_path, door == WEIR_API_DOOR_LOCAL ? 0600 : 0666, &api->listen_fd);
	if (code == 0 && epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, api->listen_fd, &event) != 0)
		code = -errno;
	if (code != 0) {
		weir_api_destroy(api);
		return code;
	}
	(void)snprintf(api->socket_path, sizeof(api->socket_path), "%s",
		       socket_path); /* fits: it was bound */
	*out_api = api;
	return 0;
}

void weir_api_destroy(struct weir_api *api)
{
	if (api == NULL)
		return;
	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		if (api->connections[i].fd != -1)
			weir_api_connection_close(api, &api->connections[i]);
	}
	if (api->socket_path[0] != '\0')
		(void)unlink(api->socket_path);
	weir_fd_close(&api->listen_fd);
	weir_fd_close(&api->epoll_fd);
	free(api);
}
