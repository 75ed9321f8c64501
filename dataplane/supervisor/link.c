#include "dataplane/supervisor/link.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/records.h"

static const uint64_t drain_ns = 5 * WEIR_NS_PER_SECOND;
static const uint64_t refused_ns = 250 * WEIR_NS_PER_MS;
static const uint64_t close_ns = 10 * WEIR_NS_PER_SECOND;
static const uint64_t retry_ns = 100 * WEIR_NS_PER_MS;

struct weir_link *weir_link_current(struct weir_supervisor *supervisor, const struct weir_worker *worker,
				    bool draining)
{
	if (supervisor->gateway.pidfd == -1)
		return NULL;
	for (size_t i = 0; i < supervisor->link_places; i++) {
		struct weir_link *const link = &supervisor->link[i];
		const bool open = link->state == WEIR_LINK_OPENING || link->state == WEIR_LINK_OPEN;

		if (link->id != 0 && link->worker_id == worker->process.id &&
		    link->gateway_id == supervisor->gateway.id &&
		    (draining ? link->state == WEIR_LINK_DRAINING : open))
			return link;
	}
	return NULL;
}

struct weir_link *weir_link_find(struct weir_supervisor *supervisor, uint64_t id)
{
	for (size_t i = 0; id != 0 && i < supervisor->link_places; i++) {
		if (supervisor->link[i].id == id)
			return &supervisor->link[i];
	}
	return NULL;
}

static struct weir_link *place_find(struct weir_supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->link_places; i++) {
		if (supervisor->link[i].id == 0)
			return &supervisor->link[i];
	}
	if (supervisor->link_places == WEIR_SUPERVISOR_LINKS_MAX)
		return NULL;
	return &supervisor->link[supervisor->link_places++];
}

void weir_link_release(struct weir_supervisor *supervisor, struct weir_link *link)
{
	struct weir_worker *const worker = weir_worker_find(supervisor, link->worker_id);
	const struct weir_link_header *const header = link->segment.header;

	if (worker != NULL && header != NULL) {
		worker->accepted_before += atomic_load_explicit(&header->accepted, memory_order_relaxed);
		worker->finished_before += atomic_load_explicit(&header->finished, memory_order_relaxed);
		if (worker->process.pidfd != -1)
			weir_record_worker_keep(supervisor, worker);
	}
	weir_record_link_forget(supervisor, link);
	weir_segment_detach(&link->segment);
	weir_fd_close(&link->segment_fd);
	weir_fd_close_all(link->event_fd, WEIR_SHARDS_MAX);
	memset(link, 0, sizeof(*link));
	supervisor->rows_changed = true;
}

/* The shared memory and the bells of a new link. 0 or -errno; the caller releases either way. */
static int link_fill(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
		     struct weir_link *link)
{
	struct weir_segment_homes homes;
	const bool placed = weir_nodes_homes(supervisor, worker->home, &homes);
	int trouble = 0;
	int result = weir_segment_create_at(link->id, link->worker_id, supervisor->shard_count,
					    placed ? &homes : NULL, &link->segment_fd, &trouble);

	if (trouble != 0)
		weir_log(WEIR_LOG_WARN, "a link's memory does not lie on its nodes", "worker=%llu error=\"%s\"",
			 (unsigned long long)link->worker_id, strerror(-trouble));
	if (result == 0)
		result = weir_segment_attach_readonly(link->segment_fd, &link->segment);
	for (uint32_t i = 0; result == 0 && i < supervisor->shard_count; i++) {
		link->event_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (link->event_fd[i] == -1)
			result = -errno;
	}
	return result;
}

static void link_create(struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t now_ns)
{
	struct weir_link *const link = place_find(supervisor);
	int result = -ENOSPC;

	if (link != NULL) {
		memset(link, 0, sizeof(*link));
		link->id = weir_supervisor_id_next(supervisor);
		link->worker_id = worker->process.id;
		link->gateway_id = supervisor->gateway.id;
		link->state = WEIR_LINK_OPENING;
		link->segment_fd = -1;
		memset(link->event_fd, -1, sizeof(link->event_fd));
		result = link_fill(supervisor, worker, link);
	}
	if (result == 0) {
		/* Before either end has it: the next supervisor must know of it to close it. */
		weir_record_link_keep(supervisor, link);
		WEIR_FAULT(supervisor_link_kept);
		supervisor->rows_changed = true;
		return;
	}
	weir_log(WEIR_LOG_ERROR, "cannot create a link", "worker=%llu error=\"%s\"",
		 (unsigned long long)worker->process.id, strerror(-result));
	if (link != NULL)
		weir_link_release(supervisor, link);
	weir_supervisor_due(supervisor, now_ns + retry_ns);
}

