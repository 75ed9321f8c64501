#include "dataplane/worker/attend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/control.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/reveal.h"
#include "dataplane/worker/variables.h"

struct attend {
	int socket_fd;
	struct weir_host *host;
	uint64_t worker_id;
	bool is_started;
	bool is_configured;
	bool is_ready; /* said so */
	bool is_stop_posted;
	bool is_stopped;
};

static void send_message(const struct attend *attend, const struct weir_control *control)
{
	int result = weir_control_send(attend->socket_fd, control, NULL, 0);

	while (result == -EAGAIN) { /* nobody reads while the supervisor is replaced: this thread may wait */
		struct pollfd room = {.fd = attend->socket_fd, .events = POLLOUT};

		(void)poll(&room, 1, -1); /* interrupted or closed: the next send tells */
		result = weir_control_send(attend->socket_fd, control, NULL, 0);
	}
	/* A closed socket is noticed by receive, which ends the worker. */
	if (result != 0)
		weir_log(WEIR_LOG_WARN, "control message not sent", "kind=%u error=%d",
			 control->kind, -result);
}

static void ready_check(struct attend *attend)
{
	const struct weir_control ready = {.kind = WEIR_CONTROL_READY};

	if (attend->is_ready || !attend->is_started || !attend->is_configured)
		return;
	attend->is_ready = true;
	send_message(attend, &ready);
}

/* A mail for the host; without memory for it the worker can do nothing that makes sense. */
static struct weir_host_mail *mail_create(enum weir_host_mail_kind kind)
{
	struct weir_host_mail *const mail = calloc(1, sizeof(*mail));

	WEIR_ASSERT(mail != NULL);
	mail->kind = kind;
	return mail;
}

static void stop_post(struct attend *attend)
{
	if (attend->is_stop_posted)
		return;
	attend->is_stop_posted = true;
	weir_host_post(attend->host, mail_create(WEIR_HOST_STOP));
}

/* The descriptors: where what functions print goes, the capture's from now on; what the control group
 * counts. */
static void output_open(struct weir_control_fds *fds)
{
	const int output_fd = fds->count >= 1 ? fds->fd[0] : -1;
	const int result = weir_capture_start(output_fd);

	if (fds->count == 2)
		weir_memory_open(fds->fd[1]);

	fds->count = 0;
	if (result != 0)
		weir_log(WEIR_LOG_ERROR, "what functions write to descriptors is not collected",
			 "error=%d", -result);
}

static void started(struct attend *attend, const struct weir_control *control,
		    struct weir_control_fds *fds)
{
	char name[32];

	if (attend->is_started) {
		weir_fd_close_all(fds->fd, fds->count);
		return;
	}

	attend->worker_id = control->worker_start.worker_id;
	weir_memory_pool(control->worker_start.pool_key);
	attend->is_started = true;
	(void)snprintf(name, sizeof(name), "worker/%llu",
		       (unsigned long long)attend->worker_id); /* fits */
	weir_log_open(name);
	(void)snprintf(name, sizeof(name), "weir-worker/%llu",
		       (unsigned long long)attend->worker_id);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0); /* cut to 15 bytes; only ps shows it */
	output_open(fds);
}

static void link_gone(const struct attend *attend, uint64_t link_id)
{
	struct weir_control gone = {.kind = WEIR_CONTROL_LINK_GONE};

	gone.link.link_id = link_id;
	gone.link.worker_id = attend->worker_id;
	send_message(attend, &gone);
}

/* fds: segment, shard board, one eventfd per shard. */
static void link_open(struct attend *attend, const struct weir_control *control,
		      struct weir_control_fds *fds)
{
	const uint32_t shards = control->link_open.shard_count;
	struct weir_host_mail *mail = NULL;
	struct weir_port_link *link = NULL;
	int result = -EBADMSG;

	if (shards >= 1 && shards <= WEIR_SHARDS_MAX && fds->count == 2U + shards)
		result = weir_port_link_create(fds->fd[0], fds->fd[1], fds->fd + 2, shards,
					       &link);
	if (result == 0 && link->link_id != control->link_open.link_id) {
		/* The eventfds belong to the link and go with it. */
		fds->count = 2;
		weir_port_link_destroy(link);
		result = -EBADMSG;
	}
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "link refused", "link=%llu error=%d",
			 (unsigned long long)control->link_open.link_id, -result);
		weir_fd_close_all(fds->fd, fds->count);
		link_gone(attend, control->link_open.link_id);
		return;
	}
	weir_fd_close_all(fds->fd, 2);
	mail = mail_create(WEIR_HOST_LINK_ADD);
	mail->link_id = link->link_id;
	mail->link = link;
	weir_host_post(attend->host, mail);
}

static void snapshot_open(struct attend *attend, const struct weir_control *control,
			  struct weir_control_fds *fds)
{
	struct weir_snapshot snapshot = {0};
	struct weir_host_mail *mail = NULL;
	const int result =
		fds->count == 1 ? weir_snapshot_attach_functions(fds->fd[0], &snapshot)
				: -EBADMSG;

	weir_fd_close_all(fds->fd, fds->count);
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "snapshot refused", "generation=%llu error=%d",
			 (unsigned long long)control->snapshot.generation, -result);
		return;
	}
	mail = mail_create(WEIR_HOST_SNAPSHOT);
	mail->snapshot = snapshot;
	weir_host_post(attend->host, mail);
}

