#include "dataplane/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/log.h"
#include "dataplane/base/program_path.h"
#include "dataplane/sandbox/start.h"
#include "dataplane/supervisor/board.h"
#include "dataplane/supervisor/build.h"
#include "dataplane/supervisor/confine.h"
#include "dataplane/supervisor/inbox.h"
#include "dataplane/supervisor/limits.h"
#include "dataplane/supervisor/link.h"
#include "dataplane/supervisor/listen.h"
#include "dataplane/supervisor/measure.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/outputs.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/program.h"
#include "dataplane/supervisor/records.h"

static const uint64_t start_ns_max = 30 * WEIR_NS_PER_SECOND;
static const uint64_t ctrld_start_ns_max = 120 * WEIR_NS_PER_SECOND; /* it may have a database to recover */

static const uint64_t orphans_after_ns = 50 * WEIR_NS_PER_MS;

/* Other runtimes need libraries that a machine may lack: functions of those get 501. */
int weir_spawn_check(char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	static const char *const names[] = {"weir-gateway", "weir-ctrld", "weir-worker-native",
					    "weir-worker-exec"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[PATH_MAX];

		if (weir_program_path_find(names[i], path) == 0)
			continue;
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "cannot find the program %s beside weir-supervisor; build or install all of Weir",
			       names[i]);
		return -ENOENT;
	}
	return 0;
}

/* Both ends of a control socket; ours does not block, the other one is the child's to decide. */
static int control_open(int *out_ours, int *out_theirs)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return -errno;
	if (fcntl(sockets[0], F_SETFL, O_NONBLOCK) != 0) {
		const int result = -errno;

		weir_fd_close_all(sockets, 2);
		return result;
	}
	*out_ours = sockets[0];
	*out_theirs = sockets[1];
	return 0;
}

static void process_started(struct weir_process *process, const char *name, uint64_t now_ns)
{
	process->state = WEIR_PROCESS_STARTING;
	process->child = true;
	process->started_ns = now_ns;
	process->kill_at_ns = now_ns + start_ns_max;
	weir_log(WEIR_LOG_INFO, "process started", "program=%s pid=%d", name, (int)process->pid);
	WEIR_FAULT(supervisor_spawned);
}

/* Start `name` as `process`, whose control socket is open and already holds its first messages. */
static int process_start(struct weir_process *process, const char *name, char *const *arguments, int theirs,
			 uint64_t now_ns)
{
	char path[PATH_MAX];
	int result = weir_program_path_find(name, path);

	if (result == 0)
		result = weir_program_start(path, arguments, theirs, false, &process->pid, &process->pidfd);
	if (result == 0)
		process_started(process, name, now_ns);
	return result;
}

static int worker_start(struct weir_process *process, char *name, const struct weir_sandbox_plan *plan,
			int theirs, uint64_t now_ns)
{
	char text[WEIR_SANDBOX_PLAN_BYTES];
	char *const arguments[] = {name, text, NULL};
	char path[PATH_MAX];
	int result = weir_program_path_find(name, path);

	weir_sandbox_plan_format(plan, text);
	if (result == 0)
		result = weir_sandbox_start(plan, path, arguments, theirs, &process->pid, &process->pidfd);
	if (result == 0)
		process_started(process, name, now_ns);
	return result;
}
/* It is kept: from here on its messages and its end are looked for. */
static void process_watch(struct weir_supervisor *supervisor, const struct weir_process *process, uint64_t id)
{
	if (weir_supervisor_watch(supervisor, process->pidfd, WEIR_WATCH_PIDFD, id) != 0 ||
	    weir_supervisor_watch(supervisor, process->control_fd, WEIR_WATCH_CONTROL, id) != 0)
		weir_log(WEIR_LOG_ERROR, "cannot watch a process", "pid=%d", (int)process->pid);
	supervisor->rows_changed = true;
}

