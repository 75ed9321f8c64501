#include "dataplane/supervisor/inbox.h"

#include <errno.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/build.h"
#include "dataplane/supervisor/config.h"
#include "dataplane/supervisor/confine.h"
#include "dataplane/supervisor/link.h"
#include "dataplane/supervisor/outputs.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/records.h"

enum { MESSAGES_PER_TURN_MAX = 64 };

static const uint64_t end_ns = WEIR_NS_PER_SECOND;

static const char *process_name(const struct weir_process *process)
{
	if (process->kind == WEIR_PROCESS_GATEWAY)
		return "gateway";
	return process->kind == WEIR_PROCESS_CTRLD ? "ctrld" : "worker";
}

static void process_refuse(struct weir_process *process, const char *reason)
{
	weir_log(WEIR_LOG_ERROR, "process breaks the rules", "process=%s pid=%d reason=\"%s\" action=kill",
		 process_name(process), (int)process->pid, reason);
	weir_process_kill(process);
}

/* It closed its end: it is about to end, or can't be told anything and must. */
static void control_lost(struct weir_supervisor *supervisor, struct weir_process *process)
{
	const uint64_t kill_at_ns = weir_clock_now_ns() + end_ns;

	weir_supervisor_unwatch(supervisor, process->control_fd);
	weir_fd_close(&process->control_fd);
	if (process->kill_at_ns == 0 || process->kill_at_ns > kill_at_ns)
		process->kill_at_ns = kill_at_ns;
	weir_supervisor_due(supervisor, kill_at_ns);
}

/* Returns how long it took to start, in ns; 0: it was ready before. */
static uint64_t ready_note(struct weir_supervisor *supervisor, struct weir_process *process)
{
	const uint64_t took_ns = weir_clock_now_ns() - process->started_ns;

	if (process->state != WEIR_PROCESS_STARTING)
		return 0;
	process->state = WEIR_PROCESS_READY;
	process->kill_at_ns = 0;
	supervisor->rows_changed = true;
	weir_log(WEIR_LOG_INFO, "process ready", "process=%s pid=%d took_ms=%llu", process_name(process),
		 (int)process->pid, (unsigned long long)(took_ns / WEIR_NS_PER_MS));
	return took_ns;
}

/* READY of the gateway brings the board on which workers see whether a shard sleeps. */
static void gateway_ready(struct weir_supervisor *supervisor, struct weir_control_fds *fds)
{
	size_t bytes = 0;

	if (fds->count != 1 || weir_fd_check_shared(fds->fd[0], sizeof(struct weir_shard_board), &bytes) != 0) {
		process_refuse(&supervisor->gateway, "READY without a shard board");
		return;
	}
	weir_fd_close(&supervisor->shard_board_fd);
	supervisor->shard_board_fd = fds->fd[0];
	fds->fd[0] = -1;
	(void)ready_note(supervisor, &supervisor->gateway);
	weir_record_process_keep(supervisor, &supervisor->gateway);
}

static void gateway_ack(struct weir_supervisor *supervisor, const struct weir_control *control)
{
	const uint64_t generation = control->snapshot_ack.generation;

	if (generation > supervisor->generation || control->snapshot_ack.shards_total != supervisor->shard_count) {
		process_refuse(&supervisor->gateway, "acknowledges what it was not sent");
		return;
	}
	if (control->snapshot_ack.shards_acked == supervisor->shard_count)
		atomic_store_explicit(&supervisor->board->generation, generation, memory_order_relaxed);
	supervisor->ack = *control;
	supervisor->ack_waits = true;
	weir_config_ack_forward(supervisor); /* now: once this returns, the message is discarded */
}

static void worker_kill(struct weir_supervisor *supervisor, const struct weir_control *control)
{
	struct weir_worker *const worker = weir_worker_find(supervisor, control->worker_kill.worker_id);

	if (worker == NULL || worker->process.killed)
		return;
	weir_log(WEIR_LOG_WARN, "worker killed", "worker=%llu pid=%d function=%llu reason=\"%s\"",
		 (unsigned long long)worker->process.id, (int)worker->process.pid,
		 (unsigned long long)control->worker_kill.function_id, control->worker_kill.reason);
	weir_process_kill(&worker->process);
}

static void gateway_message(struct weir_supervisor *supervisor, const struct weir_control *control,
			    struct weir_control_fds *fds)
{
	switch (control->kind) {
	case WEIR_CONTROL_READY:
		gateway_ready(supervisor, fds);
		break;
	case WEIR_CONTROL_LINK_GONE:
		weir_link_gone(supervisor, control->link.link_id, true);
		break;
	case WEIR_CONTROL_SNAPSHOT_ACK:
		gateway_ack(supervisor, control);
		break;
	case WEIR_CONTROL_WORKER_KILL:
		worker_kill(supervisor, control);
		break;
	case WEIR_CONTROL_DEMAND:
		weir_pool_demand(supervisor, control, weir_clock_now_ns());
		break;
	case WEIR_CONTROL_COLD_START:
		weir_pool_cold(supervisor, control);
		break;
	default: /* LINK_READY is for people who trace; others are newer than this version */
		break;
	}
}

