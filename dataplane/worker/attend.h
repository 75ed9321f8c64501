/* attend: the worker's end of its control socket (abi/control.h), on the main thread.
 *
 *   supervisor --WORKER_START, SNAPSHOT, LINK_OPEN, LINK_CLOSE, STOP--> attend --mail--> host
 *   supervisor <--READY, SNAPSHOT_ACK, LINK_GONE----------------------- attend <-report-- host
 *
 * Maps and unmaps, so that the host never blocks on it. READY is sent when start and a first
 * snapshot are there. If every holder of the other end is gone, that is a STOP. */
#ifndef WEIR_DATAPLANE_WORKER_ATTEND_H
#define WEIR_DATAPLANE_WORKER_ATTEND_H

#include "dataplane/worker/host.h"

/* Serve `socket_fd` until the worker was told to stop and nothing runs any more. Blocks.
 * 0, or -errno when the socket is unusable. */
int weir_attend_run(int socket_fd, struct weir_host *host);

#endif
