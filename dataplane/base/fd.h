/* fd: descriptors as owned values, and passing them between processes (SCM_RIGHTS). */
#ifndef WEIR_DATAPLANE_BASE_FD_H
#define WEIR_DATAPLANE_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEIR_FD_PASS_MAX 200 /* descriptors in one message; the kernel's SCM_MAX_FD is 253 */

/* Close *fd if it is not -1 and set it to -1. Made for WEIR_CLEANUP. */
void weir_fd_close(int *fd);

/* Close every descriptor in fds[0..count-1] that is not -1 and set it to -1. */
void weir_fd_close_all(int *fds, size_t count);

/* Send one message of `bytes` bytes with `fd_count` descriptors on a SOCK_SEQPACKET socket.
 * 0, or -EAGAIN (full, non-blocking), -EPIPE, -ECONNRESET, -EMSGSIZE, -EINVAL (too many fds). */
int weir_fd_send(int socket_fd, const void *data, size_t bytes, const int *fds,
		 size_t fd_count);

/* Receive one message. On success returns its size (0 = the peer closed) and sets *out_fd_count;
 * received descriptors are CLOEXEC and the caller's. More descriptors than `fd_count_max`, or a
 * message longer than `bytes`, is refused: everything is closed and -EMSGSIZE returned.
 * Else -EAGAIN, -ECONNRESET, -errno. */
ssize_t weir_fd_receive(int socket_fd, void *data, size_t bytes, int *fds, size_t fd_count_max,
			size_t *out_fd_count);

/* The same, but the message stays: the next receive gets it again, with new descriptors. For a
 * receiver that must not lose a message when it dies while it handles it: peek, handle, discard. */
ssize_t weir_fd_peek(int socket_fd, void *data, size_t bytes, int *fds, size_t fd_count_max,
		     size_t *out_fd_count);

/* Drop the next message and its descriptors, if there is one. Does not wait. */
void weir_fd_discard(int socket_fd);

/* Create a memfd of `bytes` zero bytes, CLOEXEC, sealed against shrinking and growing, so that
 * no holder can make another's access fault. 0 and *out_fd, or -errno. */
int weir_fd_create_shared(const char *name, size_t bytes, int *out_fd);

/* Check that `fd` is a memfd sealed against shrinking whose size is at least `bytes_min`:
 * 0 and *out_bytes, or -EBADMSG. For descriptors that another process sent. */
int weir_fd_check_shared(int fd, size_t bytes_min, size_t *out_bytes);

#endif