static void start_failed(struct weir_process *process, struct weir_restart *restart, const char *name,
			 int error, uint64_t now_ns)
{
	weir_log(WEIR_LOG_ERROR, "cannot start a process", "program=%s error=\"%s\"", name, strerror(-error));
	weir_fd_close(&process->control_fd);
	weir_process_clear(process);
	weir_restart_note(restart, now_ns, now_ns, false);
}

void weir_spawn_gateway(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	struct weir_process *const gateway = &supervisor->gateway;
	char name[] = "weir-gateway";
	char *const arguments[] = {name, NULL};
	int theirs = -1;
	int result = 0;

	if (gateway->pidfd != -1)
		return;
	if (supervisor->gateway_restart.next_ns > now_ns) {
		weir_supervisor_due(supervisor, supervisor->gateway_restart.next_ns);
		return;
	}
	result = control_open(&gateway->control_fd, &theirs);
	if (result == 0)
		result = weir_listen_send(supervisor, gateway->control_fd);
	if (result == 0)
		result = process_start(gateway, name, arguments, theirs, now_ns);
	weir_fd_close(&theirs);
	if (result != 0) {
		start_failed(gateway, &supervisor->gateway_restart, name, result, now_ns);
		return;
	}
	gateway->id = weir_supervisor_id_next(supervisor);
	weir_record_process_keep(supervisor, gateway);
	process_watch(supervisor, gateway, 0);
}

/* Where ctrld sees which workers there are. */
static int board_show(const struct weir_supervisor *supervisor, const struct weir_process *ctrld)
{
	const struct weir_control control = {.kind = WEIR_CONTROL_BOARD};
	int fd = weir_board_open_readable(supervisor);
	const int result = fd < 0 ? fd : weir_control_send(ctrld->control_fd, &control, &fd, 1);

	if (fd >= 0)
		weir_fd_close(&fd);
	return result;
}

static int ctrld_prepare(struct weir_supervisor *supervisor, int *out_theirs)
{
	struct weir_process *const ctrld = &supervisor->ctrld;
	struct weir_control control = {.kind = WEIR_CONTROL_CTRLD_START};
	int fds[2];
	int result = control_open(&ctrld->control_fd, out_theirs);

	if (result != 0)
		return result;
	control.snapshot.generation = supervisor->generation;
	result = weir_control_send(ctrld->control_fd, &control, &supervisor->snapshot_fd,
				   supervisor->snapshot_fd == -1 ? 0 : 1);
	if (result != 0)
		return result;
	control = (struct weir_control){.kind = WEIR_CONTROL_ACTIVATIONS};
	fds[0] = supervisor->activations_fd[0];
	fds[1] = supervisor->activations_fd[2];
	result = weir_control_send(ctrld->control_fd, &control, fds, 2);
	return result == 0 ? board_show(supervisor, ctrld) : result;
}

void weir_spawn_ctrld(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	struct weir_process *const ctrld = &supervisor->ctrld;
	char name[] = "weir-ctrld";
	char option[] = "--data";
	char auth_option[] = "--auth";
	char auth_value[] = "required";
	const bool is_forced = weir_options_auth_is_forced(&supervisor->options);
	char *const arguments[] = {name, option, supervisor->options.data, is_forced ? auth_option : NULL, auth_value, NULL};
	int theirs = -1;
	int result = 0;

	if (ctrld->pidfd != -1)
		return;
	if (supervisor->ctrld_restart.next_ns > now_ns) {
		weir_supervisor_due(supervisor, supervisor->ctrld_restart.next_ns);
		return;
	}
	result = ctrld_prepare(supervisor, &theirs);
	if (result == 0)
		result = process_start(ctrld, name, arguments, theirs, now_ns);
	weir_fd_close(&theirs);
	if (result != 0) {
		start_failed(ctrld, &supervisor->ctrld_restart, name, result, now_ns);
		return;
	}
	ctrld->kill_at_ns = now_ns + ctrld_start_ns_max;
	weir_record_process_keep(supervisor, ctrld);
	process_watch(supervisor, ctrld, 1);
}

