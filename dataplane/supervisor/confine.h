/* confine: which sandbox the workers of this instance get. Decided once per start of a supervisor from
 * --sandbox and from what the machine gives, and said on the board, in `ctrlctl status` and in the log. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CONFINE_H
#define WEIR_DATAPLANE_SUPERVISOR_CONFINE_H

#include "dataplane/supervisor/supervisor.h"

/* Try what the machine gives. 0, or -EPERM with the reason in `problem`: required, and not all there. */
int weir_confine_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Write the board's line. */
void weir_confine_say(const struct weir_supervisor *supervisor, struct weir_board *board);

#endif