static void environment_open(struct attend *attend, struct weir_control_fds *fds)
{
	struct weir_variables *variables = NULL;
	struct weir_host_mail *mail = NULL;
	const int result = fds->count == 1 ? weir_variables_read(fds->fd[0], &variables) : -EBADMSG;

	weir_fd_close_all(fds->fd, fds->count);
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "variables of functions refused", "error=%d", -result);
		return;
	}
	mail = mail_create(WEIR_HOST_ENVIRONMENT);
	mail->environment = variables;
	weir_host_post(attend->host, mail);
}

/* One message from the supervisor. */
static void message_handle(struct attend *attend, const struct weir_control *control,
			   struct weir_control_fds *fds)
{
	struct weir_host_mail *mail = NULL;

	/* Everything else comes without descriptors, and so do unknown kinds. */
	if (control->kind != WEIR_CONTROL_LINK_OPEN && control->kind != WEIR_CONTROL_SNAPSHOT &&
	    control->kind != WEIR_CONTROL_WORKER_START && control->kind != WEIR_CONTROL_ENVIRONMENT)
		weir_fd_close_all(fds->fd, fds->count);
	if (control->kind == WEIR_CONTROL_WORKER_START) {
		started(attend, control, fds);
		ready_check(attend);
	} else if (control->kind == WEIR_CONTROL_SNAPSHOT) {
		snapshot_open(attend, control, fds);
	} else if (control->kind == WEIR_CONTROL_ENVIRONMENT) {
		environment_open(attend, fds);
	} else if (control->kind == WEIR_CONTROL_LINK_OPEN) {
		link_open(attend, control, fds);
	} else if (control->kind == WEIR_CONTROL_LINK_CLOSE) {
		mail = mail_create(WEIR_HOST_LINK_CLOSE);
		mail->link_id = control->link.link_id;
		weir_host_post(attend->host, mail);
	} else if (control->kind == WEIR_CONTROL_REVEALED) {
		weir_reveal_answered(control->reveal.function_id, control->reveal.error);
	} else if (control->kind == WEIR_CONTROL_STOP) {
		stop_post(attend);
	}
}

/* Everything that is in the socket. 0, or -errno when it is unusable. */
static int messages_receive(struct attend *attend)
{
	struct weir_control control;
	struct weir_control_fds fds;

	for (;;) {
		const int result = weir_control_receive(attend->socket_fd, &control, &fds);

		if (result == 1) {
			message_handle(attend, &control, &fds);
		} else if (result == -EAGAIN) {
			return 0;
		} else if (result == 0 || result == -ECONNRESET) {
			weir_log(WEIR_LOG_WARN, "the supervisor's socket is closed, stopping",
				 "error=%d", -result);
			stop_post(attend);
			return 0;
		} else if (result == -EBADMSG || result == -EPROTO) {
			weir_log(WEIR_LOG_WARN, "control message ignored", "error=%d", -result);
		} else {
			return result;
		}
	}
}

static void report_handle(struct attend *attend, struct weir_host_mail *mail)
{
	struct weir_control ack = {.kind = WEIR_CONTROL_SNAPSHOT_ACK};

	switch (mail->kind) {
	case WEIR_HOST_LINK_ADDED:
		weir_log(WEIR_LOG_DEBUG, "link opened", "link=%llu",
			 (unsigned long long)mail->link_id);
		break;
	case WEIR_HOST_LINK_REFUSED:
		weir_log(WEIR_LOG_ERROR, "link refused", "link=%llu error=%d",
			 (unsigned long long)mail->link_id, -mail->error);
		weir_port_link_destroy(mail->link);
		link_gone(attend, mail->link_id);
		break;
	case WEIR_HOST_LINK_GONE:
		weir_port_link_destroy(mail->link);
		link_gone(attend, mail->link_id);
		break;
	case WEIR_HOST_SNAPSHOT_OLD:
		weir_snapshot_detach(&mail->snapshot);
		attend->is_configured = true;
		ack.snapshot_ack.generation = mail->generation;
		send_message(attend, &ack);
		ready_check(attend);
		break;
	case WEIR_HOST_ENVIRONMENT_OLD:
		weir_variables_free(mail->environment);
		break;
	case WEIR_HOST_STOPPED:
		attend->is_stopped = true;
		break;
	case WEIR_HOST_LINK_ADD:
	case WEIR_HOST_LINK_CLOSE:
	case WEIR_HOST_ENVIRONMENT:
	case WEIR_HOST_SNAPSHOT:
	case WEIR_HOST_STOP:
		WEIR_ASSERT(false && "the host reports only what it did");
	}
	free(mail);
}

int weir_attend_run(int socket_fd, struct weir_host *host)
{
	struct attend attend = {.socket_fd = socket_fd, .host = host};

	while (!attend.is_stopped) {
		struct pollfd fds[2] = {
			{.fd = weir_host_report_fd(host), .events = POLLIN},
			{.fd = attend.is_stop_posted ? -1 : socket_fd, .events = POLLIN},
		};
		struct weir_host_mail *mail = NULL;
		int result = 0;

		if (poll(fds, 2, -1) == -1 && errno != EINTR)
			return -errno;
		if (fds[1].revents != 0)
			result = messages_receive(&attend);
		if (result != 0)
			return result;
		mail = weir_host_take_report(host);
		while (mail != NULL) {
			report_handle(&attend, mail);
			mail = weir_host_take_report(host);
		}
	}
	return 0;
}