static void ctrld_snapshot(struct weir_supervisor *supervisor, struct weir_control_fds *fds)
{
	const int fd = fds->fd[0];
	const uint64_t before = supervisor->generation;
	int result = 0;

	fds->fd[0] = -1;
	result = weir_config_adopt(supervisor, fd);
	if (result == 0) {
		/* Whatever was acknowledged until now is older. */
		supervisor->ack_waits = false;
		weir_log(WEIR_LOG_INFO, "snapshot", "generation=%llu pools=%zu bytes=%zu",
			 (unsigned long long)supervisor->generation, supervisor->pool_count,
			 supervisor->snapshot.bytes);
	} else if (result != -EALREADY) {
		weir_log(WEIR_LOG_ERROR, "snapshot refused", "error=\"%s\" action=\"go on with generation %llu\"",
			 strerror(-result), (unsigned long long)before);
	}
}

static void ctrld_message(struct weir_supervisor *supervisor, const struct weir_control *control,
			  struct weir_control_fds *fds)
{
	if (control->kind == WEIR_CONTROL_READY) {
		(void)ready_note(supervisor, &supervisor->ctrld);
		weir_record_process_keep(supervisor, &supervisor->ctrld);
	} else if (control->kind == WEIR_CONTROL_SNAPSHOT) {
		ctrld_snapshot(supervisor, fds);
	} else if (control->kind == WEIR_CONTROL_BUILD) {
		weir_build_start(supervisor, control, fds);
	} else if (control->kind == WEIR_CONTROL_OUTPUT_GONE) {
		weir_outputs_gone(supervisor, control->output.worker_id);
	} else if (control->kind == WEIR_CONTROL_ENVIRONMENT) {
		weir_config_environment_adopt(supervisor, control, fds);
	}
}

static void worker_message(struct weir_supervisor *supervisor, struct weir_worker *worker,
			   const struct weir_control *control)
{
	const struct weir_link *link = NULL;
	uint64_t took_ns = 0;

	switch (control->kind) {
	case WEIR_CONTROL_READY:
		took_ns = ready_note(supervisor, &worker->process);
		if (took_ns > 0)
			weir_pool_started(supervisor, worker, took_ns);
		weir_record_worker_keep(supervisor, worker);
		break;
	case WEIR_CONTROL_LINK_GONE:
		link = weir_link_find(supervisor, control->link.link_id);
		if (link != NULL && link->worker_id != worker->process.id)
			process_refuse(&worker->process, "speaks for another worker");
		else
			weir_link_gone(supervisor, control->link.link_id, false);
		break;
	case WEIR_CONTROL_REVEAL:
		weir_confine_reveal(supervisor, worker, control->reveal.function_id,
				    control->reveal.directory != 0);
		break;
	case WEIR_CONTROL_SNAPSHOT_ACK: /* calls name the generation they need: a worker waits itself */
		break;
	case WEIR_CONTROL_SNAPSHOT:
	case WEIR_CONTROL_WORKER_KILL:
	case WEIR_CONTROL_DEMAND:
	case WEIR_CONTROL_COLD_START:
	case WEIR_CONTROL_BUILD:
	case WEIR_CONTROL_OUTPUT_GONE:
	case WEIR_CONTROL_ENVIRONMENT:
		process_refuse(&worker->process, "says what only others may say");
		break;
	default:
		break;
	}
}

/* The next message of `process`: 1 = there, 0 = nothing to do any more. */
static int next_message(struct weir_supervisor *supervisor, struct weir_process *process,
			struct weir_control *control, struct weir_control_fds *fds)
{
	int result = 0;

	if (process->control_fd == -1 || process->killed)
		return 0;
	result = weir_control_peek(process->control_fd, control, fds);
	if (result == 1 || result == -EAGAIN)
		return result == 1;
	if (result == -EBADMSG) {
		weir_fd_discard(process->control_fd);
		process_refuse(process, "malformed message");
	} else if (result == -EPROTO) {
		weir_fd_discard(process->control_fd);
		process_refuse(process, "other version of the protocol");
	} else {
		control_lost(supervisor, process);
	}
	return 0;
}

static void message_done(const struct weir_process *process, struct weir_control_fds *fds)
{
	weir_fd_close_all(fds->fd, fds->count);
	WEIR_FAULT(supervisor_message_handled);
	if (process->control_fd != -1)
		weir_fd_discard(process->control_fd);
}

void weir_inbox_gateway(struct weir_supervisor *supervisor)
{
	struct weir_control control;
	struct weir_control_fds fds;

	for (int i = 0; i < MESSAGES_PER_TURN_MAX &&
			next_message(supervisor, &supervisor->gateway, &control, &fds) == 1; i++) {
		gateway_message(supervisor, &control, &fds);
		message_done(&supervisor->gateway, &fds);
	}
}

void weir_inbox_ctrld(struct weir_supervisor *supervisor)
{
	struct weir_control control;
	struct weir_control_fds fds;

	for (int i = 0; i < MESSAGES_PER_TURN_MAX &&
			next_message(supervisor, &supervisor->ctrld, &control, &fds) == 1; i++) {
		ctrld_message(supervisor, &control, &fds);
		message_done(&supervisor->ctrld, &fds);
	}
}

void weir_inbox_worker(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	struct weir_control control;
	struct weir_control_fds fds;

	for (int i = 0; i < MESSAGES_PER_TURN_MAX &&
			next_message(supervisor, &worker->process, &control, &fds) == 1; i++) {
		worker_message(supervisor, worker, &control);
		message_done(&worker->process, &fds);
	}
}
