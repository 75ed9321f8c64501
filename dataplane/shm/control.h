/* control: sending and receiving the control messages of abi/control.h with their descriptors. */
#ifndef WEIR_DATAPLANE_SHM_CONTROL_H
#define WEIR_DATAPLANE_SHM_CONTROL_H

#include "dataplane/abi/control.h"
#include "dataplane/base/fd.h"

struct weir_control_fds {
	int fd[WEIR_FD_PASS_MAX];
	size_t count;
};

/* Send one message; magic and version are filled in. Errors as weir_fd_send(). */
int weir_control_send(int socket_fd, const struct weir_control *control, const int *fds, size_t fd_count);

/* Receive one message. 1 = *out_control and *out_fds (the caller's) written, 0 = the peer closed,
 * -EAGAIN = nothing there (non-blocking socket), -EBADMSG = malformed or too long, everything
 * closed, go on receiving, -EPROTO = other ABI major, else -errno. */
int weir_control_receive(int socket_fd, struct weir_control *out_control, struct weir_control_fds *out_fds);

/* The same, but the message stays in the socket until weir_fd_discard(): for the supervisor, which
 * may be killed while it handles one. -EBADMSG and -EPROTO leave it there too. */
int weir_control_peek(int socket_fd, struct weir_control *out_control, struct weir_control_fds *out_fds);

#endif
