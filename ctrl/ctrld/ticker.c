#include "ctrl/ctrld/ticker.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctrl/model/builtin.h"
#include "ctrl/store/store.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

static const char request[] = "GET /weir/async HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n";

/* Was there ever a call? */
static bool is_wanted(const char *data)
{
	char path[WEIR_STORE_PATH_BYTES_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/" WEIR_BUILTIN_QUEUE_DIRECTORY "/queue.db", data); /* fits */
	return access(path, F_OK) == 0;
}

void weir_ticker_close(struct weir_ticker *ticker)
{
	weir_fd_close(&ticker->fd);
}

void weir_ticker_turn(struct weir_ticker *ticker, const char *data, uint64_t now_ns)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (now_ns < ticker->due_ns)
		return;
	ticker->due_ns = now_ns + WEIR_NS_PER_SECOND;
	weir_ticker_close(ticker);
	if (!is_wanted(data) || (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/http.sock", data) >=
					sizeof(address.sun_path))
		return;
	ticker->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Nobody listens, or too many wait: in a second it may be otherwise. */
	if (ticker->fd == -1 || connect(ticker->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    send(ticker->fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(request) - 1)
		weir_ticker_close(ticker);
}
