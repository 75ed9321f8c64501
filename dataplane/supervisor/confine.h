/* confine: which sandbox the workers of this instance get. Decided once per start of a supervisor from
 * --sandbox and from what the machine gives, and said on the board, in `ctrlctl status` and in the log. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CONFINE_H
#define WEIR_DATAPLANE_SUPERVISOR_CONFINE_H

#include "dataplane/supervisor/supervisor.h"

/* Try what the machine gives. 0, or -EPERM with the reason in `problem`: required, and not all there. */
int weir_confine_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* The plan of one worker: whom it becomes. */
void weir_confine_plan(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
		       struct weir_sandbox_plan *out_plan);

/* A worker is about to load a function: show it, and answer. What is none of its pool is refused. */
void weir_confine_reveal(struct weir_supervisor *supervisor, const struct weir_worker *worker,
			 uint64_t function_id, bool directory);

/* Write the board's line. */
void weir_confine_say(const struct weir_supervisor *supervisor, struct weir_board *board);

#endif