static struct weir_worker *worker_place(struct weir_supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		if (supervisor->worker[i].process.pid == 0)
			return &supervisor->worker[i];
	}
	WEIR_ASSERT(supervisor->worker_places < WEIR_SUPERVISOR_WORKERS_MAX); /* pool.c keeps the limit */
	return &supervisor->worker[supervisor->worker_places++];
}

static int worker_prepare(struct weir_supervisor *supervisor, struct weir_worker *worker,
			  const struct weir_pool *pool, int *out_theirs)
{
	WEIR_CLEANUP(weir_fd_close) int output_fd = -1;
	WEIR_CLEANUP(weir_fd_close) int events_fd = weir_cgroup_events(&supervisor->groups, worker->process.id);
	struct weir_control control = {.kind = WEIR_CONTROL_WORKER_START};
	int fds[2];
	int result = control_open(&worker->process.control_fd, out_theirs);

	if (result == 0)
		result = weir_outputs_open(supervisor, worker, &output_fd);
	if (result != 0)
		return result;
	control.worker_start.worker_id = worker->process.id;
	control.worker_start.pool_key = pool->key;
	memcpy(control.worker_start.space, pool->space, sizeof(control.worker_start.space));
	fds[0] = output_fd;
	fds[1] = events_fd;
	return weir_control_send(worker->process.control_fd, &control, fds, events_fd == -1 ? 1 : 2);
}

bool weir_spawn_worker(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns)
{
	struct weir_worker *const worker = worker_place(supervisor);
	char name[32] = "";
	struct weir_sandbox_plan plan;
	int theirs = -1;
	int result = -ENOENT;


	memset(worker, 0, sizeof(*worker));
	worker->process.kind = WEIR_PROCESS_WORKER;
	weir_process_clear(&worker->process);
	worker->process.id = weir_supervisor_id_next(supervisor);
	worker->pool_key = pool->key;
	worker->runtime = pool->runtime;
	worker->home = weir_nodes_home(supervisor, pool);
	worker->busy_ns = now_ns;
	memcpy(worker->space, pool->space, sizeof(worker->space));
	if (pool->runtime != WEIR_RUNTIME_MISSING && weir_runtime_name(pool->runtime) != NULL) {
		(void)snprintf(name, sizeof(name), "weir-worker-%s", weir_runtime_name(pool->runtime));
		result = 0;
	}
	weir_confine_plan(supervisor, worker, &plan);
	if (result == 0)
		result = weir_limits_prepare(supervisor, worker, pool, &plan);
	if (result == 0)
		result = worker_prepare(supervisor, worker, pool, &theirs);
	weir_nodes_enter(supervisor, worker->home);
	if (result == 0)
		result = worker_start(&worker->process, name, &plan, theirs, now_ns);
	weir_nodes_leave(supervisor);
	weir_cgroup_born(&plan);
	weir_fd_close(&theirs);
	if (result != 0) {
		weir_outputs_gone(supervisor, worker->process.id);
		weir_limits_ended(supervisor, worker);
		start_failed(&worker->process, &pool->restart, name, result, now_ns);
		return false;
	}
	weir_limits_started(supervisor, worker);
	weir_measure_worker_started(supervisor, worker);
	weir_record_worker_keep(supervisor, worker);
	process_watch(supervisor, &worker->process, worker->process.id);
	return true;
}

/* What the three ends have in common: read its last words before, log how it ended after. */
static void process_ended(struct weir_supervisor *supervisor, struct weir_process *process, const char *name)
{
	char how[64];
	const bool expected = process->stop_sent || supervisor->stopping;

	weir_supervisor_unwatch(supervisor, process->pidfd);
	weir_supervisor_unwatch(supervisor, process->control_fd);
	weir_process_reap(process, how);
	weir_log(expected ? WEIR_LOG_INFO : WEIR_LOG_WARN, expected ? "process ended" : "process died",
		 "program=%s pid=%d %s%s", name, (int)process->pid, how, process->killed ? " killed=true" : "");
	supervisor->rows_changed = true;
	weir_supervisor_due(supervisor, 0);
}

