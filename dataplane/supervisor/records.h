/* records: what stands in the keeper's store for the next supervisor: one entry per process, link,
 * listener, and the newest snapshot (names: supervisor.h). An entry is written when its state changes,
 * before anything that depends on it is sent.
 * Peer death: none of these fails for the caller; a keeper that is gone stops the instance. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_RECORDS_H
#define WEIR_DATAPLANE_SUPERVISOR_RECORDS_H

#include "dataplane/supervisor/supervisor.h"

/* Write one process, link or snapshot as it is now. */
void weir_record_process_keep(struct weir_supervisor *supervisor, struct weir_process *process);
void weir_record_worker_keep(struct weir_supervisor *supervisor, struct weir_worker *worker);
void weir_record_worker_forget(struct weir_supervisor *supervisor, const struct weir_worker *worker);
void weir_record_link_keep(struct weir_supervisor *supervisor, struct weir_link *link);
void weir_record_link_forget(struct weir_supervisor *supervisor, const struct weir_link *link);
void weir_record_output_keep(struct weir_supervisor *supervisor, const struct weir_output *output);
void weir_record_output_forget(struct weir_supervisor *supervisor, const struct weir_output *output);
void weir_record_snapshot_keep(struct weir_supervisor *supervisor);
void weir_record_listener_keep(struct weir_supervisor *supervisor, size_t index);

/* Receive everything that the keeper holds and restore it; then count this supervisor, which is kept once its
 * shards are known. 0, or -errno: the keeper is gone. Entries that make no sense are logged and dropped, their
 * processes killed. */
int weir_record_take_over(struct weir_supervisor *supervisor);
void weir_record_self_keep(struct weir_supervisor *supervisor);

#endif
