/* listen: the sockets that clients connect to: one per shard and TCP address, sharing the port, and
 * one Unix socket. Opened once in the instance's life; the store keeps them over every restart, so
 * connections wait in their backlogs while there is no gateway. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_LISTEN_H
#define WEIR_DATAPLANE_SUPERVISOR_LISTEN_H

#include "dataplane/supervisor/supervisor.h"

/* Open all sockets of the options that the store did not bring. 0, or -errno with the reason in
 * `problem`. */
int weir_listen_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Queue GATEWAY_START and LISTEN messages on the control socket of a gateway not yet started.
 * 0 or -errno. */
int weir_listen_send(const struct weir_supervisor *supervisor, int control_fd);

/* Listen on the Unix socket DATA/run/`name` (mode 0600) of SOCK_STREAM or SOCK_SEQPACKET, replacing
 * a file left there. 0 and *out_fd, or -errno. */
int weir_listen_local(const struct weir_supervisor *supervisor, const char *name, int type, int *out_fd);

/* Remove the socket files of the instance. */
void weir_listen_remove(const struct weir_supervisor *supervisor);

#endif
