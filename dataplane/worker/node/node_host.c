#include "dataplane/worker/node/node_host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/node/node_watch.h"

enum { STACK_BYTES = 262144 };

/* ---- host.h: the control thread's side ---- */

void weir_host_post(struct weir_host *host, struct weir_host_mail *mail)
{
	weir_mailbox_push(&host->mail, mail);
	weir_alarm_ring(&host->alarm);
}

int weir_host_report_fd(const struct weir_host *host)
{
	return host->report_fd;
}

struct weir_host_mail *weir_host_take_report(struct weir_host *host)
{
	uint64_t count = 0;

	/* First: a report that comes after the look makes it readable again. */
	if (read(host->report_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		WEIR_ASSERT(errno == EAGAIN);
	return weir_mailbox_pop(&host->reports);
}

static void report(struct weir_host *host, struct weir_host_mail *mail, enum weir_host_mail_kind kind)
{
	const uint64_t one = 1;

	mail->kind = kind;
	weir_mailbox_push(&host->reports, mail);
	/* Fails only when the counter is full: then it is readable anyway. */
	if (write(host->report_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		WEIR_ASSERT(errno == EAGAIN);
}

/* ---- mail ---- */

static void links_let_go(struct weir_host *host)
{
	struct weir_host_mail **place = &host->closing;

	while (*place != NULL) {
		struct weir_host_mail *const mail = *place;

		mail->link = NULL;
		if (weir_port_link_take(&host->port, mail->link_id, &mail->link) == -EBUSY) {
			place = &mail->next;
			continue;
		}
		*place = mail->next;
		weir_alarm_follow(&host->alarm, &host->port);
		report(host, mail, WEIR_HOST_LINK_GONE);
	}
}

/* A newer version runs in a new process: modules that were loaded stay loaded. */
static void version_check(struct weir_host *host)
{
	const struct weir_snapshot_function *const row =
		host->function.id == 0 ? NULL
				       : weir_snapshot_function_find(&host->snapshot, host->function.id);

	if (row != NULL && row->version != host->function.version && !host->is_retiring) {
		host->is_retiring = true;
		weir_log(WEIR_LOG_INFO, "a newer version of the function, the worker ends", "function=%s",
			 host->function.name);
	}
}

static void calls_wake(struct weir_host *host)
{
	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++)
		host->slot[i].has_event = host->slot[i].call != NULL;
	host->has_events = true;
}

static void snapshot_install(struct weir_host *host, struct weir_host_mail *mail)
{
	const struct weir_snapshot old = host->snapshot;

	mail->generation = mail->snapshot.header->generation;
	if (old.header == NULL || mail->generation > old.header->generation) {
		host->snapshot = mail->snapshot;
		mail->snapshot = old;
		version_check(host);
	}
	calls_wake(host); /* one may wait for this generation */
	report(host, mail, WEIR_HOST_SNAPSHOT_OLD);
}

static void environment_install(struct weir_host *host, struct weir_host_mail *mail)
{
	struct weir_variables *const old = host->variables;

	host->variables = mail->environment;
	mail->environment = old;
	calls_wake(host); /* one may wait for them */
	report(host, mail, WEIR_HOST_ENVIRONMENT_OLD);
}

static void mail_handle(struct weir_host *host, struct weir_host_mail *mail)
{
	switch (mail->kind) {
	case WEIR_HOST_LINK_ADD:
		mail->error = weir_port_link_add(&host->port, mail->link);
		weir_alarm_follow(&host->alarm, &host->port);
		report(host, mail, mail->error == 0 ? WEIR_HOST_LINK_ADDED : WEIR_HOST_LINK_REFUSED);
		break;
	case WEIR_HOST_LINK_CLOSE:
		(void)weir_port_link_close(&host->port, mail->link_id); /* unknown: gone at once */
		mail->next = host->closing;
		host->closing = mail;
		break;
	case WEIR_HOST_SNAPSHOT:
		snapshot_install(host, mail);
		break;
	case WEIR_HOST_ENVIRONMENT:
		environment_install(host, mail);
		break;
	case WEIR_HOST_STOP:
		host->is_stopping = true;
		if (host->stop == NULL)
			host->stop = mail;
		else
			free(mail);
		break;
	case WEIR_HOST_LINK_REFUSED:
	case WEIR_HOST_LINK_ADDED:
	case WEIR_HOST_LINK_GONE:
	case WEIR_HOST_ENVIRONMENT_OLD:
	case WEIR_HOST_SNAPSHOT_OLD:
	case WEIR_HOST_STOPPED:
		WEIR_ASSERT(false && "a report was posted");
	}
}

static void mails_handle(struct weir_host *host)
{
	struct weir_host_mail *mail = NULL;

	if (!weir_alarm_is_rung(&host->alarm))
		return;
	weir_alarm_answer(&host->alarm);
	while ((mail = weir_mailbox_pop(&host->mail)) != NULL)
		mail_handle(host, mail);
}

/* What may be done when nothing runs any more. */
static void ends_check(struct weir_host *host)
{
	if (host->closing != NULL)
		links_let_go(host);
	if (host->port.call_count != 0)
		return;
	if (host->stop != NULL) {
		weir_port_publish(&host->port);
		report(host, host->stop, WEIR_HOST_STOPPED);
		host->stop = NULL;
	}
	if (host->is_retiring && !host->is_stopping) {
		weir_port_publish(&host->port);
		_exit(EXIT_SUCCESS); /* what it did not start is bound elsewhere */
	}
}

/* ---- calls ---- */

static void call_wake(void *context, struct weir_port_call *call)
{
	struct weir_host *const host = context;
	struct weir_node_slot *const slot = call->context;

	if (slot == NULL)
		return;
	slot->has_event = true;
	host->has_events = true;
}

static void service_learn(struct weir_host *host, uint64_t took_ns, uint32_t calls)
{
	const uint64_t each_ns = took_ns / calls;

	host->service_ns = host->service_ns == 0 ? each_ns + 1 : host->service_ns - host->service_ns / 8 + each_ns / 8;
	if (host->service_ns == 0)
		host->service_ns = 1;
	weir_port_service(&host->port, host->service_ns);
}

/* Start what is in the rings, at most a batch of it. How many were started. */
static uint32_t calls_start(struct weir_host *host, uint64_t began_ns)
{
	uint32_t count = 0;
	uint64_t published_ns = began_ns;

	while (count < WEIR_NODE_BATCH) {
		struct weir_port_call *call = NULL;
		const bool may_start = !host->is_stopping && !host->is_retiring;
		const int result = weir_port_next(&host->port, may_start, &call);

		if (host->has_events)
			weir_node_call_events(host);
		if (result == 1) {
			count++;
			weir_node_call_start(host, call);
			if (weir_port_is_dirty(&host->port) &&
			    weir_clock_now_ns() - published_ns > WEIR_NODE_PUBLISH_NS) {
				weir_port_publish(&host->port);
				published_ns = weir_clock_now_ns();
			}
		} else if (result == -EBADMSG) {
			weir_log(WEIR_LOG_ERROR, "a ring of the gateway is broken, its link is closed",
				 "links=%u", host->port.link_count);
		} else if (result == 0) {
			break;
		}
	}
	return count;
}

static void turn(struct weir_host *host)
{
	const uint64_t began_ns = weir_clock_now_ns();
	uint32_t count = 0;

	mails_handle(host);
	if (host->has_events)
		weir_node_call_events(host);
	count = calls_start(host, began_ns);
	host->hooks.paused(host);
	weir_port_publish(&host->port);
	if (count != 0)
		service_learn(host, weir_clock_now_ns() - began_ns, count);
	ends_check(host);
}

/* ---- Node's loop ---- */

/* Descriptors that the loop wants to wait for and has not told the kernel yet. uv.h has the queue in the
 * struct that its users allocate, so its place can't change within libuv 1. */
static bool has_new_watchers(const uv_loop_t *loop)
{
	const void *const *const queue = (const void *const *)(const void *)&loop->watcher_queue;

	return queue[0] != (const void *)queue;
}

/* Must Node's loop go round? If not, *out_until_ns is when it must. */
static bool is_loop_due(struct weir_host *host, uint64_t *out_until_ns)
{
	int timeout_ms = 0;

	*out_until_ns = UINT64_MAX;
	/* ORDER node_io seq_cst: after the alarm was answered, so that what rang it is seen. */
	if (atomic_load_explicit(&host->is_io_ready, memory_order_seq_cst) || has_new_watchers(host->loop))
		return true;
	uv_update_time(host->loop);
	timeout_ms = uv_backend_timeout(host->loop);
	if (timeout_ms > 0)
		*out_until_ns = weir_clock_now_ns() + (uint64_t)timeout_ms * WEIR_NS_PER_MS;
	return timeout_ms == 0;
}

/* When JavaScript that Node's loop runs must have come back: when the last call's time is over. */
static uint64_t loop_deadline(const struct weir_host *host)
{
	uint64_t deadline_ns = 0;

	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++) {
		const struct weir_port_call *const call = host->slot[i].call;

		if (call != NULL && call->deadline_ns > deadline_ns)
			deadline_ns = call->deadline_ns;
	}
	if (deadline_ns == 0)
		deadline_ns = weir_clock_now_ns() + WEIR_NODE_BACKGROUND_NS;
	return deadline_ns;
}

void weir_node_host_watch_loop(const struct weir_host *host)
{
	weir_node_watch_enter(WEIR_NODE_WATCH_LOOP, loop_deadline(host));
}

static void on_idle(uv_idle_t *handle)
{
	(void)handle; /* being active is all it does */
}

/* Before Node's loop would sleep: take calls and sleep here, until the loop has something to do. */
static void on_prepare(uv_prepare_t *handle)
{
	struct weir_host *const host = handle->data;
	uint64_t until_ns = 0;

	if (host->is_in_turn)
		return; /* a function runs the loop itself */
	host->is_in_turn = true;
	(void)weir_node_watch_leave(); /* it guarded the loop, which is never told to end */
	(void)uv_idle_stop(&host->idle);
	if (atomic_load_explicit(&host->is_io_ready, memory_order_relaxed)) {
		/* The loop has looked at its descriptors. Relaxed: the semaphore orders it. */
		atomic_store_explicit(&host->is_io_ready, false, memory_order_relaxed);
		(void)sem_post(&host->io_go); /* one at a time: does not overflow */
	}
	turn(host);
	while (!is_loop_due(host, &until_ns)) {
		/* An answer that came in the turn may have let a handler call again. */
		if (!host->has_events && weir_port_is_empty(&host->port) && !weir_alarm_is_rung(&host->alarm))
			weir_alarm_sleep(&host->alarm, &host->port, until_ns);
		turn(host);
	}
	(void)uv_idle_start(&host->idle, on_idle);
	weir_node_host_watch_loop(host);
	host->is_in_turn = false;
}

/* The thread that waits for Node's descriptors while JavaScript's thread sleeps on the bells. */
static void *io_main(void *argument)
{
	struct weir_host *const host = argument;
	struct pollfd loop = {.fd = uv_backend_fd(host->loop), .events = POLLIN};

	for (;;) {
		if (poll(&loop, 1, -1) != 1)
			continue; /* no signal comes here; try again */
		/* ORDER node_io seq_cst: before the alarm is rung. */
		atomic_store_explicit(&host->is_io_ready, true, memory_order_seq_cst);
		weir_alarm_ring(&host->alarm);
		while (sem_wait(&host->io_go) != 0)
			; /* interrupted */
	}
	return NULL;
}

static int io_start(struct weir_host *host)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int error = sem_init(&host->io_go, 0, 0) != 0 ? errno : pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&id, &attributes, io_main, host);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

int weir_node_host_open(struct weir_host *host, uv_loop_t *loop, const struct weir_host_hooks *hooks,
			void *context)
{
	int result = 0;

	host->hooks = *hooks;
	host->context = context;
	host->loop = loop;
	for (uint32_t i = 0; i < WEIR_PORT_CALLS_MAX; i++)
		host->slot[i] = (struct weir_node_slot){.host = host, .id = i};
	weir_port_open(&host->port, WEIR_HOST_PARKED_MAX, call_wake, host);
	weir_mailbox_open(&host->mail);
	weir_mailbox_open(&host->reports);
	weir_alarm_open(&host->alarm);
	host->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (host->report_fd == -1)
		return -errno;
	result = weir_node_watch_open();
	if (result == 0)
		result = io_start(host);
	if (result != 0)
		return result;
	/* Neither fails: they only put the handles into the loop's lists. */
	(void)uv_prepare_init(loop, &host->prepare);
	(void)uv_idle_init(loop, &host->idle);
	host->prepare.data = host;
	(void)uv_prepare_start(&host->prepare, on_prepare);
	(void)uv_idle_start(&host->idle, on_idle);
	return 0;
}
