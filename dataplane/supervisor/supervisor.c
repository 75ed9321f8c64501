#include "dataplane/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/activation.h"
#include "dataplane/supervisor/board.h"
#include "dataplane/supervisor/build.h"
#include "dataplane/supervisor/config.h"
#include "dataplane/supervisor/confine.h"
#include "dataplane/supervisor/inbox.h"
#include "dataplane/supervisor/link.h"
#include "dataplane/supervisor/limits.h"
#include "dataplane/supervisor/listen.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/orphans.h"
#include "dataplane/supervisor/measure.h"
#include "dataplane/supervisor/outputs.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/program.h"
#include "dataplane/supervisor/records.h"
#include "dataplane/supervisor/spawn.h"
#include "dataplane/supervisor/status_socket.h"
#include "dataplane/supervisor/steer.h"

enum {
	EVENTS_MAX = 64,
	TAG_SHIFT = 56,
	CONTROL_GATEWAY = 0, /* ids of WEIR_WATCH_CONTROL and WEIR_WATCH_PIDFD; workers' start far above */
	CONTROL_CTRLD = 1,
	LOG_BYTES_MAX = 16 << 20,
};

static const uint64_t turn_ns_max = WEIR_NS_PER_SECOND;
static const uint64_t retry_ns = 5 * WEIR_NS_PER_MS;
static const uint64_t orphans_ns = 10 * WEIR_NS_PER_SECOND;
static const uint64_t stage_ns = 3 * WEIR_NS_PER_SECOND;

static struct weir_supervisor state; /* one per process; too large for a stack */

uint64_t weir_supervisor_id_next(struct weir_supervisor *supervisor)
{
	return (supervisor->incarnation << 32) | ++supervisor->ids;
}

int weir_supervisor_watch(struct weir_supervisor *supervisor, int fd, enum weir_watch watch, uint64_t id)
{
	struct epoll_event event = {.events = EPOLLIN};

	WEIR_ASSERT(id >> TAG_SHIFT == 0);
	event.data.u64 = ((uint64_t)watch << TAG_SHIFT) | id;
	return epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void weir_supervisor_unwatch(struct weir_supervisor *supervisor, int fd)
{
	if (fd != -1)
		(void)epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* or it was not watched */
}

void weir_supervisor_due(struct weir_supervisor *supervisor, uint64_t when_ns)
{
	if (when_ns < supervisor->due_ns)
		supervisor->due_ns = when_ns;
}

static void keeper_check(struct weir_supervisor *supervisor, int result)
{
	if (result == 0 || supervisor->keeper_lost)
		return;
	if (result != -EPIPE && result != -ECONNRESET) {
		weir_log(WEIR_LOG_ERROR, "cannot store an entry", "error=\"%s\"", strerror(-result));
		return;
	}
	weir_log(WEIR_LOG_ERROR, "the keeper is gone", "action=stop");
	supervisor->keeper_lost = true;
	supervisor->stopping = true;
}

void weir_supervisor_keep(struct weir_supervisor *supervisor, struct weir_store_message *message,
			  const int *fds, size_t fd_count)
{
	if (!supervisor->keeper_lost)
		keeper_check(supervisor, weir_store_send(supervisor->store_fd, message, fds, fd_count));
}

void weir_supervisor_forget(struct weir_supervisor *supervisor, const char *name)
{
	struct weir_store_message message;

	weir_store_message_set(&message, WEIR_STORE_DROP, name, NULL, 0);
	weir_supervisor_keep(supervisor, &message, NULL, 0);
}

bool weir_supervisor_send(struct weir_supervisor *supervisor, const struct weir_process *process,
			  const struct weir_control *control, const int *fds, size_t fd_count)
{
	int result = -EPIPE;

	if (process->control_fd != -1)
		result = weir_control_send(process->control_fd, control, fds, fd_count);
	if (result == 0)
		return true;
	if (result != -EAGAIN && result != -EPIPE && result != -ECONNRESET)
		weir_log(WEIR_LOG_ERROR, "cannot send a control message", "pid=%d kind=%u error=\"%s\"",
			 (int)process->pid, control->kind, strerror(-result));
	weir_supervisor_due(supervisor, weir_clock_now_ns() + retry_ns);
	return false;
}

static int signals_open(struct weir_supervisor *supervisor)
{
	sigset_t watched;

	(void)sigemptyset(&watched);
	(void)sigaddset(&watched, SIGINT);
	(void)sigaddset(&watched, SIGTERM);
	(void)sigaddset(&watched, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0)
		return -errno;
	supervisor->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervisor->signal_fd == -1)
		return -errno;
	return weir_supervisor_watch(supervisor, supervisor->signal_fd, WEIR_WATCH_SIGNAL, 0);
}

