/* keeper: the process that outlives the others. No logic: it holds what it is given and starts the
 * supervisor again when that dies.
 *
 *   weir-keeper -- store (socket) --> weir-supervisor --> gateway, ctrld, workers
 *     holds: listening sockets, board, newest snapshot, pidfds, control sockets, segments
 *     is the subreaper: children of a dead supervisor become the keeper's, their pids unchanged
 *
 * Threads: one. Its own death: the supervisor finds the store's end closed and stops everything; if
 * that is dead too, every process finds its control socket closed and exits. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_KEEPER_H
#define WEIR_DATAPLANE_SUPERVISOR_KEEPER_H

#include "dataplane/supervisor/options.h"

/* Take the exclusive lock DATA/run/lock and write our pid into it. 0 and *out_fd (the caller's),
 * -EWOULDBLOCK (*out_holder = the other keeper's pid, 0 if unknown), or -errno. */
int weir_keeper_lock(const char *data, int *out_fd, long *out_holder);

/* Keep the instance running until SIGINT, SIGTERM, SIGHUP or the supervisor's last word; then stop
 * and remove everything that is left. `argv` is the keeper's own. Returns the exit code: 0, or 1 if
 * the instance could not run. */
int weir_keeper_run(const struct weir_options *options, int argc, char *const *argv);

#endif
