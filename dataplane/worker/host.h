/* host: the worker's threads, of which one at a time runs: the holder of the baton.
 *
 *   leader     takes calls from the port and runs their functions itself, so that a small call meets
 *              no other thread, no lock and no system call; sleeps on the bells when rings are empty
 *   parked     a thread whose call waits (body, grant, time, child process); when its event came it
 *              joins the ready list, and the leader passes it the baton until it parks or ends
 *   idle       waits to become leader: a leader whose own call must wait and finds another call to
 *              start hands its role to one
 *
 *   control thread --post--> mail --> leader          leader --report--> control thread (eventfd)
 *
 * Owns: threads and the port. Links and snapshots come in by mail and go back by report, because
 * mapping and unmapping may block.
 * Threads: create, post, take_report and destroy: the control thread. wait(): the thread that runs
 * the call. The rest: the baton's holder.
 * Peer death: the control thread posts LINK_CLOSE. */
#ifndef WEIR_DATAPLANE_WORKER_HOST_H
#define WEIR_DATAPLANE_WORKER_HOST_H

#include <poll.h>

#include "dataplane/port/port.h"
#include "dataplane/shm/snapshot.h"

enum {
	WEIR_HOST_PARKED_MAX = WEIR_PORT_CALLS_MAX - 1,
	WEIR_HOST_POLL_MAX = 9, /* descriptors that one call may wait for */
};

struct weir_host;
struct weir_host_thread;
struct weir_variables;

enum weir_host_mail_kind {
	WEIR_HOST_LINK_ADD,   /* link */
	WEIR_HOST_LINK_CLOSE, /* link_id */
	WEIR_HOST_ENVIRONMENT, /* environment */
	WEIR_HOST_SNAPSHOT,   /* snapshot */
	WEIR_HOST_STOP,
	/* Reports; the posted mail itself comes back. */
	WEIR_HOST_LINK_REFUSED, /* of LINK_ADD: the link could not be added; error */
	WEIR_HOST_LINK_ADDED,
	WEIR_HOST_LINK_GONE,    /* of LINK_CLOSE: link to destroy, or NULL if it was unknown */
	WEIR_HOST_ENVIRONMENT_OLD, /* of ENVIRONMENT: the one that it replaced, to free */
	WEIR_HOST_SNAPSHOT_OLD, /* of SNAPSHOT: installed; the one it replaced, to detach */
	WEIR_HOST_STOPPED,      /* of STOP: nothing runs any more */
};

struct weir_host_mail {
	struct weir_host_mail *next;
	enum weir_host_mail_kind kind;
	int error;
	uint64_t link_id;
	uint64_t generation;
	struct weir_port_link *link;
	struct weir_snapshot snapshot;
	struct weir_variables *environment;
};

/* What the host does not know: functions. All run on the baton. */
struct weir_host_hooks {
	/* Run an accepted call to its end (weir_port_call_finish or _abort). */
	void (*run)(struct weir_host *host, struct weir_host_thread *thread,
		    struct weir_port_call *call);
	/* The call of a parked thread was cancelled; `running` is what the thread set. */
	void (*cancel)(void *running);
	/* Before the leader does anything else than starting calls: mail, another thread's turn, sleep. */
	void (*paused)(struct weir_host *host);
	/* Other variables came: returns those before. */
	struct weir_variables *(*environment)(struct weir_host *host,
					      struct weir_variables *variables);
	/* Another snapshot is in weir_host_snapshot(); the old one is still mapped. */
	void (*configured)(struct weir_host *host);
};

/* A host with its first leader, without links. 0, -ENOMEM or -errno. */
int weir_host_create(const struct weir_host_hooks *hooks, void *context,
		     struct weir_host **out_host);

/* Hand a mail (malloc'd) to the leader; comes back by take_report. */
void weir_host_post(struct weir_host *host, struct weir_host_mail *mail);

/* The descriptor that becomes readable when a report waits; the host's. */
int weir_host_report_fd(const struct weir_host *host);

/* The oldest report, the caller's to free; NULL if there is none. */
struct weir_host_mail *weir_host_take_report(struct weir_host *host);

/* The port, the newest snapshot (header NULL before the first) and the creator's context. */
struct weir_port *weir_host_port(struct weir_host *host);
const struct weir_snapshot *weir_host_snapshot(const struct weir_host *host);
void *weir_host_context(const struct weir_host *host);

/* What cancel() gets if this thread's call is cancelled while it is parked; NULL = nothing. */
void weir_host_thread_set_running(struct weir_host_thread *thread, void *running);

/* The call of this thread waits: others run meanwhile. Returns when something arrived for the call,
 * a descriptor of fds[0 .. count-1] is ready (revents as poll(2)), a snapshot was installed, or
 * `until_ns` passed; perhaps sooner: look again. */
void weir_host_wait(struct weir_host_thread *thread, struct weir_port_call *call,
		    struct pollfd *fds, size_t count, uint64_t until_ns);

/* No call is started until it is opened as often as it was shut: one that waits has what others need. */
void weir_host_shut(struct weir_host *host);
void weir_host_open(struct weir_host *host);

/* Something happened for that thread's call, which waits or is about to return from it. */
void weir_host_thread_wake(struct weir_host_thread *thread);

/* Time that the thread's call spent waiting since the last reset, ns. */
uint64_t weir_host_thread_waited_ns(const struct weir_host_thread *thread);
void weir_host_thread_reset_waited(struct weir_host_thread *thread);

#endif