/* Processes that were taken over: watch them again, with what the store does not tell. */
static void processes_taken_over(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	struct weir_process *const process[] = {&supervisor->gateway, &supervisor->ctrld};

	for (uint64_t i = 0; i < 2; i++) {
		if (process[i]->pidfd == -1)
			continue;
		(void)weir_supervisor_watch(supervisor, process[i]->pidfd, WEIR_WATCH_PIDFD, i);
		(void)weir_supervisor_watch(supervisor, process[i]->control_fd, WEIR_WATCH_CONTROL, i);
		if (process[i]->state == WEIR_PROCESS_STARTING)
			process[i]->kill_at_ns = now_ns + 30 * WEIR_NS_PER_SECOND;
	}
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_process *const worker = &supervisor->worker[i].process;

		(void)weir_supervisor_watch(supervisor, worker->pidfd, WEIR_WATCH_PIDFD, worker->id);
		(void)weir_supervisor_watch(supervisor, worker->control_fd, WEIR_WATCH_CONTROL, worker->id);
		/* One that drains has the time that its calls have. */
		if (worker->state == WEIR_PROCESS_STARTING || worker->stop_sent)
			worker->kill_at_ns = now_ns + 30 * WEIR_NS_PER_SECOND;
	}
	for (size_t i = 0; i < supervisor->pool_count; i++) {
		struct weir_pool *const pool = &supervisor->pool[i];
		const uint32_t has = weir_pool_workers(supervisor, pool->key);

		if (pool->wanted < has)
			pool->wanted = has;
	}
	weir_measure_taken_over(supervisor);
	weir_link_taken_over(supervisor, now_ns);
}

static int state_open(struct weir_supervisor *supervisor, const struct weir_options *options)
{
	supervisor->options = *options;
	supervisor->store_fd = WEIR_STORE_FD;
	supervisor->board_fd = -1;
	supervisor->load_fd = -1;
	supervisor->status_fd = -1;
	supervisor->snapshot_fd = -1;
	supervisor->shard_board_fd = -1;
	supervisor->activations_fd[0] = -1;
	supervisor->activations_fd[1] = -1;
	supervisor->activations_fd[2] = -1;
	supervisor->started_ns = weir_clock_now_ns();
	supervisor->gateway.kind = WEIR_PROCESS_GATEWAY;
	supervisor->ctrld.kind = WEIR_PROCESS_CTRLD;
	weir_process_clear(&supervisor->gateway);
	weir_process_clear(&supervisor->ctrld);
	if (fcntl(WEIR_STORE_FD, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return supervisor->epoll_fd == -1 ? -errno : 0;
}

/* Once for all supervisors of the instance. */
static int activations_open(struct weir_supervisor *supervisor)
{
	struct weir_store_message message;
	int result = 0;

	if (supervisor->activations_fd[0] != -1)
		return 0;
	result = weir_activations_create(supervisor->shard_count, &supervisor->activations_fd[0]);
	if (result != 0)
		return result;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, supervisor->activations_fd + 1) != 0)
		return -errno;
	weir_store_message_set(&message, WEIR_STORE_STORE, "activations", NULL, 0);
	weir_supervisor_keep(supervisor, &message, supervisor->activations_fd, 3);
	return 0;
}

/* At the start of the instance: an address that other machines reach is not opened to everybody by mistake. */
static int auth_check(const struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	const struct weir_listen_address *const address = weir_options_public(&supervisor->options);

	if (address == NULL || supervisor->options.auth != WEIR_OPTIONS_AUTH_SET || supervisor->snapshot_fd != -1)
		return 0; /* a snapshot that is open was refused */
	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
		       "--listen %s would let everybody who reaches it call, make and remove functions, for the setting auth is "
		       "open; add --auth required (keys: ctrlctl key add), or --auth open-to-everyone if that is wanted",
		       address->text);
	return -EPERM;
}

