#include "dataplane/shm/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int weir_control_send(int socket_fd, const struct weir_control *control, const int *fds, size_t fd_count)
{
	struct weir_control message = *control;

	message.magic = WEIR_CONTROL_MAGIC;
	message.abi_major = WEIR_ABI_MAJOR;
	return weir_fd_send(socket_fd, &message, sizeof(message), fds, fd_count);
}

static bool text_is_terminated(const char *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

static bool shards_are_possible(uint32_t count)
{
	return count >= 1 && count <= WEIR_SHARDS_MAX;
}

/* What a message's kind promises about its fields and descriptors (the table in abi/control.h);
 * kinds that we do not know are the receiver's to ignore. */
static bool message_is_sound(const struct weir_control *control, size_t fd_count)
{
	switch (control->kind) {
	case WEIR_CONTROL_READY: /* from the gateway with its shard board */
	case WEIR_CONTROL_CTRLD_START:
		return fd_count <= 1;
	case WEIR_CONTROL_GATEWAY_START:
		return (fd_count == 1 || fd_count == 2 || fd_count == 4) && shards_are_possible(control->gateway_start.shard_count);
	case WEIR_CONTROL_LISTEN:
		return fd_count >= 1 && fd_count <= WEIR_SHARDS_MAX &&
		       text_is_terminated(control->listen.address, sizeof(control->listen.address));
	case WEIR_CONTROL_LINK_OPEN:
		return shards_are_possible(control->link_open.shard_count) &&
		       control->link_open.home < control->link_open.shard_count &&
		       fd_count >= 2 + (size_t)control->link_open.shard_count &&
		       fd_count <= 3 + (size_t)control->link_open.shard_count;
	case WEIR_CONTROL_SNAPSHOT:
	case WEIR_CONTROL_BOARD:
		return fd_count == 1;
	case WEIR_CONTROL_WORKER_START:
		return fd_count <= 2 &&
		       text_is_terminated(control->worker_start.space, sizeof(control->worker_start.space));
	case WEIR_CONTROL_ACTIVATIONS:
		return fd_count == 2;
	case WEIR_CONTROL_OUTPUT_OPEN:
		return fd_count == 1 && text_is_terminated(control->output.space, sizeof(control->output.space));
	case WEIR_CONTROL_WORKER_KILL:
		return fd_count == 0 &&
		       text_is_terminated(control->worker_kill.reason, sizeof(control->worker_kill.reason));
	case WEIR_CONTROL_STOP:
	case WEIR_CONTROL_LINK_CLOSE:
	case WEIR_CONTROL_LINK_READY:
	case WEIR_CONTROL_LINK_GONE:
	case WEIR_CONTROL_SNAPSHOT_ACK:
	case WEIR_CONTROL_DEMAND:
	case WEIR_CONTROL_COLD_START:
	case WEIR_CONTROL_OUTPUT_GONE:
		return fd_count == 0;
	default:
		return true;
	}
}

static int message_check(const struct weir_control *control, size_t bytes, size_t fd_count)
{
	if (bytes != sizeof(*control) || control->magic != WEIR_CONTROL_MAGIC)
		return -EBADMSG;
	if (control->abi_major != WEIR_ABI_MAJOR)
		return -EPROTO;
	return message_is_sound(control, fd_count) ? 0 : -EBADMSG;
}

/* Check what was received and pass it on, or close it. */
static int message_take(const struct weir_control *control, struct weir_control_fds *fds, ssize_t received,
			struct weir_control *out_control, struct weir_control_fds *out_fds)
{
	int result = 0;

	if (received == -EMSGSIZE)
		return -EBADMSG;
	if (received < 0)
		return (int)received;
	if (received == 0 && fds->count == 0)
		return 0;
	result = message_check(control, (size_t)received, fds->count);
	if (result != 0) {
		weir_fd_close_all(fds->fd, fds->count);
		return result;
	}
	*out_control = *control;
	*out_fds = *fds;
	return 1;
}

int weir_control_receive(int socket_fd, struct weir_control *out_control, struct weir_control_fds *out_fds)
{
	struct weir_control control = {0};
	struct weir_control_fds fds = {.count = 0};
	const ssize_t received =
		weir_fd_receive(socket_fd, &control, sizeof(control), fds.fd, WEIR_FD_PASS_MAX, &fds.count);

	return message_take(&control, &fds, received, out_control, out_fds);
}

int weir_control_peek(int socket_fd, struct weir_control *out_control, struct weir_control_fds *out_fds)
{
	struct weir_control control = {0};
	struct weir_control_fds fds = {.count = 0};
	const ssize_t received =
		weir_fd_peek(socket_fd, &control, sizeof(control), fds.fd, WEIR_FD_PASS_MAX, &fds.count);

	return message_take(&control, &fds, received, out_control, out_fds);
}
