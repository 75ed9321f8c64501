#include "dataplane/supervisor/store.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/base/assert.h"

#define MAGIC UINT32_C(0x73726577) /* "wers" */

void weir_store_message_set(struct weir_store_message *message, enum weir_store_kind kind,
			    const char *name, const void *blob, size_t blob_bytes)
{
	WEIR_ASSERT(strlen(name) < WEIR_STORE_NAME_BYTES);
	WEIR_ASSERT(blob_bytes <= WEIR_STORE_BLOB_BYTES_MAX);
	memset(message, 0, sizeof(*message));
	message->magic = MAGIC;
	message->kind = kind;
	message->pidfd_index = -1;
	message->blob_bytes = (uint32_t)blob_bytes;
	(void)strcpy(message->name, name); /* length checked above */
	if (blob_bytes > 0)
		memcpy(message->blob, blob, blob_bytes);
}

int weir_store_send(int socket_fd, const struct weir_store_message *message, const int *fds, size_t fd_count)
{
	return weir_fd_send(socket_fd, message, sizeof(*message), fds, fd_count);
}

static bool message_is_sound(const struct weir_store_message *message, size_t bytes, size_t fd_count)
{
	return bytes == sizeof(*message) && message->magic == MAGIC &&
	       message->blob_bytes <= WEIR_STORE_BLOB_BYTES_MAX && message->pidfd_index >= -1 &&
	       message->pidfd_index < (int32_t)fd_count &&
	       memchr(message->name, '\0', sizeof(message->name)) != NULL;
}

int weir_store_receive(int socket_fd, struct weir_store_message *out_message, int fds[WEIR_FD_PASS_MAX],
		       size_t *out_fd_count)
{
	struct weir_store_message message;
	size_t fd_count = 0;
	const ssize_t received =
		weir_fd_receive(socket_fd, &message, sizeof(message), fds, WEIR_FD_PASS_MAX, &fd_count);

	if (received == -EMSGSIZE)
		return -EBADMSG;
	if (received < 0)
		return (int)received;
	if (received == 0 && fd_count == 0)
		return 0;
	if (!message_is_sound(&message, (size_t)received, fd_count)) {
		weir_fd_close_all(fds, fd_count);
		return -EBADMSG;
	}
	*out_message = message;
	*out_fd_count = fd_count;
	return 1;
}