/* Everything up to the loop. 0, or the exit code with the reason in `problem`. */
static int supervisor_open(struct weir_supervisor *supervisor, const struct weir_options *options,
			   char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	int result = state_open(supervisor, options);

	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
		       "weir-supervisor is started by weir-keeper, not by hand");
	if (result != 0)
		return result;
	(void)weir_program_descriptors_raise();
	result = weir_nodes_open(supervisor, problem);
	if (result != 0)
		return result;
	result = weir_record_take_over(supervisor);
	if (result == 0)
		result = weir_nodes_place(supervisor, problem);
	if (result == 0)
		weir_record_self_keep(supervisor);
	if (result == 0)
		result = signals_open(supervisor);
	if (result == 0)
		result = weir_supervisor_watch(supervisor, supervisor->store_fd, WEIR_WATCH_STORE, 0);
	if (result == 0 && supervisor->incarnation == 1)
		result = weir_spawn_check(problem);
	if (result == 0)
		result = weir_confine_open(supervisor, problem);
	if (result == 0)
		result = weir_limits_open(supervisor, problem);
	if (result == 0)
		result = weir_listen_open(supervisor, problem);
	if (result == 0)
		weir_steer_listeners(supervisor);
	if (result == 0)
		result = weir_status_open(supervisor, problem);
	if (result != 0)
		return result;
	result = weir_measure_open(supervisor);
	if (result == 0)
		result = weir_board_open(supervisor);
	if (result == 0)
		result = activations_open(supervisor);
	if (result != 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "cannot create the board: %s",
			       strerror(-result));
		return result;
	}
	if (supervisor->snapshot_fd == -1)
		weir_config_load(supervisor);
	processes_taken_over(supervisor, weir_clock_now_ns());
	return supervisor->incarnation == 1 ? auth_check(supervisor, problem) : 0;
}

static void signals_read(struct weir_supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (!supervisor->stopping)
			weir_log(WEIR_LOG_INFO, "stopping", "signal=%u", info.ssi_signo);
		supervisor->stopping = true;
	}
}

static void process_event(struct weir_supervisor *supervisor, uint64_t id, bool ended)
{
	struct weir_worker *worker = NULL;

	if (id == CONTROL_GATEWAY && supervisor->gateway.pidfd != -1) {
		if (ended)
			weir_spawn_gateway_ended(supervisor);
		else
			weir_inbox_gateway(supervisor);
	} else if (id == CONTROL_CTRLD && supervisor->ctrld.pidfd != -1) {
		if (ended)
			weir_spawn_ctrld_ended(supervisor);
		else
			weir_inbox_ctrld(supervisor);
	} else if ((worker = weir_worker_find(supervisor, id)) != NULL) {
		if (ended)
			weir_spawn_worker_ended(supervisor, worker);
		else
			weir_inbox_worker(supervisor, worker);
	}
}

static void event_handle(struct weir_supervisor *supervisor, uint64_t tag, uint64_t now_ns)
{
	const uint64_t id = tag & ((UINT64_C(1) << TAG_SHIFT) - 1);

	switch ((enum weir_watch)(tag >> TAG_SHIFT)) {
	case WEIR_WATCH_STORE: /* the keeper says nothing after DONE: this is its end */
		keeper_check(supervisor, -EPIPE);
		weir_supervisor_unwatch(supervisor, supervisor->store_fd);
		break;
	case WEIR_WATCH_SIGNAL:
		signals_read(supervisor);
		break;
	case WEIR_WATCH_STATUS:
		weir_status_accept(supervisor, now_ns);
		break;
	case WEIR_WATCH_CLIENT:
		weir_status_answer(supervisor, id);
		break;
	case WEIR_WATCH_CONTROL:
		process_event(supervisor, id, false);
		break;
	case WEIR_WATCH_PIDFD:
		process_event(supervisor, id, true);
		break;
	case WEIR_WATCH_BUILD:
		weir_build_ended(supervisor, id);
		break;
	}
}

static size_t workers_alive(const struct weir_supervisor *supervisor)
{
	size_t alive = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++)
		alive += supervisor->worker[i].process.pid != 0;
	return alive;
}

