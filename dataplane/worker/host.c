#include "dataplane/worker/host.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/alarm.h"
#include "dataplane/worker/baton.h"
#include "dataplane/worker/crash.h"
#include "dataplane/worker/mailbox.h"

enum { THREADS_MAX = WEIR_PORT_CALLS_MAX + 1 }; /* every call may be parked, and one leads */

struct weir_host_thread {
	struct weir_host *host;
	struct weir_host_thread *next; /* in the idle stack or the ready list */
	void *running;                 /* for the cancel hook */
	uint64_t waited_ns;
	int event_fd;    /* wakes poll(2); -1 until the first poll */
	bool is_parked;  /* baton */
	bool is_polling; /* baton */
	bool has_event;  /* baton: while this thread waits as leader */
	bool is_ready;   /* lock: in the ready list */
	bool is_granted; /* lock: taken from it, the baton is on its way */
	struct weir_baton baton;
	struct weir_crash_stack crash_stack;
};

struct weir_host {
	struct weir_host_hooks hooks;
	void *context;
	struct weir_host_thread *leader;
	struct weir_host_thread *idle;
	struct weir_host_thread *thread[THREADS_MAX];
	uint32_t thread_count;
	uint32_t parked_count;
	uint32_t shut_count;
	bool has_ready; /* the leader put a thread into the ready list */
	bool is_stopping;
	bool is_thread_refused; /* said once */
	struct weir_host_mail *stop;
	struct weir_host_mail *closing; /* LINK_CLOSE mails whose links still have calls */
	struct weir_snapshot snapshot;
	struct weir_alarm alarm; /* something in mail, or in ready from another thread */
	struct weir_mailbox mail;
	struct weir_mailbox reports;
	pthread_mutex_t lock; /* the ready list */
	struct weir_host_thread *ready_first;
	struct weir_host_thread *ready_last;
	int report_fd;
	struct weir_port port;
};

static void lock(struct weir_host *host)
{
	const int error = pthread_mutex_lock(&host->lock);

	WEIR_ASSERT(error == 0);
}

static void unlock(struct weir_host *host)
{
	const int error = pthread_mutex_unlock(&host->lock);

	WEIR_ASSERT(error == 0);
}

void weir_host_post(struct weir_host *host, struct weir_host_mail *mail)
{
	weir_mailbox_push(&host->mail, mail);
	weir_alarm_ring(&host->alarm);
}

static void report(struct weir_host *host, struct weir_host_mail *mail,
		   enum weir_host_mail_kind kind)
{
	const uint64_t one = 1;

