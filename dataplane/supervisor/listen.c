#include "dataplane/supervisor/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/records.h"

enum {
	BACKLOG = 4096,
	TRIES_MAX = 60, /* 3 s */
};

static int option_set(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0 ? 0 : -errno;
}

/* One listening socket of an address. The first is bound before it may share its port, so that a
 * port which anybody else uses, another Weir of the same user included, is refused; the others then
 * join it. The sockets stay blocking: io_uring's accept would not wait on a non-blocking one. */
static int socket_bind(const struct weir_listen_address *address, bool first, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd == -1)
		return -errno;
	result = option_set(fd, SOL_SOCKET, SO_REUSEADDR);
	if (result == 0 && address->socket.any.sa_family == AF_INET6)
		result = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (result == 0 && !first)
		result = option_set(fd, SOL_SOCKET, SO_REUSEPORT);
	if (result == 0 && bind(fd, &address->socket.any, address->bytes) != 0)
		result = -errno;
	if (result == 0 && first)
		result = option_set(fd, SOL_SOCKET, SO_REUSEPORT);
	if (result == 0)
		result = option_set(fd, IPPROTO_TCP, TCP_NODELAY); /* accepted sockets inherit it */
	if (result != 0)
		return result;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static int address_open(const struct weir_listen_address *address, uint32_t shard_count, int *fds)
{
	int result = 0;

	for (uint32_t i = 0; i < shard_count; i++)
		fds[i] = -1;
	for (uint32_t i = 0; result == 0 && i < shard_count; i++)
		result = socket_bind(address, i == 0, &fds[i]);
	/* Only now: a connection must not arrive before all shards share the port. */
	for (uint32_t i = 0; result == 0 && i < shard_count; i++)
		result = listen(fds[i], BACKLOG) == 0 ? 0 : -errno;
	if (result != 0)
		weir_fd_close_all(fds, shard_count);
	return result;
}

static void socket_path(const struct weir_supervisor *supervisor, const char *name, struct sockaddr_un *out)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	/* weir_options_data_open() refused data directories that are too long for this. */
	WEIR_ASSERT(strlen(supervisor->options.data) + strlen("/run/") + strlen(name) < sizeof(out->sun_path));
	(void)snprintf(out->sun_path, sizeof(out->sun_path), "%.80s/run/%.20s", supervisor->options.data, name);
}

/* The same; where the last instance was killed whole, its gateway may need a moment to notice and let
 * go of the port. Its Unix socket's file tells. */
static int address_open_after(const struct weir_supervisor *supervisor, const struct weir_listen_address *address,
			      int *fds)
{
	const struct timespec pause = {.tv_nsec = 50 * WEIR_NS_PER_MS};
	struct sockaddr_un left;
	int result = address_open(address, supervisor->shard_count, fds);

	socket_path(supervisor, "http.sock", &left);
	for (int i = 0; i < TRIES_MAX && result == -EADDRINUSE && access(left.sun_path, F_OK) == 0; i++) {
		(void)nanosleep(&pause, NULL); /* shorter after a signal is fine */
		result = address_open(address, supervisor->shard_count, fds);
	}
	return result;
}

static const char *hint(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "stop the other server or choose another port with --listen";
	case -EACCES:
	case -EPERM:
		return "ports below 1024 need root; choose another with --listen";
	case -EADDRNOTAVAIL:
		return "no interface of this machine has that address; choose another with --listen";
	case -EAFNOSUPPORT:
		return "this machine does not speak that protocol; choose another address with --listen";
	default:
		return "choose another address with --listen";
	}
}

static void error_text(int error, char *text, size_t bytes)
{
	(void)snprintf(text, bytes, "%s", strerror(-error));
	if (text[0] >= 'A' && text[0] <= 'Z')
		text[0] = (char)(text[0] - 'A' + 'a');
}