/* First the gateway, which finishes what it has; then workers and ctrld. */
static void stop_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	weir_build_ctrld_died(supervisor); /* nobody waits for them any more */
	if (supervisor->gateway.pidfd != -1) {
		weir_spawn_stop(supervisor, &supervisor->gateway, now_ns, stage_ns);
		return;
	}
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		if (supervisor->worker[i].process.pid != 0)
			weir_spawn_stop(supervisor, &supervisor->worker[i].process, now_ns, stage_ns);
	}
	weir_spawn_stop(supervisor, &supervisor->ctrld, now_ns, stage_ns);
	if (supervisor->ctrld.pidfd == -1 && workers_alive(supervisor) == 0)
		supervisor->done = true;
}

/* Once a while, and a moment after a worker died. */
static void orphans_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	static pid_t known[WEIR_SUPERVISOR_WORKERS_MAX + 3];
	size_t count = 0;
	size_t killed = 0;

	if (supervisor->orphans_ns > now_ns) {
		weir_supervisor_due(supervisor, supervisor->orphans_ns);
		return;
	}
	supervisor->orphans_ns = now_ns + orphans_ns;
	known[count++] = getpid();
	known[count++] = supervisor->gateway.pid;
	known[count++] = supervisor->ctrld.pid;
	for (size_t i = 0; i < supervisor->worker_places; i++)
		known[count++] = supervisor->worker[i].process.pid;
	killed = weir_orphans_kill(getppid(), known, count);
	if (killed > 0)
		weir_log(WEIR_LOG_INFO, "programs that functions left behind", "killed=%zu", killed);
}

/* A detached instance logs to one file for all its processes; this one keeps it short. */
static void log_keep_short(const struct weir_supervisor *supervisor)
{
	char path[PATH_MAX + sizeof("/log/weir.log")];

	(void)snprintf(path, sizeof(path), "%s/log/weir.log", supervisor->options.data);
	(void)weir_log_rotate(path, LOG_BYTES_MAX); /* a full disk: the log stays long, tried again */
}

/* Compare what is with what should be, and do the difference. */
static void reconcile(struct weir_supervisor *supervisor)
{
	const uint64_t now_ns = weir_clock_now_ns();

	supervisor->due_ns = now_ns + turn_ns_max;
	weir_status_turn(supervisor, now_ns);
	weir_spawn_turn(supervisor, now_ns);
	weir_build_turn(supervisor, now_ns);
	weir_measure_turn(supervisor, now_ns);
	if (supervisor->stopping) {
		stop_turn(supervisor, now_ns);
	} else {
		weir_spawn_gateway(supervisor, now_ns);
		weir_spawn_ctrld(supervisor, now_ns);
		weir_pool_turn(supervisor, now_ns);
		weir_link_turn(supervisor, now_ns);
		weir_config_spread(supervisor);
		weir_outputs_turn(supervisor);
		orphans_turn(supervisor, now_ns);
		weir_limits_turn(supervisor, now_ns);
	}
	if (supervisor->rows_changed || now_ns - supervisor->rows_ns >= turn_ns_max) {
		weir_board_rows_write(supervisor, now_ns);
		log_keep_short(supervisor);
	}
}

static int wait_ms(const struct weir_supervisor *supervisor)
{
	const uint64_t now_ns = weir_clock_now_ns();

	if (supervisor->due_ns <= now_ns)
		return 0;
	return (int)((supervisor->due_ns - now_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
}

int weir_supervisor_run(const struct weir_options *options)
{
	struct weir_supervisor *const supervisor = &state;
	char problem[WEIR_OPTIONS_PROBLEM_BYTES] = "";
	struct epoll_event events[EVENTS_MAX];

	if (supervisor_open(supervisor, options, problem) != 0) {
		(void)fprintf(stderr, "error: %s\n", problem);
		weir_listen_remove(supervisor);
		return WEIR_SUPERVISOR_EXIT_FATAL;
	}
	reconcile(supervisor);
	while (!supervisor->done) {
		const int count = epoll_wait(supervisor->epoll_fd, events, EVENTS_MAX, wait_ms(supervisor));

		for (int i = 0; i < count; i++)
			event_handle(supervisor, events[i].data.u64, weir_clock_now_ns());
		reconcile(supervisor);
	}
	weir_listen_remove(supervisor);
	if (supervisor->keeper_lost) /* who else does it at the end */
		weir_cgroups_close(supervisor->options.data);
	weir_log(WEIR_LOG_INFO, "stopped", "generation=%llu", (unsigned long long)supervisor->generation);
	return WEIR_SUPERVISOR_EXIT_DONE;
}