static bool open_send(struct weir_supervisor *supervisor, const struct weir_link *link,
		      const struct weir_worker *worker, bool to_gateway)
{
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_OPEN};
	WEIR_CLEANUP(weir_fd_close) int events_fd =
		to_gateway ? weir_cgroup_events(&supervisor->groups, worker->process.id) : -1;
	int fds[3 + WEIR_SHARDS_MAX] = {link->segment_fd,
					to_gateway ? worker->process.pidfd : supervisor->shard_board_fd};
	size_t count = 2 + (size_t)supervisor->shard_count;

	control.link_open.link_id = link->id;
	control.link_open.worker_id = link->worker_id;
	control.link_open.pool_key = worker->pool_key;
	control.link_open.shard_count = supervisor->shard_count;
	control.link_open.worker_pid = worker->process.pid;
	control.link_open.home = worker->home;
	weir_nodes_remote(supervisor, worker->home, control.link_open.remote);
	memcpy(&fds[2], link->event_fd, supervisor->shard_count * sizeof(fds[0]));
	if (events_fd != -1)
		fds[count++] = events_fd;
	return weir_supervisor_send(supervisor, to_gateway ? &supervisor->gateway : &worker->process, &control,
				    fds, count);
}

static void opening_turn(struct weir_supervisor *supervisor, struct weir_link *link)
{
	const struct weir_worker *const worker = weir_worker_find(supervisor, link->worker_id);

	WEIR_ASSERT(worker != NULL); /* links of a dead worker are released with it */
	if (!link->worker_told)
		link->worker_told = open_send(supervisor, link, worker, false);
	WEIR_FAULT(supervisor_link_half_open);
	if (link->worker_told && !link->gateway_told)
		link->gateway_told = open_send(supervisor, link, worker, true);
	if (!link->gateway_told)
		return;
	link->state = WEIR_LINK_OPEN;
	weir_fd_close_all(link->event_fd, WEIR_SHARDS_MAX);
	weir_record_link_keep(supervisor, link);
}

static bool close_send(struct weir_supervisor *supervisor, const struct weir_link *link,
		       const struct weir_process *process)
{
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_CLOSE};

	control.link.link_id = link->id;
	control.link.worker_id = link->worker_id;
	return weir_supervisor_send(supervisor, process, &control, NULL, 0);
}

/* The gateway has let go of it, or died: now the worker must. */
static void link_close(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t now_ns)
{
	link->state = WEIR_LINK_CLOSING;
	link->worker_told = false;
	link->give_up_ns = now_ns + close_ns;
	weir_record_link_keep(supervisor, link);
	weir_supervisor_due(supervisor, now_ns);
}

void weir_link_drain(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t give_up_ns)
{
	link->state = WEIR_LINK_DRAINING;
	link->gateway_told = false;
	link->give_up_ns = give_up_ns;
	weir_record_link_keep(supervisor, link);
}

/* A draining link that the gateway has let go of. */
static void drained(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t now_ns)
{
	const struct weir_worker *const worker = weir_worker_find(supervisor, link->worker_id);

	if (worker == NULL || worker->process.state == WEIR_PROCESS_DRAINING)
		weir_link_release(supervisor, link);
	else
		link_close(supervisor, link, now_ns);
}

static void closing_turn(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t now_ns)
{
	struct weir_worker *const worker = weir_worker_find(supervisor, link->worker_id);

	if (link->state == WEIR_LINK_DRAINING && !link->gateway_told)
		link->gateway_told = close_send(supervisor, link, &supervisor->gateway);
	if (link->state == WEIR_LINK_CLOSING && !link->worker_told && worker != NULL)
		link->worker_told = close_send(supervisor, link, &worker->process);
	if (link->give_up_ns == 0)
		return;
	if (link->give_up_ns > now_ns) {
		weir_supervisor_due(supervisor, link->give_up_ns);
		return;
	}
	if (link->state == WEIR_LINK_DRAINING) {
		drained(supervisor, link, now_ns);
		return;
	}
	weir_log(WEIR_LOG_WARN, "worker does not let go of a link", "worker=%llu link=%llu action=kill",
		 (unsigned long long)link->worker_id, (unsigned long long)link->id);
	link->give_up_ns = 0;
	if (worker != NULL)
		weir_process_kill(&worker->process);
}

