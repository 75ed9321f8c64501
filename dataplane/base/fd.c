#include "dataplane/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

#define KERNEL_FD_MAX 253 /* SCM_MAX_FD: no message can carry more */

/* Room for the most descriptors that a message can carry, aligned as cmsghdr needs. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * KERNEL_FD_MAX)];
};

void weir_fd_close(int *fd)
{
	if (*fd == -1)
		return;
	(void)close(*fd); /* Linux releases the number even where this fails */
	*fd = -1;
}

void weir_fd_close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		weir_fd_close(&fds[i]);
}

int weir_fd_send(int socket_fd, const void *data, size_t bytes, const int *fds, size_t fd_count)
{
	struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	union control control;
	ssize_t sent = 0;

	/* An empty message would look to the receiver like the end. */
	if (bytes == 0 || fd_count > WEIR_FD_PASS_MAX)
		return -EINVAL;
	if (fd_count > 0) {
		struct cmsghdr *header = NULL;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
	}
	do {
		sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent == -1)
		return -errno;
	return (size_t)sent == bytes ? 0 : -EMSGSIZE;
}

/* Take every descriptor out of the control data: the first `max` into `fds`, the rest are closed.
 * Returns how many there were. */
static size_t descriptors_take(struct msghdr *message, int *fds, size_t max)
{
	size_t count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		size_t here = 0;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++, count++) {
			int fd = -1;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (count < max)
				fds[count] = fd;
			else
				weir_fd_close(&fd);
		}
	}
	return count;
}

/* What weir_fd_receive() promises, with flags of recvmsg. */
static ssize_t message_receive(int socket_fd, int flags, struct iovec vector, int *fds,
			       size_t fd_count_max, size_t *out_fd_count)
{
	union control control;
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t received = 0;
	size_t count = 0;

	WEIR_ASSERT(fds != NULL || fd_count_max == 0);
	do {
		received = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | flags);
	} while (received == -1 && errno == EINTR);
	if (received == -1)
		return -errno;
	count = descriptors_take(&message, fds, fd_count_max);
	if (count > fd_count_max || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		weir_fd_close_all(fds, count < fd_count_max ? count : fd_count_max);
		return -EMSGSIZE;
	}
	*out_fd_count = count;
	return received;
}

ssize_t weir_fd_receive(int socket_fd, void *data, size_t bytes, int *fds, size_t fd_count_max,
			size_t *out_fd_count)
{
	const struct iovec vector = {.iov_base = data, .iov_len = bytes};

	return message_receive(socket_fd, 0, vector, fds, fd_count_max, out_fd_count);
}

ssize_t weir_fd_peek(int socket_fd, void *data, size_t bytes, int *fds, size_t fd_count_max,
		     size_t *out_fd_count)
{
	const struct iovec vector = {.iov_base = data, .iov_len = bytes};

	return message_receive(socket_fd, MSG_PEEK, vector, fds, fd_count_max, out_fd_count);
}

void weir_fd_discard(int socket_fd)
{
	char byte = 0;

	/* Without room for control data the kernel itself closes the descriptors. */
	(void)recv(socket_fd, &byte, sizeof(byte),
		   MSG_DONTWAIT); /* nothing there is fine too */
}

int weir_fd_create_shared(const char *name, size_t bytes, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close)
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) != 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		return -errno;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_fd_check_shared(int fd, size_t bytes_min, size_t *out_bytes)
{
	struct stat status;
	const int seals = fcntl(fd, F_GET_SEALS);

	/* Only memory files answer F_GET_SEALS, and only a sealed one keeps its size. */
	if (seals == -1 || (seals & F_SEAL_SHRINK) == 0)
		return -EBADMSG;
	if (fstat(fd, &status) != 0 || status.st_size < 0 || (size_t)status.st_size < bytes_min)
		return -EBADMSG;
	*out_bytes = (size_t)status.st_size;
	return 0;
}