void weir_spawn_gateway_ended(struct weir_supervisor *supervisor)
{
	struct weir_process *const gateway = &supervisor->gateway;

	weir_inbox_gateway(supervisor);
	process_ended(supervisor, gateway, "weir-gateway");
	weir_restart_note(&supervisor->gateway_restart, gateway->started_ns, weir_clock_now_ns(),
			  gateway->state == WEIR_PROCESS_READY);
	weir_link_gateway_died(supervisor);
	weir_fd_close(&supervisor->shard_board_fd);
	weir_process_clear(gateway);
	weir_record_process_keep(supervisor, gateway);
}

void weir_spawn_ctrld_ended(struct weir_supervisor *supervisor)
{
	struct weir_process *const ctrld = &supervisor->ctrld;

	weir_inbox_ctrld(supervisor);
	process_ended(supervisor, ctrld, "weir-ctrld");
	weir_restart_note(&supervisor->ctrld_restart, ctrld->started_ns, weir_clock_now_ns(),
			  ctrld->state == WEIR_PROCESS_READY);
	weir_process_clear(ctrld);
	weir_record_process_keep(supervisor, ctrld);
	weir_outputs_ctrld_ended(supervisor);
	supervisor->ack_waits = false; /* whoever waited for it is gone */
	weir_build_ctrld_died(supervisor);
}

void weir_spawn_worker_ended(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	struct weir_process *const process = &worker->process;
	struct weir_pool *const pool = weir_pool_find(supervisor, worker->pool_key);

	weir_inbox_worker(supervisor, worker);
	process_ended(supervisor, process, "weir-worker");
	if (pool != NULL && process->state != WEIR_PROCESS_DRAINING)
		weir_restart_note(&pool->restart, process->started_ns, weir_clock_now_ns(),
				  process->state == WEIR_PROCESS_READY);
	/* Its programs die with it (PDEATHSIG), then theirs are orphans. */
	supervisor->orphans_ns = weir_clock_now_ns() + orphans_after_ns;
	weir_supervisor_due(supervisor, supervisor->orphans_ns);
	weir_measure_worker_ended(supervisor, worker);
	weir_link_worker_died(supervisor, worker);
	weir_limits_ended(supervisor, worker);
	weir_record_worker_forget(supervisor, worker);
	memset(worker, 0, sizeof(*worker));
}

void weir_spawn_stop(struct weir_supervisor *supervisor, struct weir_process *process, uint64_t now_ns,
		     uint64_t patience_ns)
{
	const struct weir_control control = {.kind = WEIR_CONTROL_STOP};

	if (process->pidfd == -1 || process->stop_sent)
		return;
	if (process->state != WEIR_PROCESS_DRAINING || process->kill_at_ns == 0)
		process->kill_at_ns = now_ns + patience_ns; /* even where its socket stays full */
	process->state = WEIR_PROCESS_DRAINING;
	process->stop_sent = process->control_fd == -1 ||
			     weir_supervisor_send(supervisor, process, &control, NULL, 0);
	weir_supervisor_due(supervisor, process->kill_at_ns);
}

static void overdue_kill(struct weir_supervisor *supervisor, struct weir_process *process, uint64_t now_ns)
{
	if (process->pidfd == -1 || process->kill_at_ns == 0 || process->killed)
		return;
	if (process->kill_at_ns > now_ns) {
		weir_supervisor_due(supervisor, process->kill_at_ns);
		return;
	}
	weir_log(WEIR_LOG_WARN, "process takes too long", "pid=%d state=%s action=kill", (int)process->pid,
		 process->state == WEIR_PROCESS_STARTING ? "starting" : "stopping");
	weir_process_kill(process);
}

void weir_spawn_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	overdue_kill(supervisor, &supervisor->gateway, now_ns);
	overdue_kill(supervisor, &supervisor->ctrld, now_ns);
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		if (supervisor->worker[i].process.pid != 0)
			overdue_kill(supervisor, &supervisor->worker[i].process, now_ns);
	}
}