/* An end gave up an open link that nobody asked it to: do not offer the next one at once. */
static void refused_note(struct weir_supervisor *supervisor, const struct weir_link *link)
{
	struct weir_worker *const worker = weir_worker_find(supervisor, link->worker_id);

	if (worker == NULL || (link->state != WEIR_LINK_OPEN && link->state != WEIR_LINK_OPENING))
		return;
	weir_log(WEIR_LOG_WARN, "link refused", "worker=%llu link=%llu",
		 (unsigned long long)link->worker_id, (unsigned long long)link->id);
	worker->link_next_ns = weir_clock_now_ns() + refused_ns;
}

void weir_link_gone(struct weir_supervisor *supervisor, uint64_t id, bool from_gateway)
{
	struct weir_link *const link = weir_link_find(supervisor, id);

	if (link == NULL)
		return;
	refused_note(supervisor, link);
	if (from_gateway && link->gateway_id == supervisor->gateway.id && link->state != WEIR_LINK_CLOSING)
		drained(supervisor, link, weir_clock_now_ns());
	else if (!from_gateway && link->state == WEIR_LINK_CLOSING)
		weir_link_release(supervisor, link);
	else if (!from_gateway) /* it could not use it: the gateway must not either */
		weir_link_drain(supervisor, link, weir_clock_now_ns() + drain_ns);
}

void weir_link_worker_died(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	for (size_t i = 0; i < supervisor->link_places; i++) {
		if (supervisor->link[i].id != 0 && supervisor->link[i].worker_id == worker->process.id)
			weir_link_release(supervisor, &supervisor->link[i]);
	}
}

void weir_link_gateway_died(struct weir_supervisor *supervisor)
{
	const uint64_t now_ns = weir_clock_now_ns();

	for (size_t i = 0; i < supervisor->link_places; i++) {
		struct weir_link *const link = &supervisor->link[i];
		const struct weir_worker *worker = NULL;

		if (link->id == 0 || link->gateway_id != supervisor->gateway.id ||
		    link->state == WEIR_LINK_CLOSING)
			continue;
		worker = weir_worker_find(supervisor, link->worker_id);
		if (worker == NULL || worker->process.state == WEIR_PROCESS_DRAINING)
			weir_link_release(supervisor, link); /* it is stopped next */
		else
			link_close(supervisor, link, now_ns);
	}
}

void weir_link_taken_over(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (size_t i = 0; i < supervisor->link_places; i++) {
		struct weir_link *const link = &supervisor->link[i];

		if (link->id == 0)
			continue;
		if (weir_worker_find(supervisor, link->worker_id) == NULL)
			weir_link_release(supervisor, link);
		else if (supervisor->gateway.pidfd == -1 || link->gateway_id != supervisor->gateway.id ||
			 link->state == WEIR_LINK_CLOSING)
			link_close(supervisor, link, now_ns);
		else if (link->state == WEIR_LINK_OPENING) /* who has it is not known: make a new one */
			weir_link_drain(supervisor, link, now_ns + drain_ns);
	}
}

/* A worker that is ready and has no link gets one, all the way if the sockets have room: a supervisor
 * that is killed leaves at most one link half open. */
static void worker_turn(struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t now_ns)
{
	struct weir_link *link = NULL;

	if (worker->process.pid == 0 || worker->process.state != WEIR_PROCESS_READY ||
	    weir_link_current(supervisor, worker, false) != NULL)
		return;
	if (worker->link_next_ns > now_ns) {
		weir_supervisor_due(supervisor, worker->link_next_ns);
		return;
	}
	link_create(supervisor, worker, now_ns);
	link = weir_link_current(supervisor, worker, false);
	if (link != NULL)
		opening_turn(supervisor, link);
}

void weir_link_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	const bool ready = supervisor->gateway.state == WEIR_PROCESS_READY && supervisor->shard_board_fd != -1;

	for (size_t i = 0; i < supervisor->link_places; i++) {
		struct weir_link *const link = &supervisor->link[i];

		if (link->id == 0)
			continue;
		if (link->state == WEIR_LINK_OPENING)
			opening_turn(supervisor, link);
		else if (link->state != WEIR_LINK_OPEN)
			closing_turn(supervisor, link, now_ns);
	}
	for (size_t i = 0; ready && i < supervisor->worker_places; i++)
		worker_turn(supervisor, &supervisor->worker[i], now_ns);
}
