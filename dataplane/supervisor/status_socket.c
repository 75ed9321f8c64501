#include "dataplane/supervisor/status_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/supervisor/board.h"
#include "dataplane/supervisor/listen.h"
#include "dataplane/supervisor/pages.h"

/* What a client sends and gets back, the latter with the board. The second: look first where pages lie. */
static const char question[8] = {'w', 'e', 'i', 'r', 's', 't', 'a', 't'};
static const char question_pages[8] = {'w', 'e', 'i', 'r', 'n', 'u', 'm', 'a'};

static const uint64_t patience_ns = 2 * WEIR_NS_PER_SECOND;

int weir_status_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_store_message message;
	int result = 0;

	for (size_t i = 0; i < WEIR_STATUS_CLIENTS_MAX; i++)
		supervisor->client[i].fd = -1;
	if (supervisor->status_fd == -1) {
		result = weir_listen_local(supervisor, "supervisor.sock", SOCK_SEQPACKET | SOCK_NONBLOCK,
					   &supervisor->status_fd);
		weir_store_message_set(&message, WEIR_STORE_STORE, "status", NULL, 0);
		if (result == 0)
			weir_supervisor_keep(supervisor, &message, &supervisor->status_fd, 1);
	}
	if (result == 0)
		result = weir_supervisor_watch(supervisor, supervisor->status_fd, WEIR_WATCH_STATUS, 0);
	if (result != 0)
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "cannot listen on %.300s/run/supervisor.sock: %s",
			       supervisor->options.data, strerror(-result));
	return result;
}

void weir_status_accept(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (uint64_t i = 0; i < WEIR_STATUS_CLIENTS_MAX; i++) {
		struct weir_status_client *const client = &supervisor->client[i];

		if (client->fd != -1)
			continue;
		client->fd = accept4(supervisor->status_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client->fd == -1)
			return; /* none left, or one that is gone again */
		client->give_up_ns = now_ns + patience_ns;
		if (weir_supervisor_watch(supervisor, client->fd, WEIR_WATCH_CLIENT, i) != 0)
			weir_fd_close(&client->fd);
	}
	/* All places taken: the rest wait in the backlog, but the loop must not spin on them. */
	for (uint64_t i = 0; i < WEIR_STATUS_CLIENTS_MAX; i++)
		weir_fd_close(&supervisor->client[i].fd);
}

static bool is_question(const char *text)
{
	return memcmp(text, question, sizeof(question)) == 0 || memcmp(text, question_pages, sizeof(question)) == 0;
}

void weir_status_answer(struct weir_supervisor *supervisor, uint64_t client)
{
	WEIR_CLEANUP(weir_fd_close) int readable = -1;
	int *const fd = &supervisor->client[client].fd;
	char text[sizeof(question)];

	if (*fd == -1)
		return;
	if (recv(*fd, text, sizeof(text), 0) == (ssize_t)sizeof(question) && is_question(text)) {
		if (memcmp(text, question_pages, sizeof(text)) == 0)
			weir_pages_look(supervisor, weir_clock_now_ns());
		weir_board_rows_write(supervisor, weir_clock_now_ns());
		readable = weir_board_open_readable(supervisor);
		if (readable >= 0)
			(void)weir_fd_send(*fd, text, sizeof(text), &readable, 1); /* or it left */
	}
	weir_fd_close(fd);
}

void weir_status_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (size_t i = 0; i < WEIR_STATUS_CLIENTS_MAX; i++) {
		if (supervisor->client[i].fd != -1 && supervisor->client[i].give_up_ns <= now_ns)
			weir_fd_close(&supervisor->client[i].fd);
	}
}
