/* build: one-shot builds for ctrld: source code that people deployed becomes what a worker loads.
 *
 *   ctrld --BUILD--> weir-build RUNTIME NAME (build_main.c: limits, no network) --> weir-build-RUNTIME
 *         <--BUILD_DONE-- its end, its time limit, or why it could not begin
 *
 * A build has a process group of its own, which is killed when its time is over, when ctrld is gone,
 * and when the build's first process ended. It ends with the supervisor (PR_SET_PDEATHSIG): whoever
 * asked for it has a time limit of its own.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_BUILD_H
#define WEIR_DATAPLANE_SUPERVISOR_BUILD_H

#include "dataplane/supervisor/supervisor.h"

/* BUILD came. What is wrong with it, or in its way, is ctrld's to hear. */
void weir_build_start(struct weir_supervisor *supervisor, const struct weir_control *control,
		      const struct weir_control_fds *fds);

/* The pidfd of the build `id` fired. */
void weir_build_ended(struct weir_supervisor *supervisor, uint64_t id);

/* Kill what is overdue; tell ctrld what it could not be told before. */
void weir_build_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Nobody waits for a result any more: kill and forget all. */
void weir_build_ctrld_died(struct weir_supervisor *supervisor);

#endif