	mail->kind = kind;
	weir_mailbox_push(&host->reports, mail);
	/* Fails only when the counter is full: then it is readable anyway. */
	if (write(host->report_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		WEIR_ASSERT(errno == EAGAIN);
}

struct weir_host_mail *weir_host_take_report(struct weir_host *host)
{
	uint64_t count = 0;

	/* First: a report that comes after the look makes it readable again. */
	if (read(host->report_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		WEIR_ASSERT(errno == EAGAIN);
	return weir_mailbox_pop(&host->reports);
}

/* ---- the ready list ---- */

static void ready_append(struct weir_host_thread *thread)
{
	struct weir_host *const host = thread->host;

	lock(host);
	if (!thread->is_ready && !thread->is_granted) {
		thread->is_ready = true;
		thread->next = NULL;
		if (host->ready_first == NULL)
			host->ready_first = thread;
		else
			host->ready_last->next = thread;
		host->ready_last = thread;
	}
	unlock(host);
}

static struct weir_host_thread *ready_take(struct weir_host *host)
{
	struct weir_host_thread *thread = NULL;

	lock(host);
	thread = host->ready_first;
	if (thread != NULL) {
		host->ready_first = thread->next;
		thread->is_ready = false;
		thread->is_granted = true;
	}
	unlock(host);
	return thread;
}

/* Leader: let every thread whose event came run until it parks again or its call ends. */
static void ready_run(struct weir_host *host, struct weir_host_thread *self)
{
	struct weir_host_thread *thread = ready_take(host);

	while (thread != NULL) {
		weir_baton_give(&thread->baton);
		(void)weir_baton_wait(&self->baton, WEIR_BATON_FOREVER);
		thread = ready_take(host);
	}
}

void weir_host_thread_wake(struct weir_host_thread *thread)
{
	const uint64_t one = 1;

	if (!thread->is_parked)
		return;
	thread->has_event = true;
	if (thread == thread->host->leader)
		return; /* it looks itself */
	ready_append(thread);
	thread->host->has_ready = true;
	if (thread->is_polling &&
	    write(thread->event_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		WEIR_ASSERT(errno == EAGAIN);
}

static void call_wake(void *context, struct weir_port_call *call)
{
	struct weir_host *const host = context;
	struct weir_host_thread *const thread = call->context;

	if (thread == NULL)
		return;
	if (call->is_cancelled && thread->is_parked && thread->running != NULL)
		host->hooks.cancel(thread->running);
	weir_host_thread_wake(thread);
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

static void snapshot_install(struct weir_host *host, struct weir_host_mail *mail)
{
	const struct weir_snapshot old = host->snapshot;

	mail->generation = mail->snapshot.header->generation;
	if (old.header == NULL || mail->generation > old.header->generation) {
		host->snapshot = mail->snapshot;
		mail->snapshot = old;
		host->hooks.configured(host);
	}
	for (uint32_t i = 0; i < host->thread_count; i++)
		weir_host_thread_wake(host->thread[i]); /* a call may wait for this generation */
	report(host, mail, WEIR_HOST_SNAPSHOT_OLD);
}

static void mail_handle(struct weir_host *host, struct weir_host_mail *mail)
{
	switch (mail->kind) {
	case WEIR_HOST_LINK_ADD:
		mail->error = weir_port_link_add(&host->port, mail->link);
		weir_alarm_follow(&host->alarm, &host->port);
		report(host, mail,
		       mail->error == 0 ? WEIR_HOST_LINK_ADDED : WEIR_HOST_LINK_REFUSED);
		break;
	case WEIR_HOST_LINK_CLOSE:
		(void)weir_port_link_close(&host->port,
					   mail->link_id); /* unknown: gone at once */
		mail->next = host->closing;
		host->closing = mail;
		break;
	case WEIR_HOST_SNAPSHOT:
		snapshot_install(host, mail);
		break;
	case WEIR_HOST_ENVIRONMENT:
		mail->environment = host->hooks.environment(host, mail->environment);
		for (uint32_t i = 0; i < host->thread_count; i++)
			weir_host_thread_wake(host->thread[i]); /* a call may wait for them */
		report(host, mail, WEIR_HOST_ENVIRONMENT_OLD);
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

static void chores_do(struct weir_host *host, struct weir_host_thread *self)
{
	struct weir_host_mail *mail = NULL;

	host->hooks.paused(host);
	if (weir_alarm_is_rung(&host->alarm)) {
		weir_alarm_answer(&host->alarm);
		host->has_ready = true; /* or not: a parked thread notifies like a mail does */
		while ((mail = weir_mailbox_pop(&host->mail)) != NULL)
			mail_handle(host, mail);
	}
	if (host->has_ready) {
		host->has_ready = false;
		ready_run(host, self);
	}
	if (host->closing != NULL)
		links_let_go(host);
	if (host->stop != NULL && host->port.call_count == 0) {
		weir_port_publish(&host->port);
		report(host, host->stop, WEIR_HOST_STOPPED);
		host->stop = NULL;
	}
}

/* Leader, between two calls: whatever is not a call. */
static void chores(struct weir_host *host, struct weir_host_thread *self)
{
	if (weir_alarm_is_rung(&host->alarm) || host->has_ready ||
	    host->closing != NULL || host->stop != NULL)
		chores_do(host, self);
}

/* ---- the leader ---- */

static void *thread_main(void *argument);

/* Start a thread that waits to become leader. */
static int thread_create(struct weir_host *host)
{
	struct weir_host_thread *thread = NULL;
	pthread_attr_t attributes;
	pthread_t id;
	int error = 0;

	if (host->thread_count == THREADS_MAX)
		return -EAGAIN;
	thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return -ENOMEM;
	thread->host = host;
	thread->event_fd = -1;
	error = pthread_attr_init(&attributes);
	if (error == 0) {
		/* Detached: the threads live as long as the process. */
		(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		error = pthread_create(&id, &attributes, thread_main, thread);
		(void)pthread_attr_destroy(&attributes);
	}
	if (error != 0) {
		free(thread);
		return -error;
	}
	host->thread[host->thread_count++] = thread;
	thread->next = host->idle;
	host->idle = thread;
	return 0;
}

static struct weir_host_thread *idle_take(struct weir_host *host)
{
	struct weir_host_thread *const thread = host->idle;

	WEIR_ASSERT(thread != NULL);
	host->idle = thread->next;
	return thread;
}

/* May another call start? Then there is a thread that leads on should it park. */
static bool may_start(struct weir_host *host)
{
	int error = 0;

	if (host->is_stopping || host->shut_count != 0 || host->parked_count >= WEIR_HOST_PARKED_MAX)
		return false;
	if (host->idle != NULL)
		return true;
	error = thread_create(host);
	if (error != 0 && !host->is_thread_refused) {
		host->is_thread_refused = true;
		weir_log(WEIR_LOG_WARN, "no thread for more waiting calls",
			 "threads=%u error=%d", host->thread_count, -error);
	}
	return error == 0;
}

static void leader_sleep(struct weir_host *host, uint64_t until_ns)
{
	host->hooks.paused(host);
	weir_port_publish(&host->port);
	weir_alarm_sleep(&host->alarm, &host->port, until_ns);
}

static void link_broke(struct weir_host *host)
{
	weir_log(WEIR_LOG_ERROR, "a ring of the gateway is broken, its link is closed",
		 "links=%u", host->port.link_count);
}

static void lead(struct weir_host_thread *self)
{
	struct weir_host *const host = self->host;

	while (host->leader == self) {
		struct weir_port_call *call = NULL;
		int result = 0;

		chores(host, self);
		result = weir_port_next(&host->port, may_start(host), &call);
		if (result == 1) {
			call->context = self;
			host->hooks.run(host, self, call);
		} else if (result == 0) {
			leader_sleep(host, UINT64_MAX);
		} else if (result == -EBADMSG) {
			link_broke(host);
		}
	}
}

static void *thread_main(void *argument)
{
	struct weir_host_thread *const self = argument;
	struct weir_host *const host = self->host;

	weir_crash_thread_open(&self->crash_stack);
	for (;;) {
		(void)weir_baton_wait(&self->baton, WEIR_BATON_FOREVER);
		lead(self);
		/* Another leads; this thread's call has ended. */
		self->next = host->idle;
		host->idle = self;
		weir_baton_give(&host->leader->baton);
	}
	return NULL;
}

/* ---- waiting calls ---- */

/* Leader: go on leading while its own call waits. False: another call could start, which needs
 * another leader. */
static bool wait_leading(struct weir_host_thread *self, uint64_t until_ns)
{
	struct weir_host *const host = self->host;

	for (;;) {
		struct weir_port_call *call = NULL;
		int result = 0;

		chores(host, self);
		if (self->has_event)
			return true;
		result = weir_port_next(&host->port, false, &call);
		if (result == -EBADMSG)
			link_broke(host);
		if (result != 0 || self->has_event)
			continue;
		if (weir_port_has_backlog(&host->port) && may_start(host))
			return false;
		if (weir_clock_now_ns() >= until_ns)
			return true;
		leader_sleep(host, until_ns);
	}
}

/* Until a descriptor is ready, thread_wake() writes the eventfd, or the time has come. */
static void wait_polling(struct weir_host_thread *self, struct pollfd *fds, size_t count,
			 uint64_t until_ns)
{
	struct pollfd all[WEIR_HOST_POLL_MAX + 1];
	const uint64_t now_ns = weir_clock_now_ns();
	struct timespec timeout = {0};
	uint64_t woken = 0;

	if (until_ns > now_ns) {
		timeout.tv_sec = (time_t)((until_ns - now_ns) / WEIR_NS_PER_SECOND);
		timeout.tv_nsec = (long)((until_ns - now_ns) % WEIR_NS_PER_SECOND);
	}
	memcpy(all, fds, count * sizeof(all[0]));
	all[count] = (struct pollfd){.fd = self->event_fd, .events = POLLIN};
	(void)ppoll(all, count + 1, &timeout, NULL); /* EINTR: the caller looks again */
	for (size_t i = 0; i < count; i++)
		fds[i].revents = all[i].revents;
	/* Clear a wake; one that comes later than this only ends the next poll early. */
	if (read(self->event_fd, &woken, sizeof(woken)) != (ssize_t)sizeof(woken))
		WEIR_ASSERT(errno == EAGAIN);
}

/* Without the baton until the wait is over, then in line for it. */
static void wait_parked(struct weir_host_thread *self, struct pollfd *fds, size_t count,
			uint64_t until_ns)
{
	struct weir_host *const host = self->host;

	self->is_polling = count != 0;
	if (host->leader == self)
		host->leader = idle_take(host);
	weir_baton_give(&host->leader->baton);
	if (count == 0) {
		if (weir_baton_wait(&self->baton, until_ns))
			return;
	} else {
		wait_polling(self, fds, count, until_ns);
	}
	ready_append(self);
	weir_alarm_ring(&host->alarm);
	(void)weir_baton_wait(&self->baton, WEIR_BATON_FOREVER);
}

/* The eventfd for polling; without one the wait is a short sleep, and the caller looks again. */
static bool event_fd_open(struct weir_host_thread *self)
{
	if (self->event_fd == -1)
		self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return self->event_fd != -1;
}

void weir_host_wait(struct weir_host_thread *self, struct weir_port_call *call,
		    struct pollfd *fds, size_t count, uint64_t until_ns)
{
	struct weir_host *const host = self->host;
	const uint64_t since_ns = weir_clock_now_ns();

	WEIR_ASSERT(count <= WEIR_HOST_POLL_MAX);
	weir_port_publish(&host->port);
	weir_port_park(&host->port, call);
	host->parked_count++;
	self->is_parked = true;
	self->has_event = false;
	if (count != 0 && !event_fd_open(self)) {
		count = 0;
		until_ns = since_ns + WEIR_NS_PER_MS;
	}
	if (count != 0 || host->leader != self || !wait_leading(self, until_ns))
		wait_parked(self, fds, count, until_ns);
	self->is_parked = false;
	self->is_polling = false;
	self->is_granted = false;
	host->parked_count--;
	weir_port_unpark(&host->port, call);
	self->waited_ns += weir_clock_now_ns() - since_ns;
}

void weir_host_shut(struct weir_host *host)
{
	if (host->shut_count++ == 0)
		weir_port_shut(&host->port, true);
}

void weir_host_open(struct weir_host *host)
{
	WEIR_ASSERT(host->shut_count != 0);
	if (--host->shut_count == 0)
		weir_port_shut(&host->port, false);
}

uint64_t weir_host_thread_waited_ns(const struct weir_host_thread *thread)
{
	return thread->waited_ns;
}

void weir_host_thread_reset_waited(struct weir_host_thread *thread)
{
	thread->waited_ns = 0;
}

void weir_host_thread_set_running(struct weir_host_thread *thread, void *running)
{
	thread->running = running;
}

/* ---- the rest ---- */

struct weir_port *weir_host_port(struct weir_host *host)
{
	return &host->port;
}

const struct weir_snapshot *weir_host_snapshot(const struct weir_host *host)
{
	return &host->snapshot;
}

void *weir_host_context(const struct weir_host *host)
{
	return host->context;
}

int weir_host_report_fd(const struct weir_host *host)
{
	return host->report_fd;
}

int weir_host_create(const struct weir_host_hooks *hooks, void *context,
		     struct weir_host **out_host)
{
	struct weir_host *const host = calloc(1, sizeof(*host));
	int error = 0;

	if (host == NULL)
		return -ENOMEM;
	host->hooks = *hooks;
	host->context = context;
	weir_port_open(&host->port, WEIR_HOST_PARKED_MAX, call_wake, host);
	weir_mailbox_open(&host->mail);
	weir_mailbox_open(&host->reports);
	weir_alarm_open(&host->alarm);
	error = pthread_mutex_init(&host->lock, NULL);
	WEIR_ASSERT(error == 0); /* cannot fail without attributes */
	host->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = host->report_fd == -1 ? -errno : thread_create(host);
	if (error != 0) {
		weir_fd_close(&host->report_fd);
		(void)pthread_mutex_destroy(&host->lock);
		free(host);
		return error;
	}
	host->leader = idle_take(host);
	weir_baton_give(&host->leader->baton);
	*out_host = host;
	return 0;
}
