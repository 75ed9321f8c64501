/* status_socket: DATA/run/supervisor.sock (SOCK_SEQPACKET, 0600): a client sends the 8 bytes "weirstat"
 * and gets the same back with a read-only descriptor of the board, whose rows are fresh. A client that
 * says nothing for 2 s is dropped. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_STATUS_SOCKET_H
#define WEIR_DATAPLANE_SUPERVISOR_STATUS_SOCKET_H

#include "dataplane/supervisor/supervisor.h"

/* Listen on DATA/run/supervisor.sock unless the store brought the socket. 0, or -errno with the
 * reason in `problem`. */
int weir_status_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);
void weir_status_accept(struct weir_supervisor *supervisor, uint64_t now_ns);
void weir_status_answer(struct weir_supervisor *supervisor, uint64_t client);
/* Drop clients that said nothing for too long. */
void weir_status_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

#endif
