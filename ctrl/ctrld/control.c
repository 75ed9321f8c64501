#include "dataplane/shm/control.h"

#include <errno.h>
#include <string.h>

#include "ctrl/ctrld/ctrld.h"
#include "dataplane/base/log.h"

enum { MESSAGES_PER_TURN = 32 };

void weir_ctrld_ready_send(struct weir_ctrld *ctrld)
{
	const struct weir_control message = {.kind = WEIR_CONTROL_READY};
	const int code = weir_control_send(WEIR_CONTROL_FD, &message, NULL, 0);

	if (code != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot tell the supervisor that we are ready",
			 "error=\"%s\"", strerror(-code));
		ctrld->stopping = true;
	}
}

static void acknowledgement_take(struct weir_ctrld *ctrld, const struct weir_control *message)
{
	const struct weir_api_acknowledgement acknowledgement = {
		.generation = message->snapshot_ack.generation,
		.acked = message->snapshot_ack.shards_acked,
		.total = message->snapshot_ack.shards_total,
	};

	weir_ctrld_acknowledged(ctrld, &acknowledgement, message->snapshot_ack.took_ns);
}

/* Takes what it wants of the descriptors and leaves -1 in their place. */
static void message_take(struct weir_ctrld *ctrld, const struct weir_control *message,
			 struct weir_control_fds *fds)
{
	switch (message->kind) {
	case WEIR_CONTROL_CTRLD_START:
		if (ctrld->started)
			break;
		ctrld->started = true;
		if (fds->count == 1) {
			weir_ctrld_snapshot_inherit(ctrld, fds->fd[0]);
			fds->fd[0] = -1;
		}
		weir_ctrld_databases_open(ctrld);
		break;
	case WEIR_CONTROL_SNAPSHOT_ACK:
		acknowledgement_take(ctrld, message);
		break;
	case WEIR_CONTROL_BUILD_DONE:
		weir_builder_done(ctrld->builder, message);
		break;
	case WEIR_CONTROL_OUTPUT_OPEN:
		weir_collector_add(ctrld->collector, message->output.worker_id,
				   message->output.space, fds->fd[0]);
		fds->fd[0] = -1;
		break;
	case WEIR_CONTROL_ACTIVATIONS:
		weir_recorder_open(ctrld->recorder, fds->fd[0], fds->fd[1]);
		fds->count = 0;
		break;
	case WEIR_CONTROL_BOARD:
		weir_ctrld_board_take(ctrld, fds->fd[0]);
		break;
	case WEIR_CONTROL_STOP:
		ctrld->stopping = true;
		break;
	default:
		break; /* kinds that we do not know are ignored */
	}
}

void weir_ctrld_control_take(struct weir_ctrld *ctrld)
{
	for (int i = 0; i < MESSAGES_PER_TURN && !ctrld->stopping; i++) {
		struct weir_control message;
		struct weir_control_fds fds = {.count = 0};
		const int code = weir_control_receive(WEIR_CONTROL_FD, &message, &fds);

		if (code == -EAGAIN)
			return;
		if (code == -EBADMSG || code == -EPROTO) {
			weir_log(WEIR_LOG_WARN,
				 "the supervisor sent a message that makes no sense",
				 "error=\"%s\"", strerror(-code));
			continue;
		}
		if (code <= 0) {
			weir_log(WEIR_LOG_INFO,
				 "the supervisor's side of the control socket is gone",
				 "result=%d", code);
			ctrld->stopping = true;
			return;
		}
		message_take(ctrld, &message, &fds);
		weir_fd_close_all(fds.fd, fds.count);
	}
}

void weir_ctrld_outputs_tell(struct weir_ctrld *ctrld)
{
	for (;;) {
		struct weir_control message = {.kind = WEIR_CONTROL_OUTPUT_GONE};

		if (ctrld->output_gone == 0)
			ctrld->output_gone = weir_collector_gone(ctrld->collector);
		if (ctrld->output_gone == 0)
			return;
		message.output.worker_id = ctrld->output_gone;
		if (weir_control_send(WEIR_CONTROL_FD, &message, NULL, 0) != 0)
			return; /* full: the next turn; or closed, which is noticed when receiving */
		ctrld->output_gone = 0;
	}
}
