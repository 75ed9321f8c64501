/* store: what must outlive a supervisor, kept by the keeper as named entries: a small blob and
 * descriptors. The protocol of the SOCK_SEQPACKET socket between the two.
 *
 *   keeper                                   supervisor (descriptor 3)
 *     ENTRY name blob fds   (each one)  ->     takes over what it knows
 *     DONE                              ->
 *                                       <-   STORE name blob fds   (replaces an entry of that name)
 *                                       <-   DROP name
 * Owner: the keeper's table (store_table.h). Each send hands over copies of descriptors.
 * Peer death: a dead supervisor's messages stay in the socket and are applied before the next one
 * starts; a supervisor that finds the keeper gone stops everything. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_STORE_H
#define WEIR_DATAPLANE_SUPERVISOR_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/fd.h"

enum {
	WEIR_STORE_FD = 3, /* the supervisor's end */
	WEIR_STORE_NAME_BYTES = 48,
	WEIR_STORE_BLOB_BYTES_MAX = 256,
};

enum weir_store_kind {
	WEIR_STORE_STORE = 1,
	WEIR_STORE_DROP,
	WEIR_STORE_ENTRY,
	WEIR_STORE_DONE,
};

/* One struct is one message. */
struct weir_store_message {
	uint32_t magic;
	uint32_t kind;
	int32_t pidfd_index; /* which descriptor is a pidfd to kill on the way out; -1 = none */
	uint32_t blob_bytes;
	char name[WEIR_STORE_NAME_BYTES];
	uint8_t blob[WEIR_STORE_BLOB_BYTES_MAX];
};

/* What the keeper's supervisor exits with. */
enum {
	WEIR_SUPERVISOR_EXIT_DONE = 0,   /* stopped in order */
	WEIR_SUPERVISOR_EXIT_FATAL = 78, /* said why on standard error; starting again would not help */
};

/* Fill in `message`: entry `name` with `blob`. The name must be shorter than WEIR_STORE_NAME_BYTES
 * and the blob fit: both are our own invariants. */
void weir_store_message_set(struct weir_store_message *message, enum weir_store_kind kind,
			    const char *name, const void *blob, size_t blob_bytes);

/* Send one message. Errors as weir_fd_send(). */
int weir_store_send(int socket_fd, const struct weir_store_message *message, const int *fds, size_t fd_count);

/* Receive one message. 1 = written (descriptors are the caller's), 0 = the peer closed, -EAGAIN,
 * -EBADMSG (malformed; its descriptors are closed), else -errno. */
int weir_store_receive(int socket_fd, struct weir_store_message *out_message, int fds[WEIR_FD_PASS_MAX],
		       size_t *out_fd_count);

#endif
