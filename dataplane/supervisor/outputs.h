/* outputs: the sockets that carry what functions print from each worker to ctrld (abi/output.h).
 *
 *   weir_spawn_worker --open--> kept --told--> ctrld reads --its end, OUTPUT_GONE--> forgotten
 *
 * A socket outlives its worker until ctrld has read its end, and every supervisor and ctrld: what was
 * sent is lost only with the keeper, or when more workers die than the table holds while ctrld is away. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_OUTPUTS_H
#define WEIR_DATAPLANE_SUPERVISOR_OUTPUTS_H

#include "dataplane/supervisor/supervisor.h"

/* A free place of the table, taken from the oldest dead worker if need be; NULL if there is none. */
struct weir_output *weir_outputs_place(struct weir_supervisor *supervisor);

/* Make and keep the pair for a worker that is about to be started. 0 and *out_theirs (the worker's end,
 * the caller's), or -errno. */
int weir_outputs_open(struct weir_supervisor *supervisor, const struct weir_worker *worker,
		      int *out_theirs);

/* Hand ctrld what it lacks. */
void weir_outputs_turn(struct weir_supervisor *supervisor);

/* ctrld has read all of it, or the worker did not start. Unknown ones are no error. */
void weir_outputs_gone(struct weir_supervisor *supervisor, uint64_t worker_id);

/* The next ctrld knows none. */
void weir_outputs_ctrld_ended(struct weir_supervisor *supervisor);

#endif