int weir_listen_local(const struct weir_supervisor *supervisor, const char *name, int type, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	mode_t mask = 0;
	int result = 0;

	if (fd == -1)
		return -errno;
	socket_path(supervisor, name, &address);
	/* A leftover of an instance that was killed: the keeper's lock says that nobody uses it. */
	if (unlink(address.sun_path) != 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	result = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
	(void)umask(mask);
	if (result == 0 && listen(fd, BACKLOG) != 0)
		result = -errno;
	if (result != 0)
		return result;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static struct weir_listener *listener_find(struct weir_supervisor *supervisor, const char *address)
{
	for (size_t i = 0; i < supervisor->listener_count; i++) {
		if (strcmp(supervisor->listener[i].address, address) == 0)
			return &supervisor->listener[i];
	}
	return NULL;
}

static int local_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_listener *const listener = &supervisor->listener[supervisor->listener_count];
	int result = 0;

	if (listener_find(supervisor, "unix") != NULL)
		return 0;
	result = weir_listen_local(supervisor, "http.sock", SOCK_STREAM, &listener->fd[0]);
	if (result != 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "cannot listen on %.300s/run/http.sock: %s",
			       supervisor->options.data, strerror(-result));
		return result;
	}
	listener->local = true;
	(void)snprintf(listener->address, sizeof(listener->address), "unix");
	weir_record_listener_keep(supervisor, supervisor->listener_count++);
	return 0;
}

int weir_listen_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	for (size_t i = 0; i < supervisor->options.listen_count; i++) {
		const struct weir_listen_address *const address = &supervisor->options.listen[i];
		struct weir_listener *const listener = &supervisor->listener[supervisor->listener_count];
		int result = 0;

		if (listener_find(supervisor, address->text) != NULL)
			continue;
		result = address_open_after(supervisor, address, listener->fd);
		if (result != 0) {
			char text[128];

			error_text(result, text, sizeof(text));
			(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "cannot listen on %s: %s; %s",
				       address->text, text, hint(result));
			return result;
		}
		(void)snprintf(listener->address, sizeof(listener->address), "%s", address->text);
		weir_record_listener_keep(supervisor, supervisor->listener_count++);
		weir_log(WEIR_LOG_INFO, "listening", "address=%s shards=%u", address->text,
			 supervisor->shard_count);
	}
	return local_open(supervisor, problem);
}

int weir_listen_send(const struct weir_supervisor *supervisor, int control_fd)
{
	struct weir_control control = {.kind = WEIR_CONTROL_GATEWAY_START};
	int fds[4];
	int result = 0;

	control.gateway_start.shard_count = supervisor->shard_count;
	memcpy(control.gateway_start.cpu, supervisor->cpu, sizeof(control.gateway_start.cpu));
	weir_nodes_tell(supervisor, &control);
	fds[0] = supervisor->board_fd;
	fds[1] = supervisor->load_fd;
	fds[2] = supervisor->activations_fd[0];
	fds[3] = supervisor->activations_fd[1];
	result = weir_control_send(control_fd, &control, fds, 4);
	for (size_t i = 0; result == 0 && i < supervisor->listener_count; i++) {
		const struct weir_listener *const listener = &supervisor->listener[i];
		int sockets[WEIR_SHARDS_MAX];

		control = (struct weir_control){.kind = WEIR_CONTROL_LISTEN};
		control.listen.local = listener->local;
		memcpy(control.listen.address, listener->address, sizeof(control.listen.address));
		for (uint32_t k = 0; k < supervisor->shard_count; k++)
			sockets[k] = listener->fd[listener->local ? 0 : k];
		result = weir_control_send(control_fd, &control, sockets, supervisor->shard_count);
	}
	return result;
}

void weir_listen_remove(const struct weir_supervisor *supervisor)
{
	static const char *const names[] = {"http.sock", "supervisor.sock"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sockaddr_un address;

		socket_path(supervisor, names[i], &address);
		(void)unlink(address.sun_path); /* the keeper looks again */
	}
}
