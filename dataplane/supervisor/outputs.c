#include "dataplane/supervisor/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/log.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/records.h"

static void output_release(struct weir_supervisor *supervisor, struct weir_output *output)
{
	weir_record_output_forget(supervisor, output);
	weir_fd_close(&output->fd);
	memset(output, 0, sizeof(*output));
}

/* The longest known one whose worker is gone; NULL if all live. */
static struct weir_output *oldest_dead(struct weir_supervisor *supervisor)
{
	struct weir_output *found = NULL;

	for (size_t i = 0; i < WEIR_SUPERVISOR_OUTPUTS_MAX; i++) {
		struct weir_output *const output = &supervisor->output[i];

		if (weir_worker_find(supervisor, output->worker_id) == NULL &&
		    (found == NULL || output->worker_id < found->worker_id))
			found = output;
	}
	return found;
}

struct weir_output *weir_outputs_place(struct weir_supervisor *supervisor)
{
	struct weir_output *dead = NULL;

	for (size_t i = 0; i < WEIR_SUPERVISOR_OUTPUTS_MAX; i++) {
		if (supervisor->output[i].worker_id == 0)
			return &supervisor->output[i];
	}
	dead = oldest_dead(supervisor);
	if (dead != NULL) {
		weir_log(WEIR_LOG_WARN, "what a dead worker's functions printed was never read",
			 "worker=%llu action=drop", (unsigned long long)dead->worker_id);
		output_release(supervisor, dead);
	}
	return dead;
}

int weir_outputs_open(struct weir_supervisor *supervisor, const struct weir_worker *worker,
		      int *out_theirs)
{
	struct weir_output *const output = weir_outputs_place(supervisor);
	int sockets[2];

	if (output == NULL)
		return -ENOSPC;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return -errno;
	/* One way; each end has its own flags. */
	if (shutdown(sockets[0], SHUT_WR) != 0 || fcntl(sockets[0], F_SETFL, O_NONBLOCK) != 0) {
		const int result = -errno;

		weir_fd_close_all(sockets, 2);
		return result;
	}
	output->worker_id = worker->process.id;
	output->fd = sockets[0];
	output->ctrld_told = false;
	memcpy(output->space, worker->space, sizeof(output->space));
	weir_record_output_keep(supervisor, output);
	*out_theirs = sockets[1];
	return 0;
}

void weir_outputs_turn(struct weir_supervisor *supervisor)
{
	if (supervisor->ctrld.state != WEIR_PROCESS_READY)
		return;
	for (size_t i = 0; i < WEIR_SUPERVISOR_OUTPUTS_MAX; i++) {
		struct weir_output *const output = &supervisor->output[i];
		struct weir_control control = {.kind = WEIR_CONTROL_OUTPUT_OPEN};

		if (output->worker_id == 0 || output->ctrld_told)
			continue;
		control.output.worker_id = output->worker_id;
		memcpy(control.output.space, output->space, sizeof(control.output.space));
		output->ctrld_told =
			weir_supervisor_send(supervisor, &supervisor->ctrld, &control, &output->fd, 1);
		if (!output->ctrld_told)
			return; /* the next turn goes on */
	}
}

void weir_outputs_gone(struct weir_supervisor *supervisor, uint64_t worker_id)
{
	for (size_t i = 0; i < WEIR_SUPERVISOR_OUTPUTS_MAX; i++) {
		if (worker_id != 0 && supervisor->output[i].worker_id == worker_id) {
			output_release(supervisor, &supervisor->output[i]);
			return;
		}
	}
}

void weir_outputs_ctrld_ended(struct weir_supervisor *supervisor)
{
	for (size_t i = 0; i < WEIR_SUPERVISOR_OUTPUTS_MAX; i++)
		supervisor->output[i].ctrld_told = false;
}
